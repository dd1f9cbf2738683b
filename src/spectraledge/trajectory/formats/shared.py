"""Tensors of one file, or of one module, that are views of the same numbers."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from spectraledge.errors import InputError


def shared_numbers(tensors: Mapping[str, Tensor], place: str, advice: str) -> dict[str, str]:
    """Find tensors whose numbers all are numbers of another one, so that counting both would count them twice.

    Of two that hold the same numbers, in whatever order, the later name is the one that is found. Views of one storage
    that have no number in common, such as the parts of one flat buffer, are tensors of their own.

    Args:
        tensors: Plain tensors by name, none of them empty.
        place: Where they are, for the message.
        advice: What to do where they cannot be counted once each, for the message.

    Returns:
        By the name of such a tensor, the name of one that is none and holds its numbers.

    Raises:
        InputError: if two tensors have some of their numbers in common and others not.
    """
    by_storage: dict[int, list[str]] = defaultdict(list)
    for name, tensor in tensors.items():
        by_storage[tensor.untyped_storage().data_ptr()].append(name)
    found: dict[str, str] = {}
    for names in by_storage.values():
        wholes: list[str] = []
        # The larger first, so that a part meets its whole.
        for name in sorted(names, key=lambda name: -tensors[name].nbytes):
            for whole in wholes:
                share = _share(tensors[name], tensors[whole])
                if share == 1:
                    found[name] = whole
                    break
                if share:
                    raise InputError(
                        f"{place} has {name} and {whole} with {share:.0%} of the numbers of {name} in common, so they "
                        f"cannot be counted once each: {advice}"
                    )
            else:
                wholes.append(name)
    return found


def _share(part: Tensor, whole: Tensor) -> float:
    """Return how much of a tensor's storage belongs to another view of the same storage, too."""
    (first, last), (begin, end) = _span(part), _span(whole)
    if last <= begin or end <= first:
        return 0.0
    if begin <= first and last <= end and end - begin == whole.nbytes:
        return 1.0
    if part.dtype == whole.dtype and _geometry(part) == _geometry(whole):
        return 1.0
    held = torch.zeros(max(last, end) - min(first, begin), dtype=torch.bool, device="cpu")
    held[_places(whole) - min(first, begin)] = True
    return float(held[_places(part) - min(first, begin)].double().mean())


def _span(tensor: Tensor) -> tuple[int, int]:
    """Return the first byte of a view and the one behind its last."""
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    first = tensor.storage_offset() * tensor.itemsize
    return int(first), int(first + (reach + 1) * tensor.itemsize)


def _geometry(tensor: Tensor) -> tuple[int, list[tuple[int, int]]]:
    """Return what two views have alike that hold the same numbers in an order of axes of their own."""
    axes = [(int(stride), int(size)) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]
    return int(tensor.storage_offset()), sorted(axes)


def _places(tensor: Tensor) -> Tensor:
    """Return the places of all bytes of a view."""
    places = torch.tensor([tensor.storage_offset()], dtype=torch.int64, device="cpu")
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        places = (places[:, None] + stride * torch.arange(size, device="cpu")).flatten()
    return (places[:, None] * tensor.itemsize + torch.arange(tensor.itemsize, device="cpu")).flatten()
