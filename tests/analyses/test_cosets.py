"""Representations and cosets of a recorded network: its columns against sums over pairs, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from spectraledge import InputError
from spectraledge.algebra import named_group
from spectraledge.analyses.cosets import measure_cosets
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import host
from spectraledge.modes.coset_concentration import Concentration
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun


def test_functions_are_means_of_neurons_and_logits(group_run: Path) -> None:
    tables = measure_cosets(group_run, AnalysisConfig(nulls=3))
    run = RecordedRun.open(group_run)
    network, asked = Network.at(run, run.chosen_step()), Concentration.of(named_group("S4"))
    neurons, logits = network.still["neurons"].numpy(), host(network.readout("logits"))
    a, b = run.task.pairs_N2.T
    for name, values, element in (
        ("neurons over a", neurons, a),
        ("neurons over b", neurons, b),
        ("logits", logits, run.task.labels_N),
    ):
        functions_FM = np.stack([values[element == x].mean(axis=0) for x in range(24)], axis=1)
        rows = tables["cosets"].query(f"functions == '{name}'")
        own = rows.query("kind == 'network'").iloc[0]
        assert own["on_cosets"] == pytest.approx(asked.on_cosets(functions_FM))
        assert own["one_representation"] == pytest.approx(asked.of_one_representation(functions_FM))
        turned = rows.query("kind == 'turned'")
        assert turned["draw"].tolist() == [1, 2, 3]
        np.testing.assert_allclose(turned["one_representation"], own["one_representation"])


def test_representations_have_their_shares_on_pairs_that_were_not_trained(group_run: Path) -> None:
    found = measure_cosets(group_run, AnalysisConfig(nulls=2))["representations"]
    assert dict(zip(found["subspace"], found["faithful"], strict=True)) == {
        "sign": False,
        "dimension 2": False,
        "standard": True,
        "standard × sign": True,
    }
    run = RecordedRun.open(group_run)
    logits_nC = host(Network.at(run, run.chosen_step()).readout("logits"))[run.test_N]
    means_nC = np.stack([logits_nC[run.task.labels_N[run.test_N] == x].mean(0) for x in run.task.labels_N[run.test_N]])
    centred_nC = logits_nC - logits_nC.mean(0)
    between = np.square(means_nC - logits_nC.mean(0)).sum() / np.square(centred_nC).sum()
    assert found["share"].sum() == pytest.approx(between, abs=1e-9)


def test_a_task_without_a_group_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match="task 'mul' is not on a group by name: train one, such as group:S4"):
        measure_cosets(run, AnalysisConfig())
