"""How things are measured: in turn, in one run, beside the machine's own limit."""

import resource
import statistics
import time
from collections.abc import Callable

import torch

from spectraledge.products import multiply, multiply_stacks

Row = dict[str, object]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(baseline: Callable[[], object], ours: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios of neighbours: the machine's drift cancels."""
    pairs = [(seconds(baseline), seconds(ours)) for _ in range(repeats)]
    ratio = statistics.median(b / o for b, o in pairs)
    return statistics.median(b for b, _ in pairs), statistics.median(o for _, o in pairs), ratio


def gemm_rate(dtype: torch.dtype, device: str = "cpu", stacks: int = 1) -> float:
    """Sustained rate of the products themselves in FLOP/s, at the shape of a stack's batch: median of five runs."""
    shapes = (stacks, 1024, 128), (stacks, 256, 128), (stacks, 256)
    x, w, b = (torch.randn(shape, dtype=dtype, device=device) for shape in shapes)
    repeats = 200

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
