"""Figure 1: the edge's response as a picture over the inputs, and how much of it is one plane wave."""

from spectraledge.analyses.readings import pictures
from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.design import GROKKING
from spectraledge.pages.document import Figure, Panel
from spectraledge.pages.picture_plot import colour_scale, picture_plot
from spectraledge.report.run_names import function_label
from spectraledge.report.words import percent, step_word
from spectraledge.studies.results import StudyResult

_SIDE = 140


def wave_of_each_task(study: StudyResult) -> Figure | None:
    """Draw the response of v1 over all inputs, for the first run of each task that has pictures; None without them."""
    shown: dict[str, RunResult] = {}
    for run in study.runs:
        drawable = all(map(len, (run.waves, run.characters, run.modes))) and run.config.weight_decay == 1.0
        if drawable and run.config.task in GROKKING:
            shown.setdefault(run.config.task, run)
    if not shown:
        return None
    runs = "; ".join(f"{run.formula}: seed {run.config.seed}, {step_word(run.modes_step)}" for run in shown.values())
    scale = Panel((colour_scale("projected response of v1, in units of its root mean square"),))
    return Figure(
        "figure-1",
        "The response of v1 over all inputs, raw and in its basis (the paper’s Figure 1)",
        "Each cell is an input pair; colour is the response of v1, projected on the residual direction along which its "
        "group means vary most. First: a and b in their own order. Second: both sorted by their position on the "
        "strongest wave of the task’s basis; in its title the wave and the share of the picture’s energy in one 2-D "
        f"character. {runs}.",
        "the second picture would be as speckled as the first.",
        (*(_panel(letter, run) for letter, run in zip("abcd", shown.values(), strict=False)), scale),
        across=2,
        for_paper=True,
    )


def _panel(letter: str, run: RunResult) -> Panel:
    picture = pictures(run)[0]
    titles = ("inputs in order", f"{function_label(picture.subspace, by=' = ')}, {percent(picture.share)}")
    axes = ("", ", by phase")
    charts = tuple(
        picture_plot(values, title=title, across=f"b{by}", up=f"a{by}", words=f"{run.formula}: {title}", side=_SIDE)
        for values, title, by in zip((picture.raw, picture.ordered), titles, axes, strict=True)
    )
    return Panel(charts, f"({letter}) {run.formula}", across=2)
