"""The runs of `networks`: the second published network beside its controls, and the transformer with two optimizers."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.network_claims import CONTROLS, OPTIMIZER, SQUARES
from spectraledge.studies.budgets import PAPER_RUNS, not_published, window_of
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig

TASK = "add"


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
