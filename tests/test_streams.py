"""Named streams of random numbers."""

import hashlib

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.streams import derived_seed, numpy_generator, torch_generator


def test_the_seed_is_the_first_63_bits_of_the_digest_of_its_name():
    leading = hashlib.sha256(b"42/batches").digest()[:8]
    assert derived_seed(42, "batches") == int.from_bytes(leading, "big") // 2


@given(seed=st.integers(0, 2**32 - 1), name=st.text(max_size=5))
def test_a_seed_fits_every_generator(seed, name):
    assert 0 <= derived_seed(seed, name) < 2**63


def test_seeds_and_names_give_streams_of_their_own():
    names = [("weights",), ("split",), ("batches",), ("batches", 1), ("batches", 2)]
    seeds = [derived_seed(seed, *name) for seed in range(20) for name in names]
    assert len(set(seeds)) == len(seeds)


def test_equal_names_give_equal_streams():
    np.testing.assert_array_equal(numpy_generator(3, "x", 1).random(5), numpy_generator(3, "x", 1).random(5))
    torch.testing.assert_close(
        torch.rand(5, generator=torch_generator(3, "x")),
        torch.rand(5, generator=torch_generator(3, "x")),
        rtol=0,
        atol=0,
    )


def test_the_global_streams_are_left_alone():
    numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()
    numpy_generator(0, "a").random(3)
    torch.rand(3, generator=torch_generator(0, "a"))
    np.testing.assert_equal(np.random.get_state(), numpy_before)
    torch.testing.assert_close(torch.get_rng_state(), torch_before, rtol=0, atol=0)
