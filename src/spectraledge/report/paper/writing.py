"""Files of the report of a study of the whole paper."""

from io import BytesIO
from pathlib import Path
from typing import get_args

from matplotlib.figure import Figure
from PIL import Image

from spectraledge.claims.verdicts import Verdicts
from spectraledge.files import write_bytes
from spectraledge.report.figures import encoded
from spectraledge.report.paper.card import card
from spectraledge.report.paper.contents import CLAIMS, CLAIMS_BY_SEED, FIGURES, TABLES, Report, compose
from spectraledge.report.paper.markdown import markdown
from spectraledge.report.paper.methods import seeds_of
from spectraledge.report.paper.page import page
from spectraledge.studies.recipes import RECIPES, first_seeds, recipe
from spectraledge.studies.results import StudyResult
from spectraledge.studies.study_config import Budget

PAGE, TEXT, CARD = "report.html", "report.md", "card.md"

_COLOURS = 256
_DIGITS = "%.6g"


def write_paper_report(study: StudyResult, verdicts: Verdicts, *, out: Path | None = None) -> Path:
    """Write the report of a study of the whole paper.

    Files: `report.html`, which holds everything but PDFs; `report.md`, `card.md`, `claims.csv`, `claims-by-seed.csv`,
    `tables/*.csv` and `figures/*.png` and `*.pdf`.

    Args:
        study: The finished runs; any table may be missing.
        verdicts: What their seeds say of the claims.
        out: Folder to write into. Default: the study's own.

    Returns:
        Path of the page.
    """
    folder = study.folder if out is None else out
    report = compose(study, verdicts)
    images = {drawing.key: _png(drawing.figure) for drawing in report.drawings}
    _write_small(report, study, folder, images)
    for drawing in report.drawings:
        # The page is laid out: the next format need not do so again.
        drawing.figure.set_layout_engine("none")
        write_bytes(folder / FIGURES / f"{drawing.key}.pdf", encoded(drawing.figure, "pdf"))
    path = folder / PAGE
    write_bytes(path, page(report, images).encode())
    return path


def write_results(study: StudyResult, verdicts: Verdicts, out: Path) -> Path:
    """Write the part of the report that is small enough for a repository: no page and no PDFs.

    Args:
        study: The finished runs.
        verdicts: What their seeds say of the claims.
        out: Folder to write into.

    Returns:
        Path of `report.md`.
    """
    report = compose(study, verdicts)
    _write_small(report, study, out, {drawing.key: _png(drawing.figure) for drawing in report.drawings})
    return out / TEXT


def study_command(study: StudyResult) -> str:
    """What makes the study again, as far as its configuration tells."""
    name, seeds = study.config.name, len(seeds_of(study.config.runs))
    known = [
        f" --budget {budget}"
        for budget in get_args(Budget)
        if name in RECIPES and recipe(name, seeds=first_seeds(seeds), budget=budget).hash == study.config.hash
    ]
    return f"spectraledge study run {name} --seeds {seeds}" + "".join(known[:1])


def _write_small(report: Report, study: StudyResult, folder: Path, images: dict[str, bytes]) -> None:
    command = study_command(study)
    write_bytes(folder / TEXT, markdown(report, command=command).encode())
    write_bytes(folder / CARD, card(report, study, command=command).encode())
    tables = {f"{TABLES}/{table.key}": table.numbers for table in report.tables}
    tables |= {CLAIMS: report.verdicts.claims, CLAIMS_BY_SEED: report.verdicts.by_seed}
    for name, table in tables.items():
        write_bytes(folder / f"{name}.csv", table.to_csv(index=False, float_format=_DIGITS).encode())
    for name, image in images.items():
        write_bytes(folder / FIGURES / f"{name}.png", image)


def _png(figure: Figure) -> bytes:
    """A figure as PNG with a palette, a third of the size without a difference that one sees."""
    content = BytesIO()
    with Image.open(BytesIO(encoded(figure, "png"))) as image:
        image.convert("RGB").quantize(_COLOURS).save(content, "png", optimize=True)
    return content.getvalue()
