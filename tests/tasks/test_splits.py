"""Splits of a domain: the author's, to the pair, and ours, by its laws."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.tasks import default_split, named_task, paper_split


@pytest.mark.parametrize("seed", [42, 137, 2024])
@pytest.mark.parametrize("name", ["add", "mul"])
def test_the_paper_split_shuffles_the_list_of_pairs(name, seed):
    task = named_task(name)
    first = 0 if name == "add" else 1
    pairs = [(a, b) for a in range(first, 97) for b in range(first, 97)]
    random.Random(seed).shuffle(pairs)
    cut = len(pairs) // 2
    split = paper_split(len(task), fraction=0.5, seed=seed)
    np.testing.assert_array_equal(task.pairs_N2[split.train_T], pairs[:cut])
    np.testing.assert_array_equal(task.pairs_N2[split.test_T], pairs[cut:])


@pytest.mark.parametrize("split", [default_split, paper_split])
@given(count=st.integers(2, 300), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1))
def test_the_halves_are_disjoint_and_cover_the_domain(split, count, fraction, seed):
    trained = int(fraction * count)
    if trained == 0:
        with pytest.raises(InputError, match="leaves 0 to train"):
            split(count, fraction=fraction, seed=seed)
        return
    found = split(count, fraction=fraction, seed=seed)
    assert len(found.train_T) == trained
    assert found.train_T.dtype == found.test_T.dtype == np.int64
    np.testing.assert_array_equal(np.sort(np.concatenate([found.train_T, found.test_T])), np.arange(count))


@pytest.mark.parametrize("split", [default_split, paper_split])
def test_the_seed_decides_the_split(split):
    first, again = split(100, fraction=0.5, seed=1), split(100, fraction=0.5, seed=1)
    np.testing.assert_array_equal(first.train_T, again.train_T)
    other = split(100, fraction=0.5, seed=2)
    assert set(other.train_T) != set(first.train_T)


@pytest.mark.parametrize("split", [default_split, paper_split])
def test_splitting_leaves_the_global_streams_alone(split):
    before, numpy_before = random.getstate(), np.random.get_state()
    split(100, fraction=0.5, seed=1)
    assert random.getstate() == before
    np.testing.assert_equal(np.random.get_state(), numpy_before)


def test_every_pair_is_as_likely_to_train():
    counts = np.zeros(10)
    for seed in range(2_000):
        counts[default_split(10, fraction=0.5, seed=seed).train_T] += 1
    np.testing.assert_allclose(counts, 1_000, atol=4.5 * np.sqrt(500))


@pytest.mark.parametrize("split", [default_split, paper_split])
@pytest.mark.parametrize(
    ("fraction", "message"), [(0.0, "0 to train and 9 to test"), (1.0, "9 to train and 0 to test")]
)
def test_an_empty_half_is_refused(split, fraction, message):
    with pytest.raises(InputError, match=message):
        split(9, fraction=fraction, seed=0)
