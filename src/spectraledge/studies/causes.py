"""The runs of `causes`: one task, and everything that is changed in learning it."""

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.cause_claims import CHANGES, OTHER, PERMUTED, changed_text
from spectraledge.interventions import Intervention
from spectraledge.studies.budgets import PAPER_RUNS, not_published, window_of
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import structure_of
from spectraledge.training import RunConfig
from spectraledge.training.config import Fork

TASK = "add"

FORK_STEP, FORK_STEPS = {"small": 100, "matched": 2_000}, {"small": 40, "matched": 500}
"""Where branches part: on the plateau, where at seed 42 the function speaks and test accuracy does not yet; and for how
many steps (our choices)."""

OTHER_BATCHES = 2
"""Branches with other batches (our choice)."""


@not_published
def causes(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs on addition with each of `CHANGES` and with none, and branches of the latter.

    Of each seed a run in which nothing is changed, analysed by `ablation` and `centroids`; one for each of `CHANGES`;
    and from step `FORK_STEP` of the first, branches on its own answers, on permuted ones, on another task and with
    other batches, analysed by `branches`. Budget "small" is 160 steps of small networks mod 11.
    """
    runs: list[RunConfig] = []
    measured: dict[str, tuple[str, ...]] = {}
    for seed in seeds:
        plain = PAPER_RUNS.run(TASK, seed, budget)
        changes = [Intervention.of(changed_text(name, seed)) for name in CHANGES]
        changed = [PAPER_RUNS.run(TASK, seed, budget, interventions=[change]) for change in changes]
        branches = [
            *(_branch(plain, task, budget) for task in (TASK, PERMUTED, OTHER)),
            *(_branch(plain, TASK, budget, batch_seed=1 + number) for number in range(OTHER_BATCHES)),
        ]
        runs += [plain, *changed, *branches]
        measured |= {run.run_id: () for run in changed} | {run.run_id: ("branches",) for run in branches}
    own = structure_of(TASK), structure_of(OTHER)
    analysis = AnalysisConfig(
        analyses=("ablation", "centroids"), window=window_of(budget), nulls=20, seed=seeds[0], bases=own
    )
    return StudyConfig(name="causes", questions="causes", runs=tuple(runs), analysis=analysis, other_analyses=measured)


def _branch(plain: RunConfig, name: str, budget: Budget, *, batch_seed: int | None = None) -> RunConfig:
    task, step = PAPER_RUNS.task(name, budget), FORK_STEP[budget]
    changes = {
        "task": task.name,
        "task_digest": task.digest,
        "steps": step + FORK_STEPS[budget],
        "stop_accuracy": 2.0,
        "fork": Fork(run=plain.hash, step=step, batch_seed=batch_seed),
    }
    return RunConfig.model_validate({**plain.model_dump(), **changes})
