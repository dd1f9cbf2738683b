"""Tensors that hold, from one snapshot to the next, what others of their shape held before."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

HEAD = 64
"""First numbers of a tensor that are compared."""

_FEWEST = 30
"""Numbers from which two tensors do not move past each other by chance."""

_NEARER = 0.5
"""How much nearer a tensor must be to what another one held than to what it held itself."""


def exchanged(before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Tell which tensors have changed places.

    Rule (ours): a tensor holds another one's numbers where its first 64 are less than half as far from those that the
    other of its shape held before as from its own; and some have changed places where each holds the numbers of one of
    them. Copies, as a network that follows another one takes, are no exchange.

    Args:
        before: Tensors of a snapshot by name.
        now: Those of the next one.

    Returns:
        The names, of all that changed places.
    """
    alike: dict[torch.Size, list[str]] = defaultdict(list)
    for name, tensor in now.items():
        if name in before and before[name].shape == tensor.shape and tensor.numel() >= _FEWEST:
            alike[tensor.shape].append(name)
    found: list[str] = []
    for names in alike.values():
        old_KN, new_KN = (torch.stack([each[name].reshape(-1)[:HEAD] for name in names]) for each in (before, now))
        # The faster way by products says of equal tensors that they are not.
        distance_KK = torch.cdist(new_KN, old_KN, compute_mode="donot_use_mm_for_euclid_dist")
        nearest_K = distance_KK.argmin(1)
        holders = (distance_KK.amin(1) < _NEARER * distance_KK.diagonal()).nonzero().flatten().tolist()
        if {int(nearest_K[place]) for place in holders} == set(holders):
            found += [names[place] for place in holders]
    return tuple(found)
