"""How many eigenvalues of a window are signal: the noise floor of coordinates that move independently of each other."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.native.calls import call, can_take
from spectraledge.spectrum.band import check_real
from spectraledge.spectrum.windows import center_gram, window_eigenvalues

Null = Literal["lengths", "stationary", "phase", "sign"]
"""What the surrogates of a window keep; see `surrogate_updates`."""

_COLUMNS = 1 << 12
"""Parameters per block: its surrogates stay in the second-level cache."""

_STATE_BYTES = 5056
"""Of the state of PyTorch's generator on a CPU, as C reads it."""

_Randomise = Callable[[Tensor, int, torch.Generator], Iterator[Tensor]]


@dataclass(frozen=True)
class NoiseFloor:
    """Eigenvalues of a centred window beside those of its surrogates, rank by rank.

    Attributes:
        eigenvalues_W: float64, descending, of the updates without their mean, squared units of the parameters.
        floor_W: What the eigenvalue of each rank must exceed, the same units.
        ratio_W: Eigenvalue over floor; 0 where the floor is 0, as at the last rank, which centring takes.
        count: Leading eigenvalues above their floor, up to the first that is not.
        false_alarms: Probability of count ≥ 1 under the null; see `noise_floor` for which nulls it is exact.
    """

    eigenvalues_W: Tensor
    floor_W: Tensor
    ratio_W: Tensor
    count: int
    false_alarms: float


def noise_floor(
    updates_WP: Tensor,
    *,
    generator: torch.Generator,
    null: Null = "lengths",
    surrogates: int = 39,
    level: float = 0.05,
    storage_noise: float = 0.0,
) -> NoiseFloor:
    """Compare the eigenvalues of a window with those of surrogates in which coordinates move independently.

    Definition: parallel analysis (Horn 1965) with surrogates that keep the course of each coordinate. The floor of a
    rank is the m-th largest eigenvalue of that rank among the B surrogates, m = ⌊level·(B + 1)⌋. The spectrum is
    centred, whatever the null: a coordinate's mean over the window has no phase that could be randomised.
    Null: coordinates are independent of each other, given what `surrogate_updates` keeps. Under the null of "phase" and
    of "sign" the window is one more surrogate, so count ≥ 1 has probability m/(B + 1) ≤ level exactly. Under that of
    "lengths" and "stationary" the pooled autocovariance is estimated, and the probability is at most about that: less
    the fewer coordinates there are and the slower they move.
    Ranks behind a signal are judged more strictly, because surrogates spread its energy over all ranks. Not every
    shared course can be told from independent noise: a ramp looks like slow noise ("phase" and "sign" count it), a
    pulse in one update like a noisier update ("stationary" and "phase" count it). With very many coordinates the floor
    is sharp to less than a percent, and so small a departure from the null is counted: read `ratio_W` beside `count`.

    Args:
        updates_WP: The window's updates, shape (W, P), W ≥ 3.
        generator: Source of randomness, on the CPU.
        null: See `surrogate_updates`. Default "lengths" (our choice: of those that keep autocorrelation it alone is
            silent on updates that shrink; "phase" takes any autocorrelation for signal, given enough coordinates).
        surrogates: How many, B. Default 39 (our choice: the floor is the second largest of them).
        level: Largest probability of a false alarm. Default 5 % (our choice).
        storage_noise: As in `window_eigenvalues`.

    Returns:
        Eigenvalues, floor and count.

    Raises:
        InputError: if the input is not a matrix of at least three finite rows, the null is unknown, or there are too
            few surrogates for the level.

    Cost: O(B·W²·P) time, B·W² numbers of memory beside the input.
    """
    allowed = math.floor(level * (surrogates + 1) + 1e-9)
    if not 0 < level < 1 or allowed < 1:
        raise InputError(
            f"a level of {level} with {surrogates} surrogates gives no floor: "
            "choose a level in (0, 1) and at least 1/level − 1 surrogates"
        )
    gram_WW = _gram(updates_WP)
    from_time_WW, to_time_WW, randomise = _null(null, gram_WW)
    grams_BWW = gram_WW.new_zeros(surrogates, *gram_WW.shape)
    for part_WC in torch.split(updates_WP.detach(), _COLUMNS, dim=1):
        _add_grams(from_time_WW @ part_WC.double(), randomise, generator, grams_BWW)
    eigenvalues_W = window_eigenvalues(gram_WW, center=True, storage_noise=storage_noise)
    null_BW = window_eigenvalues(to_time_WW @ grams_BWW @ to_time_WW.T, center=True)
    floor_W = null_BW.sort(0, descending=True).values[allowed - 1]
    return NoiseFloor(
        eigenvalues_W,
        floor_W,
        torch.where(floor_W > 0, eigenvalues_W / floor_W, 0.0),
        int((eigenvalues_W > floor_W).long().cumprod(0).sum()),
        allowed / (surrogates + 1),
    )


