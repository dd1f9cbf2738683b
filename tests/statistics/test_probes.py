"""Probes against scikit-learn, one regression at a time; what noise, signal and leaks give."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, ShuffleSplit

from spectraledge.errors import InputError
from spectraledge.statistics import (
    Targets,
    blocked_folds,
    cross_validated_r2,
    in_sample_r2,
    random_features,
    row_column_folds,
)
from spectraledge.streams import numpy_generator

ALPHAS = (0.1, 3.0, 100.0)
ROUNDING = 1e-9  # a probe that learns nothing has R² 0, and some processors' sums leave 5e-14 of it


def all_pairs(modulus):
    return np.array([(a, b) for a in range(modulus) for b in range(modulus)])


def plain_folds(inputs, count, seed=0):
    return list(KFold(count, shuffle=True, random_state=seed).split(np.arange(inputs)))


def fold_kinds(pairs):
    return {
        "plain": plain_folds(len(pairs), 4),
        "overlapping": list(ShuffleSplit(4, test_size=0.3, random_state=0).split(pairs)),
        "blocked": blocked_folds(pairs.sum(axis=1) % 6, 3, numpy_generator(0)),
        "rows and columns": row_column_folds(pairs, 3, numpy_generator(0)),
    }


def squared_error(features, response, train, test, alpha):
    predicted = Ridge(alpha=alpha).fit(features[train], response[train]).predict(features[test])
    return float(((response[test] - predicted.reshape(response[test].shape)) ** 2).sum())


def naive_r2(features, response, folds, alphas):
    residual = total = 0.0
    for i, (train, test) in enumerate(folds):
        errors = []
        for alpha in alphas:
            error = 0.0
            for j, (other_train, other_test) in enumerate(folds):
                if j != i:
                    inner = [n for n in other_train if n in train]
                    validation = [n for n in other_test if n in train]
                    error += squared_error(features, response, inner, validation, alpha) if validation else 0.0
            errors.append(error)
        residual += squared_error(features, response, train, test, alphas[int(np.argmin(errors))])
        total += float(((response[test] - response[train].mean(axis=0)) ** 2).sum())
    return 1 - residual / total


def planted(pairs, rng, noise):
    """Two responses that depend on six features, weakly and strongly, and one that does not."""
    features = rng.normal(size=(len(pairs), 6)) + 2.0
    weights = rng.normal(size=(6, 4))
    signal = features @ weights
    scales = (noise, 0.1 * noise)
    responses = [signal + scale * rng.normal(size=signal.shape) + 5.0 for scale in scales]
    return features, np.array([*responses, rng.normal(size=signal.shape)])


@pytest.mark.parametrize("kind", ["plain", "overlapping", "blocked", "rows and columns"])
def test_cross_validated_r2_is_that_of_scikit_learn(kind):
    pairs = all_pairs(7)
    folds = fold_kinds(pairs)[kind]
    features, responses_KND = planted(pairs, np.random.default_rng(1), 4.0)
    expected = [naive_r2(features, response, folds, ALPHAS) for response in responses_KND]
    np.testing.assert_allclose(cross_validated_r2(features, responses_KND, folds, alphas=ALPHAS), expected, rtol=1e-9)


def test_more_features_than_inputs_are_no_obstacle():
    rng = np.random.default_rng(0)
    features, responses_KND = rng.normal(size=(25, 40)), rng.normal(size=(2, 25, 3))
    folds = plain_folds(25, 3)
    expected = [naive_r2(features, response, folds, ALPHAS) for response in responses_KND]
    np.testing.assert_allclose(cross_validated_r2(features, responses_KND, folds, alphas=ALPHAS), expected, rtol=1e-8)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 50.0])
def test_in_sample_r2_is_that_of_scikit_learn(alpha):
    features, responses_KND = planted(all_pairs(7), np.random.default_rng(0), 4.0)
    everything = np.arange(49)
    expected = [
        1
        - squared_error(features, response, everything, everything, alpha)
        / ((response - response.mean(axis=0)) ** 2).sum()
        for response in responses_KND
    ]
    np.testing.assert_allclose(in_sample_r2(features, responses_KND, alpha=alpha), expected, rtol=1e-9)


def test_a_single_penalty_needs_no_choice():
    features, responses_KND = planted(all_pairs(7), np.random.default_rng(0), 4.0)
    folds = plain_folds(49, 2)
    residual = [sum(squared_error(features, response, *fold, 3.0) for fold in folds) for response in responses_KND]
    total = [
        sum(((response[test] - response[train].mean(axis=0)) ** 2).sum() for train, test in folds)
        for response in responses_KND
    ]
    found = cross_validated_r2(features, responses_KND, folds, alphas=[3.0])
    np.testing.assert_allclose(found, 1 - np.array(residual) / np.array(total), rtol=1e-9)


def test_responses_are_probed_each_on_its_own():
    features, responses_KND = planted(all_pairs(7), np.random.default_rng(0), 4.0)
    folds = plain_folds(49, 4)
    together = cross_validated_r2(features, Targets.of(responses_KND), folds)
    alone = [float(cross_validated_r2(features, response[None], folds)[0]) for response in responses_KND]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e3))
def test_scaling_shifting_and_rotating_change_nothing(seed, scale):
    rng = np.random.default_rng(seed)
    features, responses_KND = planted(all_pairs(6), rng, 2.0)
    folds = plain_folds(36, 3)
    turn, turn_features = (np.linalg.qr(rng.normal(size=(size, size)))[0] for size in (4, 6))
    moved = scale * (responses_KND @ turn) + 7.0
    for measure in (lambda f, r: cross_validated_r2(f, r, folds), in_sample_r2):
        expected = measure(features, responses_KND)
        np.testing.assert_allclose(measure(features, moved), expected, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(
            measure(features @ turn_features - 3.0, responses_KND), expected, rtol=1e-6, atol=1e-8
        )


def test_planted_signal_is_recovered():
    rng = np.random.default_rng(0)
    features = random_features(2_000, 30, rng)
    signal = features[:, :10] @ rng.normal(size=(10, 20))
    share = 0.3
    noise = rng.normal(size=signal.shape) * math.sqrt((1 - share) / share * signal.var())
    found = cross_validated_r2(features, np.array([signal, signal + noise]), plain_folds(2_000, 5))
    np.testing.assert_allclose(found[0], 1.0, atol=1e-6)
    # Estimating 30 weights from 1,600 inputs costs (1 − share)·30/1,600 = .013.
    np.testing.assert_allclose(found[1], share - (1 - share) * 30 / 1_600, atol=0.015)


@pytest.mark.parametrize(("inputs", "count", "alpha"), [(97**2, 592, 1.0), (800, 100, 1.0), (300, 100, 200.0)])
def test_noise_has_the_in_sample_r2_that_is_documented(inputs, count, alpha):
    rng = np.random.default_rng(0)
    features = random_features(inputs, count, rng)
    responses_KND = rng.normal(size=(4, inputs, 8))
    centred = features - features.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(centred.T @ centred)
    expected = (1 - (alpha / (eigenvalues + alpha)) ** 2).sum() / (inputs - 1)
    found = in_sample_r2(features, responses_KND, alpha=alpha)
    error = math.sqrt(2 * expected * (1 - expected) / (inputs - 1) / 32)
    np.testing.assert_allclose(found.mean(), expected, atol=4.5 * error)
    if alpha == 1.0:
        np.testing.assert_allclose(expected, count / (inputs - 1), rtol=0.01)


def test_noise_has_no_cross_validated_r2():
    rng = np.random.default_rng(0)
    responses_KND = rng.normal(size=(10, 900, 8))
    found = cross_validated_r2(random_features(900, 100, rng), responses_KND, plain_folds(900, 5))
    assert found.min() > -0.02
    assert found.max() < 0.01
    assert in_sample_r2(random_features(900, 100, rng), responses_KND).min() > 0.09


def test_a_function_of_the_class_leaks_through_plain_folds_only():
    rng = np.random.default_rng(0)
    pairs = all_pairs(11)
    labels = pairs.sum(axis=1) % 11
    features, responses_KND = np.eye(11)[labels], rng.normal(size=(11, 5))[labels][None]
    leaking = cross_validated_r2(features, responses_KND, plain_folds(121, 5))
    sealed = cross_validated_r2(features, responses_KND, blocked_folds(labels, 5, numpy_generator(0)))
    assert leaking[0] > 0.99
    assert sealed[0] < ROUNDING


def test_a_function_of_the_row_plus_one_of_the_column_leaks_through_plain_folds_only():
    rng = np.random.default_rng(0)
    pairs = all_pairs(11)
    features = np.hstack([np.eye(11)[pairs[:, 0]], np.eye(11)[pairs[:, 1]]])
    responses_KND = (rng.normal(size=(11, 5))[pairs[:, 0]] + rng.normal(size=(11, 5))[pairs[:, 1]])[None]
    leaking = cross_validated_r2(features, responses_KND, plain_folds(121, 5))
    sealed = cross_validated_r2(features, responses_KND, row_column_folds(pairs, 5, numpy_generator(0)))
    assert leaking[0] > 0.99
    assert sealed[0] < ROUNDING


def test_a_wave_of_the_sum_passes_every_kind_of_fold():
    pairs = all_pairs(13)
    angle = 2 * np.pi * 3 * pairs.sum(axis=1) / 13
    features = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    responses_KND = (features @ np.random.default_rng(0).normal(size=(2, 5)))[None]
    folds = [
        blocked_folds(pairs.sum(axis=1) % 13, 4, numpy_generator(0)),
        row_column_folds(pairs, 4, numpy_generator(0)),
    ]
    np.testing.assert_allclose([cross_validated_r2(features, responses_KND, kind)[0] for kind in folds], 1, atol=1e-3)


def test_a_response_without_variation_has_no_r2():
    features = random_features(30, 3, numpy_generator(0))
    responses_KND = np.full((1, 30, 2), 0.1)
    np.testing.assert_array_equal(cross_validated_r2(features, responses_KND, plain_folds(30, 3)), 0.0)
    np.testing.assert_array_equal(in_sample_r2(features, responses_KND), 0.0)


def test_random_features_are_white():
    features = random_features(20_000, 3, numpy_generator(0))
    np.testing.assert_allclose(features.T @ features / 20_000, np.eye(3), atol=4.5 * math.sqrt(2 / 20_000))
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=4.5 / math.sqrt(20_000))


def test_what_cannot_be_probed_is_refused():
    features, responses_KND = np.random.default_rng(0).normal(size=(12, 2)), np.ones((1, 12, 3))
    folds = plain_folds(12, 3)
    with pytest.raises(InputError, match=r"needs responses \(K, N, D\), got \(12, 3\)"):
        in_sample_r2(features, responses_KND[0])
    with pytest.raises(InputError, match=r"of the same N inputs as the responses, got \(11, 2\) and 12"):
        cross_validated_r2(features[:11], responses_KND, folds)
    with pytest.raises(InputError, match="a probe needs finite numbers"):
        in_sample_r2(features, responses_KND * math.nan)
    for alphas in ([], [0.0], [1.0, -1.0]):
        with pytest.raises(InputError, match="ridge penalties must be positive"):
            cross_validated_r2(features, responses_KND, folds, alphas=alphas)
    with pytest.raises(InputError, match="needs at least 3 folds, got 2"):
        cross_validated_r2(features, responses_KND, folds[:2])
    with pytest.raises(InputError, match="a part that is empty or shared"):
        cross_validated_r2(features, responses_KND, [*folds, (np.arange(3), np.arange(2, 5))])
    with pytest.raises(InputError, match=r"an index outside 0..11"):
        cross_validated_r2(features, responses_KND, [*folds, (np.arange(3), np.array([12]))])
    halves = [(np.arange(4 * i, 4 * i + 4), np.arange(4) + 4 * ((i + 1) % 3)) for i in range(3)]
    with pytest.raises(InputError, match="share no training inputs to choose a penalty on"):
        cross_validated_r2(features, responses_KND, halves)
