"""How things are measured: in turn, in one run, beside the machine's own limit."""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from spectraledge.products import multiply, multiply_stacks

Row = dict[str, object]

RESULTS = Path(__file__).parent / "results"

LEAST_PAIRS = 3
PAIRS_SECONDS = 12.0
"""What the pairs of a row may take: once it is spent no further pair begins, but for the least number of them."""


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(
    baseline: Callable[[], object], ours: Callable[[], object], repeats: int, budget: float = PAIRS_SECONDS
) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios of neighbours: the machine's drift cancels."""
    began, pairs = time.perf_counter(), list[tuple[float, float]]()
    while len(pairs) < min(LEAST_PAIRS, repeats) or (len(pairs) < repeats and time.perf_counter() - began < budget):
        pairs.append((seconds(baseline), seconds(ours)))
    ratio = statistics.median(b / o for b, o in pairs)
    return statistics.median(b for b, _ in pairs), statistics.median(o for _, o in pairs), ratio


def gemm_rate(dtype: torch.dtype, device: str = "cpu", stacks: int = 1) -> float:
    """Sustained rate of the products themselves in FLOP/s, at the shape of a stack's batch: median of five runs."""
    shapes = (stacks, 1024, 128), (stacks, 256, 128), (stacks, 256)
    x, w, b = (torch.randn(shape, dtype=dtype, device=device) for shape in shapes)
    repeats = 50

    def work() -> None:
        for _ in range(repeats):
            multiply_stacks(x, w) if device == "cuda" else multiply(x[0], w[0], b[0])
        synchronize(device)

    work()
    return 2 * 1024 * 128 * 256 * stacks * repeats / statistics.median(seconds(work) for _ in range(5))


def synchronize(device: str) -> None:
    """Wait for what a GPU still has to do."""
    if device == "cuda":
        torch.cuda.synchronize()


def read_rate(device: str = "cpu") -> float:
    """Bytes per second of summing 400 MB once."""
    data = torch.ones(100_000_000, device=device)
    return data.nbytes / min(seconds(lambda: data.sum().item()) for _ in range(5))


def row(
    path: str, before: float, after: float, ratio: float, limit: float, limited_by: str, **more: float | str
) -> Row:
    """One line of the table; seconds, and peak memory of the process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "path": path,
        "baseline_seconds": before,
        "seconds": after,
        "ratio": ratio,
        "limit_seconds": limit,
        "limited_by": limited_by,
        "share_of_limit": limit / after,
        "peak_memory_mib": peak,
        **more,
    }


def processor() -> str:
    """Name of the processor, as the system calls it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))
