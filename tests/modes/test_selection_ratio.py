"""The selection ratio: against explicit traces, by its laws, and the coverage of its intervals."""

import numpy as np
import pytest
import torch
from basis_support import project
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.modes import (
    grouping_basis,
    isotropy_p_values,
    pair_basis,
    selection_p_values,
    selection_ratio_of_energies,
)
from spectraledge.spectrum import window_directions
from spectraledge.tasks import grouping, named_task

WIDTH, PARAMETERS = 2, 30


def basis_of(modulus=5, name="sum"):
    return grouping_basis(grouping(named_task("add", modulus=modulus), name))


def jacobian(inputs=25, parameters=PARAMETERS, seed=0):
    """J as (N, D, P): a random network's, with some functions of the input favoured."""
    rng = np.random.default_rng(seed)
    favoured = rng.normal(size=(inputs, inputs)) * np.geomspace(3, 0.3, inputs)
    return np.einsum("nm,mdp->ndp", favoured, rng.normal(size=(inputs, WIDTH, parameters))) + 1.0


def respond(jacobian_NDP, vectors_KP):
    return np.einsum("ndp,kp->knd", jacobian_NDP, vectors_KP)


def naive_trace(projector, jacobian_NDP, second_PP):
    """tr(P J C Jᵀ), coordinate by coordinate."""
    return sum(
        np.trace(projector @ jacobian_NDP[:, d] @ second_PP @ jacobian_NDP[:, d].T)
        for d in range(jacobian_NDP.shape[1])
    )


def naive_ratio(basis, names, jacobian_NDP, second_PP):
    covered = np.eye(len(basis.covered_N))
    jacobian_nDP = jacobian_NDP[basis.covered_N]
    projector, varying = project(basis, covered, *names), project(basis, covered, *basis.subspaces[1:])
    projector, varying = projector[:, basis.covered_N], varying[:, basis.covered_N]
    shares = [
        naive_trace(projector, jacobian_nDP, second) / naive_trace(varying, jacobian_nDP, second)
        for second in (second_PP, np.eye(len(second_PP)))
    ]
    return shares[0] / shares[1]


def window(seed=0, updates=6, parameters=PARAMETERS, center=True):
    updates_WP = torch.from_numpy(np.random.default_rng(seed).normal(size=(updates, parameters)) + 0.3)
    found = window_directions(updates_WP, center=center)
    rows = updates_WP - updates_WP.mean(0) if center else updates_WP
    return found.vectors_KP.numpy(), found.eigenvalues_K.numpy(), rows.numpy()


def orthonormal(parameters=PARAMETERS, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(parameters, parameters)))[0]


def selection_ratio(window_KND, eigenvalues_K, random_BND, basis, **options):
    energies = (basis.energies(response_KND) for response_KND in (window_KND, random_BND))
    return selection_ratio_of_energies(next(energies), eigenvalues_K, next(energies), basis, **options)


@pytest.mark.parametrize("name", ["sum", "dlog_sum"])
@pytest.mark.parametrize("center", [True, False])
def test_the_ratio_is_the_ratio_of_traces(name, center):
    basis, jacobian_NDP = basis_of(name=name), jacobian()
    vectors, eigenvalues, rows = window(center=center)
    found = selection_ratio(
        respond(jacobian_NDP, vectors),
        eigenvalues,
        respond(jacobian_NDP, orthonormal()),
        basis,
        unions={"low": ["frequency 1"], "all": ["frequency", "rest"]},
    )
    members = {name: [name] for name in basis.subspaces[1:]}
    members |= {"frequency": ["frequency"], "low": ["frequency 1"], "all": ["frequency", "rest"]}
    assert found.subspaces == tuple(members)
    expected = [naive_ratio(basis, names, jacobian_NDP, rows.T @ rows) for names in members.values()]
    np.testing.assert_allclose(found.ratio, expected, rtol=1e-9)
    np.testing.assert_allclose(found.ratio[-1], 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.ratio, found.numerator_share / found.denominator_share, rtol=1e-12)


def test_one_response_per_update_gives_the_same_numerator():
    basis, jacobian_NDP = basis_of(), jacobian()
    vectors, eigenvalues, rows = window()
    random_KND = respond(jacobian_NDP, orthonormal())
    by_direction = selection_ratio(respond(jacobian_NDP, vectors), eigenvalues, random_KND, basis)
    by_update = selection_ratio(respond(jacobian_NDP, rows), np.ones(len(rows)), random_KND, basis)
    np.testing.assert_allclose(by_update.numerator_share, by_direction.numerator_share, rtol=1e-10)


