"""Claims on groups: which representations networks use, in what order, what the edge moves of them, and cosets.

Effects are of runs on S4, on S5, which is asked the same, and on D12 and Dic6, two groups of the same order with one
table of characters. In the faithful representations of the dicyclic one lie no functions of cosets: its one element of
order 2 acts there as −1, and of its subgroups those without it are of order 3, whose generator has no fixed vector
there either.
"""

from collections.abc import Iterator
from functools import partial
from math import nan

import numpy as np

from spectraledge.algebra import irreducible_characters, named_group
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.selection_tables import of_functions
from spectraledge.claims.design import CHANGE_MARGIN, SELECTION_MARGIN, SHARE_MARGIN, TOOL_MARGIN
from spectraledge.claims.effects import OWN, Effect, Read, Reading, RunReader
from spectraledge.claims.summaries import Within
from spectraledge.claims.training_effects import own_selection
from spectraledge.claims.verdicts import SeedClaim, Side, evaluate

GROUP, LARGER, DIHEDRAL, DICYCLIC = "S4", "S5", "D12", "Dic6"

NAMES = {group: irreducible_characters(named_group(group)).names for group in (GROUP, LARGER)}
"""The representations of a group that tell functions of a product apart from constants."""

SAME_MARGIN = 0.05
"""Largest difference of shares between groups with one table of characters that does not matter (our choice)."""


def _whole_share(reader: RunReader) -> Reading | None:
    found = reader.rows("representations")
    return Reading(float(found["share"].sum()), float(found["chance"].sum())) if len(found) else None


def _share(name: str) -> Read:
    def read(reader: RunReader) -> Reading | None:
        found = reader.rows("representations", subspace=name)
        return Reading(float(found["share"].iloc[0]), float(found["chance"].iloc[0])) if len(found) else None

    return read


def _is_used(name: str) -> Read:
    def read(reader: RunReader) -> Reading | None:
        found = _share(name)(reader)
        return None if found is None else Reading(float(found.value > found.null + SHARE_MARGIN), 0.5)

    return read


def _faithful(reader: RunReader) -> Reading | None:
    found = reader.rows("representations")
    own = found["share"].sum() if len(found) else 0.0
    return Reading(float(found.loc[found["faithful"].astype(bool), "share"].sum() / own)) if own > 0 else None


def _effective_number(reader: RunReader) -> Reading | None:
    share_R = reader.values("representations", "share")
    if not share_R.sum() > 0:
        return None
    parts_R = share_R[share_R > 0] / share_R.sum()
    return Reading(float(np.exp(-(parts_R * np.log(parts_R)).sum())), 1.0)


def _half_way(reader: RunReader, name: str) -> float:
    """The first step at which a representation has half of what it has above chance in the end; NaN if that is none."""
    rows = reader.rows("score", basis=OWN, half="test", readout=FUNCTION, subspace=name).sort_values("step")
    above_T = (rows["share"] - rows["chance"]).to_numpy(np.float64)
    if not len(above_T) or above_T[-1] <= 0:
        return nan
    return float(rows["step"].iloc[int(np.argmax(above_T >= above_T[-1] / 2))])


def _quotients_first(reader: RunReader) -> Reading | None:
    kinds = reader.rows("representations")
    if kinds.empty or not reader.run.grokked or not reader.has("score", basis=OWN):
        return None
    steps = {
        faithful: np.array([_half_way(reader, str(name)) for name in rows["subspace"]])
        for faithful, rows in kinds.groupby(kinds["faithful"].astype(bool))
    }
    known = {faithful: found[np.isfinite(found)] for faithful, found in steps.items()}
    if not all(len(known.get(faithful, ())) for faithful in (False, True)):
        return None
    return Reading(float(known[False].mean()), float(known[True].mean()))


def _steps(reader: RunReader) -> Reading | None:
    step = reader.run.manifest.grokked_step
    return Reading(float(reader.run.manifest.step if step is None else step))


