"""Bases from labels, features and bits, against least squares and against bases of groupings."""

import numpy as np
import pandas as pd
import pytest
import torch
from basis_support import project

from spectraledge.algebra import cube, subsets, walsh_transform
from spectraledge.errors import InputError
from spectraledge.modes import feature_basis, grouping_basis, walsh_basis
from spectraledge.tasks import grouping, named_task


def fitted_energy(columns, response_ND):
    """Energy of the least-squares fit of a response by columns."""
    if columns.shape[1] == 0:
        return 0.0
    return np.square(columns @ np.linalg.lstsq(columns, response_ND, rcond=None)[0]).sum()


def test_each_set_holds_what_a_fit_gains_by_it():
    rng = np.random.default_rng(0)
    labels, words = rng.integers(0, 4, 30), np.array(["open", "close", "other"])[rng.integers(0, 3, 30)]
    features = rng.normal(size=(30, 3))
    sets = {"depth": labels, "class": words, "linear": features, "again": features[:, 0], "twice": labels > 1}
    basis = feature_basis("mine", sets)
    response_KND = rng.normal(size=(2, 30, 2)) + 1
    indicators = [labels[:, None] == np.arange(4), words[:, None] == np.unique(words), features]
    columns = [np.ones((30, 1)), *(np.asarray(part, dtype=float) for part in indicators)]
    for energies_S, response_ND in zip(basis.energies(response_KND), response_KND, strict=True):
        fits = [fitted_energy(np.hstack(columns[: end + 1]), response_ND) for end in range(4)]
        expected = [fits[0], *np.diff(fits), 0, 0, np.square(response_ND).sum() - fits[-1]]
        np.testing.assert_allclose(energies_S, expected, atol=1e-9)
    assert basis.dimensions_S.tolist() == [1, 3, 2, 3, 0, 0, 21]
    assert basis.subspaces == ("mean", "depth", "class", "linear", "again", "twice", "rest")


def test_labels_are_the_grouping_as_a_whole():
    group = grouping(named_task("add", modulus=7), "sum")
    response_KND = np.random.default_rng(1).normal(size=(3, 49, 4))
    found = feature_basis("sum", {"sum": group.groups_N}).energies(response_KND)
    np.testing.assert_allclose(found, grouping_basis(group).coarse.energies(response_KND), rtol=1e-10)


def test_projections_add_up():
    rng = np.random.default_rng(2)
    basis = feature_basis("mine", {"a": rng.normal(size=(20, 2)), "b": rng.integers(0, 3, 20)})
    response_ND = rng.normal(size=(20, 3))
    parts = [project(basis, response_ND, name) for name in basis.subspaces]
    np.testing.assert_allclose(sum(parts), response_ND, atol=1e-12)
    energies = [np.square(part).sum() for part in parts]
    np.testing.assert_allclose(basis.energies(response_ND[None])[0], energies, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1, 1e9, 1e200])
@pytest.mark.parametrize("offset", [0, 1e3, 1e8])
def test_units_and_means_of_features_do_not_matter(unit, offset):
    rng = np.random.default_rng(3)
    features, response_KND = rng.normal(size=(30, 2)), rng.normal(size=(1, 30, 2))
    plain = feature_basis("mine", {"first": features, "again": features})
    basis = feature_basis("mine", {"first": (features + offset) * [unit, 1], "again": features})
    assert basis.dimensions_S.tolist() == plain.dimensions_S.tolist() == [1, 2, 0, 27]
    np.testing.assert_allclose(basis.energies(response_KND), plain.energies(response_KND), rtol=1e-6)


def test_what_only_rounding_lets_vary_is_constant():
    assert feature_basis("mine", {"tenth": np.full(30, 0.1)}).dimensions_S.tolist() == [1, 0, 29]
    values = np.random.default_rng(4).normal(size=30)
    sets = {"exact": values, "rounded": (values + 1000).astype(np.float32)}
    assert feature_basis("mine", sets).dimensions_S.tolist() == [1, 1, 0, 28]