def test_isotropic_updates_select_nothing():
    basis, jacobian_NDP = pair_basis(grouping(named_task("add", modulus=5), "sum")), jacobian()
    found = selection_ratio(
        respond(jacobian_NDP, orthonormal(seed=1)), np.ones(PARAMETERS), respond(jacobian_NDP, orthonormal()), basis
    )
    np.testing.assert_allclose(found.ratio, 1.0, rtol=1e-10)


def test_a_planted_mode_has_its_exact_ratio():
    basis = basis_of(13)
    q = basis.indicator_nG.indices
    waves = [np.cos(2 * np.pi * frequency * q / 13) for frequency in range(1, 7)]
    # One parameter per frequency, of the same energy each; the weights move along that of frequency 4 only.
    jacobian_NDP = np.stack([np.outer(wave, [1.0, 2.0]) for wave in waves], axis=-1)
    found = selection_ratio(
        respond(jacobian_NDP, np.eye(6)[3:4]), np.array([2.5]), respond(jacobian_NDP, np.eye(6)), basis
    )
    expected = {f"frequency {frequency}": 6.0 * (frequency == 4) for frequency in range(1, 7)} | {"frequency": 1.0}
    ratios = dict(zip(found.subspaces, found.ratio, strict=True))
    assert ratios.keys() == expected.keys() | {"rest"}
    np.testing.assert_allclose([ratios[name] for name in expected], list(expected.values()), atol=1e-12)
    intervals = dict(zip(found.subspaces, zip(found.low, found.high, strict=True), strict=True))
    np.testing.assert_allclose(intervals["frequency 3"], 0.0, atol=1e-12)
    assert intervals["frequency 4"][0] < 6.0 < intervals["frequency 4"][1]


@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e3))
def test_the_mean_of_the_ratios_is_one_and_scales_do_not_matter(seed, scale):
    basis, jacobian_NDP = basis_of(), jacobian(seed=seed)
    vectors, eigenvalues, _ = window(seed)
    random_BP = np.random.default_rng(seed).normal(size=(8, PARAMETERS))
    responses = respond(jacobian_NDP, vectors), eigenvalues, respond(jacobian_NDP, random_BP)
    found = selection_ratio(*responses, basis)
    single = slice(0, len(basis.subspaces) - 1)
    np.testing.assert_allclose((found.ratio * found.denominator_share)[single].sum(), 1.0, rtol=1e-10)
    scaled = selection_ratio(responses[0] * scale, eigenvalues * scale, responses[2] / scale, basis)
    for before, after in ((found.ratio, scaled.ratio), (found.low, scaled.low), (found.high, scaled.high)):
        np.testing.assert_allclose(after, before, rtol=1e-9)


@given(seed=st.integers(0, 999))
def test_rotating_directions_of_equal_eigenvalue_changes_nothing(seed):
    basis, jacobian_NDP = basis_of(), jacobian()
    vectors = orthonormal(seed=2)[:4]
    mixed = np.vstack([orthonormal(3, seed) @ vectors[:3], vectors[3:]])
    eigenvalues, random_BND = np.array([2.0, 2.0, 2.0, 0.5]), respond(jacobian_NDP, orthonormal()[:5])
    found, rotated = (
        selection_ratio(respond(jacobian_NDP, rows), eigenvalues, random_BND, basis) for rows in (vectors, mixed)
    )
    np.testing.assert_allclose(rotated.ratio, found.ratio, rtol=1e-9)


def test_shifting_all_answers_alike_is_no_selection():
    basis, jacobian_NDP = basis_of(), jacobian()
    vectors, eigenvalues, _ = window()
    random_BND = respond(jacobian_NDP, orthonormal()[:5])
    found = selection_ratio(respond(jacobian_NDP, vectors), eigenvalues, random_BND, basis)
    shifted = selection_ratio(respond(jacobian_NDP, vectors) + 9.0, eigenvalues, random_BND - 7.0, basis)
    np.testing.assert_allclose(shifted.ratio, found.ratio, rtol=1e-9)
    assert "mean" not in found.subspaces


@pytest.mark.parametrize(("draws", "level"), [(8, 0.9), (20, 0.95)])
def test_intervals_cover_the_exact_ratio_as_often_as_they_say(draws, level):
    basis, jacobian_NDP = basis_of(), jacobian(parameters=120)
    vectors, eigenvalues, _ = window(parameters=120)
    window_KS = basis.energies(respond(jacobian_NDP, vectors))
    exact = selection_ratio_of_energies(
        window_KS, eigenvalues, basis.energies(respond(jacobian_NDP, np.eye(120))), basis
    ).ratio
    trials = 1_500
    random = np.random.default_rng(0).normal(size=(trials * draws, 120))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    energies = basis.energies(respond(jacobian_NDP, random)).reshape(trials, draws, -1)
    covered = []
    for drawn_BS in energies:
        found = selection_ratio_of_energies(window_KS, eigenvalues, drawn_BS, basis, level=level)
        covered.append((found.low <= exact) & (exact <= found.high))
    np.testing.assert_allclose(np.mean(covered, axis=0), level, atol=0.02)


