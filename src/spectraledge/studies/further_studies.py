"""The runs of `causes`, `landscape` and `networks`: one task, and what is changed in learning it."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.cause_claims import CHANGES, OTHER, PERMUTED, changed_text
from spectraledge.claims.network_claims import CONTROLS, OPTIMIZER, SQUARES
from spectraledge.studies.budgets import PAPER_RUNS, not_published, window_of
from spectraledge.studies.paper import CONTROL_STEPS
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import named_task, structure_of
from spectraledge.training import Intervention, RunConfig
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


UNTAUGHT: tuple[tuple[str, dict[str, Any]], ...] = (
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
        controls = [PAPER_RUNS.run(task, seed, budget, steps=CONTROL_STEPS, **own) for task, own in UNTAUGHT]
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


@not_published
def networks(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs of the network of squares, as published and with each of `CONTROLS`; and of two optimizers.

    Spectra of every run; windows of the former are of 20 single steps, as published. Budget "small" is 60 steps of
    small networks mod 11.
    """
    runs: list[RunConfig] = []
    for seed in seeds:
        runs += [_squares(seed, budget), *(_squares(seed, budget, task, **own) for _, task, own in CONTROLS.values())]
        runs += [PAPER_RUNS.run(TASK, seed, budget), PAPER_RUNS.run(TASK, seed, budget, optimizer=OPTIMIZER)]
    analysis = AnalysisConfig(analyses=("spectrum",), window=window_of(budget), surrogates=0, seed=seeds[0])
    return StudyConfig(name="networks", questions="networks", runs=tuple(runs), analysis=analysis, keep="window")


def _squares(seed: int, budget: Budget, task: str = TASK, *, activation: str = "square", **settings: Any) -> RunConfig:
    small = budget == "small"
    network = {"kind": "mlp", "hidden": 32 if small else 2048, "activation": activation, "bias": False}
    steps = {"steps": 60 if small else 400, "every": 2 if small else 1, "stop_accuracy": 2.0}
    made = named_task(task, modulus=PAPER_RUNS.small_modulus if small else 71)
    return RunConfig.for_task(made, network, protocol="paper", seed=seed, **{**SQUARES, **steps, **settings})