def _strongest(reader: RunReader) -> Reading | None:
    rows = reader.rows("selection", basis=OWN)
    if rows.empty:
        return None
    single = of_functions(rows[~rows["part"].astype(bool)])
    edge, random = (single[f"{kind}_share"].to_numpy(np.float64) for kind in ("edge", "random"))
    return Reading(float(edge.max() / edge.sum()), float(random.max() / random.sum()))


def _beside(functions: tuple[str, ...], column: str, null: str) -> Read:
    """A column of the own functions, beside its mean over draws of a null; the mean over several sets of functions."""

    def read(reader: RunReader) -> Reading | None:
        if not all(reader.has("cosets", functions=one, kind="network") for one in functions):
            return None
        own, beside = (
            float(np.mean([reader.mean("cosets", column, functions=one, kind=kind) for one in functions]))
            for kind in ("network", null)
        )
        return Reading(own, beside)

    return read


def _excess(reader: RunReader) -> Reading | None:
    found = _beside(_NEURONS, "on_cosets", "turned")(reader)
    return None if found is None else Reading(found.value - found.null)


_NEURONS = ("neurons over a", "neurons over b")
_TURNED = "functions of the same rank and energy in every representation, turned at random"
_MIXED = "random combinations of the same functions"
_CONSTANT = "share that is constant on cosets of a subgroup, the best for each, corrected for chance, of the"


# fmt: off
def _effects() -> Iterator[Effect]:
    share = "share of the logits' energy on test pairs, at the end, in"
    yield Effect("generalises", "whether test accuracy reaches .95", "rate", "rate", "one half",
                 lambda reader: Reading(float(reader.run.grokked), 0.5))
    yield Effect("group-share", f"{share} functions of the group's variable", "share", "difference",
                 "logits dealt out to the pairs at random", _whole_share, SHARE_MARGIN)
    for name in dict.fromkeys(name for names in NAMES.values() for name in names):
        yield Effect(f"share:{name}", f"{share} the representation {name}", "share", "difference",
                     "logits dealt out to the pairs at random", _share(name), SHARE_MARGIN)
        yield Effect(f"used:{name}", f"whether {name} has more of it than by chance, by more than {SHARE_MARGIN:g}",
                     "rate", "rate", "one half", _is_used(name))
    yield Effect("faithful-share", "share of the energy of the own functions in faithful representations", "share",
                 "difference", "", _faithful, SAME_MARGIN)
    yield Effect("representations", "effective number of representations: the exponential of the entropy of their "
                 "shares of the own functions' energy", "count", "ratio", "one", _effective_number)
    yield Effect("half-way:quotient", "step at which representations of quotients have half of what they come to",
                 "steps", "difference", "the same of faithful representations", _quotients_first, CHANGE_MARGIN)
    yield Effect("steps-to-learn", "steps to a test accuracy of .95; the last one where never", "steps", "ratio", "",
                 _steps, TOOL_MARGIN)
    yield Effect("selection", "selection ratio S of all functions of the group's variable together", "ratio", "ratio",
                 "isotropic directions: S = 1", own_selection, SELECTION_MARGIN)
    yield Effect("strongest", "share of the strongest representation in what the edge moves of the own functions",
                 "share", "difference", "the same of isotropic directions", _strongest, SHARE_MARGIN)
    yield Effect("one-representation", "share of neurons in one representation, the strongest of each", "share",
                 "difference", _MIXED, _beside(_NEURONS, "one_representation", "mixed"), SHARE_MARGIN)
    yield Effect("on-cosets:neurons", f"{_CONSTANT} neurons", "share", "difference", _TURNED,
                 _beside(_NEURONS, "on_cosets", "turned"), SHARE_MARGIN)
    yield Effect("on-cosets:logits", f"{_CONSTANT} logits", "share", "difference", _TURNED,
                 _beside(("logits",), "on_cosets", "turned"), SHARE_MARGIN)
    yield Effect("coset-excess", f"{_CONSTANT} neurons, less that of {_TURNED}", "share", "difference", "", _excess)
# fmt: on


GROUP_EFFECTS = {effect.id: effect for effect in _effects()}
"""Every effect of the `groups` study by id."""


