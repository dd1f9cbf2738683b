"""Claims on other networks and optimizers: what separates windows of updates, generalising or weight decay; and Muon.

Every effect is read at a run as published, beside the run of its seed in which one thing is different.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.design import SQUARES_DECAY, STEPS_MARGIN, TOOL_MARGIN
from spectraledge.claims.effects import Effect, Read, Reading, RunReader
from spectraledge.claims.published import LATER
from spectraledge.claims.training_effects import steps_to_learn
from spectraledge.claims.verdicts import Method, SeedClaim, Side, evaluate
from spectraledge.training import RunConfig

SQUARES: dict[str, Any] = {
    "optimizer": "adam",
    "betas": (0.9, 0.999),
    "learning_rate": 1e-3,
    "weight_decay": SQUARES_DECAY,
    "clip_norm": 0.0,
    "batch_size": 0,
    "loss": "mse",
    "train_fraction": 0.4,
}
"""Training of the second published network (Tian 2025, arXiv 2509.21519; Xu, arXiv 2605.08119)."""

CONTROLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "few-pairs": ("a tenth of the pairs, at the same weight decay", "add", {"train_fraction": 0.1}),
    "permuted": ("permuted answers, at the same weight decay", "permuted_add", {}),
    "no-decay": ("no weight decay", "add", {"weight_decay": 0.0}),
    "relu": ("ReLU in place of x²", "add", {"activation": "relu"}),
}
"""What is different in a run, in words, its task and its settings. The first two cannot generalise: a tenth is below
what published networks of this size need, and permuted answers have no rule."""

OPTIMIZER = "muon"
"""The other optimizer of the transformer."""


def _alike(config: RunConfig, task: str, **changes: Any) -> dict[str, Any]:
    """What says which run of a seed it is, with some of it changed."""
    known = {name: getattr(config, name) for name in ("seed", "optimizer", "weight_decay", "train_fraction")}
    return {**known, "activation": getattr(config.model, "activation", ""), "task": task, **changes}


def _beside(reader: RunReader, task: str, **changes: Any) -> RunResult | None:
    """The run of the same seed that differs in these, if there is one."""
    wanted = _alike(reader.run.config, task, **changes)
    return next((run for run in reader.runs if _alike(run.config, run.config.task) == wanted), None)


def _is_published(config: RunConfig) -> bool:
    """Whether it is the network of squares as published."""
    named = config.task, config.train_fraction, getattr(config.model, "activation", "")
    return named == ("add", SQUARES["train_fraction"], "square") and config.weight_decay == SQUARES_DECAY


def second_gap(run: RunResult) -> float:
    """How far the second eigenvalue of the window stands above the third at the end.

    Definition: λ_2/λ_3 (Xu, arXiv 2605.08119, has it as σ_2/σ_3, and the median over the last 200 of 400 steps), the
    median over the windows in the last half of the steps; windows without a third eigenvalue are left out.

    Returns:
        The ratio; NaN without a spectrum.
    """
    spectrum = run.spectrum
    if spectrum.empty:
        return math.nan
    late = spectrum[spectrum["step"] > run.manifest.step / 2]
    second_T, third_T = (late.loc[late["k"] == k, "eigenvalue"].to_numpy(np.float64) for k in (2, 3))
    there = third_T > 0
    return float(np.median(second_T[there] / third_T[there])) if there.any() else math.nan


def _gap(name: str) -> Read:
    _, task, changes = CONTROLS[name]

    def read(reader: RunReader) -> Reading | None:
        other = _beside(reader, task, **changes) if _is_published(reader.run.config) else None
        if other is None or (name in ("few-pairs", "permuted") and other.grokked):
            return None
        value, beside = second_gap(reader.run), second_gap(other)
        return None if math.isnan(value) or math.isnan(beside) else Reading(value, beside)

    return read


def _with_muon(reader: RunReader) -> RunResult | None:
    config = reader.run.config
    return _beside(reader, config.task, optimizer=OPTIMIZER) if config.optimizer == "adamw" else None


def _k_star(reader: RunReader) -> Reading | None:
    """Mean edge position with Muon and with AdamW, up to a step that both reach."""
    other = _with_muon(reader)
    if other is None or other.edge.empty or reader.run.edge.empty:
        return None
    last = min(reader.run.manifest.step, other.manifest.step)
    return Reading(*(float(run.edge.loc[run.edge["step"] <= last, "k_star"].mean()) for run in (other, reader.run)))


def _sooner(reader: RunReader) -> Reading | None:
    other = _with_muon(reader)
    if other is None or not (other.grokked or reader.run.grokked):
        return None
    return Reading(steps_to_learn(other), steps_to_learn(reader.run))


def _effects() -> Iterator[Effect]:
    gap = "second eigenvalue of the window over the third, median of the last half of the steps, network of squares"
    for name, (words, _, _) in CONTROLS.items():
        yield Effect(f"gap:{name}", gap, "ratio", "ratio", words, _gap(name), TOOL_MARGIN)
    k_star = "mean edge position k* with Muon, up to where the shorter of both runs ends"
    yield Effect("k-star:muon", k_star, "rank", "ratio", "the same with AdamW", _k_star, TOOL_MARGIN)
    steps = "steps to a test accuracy of .95 with Muon"
    yield Effect("steps:muon", steps, "steps", "ratio", "the same with AdamW", _sooner, STEPS_MARGIN)


NETWORK_EFFECTS = {effect.id: effect for effect in _effects()}
"""Every effect of the `networks` study by id."""


def _claim(id_: str, section: str, statement: str, effect: str, side: Side) -> SeedClaim:
    published = LATER.get(effect, "")
    condition = "squares-learned" if section == "squares" else "add-decay"
    method: Method = "published" if published else "sound"
    return SeedClaim(id_, section, method, statement, NETWORK_EFFECTS[effect], condition, side, published=published)


# fmt: off
NETWORK_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("gap-of-generalising-few-pairs", "squares",
           "At one weight decay the second eigenvalue stands out more where the network generalises than where pairs "
           "are too few.", "gap:few-pairs", "above"),
    _claim("gap-of-generalising-permuted", "squares",
           "At one weight decay the second eigenvalue stands out more where the network generalises than on permuted "
           "answers.", "gap:permuted", "above"),
    _claim("gap-with-decay", "squares",
           "The second eigenvalue stands out more with weight decay than without.",
           "gap:no-decay", "above"),
    _claim("gap-of-squares", "squares",
           "The second eigenvalue stands out more with x² than with ReLU.",
           "gap:relu", "above"),
    _claim("muon-nearer-edge", "optimizer",
           "With Muon the edge is nearer than with AdamW.",
           "k-star:muon", "below"),
    _claim("muon-sooner", "optimizer",
           "With Muon addition is learned sooner than with AdamW.", "steps:muon", "below"),
)
"""Every claim, declared before any run is read; sections are those of the report."""
# fmt: on

evaluate_networks = partial(evaluate, NETWORK_CLAIMS, NETWORK_EFFECTS)
"""Evaluates every claim in a study's finished runs; see `evaluate`."""
