"""The runs of `networks`: the second published network with its controls, and the transformer with Muon."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.network_claims import CONTROLS, OPTIMIZER, SQUARES
from spectraledge.errors import InputError
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig

TASK = "add"


def networks(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs of the network of squares, as published and with each of `CONTROLS`; and of two optimizers.

    Windows of the former are of 20 single steps, as published.

    Args:
        seeds: Root seeds.
        budget: "small" is 60 steps of small networks mod 11.

    Returns:
        The study: spectra of every run.

    Raises:
        InputError: if the published budget is asked for.
    """
    if budget == "published":
        raise InputError("networks has no published budget: take --budget matched")
    runs: list[RunConfig] = []
    for seed in seeds:
        runs += [_squares(seed, budget), *(_squares(seed, budget, task, **own) for _, task, own in CONTROLS.values())]
        runs += [_transformer(seed, budget), _transformer(seed, budget, optimizer=OPTIMIZER)]
    analysis = AnalysisConfig(
        analyses=("spectrum",), window=6 if budget == "small" else 20, surrogates=0, seed=seeds[0]
    )
    return StudyConfig(name="networks", questions="networks", runs=tuple(runs), analysis=analysis, keep="window")


def _squares(seed: int, budget: Budget, task: str = TASK, *, activation: str = "square", **settings: Any) -> RunConfig:
    small = budget == "small"
    network = {"kind": "mlp", "hidden": 32 if small else 2048, "activation": activation, "bias": False}
    steps = {"steps": 60 if small else 400, "every": 2 if small else 1, "stop_accuracy": 2.0}
    made = named_task(task, modulus=11 if small else 71)
    return RunConfig.for_task(made, network, protocol="paper", seed=seed, **{**SQUARES, **steps, **settings})


def _transformer(seed: int, budget: Budget, **settings: Any) -> RunConfig:
    if budget == "small":
        sizes = {"width": 16, "heads": 2, "hidden": 32}
        small = {"steps": 160, "every": 20, "batch_size": 64}
        return RunConfig.for_task(named_task(TASK, modulus=11), sizes, protocol="paper", seed=seed, **small, **settings)
    return RunConfig.for_task(
        named_task(TASK), protocol="paper", seed=seed, steps=20_000, engine="compiled", **settings
    )
