"""On a GPU, where one is at hand: many runs at once, their recording, responses, windows, analyses and the tracker."""

import tempfile
from pathlib import Path

import torch
from baselines import PlainLoop, svd_per_window_on_gpu
from measuring import Row, gemm_rate, in_turn, read_rate, row, seconds
from responses import TANGENT_FLOP, responses
from spectra import band_limit
from tracker import Loop, peak_of_step, tracked

from spectraledge import RunConfig, named_task
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.spectrum import window_spectrum
from spectraledge.training import Member, Stack, train_in_folder
from training import STEP_FLOP, config, recording

DEVICE = "cuda"

SNAPSHOTS = 37

DERIVATIVES = {"step": 87, "course": 12 * 30, "score": 0}
"""Responses of every analysis that is measured: of the window and of nulls, each of them at twelve snapshots."""


def stacked(runs: int, engine: str, repeats: int = 3) -> Row:
    """A hundred steps and an evaluation of a stack of runs, against the plain loop with one; aggregate steps."""
    stack, plain = _stack(runs, engine), PlainLoop(device=DEVICE)

    def ours() -> None:
        stack.advance(100)
        stack.evaluate()

    def theirs() -> None:
        plain.advance(100)
        plain.evaluate()

    warm_up = seconds(ours)
    theirs()
    torch.cuda.reset_peak_memory_stats()
    before, after, ratio = in_turn(theirs, ours, repeats)
    steps_alone = min(seconds(lambda: stack.advance(100)) for _ in range(repeats))
    return row(
        f"{runs} stacked runs on {torch.cuda.get_device_name()}, 100 steps and evaluation ({engine})",
        before * runs,
        after,
        ratio * runs,
        runs * 100 * STEP_FLOP / gemm_rate(torch.float32, DEVICE, 64),
        "GEMM rate",
        baseline="the plain loop with one run on the GPU, times runs",
        steps_per_second=runs * 100 / after,
        baseline_steps_per_second=100 / before,
        seconds_without_evaluation=steps_alone,
        first_interval_seconds=warm_up,
        peak_memory_mib=torch.cuda.max_memory_allocated() / 2**20,
    )


def windows(repeats: int = 3) -> Row:
    """Every window of a run whose updates are on the GPU, against a decomposition of each there."""
    updates = torch.randn(400, 131_072, device=DEVICE)
    sample, scale = updates[:24], 381 / 5
    window_spectrum(updates, window=20)
    svd_per_window_on_gpu(sample, 20)
    before, after, ratio = in_turn(
        lambda: svd_per_window_on_gpu(sample, 20), lambda: window_spectrum(updates, window=20), repeats
    )
    limit = band_limit(400, 20, updates.shape[1], rates=(read_rate(DEVICE), gemm_rate(torch.float64, DEVICE, 64)))
    name = "spectra: 381 windows of 20 × 131,072, float32, on the GPU"
    return row(
        name, before * scale, after, ratio * scale, limit, "reading once, then W products per update at the GEMM rate"
    )


def analysed(folder: Path, name: str) -> Row:
    """A whole analysis of a recorded run, from its snapshots to its tables, on the GPU against the CPU."""

    def on(device: str) -> None:
        ANALYSES[name].measure(folder, AnalysisConfig(device=device))

    warm_up = seconds(lambda: on(DEVICE))
    torch.cuda.reset_peak_memory_stats()
    before, after, ratio = in_turn(lambda: on("cpu"), lambda: on(DEVICE), 1)
    passes = SNAPSHOTS * STEP_FLOP / 3 if name == "score" else DERIVATIVES[name] * TANGENT_FLOP
    dtype = torch.float64 if name == "step" else torch.float32
    return row(
        f"analysis {name}: 9,409 pairs, on {torch.cuda.get_device_name()}",
        before,
        after,
        ratio,
        passes * 9409 / 512 / gemm_rate(dtype, DEVICE, 64),
        "passes and derivatives at the GEMM rate",
        baseline=f"the same on the CPU with {torch.get_num_threads()} threads",
        first_seconds=warm_up,
        peak_memory_mib=torch.cuda.max_memory_allocated() / 2**20,
    )


def analyses() -> list[Row]:
    """A step, the course and the score of one run of the paper's size."""
    task = named_task("add")
    config = RunConfig.for_task(task, protocol="paper", steps=(SNAPSHOTS - 1) * 10, every=10)
    with tempfile.TemporaryDirectory() as place:
        train_in_folder(Path(place) / "run", config, task, device=DEVICE)
        return [analysed(Path(place) / "run", name) for name in DERIVATIVES]


def rows() -> list[Row]:
    """Return one dict per measurement; none without a GPU."""
    if not torch.cuda.is_available():
        return []
    stacks = [stacked(64, "eager"), *(stacked(runs, "compiled") for runs in (1, 8, 64, 256))]
    loop, rate = Loop(DEVICE), read_rate(DEVICE)
    of = f"every 100 steps, all of {loop.parameters:,} parameters, float32, on the GPU"
    return [
        *stacks,
        recording(lambda: _stack(64, "compiled"), f"64 runs on {torch.cuda.get_device_name()}", intervals=3, repeats=3),
        responses(torch.float64, DEVICE),
        responses(torch.float32, DEVICE),
        windows(),
        *analyses(),
        tracked(
            loop,
            peak_of_step(loop),
            100,
            lambda t: (t.overhead.memory_bytes + 4 * loop.parameters) / rate,
            of,
            params="*",
        ),
    ]


def _stack(runs: int, engine: str) -> Stack:
    return Stack([Member(config(seed, engine=engine), named_task("add")) for seed in range(runs)], device=DEVICE)
