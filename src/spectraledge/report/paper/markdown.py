"""The report as GitHub Markdown, with its figures and tables in files beside it."""

from collections.abc import Iterable, Sequence

from spectraledge.report.paper.contents import CLAIMS, CLAIMS_BY_SEED, FIGURES, NOT_MEASURED, TABLES, Report
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.verdict_words import ClaimGroup, claims_of

_ESCAPED = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "\n": " "})


def markdown(report: Report, *, command: str) -> str:
    """Write the report as Markdown.

    Args:
        report: What it says.
        command: What made the study.

    Returns:
        The text.
    """
    blocks = [
        f"# Study “{_text(report.name)}”: what of the paper replicates",
        f"**{_text(report.headline)}**",
        *([_text(report.absent)] if report.absent else []),
        f"Made with `{command}`, configuration `{report.hash[:16]}`. Paper: Y. Xu, *Spectral Edge Dynamics Reveal "
        "Functional Modes of Learning*, arXiv 2604.06256, 2026.",
        "## Claims",
        *_claims(report.claims),
    ]
    for section in report.sections:
        blocks += _section(section, report)
    blocks += ["## Methods", _grid(("what", "setting"), report.methods)]
    differences = [(one.published, one.ours, one.reason) for one in report.deviations]
    blocks += ["## Deviations from the paper", _grid(("the paper", "here", "why"), differences)]
    blocks += ["## Failed and missing runs", _absent(report)]
    if report.environment:
        blocks += ["## Environment", _grid(("what", "value"), report.environment)]
    return "\n\n".join(blocks) + "\n"


def _claims(groups: Sequence[ClaimGroup]) -> list[str]:
    if not groups:
        return [NOT_MEASURED]
    headings = ("claim", "published", "ours", "null", "effect (95% interval over seeds)", "seeds", "q", "verdict")
    rows: list[tuple[str, ...]] = []
    rules = []
    for group in groups:
        rows.append((f"§§{group.section}: {group.found}", *[""] * (len(headings) - 1)))
        for row in group.rows:
            effect = f"{row.effect} {row.scale}".rstrip()
            null = f"{row.null} ({row.compared})"
            rows.append((row.titled, row.published, row.measured, null, effect, row.seeds, row.q, row.verdict))
            rules.append(
                f"- **{_text(row.statement)}** (`{row.id}`) Measured: {_text(row.statistic)}. "
                f"{_text(row.rule[:1].upper() + row.rule[1:])}."
            )
    table = _grid(headings, rows)
    # Rows of sections are bold; the mark cannot stand in text.
    lines = [_bold(line) if line.startswith("| §§") else line for line in table.split("\n")]
    return [
        "\n".join(lines),
        f"Ours and null: means over seeds, geometric for ratios; for areas medians of the two groups of runs. q is "
        f"adjusted for all claims together. Numbers: [{CLAIMS}.csv]({CLAIMS}.csv), one row per claim and seed: "
        f"[{CLAIMS_BY_SEED}.csv]({CLAIMS_BY_SEED}.csv).",
        "<details><summary>What each claim measures, and its rule</summary>\n\n" + "\n".join(rules) + "\n\n</details>",
    ]


def _bold(line: str) -> str:
    name = line.removeprefix("| §§").split(" |", 1)
    return f"| **{name[0]}** |{name[1]}"


def _section(section: Section, report: Report) -> Iterable[str]:
    yield f"## {_text(section.title)}"
    if not section.measured:
        yield NOT_MEASURED
        return
    yield _text(section.lead)
    if about := claims_of(section, report.claims):
        yield "\n".join(f"- *{row.verdict}*: {_text(row.titled)}" for row in about)
    for drawing in section.drawings:
        yield from _drawing(drawing, report)
    for table in section.tables:
        yield from _table(table)
    for note in section.notes:
        yield _text(note)


def _drawing(drawing: Drawing, report: Report) -> Iterable[str]:
    title = f"Figure {report.number(drawing)}. {_text(drawing.title)}"
    yield f"![{title}]({FIGURES}/{drawing.key}.png)"
    yield f"*{title}.* {_text(drawing.caption)} If there were nothing to see, {_text(drawing.nothing)}"


def _table(table: Table) -> Iterable[str]:
    yield f"### {_text(table.title)}"
    yield _grid(table.columns, table.sparse, numeric=table.numeric)
    yield f"{_text(table.note)} Numbers: [{table.key}.csv]({TABLES}/{table.key}.csv)."


def _absent(report: Report) -> str:
    lines = [f"- `{name}` failed: {_text(error)}" for name, error in report.failed.items()]
    lines += [f"- `{name}` did not finish" for name in report.missing]
    return "\n".join(lines) or "None: every run finished."


def _grid(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[bool] | None = None) -> str:
    right = numeric or [False] * len(headings)
    lines = [
        _line(headings),
        "|" + "|".join(" ---: " if here else " --- " for here in right) + "|",
        *(_line(row) for row in rows),
    ]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _text(words: str) -> str:
    return words.translate(_ESCAPED)
