"""The runs of `landscape`: addition, and runs of its weight decay that have nothing to learn."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.studies.budgets import PAPER_RUNS, not_published, window_of
from spectraledge.studies.paper import CONTROL_STEPS
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.training import RunConfig

TASK = "add"

CONTROLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("permuted_add", {}),
    (TASK, {"train_fraction": 0.1}),
)
"""Task and settings of the runs that set thresholds: answers without a rule, and too few pairs to find it."""


@not_published
def landscape(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs on addition and their controls, alike in all but the answers or the training pairs.

    Curvature over every run; windows of gradients of those that can learn. Budget "small" is 160 steps of small
    networks mod 11.
    """
    runs: list[RunConfig] = []
    measured: dict[str, tuple[str, ...]] = {}
    for seed in seeds:
        controls = [PAPER_RUNS.run(task, seed, budget, steps=CONTROL_STEPS, **own) for task, own in CONTROLS]
        runs += [PAPER_RUNS.run(TASK, seed, budget), *controls]
        measured |= {run.run_id: ("curvature",) for run in controls}
    analysis = AnalysisConfig(
        analyses=("gradients", "curvature"),
        window=window_of(budget),
        nulls=4 if budget == "small" else 10,
        precision="single",
        seed=seeds[0],
    )
    return StudyConfig(
        name="landscape",
        questions="landscape",
        runs=tuple(runs),
        analysis=analysis,
        other_analyses=measured,
        keep="window",
    )