def test_a_subspace_that_nothing_reaches_has_no_ratio():
    basis = basis_of(5)
    wave = np.cos(2 * np.pi * basis.indicator_nG.indices / 5)
    energies_KS = np.where(np.array(basis.subspaces) == "frequency 2", 0.0, basis.energies(wave[None, :, None]))
    found = selection_ratio_of_energies(energies_KS, np.ones(1), np.vstack([energies_KS, 2 * energies_KS]), basis)
    place = found.subspaces.index("frequency 2")
    np.testing.assert_array_equal([found.ratio[place], found.low[place], found.high[place]], np.nan)
    np.testing.assert_allclose(found.ratio[found.subspaces.index("frequency 1")], 1.0)


def test_what_does_not_fit_is_refused():
    basis = basis_of(5)
    energies_KS = np.ones((3, 4))
    with pytest.raises(
        InputError, match=r"shapes \(2, 4\) and \(B, 4\) for 2 eigenvalues and 4 subspaces, got \(3, 4\)"
    ):
        selection_ratio_of_energies(energies_KS, np.ones(2), energies_KS, basis)
    with pytest.raises(InputError, match=r"got \(3, 4\) and \(3, 5\)"):
        selection_ratio_of_energies(energies_KS, np.ones(3), np.ones((3, 5)), basis)
    for draws, eigenvalue in ((1, 1.0), (3, -1.0)):
        with pytest.raises(
            InputError, match=f"expected at least 2 random directions .* got {draws} and {min(eigenvalue, 0)}"
        ):
            selection_ratio_of_energies(energies_KS, np.full(3, eigenvalue), energies_KS[:draws], basis)
    with pytest.raises(InputError, match=r"level must be in \(0, 1\), got 1.0"):
        selection_ratio_of_energies(energies_KS, np.ones(3), energies_KS, basis, level=1.0)
    with pytest.raises(InputError, match="basis 'sum' has a subspace 'rest' already: give the union another name"):
        selection_ratio_of_energies(energies_KS, np.ones(3), energies_KS, basis, unions={"rest": ["frequency"]})
    for still, random in ((0.0, 1.0), (1.0, 0.0)):
        with pytest.raises(InputError, match="no response changes along the window's directions, or along the random"):
            selection_ratio_of_energies(still * energies_KS, np.ones(3), random * energies_KS, basis)
    with pytest.raises(InputError, match="no subspace 'task'"):
        selection_ratio_of_energies(energies_KS, np.ones(3), energies_KS, basis, unions={"own": ["task"]})


def naive_p_values(window_KS, eigenvalues, random_BS, basis, generator, permutations):
    pooled = np.vstack([window_KS, random_BS])
    orders = generator.permuted(np.tile(np.arange(len(pooled)), (permutations, 1)), axis=1)

    def ratio(order):
        dealt = pooled[order]
        return selection_ratio_of_energies(
            dealt[: len(eigenvalues)], eigenvalues, dealt[len(eigenvalues) :], basis
        ).ratio

    observed = ratio(np.arange(len(pooled)))
    as_large = [ratio(order) >= observed * (1 - 1e-12) for order in orders]
    return (1 + np.sum(as_large, axis=0)) / (1 + permutations)


def test_p_values_agree_with_ratios_dealt_out_one_by_one():
    basis, jacobian_NDP = basis_of(), jacobian()
    window_KS = basis.energies(respond(jacobian_NDP, orthonormal()[:4]))
    random_BS = basis.energies(respond(jacobian_NDP, orthonormal(seed=1)[:7]))
    eigenvalues = np.array([3.0, 1.0, 1.0, 0.2])
    found = selection_p_values(
        window_KS, eigenvalues, random_BS, basis, generator=np.random.default_rng(3), permutations=99
    )
    expected = naive_p_values(window_KS, eigenvalues, random_BS, basis, np.random.default_rng(3), 99)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_p_values_of_isotropic_windows_are_uniform():
    basis, jacobian_NDP = basis_of(), jacobian(parameters=200)
    eigenvalues, rng, trials = np.array([5.0, 2.0, 1.0]), np.random.default_rng(0), 800
    directions = rng.normal(size=(trials * 13, 200))
    energies = basis.energies(respond(jacobian_NDP, directions / np.linalg.norm(directions, axis=1, keepdims=True)))
    p_TU = np.array(
        [
            selection_p_values(drawn[:3], eigenvalues, drawn[3:], basis, generator=rng, permutations=99)
            for drawn in energies.reshape(trials, 13, -1)
        ]
    )
    for level in (0.05, 0.2, 0.5, 0.9):
        tolerance = 4 * np.sqrt(level * (1 - level) / trials)
        np.testing.assert_allclose(np.mean(p_TU <= level + 1e-12, axis=0), level, atol=tolerance)


