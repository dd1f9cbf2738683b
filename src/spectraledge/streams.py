"""Named streams of random numbers, all derived from one root seed, none of them global for longer than a block."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derived_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream called `names` under the root `seed`: equal names give equal streams."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the NumPy generator of the stream called `names` under the root `seed`."""
    return np.random.default_rng(derived_seed(seed, *names))


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """Return the PyTorch (CPU) generator of the stream called `names` under the root `seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, *names))


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Let PyTorch draw from a stream of this seed, on the CPU and in single precision; afterwards all is as before."""
    kind = torch.get_default_dtype()
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(kind)
