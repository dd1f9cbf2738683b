"""Directions of every kind, each against what it is said to be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spectraledge.devices import host
from spectraledge.models import Transformer
from spectraledge.observed.labelled_directions import KINDS, LabelledDirections, collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.observation import each_response
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.observed.view import View
from spectraledge.trajectory import read_snapshot

WINDOW, STEP = 4, 160


@pytest.fixture(scope="module")
def collected(run: Path):
    recorded = RecordedRun.open(run)
    window = recorded.window(STEP, window=WINDOW, center=True)
    network = Network.at(recorded, STEP)
    return recorded, network, collect_directions(recorded, window, network, View(edge=2, nulls=3, seed=7))


def rows(collected, *kinds):
    _, _, directions = collected
    return directions.vectors_KP[directions.places(*kinds)].numpy()


def outside(vectors: np.ndarray, span: np.ndarray) -> float:
    """Largest length of what is left of vectors outside the span of others."""
    axes = np.linalg.svd(span, full_matrices=False)[2]
    return float(np.linalg.norm(vectors - vectors @ axes.T @ axes, axis=1).max())


def flat_gradient(recorded, labels):
    model = Transformer(recorded.config.model).double()
    model.load_state_dict(
        {k: v.double() for k, v in read_snapshot(recorded.series.until(STEP).snapshots[-1].path).items()}
    )
    train = torch.from_numpy(~recorded.test_N)
    logits = model(torch.from_numpy(recorded.task.pairs_N2)[train]).logits_NC
    F.cross_entropy(logits, torch.from_numpy(labels)[train]).backward()
    gradient = recorded.series.layout.join({name: value.grad for name, value in model.named_parameters()})
    return (gradient / gradient.norm()).numpy()


def test_all_kinds_are_unit_vectors_in_order(collected):
    _, _, directions = collected
    assert list(dict.fromkeys(directions.kinds)) == list(KINDS)
    np.testing.assert_allclose(directions.vectors_KP.norm(dim=1), 1.0, rtol=1e-12)
    numbers = [directions.numbers[row] for row in directions.places("edge", "bulk")]
    assert numbers == [1, 2, 3]


def test_spans(collected):
    recorded, _, _ = collected
    vectors = np.stack([vector.numpy() for _, vector, _ in recorded.series.until(STEP).vectors()])
    updates = np.diff(vectors, axis=0)
    assert outside(rows(collected, "span"), rows(collected, "edge", "bulk")) < 1e-10
    assert outside(rows(collected, "run_span"), updates) < 1e-10
    # Not of the window's updates alone, and nothing that happens later.
    assert outside(rows(collected, "run_span"), updates[-WINDOW:]) > 0.1
    assert outside(rows(collected, "random"), updates) > 0.9


def test_blocks_have_the_norms_of_the_edge(collected):
    recorded, _, _ = collected
    for place, (block, model) in enumerate(
        zip(rows(collected, "block"), rows(collected, "edge")[[0, 1, 0]], strict=True)
    ):
        ours, theirs = (recorded.series.layout.split(torch.from_numpy(vector)) for vector in (block, model))
        for name in ours:
            np.testing.assert_allclose(ours[name].norm(), theirs[name].norm(), rtol=1e-10, err_msg=f"{place} {name}")


def test_weights_and_gradient(collected):
    recorded, network, _ = collected
    np.testing.assert_allclose(rows(collected, "weights")[0], network.weights_P / network.weights_P.norm(), rtol=1e-12)
    expected = flat_gradient(recorded, recorded.task.labels_N)
    np.testing.assert_allclose(rows(collected, "gradient")[0], expected, atol=1e-10)


def test_shuffled_gradients_are_of_permuted_answers(collected):
    recorded, network, _ = collected
    shuffled = rows(collected, "shuffled")
    assert len(shuffled) == 3
    labels = recorded.task.labels_N
    # All that a permutation of six answers could give, up to those drawn: the gradient is linear in the labels.
    one_hot = np.eye(recorded.task.modulus)[labels]
    per_answer = {}
    for answer in range(1, recorded.task.modulus):
        for other in range(recorded.task.modulus):
            changed = np.where(labels == answer, other, 0)
            gradient = network.gradient(~recorded.test_N, torch.from_numpy(changed))
            zero = network.gradient(~recorded.test_N, torch.zeros(len(labels), dtype=torch.int64))
            per_answer[answer, other] = (gradient - zero).numpy()
    assert one_hot[:, 0].sum() == 0
    spanned = np.stack([*per_answer.values(), zero.numpy()])
    assert outside(shuffled, spanned) < 1e-8
    assert np.abs(shuffled @ rows(collected, "gradient")[0]).max() < 0.999
    assert np.abs(np.corrcoef(shuffled) - np.eye(3)).max() < 0.999


@pytest.mark.parametrize("changed", ["nothing", "no span", "a span that is none"])
def test_responses_come_in_order_and_mixed_ones_are_those_of_their_directions(collected, changed):
    _, network, directions = collected
    if changed == "no span":
        kept = directions.places(*KINDS.keys() - {"span"})
        directions = LabelledDirections(
            directions.vectors_KP[kept],
            tuple(directions.kinds[row] for row in kept),
            tuple(directions.numbers[row] for row in kept),
        )
    if changed == "a span that is none":
        moved = directions.vectors_KP.clone()
        moved[directions.places("span")[1]] += 1e-3 * moved[directions.places("random")[0]]
        directions = replace(directions, vectors_KP=moved)
    found = list(each_response(network, directions, "logits"))
    assert [row for rows, _ in found for row in rows] == list(range(len(directions.kinds)))
    each = [host(network.responses(vector_P[None], "logits"))[0] for vector_P in directions.vectors_KP]
    np.testing.assert_allclose(np.concatenate([host(part) for _, part in found]), each, atol=1e-12 * np.abs(each).max())
