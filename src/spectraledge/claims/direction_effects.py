"""Effects of a single-task run's directions: functions that they move, what predicts these, what tools see of them."""

from itertools import chain, combinations
from math import nan

import numpy as np

from spectraledge.claims.design import (
    AGREEMENT_MARGIN,
    F_MARGIN,
    JACCARD_MARGIN,
    R2_MARGIN,
    SHARE_MARGIN,
    SQUARE_BASES,
    TOOL_MARGIN,
)
from spectraledge.claims.effects import NULLS, OWN, Effect, Read, Reading, RunReader, Unit, compared_kinds
from spectraledge.tasks import GROUPINGS

OF_DIRECTIONS = ("v1-random", "v2-random", "v3-random", "edge-random", "bulk-random", "span-random")

SHARE = "share of the vector response's energy in functions of the own variable, corrected for chance"
F = "F, the largest share of a frequency in ‖R‖², by finite differences on test pairs"
LARGEST_OF = 3
"""Edge directions of which the largest counts."""


def _gain(reader: RunReader, kind: str, wrong: str, **where: object) -> float:
    """Geometric mean over a kind's directions of F under discrete logarithms over F in another basis."""
    right_K, wrong_K = (
        reader.values("modes", "concentration", method="difference", kind=kind, basis=basis, **where)
        for basis in ("dlog_sum", wrong)
    )
    return float(np.exp(np.log(right_K / wrong_K).mean())) if len(right_K) and len(wrong_K) else nan


def _gains(wrong: str, words: str) -> list[Effect]:
    def of(id_: str, said: str, null: str, **where: object) -> Effect:
        def read(reader: RunReader) -> Reading | None:
            if not reader.has("modes", method="difference", basis=wrong):
                return None
            return Reading(_gain(reader, "edge", wrong, **where), _gain(reader, "random", wrong) if null else 1.0)

        name = f"dlog-gain-{wrong}:{id_}"
        measured = f"F under discrete logarithms over F under {words}, {said}"
        return Effect(name, measured, "ratio", "ratio", null or "equal F: a gain of 1", read, F_MARGIN)

    over = "geometric mean over the edge"
    return [
        of("v1-random", "v1", NULLS["random"], direction=1),
        of("edge-random", over, NULLS["random"]),
        of("edge-none", over, ""),
    ]


def _share_under_dlog(reader: RunReader) -> Reading | None:
    bases = ("dlog_sum", "sum")
    if not all(reader.has("modes", method="jvp", kind="edge", basis=basis) for basis in bases):
        return None
    return Reading(*(reader.mean("modes", "energy_share", method="jvp", kind="edge", basis=basis) for basis in bases))


def _one_frequency(reader: RunReader) -> Reading | None:
    def agreeing(kind: str) -> float:
        frequencies = reader.values("modes", "frequency", method="difference", basis=OWN, kind=kind)
        pairs = list(combinations(frequencies, 2))
        return float(np.mean([first == second for first, second in pairs])) if pairs else nan

    return Reading(agreeing("edge"), agreeing("random")) if reader.has("modes", method="difference") else None


