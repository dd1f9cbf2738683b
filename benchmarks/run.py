"""Speed against the idiomatic way and against the machine's own limit, measured in this run; see README.md beside it.

Writes benchmarks/results/<date>-<machine>.json and prints one table, and what every part took of its budget: at most
ten minutes in all, on two quiet cores without a GPU, once what is compiled is kept on disk. Names of parts as arguments
choose among them.
"""

import json
import os
import platform
import re
import sys
import time
from datetime import UTC, datetime

import checkpoints
import gpu
import measures
import numpy as np
import page
import responses
import spectra
import torch
import tracker
from measuring import RESULTS, gemm_rate, processor, read_rate
from rich.console import Console
from rich.table import Table

import training
from spectraledge.trajectory import environment

PARTS = {part.__name__: part for part in (training, spectra, responses, measures, tracker, checkpoints, page, gpu)}
BUDGETS = {
    "training": 230,
    "spectra": 50,
    "responses": 60,
    "measures": 85,
    "tracker": 65,
    "checkpoints": 50,
    "page": 20,
    "gpu": 600,
    "scaling": 25,
}
"""Seconds that each part may take on two quiet cores; the GPU's counts where there is one."""


def main(chosen: list[str]) -> None:
    unknown = set(chosen) - set(PARTS)
    if unknown:
        sys.exit(f"no part is called {', '.join(sorted(unknown))}: choose among {', '.join(PARTS)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)
    rows, spent = [], dict[str, float]()
    for name in chosen or PARTS:
        began = since = time.monotonic()
        for found in PARTS[name].rows():
            found["spent_seconds"] = time.monotonic() - since
            rows.append(found)
            print(f"{found['path']}: measured in {found['spent_seconds']:.0f} s", file=sys.stderr, flush=True)
            since = time.monotonic()
        spent[name] = time.monotonic() - began
    scaling = []
    if not chosen:
        began = time.monotonic()
        scaling = training.scaling()
        spent["scaling"] = time.monotonic() - began
    table = Table(title="One thread; medians of runs taken in turn")
    columns = "path", "baseline s", "ours s", "ratio", "limit s", "limited by", "share of limit", "peak MiB", "spent s"
    for column in columns:
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
            f"{r['spent_seconds']:.0f}",
        )
    Console(width=max(Console().width, 200)).print(table)
    for r in scaling:
        figures = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in r.items()
        )
        print(", ".join(figures))
    for name, seconds in spent.items():
        beyond = " (over its budget: the machine is busy, or slower)" if seconds > BUDGETS[name] else ""
        print(f"{name}: {seconds:.0f} s of {BUDGETS[name]} s{beyond}")
    print(f"all: {sum(spent.values()):.0f} s of {sum(BUDGETS[name] for name in spent)} s")
    RESULTS.mkdir(exist_ok=True)
    on_gpu = torch.cuda.is_available()
    machine = (
        f"{platform.system()} {processor()} {os.cpu_count()}cores {torch.cuda.get_device_name() if on_gpu else ''}"
    )
    named = re.sub(r"\([^)]*\)|processor", "", machine.lower()).split()
    parts = [f"{datetime.now(UTC):%Y-%m-%d}", *named, *chosen]
    path = RESULTS / f"{'-'.join(parts)}.json"
    rates = {"gemm_float32": gemm_rate(torch.float32), "gemm_float64": gemm_rate(torch.float64), "read": read_rate()}
    content = {
        "environment": {**environment(torch.device("cuda" if on_gpu else "cpu")), "processor": processor()},
        "rates_per_second": rates,
        "rows": rows,
        "scaling": scaling,
        "spent_seconds": spent,
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