@pytest.mark.parametrize("given", [torch.tensor, list, pd.Series])
def test_sets_as_people_hold_them(given):
    labels, features = [0, 2, 1, 2, 0, 1], [0.1, 0.2, 0.4, 0.3, 0.9, 0.2]
    response_KND = np.arange(12.0).reshape(1, 6, 2) ** 2
    plain = feature_basis("mine", {"labels": np.array(labels), "features": np.array(features)})
    basis = feature_basis("mine", {"labels": given(labels), "features": given(features)})
    np.testing.assert_allclose(basis.energies(response_KND), plain.energies(response_KND), rtol=1e-5)
    words = {"words": pd.Series(["open", "close", "open"])}
    assert feature_basis("mine", words).dimensions_S.tolist() == [1, 1, 1]
    assert walsh_basis(torch.eye(3, dtype=torch.bool), order=1).dimensions_S.tolist() == [1, 1, 1, 0, 0]


def test_more_sets_than_inputs_leave_no_rest():
    basis = feature_basis("all", {"first": np.arange(5), "second": np.random.default_rng(0).normal(size=(5, 9))})
    assert basis.dimensions_S.tolist() == [1, 4, 0, 0]


@pytest.mark.parametrize("copies", [1, 2])
def test_parities_on_the_cube_are_the_walsh_transform(copies):
    bits, values = cube(5), np.random.default_rng(3).normal(size=32)
    basis = walsh_basis(np.tile(bits, (copies, 1)), order=3)
    energies = basis.energies(np.tile(values, copies)[None, :, None])[0] / copies
    coefficients = dict(zip(map(tuple, bits), walsh_transform(values), strict=True))
    for subset in subsets(5, 3):
        member = tuple(int(bit in subset) for bit in range(5))
        (place,) = basis.indices(",".join(map(str, subset)))
        assert energies[place] == pytest.approx(coefficients[member] ** 2)
    large = sum(value**2 for member, value in coefficients.items() if sum(member) > 3)
    assert energies[-1] == pytest.approx(large)
    assert basis.coarse.dimensions_S.tolist() == [1, 5, 10, 10, 32 * copies - 26]


def test_a_parity_on_a_sample_lies_where_it_belongs():
    bits_Nn = np.random.default_rng(4).integers(0, 2, (200, 12))
    basis = walsh_basis(bits_Nn, order=2)
    response = (1.0 - 2 * bits_Nn[:, 3]) * (1 - 2 * bits_Nn[:, 7])
    energies = basis.energies(response[None, :, None])[0]
    assert basis.indices("order 1", "3,7").size == 13
    assert energies[[0, *basis.indices("order 1"), *basis.indices("order 2")]].sum() == pytest.approx(200)
    assert energies.argmax() == basis.indices("3,7")[0]


def test_a_coarse_column_takes_nothing_from_the_columns_beside_it():
    # Seconds since 1970 in single precision, of which a tenth of the variation is rounding.
    rng = np.random.default_rng(5)
    fine_NF = rng.normal(size=(200, 60))
    seconds_N = 1.7e9 + rng.normal(size=200) * 2_000
    basis = feature_basis("mine", {"both": np.column_stack([fine_NF, seconds_N]).astype(np.float32)})
    assert basis.dimensions_S.tolist() == [1, 61, 138]
    energies_KS = basis.energies(fine_NF.T[:, :, None] - fine_NF.mean(0)[:, None, None])
    np.testing.assert_allclose(energies_KS[:, 1], np.square(fine_NF - fine_NF.mean(0)).sum(0), rtol=1e-9)


@pytest.mark.parametrize(
    ("features", "parts", "message"),
    [
        ({}, (), r"same inputs, got lengths \[\]"),
        ({"a": np.arange(3), "b": np.arange(4)}, (), r"got lengths \[3, 4\]"),
        ({"a": 3}, (), r"got lengths \[0\]"),
        ({"rest": np.arange(3)}, (), "neither may be called"),
        ({"a": np.arange(3)}, ("b", "c"), "one part per set"),
        ({"a": np.array([1.0, np.nan])}, (), "set 'a' of basis 'mine' must be labels"),
        ({"a": np.ones((2, 2), dtype=int)}, (), r"got int64 of shape \(2, 2\)"),
    ],
)
def test_mistakes(features, parts, message):
    with pytest.raises(InputError, match=message):
        feature_basis("mine", features, parts=parts)


def test_bits_are_bits():
    with pytest.raises(InputError, match="bits must be 0 or 1"):
        walsh_basis(np.array([[-1, 1]]), order=1)
