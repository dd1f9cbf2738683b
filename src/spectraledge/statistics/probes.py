"""Linear probes in float64: how much of a response a set of features predicts on inputs it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import reduce
from itertools import combinations, compress
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve

from spectraledge.arrays import Bools, Float
from spectraledge.errors import InputError
from spectraledge.statistics.folds import Fold

ALPHAS = (1e-2, 1e0, 1e2, 1e4, 1e6)
"""Ridge penalties to choose from. Our choice: features of unit variance on 10² to 10⁴ inputs have Gram eigenvalues of
that size, so that these reach from no shrinkage to all of it."""


_MOST_CELLS = 64
"""Parts of the inputs whose sums are kept at a time; folds that overlap at random have more, and sum anew."""


@dataclass(frozen=True)
class _Moments:
    """Sums over some inputs, from which regressions on them and errors on them follow; those of parts add up."""

    count: int
    feature_F: Float
    target_C: Float
    gram_FF: Float
    cross_FC: Float
    square_C: Float

    @classmethod
    def of(cls, features_NF: Float, targets_NC: Float) -> "_Moments":
        return cls(
            len(features_NF),
            features_NF.sum(axis=0),
            targets_NC.sum(axis=0),
            features_NF.T @ features_NF,
            features_NF.T @ targets_NC,
            _squares(targets_NC),
        )

    def __add__(self, other: "_Moments") -> "_Moments":
        return _Moments(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def about(self, feature_F: Float, target_C: Float) -> tuple[Float, Float, Float]:
        """Gram of the features, their products with the targets and the targets' squares, less these means."""
        left_F2 = np.column_stack([feature_F, self.feature_F - self.count * feature_F])
        return (
            self.gram_FF - left_F2 @ np.stack([self.feature_F, feature_F]),
            self.cross_FC - left_F2 @ np.stack([self.target_C, target_C]),
            self.square_C - target_C * (2 * self.target_C - self.count * target_C),
        )


class Targets(NamedTuple):
    """Responses made ready for probes, once for any number of features.

    Attributes:
        centred_NC: The columns of all responses side by side, without their means, so that subtracting products of
            means later costs no digits.
        energy_K: Sum of the squares of every response, its mean included.
    """

    centred_NC: Float
    energy_K: Float

    @classmethod
    def of(cls, responses_KND: ArrayLike) -> "Targets":
        """Check responses and put them side by side.

        Args:
            responses_KND: K responses of D columns at N inputs.

        Returns:
            What probes of them need.

        Raises:
            InputError: if they are of no such shape, or a value is missing.
        """
        responses = np.asarray(responses_KND, dtype=np.float64)
        if responses.ndim != 3 or 0 in responses.shape:
            raise InputError(f"a probe needs responses (K, N, D), got {responses.shape}")
        _check_finite(responses)
        beside_NC = responses.transpose(1, 0, 2).reshape(responses.shape[1], -1)
        energy_K = _each(_squares(beside_NC), len(responses))
        return cls(beside_NC - beside_NC.mean(axis=0), energy_K)


class _Inputs:
    """Features and targets, summed over any union of parts of the folds: each input is multiplied once."""

    def __init__(self, features_NF: Float, targets_NC: Float, member_PN: Bools) -> None:
        cell_N = np.zeros(len(features_NF), dtype=np.int64)
        for member_N in member_PN:
            cell_N = np.unique(2 * cell_N + member_N, return_inverse=True)[1]
        # Inputs that are in the same parts stand together.
        order_N = np.argsort(cell_N, kind="stable")
        self.cell_N = cell_N[order_N]
        self.features_NF, self.targets_NC = features_NF[order_N], targets_NC[order_N]
        starts_C = np.flatnonzero(np.diff(self.cell_N, prepend=-1))
        self.member_PC = member_PN[:, order_N[starts_C]]
        parts = (np.split(rows, starts_C[1:]) for rows in (self.features_NF, self.targets_NC))
        few = len(starts_C) <= _MOST_CELLS
        self.cells = [_Moments.of(*part) for part in zip(*parts, strict=True)] if few else None

    def in_all(self, *places: int) -> _Moments:
        """Sums over the inputs that are in all of some parts, 2·fold + 0 to train on and + 1 to test on."""
        chosen_C: Bools = np.all(self.member_PC[list(places)], axis=0)
        if self.cells is None or not chosen_C.any():
            kept_N = chosen_C[self.cell_N]
            return _Moments.of(self.features_NF[kept_N], self.targets_NC[kept_N])
        return reduce(add, compress(self.cells, chosen_C))