def _claim(
    id_: str, section: str, statement: str, effect: str, of: str = GROUP, side: Side = "above", against: str = ""
) -> SeedClaim:
    asks_whether, groups = effect == "generalises", (*NAMES, DIHEDRAL, DICYCLIC)
    within: Within = ("all" if of in groups else "none") if asks_whether else "mean"
    learned = "-learned" if of in groups and not asks_whether else ""
    conditions = [f"group-{task}{learned}" if task else "" for task in (of, against)]
    measured = GROUP_EFFECTS[effect]
    return SeedClaim(
        id_, section, "sound", statement, measured, conditions[0], side, against=conditions[1], within=within
    )


# fmt: off
def _asked_of(group: str) -> Iterator[SeedClaim]:
    """What is asked of both symmetric groups; of the larger one with its name, in statements and ids."""
    start, end = ("", "") if group == GROUP else (f"{group}: ", f"-{group}")

    def claim(id_: str, section: str, statement: str, effect: str, side: Side = "above") -> SeedClaim:
        return _claim(id_ + end, section, start + statement, effect, group, side)

    yield claim("computes-own", "representations", "In the end the network computes functions of the group's variable.",
                "group-share")
    for name in NAMES[group]:
        key = name.replace(" × ", "-").replace(" ", "-").replace("(", "").replace(")", "")
        yield claim(f"uses-{key}", "representations", f"It uses the representation {name}.", f"share:{name}")
    yield claim("several-representations", "representations", "It uses several representations, not one.",
                "representations")
    yield claim("quotients-first", "representations", "Representations of quotients come before faithful ones.",
                "half-way:quotient", "below")
    yield claim("edge-selects-own", "edge", "The last updates select functions of the group's variable.", "selection")
    yield claim("edge-moves-few", "edge",
                "The edge moves fewer representations of them than isotropic directions do.", "strongest")
    yield claim("one-representation-a-neuron", "cosets", "Each neuron is of one representation.", "one-representation")
    yield claim("neurons-on-cosets", "cosets",
                "Neurons are functions of cosets, more than their representations make them.", "on-cosets:neurons")
    yield claim("logits-on-cosets", "cosets", "So are the logits.", "on-cosets:logits")


GROUP_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("group-is-learned", "learning", "Networks learn S4.", "generalises"),
    _claim(f"group-is-learned-{LARGER}", "learning", f"And {LARGER}.", "generalises", LARGER),
    _claim("permuted-is-not", "learning", f"They do not learn {GROUP} with its answers permuted.", "generalises",
           f"{GROUP}-permuted"),
    _claim("latin-is-not", "learning", "They do not learn a Latin square of its size without a group.", "generalises",
           "latin-0"),
    _claim("loop-is-not", "learning", "Nor one with an identity.", "generalises", "loop-0"),
    *_asked_of(GROUP),
    *_asked_of(LARGER),
    _claim("permuted-computes-none", "representations", "A network that can only memorise computes no such functions.",
           "group-share", f"{GROUP}-permuted", "equal"),
    _claim("dihedral-more-on-cosets", "cosets",
           "Neurons of a dihedral group are so more than those of a dicyclic one with the same characters.",
           "coset-excess", DIHEDRAL, against=DICYCLIC),
    _claim("dihedral-faster", "cosets", "The dihedral group is learned in fewer steps than the dicyclic one.",
           "steps-to-learn", DIHEDRAL, "below", DICYCLIC),
    _claim("same-faithful-share", "cosets", "Both put as much into faithful representations.", "faithful-share",
           DIHEDRAL, "equal", DICYCLIC),
)
"""Every claim; sections are those of the report. Declared before any run was read, but for `dihedral-faster` and the
choice of D12 and Dic6, which came after runs of seed 42. Those on S5 were declared after ten seeds of S4 had been read,
and before anything of a run on S5 but that it learns."""
# fmt: on

evaluate_groups = partial(evaluate, GROUP_CLAIMS, GROUP_EFFECTS)
"""Evaluates every claim in a study's finished runs; see `evaluate`."""
