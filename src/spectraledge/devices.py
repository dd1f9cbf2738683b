"""Where a recorded run is observed, the CPU or a GPU, and how what was computed there comes back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spectraledge.errors import DeviceError, InputError

CPU = torch.device("cpu")

TYPES = ("cpu", "cuda")
"""Types of device that analyses can compute on: those with double precision."""


def usable_device(name: str) -> torch.device:
    """Check that analyses can compute on a device.

    Args:
        name: "cpu", "cuda" or "cuda:N".

    Returns:
        The device.

    Raises:
        DeviceError: if it is none of these, or not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is not None and device.type == "mps":
        raise DeviceError(f"device {name!r} has no double precision, which analyses compute in: take cpu")
    if device is None or device.type not in TYPES or (device.type == "cpu" and device.index is not None):
        raise DeviceError(f"unknown device {name!r}: expected cpu, cuda or cuda:N")
    if device.type == "cuda":
        _check_gpu(device)
    return device


def _check_gpu(device: torch.device) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise DeviceError(
            f"device '{device}' needs a GPU and a PyTorch that is built for it, and PyTorch {torch.__version__} finds "
            "none here: take cpu, or see `doctor`"
        )
    if (device.index or 0) >= count:
        there = ", ".join(f"cuda:{number}" for number in range(count))
        raise DeviceError(f"there is no device '{device}': PyTorch finds {there}; take one of these, or cpu")


def check_room(device: torch.device, needed: int, what: str) -> None:
    """Refuse what cannot fit in the memory of a GPU; of the CPU see `check_memory`.

    Args:
        device: The device.
        needed: Bytes that it needs at least.
        what: What needs them.

    Raises:
        DeviceError: if there is less.
    """
    if device.type != "cuda":
        return
    # What PyTorch holds for later is free to this process.
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free = torch.cuda.mem_get_info(device)[0] + held
    if needed > free:
        raise DeviceError(
            f"{what} needs at least {needed / 1e9:,.1f} GB of memory on {device}, and {free / 1e9:,.1f} GB are free: "
            "let fewer processes share it, or take cpu"
        )


@contextmanager
def room_on(name: str) -> Iterator[None]:
    """Say in words when the memory of a device does not do for what is within.

    Args:
        name: The device.

    Yields:
        Nothing.

    Raises:
        DeviceError: if it does not.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"{name} has too little free memory for this: let fewer processes share it, or take cpu"
        ) from error


def device_name(name: str) -> str:
    """Return what a GPU is called, "" for the CPU."""
    device = usable_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else ""


def host(values: Tensor | NDArray[Any]) -> NDArray[Any]:
    """Return a tensor of any device as an array, of one on the CPU the same memory; an array as it is."""
    array: NDArray[Any] = values.numpy(force=True) if isinstance(values, Tensor) else values
    return array


def given_array(values: ArrayLike | Tensor) -> NDArray[Any]:
    """Return what a user gives as an array: a tensor of any device and type, a list, a frame.

    Args:
        values: Real numbers or strings.

    Returns:
        The array.

    Raises:
        InputError: if numbers are complex, of which NumPy would take the real parts, or masked, which it would unmask,
            or rows are of different lengths.
    """
    if isinstance(values, Tensor):
        # NumPy has no bfloat16.
        return given_array(host(values.double() if values.dtype == torch.bfloat16 else values))
    try:
        array: NDArray[Any] = np.asarray(values)
    except ValueError as error:
        raise InputError(f"expected an array, in which all rows are equally long ({error})") from error
    if np.ma.is_masked(values):
        raise InputError("masked arrays hold numbers behind their mask: fill them with what stands for none (.filled)")
    if array.dtype.kind == "c":
        raise InputError(f"expected real numbers, got {array.dtype}: give real and imaginary parts side by side")
    return array
