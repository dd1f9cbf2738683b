"""Whether series follow another one beyond the trend that all of a training have: correlation within short blocks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spectraledge.arrays import Float
from spectraledge.errors import InputError

_FEWEST_BLOCKS = 8
_SMOOTH = 0.98
_ROUNDING = 1e-12


@dataclass(frozen=True)
class BeyondTrend:
    """What of several series follows a target once every block has lost its own trend.

    Law: of series that are independent of the target P(p ≤ α) ≤ α, whatever trends they have.

    Attributes:
        correlation_S: Mean over blocks of the correlation within each, in [−1, 1].
        p_S: Two-sided p-value of each series alone.
        p_family_S: The same against the largest |correlation| of all series at once: P(any ≤ α) ≤ α if none follows.
        blocks: How many there are.
    """

    correlation_S: Float
    p_S: Float
    p_family_S: Float
    blocks: int


def beyond_trend(
    target_T: ArrayLike,
    series_ST: ArrayLike,
    *,
    block: int = 16,
    degree: int = 2,
    flips: int = 9_999,
    generator: np.random.Generator,
) -> BeyondTrend:
    """Correlate series with a target where neither its own trend nor theirs can help.

    Two curves of one training nearly always correlate, because both go somewhere: of independent random walks the
    correlation is "significant" in 9 cases of 10. Here both are cut into blocks, a polynomial is removed from each
    block, and what remains is correlated within the block. Our choice; blocks count alike, so that noise that
    grows or shrinks in training is no matter.
    Null: what is left of the target in a block is as likely as its negative, blocks being independent of each other.
    Then each block's correlation has a random sign, and flipping signs gives the null distribution, exactly so
    for random walks with any drift against any series. All series are flipped together, so that the
    correction for their number knows how much they resemble each other.
    Where the null fails: if both are means over the same overlapping windows, neighbouring blocks resemble each other
    in both, and p is too small (.08 in place of .05 for windows of 20 and blocks of 16): one of the two must be taken
    at single points. What remains of curves without any noise is the next term of their trends: refused.
    Laws: adding a polynomial of that degree to a block, or scaling it, changes nothing.

    Args:
        target_T: The target, evenly spaced.
        series_ST: The series at the same points, shape (S, T) or (T,).
        block: Points per block; what does not fill one is left out at the beginning. Default 16 (ours): three
            quarters of the points' freedom are left, and trends of a training are polynomials over so few points.
        degree: Of the polynomial. Default 2 (ours).
        flips: Number of random flips, B. Default 9,999 (ours): p down to 1e-4.
        generator: Source of randomness.

    Returns:
        Correlations and p-values.

    Raises:
        InputError: if lengths differ, a value is not finite, there are fewer than 8 blocks, a setting is out of range,
            a series has nothing but a trend, or the target and a series are both smooth.

    Cost: O(S·T + S·B·T/block) time.
    """
    target, series = np.asarray(target_T, dtype=np.float64), np.asarray(series_ST, dtype=np.float64)
    series = series[None] if series.ndim == 1 else series
    if target.ndim != 1 or series.ndim != 2 or series.shape[1] != len(target) or not len(series):
        raise InputError(f"expected a target (T,) and series (S, T), got {target.shape} and {series.shape}")
    if not (np.isfinite(target).all() and np.isfinite(series).all()):
        raise InputError("series must be finite, got NaN or infinity: cut them where they are undefined")
    if not 0 <= degree <= block - 5 or flips < 1:
        raise InputError(
            f"expected a degree in [0, block − 5] and 1 flip or more, got degree={degree}, block={block}, flips={flips}"
        )
    blocks = len(target) // block
    if blocks < _FEWEST_BLOCKS:
        raise InputError(
            f"{len(target)} points are {blocks} blocks of {block}, but signs of fewer than {_FEWEST_BLOCKS} prove "
            "nothing: take more points or shorter blocks"
        )
    left_nb, smooth = _without_trend(target, block, degree)
    others = [_without_trend(values, block, degree) for values in series]
    if smooth and (names := [number for number, (_, also) in enumerate(others) if also]):
        raise InputError(
            f"the target and series {names} are smooth curves: what remains of them is trend as well, and agrees or "
            "not by their shapes alone"
        )
    within_Sn = np.stack([(other_nb * left_nb).sum(axis=1) for other_nb, _ in others])
    correlation_S = within_Sn.mean(axis=1)
    null_BS = generator.choice([-1.0, 1.0], size=(flips, blocks)) @ within_Sn.T / blocks
    reached_S = np.abs(correlation_S) - _ROUNDING  # Equal up to rounding counts against a finding.
    p_S = (1 + (np.abs(null_BS) >= reached_S).sum(axis=0)) / (1 + flips)
    p_family_S = (1 + (np.abs(null_BS).max(axis=1)[:, None] >= reached_S).sum(axis=0)) / (1 + flips)
    return BeyondTrend(correlation_S, p_S, p_family_S, blocks)


def _without_trend(values_T: Float, block: int, degree: int) -> tuple[Float, bool]:
    """Return blocks without their polynomials, scaled to length 1 (0 where nothing is left), and if they are smooth."""
    # Smooth is what the next two degrees explain: by default they hold .15 of white noise, .4 of random walks, and more
    # than .999 of an exponential without noise.
    count = len(values_T) // block
    blocks_nb = values_T[len(values_T) - count * block :].reshape(count, block)
    basis_bD, _ = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, block), degree + 3, increasing=True))
    fitted_bD, next_bD = basis_bD[:, : degree + 1], basis_bD[:, degree + 1 :]
    left_nb = blocks_nb - blocks_nb @ fitted_bD @ fitted_bD.T
    left_nb -= left_nb @ fitted_bD @ fitted_bD.T
    length_n1 = np.linalg.norm(left_nb, axis=1, keepdims=True)
    known_n1 = length_n1 > 100 * np.finfo(np.float64).eps * np.linalg.norm(blocks_nb, axis=1, keepdims=True)
    if not known_n1.any():
        raise InputError(f"a series is a polynomial of degree {degree} in every block: nothing is left to correlate")
    unit_nb = np.where(known_n1, left_nb / np.where(known_n1, length_n1, 1.0), 0.0)
    return unit_nb, bool(np.square(unit_nb @ next_bD).sum() > _SMOOTH * known_n1.sum())
