"""A report as GitHub Markdown, with its figures and the numbers behind its tables in files beside it."""

from collections.abc import Iterable, Iterator, Sequence

from spectraledge.pages.document import (
    FIGURES,
    TABLES,
    Block,
    Card,
    Cards,
    Cell,
    Claim,
    Column,
    Figure,
    Page,
    Row,
    Section,
    Table,
    Terms,
)
from spectraledge.pages.page_writer import CITATION

_ESCAPED = str.maketrans({"|": "\\|", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "\n": " "})
_TERMS = (Column("what"), Column("setting"))


def page_markdown(page: Page) -> str:
    """Write a report as Markdown."""
    paper, please = CITATION
    made = f"Made with `{page.command}`. " if page.command else ""
    blocks = [
        f"# {_text(page.title)}",
        f"**{_text(page.headline)}**",
        *(_text(words) for words in (page.question, page.warning) if words),
        f"{made}Study “{_text(page.study)}”, configuration `{page.hash[:16]}`. Paper: {paper}.",
    ]
    for section in page.sections:
        blocks += _section(section, page)
    links = [f"- [{name}.csv]({name}.csv), {len(table):,} rows" for name, table in page.files.items()]
    blocks += ["## Downloads", *(["\n".join(links)] if links else []), f"{please}: `{page.hash}`."]
    return "\n\n".join(blocks) + "\n"


def _section(section: Section, page: Page) -> Iterator[str]:
    yield f"## {_text(section.title)}"
    yield from map(_text, section.lead)
    if section.claims:
        claims = (page.claim(name) for name in section.claims)
        yield "\n".join(f"- *{claim.verdict}*: {_stated(claim)}" for claim in claims)
    for block in section.blocks:
        yield from _block(block, page)


def _block(block: Block, page: Page) -> Iterable[str]:
    if isinstance(block, str):
        return [_text(block)]
    if isinstance(block, Figure):
        return _figure(block, page)
    if isinstance(block, Table):
        return _table(block, page)
    if isinstance(block, Cards):
        return [words for card in block.cards for words in _card(card)]
    if isinstance(block, Terms):
        title = [f"### {_text(block.title)}"] if block.title else []
        return [*title, _grid(_TERMS, [[_text(cell) for cell in row] for row in block.rows])]
    return ["\n".join(f"- `{run}` {_text(message)}" for run, message in block.runs)]


def _figure(figure: Figure, page: Page) -> Iterator[str]:
    title = f"Figure {page.number(figure)}. {_text(figure.title)}"
    if figure.panels:
        yield f"![{title}]({FIGURES}/{figure.key}.png)"
        yield f"*{title}.* {_text(figure.caption)} If there were nothing to see, {_text(figure.nothing)}"
    else:
        yield f"*{title}.* Not drawn: no run of this study has what it shows."


def _table(table: Table, page: Page) -> Iterator[str]:
    claims = [page.claim(row.claim) for group in table.groups for row in group.rows if row.claim]
    if table.claim:
        about = page.claim(table.claim)
        yield f"### {_stated(about)}"
        yield _details([about])
    elif table.title:
        yield f"### {_text(table.title)}"
    if table.caption:
        yield _text(table.caption)
    rows: list[list[str]] = []
    for group in table.groups:
        if group.heading:
            rows.append([f"**{_text(group.heading)}**", *[""] * (len(table.columns) - 1)])
        rows += [_cells(row, page) for row, _ in table.shown(group.rows)]
    yield _grid(table.columns, rows)
    yield from (f"{_text(group.heading)}: {_text(group.note)}" for group in table.groups if group.note)
    if table.numbers is not None:
        yield f"Numbers: [{table.key}.csv]({TABLES}/{table.key}.csv)."
    if claims:
        yield _details(claims)


def _details(claims: Sequence[Claim]) -> str:
    lines = []
    for claim in claims:
        parts = " ".join(f"{_text(term)}: {_text(words)}." for term, words in claim.details)
        lines.append(f"- **{_text(claim.statement)}** (`{claim.id}`) {parts}")
    return "<details><summary>What is measured, and the rule</summary>\n\n" + "\n".join(lines) + "\n\n</details>"


def _cells(row: Row, page: Page) -> list[str]:
    cells = [_cell(cell) for cell in row.cells]
    if row.claim:
        cells[0] = " ".join(words for words in (_stated(page.claim(row.claim)), cells[0]) if words)
    return cells


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return _text(cell)
    return " ".join(_text(words) for words in (cell.words, f"({cell.small})" if cell.small else "") if words)


def _stated(claim: Claim) -> str:
    return _text(claim.statement) + (f" ({_text(claim.remark)})" if claim.remark else "")


def _card(card: Card) -> Iterator[str]:
    yield f"### {_text(card.title)}"
    yield _text(card.lead)
    yield "\n".join(
        f"- *{finding.verdict}*: {_text(finding.sentence)} {_text(finding.numbers)}" for finding in card.findings
    )
    yield from map(_text, card.notes)


def _grid(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> str:
    lines = [
        [_text(column.title if not column.over else f"{column.over}: {column.title}") for column in columns],
        ["---:" if column.kind == "number" else "---" for column in columns],
        *rows,
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _text(words: str) -> str:
    return words.translate(_ESCAPED)
