"""A series of checkpoints of GPT-2's shape, read by the commands: time, bytes and peak memory of their own processes.

`rows()` is for the table of run.py. Run alone it prints its own; with --full in the shape of GPT-2 small (124,439,808
parameters, 23 checkpoints of 249 MB), which takes 6 GB of disk for some minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from baselines import svd_per_window
from measuring import Row, gemm_rate, row, seconds

from spectraledge.trajectory import Series, write_tensors

WINDOW, SNAPSHOTS = 20, 23

_COMMAND = """
import json, sys, time
from pathlib import Path
from spectraledge.cli import main
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
def numbers(name):
    lines = (line.split() for line in Path("/proc/self", name).read_text().splitlines() if ":" in line)
    return {fields[0].rstrip(":"): int(fields[1]) for fields in lines if len(fields) > 1 and fields[1].isdigit()}
mib, disk = numbers("status")["VmHWM"] / 1024, numbers("io")["read_bytes"]
print(json.dumps({"code": code, "mib": mib, "disk": disk, "processor": time.process_time()}))
"""
"""Runs a command and prints the most memory it held, mapped pages of files among it, what it took from disk, and its
processor time, which other work on the machine does not lengthen."""


def gpt2_shapes(layers: int, vocabulary: int, width: int = 768) -> dict[str, tuple[int, ...]]:
    """Names and shapes as Transformers stores them; 12 layers and 50,257 words are GPT-2 small."""
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (vocabulary, width), "wpe.weight": (1024, width)}
    for layer in range(layers):
        inside = {
            "ln_1.weight": (width,),
            "ln_1.bias": (width,),
            "attn.c_attn.weight": (width, 3 * width),
            "attn.c_attn.bias": (3 * width,),
            "attn.c_proj.weight": (width, width),
            "attn.c_proj.bias": (width,),
            "ln_2.weight": (width,),
            "ln_2.bias": (width,),
            "mlp.c_fc.weight": (width, 4 * width),
            "mlp.c_fc.bias": (4 * width,),
            "mlp.c_proj.weight": (4 * width, width),
            "mlp.c_proj.bias": (width,),
        }
        shapes |= {f"h.{layer}.{name}": shape for name, shape in inside.items()}
    return shapes | {"ln_f.weight": (width,), "ln_f.bias": (width,)}


def write_series(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """Write a random walk: matrices in bfloat16, vectors in float16."""
    generator = torch.Generator().manual_seed(0)
    theta = {name: 0.02 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for index in range(SNAPSHOTS):
        stored = {name: part.to(torch.bfloat16 if part.dim() > 1 else torch.float16) for name, part in theta.items()}
        write_tensors(folder / f"step_{1000 * index}" / "model.safetensors", stored)
        for part in theta.values():
            part += 0.004 * torch.randn(part.shape, generator=generator)


def forget(paths: Sequence[Path]) -> None:
    """Ask the system to drop files from its page cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def reading(paths: Sequence[Path]) -> float:
    """Seconds to read files once into one small buffer."""
    buffer = bytearray(1 << 22)

    def work() -> None:
        for path in paths:
            with path.open("rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    return seconds(work)


def run(*arguments: object) -> tuple[float, dict[str, float]]:
    """Run a command in a process of its own; seconds, and what it says of itself."""
    words = [sys.executable, "-c", _COMMAND, *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    took = time.perf_counter() - began
    told = json.loads(done.stdout.splitlines()[-1])
    if told["code"]:
        raise RuntimeError(done.stderr)
    return took, told


def whole_windows(folder: Path, patterns: Sequence[str]) -> tuple[float, int]:
    """Seconds for every snapshot of some tensors in memory and an SVD per window, and how many parameters they hold."""
    series = Series.open(folder, patterns)

    def work() -> None:
        rows = np.stack([vector.numpy() for _, vector, _ in series.vectors()])
        svd_per_window(np.diff(rows, axis=0), WINDOW)

    return seconds(work), series.layout.size


def rows(layers: int = 1, vocabulary: int = 2048, block: int = 1 << 20) -> list[Row]:
    """Return one dict per measurement; see `row` for the keys."""
    shapes = gpt2_shapes(layers, vocabulary)
    size = sum(int(np.prod(shape)) for shape in shapes.values())
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "series", Path(place) / "out"
        write_series(folder, shapes)
        paths = sorted(folder.rglob("*.safetensors"))
        stored = sum(path.stat().st_size for path in paths)
        analyze = ("analyze", folder, "--window", WINDOW, "--block", block, "--threads", 1, "--out", out, "--json")
        verify = ("checkpoints", "verify", folder, "--json")
        start, _ = run("doctor", "--json")
        forget(paths)
        disk = reading(paths)
        forget(paths)
        cold, cold_told = run(*analyze)
        cached = min(reading(paths) for _ in range(3))
        warm, warm_told = run(*analyze)
        part, measured = whole_windows(folder, ["h.0.attn.c_proj.*"])
        verified, verified_told = run(*verify)
        hashing = seconds(lambda: subprocess.run(["sha256sum", *paths], capture_output=True, check=True))
    products = 2 * (SNAPSHOTS - 1) * WINDOW * size / gemm_rate(torch.float64)
    more = {"bytes": float(stored), "start_seconds": start, "reading_seconds": cached}
    name = f"{SNAPSHOTS} checkpoints of {size:,} parameters"
    scaled = part * size / measured
    return [
        row(
            f"analyze: {name}, cached",
            scaled,
            warm,
            scaled / warm,
            cached + products,
            "reading the files once from the page cache, then W products per update at the GEMM rate",
            baseline="all snapshots of one matrix in memory, numpy.linalg.svd per window, scaled",
            peak_memory_mib=warm_told["mib"],
            processor_seconds=warm_told["processor"],
            **more,
        ),
        row(
            f"analyze: {name}, from disk",
            scaled + disk,
            cold,
            (scaled + disk) / cold,
            disk + products,
            "reading the files once from disk, then the same products",
            baseline="the same, and reading from disk",
            peak_memory_mib=cold_told["mib"],
            processor_seconds=cold_told["processor"],
            disk_bytes=float(cold_told["disk"]),
            disk_seconds=disk,
            **more,
        ),
        row(
            f"checkpoints verify: {name}, cached",
            hashing,
            verified,
            hashing / verified,
            cached,
            "reading the files once from the page cache",
            baseline="sha256sum of the files, which finds copies of whole files alone",
            peak_memory_mib=verified_told["mib"],
            processor_seconds=verified_told["processor"],
            **more,
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="the shape of GPT-2 small")
    torch.set_num_threads(1)
    for found in rows(12, 50_257) if parser.parse_args().full else rows():
        print(
            f"{found['path']:<66}{found['baseline_seconds']:10.2f} s {found['seconds']:9.2f} s {found['ratio']:7.1f}×"
            f"   limit {found['limit_seconds']:7.2f} s ({found['share_of_limit']:.0%})"
            f"   peak {found['peak_memory_mib']:6.0f} MiB   {found['bytes'] / found['seconds'] / 1e6:6.0f} MB/s"
        )
        print("   ", {name: found[name] for name in found if name.endswith(("bytes", "seconds"))})


if __name__ == "__main__":
    main()