def test_a_planted_selection_has_the_p_value_of_its_rank_and_what_is_unreached_has_none():
    basis = basis_of(7)
    q = basis.indicator_nG.indices
    reached = np.stack([np.cos(2 * np.pi * frequency * q / 7) for frequency in (1, 2)], axis=-1)[:, None]
    angles = np.linspace(0.3, 1.2, 30)
    random_BS = basis.energies(respond(reached, np.column_stack([np.sin(angles), np.cos(angles)])))
    # Exactly zero where only rounding is.
    unreached_S = np.isin(basis.subspaces, ["frequency 3", "rest"])
    random_BS[:, unreached_S] = 0.0
    window_KS = np.where(unreached_S, 0.0, basis.energies(respond(reached, np.eye(2)[:1])))
    p_U = selection_p_values(
        window_KS,
        np.array([2.0]),
        random_BS,
        basis,
        generator=np.random.default_rng(0),
        permutations=299,
        unions={"both": ["frequency 2", "frequency 1"]},
    )
    # One direction of 31 is the window's, and no other has as much of frequency 1.
    np.testing.assert_allclose(p_U[0], 1 / 31, atol=4 * np.sqrt(1 / 31 / 299))
    # Then frequency 2, frequency 3, the rest, all frequencies, both.
    np.testing.assert_array_equal(p_U[1:], [1.0, np.nan, np.nan, 1.0, 1.0])


def test_isotropy_p_values_are_uniform_for_isotropic_windows():
    parameters = 400
    basis, jacobian_NDP = basis_of(), jacobian(parameters=parameters)
    eigenvalues = np.array([5.0, 3.0, 1.0, 0.5, 0.2])
    trials, draws = 800, 15
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(trials * (draws + 5), parameters))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    energies = basis.energies(respond(jacobian_NDP, drawn)).reshape(trials, draws + 5, -1)
    p = np.array([isotropy_p_values(one[:5], eigenvalues, one[5:], basis) for one in energies])
    whole = p[:, -1]
    for level in (0.05, 0.2, 0.5):
        # Three standard errors of a share of the trials.
        np.testing.assert_allclose((whole <= level).mean(), level, atol=3 * np.sqrt(level * (1 - level) / trials))


def test_isotropy_p_values_find_what_a_dominant_eigenvalue_hides():
    basis, jacobian_NDP = basis_of(), jacobian(parameters=400)
    rng = np.random.default_rng(2)
    groups = project(
        basis, respond(jacobian_NDP, np.eye(400)).transpose(1, 0, 2).reshape(len(basis.covered_N), -1), "frequency"
    )
    # The direction of most energy among functions of the grouping.
    selected = np.linalg.svd(groups.reshape(len(groups), 400, -1).transpose(0, 2, 1).reshape(-1, 400))[2][0]
    window_KS = basis.energies(
        respond(jacobian_NDP, np.vstack([selected, np.linalg.qr(rng.normal(size=(400, 4)))[0].T]))
    )
    random = rng.normal(size=(25, 400))
    random_BS = basis.energies(respond(jacobian_NDP, random / np.linalg.norm(random, axis=1, keepdims=True)))
    eigenvalues = np.array([9.0, 0.2, 0.2, 0.2, 0.2])
    normal = isotropy_p_values(window_KS, eigenvalues, random_BS, basis)[-1]
    dealt = {"generator": np.random.default_rng(3), "permutations": 9_999}
    exact = selection_p_values(window_KS, eigenvalues, random_BS, basis, **dealt)[-1]
    assert normal < 5e-3
    assert exact > 1e-2
    np.testing.assert_allclose(
        isotropy_p_values(3 * window_KS, eigenvalues * 7, 2 * random_BS, basis)[-1], normal, rtol=1e-6
    )


def test_isotropy_p_values_where_random_directions_do_not_differ():
    basis = basis_of(5)
    wave = np.cos(2 * np.pi * basis.indicator_nG.indices / 5)
    energies_S = basis.energies(wave[None, :, None])[0]
    other_S = basis.energies(np.cos(4 * np.pi * basis.indicator_nG.indices / 5)[None, :, None])[0]
    mixed_S = energies_S + other_S
    place = ["frequency 1", "frequency 2", "rest", "frequency"].index("frequency 1")
    p = isotropy_p_values(energies_S[None], np.ones(1), np.vstack([mixed_S, mixed_S]), basis)
    assert p[place] == 0.0
    assert p[place + 1] == 1.0
    np.testing.assert_array_equal(p[-1], 1.0)
