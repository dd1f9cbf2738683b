"""Online alarms on a series of numbers, each with a threshold that few runs without an event ever exceed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.spectrum.edge import Spectrum
from spectraledge.spectrum.gram import band_windows
from spectraledge.spectrum.rotation import window_rotation
from spectraledge.spectrum.walks import orthogonal_gram
from spectraledge.spectrum.windows import window_eigenvalues

Change = Literal["high", "low", "rise", "collapse", "plateau", "shift"]
"""What raises an alarm: a large or a small value, a phase, or another value than before (see `change_score`)."""

PLATEAU = 5
"""Values over which a plateau is judged (our choice: with the paper's snapshots 500 steps, a sixth of the way to
grokking)."""

EDGE = 3
"""Leading directions whose subspace is followed: the edge of Xu 2026, §2.3."""

_LEAST = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Detector:
    """A change of one number, and how much of it is an alarm.

    Attributes:
        quantity: Name of the number that is followed.
        change: What of it raises an alarm.
        threshold: Scores above it do (see `calibrated_threshold`).
        consecutive: ... once so many in a row are.
    """

    quantity: str
    change: Change
    threshold: float
    consecutive: int = 2

    @property
    def name(self) -> str:
        """Quantity and change in one word, as loggers want it."""
        return f"{self.quantity}_{self.change}"

    def stands(self, values_T: Tensor) -> bool:
        """Tell whether the alarm stands at the last value of a series.

        Args:
            values_T: The series, oldest first.

        Returns:
            Whether its last `consecutive` scores exceed the threshold.
        """
        return len(values_T) > 0 and bool(self._on(values_T)[-1])

    def alarm_steps(self, steps: Sequence[int], values_T: Tensor) -> list[int]:
        """Steps at which alarms begin.

        Definition: a step at which the last `consecutive` scores exceed the threshold, and at the step before it did
        not. Law: what comes later changes nothing, so the alarms of a training that still runs stay as they are.

        Args:
            steps: Step of each value.
            values_T: The series, oldest first, shape (T,).

        Returns:
            The steps, ascending; the first is the alarm that counts.

        Raises:
            InputError: if steps and values differ in number, or as `change_score` and `persistent_score`.
        """
        if len(steps) != len(values_T):
            raise InputError(f"every value needs a step, got {len(values_T)} values and {len(steps)} steps")
        if not len(steps):
            return []
        on_T = self._on(values_T)
        begins_T = on_T & ~torch.nn.functional.pad(on_T, (1, 0))[:-1]
        return [steps[int(place)] for place in begins_T.nonzero()]

    def _on(self, values_T: Tensor) -> Tensor:
        return persistent_score(change_score(values_T, self.change), self.consecutive) > self.threshold


def change_score(values_T: Tensor, change: Change) -> Tensor:
    """How much of a change there is at every point of a series, from values up to there alone.

    Definition (our choice): "high" is the value and "low" its negative; "rise" is the value over the smallest so far
    and "collapse" the largest so far over the value, so that both begin with 1; "plateau" is the smallest over the
    largest of the last five, 1 where nothing moves, and 0 until there are five; "shift" is the distance from the median
    of the values before (the lower of two in the middle), 0 for the first.
    Laws: none looks ahead; multiplying the series by a constant changes nothing of rises, collapses and plateaus.
    Null: 1 is not the null of a rise or a collapse, since a series of noise exceeds its own extremes too. Thresholds
    come from controls.

    Args:
        values_T: The series, oldest first, shape (T,); not negative for a rise, a collapse or a plateau.
        change: See above.

    Returns:
        float64 tensor (T,).

    Raises:
        InputError: if the change is unknown, the series is not one row, or a value is negative or not finite.
    """
    if change not in get_args(Change):
        raise InputError(f"unknown change {change!r}: expected {', '.join(get_args(Change))}")
    values, itself = values_T.double(), change in ("high", "low", "shift")
    if values.dim() != 1 or not (torch.isfinite(values) & ((values >= 0) | itself)).all():
        raise InputError(
            f"a series for {change!r} is one row of finite numbers{'' if itself else ' that are not negative'}, got "
            f"shape {tuple(values.shape)}: leave out what was not measured"
        )
    if change == "shift":
        return _shifts(values)
    if itself or not len(values):
        return -values if change == "low" else values
    seen = values.clamp(min=_LEAST)
    if change == "rise":
        return seen / seen.cummin(0).values
    if change == "collapse":
        return seen.cummax(0).values / seen
    spans = seen.unfold(0, PLATEAU, 1) if len(seen) >= PLATEAU else seen.new_ones(0, PLATEAU)
    flat = spans.amin(-1) / spans.amax(-1)
    return torch.cat([seen.new_zeros(len(seen) - len(flat)), flat])


def persistent_score(scores_T: Tensor, consecutive: int) -> Tensor:
    """Return the smallest of the last few scores: what a threshold must be below for an alarm.

    Args:
        scores_T: Scores, oldest first.
        consecutive: How many, at least 1.

    Returns:
        The same shape; minus infinity until there are as many.

    Raises:
        InputError: if `consecutive` is less than 1.
    """
    if consecutive < 1:
        raise InputError(f"an alarm needs at least 1 score above its threshold, got consecutive={consecutive}")
    padded = torch.nn.functional.pad(scores_T, (consecutive - 1, 0), value=-math.inf)
    return padded.unfold(0, consecutive, 1).amin(-1) if len(scores_T) else scores_T


def calibrated_threshold(controls: Sequence[Tensor], *, share: float = 0.05, consecutive: int = 2) -> float:
    """Smallest threshold at which at most a share of the control runs ever raises an alarm.

    Definition: with n control runs and the largest persistent score of each, the (⌊share·n⌋ + 1)-th largest of those.
    Law: a further run that is exchangeable with the controls raises an alarm with probability at most
    (⌊share·n⌋ + 1)/(n + 1), exactly that where there are no ties (Vovk et al. 2005). For this to be 5 % it takes 19
    controls; with fewer, the rate is 1/(n + 1) and no threshold that controls give can make it smaller.
    It holds for runs that are watched as long as the controls: an alarm may come at any time.

    Args:
        controls: Scores of each run without an event (see `change_score`), oldest first.
        share: Share of them that may alarm. Default 5 %.
        consecutive: Scores in a row that make an alarm. Default 2 (our choice: one odd snapshot is none).

    Returns:
        The threshold; minus infinity where no control has as many scores.

    Raises:
        InputError: if there is no control or the share is not in [0, 1), or as `persistent_score`.
    """
    if not controls or not 0 <= share < 1:
        raise InputError(
            f"a threshold needs at least one control and a share in [0, 1), got {len(controls)} controls and {share}"
        )
    peaks = [float(persistent_score(scores, consecutive).max()) if len(scores) else -math.inf for scores in controls]
    return sorted(peaks, reverse=True)[math.floor(share * len(peaks) + 1e-9)]


def gram_quantities(gram_NWW: Tensor, *, storage_noise_N: Tensor | None = None) -> dict[str, Tensor]:
    """What alarms follow in the Gram matrices of consecutive windows.

    Definition (our choice but for g23, trace and k*, Xu 2026, §2.3), with the eigenvalues λ of each window:
    "spike", λ_1 over that of updates of the same lengths at right angles (`orthogonal_gram`), and "spike_centered", the
    same of the window without its mean; "ratio_12" and "ratio_23", λ_1/λ_2 and λ_2/λ_3; "g23" and "trace";
    "k_star", the edge position.
    Null: updates of independent directions have spikes of 1 and ratios of their squared lengths.
    Laws: no window's values depend on another; multiplying all updates by c multiplies g23 and trace by c² and
    changes nothing else.

    Args:
        gram_NWW: Gram matrices of windows of at least 3 updates, oldest window first.
        storage_noise_N: Largest squared length that rounding of the stored parameters can give each window; smaller
            eigenvalues count as it. Default none.

    Returns:
        float64 tensors (N,), finite and not negative, by name.

    Raises:
        InputError: if windows have fewer than 3 updates.
    """
    width = gram_NWW.shape[-1]
    if width < 3:
        raise InputError(f"λ_2/λ_3 needs windows of at least 3 updates, got {width}")
    gram = gram_NWW.double()
    noise_N = gram.new_zeros(len(gram)) if storage_noise_N is None else storage_noise_N.double()
    trace_N = gram.diagonal(dim1=-2, dim2=-1).sum(-1)
    least_N = torch.maximum(noise_N, 8 * width * torch.finfo(torch.float64).eps * trace_N).clamp(min=_LEAST)
    plain, of_lengths, centered, of_lengths_centered = (
        Spectrum(window_eigenvalues(part, center=center, storage_noise=noise_N[:, None]), width, center)
        for center in (False, True)
        for part in (gram, orthogonal_gram(gram))
    )
    first_N, second_N, third_N = (torch.maximum(plain.eigenvalues_TW[:, k], least_N) for k in range(3))
    return {
        "spike": first_N / torch.maximum(of_lengths.eigenvalues_TW[:, 0], least_N),
        "spike_centered": torch.maximum(centered.eigenvalues_TW[:, 0], least_N)
        / torch.maximum(of_lengths_centered.eigenvalues_TW[:, 0], least_N),
        "ratio_12": first_N / second_N,
        "ratio_23": second_N / third_N,
        "g23": plain.gaps_TW[:, 1],
        "trace": plain.trace_T,
        "k_star": plain.k_star_T.double(),
    }


def subspace_overlap(gram_NVV: Tensor, *, storage_noise_N: Tensor | None = None) -> Tensor:
    """How little the leading subspace turned since the window before: the smallest cosine of `window_rotation`.

    Args:
        gram_NVV: Gram matrices of W + 1 consecutive updates, oldest first.
        storage_noise_N: As in `gram_quantities`, of the W + 1 updates.

    Returns:
        float64 tensor (N,), in [0, 1]: of the second window of each; 0 where there is no subspace of three dimensions.
    """
    noise = 0.0 if storage_noise_N is None else storage_noise_N[:, None]
    return window_rotation(gram_NVV, top=EDGE, storage_noise=noise)[:, -1].nan_to_num(0.0)


def gram_series(
    steps: Sequence[int], band_TW: Tensor, noise_T: Tensor, *, window: int
) -> dict[str, tuple[list[int], Tensor]]:
    """Every series that alarms can follow in the recorded inner products of updates.

    Args:
        steps: Step at which each update ends.
        band_TW: ⟨δθ_t, δθ_(t−lag)⟩ by update and lag, at least `window` lags.
        noise_T: Largest squared length that rounding of the stored parameters can give each update.
        window: Updates per window, at least 3.

    Returns:
        Steps and values by name: "update_norm", the length of every update; `gram_quantities` of every full window;
        "overlap" (`subspace_overlap`) from the second window on, where there are more than `window` lags.

    Raises:
        InputError: if the window is shorter than 3.
    """
    count, steps = len(steps), list(steps)
    found = {"update_norm": (steps, band_TW[:, 0].double().sqrt())}
    if count >= window:
        noise_N = noise_T.unfold(0, window, 1).sum(-1)
        quantities = gram_quantities(band_windows(band_TW, window), storage_noise_N=noise_N)
        found |= {name: (steps[window - 1 :], values) for name, values in quantities.items()}
    if count > window and band_TW.shape[1] > window:
        noise_N = noise_T.unfold(0, window + 1, 1).sum(-1)
        overlap_N = subspace_overlap(band_windows(band_TW, window + 1), storage_noise_N=noise_N)
        found["overlap"] = steps[window:], overlap_N
    return found


def _shifts(values_T: Tensor) -> Tensor:
    before = [values_T[:place].median() for place in range(1, len(values_T))]
    return (values_T - torch.stack([values_T[0], *before])).abs() if len(values_T) else values_T
