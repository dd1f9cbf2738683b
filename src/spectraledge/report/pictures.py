"""The wave itself: the response of an edge direction as a picture over the inputs, raw and re-ordered."""

from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from spectraledge.report.charts import FigureSpec, Float
from spectraledge.report.data import Picture, pictures, titles
from spectraledge.report.figures import framed
from spectraledge.report.style import DIVERGING, INK
from spectraledge.report.words import modes_window, percent, step_word
from spectraledge.studies.results import StudyResult

_LIMIT = 2.0
_ROW_INCHES = 3.35
_SCALE_INCHES = 0.75


def picture_title(picture: Picture) -> str:
    """Basis, frequency and the share of one character, on one line."""
    return (
        f"v{picture.direction}: basis {picture.basis}, ω = {picture.frequency}, "
        f"{percent(picture.share)} in one 2-D character {picture.character}"
    )


def picture_null(picture: Picture) -> str:
    """What random directions give in place of the character's share."""
    if picture.random is None:
        return "No random directions were measured."
    return (
        f"Random directions: median {percent(picture.random.median)}, 95% of them below {percent(picture.random.high)}."
    )


def draw_picture(picture: Picture) -> Figure:
    """Draw one direction, raw and re-ordered, for the page."""
    figure = Figure(figsize=(5.4, 3.6), layout="compressed")
    axes = figure.subplots(1, 2, squeeze=False)[0]
    image = _draw_pair(axes, picture, text=10)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=36, extend="both")
    bar.ax.tick_params(labelsize=9)
    return figure


def wave_figure(study: StudyResult) -> FigureSpec:
    """Words of the figure; its panels are pictures, not charts."""
    return FigureSpec(
        key="waves",
        title="The response of v1 and v2 as a picture over the inputs",
        caption=(
            f"Each cell is one input pair; colour is the response, projected on the residual direction along which its "
            f"group means vary most, in units of its root mean square (colours end at ±{_LIMIT:g}). Left: a upwards "
            f"and b to the right, in their own order. Right: rows and columns sorted by their position on the wave, "
            f"ω times the basis's coordinate; a pair outside the basis is left out. A single plane wave becomes one "
            f"broad stripe. Exact derivative (jvp), {modes_window(study)}, at the step in each title."
        ),
        nothing=(
            "the re-ordered pictures would be as speckled as the others, and one character would hold no more than it "
            "does for random directions."
        ),
        entries=(),
        panels=(),
    )


def draw_all_pictures(study: StudyResult) -> Figure:
    """Draw the pictures of every run, one row per run, for files."""
    named = titles(study)
    figure, bands = framed(wave_figure(study), [*(_ROW_INCHES for _ in study.runs), _SCALE_INCHES])
    for band, run in zip(bands, study.runs, strict=False):
        band.suptitle(f"{named[run.run_id]}, {step_word(run.modes_step)}", fontsize=10, fontweight="bold", color=INK)
        drawn = pictures(run)
        cells = band.subfigures(1, len(drawn), squeeze=False).ravel()
        for cell, picture in zip(cells, drawn, strict=True):
            cell.suptitle(f"{picture_title(picture)}\n{picture_null(picture)}", fontsize=8, color=INK)
            image = _draw_pair(cell.subplots(1, 2, squeeze=False)[0], picture, text=8)
    scale = bands[-1].add_axes((0.25, 0.7, 0.5, 0.14))
    bar = figure.colorbar(image, cax=scale, orientation="horizontal", extend="both")
    bar.set_label("projected response, in units of its root mean square", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def _draw_pair(axes: Iterable[Axes], picture: Picture, *, text: int) -> AxesImage:
    raw, ordered = axes
    _draw_picture(raw, picture.raw, ("inputs in order", "b", "a"), text=text)
    words = ("re-ordered", "b, by position on the wave", "a, by position on the wave")
    return _draw_picture(ordered, picture.ordered, words, text=text)


def _draw_picture(ax: Axes, values: Float, words: tuple[str, str, str], *, text: int) -> AxesImage:
    title, across, up = words
    # Rasterised cells of equal size: neither smoothed nor stretched.
    image = ax.imshow(values, cmap=DIVERGING, vmin=-_LIMIT, vmax=_LIMIT, origin="lower", interpolation="nearest")
    ax.set_title(title, fontsize=text)
    ax.set_xlabel(across, fontsize=text)
    ax.set_ylabel(up, fontsize=text)
    ax.set_xticks([])
    ax.set_yticks([])
    return image
