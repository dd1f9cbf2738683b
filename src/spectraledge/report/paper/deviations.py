"""Where this study does something else than Xu 2026, and why: said in one place, as data."""

from spectraledge.studies.results import StudyResult
from spectraledge.tasks.task import JOIN

Deviation = tuple[str, str, str]
"""What the paper or its scripts do, what is done here, and why."""

DEVIATIONS: tuple[Deviation, ...] = (
    (
        "Snapshots every 100 steps with weight decay 1, every 500 without.",
        "One snapshot interval for all runs.",
        "The size of an update grows with the interval.",
    ),
    (
        "Responses on the test half of the pairs.",
        "Responses on the whole domain; F also on the test half, where it is compared with published values.",
        "On half of the grid bases are not orthogonal: a pure mode of one variable leaks into another.",
    ),
    (
        "A one-sided finite difference.",
        "The exact derivative along a direction; F also by the difference, where it is compared with published values.",
        "A difference of finite size holds curvature as well.",
    ),
    (
        "F of ‖R‖², read against one over the number of frequencies.",
        "Energy shares of the vector response, and the selection ratio, lead; F stands beside them with random "
        "directions as its null.",
        "Squaring moves frequencies, noise has a larger F, and random directions of a trained network have F of the "
        "same size as the edge.",
    ),
    (
        "The group of products that no pair has is filled with 0.",
        "It is masked.",
        "A filled group flattens the spectrum of raw products and inflates the gain of discrete logarithms.",
    ),
    (
        "R² in sample.",
        "R² on rows and columns, and on answers, that were not fitted; in sample beside it. Each against as many "
        "random features.",
        "592 features fit noise in sample.",
    ),
    (
        "Means over three seeds without intervals; many values are of one seed.",
        "The seed is the unit: means over seeds with intervals by Student’s t, exact for normal values; claims "
        "adjusted for their number by Benjamini and Hochberg.",
        "The bootstrap is too short for few seeds.",
    ),
    (
        "Multitask runs with a zero-free domain are compared with single-task runs on all pairs.",
        "Arms that are compared share the domain a, b in 1 to p − 1, the split and the batches; where a single-task "
        "run stands beside them it is read on that domain.",
        "Another domain is another task.",
    ),
    (
        "Training stops when all tasks generalise.",
        "In arms of the factorial it stops when a² + b² does.",
        "Some partners, permuted answers above all, never generalise.",
    ),
    (
        "Head purity over 32 blocks in the text and over 8 in the scripts.",
        "Both, each with its own null.",
        "The largest of n shares is above 1/n for any direction.",
    ),
)
"""Differences of every such study, the most important first."""

SHORT_CONTROLS: Deviation = (
    "Controls train up to 200,000 steps (weight decay 1) or 50,000 (weight decay 0).",
    "Controls stop after as many steps as runs that generalise take.",
    "Updates shrink over training, so quantities that scale with them compare only at like steps. What a control would "
    "do later is not measured.",
)
"""The difference of studies whose controls have a smaller budget than the author's."""

FEW_JOINT_SEEDS: Deviation = (
    "All conditions have the same three seeds.",
    "Single tasks with weight decay have more seeds than runs without it and runs of several tasks.",
    "The latter cost several times as much. Every number says over how many seeds it is.",
)
"""The difference of studies in which seeds of single and of joint tasks differ in number."""

_PUBLISHED_STEPS = 50_000


def deviations(study: StudyResult) -> tuple[Deviation, ...]:
    """What a study does otherwise than the paper, as its configuration tells."""
    runs = study.config.runs
    single, joint = (len({run.seed for run in runs if (JOIN in run.task) == together}) for together in (False, True))
    short = () if any(run.steps >= _PUBLISHED_STEPS for run in runs) else (SHORT_CONTROLS,)
    return (*short, *DEVIATIONS, *((FEW_JOINT_SEEDS,) if single > joint else ()))
