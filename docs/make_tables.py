"""Write tables of analyses, kinds, bases and tasks into docs/files.md, between its marks, from what the code says."""

from collections.abc import Mapping
from pathlib import Path

from spectraledge.analyses.analysis import Table
from spectraledge.analyses.registry import ANALYSES
from spectraledge.examples import TABLES
from spectraledge.observed.labelled_directions import KINDS
from spectraledge.tasks import GROUPINGS, OPERATIONS, GroupingRule

PAGE = Path(__file__).with_name("files.md")
BEGIN, END = "<!-- made by docs/make_tables.py -->\n", "<!-- end -->\n"


def described(table: Table) -> str:
    """One table: what a row is of, and its columns."""
    lines = [f"**{table.name}** — one row per {table.row}.", "", "| column | unit | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {column.unit} | {column.meaning} |" for name, column in table.columns.items()]
    lines += [f"| … | | {table.more} |"] if table.more else []
    return "\n".join(lines)


def named(words: Mapping[str, str]) -> str:
    """A list of names and what each is."""
    rows = [f"| `{name}` | {what} |" for name, what in words.items()]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def usual(rule: GroupingRule) -> str:
    """A basis as a person writes it, and whether tasks are read in it without asking."""
    return rule.formula + (", by default where it applies" if rule.usual else "")


def page(text: str) -> str:
    """The page with what stands between its marks made anew."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    parts = []
    for analysis in ANALYSES.values():
        names = ", ".join(f"`{name}`" for name in analysis.settings)
        parts.append(f"### {analysis.name}\n\nSettings: {names}.")
        parts += [described(table) for table in analysis.tables]
    parts += ["### example language-model", *(described(table) for table in TABLES)]
    parts += ["## Kinds of directions", named(KINDS)]
    bases = {name: usual(rule) for name, rule in GROUPINGS.items()}
    parts += ["## Bases", "A task is also read in its own.", named(bases)]
    tasks = {name: f"{each.formula}; own basis `{each.structure}`" for name, each in OPERATIONS.items()}
    parts += ["## Tasks", named(tasks)]
    return before + BEGIN + "\n" + "\n\n".join(parts) + "\n\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
