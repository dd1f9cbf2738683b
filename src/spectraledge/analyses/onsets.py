"""When a function appears in a network: the first snapshot at which its share leaves the band of its controls."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from spectraledge.analyses.analysis import BASIS, READOUT, Column, Table
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.lead_times import AlarmRun, alike
from spectraledge.analyses.run_result import Runs
from spectraledge.analyses.score import SCORE
from spectraledge.analyses.selection_tables import WHOLE, of_functions
from spectraledge.errors import InputError
from spectraledge.spectrum import Detector, calibrated_threshold
from spectraledge.training import RunConfig

_MAY_DIFFER = {"task", "task_digest", "train_fraction", "seed", "steps", "stop_accuracy", "stop_patience"}
"""Settings in which a run and its controls may differ: what is asked, of how many pairs, chance, and when it ends."""


def onset_table(
    score: pd.DataFrame,
    controls: Sequence[pd.DataFrame],
    *,
    basis: str,
    grokked_step: int | None,
    share: float = 0.05,
    consecutive: int = 2,
) -> pd.DataFrame:
    """Date every subspace of a basis in a run by what its controls never reach.

    Definition (our choice): the onset of a subspace is the first snapshot that ends so many in a row with a share above
    the threshold that `calibrated_threshold` sets on the controls. For all frequencies together controls are scored by
    their share; for a single one by the largest share of any, so that the rate of false alarms is that of all of them.
    Null: controls are alike in everything but the answers, which are permuted, so that there is no rule; or but the
    training pairs, which are too few to find it. The first tells a rule in the data from none: answers that follow one,
    memorised, put energy into its functions at once. The second tells whether it is being learned.
    A further control alarms with probability at most `rate`. Shares are corrected for chance (as `Shares.corrected`),
    which depends on how many pairs a half has.

    Returns:
        See `ONSETS`.

    Raises:
        InputError: if there is no control, or one lacks the basis.
    """
    rows: list[tuple[object, ...]] = []
    tables = [_courses(each, basis) for each in (score, *controls)]
    rate = (int(share * len(controls) + 1e-9) + 1) / (len(controls) + 1)
    for key, run_TS in tables[0].items():
        if any(key not in table for table in tables[1:]):
            raise InputError(
                f"a control has no score of {key[0]} on {key[1]} pairs in basis {basis!r}: measure it anew"
            )
        others = [table[key] for table in tables[1:]]
        together, strongest = (
            calibrated_threshold(list(map(_series, scores)), share=share, consecutive=consecutive)
            for scores in (
                [other[WHOLE] for other in others],
                [other.drop(columns=WHOLE).max(axis=1) for other in others],
            )
        )
        for subspace in run_TS.columns:
            threshold = together if subspace == WHOLE else strongest
            detector = Detector("share", "high", threshold, consecutive)
            alarms = detector.alarm_steps([int(step) for step in run_TS.index], _series(run_TS[subspace]))
            onset = float(alarms[0]) if alarms else np.nan
            lead = np.nan if grokked_step is None else grokked_step - onset
            rows.append((*key, basis, subspace, threshold, len(controls), rate, onset, lead))
    return ONSETS.frame(rows)


def check_control(own: RunConfig, other: RunConfig, *, grokked: bool) -> None:
    """Check that a control differs from a run in its answers alone, or in how many pairs it is trained on.

    Raises:
        InputError: if they differ in a setting of the network or its training, or in neither of both, or if the control
            has generalised.
    """
    name = other.run_id
    fields = [
        one for one in type(own).model_fields if one not in _MAY_DIFFER and getattr(own, one) != getattr(other, one)
    ]
    if fields:
        raise InputError(
            f"{name} differs from {own.run_id} in {', '.join(fields)}: a control is alike in everything but the "
            "answers or the training pairs"
        )
    if own.task_digest == other.task_digest and own.train_fraction == other.train_fraction:
        raise InputError(
            f"{name} is trained on the answers and as many pairs of {own.run_id}: train a control on permuted answers, "
            "such as spectraledge train permuted_add, or with too small a --train-fraction to generalise"
        )
    if grokked:
        raise InputError(f"{name} generalises, so it is no control: take one that does not")


def score_alarm_runs(runs: Runs, basis: str) -> list[AlarmRun]:
    """Return runs with a score in a basis as what detectors see, but those that generalise in another one.

    Definition: "score" is the share of the logits' energy in all frequencies of the basis, corrected for chance (0
    where it is below that), and "score_test" the same on test pairs alone; "strongest" and "strongest_test" are the
    largest of one frequency. Beside them what sees no function, and what tells generalisation itself; see
    `AlarmRun.of`.
    """
    found = []
    for run in runs:
        score, grokked = run.table(SCORE.name), run.manifest.grokked_step
        if (grokked is not None and run.structure != basis) or score.empty or basis not in set(score["basis"]):
            continue
        seen = AlarmRun.of(run)
        series = dict(seen.series)
        courses = _courses(score[score["readout"] == FUNCTION], basis)
        for half, suffix in (("all", ""), ("test", "_test")):
            shares_TS = courses[FUNCTION, half].clip(lower=0)
            at = [int(step) for step in shares_TS.index]
            series["score" + suffix, 0] = at, _series(shares_TS[WHOLE])
            series["strongest" + suffix, 0] = at, _series(shares_TS.drop(columns=WHOLE).max(axis=1))
        found.append(replace(seen, series=series))
    return alike(found)


def _courses(score: pd.DataFrame, basis: str) -> dict[tuple[str, str], pd.DataFrame]:
    """Shares corrected for chance by read-out and half: a row per snapshot, a column for all together and for each."""
    rows = of_functions(score[score["basis"] == basis])
    if rows.empty:
        raise InputError(f"there is no score in basis {basis!r}: measure one with --basis {basis}")
    found = {}
    for (readout, half), part in rows.groupby(["readout", "half"], sort=False):
        names = list(dict.fromkeys(part["subspace"]))
        share, chance = (part.pivot(index="step", columns="subspace", values=one)[names] for one in ("share", "chance"))
        for table in (share, chance):
            table.insert(0, WHOLE, table.sum(axis=1))
        found[str(readout), str(half)] = (share - chance) / (1 - chance)
    return found


def _series(values: pd.Series) -> torch.Tensor:
    return torch.from_numpy(values.to_numpy(np.float64, copy=True))


ONSETS = Table(
    "onsets",
    "read-out, half and subspace of the task's own basis",
    {
        "readout": READOUT,
        "half": Column("which pairs: all, train, test"),
        "basis": BASIS,
        "subspace": Column("frequency for all of them together, or one frequency"),
        "threshold": Column(
            "what the controls' share, corrected for chance, does not exceed; of one frequency the largest of all",
            "share",
        ),
        "controls": Column("runs alike in everything but the answers, or but how many pairs train"),
        "rate": Column("highest chance that a further control alarms at all, of frequencies any of them"),
        "onset": Column(
            "first snapshot beyond the threshold, the second in a row; missing where there is none", "step"
        ),
        "lead": Column("by which it precedes the first test accuracy of .95", "steps"),
    },
)
