"""Linear probes in float64: how much of a response a set of features predicts on inputs it has not seen."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectraledge.errors import InputError
from spectraledge.statistics.folds import Fold

Float = NDArray[np.float64]
Ints = NDArray[np.int64]

ALPHAS = (1e-2, 1e0, 1e2, 1e4, 1e6)
"""Ridge penalties to choose from. Our choice: features of unit variance on 10² to 10⁴ inputs have Gram eigenvalues of
that size, so that these reach from no shrinkage to all of it."""


class _Ridge:
    """Ridge regressions of all targets on all features for every penalty, from one eigendecomposition of the Gram."""

    def __init__(self, features_NF: Float, targets_NC: Float, train: Ints) -> None:
        self.feature_mean, self.target_mean = features_NF[train].mean(axis=0), targets_NC[train].mean(axis=0)
        features, targets = features_NF[train] - self.feature_mean, targets_NC[train] - self.target_mean
        eigenvalues, self.axes = np.linalg.eigh(features.T @ features)
        self.eigenvalues = np.maximum(eigenvalues, 0.0)
        self.projected = self.axes.T @ (features.T @ targets)

    def residual_energy(self, features_NF: Float, targets_NC: Float, test: Ints, alphas_AK: Float) -> Float:
        """Squared residuals on the test inputs summed over them and over each response's columns, shape (A, K)."""
        rotated = (features_NF[test] - self.feature_mean) @ self.axes
        targets = targets_NC[test] - self.target_mean
        width = targets.shape[1] // alphas_AK.shape[1]
        return np.array(
            [
                _energy(
                    targets - rotated @ (self.projected / (self.eigenvalues[:, None] + np.repeat(alphas, width))),
                    len(alphas),
                )
                for alphas in alphas_AK
            ]
        )

    def total_energy(self, targets_NC: Float, test: Ints, responses: int) -> Float:
        """The same with the mean of the training inputs for a prediction, shape (K,)."""
        return _energy(targets_NC[test] - self.target_mean, responses)


def cross_validated_r2(
    features_NF: ArrayLike, responses_KND: ArrayLike, folds: Sequence[Fold], *, alphas: Sequence[float] = ALPHAS
) -> Float:
    """R² of ridge regressions on inputs that they have not seen, the penalty chosen on inputs of the training part.

    Definition: R² = 1 − Σ ‖residual‖² / Σ ‖response − mean of the training inputs‖², summed over the D columns of a
    response and over the test inputs of all folds. The intercept is not penalised. The penalty of a fold is the one of
    least error, for each response, over the other folds: for each of those, a regression on the inputs that are in both
    training parts predicts those of its test part that are in this fold's training part.
    Null: features that know nothing give 0 or less, whatever their number; compare with `random_features` of the same
    number all the same, and choose folds that keep what could leak on one side.
    Laws: scaling, shifting or rotating a response changes nothing; nor does rotating or shifting the features.

    Args:
        features_NF: Features of every input.
        responses_KND: K responses of D columns.
        folds: Pairs of training and test indices; at least three if there is a penalty to choose.
        alphas: Ridge penalties to choose from, positive.

    Returns:
        R² of every response, shape (K,); 0 for a response that does not vary.

    Raises:
        InputError: if shapes do not fit, a value is missing, a penalty is not positive, folds are too few, empty or
            overlap, or no two of them can choose the penalty.

    Cost: for L folds L(L + 1)/2 eigendecompositions, each O(N·F·(F + K·D) + F³), and A predictions, O(N·F·K·D) each.
    """
    features, targets, responses = _checked(features_NF, responses_KND, alphas)
    _check_folds(folds, len(features), choosing=len(alphas) > 1)
    grid_AK = np.repeat(np.asarray(alphas, dtype=np.float64)[:, None], responses, axis=1)
    error_LAK = np.zeros((len(folds), *grid_AK.shape))
    if len(alphas) > 1:
        for i, j in combinations(range(len(folds)), 2):
            ridge = _Ridge(features, targets, np.intersect1d(folds[i][0], folds[j][0]))
            for chosen, other in ((i, j), (j, i)):
                validation = np.intersect1d(folds[other][1], folds[chosen][0])
                error_LAK[chosen] += ridge.residual_energy(features, targets, validation, grid_AK)
    residual, total = np.zeros(responses), np.zeros(responses)
    for (train, test), error_AK in zip(folds, error_LAK, strict=True):
        ridge = _Ridge(features, targets, train)
        best_K = grid_AK[error_AK.argmin(axis=0), 0]
        residual += ridge.residual_energy(features, targets, test, best_K[None])[0]
        total += ridge.total_energy(targets, test, responses)
    return _explained(residual, total, targets)


