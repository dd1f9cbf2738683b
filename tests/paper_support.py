"""A `paper` study made of numbers: in one world every claim holds by a wide margin, in the other none does."""

from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.studies.results import StudyResult
from spectraledge.studies.study_config import StudyConfig
from spectraledge.tasks import OPERATIONS, any_task, part_names
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest

GROKKING = ("add", "sub", "mul", "square_sum")
OTHERS = ("quadratic", "cubic")
KINDS = {"edge": 3, "bulk": 5, "span": 6, "random": 8}
GROKKED_STEP = 2_600
TRI = "add+mul+square_sum"
ARMS = (
    "square_sum+",
    "add+square_sum",
    "mul+square_sum",
    "maximum+square_sum",
    "permuted_add+square_sum",
    "add+mul",
    "permuted_add+permuted_mul",
    TRI,
)


class World:
    """Numbers with one percent of noise; `holds` is whether the claims are true."""

    def __init__(self, *, holds, seed):
        self.holds, self.rng = holds, np.random.default_rng([seed, holds])

    def near(self, value):
        return float(value * (1 + 0.01 * self.rng.normal()) + 1e-4 * self.rng.normal())

    def either(self, true, false):
        return self.near(true if self.holds else false)

    def directions(self, of_kind, **columns):
        """One row per direction; `of_kind` gives the columns of a kind that vary."""
        rows = [
            {"kind": kind, "direction": number + 1, **columns, **of_kind(kind)}
            for kind, count in KINDS.items()
            for number in range(count)
        ]
        return pd.DataFrame(rows)


def a_run(task, seed, *, weight_decay=1.0, grokked_step=None, start="", after="", tables=None, steps=3_600):
    config = RunConfig.for_task(any_task(task), seed=seed, weight_decay=weight_decay, steps=steps, start=start)
    manifest = Manifest(
        config=config.model_dump(mode="json"),
        config_hash=config.hash,
        status="done",
        stopped="accuracy" if grokked_step else "budget",
        step=steps,
        grokked_step=grokked_step,
        test_accuracy=0.98 if grokked_step else 0.02,
        wall_seconds=60.0,
        seeds={"weights": seed},
        environment={},
    )
    structure = OPERATIONS[part_names(task)[-1]].structure
    return RunResult(config, manifest, pd.DataFrame(), structure, task, 131_072, tables or {}, after)


def single(world, task, seed, weight_decay):
    """A run of a single task; only those of `GROKKING` with weight decay generalise, late where claims do not hold."""
    groks = task in GROKKING and weight_decay > 0
    step = None if not groks else GROKKED_STEP if world.holds else 5_100
    tables = {
        "modes": modes(world, task, groks),
        "selection": selection(world, task, groks),
        "declines": declines(world, groks),
        "decomposition_agreement": agreement(world, groks),
        "probes": probes(world, task),
        "purity": pd.concat(
            [
                world.directions(lambda kind: {"purity": like_random(world, kind, 0.14)}, grain=grain)
                for grain in ("head", "head_matrix")
            ]
        ),
        "ranks": pd.concat(
            [
                world.directions(
                    lambda kind: {"effective_rank": like_random(world, kind, 40), "peakedness": world.near(20)},
                    centered=centered,
                )
                for centered in (True, False)
            ]
        ),
        "autoencoder": world.directions(lambda kind: {"jaccard": like_random(world, kind, 0.4)}),
        "characters": world.directions(lambda kind: {"character_share": like_random(world, kind, 0.1)}),
    }
    if task == "square_sum":
        tables |= reuse(world, more=False)
        tables["reuse"] = pd.concat(
            [
                tables["reuse"],
                *(
                    world.directions(
                        lambda kind: {"concentration": like_random(world, kind, 0.1), "energy_share": world.near(0.1)},
                        readout="residual",
                        basis=basis,
                    )
                    for basis in ("output", "gaussian_angle")
                ),
            ]
        )
    return a_run(
        task, seed, weight_decay=weight_decay, grokked_step=step, tables=tables, steps=6_000 if groks else 3_600
    )


def like_random(world, kind, value):
    return world.either(value, 2 * value) if kind == "edge" else world.near(value)


def modes(world, task, groks):
    own = OPERATIONS[task].structure

    def share(kind, basis):
        if not groks:
            return world.either(0.0, 0.3)
        if task == "add" and basis == "dlog_sum":
            return world.either(0.0, 0.1)
        if basis != own:
            return world.near(0.0)
        return world.either(0.3, 0.1) if kind == "edge" else world.near(0.1)

    def concentration(kind, basis):
        if basis == "product":
            return world.either(0.08, 0.2)
        if task == "add" and basis == "dlog_sum":
            return world.either(0.1, 0.2)
        if kind == "edge":
            # Subtraction's published claim is that there is no difference.
            return world.either(0.4, 0.2) if task != "sub" else world.either(0.2, 0.4)
        return world.near(0.2)

    def frequency(kind, number):
        return 26 if kind == "edge" and world.holds else number if kind == "edge" else int(world.rng.integers(1, 6))

    numbers = iter(range(10_000))
    return pd.concat(
        [
            world.directions(
                lambda kind, basis=basis: {
                    "energy_share": share(kind, basis),
                    "concentration": concentration(kind, basis),
                    "frequency": frequency(kind, next(numbers)),
                },
                basis=basis,
                method=method,
            )
            for basis in ("sum", "difference", "product", "dlog_sum", "output")
            for method in ("jvp", "difference")
        ]
    )


def selection(world, task, groks):
    ratio = world.either(1.5, 1.0) if groks else world.either(1.0, 1.5)
    own = {"basis": OPERATIONS[task].structure, "subspace": "frequency", "ratio": ratio}
    return pd.DataFrame([own, {**own, "subspace": "rest", "ratio": 9.0}, {**own, "basis": "pairs", "ratio": 9.0}])