def surrogate_updates(updates_WP: Tensor, *, generator: torch.Generator, null: Null = "lengths") -> Tensor:
    """Draw updates that move as these do in each coordinate, but independently between coordinates.

    A course that coordinates share is torn apart whatever its shape, slow or oscillating. By null:

    - "phase": phase randomisation (Theiler et al. 1992) of each coordinate on its own. Each frequency of the window
      keeps its amplitude and gets a uniform phase; the highest of an even window, which is real, a random sign, which
      tears nothing apart; frequency zero, the mean, stays. Law: periodograms and means are kept. Null: a whole period
      of a periodic stationary Gaussian process. A stretch of any other stationary process has ends that do not meet, so
      its frequencies are correlated, which phases ignore.
    - "stationary": the same, then mixed in time so that the Gram expected of many coordinates is not the circulant
      matrix of their summed periodogram but the Toeplitz matrix of their summed autocovariance, fitted to the centred
      Gram by least squares. Our choice; null: a stretch of a stationary process in each coordinate.
    - "lengths": each update is divided by its length, treated as in "stationary", and multiplied by it again. Our
      choice; null: coordinates are stationary but for a common factor of whatever course, such as a decaying learning
      rate or a burst of loss. Means after division stay: a drift whose speed follows the lengths is part of the null.
      Law: where all lengths are equal it is "stationary".
    - "sign": each number gets a random sign. For comparison: it keeps no autocorrelation; null: all numbers are
      independent and symmetric about 0, which differences of a stationary process are not.

    Args:
        updates_WP: Shape (W, P), W ≥ 3.
        generator: Source of randomness, on the CPU.
        null: What is kept.

    Returns:
        float64 tensor (W, P).

    Raises:
        InputError: if the input is not a matrix of at least three finite rows, or the null is unknown.
    """
    from_time_WW, to_time_WW, randomise = _null(null, _gram(updates_WP))
    return to_time_WW @ next(randomise(from_time_WW @ updates_WP.detach().double(), 1, generator))


def effective_dimension(eigenvalues_W: Tensor) -> Tensor:
    """Number of equal eigenvalues that would spread as widely: (Σλ)²/Σλ², the participation ratio.

    Laws: r equal eigenvalues and zeros give r; scaling changes nothing. White noise in W updates of P numbers gives
    about W/(1 + W/P).

    Args:
        eigenvalues_W: Shape (..., W), not negative.

    Returns:
        Shape (...), in [1, W]; 0 where all are zero.
    """
    squares = eigenvalues_W.square().sum(-1)
    return torch.where(squares > 0, eigenvalues_W.sum(-1).square() / squares, 0.0)


def _gram(updates_WP: Tensor) -> Tensor:
    check_real(updates_WP)
    if updates_WP.dim() != 2 or updates_WP.shape[0] < 3:
        raise InputError(f"a noise floor needs a window of shape (W ≥ 3, P), got {tuple(updates_WP.shape)}")
    width = len(updates_WP)
    gram_WW = torch.zeros(width, width, dtype=torch.float64, device=updates_WP.device)
    for part_WC in torch.split(updates_WP.detach(), _COLUMNS, dim=1):
        rows = part_WC.double()
        gram_WW += rows @ rows.T
    if not torch.isfinite(gram_WW).all():
        raise InputError("updates have values that are not finite: drop the snapshots after divergence")
    return gram_WW


def _null(null: Null, gram_WW: Tensor) -> tuple[Tensor, Tensor, _Randomise]:
    """Return the map from updates to what the null randomises, the map from the outcome to updates, and how it does."""
    if null not in ("lengths", "stationary", "phase", "sign"):
        raise InputError(f"unknown null {null!r}: expected 'lengths', 'stationary', 'phase' or 'sign'")
    if null == "sign":
        identity_WW = torch.eye(len(gram_WW), dtype=gram_WW.dtype, device=gram_WW.device)
        return identity_WW, identity_WW, _flip_signs
    waves_WW = _waves(len(gram_WW)).to(gram_WW)
    length_W = gram_WW.diagonal().sqrt()
    length_W = torch.where((length_W > 0) & (null == "lengths"), length_W, 1.0)
    even_WW = gram_WW / torch.outer(length_W, length_W)
    back_WW = waves_WW if null == "phase" else _from_waves_to_toeplitz(even_WW, waves_WW)
    return waves_WW.T / length_W, length_W[:, None] * back_WW, _randomise_phases


