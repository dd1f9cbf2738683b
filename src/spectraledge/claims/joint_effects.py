"""Effects on the joint domain: what a² + b² uses of simple tasks, alone and beside them, and what heads share."""

from itertools import chain

import numpy as np

from spectraledge.analyses.run_result import RunResult
from spectraledge.arrays import Float
from spectraledge.claims.design import (
    COMPOSITE,
    F_MARGIN,
    INCLUSION_MARGIN,
    PARTS,
    SELECTION_MARGIN,
    SHARE_MARGIN,
    SHARED_MARGIN,
    SQUARE_BASES,
    SYNERGY_MARGIN,
    TRI,
)
from spectraledge.claims.effects import BOTH_KINDS, NULLS, Effect, Read, Reading, RunReader, compared_kinds
from spectraledge.modes import inclusion
from spectraledge.tasks import GROUPINGS

READOUTS = {"residual": "in the trunk", COMPOSITE: "at the head of a² + b²"}
"""Where functions of the joint domain are read, in words."""

READ_BASES = ("output", "sum", *(basis for basis in (*SQUARE_BASES, "dlog_sum") if basis != "output"))
"""Groupings in which responses are read there."""

TARGETS = ("add", "mul", COMPOSITE, "maximum", "permuted_add")
"""Parts of joint tasks whose functions may lie in those of the others."""

_PAIRS = {"rows": "cross-validated over rows and columns", "none": "in sample"}


# fmt: off
def _in_basis(readout: str, basis: str) -> list[Effect]:
    place = f"functions of {GROUPINGS[basis].formula} {READOUTS[readout]}, on the pairs without a zero"
    where = {"readout": readout, "basis": basis}
    return [
        *compared_kinds(f"share-{readout}-{basis}", f"share of the response's energy in {place}, corrected for chance",
                        "share", "difference", SHARE_MARGIN, table="reuse", column="energy_share", where=where),
        *compared_kinds(f"f-{readout}-{basis}", f"F of ‖R‖² in {place}",
                        "F", "ratio", F_MARGIN, table="reuse", column="concentration", where=where),
        _selection(readout, basis),
    ]
# fmt: on


def _selection(readout: str, basis: str) -> Effect:
    def read(reader: RunReader) -> Reading | None:
        where = {"readout": readout, "basis": basis}
        if not reader.has("reuse_selection", **where):
            return None
        return Reading(reader.mean("reuse_selection", "ratio", **where), 1.0)

    words = f"selection ratio S {READOUTS[readout]} of all functions of {GROUPINGS[basis].formula}"
    null = "isotropic directions: S = 1"
    return Effect(f"selection-{readout}-{basis}", words, "ratio", "ratio", null, read, SELECTION_MARGIN)


def _probed(name: str, held_out: str, **where: object) -> Read:
    where = {"kind": "edge", "held_out": held_out, **where}

    def read(reader: RunReader) -> Reading | None:
        if not reader.has("reuse_probes", **where):
            return None
        return Reading(*(reader.mean("reuse_probes", column, **where) for column in (name, f"random_{name}")))

    return read


def _net_interaction(reader: RunReader) -> Reading | None:
    found = _probed("interaction", "rows")(reader)
    return None if found is None else Reading(found.value - found.null)


_FEATURES = "as many random features"
_INTERACTION = "R² of both kinds of waves less the sum of each"


def _included(target: str, null: str) -> Effect:
    def read(reader: RunReader) -> Reading | None:
        if not reader.has("inclusion", target=target):
            return None
        column, kind = ("chance", "edge") if null == "chance" else ("inclusion", null)
        edge = reader.mean("inclusion", "inclusion", target=target, kind="edge")
        return Reading(edge, reader.mean("inclusion", column, target=target, kind=kind))

    words = f"inclusion I of the leading functions of the head of {target} in those of the other heads"
    said = "random functions of the same ranks" if null == "chance" else NULLS[null]
    return Effect(f"inclusion-{target}:edge-{null}", words, "share", "difference", said, read, INCLUSION_MARGIN)


def _functions(run: RunResult, part: str) -> Float:
    table = run.table("functions")
    columns = [name for name in table if str(name).rpartition(" ")[0] == part]
    return table[columns].to_numpy(np.float64)


def _in_other_seeds(reader: RunReader) -> Reading | None:
    """Inclusion in the functions of the other seeds' networks that learned the same tasks, mean over these."""
    run = reader.run
    if run.config.task != TRI or not reader.has("functions"):
        return None
    others = [
        other
        for other in reader.runs
        if (other.config.task, other.after, other.grokked) == (TRI, run.after, True)
        and other.config.seed != run.config.seed
        and len(other.table("functions"))
    ]
    if not others:
        return None
    target = _functions(run, COMPOSITE)
    found = [inclusion(target, *(_functions(other, part) for part in PARTS)) for other in others]
    edge = reader.mean("inclusion", "inclusion", target=COMPOSITE, kind="edge")
    return Reading(edge, float(np.mean(found)))


# fmt: off
JOINT_EFFECTS: tuple[Effect, ...] = (
    *chain.from_iterable(_in_basis("residual", basis) for basis in READ_BASES),
    *chain.from_iterable(_in_basis(COMPOSITE, basis) for basis in PARTS.values()),
    *(Effect(f"synergy-{held_out}", f"R² of both kinds of waves less the larger R² of either, {words}, v1",
             "R²", "difference", _FEATURES, _probed("synergy", held_out, direction=1), SYNERGY_MARGIN)
      for held_out, words in _PAIRS.items()),
    *(Effect(f"interaction-{held_out}", f"{_INTERACTION}, {words}, mean over the edge",
             "R²", "difference", _FEATURES, _probed("interaction", held_out), SYNERGY_MARGIN)
      for held_out, words in _PAIRS.items()),
    Effect("net-interaction",
           f"{_INTERACTION}, cross-validated, less the same of random features, mean over the edge",
           "R²", "difference", "", _net_interaction, SYNERGY_MARGIN),
    *(_included(target, null) for target in TARGETS for null in ("random", "span", "chance")),
    Effect(f"inclusion-{COMPOSITE}:edge-seeds",
           "inclusion I of the leading functions of a² + b² in those of the other two heads",
           "share", "difference", "a + b and a·b of the networks of other seeds, mean over these", _in_other_seeds,
           INCLUSION_MARGIN),
    *compared_kinds("sharedness", "sharedness S_k over the tasks, whose floor is one over their number",
                    "index", "difference", SHARED_MARGIN, table="sharedness", column="sharedness",
                    pairs=(*BOTH_KINDS, "edge-bulk")),
)
# fmt: on
"""What is measured of the directions of joint runs."""
