"""On a GPU, where one is at hand: many runs at once, their recording, responses, windows and the tracker."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch
from baselines import PlainLoop, svd_per_window_on_gpu
from measuring import Row, gemm_rate, in_turn, read_rate, row, seconds
from responses import responses
from spectra import band_limit
from tracker import Loop, tracked

from spectraledge import named_task
from spectraledge.spectrum import window_spectrum
from spectraledge.training import Member, RunFolder, Stack
from training import STEP_FLOP, config

DEVICE = "cuda"


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


def recorded(runs: int, repeats: int = 3) -> Row:
    """The same with the folders of all runs written, against without."""
    stack = _stack(runs, "compiled")

    def without() -> None:
        stack.advance(100)
        stack.evaluate()

    with tempfile.TemporaryDirectory() as place, ExitStack() as folders:
        recorders = [
            folders.enter_context(RunFolder(Path(place) / str(i), member.config, member.task))
            for i, member in enumerate(stack.members)
        ]
        histories = [recorder.resume(member) for recorder, member in zip(recorders, stack.members, strict=True)]

        def with_recording() -> None:
            stack.advance(100)
            for member, recorder, history, found in zip(
                stack.members, recorders, histories, stack.evaluate(), strict=True
            ):
                history.append(found)
                recorder.record(member, history)

        without()
        with_recording()
        before, after, ratio = in_turn(without, with_recording, repeats)
    return row(f"recording of {runs} stacked runs every 100 steps", before, after, ratio, before, "no recording")


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


def rows() -> list[Row]:
    """Return one dict per measurement; none without a GPU."""
    if not torch.cuda.is_available():
        return []
    stacks = [stacked(64, "eager"), *(stacked(runs, "compiled") for runs in (1, 8, 64, 256))]
    loop, rate = Loop(DEVICE), read_rate(DEVICE)
    of = f"every 100 steps, all of {loop.parameters:,} parameters, float32, on the GPU"
    return [
        *stacks,
        recorded(64),
        responses(torch.float64, DEVICE),
        responses(torch.float32, DEVICE),
        windows(),
        tracked(loop, 100, lambda t: (t.overhead.memory_bytes + 4 * loop.parameters) / rate, of, params="*"),
    ]


def _stack(runs: int, engine: str) -> Stack:
    return Stack([Member(config(seed, engine), named_task("add")) for seed in range(runs)], device=DEVICE)