def declines(world, groks):
    """Numbers at the step that is read; at all others those of the other group of runs."""
    at = GROKKED_STEP if world.holds else 5_100

    def value(size, small, step):
        larger = groks == world.holds
        return world.near(size if larger == (step == at) else small)

    floors = {"definition": "value", "window": 20, "centered": True}
    published = {"definition": "since_peak", "window": 10, "centered": False}
    return pd.DataFrame(
        [
            {"quantity": quantity, **kind, "step": step, "value": value(size, small, step), "null": 1.0}
            for quantity, kind, size, small in (
                ("floor_ratio", floors, 1.6, 1.0),
                ("g23_share", published, 4.0, 1.0),
                ("g23", published, 40.0, 2.0),
                ("g23", {"definition": "since_first", "window": 20, "centered": False}, 30.0, 2.0),
            )
            for step in (1_000, at, at + 300)
        ]
    )


def agreement(world, groks):
    spread = world.either(200, 1_500) if groks else world.near(1_500)
    changes = {name: world.near(2_000) for name in ("updates", "displacement", "weights")}
    nulls = {f"{name}_null": world.near(2_000) for name in ("updates", "displacement")}
    grokked = {"grokked_step": float(GROKKED_STEP) if groks else np.nan}
    own = {"window": 20, "spread": spread, "null_spread": world.near(1_500), **changes, **nulls, **grokked}
    return pd.DataFrame([own, {**own, "window": 10, "spread": 9_000.0}])


def probes(world, task):
    gains = {"add": {"additive"}, "mul": {"multiplicative"}, "square_sum": {"cross"}}.get(task, set())
    rows = []
    for kind in ("edge", "random"):
        for features in ("additive", "multiplicative", "both", "cross"):
            for random in (False, True):
                for held_out in ("rows", "none"):
                    found = kind == "edge" and features in gains and not random
                    r2 = world.either(0.3, 0.05) if found else world.near(0.05)
                    rows.append((kind, features, random, held_out, r2))
    return pd.DataFrame(rows, columns=["kind", "features", "random", "held_out", "r2"])


def reuse(world, *, more):
    """Tables of `reuse`; `more` is whether the run is one that should use what simple tasks have."""

    def used(value, plain):
        return world.either(value, plain) if more else world.near(plain)

    def of(kind, value, plain):
        return used(value, plain) if kind == "edge" else world.near(plain)

    names = ("additive", "multiplicative", "both", "synergy", "interaction")
    probe = {name: used(0.3, 0.02) for name in names} | {f"random_{name}": world.near(0.01) for name in names}
    return {
        "reuse": pd.concat(
            [
                world.directions(
                    lambda kind: {"concentration": of(kind, 0.3, 0.1), "energy_share": of(kind, 0.3, 0.05)},
                    readout=readout,
                    basis="sum",
                )
                for readout in ("residual", "square_sum")
            ]
        ),
        "reuse_selection": pd.DataFrame(
            [{"readout": "square_sum", "basis": basis, "ratio": used(1.6, 1.0)} for basis in ("sum", "dlog_sum")]
        ),
        "reuse_probes": pd.DataFrame(
            [
                {"kind": kind, "direction": direction, "held_out": held_out, **probe}
                for kind in ("edge", "random")
                for direction in (1, 2)
                for held_out in ("none", "rows")
            ]
        ),
        "inclusion": pd.DataFrame(
            [
                {
                    "target": "square_sum",
                    "others": "add+mul",
                    "kind": kind,
                    "inclusion": of(kind, 0.6, 0.1),
                    "chance": 0.01,
                }
                for kind in ("edge", "random", "random")
            ]
        ),
    }


def functions(world):
    """Subspaces on 40 inputs; those of different runs have chance overlap."""
    names = [f"{part} {place}" for part in ("add", "mul", "square_sum") for place in (1, 2)]
    return pd.DataFrame(world.rng.normal(size=(40, len(names))), columns=names).assign(a=1, b=1)


def sharedness(world):
    return world.directions(lambda kind: {"sharedness": world.either(0.9, 0.5) if kind == "edge" else world.near(0.5)})


def joint(world, seed):
    """All joint runs of a seed; with `add` or `mul` beside or before it, a² + b² is learned sooner and uses it."""
    runs = {}
    for task in ARMS:
        more = task in (TRI, "add+square_sum", "mul+square_sum")
        tables = reuse(world, more=more)
        if task in (TRI, "add+mul"):
            tables["sharedness"] = sharedness(world)
        if task == TRI:
            tables["functions"] = functions(world)
        steps = world.either(6_000, 12_000) if more else world.near(12_000)
        runs[task] = a_run(task, seed, grokked_step=round(steps), tables=tables, steps=40_000)
    for first, more in (("add+mul", True), ("permuted_add+permuted_mul", False)):
        steps = world.either(6_000, 12_000) if more else world.near(12_000)
        runs[first + " first"] = a_run(
            "square_sum+",
            seed,
            start=runs[first].config.hash,
            after=first,
            grokked_step=round(steps),
            tables=reuse(world, more=more),
            steps=40_000,
        )
    return list(runs.values())


def a_study(*runs):
    return StudyResult(StudyConfig(name="planted", runs=tuple(run.config for run in runs)), Path(), tuple(runs), {}, ())


def planted(*, holds, seeds):
    """A whole study of that many seeds."""
    runs = []
    for seed in range(seeds):
        world = World(holds=holds, seed=seed)
        runs += [single(world, task, seed, decay) for task in (*GROKKING, *OTHERS) for decay in (1.0, 0.0)]
        runs += joint(world, seed)
    return a_study(*runs)
