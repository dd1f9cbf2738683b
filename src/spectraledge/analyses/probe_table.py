"""Linear probes of responses: how much of them additive and multiplicative waves predict on pairs not seen."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.algebra import real_characters
from spectraledge.analyses.analysis import DIRECTION, KIND, READOUT, STEP, Column, StepTable
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Bools, Float, Ints
from spectraledge.errors import InputError
from spectraledge.observed.observation import Observation
from spectraledge.statistics import (
    Fold,
    Targets,
    blocked_folds,
    cross_validated_r2,
    in_sample_r2,
    random_features,
    row_column_folds,
)
from spectraledge.streams import numpy_generator
from spectraledge.tasks import Grouping, Task, grouping, why_not

FEATURES = {"additive": "sum", "multiplicative": "dlog_sum"}
"""The grouping whose waves are features, by what those are called (Xu 2026, §6.6)."""

CROSSED = 10
"""Frequencies of each kind whose products are cross terms (Xu 2026, §6.6)."""

FOLDS = 4
"""Parts of the domain (our choice: more train on more pairs, and cost more than in proportion)."""

PENALTIES = (1e0, 1e2, 1e4)
"""Ridge penalties to choose from (our choice: 1 is the published one, and 10⁴ shrinks features of unit variance on 10⁴
pairs by half; no penalty at all and shrinkage to nothing did not win on trained runs)."""

COLUMNS = 16
"""Principal read-out directions of each response that are predicted (our choice, see `probe_table`)."""

PROBED = 3
"""Directions of the edge, and at random, that are probed (Xu 2026, §6.6: v_1 to v_3)."""

HELD_OUT = ("output", "rows")
"""Ways to hold pairs out: blocks of answers, and whole rows and columns."""


def probe_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """R² of ridge regressions from waves on the pairs to the responses of the edge and of random directions.

    Definition: Xu 2026, §6.6, whose R² is in sample; the one to trust is cross-validated on rows and columns that were
    not seen. Held-out answers (blocks of output classes) are the sharper question: all waves of a + b together span
    every function of a + b, so they can look up a sum that was seen and must give 0 on one that was not.
    Features: additive, cos and sin of 2πω(a + b)/p; multiplicative, the same of dlog a + dlog b; both; cross, both and
    the products of the first 10 × 10 frequencies; each against as many random features. All on the same pairs, those
    that both groupings cover; only additive features where the other does not apply.
    The cross-validated R² is of the response's leading principal read-out directions, `COLUMNS` of them, which hold
    `energy_kept` of its energy: not R² of the whole response, which in sample is given.
    Null: random features of equal number, and random directions.

    Returns:
        See `PROBES`. No rows if the domain is too small to be held out in parts.
    """
    labels = [(kind, k + 1) for kind in ("edge", "random") for k in range(len(seen.responses(kind, PROBED)))]
    whole_KND = np.concatenate([seen.responses(kind, PROBED) for kind in ("edge", "random")])
    found = probe_responses(seen.run.task, whole_KND, seed=settings.seed)
    places = found.pop("response")
    found.insert(0, "step", seen.step)
    found.insert(1, "readout", seen.readout)
    found.insert(2, "kind", [labels[place][0] for place in places])
    found.insert(3, "direction", [labels[place][1] for place in places])
    return found


def probe_responses(
    task: Task, response_KND: NDArray[np.floating], *, seed: int, held_out: Sequence[str] = HELD_OUT
) -> pd.DataFrame:
    """R² of ridge regressions from waves on a task's pairs to given responses; see `probe_table`.

    Returns:
        One row per kind of features, way to hold out and response: response (0-based), and the columns of `probe_table`
        from features on.
    """
    kept_N, features = _features(task)
    generator = numpy_generator(seed, "probes")
    folds = _folds(task.labels_N[kept_N], task.pairs_N2[kept_N], generator)
    whole_KnD = response_KND[:, kept_N].astype(np.float64)
    leading_KnC, energy_K = _leading(whole_KnD)
    whole, leading = Targets.of(whole_KnD), Targets.of(leading_KnC)
    tables = []
    for name, own_nF in features.items() if folds else ():
        count = own_nF.shape[1]
        for random, features_nF in ((False, own_nF), (True, random_features(len(own_nF), count, generator))):
            found = {held: cross_validated_r2(features_nF, leading, folds[held], alphas=PENALTIES) for held in held_out}
            found["none"] = in_sample_r2(features_nF, whole)
            for held, r2_K in found.items():
                table = pd.DataFrame({"response": np.arange(len(r2_K))})
                tables.append(
                    table.assign(
                        features=name, random=random, columns=count, held_out=held, r2=r2_K, energy_kept=energy_K
                    )
                )
    columns = ["response", "features", "random", "columns", "held_out", "r2", "energy_kept"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _features(task: Task) -> tuple[Bools, dict[str, Float]]:
    """The pairs that all groupings cover, and features by name at those, all of unit mean square."""
    groups = {features: grouping(task, name) for features, name in FEATURES.items() if not why_not(task, name)}
    covered = [group.groups_N >= 0 for group in groups.values()]
    kept_N = np.all([np.ones(len(task), dtype=bool), *covered], axis=0)
    waves = {features: _waves(group)[kept_N] for features, group in groups.items()}
    if len(waves) < len(FEATURES):
        return kept_N, waves
    additive, multiplicative = waves.values()
    both = np.hstack([additive, multiplicative])
    left, right = additive[:, : 2 * CROSSED], multiplicative[:, : 2 * CROSSED]
    crossed = (left[:, :, None] * right[:, None, :]).reshape(len(both), -1)
    return kept_N, {**waves, "both": both, "cross": np.hstack([both, crossed])}


def _waves(group: Grouping) -> Float:
    """Waves of every frequency of a cyclic grouping at every pair, of unit mean square."""
    waves: Float = real_characters(group.order)[group.groups_N][:, 1:] * np.sqrt(group.order)
    return waves


def _folds(labels_n: Ints, pairs_n2: Ints, generator: np.random.Generator) -> Mapping[str, list[Fold]]:
    count = min(FOLDS, *(len(np.unique(values)) for values in (labels_n, *pairs_n2.T)))
    if count < 3:
        return {}
    found = {"output": blocked_folds(labels_n, count, generator)}
    try:
        found["rows"] = row_column_folds(pairs_n2, count, generator)
    except InputError:
        # In a small table with holes some rows have no pair in some columns.
        return {}
    return found


def _leading(response_KnD: Float) -> tuple[Float, Float]:
    """Responses in their leading principal read-out directions, and the share of energy those hold."""
    centred = response_KnD - response_KnD.mean(axis=1, keepdims=True)
    values_KD, axes_KDD = np.linalg.eigh(centred.transpose(0, 2, 1) @ centred)
    count = min(COLUMNS, response_KnD.shape[2])
    total_K = values_KD.sum(axis=1)
    kept_K = np.divide(values_KD[:, -count:].sum(axis=1), total_K, out=np.ones(len(total_K)), where=total_K > 0)
    return response_KnD @ axes_KDD[:, :, -count:], kept_K


PROBES = StepTable(
    "probes",
    "kind of features, direction (edge, random) and way to hold out",
    {
        "step": STEP,
        "readout": READOUT,
        "kind": KIND,
        "direction": DIRECTION,
        "features": Column("additive, multiplicative, both, or cross (both and their products)"),
        "random": Column("whether as many random features took their place"),
        "columns": Column("number of features"),
        "held_out": Column("output (blocks of answers), rows (whole rows and columns), or none (published, in sample)"),
        "r2": Column("of a ridge regression from the features to the response", "R²"),
        "energy_kept": Column("of the response, in the read-out directions that are predicted", "share"),
    },
    make=probe_table,
)