def _largest(method: str, column: str) -> Read:
    def read(reader: RunReader) -> Reading | None:
        edge, random = (
            reader.values("modes", column, method=method, basis=OWN, kind=kind) for kind in ("edge", "random")
        )
        if not len(edge):
            return None
        whole = random[: len(random) // LARGEST_OF * LARGEST_OF].reshape(-1, LARGEST_OF)
        return Reading(float(edge.max()), float(whole.max(axis=1).mean()) if len(whole) else nan)

    return read


def _no_basis(null: str) -> Effect:
    def read(reader: RunReader) -> Reading | None:
        table = reader.rows("reuse", readout="residual")
        table = table[table["basis"].isin(SQUARE_BASES)] if len(table) else table
        if table.empty:
            return None
        edge, other = (table[table["kind"] == kind].groupby("basis")["concentration"].mean() for kind in ("edge", null))
        return Reading(float(edge.max()), float(other.max()))

    words = f"F, mean over the edge, the largest over {', '.join(SQUARE_BASES)}"
    return Effect(f"f-any-basis:edge-{null}", words, "F", "ratio", f"the same of {NULLS[null]}", read, F_MARGIN)


HELD_OUT = {
    "rows": "cross-validated over rows and columns",
    "output": "cross-validated over answers",
    "none": "in sample",
}
"""Which pairs the R² of probes is of."""

FEATURES = ("additive", "multiplicative", "both", "cross")
"""Waves that a response is predicted from; "cross" are both kinds with their products."""

_R2_NULLS = {"features": "as many random features", "random": NULLS["random"]}


def _r2(reader: RunReader, features: str, held_out: str, null: str) -> tuple[float, float]:
    """R² of the edge's response, and that of its null: from random features, or of random directions."""

    def mean(kind: str, random: bool) -> float:
        return reader.mean("probes", "r2", features=features, held_out=held_out, kind=kind, random=random)

    return mean("edge", random=False), mean("edge", random=True) if null == "features" else mean("random", random=False)


def _predicted(features: str, held_out: str, null: str) -> Effect:
    def read(reader: RunReader) -> Reading | None:
        return Reading(*_r2(reader, features, held_out, null)) if reader.has("probes") else None

    words = f"R² of {features} waves, {HELD_OUT[held_out]}, mean over the edge"
    return Effect(f"r2-{features}-{held_out}:edge-{null}", words, "R²", "difference", _R2_NULLS[null], read, R2_MARGIN)


def _crossed(held_out: str, null: str) -> Effect:
    """What cross terms add to the R² of both kinds of waves."""

    def read(reader: RunReader) -> Reading | None:
        if not reader.has("probes"):
            return None
        most, less = (_r2(reader, features, held_out, null) for features in ("cross", "both"))
        return Reading(most[0] - less[0], most[1] - less[1])

    words = (
        "R² of additive and multiplicative waves with their products, less that without, mean over the edge, "
        + HELD_OUT[held_out]
    )
    return Effect(f"cross-{held_out}:edge-{null}", words, "R²", "difference", _R2_NULLS[null], read, R2_MARGIN)


_RANKS: tuple[tuple[str, str, Unit], ...] = (
    ("effective_rank", "effective rank", "rank"),
    ("peakedness", "Fourier peakedness", "ratio"),
)


def _peaks(id_: str, words: str, basis: str, *more: str) -> list[Effect]:
    pairs, where = (*OF_DIRECTIONS, *more), {"method": "difference", "basis": basis}
    column = "concentration"
    return compared_kinds(id_, words, "F", "ratio", F_MARGIN, table="modes", column=column, pairs=pairs, where=where)


_GRAINS = {"head": "8 heads", "head_matrix": "32 matrices of heads", "matrix": "4 matrices"}
_RESPONSES = {"centered": (True, "without its mean"), "whole": (False, "as it is")}
_THREE = "the largest of three isotropic directions"

# fmt: off
DIRECTION_EFFECTS: tuple[Effect, ...] = (
    *compared_kinds("share", SHARE, "share", "difference", SHARE_MARGIN, table="modes", column="energy_share",
                    pairs=(*OF_DIRECTIONS, "edge-span", "edge-bulk", "random-bulk"),
                    where={"method": "jvp", "basis": OWN}),
    *_peaks("f", F, OWN, "edge-bulk", "random-bulk"),
    *chain.from_iterable(_peaks(f"f-{basis}", f"{F}, under {GROUPINGS[basis].formula}", basis)
                         for basis in ("sum", "product", "dlog_sum")),
    *_gains("product", "the raw product"),
    *_gains("sum", "a + b"),
    Effect("share-dlog:edge-own",
           "share of the vector response's energy in functions of dlog a + dlog b, mean over the edge",
           "share", "difference", "the same in functions of a + b", _share_under_dlog, SHARE_MARGIN),
    Effect("one-frequency:edge-random",
           "share of pairs of edge directions whose F, by finite differences, is at the same frequency of the variable",
           "share", "difference", f"pairs of {NULLS['random']}", _one_frequency, AGREEMENT_MARGIN),
    Effect("largest-share:edge-random", f"{SHARE}, the largest of v1 to v3",
           "share", "difference", _THREE, _largest("jvp", "energy_share"), SHARE_MARGIN),
    Effect("largest-f:edge-random", f"{F}, the largest of v1 to v3",
           "F", "ratio", _THREE, _largest("difference", "concentration"), F_MARGIN),
    *(_no_basis(null) for null in ("random", "bulk")),
    *compared_kinds("plane-wave", "largest share of a 2-D character in the response on its leading residual direction",
                    "share", "ratio", F_MARGIN, table="characters", column="character_share",
                    pairs=("v1-random", "edge-random")),
    *(_predicted(features, held_out, "features") for held_out in HELD_OUT for features in FEATURES),
    *(_predicted(features, "rows", "random") for features in ("additive", "multiplicative")),
    *(_crossed(held_out, null) for held_out, null in (("rows", "features"), ("rows", "random"), ("none", "features"))),
    *chain.from_iterable(
        compared_kinds(f"purity-{grain}", f"largest share of a direction in one of {words}", "share", "ratio",
                       TOOL_MARGIN, table="purity", column="purity", where={"grain": grain})
        for grain, words in _GRAINS.items()),
    *chain.from_iterable(
        compared_kinds(f"{column}-{name}", f"{words} of the response {said}", unit, "ratio",
                       TOOL_MARGIN, table="ranks", column=column, where={"centered": centered})
        for name, (centered, said) in _RESPONSES.items()
        for column, words, unit in _RANKS),
    *chain.from_iterable(
        compared_kinds("features", "Jaccard index of the 20 features of a TopK autoencoder that directions move most",
                       "index", "difference", JACCARD_MARGIN, table="autoencoder", column="jaccard",
                       pairs=(f"edge-{other}", f"bulk-{other}"), null=null)
        for other, null in (("random", "pairs of orthogonal isotropic directions"), ("tilted", "random pairs at 45°"))),
    *compared_kinds("dominance", "diagonal dominance of the correlations between directions' uses",
                    "index", "difference", None, table="usage", column="dominance"),
)
# fmt: on
"""What is measured of the directions of a single-task run."""
