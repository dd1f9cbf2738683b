"""The page of a spectrum alone: what `analyze` and a tracker leave, from whatever training."""

from importlib.metadata import version
from pathlib import Path

import pandas as pd

from spectraledge.analyses.registry import TABLES
from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.report.curves import spectrum_charts, spectrum_marks
from spectraledge.report.document import Figure, Page, Panel, Section
from spectraledge.report.publishing import write_page
from spectraledge.report.words import counted, step_word


def write_spectrum_page(folder: Path, out: Path) -> tuple[Path, str]:
    """Write the page of the tables `spectrum` and `edge` of a folder, and its picture beside it.

    Args:
        folder: What `spectraledge analyze` or `SpectralEdgeTracker.save` wrote.
        out: Where to write.

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
    page = Page(
        study=folder.name,
        hash="",
        title="How many directions stand apart in the updates of this training?",
        headline=found,
        sections=(Section("spectrum", "The spectrum over time", blocks=(figure,)),),
        version=version("spectraledge"),
        files=tables,
    )
    return write_page(page, out), found


def spectrum_figure(spectrum: pd.DataFrame, edge: pd.DataFrame) -> Figure:
    """Draw the spectrum of every window of one training.

    Args:
        spectrum: See `EIGENVALUES`.
        edge: See `EDGE`.

    Returns:
        The figure.
    """
    return Figure(
        key="eigenvalues",
        title="Eigenvalues of the window of updates, and the edge position k*",
        caption=(
            "Eigenvalues of the Gram matrix of each window of updates, plotted at the window's last step. Below: k*, "
            "where a large singular value is followed by a large drop, and, where a noise floor was measured, how many "
            "eigenvalues stand above it. Unit: squared units of the weights."
        ),
        nothing=(
            "all eigenvalues would fall and rise together, and none would stand above its noise floor. k* alone is no "
            "evidence: updates without any structure have some largest drop, too."
        ),
        panels=(Panel(spectrum_charts(spectrum, edge)),),
        entries=spectrum_marks(edge),
    )


def spectrum_sentence(edge: pd.DataFrame) -> str:
    """Say how many directions stand apart.

    Args:
        edge: See `EDGE`; at least one row.

    Returns:
        A sentence.
    """
    last = edge.iloc[-1]
    windows = f"{counted(len(edge), 'window')} up to {step_word(int(last['step']))}"
    if "above_floor" in edge and edge["above_floor"].notna().any():
        above = edge["above_floor"]
        return (
            f"In {windows}, between {int(above.min())} and {int(above.max())} eigenvalues stand above their noise "
            f"floor, {int(above.iloc[-1])} in the last."
        )
    k_star = "none" if pd.isna(last["k_star"]) else int(last["k_star"])
    return (
        f"In {windows}, the edge is at k* = {k_star} in the last and at {edge['k_star'].median():g} in the median; how "
        "many eigenvalues stand above noise was not measured: surrogates tell (`spectraledge analyze --surrogates 39`)."
    )
