"""Speed against the idiomatic way and against the machine's own limit, measured in this run; see README.md beside it.

Writes benchmarks/results/<date>-<machine>.json and prints one table.
"""

import json
import os
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from baselines import PlainLoop, perturbed_responses, svd_per_window
from rich.console import Console
from rich.table import Table

from spectraledge import RunConfig, Trainer, named_task, window_spectrum
from spectraledge.models import residual_tangents
from spectraledge.products import multiply
from spectraledge.training import RunFolder
from spectraledge.trajectory import Layout, environment

RESULTS = Path(__file__).parent / "results"
STEP_FLOP = 1.05e9
"""Multiply-adds times two of one training step (97 residues, batch 512), nothing computed twice; see README.md."""


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(baseline: Callable[[], object], ours: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of the ratios of neighbours: the machine's drift cancels."""
    pairs = [(seconds(baseline), seconds(ours)) for _ in range(repeats)]
    ratio = statistics.median(b / o for b, o in pairs)
    return statistics.median(b for b, _ in pairs), statistics.median(o for _, o in pairs), ratio


def gemm_rate(dtype: torch.dtype) -> float:
    """Best sustained rate of the products themselves in FLOP/s, at a batch's shape."""
    x, w, b = torch.randn(1024, 128, dtype=dtype), torch.randn(256, 128, dtype=dtype), torch.zeros(256, dtype=dtype)
    repeats = 300
    best = min(seconds(lambda: [multiply(x, w, b) for _ in range(repeats)]) for _ in range(5))
    return 2 * 1024 * 128 * 256 * repeats / best


def read_rate() -> float:
    """Bytes per second of summing 400 MB once."""
    data = torch.ones(100_000_000)
    return data.nbytes / min(seconds(data.sum) for _ in range(5))


def training(repeats: int = 5) -> dict[str, object]:
    task = named_task("add")
    config = RunConfig.for_task(task, protocol="paper", steps=1_000_000)
    trainer, plain = Trainer(config, task), PlainLoop()
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place) / "run", config, task) as recorder:
        evaluations = recorder.resume(trainer)

        def interval() -> None:
            trainer.advance(100)
            evaluations.append(trainer.evaluate())
            recorder.record(trainer, evaluations)

        interval()
        plain.interval()
        before, after, ratio = in_turn(plain.interval, interval, repeats)
    limit = 100 * STEP_FLOP / gemm_rate(torch.float32)
    name = "training: 100 steps, evaluation, snapshot"
    return row(name, before, after, ratio, limit, "GEMM rate", steps_per_second=100 / after)


def spectra(repeats: int = 3) -> dict[str, object]:
    updates = torch.randn(400, 131_072)
    sample = updates[:40].numpy()
    windows = 400 - 20 + 1
    scale = windows / (len(sample) - 20 + 1)
    before, after, _ = in_turn(lambda: svd_per_window(sample, 20), lambda: window_spectrum(updates, window=20), repeats)
    limit = updates.nbytes / read_rate()
    name = f"spectra: {windows} windows of 20 × 131,072"
    return row(name, before * scale, after, before * scale / after, limit, "reading the updates once")


def responses(repeats: int = 3) -> dict[str, object]:
    task, count = named_task("add"), 20
    trainer, plain = Trainer(RunConfig.for_task(task, protocol="paper"), task), PlainLoop()
    parameters = {name: value.double() for name, value in trainer.weights().items()}
    watched = {n: tuple(v.shape) for n, v in parameters.items() if ".attention." in n and n.endswith("weight")}
    layout = Layout(watched)
    directions = torch.nn.functional.normalize(torch.randn(count, layout.size, dtype=torch.float64), dim=1)
    pairs = torch.from_numpy(task.pairs_N2)
    model = plain.model.double()
    names = {n: p for n, p in model.named_parameters() if "self_attn" in n and n.endswith("weight")}
    theirs = [{n: torch.randn_like(p) for n, p in names.items()} for _ in range(count)]
    before, after, ratio = in_turn(
        lambda: perturbed_responses(model, theirs, pairs, 1e-4),
        lambda: residual_tangents(trainer.config.model, parameters, layout.split(directions), pairs),
        repeats,
    )
    # Per direction and 512 inputs: the tangent's products, nothing computed twice; see README.md.
    limit = count * len(pairs) / 512 * 0.47e9 / gemm_rate(torch.float64)
    return row("responses: 20 directions × 9,409 inputs, float64", before, after, ratio, limit, "GEMM rate")


def recording(repeats: int = 5) -> dict[str, object]:
    task = named_task("add")
    config = RunConfig.for_task(task, protocol="paper", steps=1_000_000)
    bare, recorded = Trainer(config, task), Trainer(config, task)
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place) / "run", config, task) as recorder:
        evaluations = recorder.resume(recorded)

        def without() -> None:
            bare.advance(100)
            bare.evaluate()

        def with_recording() -> None:
            recorded.advance(100)
            evaluations.append(recorded.evaluate())
            recorder.record(recorded, evaluations)

        with_recording()
        before, after, ratio = in_turn(without, with_recording, repeats)
    return row("recording: 100 steps with and without snapshots", before, after, ratio, before, "training without")


def row(
    name: str, before: float, after: float, ratio: float, limit: float, limited_by: str, **more: float
) -> dict[str, object]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "path": name,
        "baseline_seconds": before,
        "seconds": after,
        "ratio": ratio,
        "limit_seconds": limit,
        "limited_by": limited_by,
        "share_of_limit": limit / after,
        "peak_memory_mib": peak,
        **more,
    }


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    rows = [bench() for bench in (training, recording, spectra, responses)]
    table = Table(title="One thread; medians of runs taken in turn")
    for column in ("path", "baseline s", "ours s", "ratio", "limit s", "limited by", "share of limit", "peak MiB"):
        table.add_column(column, justify="left" if column in ("path", "limited by") else "right")
    for r in rows:
        table.add_row(
            r["path"],
            f"{r['baseline_seconds']:.2f}",
            f"{r['seconds']:.3f}",
            f"{r['ratio']:.2f}×",
            f"{r['limit_seconds']:.3f}",
            r["limited_by"],
            f"{r['share_of_limit']:.0%}",
            f"{r['peak_memory_mib']:.0f}",
        )
    Console().print(table)
    RESULTS.mkdir(exist_ok=True)
    machine = f"{platform.system()}-{platform.machine()}-{os.cpu_count()}cores".lower()
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{machine}.json"
    rates = {"gemm_float32": gemm_rate(torch.float32), "gemm_float64": gemm_rate(torch.float64), "read": read_rate()}
    content = {"environment": environment(torch.device("cpu")), "rates_per_second": rates, "rows": rows}
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
