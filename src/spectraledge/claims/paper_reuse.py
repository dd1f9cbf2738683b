"""Claims about composition: whether a² + b² uses what addition and multiplication have (Table 4, second conjecture)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.claims.paper_arms import (
    ALONE,
    COMPOSITE,
    PARTS,
    SELECTED,
    SIMPLE,
    Chosen,
    Number,
    arm,
    compared,
    selection,
)
from spectraledge.claims.paper_edge import SELECTION_MARGIN
from spectraledge.claims.paper_modes import F_MARGIN, SHARE_MARGIN
from spectraledge.claims.paper_runs import chosen, joint_runs, mean_of, single_runs
from spectraledge.claims.paper_tools import JOINT
from spectraledge.claims.published import published
from spectraledge.claims.verdicts import Declared, Measure, SeedClaim
from spectraledge.modes import inclusion

SYNERGY_MARGIN = 0.01
"""Largest difference of synergies that does not matter (our choice: a hundredth of the response's energy)."""

INCLUSION_MARGIN = 0.05
"""Largest difference of inclusions that does not matter (our choice)."""


def _tri(runs: Runs) -> Mapping[int, RunResult]:
    return {seed: run for seed, run in joint_runs(runs, JOINT["tri"]).items() if run.grokked}


def _single(runs: Runs) -> Mapping[int, RunResult]:
    return {run.config.seed: run for run in single_runs(runs, (COMPOSITE,), 1.0) if run.grokked}


def _within(chosen_runs: Chosen, first: Number, second: Number) -> Measure:
    def measure(runs: Runs) -> pd.DataFrame:
        rows = [(seed, first(run), second(run)) for seed, run in chosen_runs(runs).items()]
        return pd.DataFrame(rows, columns=["seed", "value", "null"], dtype=np.float64).dropna()

    return measure


def _concentration(run: RunResult) -> float:
    return mean_of(chosen(run, "reuse", readout="residual", basis="sum", kind="edge"), "concentration")


def _share(kind: str) -> Number:
    return lambda run: mean_of(chosen(run, "reuse", readout=COMPOSITE, basis="sum", kind=kind), "energy_share")


def _synergy(run: RunResult) -> float:
    return mean_of(chosen(run, "reuse_probes", kind="edge", direction=1, held_out="none"), "synergy")


def _interaction(run: RunResult) -> float:
    table = chosen(run, "reuse_probes", kind="edge", held_out="rows")
    return mean_of(table, "interaction") - mean_of(table, "random_interaction")


def _inclusion(kind: str) -> Number:
    return lambda run: mean_of(chosen(run, "inclusion", target=COMPOSITE, others=SIMPLE, kind=kind), "inclusion")


def _functions(run: RunResult, part: str) -> NDArray[np.float64]:
    table = run.table("functions")
    columns = [name for name in table if str(name).rpartition(" ")[0] == part]
    return table[columns].to_numpy(np.float64)


def _of_other_seeds(runs: Runs) -> pd.DataFrame:
    by_seed = {seed: run for seed, run in _tri(runs).items() if len(run.table("functions"))}
    rows = []
    for seed, run in by_seed.items():
        target = _functions(run, COMPOSITE)
        others = [
            inclusion(target, *(_functions(other, part) for part in PARTS))
            for other_seed, other in by_seed.items()
            if other_seed != seed
        ]
        if others:
            rows.append((seed, _inclusion("edge")(run), float(np.mean(others))))
    return pd.DataFrame(rows, columns=["seed", "value", "null"], dtype=np.float64).dropna()


def _included(id_: str, words: str, null: str, measure: Measure) -> Declared:
    claim = SeedClaim(
        id_,
        "Conjecture 2",
        "sound",
        "The functions that the edge moves at the head of a² + b² lie in those that it moves at the heads of a + b and "
        f"a·b, more than {words}.",
        "inclusion I of the leading functions of a² + b² in those of the other two heads, tri-task",
        null,
        "difference",
        "above",
        margin=INCLUSION_MARGIN,
    )
    return claim, measure


REUSE: tuple[Declared, ...] = (
    (
        SeedClaim(
            "reuse-selection",
            "Table 4",
            "sound",
            "Beside addition and multiplication, a² + b² selects functions of a + b more than alone.",
            f"{SELECTED} a + b, tri-task",
            "the same alone, on the same pairs",
            "ratio",
            "above",
            margin=SELECTION_MARGIN,
            published=published("Table 4", "F on a + b"),
        ),
        compared(_tri, arm(ALONE), selection("sum")),
    ),
    (
        SeedClaim(
            "reuse-share",
            "Table 4",
            "sound",
            "The tri-task edge moves functions of a + b at the head of a² + b², more than isotropic directions do.",
            "share of the energy of that head's logits in functions of a + b, corrected for chance, mean over the edge",
            "isotropic directions of the same network",
            "difference",
            "above",
            margin=SHARE_MARGIN,
            published=published("Table 4", "F on a + b"),
        ),
        _within(_tri, _share("edge"), _share("random")),
    ),
    (
        SeedClaim(
            "reuse-f",
            "Table 4",
            "published",
            "F on a + b is larger in the tri-task network than in one that learned a² + b² alone.",
            "F on a + b of ‖R‖² on the pairs without a zero, mean over the edge",
            "the same of the single-task run of the seed",
            "ratio",
            "above",
            margin=F_MARGIN,
            published=published("Table 4", "F on a + b"),
        ),
        compared(_tri, _single, _concentration),
    ),
    (
        SeedClaim(
            "interaction",
            "Table 4",
            "sound",
            "Additive and multiplicative waves interact in the tri-task response more than in that of a² + b² alone.",
            "R² of both kinds less the sum of each, cross-validated, less the same of random features, mean over "
            "the edge",
            "the same alone, on the same pairs",
            "difference",
            "above",
            margin=SYNERGY_MARGIN,
            published=published("Table 4", "synergy"),
        ),
        compared(_tri, arm(ALONE), _interaction),
    ),
    (
        SeedClaim(
            "synergy",
            "Table 4",
            "published",
            "The synergy of additive and multiplicative waves is larger in the tri-task network than alone.",
            "R² of both less the larger R² of either, in sample, v_1",
            "the same of the single-task run of the seed",
            "difference",
            "above",
            margin=SYNERGY_MARGIN,
            published=published("Table 4", "synergy"),
        ),
        compared(_tri, _single, _synergy),
    ),
    _included(
        "inclusion-random",
        "where isotropic directions move both",
        "isotropic directions of the same network",
        _within(_tri, _inclusion("edge"), _inclusion("random")),
    ),
    _included(
        "inclusion-other-seeds",
        "in those of networks that share nothing with it",
        "a + b and a·b of the networks of other seeds, mean over these",
        _of_other_seeds,
    ),
)
"""Claims of Table 4 and of the second conjecture."""
