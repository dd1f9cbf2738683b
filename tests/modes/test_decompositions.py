"""Bases: against projectors written from the definition, by their laws, and on planted functions."""

import cmath
import math

import numpy as np
import pytest
from basis_support import grid, of_task, project
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.modes import grouping_basis, joint_basis, pair_basis
from spectraledge.modes.measures import group_means
from spectraledge.tasks import Grouping, Task, grouping

SIZES = [1, 2, 3, 4, 5, 8, 96, 97]


def hand_made(groups, order, name="hand"):
    groups_N = np.array(groups)
    return Grouping(name, "?", order, groups_N, np.full((len(groups), 2), -1), (0, 0))


def waves(groups, order, frequency):
    angle = 2 * np.pi * frequency * np.asarray(groups) / order
    return [np.cos(angle), np.sin(angle)]


def naive_projectors(maps, size):
    """Explicit n × n projectors of every subspace: Gram–Schmidt, one vector after the other."""
    spanned, projectors = [], {}

    def add(name, vectors):
        own = np.zeros((size, size))
        for vector in vectors:
            left = np.array(vector, dtype=float)
            for _ in range(3):
                for other in spanned:
                    left -= (other @ left) * other
            if np.linalg.norm(left) > 1e-8 * math.sqrt(size):
                spanned.append(left / np.linalg.norm(left))
                own += np.outer(spanned[-1], spanned[-1])
        projectors[name] = own

    add("mean", [np.ones(size)])
    for part, groups, order in maps:
        for frequency in range(1, order // 2 + 1):
            add(f"{part} {frequency}", waves(groups, order, frequency))
    projectors["rest"] = np.eye(size) - sum(projectors.values())
    return projectors


def lines(found):
    a, b = found.coordinates_N2.T
    order = found.order
    return [("a", a, order), ("b", b, order), ("sum", a + b, order), ("difference", a - b, order)]


def with_holes():
    found = grid(5)
    kept = np.random.default_rng(0).random(25) < 0.7
    return Grouping("holes", "a + b", 5, found.groups_N[kept], found.coordinates_N2[kept], (1, 1))


def joint(task_name, modulus, *names):
    groupings = [of_task(task_name, name, modulus) for name in names]
    return joint_basis(groupings), [(found.name, found.groups_N, found.order) for found in groupings]


def cases():
    for order in (2, 3, 4, 5, 8):
        yield f"grid {order}", pair_basis(grid(order)), lines(grid(order))
    yield "holes", pair_basis(with_holes()), lines(with_holes())
    logarithms = of_task("mul", "dlog_sum", 7)
    yield "grid of logarithms", pair_basis(logarithms), lines(logarithms)
    for found in (
        of_task("add", "sum", 7),
        of_task("add", "sum", 8),
        of_task("mul", "product", 7),
        of_task("square_sum", "output", 7),
        hand_made([0, 0, 0, 4, 4, 1, 1, 1, 1, 1], 6),
        hand_made([0] * 40 + [1, 2, 3, 4], 97),
        hand_made([2, 2, 2], 5),
        hand_made([0, 0, 0], 1),
        hand_made([0, 1, 2, 3], 4),
        hand_made([3], 4),
    ):
        yield f"{found.name} {found.order}", grouping_basis(found), [("frequency", found.groups_N, found.order)]
    yield "sum then dlog_sum", *joint("mul", 7, "sum", "dlog_sum")
    yield "dlog_sum then sum", *joint("mul", 7, "dlog_sum", "sum")
    yield "the same map twice", *joint("mul", 7, "dlog_sum", "output_dlog")


CASES = [pytest.param(basis, maps, id=name) for name, basis, maps in cases()]


def gram(basis):
    functions = basis.indicator_nG @ basis.coefficients_GR
    return functions.T @ functions


@pytest.mark.parametrize(("basis", "maps"), CASES)
def test_energies_projections_and_dimensions_agree_with_explicit_projectors(basis, maps):
    projectors = naive_projectors(maps, basis.size)
    assert list(projectors) == list(basis.subspaces)
    dimensions = [round(np.trace(projector)) for projector in projectors.values()]
    np.testing.assert_array_equal(basis.dimensions_S, dimensions)
    response_KND = np.random.default_rng(1).normal(size=(2, basis.size, 3)) + 2.0
    expected = [[np.square(p @ response).sum() for p in projectors.values()] for response in response_KND]
    np.testing.assert_allclose(basis.energies(response_KND), expected, rtol=1e-9, atol=1e-10)
    for name, projector in projectors.items():
        np.testing.assert_allclose(project(basis, response_KND[0], name), projector @ response_KND[0], atol=1e-10)


@pytest.mark.parametrize(("basis", "maps"), CASES)
def test_parseval_and_orthonormality(basis, maps):
    response_KND = np.random.default_rng(2).normal(size=(2, basis.size, 3)) - 1.0
    np.testing.assert_allclose(basis.energies(response_KND).sum(1), np.square(response_KND).sum((1, 2)), rtol=1e-12)
    assert basis.dimensions_S.sum() == basis.size
    assert len(basis.subspaces) == len(basis.parts) == len(basis.frequencies_S) == len(set(basis.subspaces))
    np.testing.assert_allclose(gram(basis), np.eye(len(basis.subspace_R)), atol=1e-10)
    np.testing.assert_allclose((basis.indicator_nG @ basis.coefficients_GR).sum(0), 0.0, atol=1e-10)


@pytest.mark.parametrize(("basis", "maps"), CASES)
def test_projectors_are_idempotent_orthogonal_and_complete(basis, maps):
    response_ND = np.random.default_rng(3).normal(size=(basis.size, 2)) + 1.0
    parts = {name: project(basis, response_ND, name) for name in basis.subspaces}
    np.testing.assert_allclose(sum(parts.values()), response_ND, atol=1e-10)
    for index, (name, part_nD) in enumerate(parts.items()):
        np.testing.assert_allclose(project(basis, part_nD, name), part_nD, atol=1e-10)
        own = np.zeros(len(parts))
        own[index] = np.square(part_nD).sum()
        np.testing.assert_allclose(basis.energies(part_nD[None])[0], own, atol=1e-10)


@pytest.mark.parametrize("order", SIZES)
@given(seed=st.integers(0, 999))
def test_equal_groups_give_the_fourier_transform_of_the_group_means(order, seed):
    rng = np.random.default_rng(seed)
    found = hand_made(rng.permutation(np.repeat(np.arange(order), 3)), order)
    basis = grouping_basis(found)
    response_KND = rng.normal(size=(2, 3 * order, 2))
    means = np.stack([group_means(response.T, found) for response in response_KND])
    power = np.square(np.abs(np.fft.rfft(means, axis=2))).sum(axis=1) * 3 / order
    power[:, 1:] *= np.where(2 * np.arange(1, order // 2 + 1) == order, 1.0, 2.0)
    np.testing.assert_allclose(basis.energies(response_KND)[:, :-1], power, atol=1e-10)
    twice = [1.0 if 2 * frequency == order else 2.0 for frequency in range(1, order // 2 + 1)]
    np.testing.assert_array_equal(basis.dimensions_S, [1, *twice, 2 * order])


@pytest.mark.parametrize("order", SIZES)
@given(seed=st.integers(0, 999))
def test_frequencies_of_unequal_groups_are_orthonormal_and_hold_every_function_of_the_group(order, seed):
    rng = np.random.default_rng(seed)
    groups_N = rng.choice(order, size=rng.integers(1, 300), p=rng.dirichlet(np.full(order, 0.5)))
    basis = grouping_basis(hand_made(groups_N, order))
    np.testing.assert_allclose(gram(basis), np.eye(len(basis.subspace_R)), atol=1e-9)
    assert basis.dimensions_S[:-1].sum() == len(np.unique(groups_N))
    response_ND = rng.normal(size=(order, 2))[groups_N]
    energies_S = basis.energies(response_ND[None])[0]
    np.testing.assert_allclose(energies_S[:-1].sum(), np.square(response_ND).sum(), rtol=1e-10)
    np.testing.assert_allclose(project(basis, response_ND, "rest"), 0.0, atol=1e-9)


@pytest.mark.parametrize("order", [96, 97])
def test_the_lines_of_a_large_grid_are_those_of_its_fourier_transform(order):
    basis = pair_basis(grid(order))
    response_ND = np.random.default_rng(0).normal(size=(order * order, 1))
    power = np.square(np.abs(np.fft.fft2(response_ND.reshape(order, order)))) / order**2
    half = order // 2

    def line(first, second, skipped=()):
        found = {
            f: {(first * f % order, second * f % order), (-first * f % order, -second * f % order)} for f in nonzero
        }
        return [sum(power[place] for place in places) * (f not in skipped) for f, places in found.items()]

    nonzero = range(1, half + 1)
    # With an even order (M/2, M/2) and (M/2, −M/2) are one: the sum has it.
    expected = [*line(1, 0), *line(0, 1), *line(1, 1), *line(1, -1, (half,) if order % 2 == 0 else ())]
    np.testing.assert_allclose(basis.energies(response_ND[None])[0, 1:-1], expected, atol=1e-9)
    assert basis.coarse.subspaces == ("mean", "a", "b", "sum", "difference", "rest")
    lost = 1 if order % 2 == 0 else 0
    long = order - 1
    np.testing.assert_array_equal(
        basis.coarse.dimensions_S, [1, long, long, long, long - lost, order**2 - 1 - 4 * long + lost]
    )


@pytest.mark.parametrize(
    ("first", "second", "subspace"),
    [(3, 0, "a 3"), (0, 6, "b 6"), (5, 5, "sum 5"), (8, 5, "difference 5"), (2, 4, "rest"), (0, 0, "mean")],
)
def test_a_plane_wave_is_found_in_its_line(first, second, subspace):
    found = grid(13)
    wave_N = np.array(
        [(cmath.exp(2j * cmath.pi * (first * a + second * b) / 13)).real for a, b in found.coordinates_N2]
    )
    response_KND = (wave_N[:, None] * np.array([1.0, -2.0]))[None]
    basis = pair_basis(found)
    energies_S = basis.energies(response_KND)[0]
    expected = np.zeros(len(basis.subspaces))
    expected[basis.indices(subspace)] = np.square(response_KND).sum()
    np.testing.assert_allclose(energies_S, expected, atol=1e-10)


@given(
    groups=st.lists(st.integers(-1, 5), min_size=1, max_size=20).filter(lambda groups: max(groups) >= 0),
    seed=st.integers(0, 999),
)
def test_the_frequencies_together_are_the_energy_between_groups(groups, seed):
    response_ND = np.random.default_rng(seed).normal(size=(len(groups), 3))
    inside = [response_ND[n] for n, group in enumerate(groups) if group >= 0]
    members = [[response_ND[n] for n, own in enumerate(groups) if own == group] for group in set(groups) - {-1}]
    mean = sum(inside) / len(inside)
    between = sum(len(rows) * np.square(sum(rows) / len(rows) - mean).sum() for rows in members)
    within = sum(np.square(row - sum(rows) / len(rows)).sum() for rows in members for row in rows)
    found = grouping_basis(hand_made(groups, 6)).coarse.energies(response_ND[None])[0]
    np.testing.assert_allclose(found, [len(inside) * np.square(mean).sum(), between, within], rtol=1e-9, atol=1e-10)


@given(seed=st.integers(0, 999))
def test_renaming_by_a_unit_permutes_the_frequencies(seed):
    rng = np.random.default_rng(seed)
    response_KND, unit = rng.normal(size=(1, 49, 2)), int(rng.integers(1, 7))
    found = of_task("add", "sum", 7)
    renamed = hand_made(unit * found.groups_N % 7, 7)
    # cos(2π·ω·(u·q)/7) is the wave of frequency u·ω in q.
    places = [min(unit * frequency % 7, -unit * frequency % 7) for frequency in (1, 2, 3)]
    np.testing.assert_allclose(
        grouping_basis(renamed).energies(response_KND)[0, 1:4],
        grouping_basis(found).energies(response_KND)[0, places],
        rtol=1e-9,
    )


def test_what_two_maps_share_goes_to_the_first():
    basis, _ = joint("mul", 7, "dlog_sum", "output_dlog")
    assert basis.dimensions_S[basis.indices("dlog_sum")].sum() == 5
    assert basis.dimensions_S[basis.indices("output_dlog")].sum() == 0
    swapped, _ = joint("mul", 7, "output_dlog", "dlog_sum")
    response_KND = np.random.default_rng(0).normal(size=(2, 36, 2))
    np.testing.assert_allclose(swapped.energies(response_KND), basis.energies(response_KND), rtol=1e-9, atol=1e-12)


def test_the_order_of_two_maps_decides_who_has_what_both_can_hold():
    found = of_task("mul", "sum", 7)
    response_KND = np.random.default_rng(0).normal(size=(7, 2))[found.groups_N][None]
    total = np.square(response_KND - response_KND.mean(axis=1, keepdims=True)).sum()
    first, second = (joint("mul", 7, *names)[0].coarse for names in (("sum", "output"), ("output", "sum")))
    np.testing.assert_allclose(first.energies(response_KND)[0, 1:], [total, 0, 0], atol=1e-10)
    _, output, left, rest = second.energies(response_KND)[0]
    between = grouping_basis(of_task("mul", "output", 7)).coarse.energies(response_KND)[0, 1]
    np.testing.assert_allclose([output, left, rest], [between, total - between, 0], atol=1e-10)
    assert between > 0.01 * total


def test_only_covered_inputs_count():
    found = of_task("add", "dlog_sum", 7)
    response_KND = np.random.default_rng(0).normal(size=(2, 49, 3))
    disturbed = response_KND.copy()
    disturbed[:, found.groups_N < 0] = np.nan
    for basis in (grouping_basis(found), pair_basis(found), joint_basis([of_task("add", "sum", 7), found])):
        assert basis.size == 36
        np.testing.assert_array_equal(basis.energies(disturbed), basis.energies(response_KND))
        assert project(basis, disturbed[0], "rest").shape == (36, 3)


def test_joint_bases_refuse_what_cannot_be_joined():
    one, other = of_task("add", "sum", 5), of_task("add", "sum", 7)
    with pytest.raises(InputError, match="needs groupings of different names over one domain, got none"):
        joint_basis([])
    with pytest.raises(InputError, match="got sum, sum over 25 pairs"):
        joint_basis([one, one])
    with pytest.raises(InputError, match="got sum, difference over 25, 49 pairs"):
        joint_basis([one, of_task("add", "difference", 7)])
    assert joint_basis([other]).subspaces == ("mean", "sum 1", "sum 2", "sum 3", "rest")
    disjoint = [hand_made([0, 1, -1, -1], 2, "left"), hand_made([-1, -1, 0, 1], 2, "right")]
    with pytest.raises(InputError, match="the groupings left, right together cover no pair"):
        joint_basis(disjoint)


def test_a_grid_without_coordinates_and_a_grouping_without_groups_are_refused():
    task = Task("axes", "?", 5, np.array([[0, 1], [2, 0], [0, 0]]), np.array([1, 2, 1]))
    with pytest.raises(InputError, match="the coordinates of grouping 'output_dlog' cover no pair: choose others"):
        pair_basis(grouping(task, "output_dlog"))
    with pytest.raises(InputError, match="the groups of grouping 'hand' cover no pair: choose others"):
        grouping_basis(hand_made([-1, -1], 3))