class _Ridge:
    """Ridge regressions of all targets on all features, one for every penalty."""

    def __init__(self, train: _Moments, alphas: Sequence[float]) -> None:
        self.means = train.feature_F / train.count, train.target_C / train.count
        gram_FF, cross_FC, _ = train.about(*self.means)
        self.weights_AFC = [_solved(gram_FF, cross_FC, alpha) for alpha in alphas]

    def residual_energy(self, test: _Moments) -> Float:
        """Squared residuals summed over the test inputs for every penalty and target, shape (A, C)."""
        gram_FF, cross_FC, square_C = test.about(*self.means)
        errors = [
            square_C + (weights_FC * (gram_FF @ weights_FC - 2 * cross_FC)).sum(axis=0)
            for weights_FC in self.weights_AFC
        ]
        return np.maximum(errors, 0.0)

    def total_energy(self, test: _Moments) -> Float:
        """The same with the mean of the training inputs for a prediction, shape (C,)."""
        return test.about(*self.means)[2]


def _solved(gram_FF: Float, cross_FC: Float, alpha: float) -> Float:
    """(Gram + α)⁻¹ · cross; Cholesky's decomposition fails where α is lost beside the Gram's own rounding."""
    try:
        factor = cho_factor(gram_FF + alpha * np.eye(len(gram_FF)), overwrite_a=True, check_finite=False)
        solved: Float = cho_solve(factor, cross_FC, check_finite=False)
    except np.linalg.LinAlgError:
        eigenvalues_F, axes_FF = np.linalg.eigh(gram_FF)
        solved = axes_FF @ (axes_FF.T @ cross_FC / (np.maximum(eigenvalues_F, 0.0) + alpha)[:, None])
    return solved


