"""Claims on causes: what training needs, what a network loses, and what its answers alone make the difference to.

Every effect is read at the run in which nothing is changed, beside those of its seed in which one thing is.
"""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from spectraledge.analyses.centroids import SIZES
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.run_result import RunResult
from spectraledge.arrays import Float
from spectraledge.claims.design import STEPS_MARGIN, TOOL_MARGIN
from spectraledge.claims.effects import OWN, Effect, Read, Reading, RunReader
from spectraledge.claims.published import LATER
from spectraledge.claims.training_effects import steps_to_learn
from spectraledge.claims.verdicts import SeedClaim, Side, evaluate
from spectraledge.interventions import Intervention
from spectraledge.tasks import structure_of

CHANGES = {
    "remove-gradient": "remove:gradient:3",
    "keep-gradient": "keep:gradient:3",
    "remove-random": "remove:random:3,on=gradient",
    "keep-random": "keep:random:3,on=gradient",
    "remove-edge": "remove:edge:3",
    "remove-span": "remove:span:3",
    "freeze": "remove:all",
}
"""What is done to every step of a run, but for the seed of what is random, which is the run's own; rank 3, as in the
author's later interventions (arXiv 2604.25143); and, ours, nothing left of any update."""

OTHER = "sub"
"""The other task that branches are given (our choice: its functions are at right angles to those of addition)."""

PERMUTED = "permuted_add"
"""The same answers dealt out to other pairs."""

CONDITION = "add-decay"
"""The runs that are read: addition with weight decay; effects on what is learned have those alone that learn it."""


def changed_text(name: str, seed: int) -> str:
    """Return an intervention of `CHANGES` in a run, with the run's seed where directions are at random."""
    text = CHANGES[name]
    return f"{text},seed={seed}" if "random" in text or "span" in text else text


def _unchanged(run: RunResult) -> bool:
    return not run.config.interventions and run.config.fork is None


def _changed(reader: RunReader, name: str) -> RunResult | None:
    """The run of the same seed with an intervention, if there is one."""
    own = reader.run.config
    wanted = (Intervention.of(changed_text(name, own.seed)),)
    for run in reader.runs:
        one = run.config
        if (one.interventions, one.seed, one.task, one.fork) == (wanted, own.seed, own.task, None):
            return run
    return None


def _branches(reader: RunReader, task: str, *, other_batches: bool = False) -> list[RunResult]:
    """The branches of a run that answer a task, with its own batches or with others."""
    found = []
    for run in reader.runs:
        fork = run.config.fork
        if fork and fork.run == reader.run.config.hash and run.config.task == task:
            found += [run] if (fork.batch_seed is not None) == other_batches else []
    return found


def _slower(name: str, beside: str = "") -> Read:
    def read(reader: RunReader) -> Reading | None:
        if not _unchanged(reader.run):
            return None
        changed, other = _changed(reader, name), _changed(reader, beside) if beside else reader.run
        if not changed or not other or not (changed.grokked or other.grokked):
            return None
        return Reading(steps_to_learn(changed), steps_to_learn(other))

    return read


def _moved(runs: list[RunResult], basis: str) -> float:
    """Mean over branches of what their net moves prefer a basis by, at their ends."""
    found = []
    for run in runs:
        table = run.table("branches")
        if len(table):
            last = table[(table["step"] == table["step"].max()) & (table["readout"] == FUNCTION)]
            found += last.loc[last["basis"] == basis, "ratio"].tolist()
    return float(np.mean(found)) if found else math.nan


def _prefers(task: str, basis: str, null: str, *, other_batches: bool = False) -> Read:
    """Ratio of what branches on a task prefer a basis by; "" stands for the run's own."""

    def read(reader: RunReader) -> Reading | None:
        if not _unchanged(reader.run):
            return None
        own = reader.run.config.task
        where = reader.run.structure if basis == OWN else basis
        value = _moved(_branches(reader, task or own), where)
        beside = _moved(_branches(reader, null or own, other_batches=other_batches), where)
        return None if math.isnan(value) or math.isnan(beside) else Reading(value, beside)

    return read


def _loses(null: str) -> Read:
    """Test loss without the edge's move, beside its mean without as much along other directions."""

    def read(reader: RunReader) -> Reading | None:
        learned = _unchanged(reader.run) and reader.run.grokked
        if not learned or not reader.has("ablation", kind="edge"):
            return None
        edge = reader.mean("ablation", "test_loss", kind="edge", amount="equal")
        nulls = reader.values("ablation", "test_loss", kind=null, amount="equal")
        return Reading(edge, float(nulls.mean()), null_high=float(np.quantile(nulls, 0.95)))

    return read


def _centroids(kind: str, null: str, *, alone: bool = False) -> Read:
    """How far directions of one kind move centroids, beside those of another; alone: the last gradient of each."""

    def read(reader: RunReader) -> Reading | None:
        learned = _unchanged(reader.run) and reader.run.grokked
        windows = reader.values("centroids", "window") if learned else np.zeros(0)
        if not len(windows):
            return None

        def moved(of: str) -> Float:
            one = alone and of in ("gradient", "permuted")
            window = windows.min() if one else windows.max()
            return reader.values("centroids", "moved", form="answer", size=SIZES[0], kind=of, window=window)

        beside = moved(null)
        return Reading(float(moved(kind).mean()), float(beside.mean()), null_high=float(np.quantile(beside, 0.95)))

    return read


