"""Random sketches of updates: inner products survive, most of the numbers do not."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.spectrum.band import check_real
from spectraledge.streams import derived_seed

_BLOCK = 1 << 16
"""Parameters hashed at a time."""


@dataclass(frozen=True)
class Sketch:
    """A fixed random linear map from P parameters to a few numbers that keeps inner products on average.

    Definition: count sketch (Charikar, Chen and Farach-Colton 2002). Every parameter is added, with a random sign, to
    one random bucket of `size`; both come from the seed and the parameter's place, so no P×d matrix exists and any
    block of parameters can be sketched alone.
    Laws: linear; ⟨Sx, Sy⟩ has mean ⟨x, y⟩ and variance (‖x‖²‖y‖² + ⟨x, y⟩² − 2 Σ x_i² y_i²)/d over seeds, so the
    eigenvalues of W updates of one length move by up to about 2√(W/d) of their squared length.

    Args:
        size: Numbers that are kept, d.
        seed: Which map. Updates to be compared must have one size and seed.

    Raises:
        InputError: if size is not in [1, 2³²).
    """

    size: int
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.size < 2**32:
            raise InputError(f"a sketch needs a size in [1, 2**32), got {self.size}")

    def __call__(self, update_P: Tensor, *, start: int = 0) -> Tensor:
        """Sketch one update or several.

        Args:
            update_P: Shape (..., P).
            start: The place among all parameters of the first one given. Sketches of the blocks of an update add up to
                the sketch of the whole.

        Returns:
            float64 tensor (..., d), units of the parameters.

        Cost: O(P) time; d numbers and a block of memory.
        """
        check_real(update_P)
        rows = update_P.detach()[None].flatten(0, -2)
        sketch = torch.zeros(len(rows), self.size, dtype=torch.float64, device=rows.device)
        for begin in range(0, rows.shape[1], _BLOCK):
            part = rows[:, begin : begin + _BLOCK].double()
            bucket, sign = (value.to(rows.device) for value in self._hashed(start + begin, part.shape[1]))
            sketch.scatter_add_(1, bucket.expand_as(part), part * sign)
        return sketch.reshape(*update_P.shape[:-1], self.size)

    def _hashed(self, start: int, count: int) -> tuple[Tensor, Tensor]:
        """Return bucket and sign of the parameters from `start` on."""
        stream = np.random.PCG64(derived_seed(self.seed, "sketch")).advance(start)
        bits = stream.random_raw(count)
        bucket = ((bits >> 32) * self.size >> 32).astype(np.int64)
        sign = 1.0 - 2.0 * (bits & 1)
        return torch.from_numpy(bucket), torch.from_numpy(sign)
