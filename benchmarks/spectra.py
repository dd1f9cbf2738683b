"""Speed, scaling and memory of spectra: `rows()` for the table of run.py, or a table of its own when run alone.

Everything runs on one thread. Baselines are timed on a part and scaled where the whole would take minutes; a row says
so in `baseline`. Limits are measured in the same process.
"""

import ctypes
import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from baselines import svd_per_window
from measuring import Row, gemm_rate, in_turn, read_rate, row, seconds
from safetensors.torch import load_file

from spectraledge.spectrum import BandedGram, Sketch, block_windows, noise_floor, window_spectrum
from spectraledge.trajectory import Series, snapshot_path, write_tensors

WINDOW, PARAMETERS = 20, 131_072


def best(work: Callable[[], object], repeats: int = 3) -> float:
    return min(seconds(work) for _ in range(repeats))


def peak_mib(work: Callable[[], object]) -> float:
    """Most memory in use at once during the work, beyond what was in use before it (Linux; else NaN)."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")
    # What the allocator keeps of earlier work would hide what this work needs.
    ctypes.CDLL(None).malloc_trim(0)
    before = status_mib(status, "VmRSS")
    reset.write_text("5")
    work()
    return status_mib(status, "VmHWM") - before


def status_mib(status: Path, key: str) -> float:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(key)) / 1024


def band_limit(count: int, window: int, size: int, *, rates: tuple[float, float]) -> float:
    """Seconds to read float32 updates once and to multiply each with W updates in float64, nothing overlapped."""
    read, product = rates
    return 4 * count * size / read + 2 * count * window * size / product


def all_windows(rates: tuple[float, float], repeats: int = 5) -> Row:
    """381 windows of a run: the figure that the documentation gives."""
    updates = torch.randn(400, PARAMETERS)
    sample, scale = updates[:24].numpy(), (400 - WINDOW + 1) / 5
    before, after, ratio = in_turn(
        lambda: svd_per_window(sample, WINDOW), lambda: window_spectrum(updates, window=WINDOW), repeats
    )
    return row(
        f"spectra: {400 - WINDOW + 1} windows of {WINDOW} × {PARAMETERS:,}, float32",
        before * scale,
        after,
        ratio * scale,
        band_limit(400, WINDOW, PARAMETERS, rates=rates),
        "reading once, then W products per update at the GEMM rate",
        baseline="numpy.linalg.svd of 5 windows, scaled",
        flop_per_second=2 * 400 * WINDOW * PARAMETERS / after,
        reading_seconds=updates.nbytes / rates[0],
        peak_memory_mib=peak_mib(lambda: window_spectrum(updates, window=WINDOW)),
    )


def scaling(rates: tuple[float, float]) -> Iterator[Row]:
    """Cost against parameters, window and updates; updates come in pieces of one buffer, so memory is the window's."""
    cases = [(40, WINDOW, size) for size in (100_000, 1_000_000, 10_000_000)]
    cases += [(400, window, PARAMETERS) for window in (5, 10, 50, 100)]
    cases += [(count, WINDOW, PARAMETERS) for count in (100, 1600)]
    for count, window, size in cases:
        piece = torch.randn(min(count, 20_000_000 // size * 4, 400), size)

        def stream(count: int = count, window: int = window, piece: torch.Tensor = piece) -> None:
            gram = BandedGram(window)
            for start in range(0, count, len(piece)):
                gram.extend(piece[: count - start])

        sample = torch.randn(window, min(size, 1_000_000)).numpy()
        before = best(partial(svd_per_window, sample, window), 1) * (count - window + 1) * size / sample.shape[1]
        after = best(stream, 2)
        yield row(
            f"spectra: {count} updates, window {window}, {size:,} parameters",
            before,
            after,
            before / after,
            band_limit(count, window, size, rates=rates),
            "reading once, then W products per update at the GEMM rate",
            baseline="numpy.linalg.svd of one window of at most 10⁶ parameters, scaled",
            peak_memory_mib=peak_mib(stream),
            window_mib=4 * window * size / 2**20,
        )


def largest(rates: tuple[float, float], size: int = 50_000_000, block: int = 100_000) -> Row:
    """Updates that need not fit, exact, in blocks: all are the same part of memory, so that no machine needs 16 GB."""
    count, part = 40, torch.randn(40, block)

    def blockwise() -> None:
        block_windows(itertools.repeat(part, size // block), WINDOW)

    before = best(lambda: svd_per_window(part[:WINDOW].numpy(), WINDOW)) * (count - WINDOW + 1) * size / block
    after = best(blockwise, 1)
    return row(
        f"spectra: {count} updates, window {WINDOW}, {size:,} parameters in blocks of {block:,}",
        before,
        after,
        before / after,
        band_limit(count, WINDOW, size, rates=rates),
        "reading once, then W products per update at the GEMM rate",
        baseline=f"numpy.linalg.svd of one window of {block:,} parameters, scaled",
        peak_memory_mib=peak_mib(lambda: block_windows([part], WINDOW)),
        window_mib=4 * WINDOW * size / 2**20,
    )


def one_at_a_time(rates: tuple[float, float]) -> Row:
    """Updates as they come: what attaching to a training loop costs per snapshot."""
    updates = torch.randn(60, PARAMETERS)

    def stream() -> None:
        gram = BandedGram(WINDOW)
        for update in updates:
            gram.append(update)

    sample = updates[:WINDOW].numpy()
    before, after = best(lambda: svd_per_window(sample, WINDOW)), best(stream) / len(updates)
    return row(
        f"spectra: one more update of {PARAMETERS:,}",
        before,
        after,
        before / after,
        4 * WINDOW * PARAMETERS / rates[0],
        "reading the window once",
        baseline="numpy.linalg.svd of the window",
        peak_memory_mib=peak_mib(stream),
    )


def blocks_of_files(rates: tuple[float, float], size: int = 4_000_000, snapshots: int = 41) -> Row:
    """Snapshots in files, read whole against read in blocks of parameters."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for step in range(snapshots):
            write_tensors(snapshot_path(folder, step), {"weight": torch.randn(size // 1000, 1000)})
        paths = sorted((folder / "snapshots").iterdir())

        def whole() -> None:
            rows = torch.stack([load_file(path)["weight"].flatten().double() for path in paths])
            window_spectrum(rows.diff(dim=0), window=WINDOW)

        def in_blocks() -> None:
            series = Series.open(folder)
            block_windows(((update.update_P for update in block.updates()) for block in series.blocks(1 << 18)), WINDOW)

        before, after = best(whole, 2), best(in_blocks, 2)
        limit = 4 * snapshots * size / rates[0]
        more = {"baseline_peak_memory_mib": peak_mib(whole), "peak_memory_mib": peak_mib(in_blocks)}
    return row(
        f"spectra: {snapshots} files of {size:,} parameters in blocks of 2¹⁸",
        before,
        after,
        before / after,
        limit,
        "reading the files once from memory",
        baseline="all snapshots in memory, then window_spectrum",
        **more,
    )


def sketching(rates: tuple[float, float], size: int = 100_000_000, kept: int = 4096) -> Row:
    """One update of 10⁸ parameters, made and sketched in blocks of 10⁶."""
    block, few = torch.randn(1_000_000), 1 << 14
    sketch, part = Sketch(kept), torch.randn(few)

    def blockwise() -> None:
        total = torch.zeros(kept, dtype=torch.float64)
        for start in range(0, size, len(block)):
            total += sketch(block, start=start)

    before, after = best(lambda: torch.randn(kept, few) @ part, 2) * size / few, best(blockwise, 1)
    return row(
        f"sketch: one update of {size:,} parameters to {kept:,}",
        before,
        after,
        before / after,
        4 * size / rates[0],
        "reading the update once",
        baseline=f"Gaussian projection, drawn as it goes, of {few:,} parameters, scaled",
        peak_memory_mib=peak_mib(blockwise),
    )


def floor_of_noise(rates: tuple[float, float]) -> Row:
    """39 surrogates of a window."""
    updates, count = torch.randn(WINDOW, PARAMETERS), 39
    rows = updates.double().numpy()

    def surrogate() -> None:
        waves = np.fft.rfft(rows - rows.mean(0), axis=0)
        turned = waves * np.exp(2j * np.pi * np.random.default_rng(0).random(waves.shape))
        np.linalg.svd(np.fft.irfft(turned, WINDOW, axis=0), compute_uv=False)

    generator = torch.Generator().manual_seed(0)
    before, after = best(surrogate, 2) * count, best(lambda: noise_floor(updates, generator=generator))
    return row(
        f"noise floor: {count} surrogates of {WINDOW} × {PARAMETERS:,}",
        before,
        after,
        before / after,
        count * WINDOW * (WINDOW + 1) * PARAMETERS / rates[1],
        "products of rows, each pair once, at the GEMM rate",
        baseline="FFT, random phases, inverse FFT and SVD of one surrogate, scaled",
        peak_memory_mib=peak_mib(lambda: noise_floor(updates, generator=generator)),
    )


def rows() -> Iterator[Row]:
    """Yield one dict per measurement; see `row` for the keys."""
    rates = read_rate(), gemm_rate(torch.float64)
    yield all_windows(rates)
    yield one_at_a_time(rates)
    yield from scaling(rates)
    yield largest(rates)
    yield blocks_of_files(rates)
    yield sketching(rates)
    yield floor_of_noise(rates)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for found in rows():
        print(
            f"{found['path']:<66}{found['baseline_seconds']:10.3f} s {found['seconds']:9.4f} s {found['ratio']:9.1f}×"
            f"   limit {found['limit_seconds']:8.4f} s ({found['share_of_limit']:.0%})"
            f"   peak {found['peak_memory_mib']:7.0f} MiB"
        )


if __name__ == "__main__":
    main()
