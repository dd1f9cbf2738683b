"""What steps change of the networks of a stack, one row each, and copies of it that stay as they are."""

from collections.abc import Sequence
from dataclasses import fields

import torch

from spectraledge.training.step_rules import Flat
from spectraledge.trajectory import Layout


class Rows:
    """Weights and moments of S networks, and how parameters lie in a row of them.

    Args:
        flat: One row per network.
        layout: How parameters lie in a row.

    Attributes:
        flat: One row per network, changed in place by steps.
        layout: How parameters lie in a row.
    """

    def __init__(self, flat: Flat, layout: Layout) -> None:
        self.flat = flat
        self.layout = layout
        self._rest: Flat | None = None

    def at_rest(self) -> Flat:
        """Return all rows on the CPU, in memory of their own: 6·S·P numbers, copied once for all runs after a step."""
        if self._rest is None:
            rows = [getattr(self.flat, field.name) for field in fields(Flat)]
            # A GPU copies several times faster into memory that is pinned.
            self._rest = Flat(*(torch.empty_like(r, device="cpu", pin_memory=r.is_cuda).copy_(r) for r in rows))
        return self._rest

    def move_on(self) -> None:
        """Forget the copy that `at_rest` made: the rows change."""
        self._rest = None

    def chosen(self, places: Sequence[int]) -> "Rows":
        """Return some of the rows, in memory of their own."""
        at = torch.tensor(list(places), dtype=torch.int64, device=self.flat.weights.device)
        return Rows(Flat(*(getattr(self.flat, field.name)[at] for field in fields(Flat))), self.layout)
