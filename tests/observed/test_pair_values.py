"""What a recorded network computes of pairs, as values over a × b."""

import numpy as np
import pytest

from spectraledge.devices import host
from spectraledge.observed.network import Network
from spectraledge.observed.pair_values import PAIR_FUNCTIONS, pair_values
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.observed.view import View


@pytest.mark.parametrize("what", PAIR_FUNCTIONS)
def test_values_lie_at_their_pairs(run, what):
    view = View(step=160, window=5, edge=2)
    found = pair_values(run, what, view)
    recorded = RecordedRun.open(run)
    before, network = (Network.at(recorded, step) for step in (60, 160))
    directions = recorded.window(160, window=5, center=True).directions
    roots = np.sqrt(directions.eigenvalues_K.numpy())
    responses = host(network.responses(directions.vectors_KP[:2], "logits"))
    expected = {
        "function": host(network.readout("logits")),
        "change": host(network.readout("logits")) - host(before.readout("logits")),
        "edge": np.concatenate([root * response for root, response in zip(roots, responses, strict=False)], axis=1),
    }[what]
    # Products mod 7 are of pairs from 1 on.
    assert found.values_MMD.shape[:2] == (7, 7)
    assert np.isnan(found.values_MMD[0]).all()
    for pair, value, is_test in zip(recorded.task.pairs_N2, expected, recorded.test_N, strict=True):
        np.testing.assert_allclose(found.values_MMD[tuple(pair)], value)
        assert found.unseen_MM[tuple(pair)] == is_test
    np.testing.assert_allclose(found.over_pairs(), expected)
    assert found.unseen_MM.sum() == recorded.test_N.sum()


def test_the_last_snapshot_is_read_unless_another_is_asked_for(run):
    assert pair_values(run, "function", View()).step == 200
