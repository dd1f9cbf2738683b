"""Claims on groups: planted differences are found, and where there is none, that is said."""

import numpy as np
import pandas as pd
import pytest

from spectraledge.algebra import character_table, named_group
from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.group_claims import (
    DICYCLIC,
    DIHEDRAL,
    GROUP,
    GROUP_CLAIMS,
    LARGER,
    NAMES,
    evaluate_groups,
)
from spectraledge.streams import numpy_generator
from spectraledge.studies import recipe
from spectraledge.studies.recipes import first_seeds
from spectraledge.trajectory import Manifest

SEEDS = first_seeds(12)
LEARNED = (GROUP, LARGER, DIHEDRAL, DICYCLIC)
STEPS = range(0, 1001, 100)


def representations(shares, wobble, group=GROUP):
    rows = [
        (name, name != "sign" and name != "dimension 2", share * wobble ** (place + 1), 0.05)
        for place, (name, share) in enumerate(zip(NAMES[group], shares, strict=True))
    ]
    return pd.DataFrame(rows, columns=["subspace", "faithful", "share", "chance"])


def score(shares, half_way, group=GROUP):
    """Representations that have a twentieth until a step, and their share from there on."""
    rows = [
        (step, "logits", f"group:{group}", name, share if step >= at else 0.05, 0.05, "test")
        for step in STEPS
        for name, share, at in zip(NAMES[group], shares, half_way, strict=True)
    ]
    return pd.DataFrame(rows, columns=["step", "readout", "basis", "subspace", "share", "chance", "half"])


def selection(ratio, edge, wobble, group=GROUP):
    rows = [(name, False, 1.0, share, 0.25) for name, share in zip(NAMES[group], edge, strict=True)]
    rows += [("frequency", True, ratio * wobble, 1.0, 1.0), ("rest", True, 1.0, 0.0, 0.0)]
    table = pd.DataFrame(rows, columns=["subspace", "part", "ratio", "edge_share", "random_share"])
    return table.assign(basis=f"group:{group}", family="grouping")


def cosets(excess, purity, wobble):
    rows = [
        (
            functions,
            kind,
            0.5 + (excess * wobble if kind == "network" else 0),
            0.5 + (purity * wobble if kind != "mixed" else 0),
        )
        for functions in ("neurons over a", "neurons over b", "logits")
        for kind in ("network", "turned", "mixed")
    ]
    return pd.DataFrame(rows, columns=["functions", "kind", "on_cosets", "one_representation"])


def fitted(values, group):
    """Values by representation for a group of more: the last one repeats."""
    return (*values, *values[-1:] * (len(NAMES[group]) - len(values)))


def planted(
    *,
    shares=(0.3, 0.2, 0.2, 0.2),
    permuted=(0.05,) * 4,
    half_way=(200, 200, 600, 600),
    edge=(0.7, 0.1, 0.1, 0.1),
    ratio=2.0,
    excess=None,
    purity=0.4,
    steps=None,
):
    runs = []
    for config in recipe("groups", seeds=SEEDS, budget="small").runs:
        wobble = 1 + 0.01 * float(numpy_generator(0, config.run_id).standard_normal())
        name, tables = config.task, {}
        if name in LEARNED:
            tables["cosets"] = cosets((excess or {}).get(name, 0.2), purity, wobble)
            own = name if name in NAMES else GROUP
            tables["representations"] = representations(fitted(shares, own), wobble, own)
        if name in NAMES:
            late = 100 * (config.seed % 2)
            later = [at + late * (at > 300) for at in fitted(half_way, name)]
            tables["score"] = score(fitted(shares, name), later, name)
            first, *others = fitted(edge, name)
            tables["selection"] = selection(ratio, [first * wobble, *others], wobble, name)
        if name == f"{GROUP}-permuted":
            tables["representations"] = representations(permuted, wobble)
        taken = round((steps or {}).get(name, 1000) * wobble) if name in LEARNED else None
        manifest = Manifest(
            config={}, config_hash="", step=8000, grokked_step=taken, seeds={}, environment={}, test_accuracy=1.0
        )
        runs.append(RunResult(config, manifest, pd.DataFrame(), f"group:{name}", f"a·b in {name}", 1, tables))
    return tuple(runs)


def found(**what):
    return evaluate_groups(planted(**what)).claims.set_index("claim")


def test_what_is_planted_is_found() -> None:
    claims = found(excess={DICYCLIC: 0.02}, steps={DICYCLIC: 5000})
    assert set(claims["verdict"]) == {"replicates"}
    assert list(claims.index) == [claim.id for claim in GROUP_CLAIMS]
    halved = claims["of"].isin({f"group-{name}" for name in (f"{GROUP}-permuted", "latin-0", "loop-0")}) | (
        claims["against"] != ""
    )
    assert (claims["seeds"] == np.where(halved, len(SEEDS) // 2, len(SEEDS))).all()
    assert claims.loc["edge-moves-few", "value"] == pytest.approx(0.45, abs=0.01)
    assert -500 <= claims.loc["quotients-first", "value"] <= -400
    effects = evaluate_groups(planted(shares=(0.3, 0.05))).effects
    assert (effects.of("used:sign", "group-S5-learned")["value"] == 1).all()
    assert (effects.of("used:dimension 6", "group-S5-learned")["value"] == 0).all()
    parts = np.array([3, 2, 2, 2]) / 9
    assert claims.loc["several-representations", "measured"] == pytest.approx(np.prod(parts**-parts), rel=0.01)


def test_where_there_is_nothing_that_is_said() -> None:
    claims = found(
        shares=(0.05,) * 4,
        half_way=(200,) * 4,
        edge=(0.25,) * 4,
        ratio=1.0,
        excess=dict.fromkeys(LEARNED, 0.0),
        purity=0.0,
    )
    for name in (
        "computes-own",
        "computes-own-S5",
        "uses-dimension-6-S5",
        "uses-sign",
        "edge-moves-few",
        "edge-selects-own",
        "one-representation-a-neuron",
        "neurons-on-cosets",
    ):
        assert claims.loc[name, "verdict"] != "replicates", name
    assert claims.loc["quotients-first", "verdict"] == "not measured"
    assert claims.loc["dihedral-faster", "verdict"] != "replicates"


def test_a_study_without_runs_measures_nothing() -> None:
    assert (evaluate_groups(()).claims["verdict"] == "not measured").all()


def test_the_two_groups_have_one_table_of_characters() -> None:
    first, second = (character_table(named_group(name)) for name in (DIHEDRAL, DICYCLIC))
    columns = [np.sort(np.round(table.values_CC.real, 9), axis=0).T.tolist() for table in (first, second)]
    assert sorted(columns[0]) == sorted(columns[1])
    np.testing.assert_array_equal(first.dimensions_C, second.dimensions_C)
    assert len({len(named_group(name)) for name in (DIHEDRAL, DICYCLIC)}) == 1