def _effects() -> Iterator[Effect]:
    for name, text in CHANGES.items():
        words = f"steps to a test accuracy of .95 with {text} at every step"
        yield Effect(f"steps:{name}", words, "steps", "ratio", "the run without", _slower(name), STEPS_MARGIN)
    for name, null in (("keep-gradient", "keep-random"), ("keep-random", "freeze"), ("remove-edge", "remove-span")):
        words = f"steps to a test accuracy of .95 with {CHANGES[name]}"
        beside = f"the same with {CHANGES[null]}"
        yield Effect(f"steps:{name}:{null}", words, "steps", "ratio", beside, _slower(name, null), STEPS_MARGIN)
    own = "share of a branch's net move in the task's own functions over that of directions at random"
    other = f"the same of functions of {OTHER}, in the branch that learns it"
    compared = (
        ("own:permuted", own, "the branch on permuted answers", _prefers("", OWN, PERMUTED)),
        ("own:other", own, f"the branch on {OTHER}", _prefers("", OWN, OTHER)),
        ("own:batches", own, "branches with other batches", _prefers("", OWN, "", other_batches=True)),
        ("other:own", other, "the unchanged branch", _prefers(OTHER, structure_of(OTHER), "")),
    )
    for name, words, beside, read in compared:
        yield Effect(f"move:{name}", words, "ratio", "ratio", beside, read, TOOL_MARGIN)
    loss = "test loss of the trained network without what its run moved along the edge"
    for null, words in (("span", "in the window's span"), ("random", "anywhere")):
        beside = f"without as much along directions at random {words}"
        yield Effect(f"loss:edge:{null}", loss, "ratio", "ratio", beside, _loses(null), TOOL_MARGIN)

    probed, permuted = "squared move of centroids along ", "gradients for permuted answers"
    norms = "directions at random with its norms in every tensor"
    for name, words, beside, read in (
        ("update:block", "the edge of updates", norms, _centroids("update", "block")),
        ("gradient:random", "the last gradient", "isotropic directions", _centroids("gradient", "random", alone=True)),
        ("gradient:permuted", "the last gradient", permuted, _centroids("gradient", "permuted", alone=True)),
        ("edge:permuted", "the edge of gradients", f"that of {permuted}", _centroids("gradient", "permuted")),
    ):
        yield Effect(f"centroid:{name}", probed + words, "ratio", "ratio", beside, read, TOOL_MARGIN)


CAUSE_EFFECTS = {effect.id: effect for effect in _effects()}
"""Every effect of the `causes` study by id."""


def _claim(id_: str, section: str, statement: str, effect: str, side: Side) -> SeedClaim:
    measured, published = CAUSE_EFFECTS[effect], LATER.get(effect, "")
    return SeedClaim(id_, section, "sound", statement, measured, CONDITION, side, published=published)


# fmt: off
CAUSE_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("gradient-window-not-needed", "interventions",
           "Learning takes as long without the three leading directions of the gradients' window.",
           "steps:remove-gradient", "equal"),
    _claim("gradient-window-is-enough", "interventions",
           "Learning is faster with nothing but these three directions.",
           "steps:keep-gradient", "below"),
    _claim("any-three-are-enough", "interventions",
           "Learning is faster with nothing but three directions at random.",
           "steps:keep-random", "below"),
    _claim("random-not-needed", "interventions",
           "Learning takes as long without three directions at random.",
           "steps:remove-random", "equal"),
    _claim("rank-matters-alone", "interventions",
           "Which three directions are kept makes no difference: the gradients' leading ones or any.",
           "steps:keep-gradient:keep-random", "equal"),
    _claim("none-is-needed", "interventions",
           "Learning is faster with attention left at its first weights.",
           "steps:freeze", "below"),
    _claim("three-as-none", "interventions",
           "Keeping three directions at random makes no other difference than keeping none.",
           "steps:keep-random:freeze", "equal"),
    _claim("edge-not-needed", "interventions",
           "Learning takes as long without the current edge of the updates.",
           "steps:remove-edge", "equal"),
    _claim("edge-as-the-span", "interventions",
           "Taking out the edge makes no other difference than directions at random in the window's span.",
           "steps:remove-edge:remove-span", "equal"),
    _claim("answers-move-own-functions", "forks",
           "From one network, right answers move the task's own functions more than permuted ones do.",
           "move:own:permuted", "above"),
    _claim("own-answers-move-own-functions", "forks",
           "From one network, its own answers move the task's own functions more than those of another task do.",
           "move:own:other", "above"),
    _claim("other-answers-move-other-functions", "forks",
           "From one network, another task's answers move that task's functions more than the old answers do.",
           "move:other:own", "above"),
    _claim("batches-do-not-matter", "forks",
           "Other batches alone make no difference to that.",
           "move:own:batches", "equal"),
    _claim("edge-carried-more-than-the-span", "ablation",
           "A trained network loses more without its move along the edge than along directions of the window's span.",
           "loss:edge:span", "above"),
    _claim("edge-carried-more-than-random", "ablation",
           "A trained network loses more without its move along the edge than along directions at random.",
           "loss:edge:random", "above"),
    _claim("edge-moves-centroids", "gradients",
           "The edge of updates moves centroids more than directions of the same norms in every tensor do.",
           "centroid:update:block", "above"),
    _claim("gradient-moves-centroids", "gradients",
           "The gradient moves centroids more than isotropic directions do.",
           "centroid:gradient:random", "above"),
    _claim("answers-move-centroids", "gradients",
           "It moves them more than gradients for permuted answers do.",
           "centroid:gradient:permuted", "above"),
    _claim("answers-move-centroids-over-a-window", "gradients",
           "So does the edge of a window of gradients.",
           "centroid:edge:permuted", "above"),
)
"""Every claim; sections are those of the report. Declared before any run was read, but for those on frozen attention,
which came after three seeds of the others, and those on gradients, which came after one run."""
# fmt: on

evaluate_causes = partial(evaluate, CAUSE_CLAIMS, CAUSE_EFFECTS)
"""Evaluates every claim in a study's finished runs; see `evaluate`."""
