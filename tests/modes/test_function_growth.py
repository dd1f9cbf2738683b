"""Growth of a function and what carries it, against the definitions as loops and laws on random numbers."""

import numpy as np
import pytest
from scipy import stats

from spectraledge import InputError, named_task
from spectraledge.modes import (
    carried_growth,
    feature_basis,
    grouping_basis,
    growth,
    in_their_plane,
    joint_basis,
    needed,
    pair_basis,
    random_frames,
    random_frames_in_plane,
)
from spectraledge.tasks import grouping


def bases():
    task = named_task("mul", modulus=11)
    logarithms, output = grouping(task, "dlog_sum"), grouping(task, "sum")
    half = np.random.default_rng(5).random(len(task.pairs_N2)) < 0.5
    features = np.random.default_rng(6).standard_normal((2, len(task.pairs_N2), 2))
    return [
        grouping_basis(output),
        grouping_basis(output.covering(half)),
        pair_basis(logarithms),
        pair_basis(output.covering(half)),
        joint_basis([output, logarithms]),
        feature_basis("features", dict(zip("xy", features, strict=True))),
    ]


@pytest.fixture(params=range(6), ids=["sum", "half", "pairs", "half of pairs", "joint", "features"])
def basis(request):
    return bases()[request.param]


def functions(basis, count, width=3):
    rng = np.random.default_rng(1)
    return rng.standard_normal((count, len(basis.covered_N), width)) + 0.3


def projected(basis, function_ND):
    """Every subspace's projection, column by column of the whole matrix of functions."""
    kept_nD = function_ND[basis.covered_N]
    functions_nR = basis.indicator_nG @ basis.coefficients_GR
    found = [np.broadcast_to(kept_nD.mean(0), kept_nD.shape)]
    for place in range(1, len(basis.subspaces) - 1):
        own_nR = functions_nR[:, basis.subspace_R == place]
        found.append(own_nR @ (own_nR.T @ kept_nD))
    return [*found, kept_nD - sum(found)]


def test_products_are_those_of_the_projections(basis) -> None:
    first, *others = functions(basis, 3)
    expected = [
        [np.vdot(p, q) for p, q in zip(projected(basis, first), projected(basis, one), strict=True)] for one in others
    ]
    found = basis.products(first, np.stack(others))
    np.testing.assert_allclose(found, expected, atol=1e-10)
    np.testing.assert_allclose(
        found.sum(1), [np.vdot(first[basis.covered_N], one[basis.covered_N]) for one in others], atol=1e-10
    )
    np.testing.assert_allclose(basis.products(first, first[None]), basis.energies(first[None]), atol=1e-10)


def test_a_projection_into_named_subspaces(basis) -> None:
    function_ND = functions(basis, 1)[0]
    chosen = basis.subspaces[1:3]
    expected = np.zeros_like(function_ND)
    expected[basis.covered_N] = sum(projected(basis, function_ND)[1:3])
    np.testing.assert_allclose(basis.projection(function_ND, *chosen), expected, atol=1e-10)


def test_the_law_of_growth(basis) -> None:
    before, after = functions(basis, 2)
    found = growth(before, after, basis)
    np.testing.assert_allclose(
        found.whole_S, basis.energies(after[None])[0] - basis.energies(before[None])[0], atol=1e-9
    )
    change = after - before
    cross = [2 * np.vdot(p, q) for p, q in zip(projected(basis, before), projected(basis, change), strict=True)]
    np.testing.assert_allclose(found.cross_S, cross, atol=1e-9)
    assert (found.square_S >= 0).all()


def test_functions_of_another_domain_are_refused(basis) -> None:
    short = functions(basis, 1)[0][:-1]
    with pytest.raises(InputError, match="take responses over the whole domain"):
        basis.products(short, short[None])
    with pytest.raises(InputError, match="take responses over the whole domain"):
        basis.projection(short, basis.subspaces[1])


def test_what_leading_directions_carry() -> None:
    rng = np.random.default_rng(2)
    gradient, update = rng.standard_normal((2, 30))
    vectors = np.linalg.qr(rng.standard_normal((30, 30)))[0].T
    carried = carried_growth(gradient, update, vectors)
    for k in range(1, 31):
        projector = vectors[:k].T @ vectors[:k]
        np.testing.assert_allclose(carried[k - 1], gradient @ projector @ update, atol=1e-12)
    np.testing.assert_allclose(carried[-1], gradient @ update, atol=1e-12)
    stacked = carried_growth(gradient, update, np.stack([vectors, vectors[::-1]]))
    np.testing.assert_allclose(stacked[0], carried)


@pytest.mark.parametrize(
    ("carried", "whole", "share", "expected"),
    [
        ([0.2, 0.6, 0.8, 1.0], 1.0, 0.5, 2),
        ([0.6, 0.2, 0.7, 0.9], 1.0, 0.5, 3),
        ([0.6, 0.9, 0.95, 0.99], 1.0, 0.5, 1),
        ([0.1, 0.2, 0.3, 0.4], 1.0, 0.5, None),
        ([-0.1, -0.6], -1.0, 0.5, 2),
        ([0.1, 0.2], 0.0, 0.5, None),
    ],
)
def test_how_many_directions_are_needed(carried, whole, share, expected) -> None:
    assert needed(np.array(carried), whole, share) == expected


def test_random_frames_are_orthonormal_and_isotropic() -> None:
    frames = random_frames(6, 4, 4000, np.random.default_rng(3))
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.broadcast_to(np.eye(4), (4000, 4, 4)), atol=1e-12)
    projectors = frames.transpose(0, 2, 1) @ frames
    np.testing.assert_allclose(projectors.mean(0), 4 / 6 * np.eye(6), atol=0.03)


def test_frames_in_a_plane_follow_the_law_of_whole_frames() -> None:
    size, count, draws = 12, 5, 4000
    gradient, update = np.random.default_rng(4).standard_normal((2, size))
    whole = carried_growth(gradient, update, random_frames(size, count, draws, np.random.default_rng(5)))
    drawn = random_frames_in_plane(size, count, draws, np.random.default_rng(6))
    in_plane = carried_growth(*in_their_plane(gradient, update), drawn)
    for k in range(count):
        assert stats.ks_2samp(whole[:, k], in_plane[:, k]).pvalue > 1e-3
        np.testing.assert_allclose(in_plane[:, k].mean(), (k + 1) / size * (gradient @ update), atol=0.15)
    # Another size is told apart, so that the test above can fail.
    other = carried_growth(
        *in_their_plane(gradient, update), random_frames_in_plane(24, count, draws, np.random.default_rng(6))
    )
    assert stats.ks_2samp(whole[:, 2], other[:, 2]).pvalue < 1e-6


def test_vectors_keep_their_products_in_their_plane() -> None:
    first, second = np.random.default_rng(7).standard_normal((2, 50))
    in_plane = np.stack(in_their_plane(first, second))
    np.testing.assert_allclose(in_plane @ in_plane.T, np.stack([first, second]) @ np.stack([first, second]).T)
    np.testing.assert_allclose(in_their_plane(np.zeros(3), np.ones(3)), [[0, 0], [0, np.sqrt(3)]])
