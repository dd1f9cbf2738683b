"""Speed against the idiomatic way and against the machine's own limit, measured in this run; see README.md beside it.

Writes benchmarks/results/<date>-<machine>.json and prints one table. Names of parts as arguments choose among them.
"""

import json
import os
import platform
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import checkpoints
import gpu
import measures
import numpy as np
import page
import responses
import spectra
import torch
import tracker
from measuring import gemm_rate, read_rate
from rich.console import Console
from rich.table import Table

import training
from spectraledge.trajectory import environment

RESULTS = Path(__file__).parent / "results"
PARTS = {part.__name__: part for part in (training, spectra, responses, measures, tracker, checkpoints, page, gpu)}


def main(chosen: list[str]) -> None:
    unknown = set(chosen) - set(PARTS)
    if unknown:
        sys.exit(f"no part is called {', '.join(sorted(unknown))}: choose among {', '.join(PARTS)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    rows = []
    for name in chosen or PARTS:
        began = time.monotonic()
        rows += PARTS[name].rows()
        print(f"{name}: measured in {time.monotonic() - began:.0f} s", flush=True)
    scaling = [] if chosen else training.scaling()
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
    Console(width=max(Console().width, 200)).print(table)
    for r in scaling:
        figures = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in r.items()
        )
        print(", ".join(figures))
    RESULTS.mkdir(exist_ok=True)
    processor = _processor()
    on_gpu = torch.cuda.is_available()
    machine = f"{platform.system()} {processor} {os.cpu_count()}cores {torch.cuda.get_device_name() if on_gpu else ''}"
    named = re.sub(r"\([^)]*\)|processor", "", machine.lower()).split()
    parts = [f"{datetime.now(UTC):%Y-%m-%d}", *named, *chosen]
    path = RESULTS / f"{'-'.join(parts)}.json"
    rates = {"gemm_float32": gemm_rate(torch.float32), "gemm_float64": gemm_rate(torch.float64), "read": read_rate()}
    content = {
        "environment": {**environment(torch.device("cuda" if on_gpu else "cpu")), "processor": processor},
        "rates_per_second": rates,
        "rows": rows,
        "scaling": scaling,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main(sys.argv[1:])