def cross_validated_r2(
    features_NF: ArrayLike,
    responses_KND: ArrayLike | Targets,
    folds: Sequence[Fold],
    *,
    alphas: Sequence[float] = ALPHAS,
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
        responses_KND: K responses of D columns; `Targets` of them where there are several sets of features.
        folds: Pairs of training and test indices; at least three if there is a penalty to choose.
        alphas: Ridge penalties to choose from, positive.

    Returns:
        R² of every response, shape (K,); 0 for a response that does not vary.

    Raises:
        InputError: if shapes do not fit, a value is missing, a penalty is not positive, folds are too few, empty or
            overlap, or no two of them can choose the penalty.

    Cost: O(N·F·(F + K·D)) once and, for L folds and A penalties, L(L + 1)/2·A solutions, O(F³ + F²·K·D) each. Memory:
    F·(F + K·D) numbers for every set of inputs that the folds treat alike, of which there are L where folds are blocks
    and L² where rows and columns are held out.
    """
    features, targets = _checked(features_NF, responses_KND, alphas)
    responses, penalties = len(targets.energy_K), list(alphas)
    inputs = _Inputs(features, targets.centred_NC, _members(folds, len(features), choosing=len(penalties) > 1))
    error_LAK = np.zeros((len(folds), len(penalties), responses))
    if len(penalties) > 1:
        for i, j in combinations(range(len(folds)), 2):
            ridge = _Ridge(inputs.in_all(2 * i, 2 * j), penalties)
            for chosen, other in ((i, j), (j, i)):
                validation = inputs.in_all(2 * other + 1, 2 * chosen)
                error_LAK[chosen] += _each(ridge.residual_energy(validation), responses)
    residual, total = np.zeros(responses), np.zeros(responses)
    for fold, error_AK in enumerate(error_LAK):
        ridge, test = _Ridge(inputs.in_all(2 * fold), penalties), inputs.in_all(2 * fold + 1)
        error_now_AK = _each(ridge.residual_energy(test), responses)
        residual += error_now_AK[error_AK.argmin(axis=0), np.arange(responses)]
        total += _each(ridge.total_energy(test), responses)
    return _explained(residual, total, targets)


def in_sample_r2(features_NF: ArrayLike, responses_KND: ArrayLike | Targets, *, alpha: float = 1.0) -> Float:
    """R² of a ridge regression on the inputs that it was fitted to: the published one, for comparison.

    Definition: Xu 2026, §6.6, with α = 1; see `cross_validated_r2`, which is the one to trust.
    Null: not 0. Noise gives Σ_i (1 − (α/(λ_i + α))²)/(N − 1) over the eigenvalues λ_i of the Gram of the centred
    features, about F/(N − 1) for a small penalty: .06 for 592 features on all 97² pairs, .13 on half of them.

    Args:
        features_NF: Features of every input.
        responses_KND: See `cross_validated_r2`.
        alpha: Ridge penalty, positive. Default 1 (Xu 2026, §6.6).

    Returns:
        R² of every response, shape (K,); 0 for a response that does not vary.

    Raises:
        InputError: if shapes do not fit, a value is missing, or the penalty is not positive.
    """
    features, targets = _checked(features_NF, responses_KND, [alpha])
    moments, responses = _Moments.of(features, targets.centred_NC), len(targets.energy_K)
    ridge = _Ridge(moments, [alpha])
    residual, total = ridge.residual_energy(moments)[0], ridge.total_energy(moments)
    return _explained(_each(residual, responses), _each(total, responses), targets)


def random_features(inputs: int, count: int, generator: np.random.Generator) -> Float:
    """Return features that know nothing of the inputs, for a null of equal size: standard normal, (inputs, count)."""
    return generator.standard_normal((inputs, count))


def _each(energy_C: Float, responses: int) -> Float:
    """Energies of each response, summed over its columns; the last axis is theirs."""
    energy: Float = energy_C.reshape(*energy_C.shape[:-1], responses, -1).sum(axis=-1)
    return energy


def _squares(values_NC: Float) -> Float:
    """Sum of the squares of every column."""
    squares_C: Float = np.einsum("nc,nc->c", values_NC, values_NC)
    return squares_C


def _explained(residual_K: Float, total_K: Float, targets: Targets) -> Float:
    rounding = (4 * len(targets.centred_NC) * np.finfo(np.float64).eps) ** 2 * targets.energy_K
    varies = total_K > rounding
    explained: Float = np.where(varies, 1 - residual_K / np.where(varies, total_K, 1.0), 0.0)
    return explained


def _checked(
    features_NF: ArrayLike, responses_KND: ArrayLike | Targets, alphas: Sequence[float]
) -> tuple[Float, Targets]:
    """Features and targets without their means."""
    features = np.asarray(features_NF, dtype=np.float64)
    targets = responses_KND if isinstance(responses_KND, Targets) else Targets.of(responses_KND)
    if features.ndim != 2 or len(features) != len(targets.centred_NC):
        raise InputError(
            f"a probe needs features (N, F) of the same N inputs as the responses, got {features.shape} and "
            f"{len(targets.centred_NC)} inputs"
        )
    _check_finite(features)
    if len(alphas) == 0 or not min(alphas) > 0:
        raise InputError(f"ridge penalties must be positive, got {list(alphas)}")
    return features - features.mean(axis=0), targets


def _check_finite(values: Float) -> None:
    if not np.isfinite(values).all():
        raise InputError("a probe needs finite numbers, got NaN or infinity: leave out the inputs outside the basis")


def _members(folds: Sequence[Fold], inputs: int, *, choosing: bool) -> Bools:
    """Which inputs are in which parts of the folds, (P, N): 2·fold + 0 to train on and + 1 to test on."""
    least = 3 if choosing else 1
    if len(folds) < least:
        raise InputError(f"cross-validation needs at least {least} folds, got {len(folds)}")
    parts = [part for fold in folds for part in fold]
    filled = [part for part in parts if len(part) > 0]
    if any(np.max(part) >= inputs or np.min(part) < 0 for part in filled):
        raise InputError(f"a fold has an index outside 0..{inputs - 1}: were folds made for other inputs?")
    member_PN = np.zeros((len(parts), inputs), dtype=bool)
    for member_N, part in zip(member_PN, parts, strict=True):
        member_N[part] = True
    train_LN, test_LN = member_PN[::2], member_PN[1::2]
    if len(filled) < len(parts) or (train_LN & test_LN).any():
        raise InputError("a fold needs inputs to train on and others to test on, got a part that is empty or shared")
    if choosing and not all((one_N & other_N).any() for one_N, other_N in combinations(train_LN, 2)):
        raise InputError(
            "two folds share no training inputs to choose a penalty on: use more folds or a single penalty"
        )
    return member_PN