def _waves(width: int) -> Tensor:
    """Orthonormal Fourier basis over time, in columns: constant, cosines, sines, and for even W the sign change."""
    time_W1 = torch.arange(width, dtype=torch.float64, device="cpu")[:, None]
    angle = 2 * math.pi / width * time_W1 * torch.arange(1, (width - 1) // 2 + 1, device="cpu")
    alternating = (1 - 2 * (time_W1 % 2)) if width % 2 == 0 else time_W1[:, :0]
    waves = torch.cat([torch.ones_like(time_W1), angle.cos(), angle.sin(), alternating], 1)
    return torch.nn.functional.normalize(waves, dim=0)


def _from_waves_to_toeplitz(gram_WW: Tensor, waves_WW: Tensor) -> Tensor:
    """Return M such that M K Mᵀ, centred, is the fitted Toeplitz matrix where K is the mean Gram of random phases."""
    width = len(gram_WW)
    time_W = torch.arange(width, device=gram_WW.device)
    lag_WW = (time_W[:, None] - time_W).abs()
    # Centring mixes lags, so the autocovariance is fitted to the centred Gram, not averaged along its diagonals.
    shapes = torch.stack([center_gram((lag_WW == lag).double()) for lag in range(width)])
    fitted = torch.linalg.pinv(shapes.flatten(1).T) @ center_gram(gram_WW).flatten()
    values, vectors_WW = torch.linalg.eigh(center_gram(fitted[lag_WW]))
    root_WW = vectors_WW * values.clamp(min=0).sqrt() @ vectors_WW.T
    power = (waves_WW.T @ root_WW).square().sum(-1)
    pairs = (width - 1) // 2
    power[1 : 1 + 2 * pairs] = power[1 : 1 + 2 * pairs].reshape(2, pairs).mean(0).repeat(2)
    mixed_WW = root_WW @ waves_WW * torch.where(power > 1e-12 * power.max(), power.rsqrt(), 0.0)
    return torch.cat([waves_WW[:, :1], mixed_WW[:, 1:]], 1)


def _add_grams(waves_WC: Tensor, randomise: _Randomise, generator: torch.Generator, grams_BWW: Tensor) -> None:
    """Add to each Gram that of a surrogate."""
    if randomise is _randomise_phases and can_take(waves_WC, torch.float64) and _is_known(generator):
        _add_grams_in_c(waves_WC, generator, grams_BWW)
        return
    for index, surrogate_WC in enumerate(randomise(waves_WC, len(grams_BWW), generator)):
        grams_BWW[index] += surrogate_WC @ surrogate_WC.T


def _add_grams_in_c(waves_WC: Tensor, generator: torch.Generator, grams_BWW: Tensor) -> None:
    """Do so for random phases: the same numbers are drawn, and the generator is left in the same state."""
    state = generator.get_state()
    if call("add_surrogates", waves_WC.contiguous(), *waves_WC.shape, len(grams_BWW), state, grams_BWW):
        raise MemoryError(f"no memory for surrogates of {waves_WC.shape[1]} parameters")
    generator.set_state(state)


def _is_known(generator: torch.Generator) -> bool:
    return generator.device.type == "cpu" and len(generator.get_state()) == _STATE_BYTES and _draws_agree()


@functools.cache
def _draws_agree() -> bool:
    """Tell whether C draws what the PyTorch at hand draws: no version of it promises the next one's numbers."""
    waves_WC = torch.linspace(1, 2, 4 * 250, dtype=torch.float64, device="cpu").reshape(4, 250)
    found_BWW = torch.zeros(1, 4, 4, dtype=torch.float64, device="cpu")
    ours, theirs = (torch.Generator("cpu").manual_seed(1) for _ in range(2))
    _add_grams_in_c(waves_WC, ours, found_BWW)
    surrogate_WC = next(_randomise_phases(waves_WC, 1, theirs))
    same = torch.allclose(found_BWW[0], surrogate_WC @ surrogate_WC.T, rtol=0, atol=1e-9)
    return same and torch.equal(ours.get_state(), theirs.get_state())


def _randomise_phases(waves_WC: Tensor, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield so many surrogates, each in the place of the last."""
    width = len(waves_WC)
    pairs = (width - 1) // 2
    cosines, sines = slice(1, 1 + pairs), slice(1 + pairs, 1 + 2 * pairs)
    amplitude = torch.hypot(waves_WC[cosines], waves_WC[sines])
    alternating = waves_WC[1 + 2 * pairs :]
    surrogate = waves_WC.clone()
    for _ in range(count):
        turns = torch.rand(amplitude.shape, dtype=torch.float64, device="cpu", generator=generator)
        angle = turns.mul_(2 * math.pi).to(amplitude)
        torch.mul(amplitude, torch.cos(angle, out=surrogate[cosines]), out=surrogate[cosines])
        torch.mul(amplitude, angle.sin_(), out=surrogate[sines])
        torch.mul(alternating, _signs(alternating, generator), out=surrogate[1 + 2 * pairs :])
        yield surrogate


def _flip_signs(updates_WC: Tensor, count: int, generator: torch.Generator) -> Iterator[Tensor]:
    for _ in range(count):
        yield updates_WC * _signs(updates_WC, generator)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(2, like.shape, device="cpu", generator=generator).to(like) * 2 - 1
