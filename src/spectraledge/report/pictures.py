"""The wave itself: the response of an edge direction as a picture over the inputs, raw and re-ordered."""

from spectraledge.analyses.readings import Picture, pictures
from spectraledge.analyses.run_result import RunResult
from spectraledge.pages.document import Figure, Panel
from spectraledge.pages.picture_plot import LIMIT, colour_scale, picture_plot
from spectraledge.report.run_names import function_label, titles
from spectraledge.report.words import modes_window, percent, step_word
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import basis_formula


def wave_figure(study: StudyResult) -> Figure:
    """The response of every direction that was recorded, one panel each."""
    named = titles(study)
    panels = [_panel(named[run.run_id], run, picture) for run in study.runs for picture in pictures(run)]
    if panels:
        panels.append(Panel((colour_scale("projected response, in units of its root mean square"),)))
    return Figure(
        key="waves",
        title="The response of v1 and v2 as a picture over the inputs",
        caption=(
            f"Each cell is one input pair; colour is the response, projected on the residual direction along which its "
            f"group means vary most, in units of its root mean square (colours end at ±{LIMIT:g}). Left: a upwards "
            f"and b to the right, in their own order. Right: rows and columns sorted by their position on the wave, "
            f"ω times the basis's coordinate; a pair outside the basis is left out. A single plane wave becomes one "
            f"broad stripe. Elements of a group are sorted by nested cosets instead, and residues that are multiplied "
            f"on a modulus that is not prime by divisor, in the order that is said below each picture: functions of "
            f"cosets, or of the divisor, become solid blocks. "
            f"Exact derivative (jvp), {modes_window(study)}, at the step in each title."
        ),
        nothing=(
            "the re-ordered pictures would be as speckled as the others, and one character would hold no more than it "
            "does for random directions."
        ),
        panels=tuple(panels),
        across=2,
    )


def _panel(title: str, run: RunResult, picture: Picture) -> Panel:
    raw = picture_plot(
        picture.raw, title="inputs in order", across="b", up="a", words=f"Response of v{picture.direction} over a and b"
    )
    by = "in the order below" if picture.orders else "by position on the wave"
    ordered = picture_plot(
        picture.ordered,
        title="re-ordered",
        across=f"b, {by}",
        up=f"a, {by}",
        words=f"The response of v{picture.direction}, re-ordered. {_found(picture)}",
    )
    orders = [ordered_words(picture.orders)] if picture.orders else []
    title = f"{title}, {step_word(run.modes_step)}: v{picture.direction}"
    return Panel((raw, ordered), title, across=2, note=" ".join([f"{_found(picture)}.", _null(picture), *orders]))


def _found(picture: Picture) -> str:
    held = "in that subspace" if picture.orders else f"in one 2-D character {picture.character}"
    functions = function_label(picture.subspace, by=" = ")
    return f"Basis {basis_formula(picture.basis)}, {functions}: {percent(picture.share)} {held}"


def ordered_words(orders: tuple[str, ...]) -> str:
    """Say how rows and columns of a picture are ordered that has no wave."""
    a, b = orders
    return (
        f"Order: a by {a}; b by {b}. In brackets: share of what varies along that axis that is constant on these "
        "cosets, or for each of these divisors, corrected for chance."
    )


def _null(picture: Picture) -> str:
    if picture.random is None:
        return "No random directions were measured."
    return (
        f"Random directions: median {percent(picture.random.median)}, 95% of them below {percent(picture.random.high)}."
    )
