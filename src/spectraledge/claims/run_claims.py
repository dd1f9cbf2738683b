"""Every claim on single runs, declared before any is read. A new one is a module that ends in it, and a line here."""

from typing import Any

import numpy as np
import pandas as pd

from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.design import GROKKING
from spectraledge.claims.effects import OWN, Effect, Read, Reading, RunReader, Scale, Unit
from spectraledge.claims.of_runs import SIGNIFICANT, Claim, second_largest
from spectraledge.claims.published import DLOG_GAIN, GROKKED_WITHIN
from spectraledge.claims.training_effects import grokked_step
from spectraledge.claims.verdicts import ALPHA

_TWO = "at least two edge directions stand above the null: binomial tail of (1 + b)/(1 + B) of the second largest"
_OWN_SHARE = "share of the vector response's energy that is a function of the own variable, corrected for chance; "
_RANDOM = "random directions in the window's span and in parameter space; the larger p counts"


def _by_kind(table: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    return {str(kind): part[column].to_numpy() for kind, part in table.groupby("kind")}


def _selects_own(reader: RunReader) -> Reading | None:
    table = reader.rows("selection", basis=OWN, subspace=WHOLE)
    if table.empty:
        return None
    own = table.iloc[0]
    # Twice as much of what is less than noise has is no function of the task yet.
    p = own["p"] if own["window_share"] > own["chance"] else 1.0
    return Reading(own["ratio"], 1.0, low=own["low"], high=own["high"], p=p)


def _own_share(*nulls: str) -> Read:
    return lambda reader: second_largest(_by_kind(reader.rows("modes", method="jvp", basis=OWN), "energy_share"), nulls)


def _one_wave(reader: RunReader) -> Reading:
    return second_largest(_by_kind(reader.run.characters, "character_share"), ("span", "random"))


def _right_basis(reader: RunReader) -> Reading | None:
    if (reader.run.config.task, reader.run.structure) != ("mul", "dlog_sum"):
        return None
    right, wrong = (reader.rows("modes", method="jvp", basis=basis) for basis in ("dlog_sum", "product"))
    gains = right.assign(gain=right["concentration"].to_numpy() / wrong["concentration"].to_numpy())
    return second_largest(_by_kind(gains, "gain"), ("span", "random"))


def _within(task: str, weight_decay: float) -> str:
    return f"within {GROKKED_WITHIN:,} steps" if task in GROKKING and weight_decay else "never"


def _claim(
    id_: str, section: str, statement: str, words: str, unit: Unit, scale: Scale, null: str, read: Read, **more: Any
) -> Claim:
    return Claim(id_, section, statement, Effect(id_, words, unit, scale, null, read), **more)


# fmt: off
CLAIMS: tuple[Claim, ...] = (
    _claim("generalises", "§2", "The network generalises within its step budget.",
           "first step with test accuracy of at least 0.95", "steps", "ratio", "none",
           lambda reader: Reading(grokked_step(reader.run)),
           rule="such a step exists", holds=lambda row: bool(np.isfinite(row["value"])), published=_within),
    _claim("selects-own-functions", "ours (Conjecture 1 as a number)",
           "Training selects the task's own functions: the window's updates move them more than isotropic updates "
           "would.",
           "selection ratio S of all functions of the task's own variable together, with its 95% interval; 1 is no "
           "selection", "ratio", "ratio", "isotropic directions: Student's t on log S", _selects_own,
           rule=f"the interval lies above 1, the updates' share exceeds that of noise, and {SIGNIFICANT}",
           holds=lambda row: bool(row["q"] <= ALPHA and row["low"] > 1)),
    _claim("own-variable", "§3, with a sound statistic",
           "The edge moves functions of the task's own variable, more than directions at random do.",
           _OWN_SHARE + _TWO, "share", "difference", _RANDOM, _own_share("span", "random")),
    _claim("edge-over-bulk", "§6.4 (negative for subtraction)",
           "The edge moves functions of the task's own variable more than the bulk of the same window does.",
           _OWN_SHARE + _TWO, "share", "difference", "bulk directions of the same window", _own_share("bulk"),
           published=lambda task, weight_decay: "no separation" if task == "sub" else ""),
    _claim("one-wave", "ours", "Projected on one residual direction, the edge's response is one plane wave over the "
           "inputs.", "share of the picture's energy in its largest 2-D character; " + _TWO, "share", "ratio", _RANDOM,
           _one_wave),
    _claim("right-basis", "§6.3",
           "Multiplication's modes are simple in discrete logarithms, not under the raw product, and the edge's most "
           "of all.",
           "peak share F of ‖R‖² under discrete logarithms over F under the raw product; " + _TWO, "ratio", "ratio",
           _RANDOM, _right_basis, published=lambda task, weight_decay: f"{DLOG_GAIN} (v1)"),
)
# fmt: on
"""Every claim on a run, in the order of reports."""