def in_sample_r2(features_NF: ArrayLike, responses_KND: ArrayLike, *, alpha: float = 1.0) -> Float:
    """R² of a ridge regression on the inputs that it was fitted to: the published one, for comparison.

    Definition: Xu 2026, §6.6, with α = 1; see `cross_validated_r2`, which is the one to trust.
    Null: not 0. Noise gives Σ_i (1 − (α/(λ_i + α))²)/(N − 1) over the eigenvalues λ_i of the Gram of the centred
    features, about F/(N − 1) for a small penalty: .06 for 592 features on all 97² pairs, .13 on half of them.

    Args:
        features_NF: Features of every input.
        responses_KND: K responses of D columns.
        alpha: Ridge penalty, positive. Default 1 (Xu 2026, §6.6).

    Returns:
        R² of every response, shape (K,); 0 for a response that does not vary.

    Raises:
        InputError: if shapes do not fit, a value is missing, or the penalty is not positive.
    """
    features, targets, responses = _checked(features_NF, responses_KND, [alpha])
    everything = np.arange(len(features))
    ridge = _Ridge(features, targets, everything)
    residual = ridge.residual_energy(features, targets, everything, np.full((1, responses), alpha))[0]
    return _explained(residual, ridge.total_energy(targets, everything, responses), targets)


def random_features(inputs: int, count: int, generator: np.random.Generator) -> Float:
    """Return features that know nothing of the inputs, for a null of equal size: standard normal, (inputs, count)."""
    return generator.standard_normal((inputs, count))


def _energy(values_NC: Float, responses: int) -> Float:
    energy: Float = np.square(values_NC).sum(axis=0).reshape(responses, -1).sum(axis=1)
    return energy


def _explained(residual_K: Float, total_K: Float, targets_NC: Float) -> Float:
    rounding = (4 * len(targets_NC) * np.finfo(np.float64).eps) ** 2 * _energy(targets_NC, len(total_K))
    varies = total_K > rounding
    explained: Float = np.where(varies, 1 - residual_K / np.where(varies, total_K, 1.0), 0.0)
    return explained


def _checked(features_NF: ArrayLike, responses_KND: ArrayLike, alphas: Sequence[float]) -> tuple[Float, Float, int]:
    features, responses = np.asarray(features_NF, dtype=np.float64), np.asarray(responses_KND, dtype=np.float64)
    if features.ndim != 2 or responses.ndim != 3 or responses.shape[1] != len(features) or 0 in responses.shape:
        raise InputError(
            f"a probe needs features (N, F) and responses (K, N, D) of the same N inputs, got {features.shape} and "
            f"{responses.shape}"
        )
    if not (np.isfinite(features).all() and np.isfinite(responses).all()):
        raise InputError("a probe needs finite numbers, got NaN or infinity: leave out the inputs outside the basis")
    if len(alphas) == 0 or not min(alphas) > 0:
        raise InputError(f"ridge penalties must be positive, got {list(alphas)}")
    count, inputs, width = responses.shape
    return features, responses.transpose(1, 0, 2).reshape(inputs, count * width), count


def _check_folds(folds: Sequence[Fold], inputs: int, *, choosing: bool) -> None:
    least = 3 if choosing else 1
    if len(folds) < least:
        raise InputError(f"cross-validation needs at least {least} folds, got {len(folds)}")
    for train, test in folds:
        if len(train) == 0 or len(test) == 0 or len(np.intersect1d(train, test)) > 0:
            raise InputError(
                "a fold needs inputs to train on and others to test on, got a part that is empty or shared"
            )
        if max(np.max(train), np.max(test)) >= inputs or min(np.min(train), np.min(test)) < 0:
            raise InputError(f"a fold has an index outside 0..{inputs - 1}: were folds made for other inputs?")
    if choosing and any(len(np.intersect1d(one[0], other[0])) == 0 for one, other in combinations(folds, 2)):
        raise InputError(
            "two folds share no training inputs to choose a penalty on: use more folds or a single penalty"
        )
