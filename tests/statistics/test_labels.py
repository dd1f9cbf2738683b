"""Label permutations against all permutations of small groups."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from spectraledge.errors import InputError
from spectraledge.statistics import label_permutation
from spectraledge.statistics.labels import _is_affine, _is_power
from spectraledge.streams import numpy_generator


def affine_maps(n):
    maps = {tuple((a * x + b) % n for x in range(n)) for a in range(n) for b in range(n)}
    return {values for values in maps if len(set(values)) == n}


def power_maps(n):
    exponents = [k for k in range(1, n) if math.gcd(k, n - 1) == 1]
    return {tuple(a * pow(x, k, n) % n for x in range(n)) for a in range(1, n) for k in exponents}


EXCLUDED = {
    (): lambda n: set(),
    ("affine",): affine_maps,
    ("power",): power_maps,
    ("affine", "power"): lambda n: affine_maps(n) | power_maps(n),
}


@pytest.mark.parametrize("n", [4, 5, 6, 7, 8])
def test_affine_maps_are_recognised(n):
    found = {order for order in itertools.permutations(range(n)) if _is_affine(np.array(order))}
    assert found == affine_maps(n)


@pytest.mark.parametrize("n", [5, 7])
def test_power_maps_are_recognised(n):
    found = {order for order in itertools.permutations(range(n)) if _is_power(np.array(order))}
    assert found == power_maps(n)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_up_to_three_labels_have_only_affine_permutations(n):
    assert affine_maps(n) == set(itertools.permutations(range(n)))
    with pytest.raises(InputError, match=f"fewer than 4 labels is affine, got {n}"):
        label_permutation(n, numpy_generator(0))


@pytest.mark.parametrize("excludes", EXCLUDED)
@pytest.mark.parametrize("n", [5, 7])
def test_the_excluded_never_come_and_the_rest_are_uniform(n, excludes):
    excluded = EXCLUDED[excludes](n)
    rest = sorted(set(itertools.permutations(range(n))) - excluded)
    place = {order: i for i, order in enumerate(rest)}
    generator = numpy_generator(0, "labels", n)
    drawn = [place[tuple(label_permutation(n, generator, excludes=excludes).tolist())] for _ in range(10_000)]
    counts = np.bincount(drawn, minlength=len(rest))
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("n", [4, 6, 97])
def test_what_is_drawn_is_a_permutation(n):
    found = label_permutation(n, numpy_generator(0), excludes=("affine", "power"))
    assert found.dtype == np.int64
    np.testing.assert_array_equal(np.sort(found), np.arange(n))


def test_the_generator_decides_the_permutation():
    first, again, other = (label_permutation(97, numpy_generator(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).sum() > 80


def test_an_unknown_symmetry_is_refused():
    with pytest.raises(InputError, match=r"unknown symmetries \['conjugate'\]: known are affine, power"):
        label_permutation(5, numpy_generator(0), excludes=("conjugate",))
