"""A device that is none: its tensors lie on the CPU and say that they do not, and must not meet those that do.

Where no GPU is at hand this finds what would break on one: a tensor that was made in the wrong place, an array that was
taken without being brought back. Registering a device changes a process for good, so a process of its own does that.
"""

import functools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _DummyDeviceGuard,
    _DummyPrivateUse1Hook,
    _setup_privateuseone_for_python_backend,
)

from spectraledge import devices
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig

NAME = "standin"

MIXED = ("_copy_from", "index", "index_put_", "_index_put_impl_")
"""What takes tensors of the CPU beside those of a GPU: copies, and places."""

_twins: dict[int, torch.Tensor] = {}
"""The numbers of every tensor, by the address of its storage, which copies of the tensor have in common."""


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self):
        return [torch.bfloat16]


def _address(tensor):
    return tensor.untyped_storage()._cdata


def _wrapped(twin):
    tensor = torch._C._acc.create_empty_tensor(tuple(twin.shape), twin.dtype)
    _twins[_address(tensor)] = twin
    return tensor


def _as_contiguous(twin, size, stride, offset=0):
    """Strides of a view of a tensor that says it is contiguous, in its twin, which may lie in any way."""

    def place(flat):
        indices = np.unravel_index(flat, twin.shape) if twin.dim() else ()
        return sum(int(index) * step for index, step in zip(indices, twin.stride(), strict=True))

    count = twin.numel()
    first = place(offset) if offset < count else 0
    steps = [place(offset + step) - first if offset + step < count else 0 for step in stride]
    return twin, size, steps, twin.storage_offset() + first


def _on_the_stand_in(operation, *arguments, **options):
    """Do any operation on the twins."""
    name, given = operation._schema.name.removeprefix("aten::"), {}
    kept = []

    def twin(value):
        if isinstance(value, torch.device):
            return torch.device("cpu")
        if not isinstance(value, torch.Tensor):
            return value
        if value.device.type != "cpu":
            found = _twins[_address(value)]
            if found.shape != value.shape:
                # A view that PyTorch made itself.
                found = found.reshape(value.shape)
            if id(found) not in given:
                kept.append(found)
            given[id(found)] = value
            return found
        if value.dim() and name not in MIXED:
            raise RuntimeError(f"{operation} got a tensor {tuple(value.shape)} on the CPU beside those of the device")
        return value

    arguments, options = tree_map(twin, arguments), tree_map(twin, options)
    # Numbers that PyTorch has made of tensors come as numbers.
    arguments = [
        torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None)
        if str(argument.type) == "Tensor" and isinstance(value, bool | int | float)
        else value
        for value, argument in zip(arguments, operation._schema.arguments, strict=False)
    ]
    if name == "_copy_from":
        source, target = arguments[:2]
        target.copy_(source)
        return given.get(id(target), target)
    if "embedding_bag" in name:
        # It asks for contiguous tensors, and those of the device always say that they are.
        arguments = tree_map(lambda value: value.contiguous() if isinstance(value, torch.Tensor) else value, arguments)
    if name == "view":
        operation = torch.ops.aten.reshape.default
    if name == "as_strided":
        arguments = _as_contiguous(*arguments)
    made = operation(*arguments, **options)
    for value, found in zip(given.values(), kept, strict=True):
        # Where the outcome was written into a tensor of another size.
        if found.shape != value.shape:
            value.data = _wrapped(found)

    def back(value):
        if not isinstance(value, torch.Tensor):
            return value
        return given[id(value)] if id(value) in given else _wrapped(value)

    return tree_map(back, made)


def register():
    """Make the device known; for good."""
    hook, guard = _DummyPrivateUse1Hook(), _DummyDeviceGuard()
    _setup_privateuseone_for_python_backend(NAME, _Module(), hook, guard)
    library = torch.library.Library("_", "IMPL")
    library.fallback(_on_the_stand_in, "PrivateUse1")
    # What PyTorch makes of others that give a tensor another size, which a stand-in cannot follow.
    own = torch.library.Library("aten", "IMPL")
    for overload in ("default", "start", "start_step"):
        operation = getattr(torch.ops.aten.arange, overload)
        own.impl(operation, functools.partial(_on_the_stand_in, operation), "PrivateUse1")
    devices.TYPES = ("cpu", NAME)
    return library, own, hook, guard


def compare(folder, names, settings):
    """Carry analyses out on the CPU and on the stand-in, and hold their tables against each other."""
    for name in names:
        expected = ANALYSES[name].measure(folder, settings)
        found = ANALYSES[name].measure(folder, settings.model_copy(update={"device": NAME}))
        assert found.keys() == expected.keys()
        for table, frame in expected.items():
            pd.testing.assert_frame_equal(found[table], frame, rtol=1e-3, atol=1e-5, obj=f"{name}: {table}")
        print(name, *(f"{table} {len(frame)}" for table, frame in expected.items()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    kept = register()
    there = torch.arange(6.0).to(NAME)
    assert there.device.type == NAME
    np.testing.assert_array_equal(
        devices.host(there.view(2, 3).t() * 2), (torch.arange(6.0).view(2, 3).t() * 2).numpy()
    )
    try:
        there + torch.ones(6)
    except RuntimeError:
        pass
    else:
        raise AssertionError("tensors of two devices met")
    folder, *names = sys.argv[1:]
    compare(Path(folder), names, AnalysisConfig(window=4, nulls=2, surrogates=19, stride=4))
