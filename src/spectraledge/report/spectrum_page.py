"""The page of a spectrum alone: what `analyze` and a tracker leave, from whatever training."""

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from spectraledge.analyses.registry import TABLES
from spectraledge.analyses.score import SCORE, WATCHED
from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.pages.document import Page, Section
from spectraledge.pages.publishing import write_page
from spectraledge.report.curves import spectrum_figure
from spectraledge.report.training_glance import score_glance, spectrum_sentence


def write_spectrum_page(folder: Path, out: Path) -> tuple[Path, str]:
    """Write the page of the tables `spectrum` and `edge` of a folder; a function that a tracker watched comes first.

    Returns:
        Path of the page, and what was found in a sentence.

    Raises:
        InputError: if a table is missing, has other columns, or no window was full.
    """
    tables = {name: read_table(folder / f"{name}.parquet") for name in ("spectrum", "edge")}
    for name, table in tables.items():
        if misfit := TABLES[name].misfit(table.columns):
            raise InputError(f"{folder / name}.parquet {misfit}: write it again with `spectraledge analyze`")
        if table.empty:
            raise InputError(f"no window in {folder} was full: record more snapshots, or take a smaller window")
    found = spectrum_sentence(tables["edge"])
    figure = spectrum_figure(tables["spectrum"], tables["edge"])
    title = "How many directions stand apart in the updates of this training?"
    sections = [Section("spectrum", "The spectrum over time", blocks=(figure,))]
    if (score := _watched(folder)) is not None:
        seen = score_glance(score)
        blocks = tuple(block for block in (seen.figure, seen.table) if block)
        sections = [
            Section("function", "The function that is watched", blocks=blocks),
            Section("spectrum", "The spectrum over time", (found,), (figure,)),
        ]
        title, found, tables[SCORE.name] = "Which functions does this model compute?", seen.found[0], score
    page = Page(
        study=folder.name,
        hash="",
        title=title,
        headline=found,
        sections=tuple(sections),
        version=version("spectraledge"),
        files=tables,
    )
    return write_page(page, out), found


def _watched(folder: Path) -> pd.DataFrame | None:
    """The score of the function that a tracker watched; None where it watched none."""
    path = folder / f"{SCORE.name}.parquet"
    if not path.is_file():
        return None
    score = read_table(path)
    if misfit := SCORE.misfit(score.columns):
        raise InputError(f"{path} {misfit}: save the tracker's results again")
    # Other read-outs and halves are those of a recorded run, which has a page of its own.
    own = score[(score["readout"] == WATCHED) & (score["half"] == "all")]
    return own if len(own) else None
