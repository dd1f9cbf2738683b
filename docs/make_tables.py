"""Write the tables of analyses into docs/files.md, between its two marks, from what the code declares."""

from pathlib import Path

from spectraledge.analyses.analysis import Table
from spectraledge.analyses.registry import ANALYSES

PAGE = Path(__file__).with_name("files.md")
BEGIN, END = "<!-- made by docs/make_tables.py -->\n", "<!-- end -->\n"


def described(table: Table) -> str:
    """One table: what a row is of, and its columns."""
    lines = [f"**{table.name}** — one row per {table.row}.", "", "| column | unit | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {column.unit} | {column.meaning} |" for name, column in table.columns.items()]
    lines += [f"| … | | {table.more} |"] if table.more else []
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with what stands between its marks made anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    parts = []
    for analysis in ANALYSES.values():
        names = ", ".join(f"`{name}`" for name in analysis.settings)
        parts.append(f"### {analysis.name}\n\nSettings: {names}.")
        parts += [described(table) for table in analysis.tables]
    return before + BEGIN + "\n" + "\n\n".join(parts) + "\n\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
