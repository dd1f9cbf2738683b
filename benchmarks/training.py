"""Training, in C: one run, perceptrons, joint tasks, what is removed from updates, recording, runs side by side."""

import multiprocessing
import operator
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import joblib
import torch
from baselines import PlainLoop, PlainPerceptronLoop
from measuring import LEAST_PAIRS, Row, gemm_rate, in_turn, row, seconds

from spectraledge import RunConfig, Trainer, named_task
from spectraledge.interventions import Intervention
from spectraledge.tasks import joint_task, task_from_source
from spectraledge.training import Member, RunFolder, Stack
from spectraledge.training.in_folders import WRITERS

STEP_FLOP = 0.92e9
"""Multiply-adds times two of one training step (97 residues, batch 512), nothing computed twice; see README.md."""


def config(seed: int = 42, **settings: object) -> RunConfig:
    return RunConfig.for_task(named_task("add"), protocol="paper", seed=seed, steps=1_000_000, **settings)


def one_run(repeats: int) -> Row:
    """A hundred steps with clipping, AdamW, evaluation and snapshot, against the plain loop."""
    task, chosen = named_task("add"), config()
    trainer, plain = Trainer(chosen, task), PlainLoop()
    with tempfile.TemporaryDirectory() as place, RunFolder(Path(place) / "run", chosen, task) as recorder:
        evaluations = recorder.resume(trainer)

        def interval() -> None:
            trainer.advance(100)
            evaluations.append(trainer.evaluate())
            recorder.record(trainer, evaluations)

        warm_up = seconds(interval)
        plain.interval()
        # The GEMM rate drifts with the machine: it is measured around the runs it limits.
        rates = [gemm_rate(torch.float32)]
        before, after, ratio = in_turn(plain.interval, interval, repeats)
        rates.append(gemm_rate(torch.float32))
    limit = 100 * STEP_FLOP / statistics.mean(rates)
    more = {"steps_per_second": 100 / after, "first_interval_seconds": warm_up}
    return row("training: 100 steps, evaluation, recording", before, after, ratio, limit, "GEMM rate", **more)


def perceptron(repeats: int, *, embedded: bool) -> Row:
    """Steps of all training pairs at once: of the network on S5 after Chughtai et al. 2023, or that of Tian 2025."""
    if embedded:
        task, name, steps = task_from_source("group:S5"), "S5, embedded, ReLU, 128 neurons, 5,760 pairs a step", 10
        model = {"kind": "mlp", "inputs": "embedded", "width": 256, "hidden": 128}
        chosen: dict[str, object] = {"betas": (0.9, 0.999)}
    else:
        task, name, steps = named_task("add", modulus=71), "a + b mod 71, x², 2,048 neurons, 2,016 pairs a step", 5
        model = {"kind": "mlp", "hidden": 2048, "activation": "square", "bias": False}
        chosen = {"betas": (0.9, 0.999), "loss": "mse", "optimizer": "adam", "weight_decay": 2e-4}
    chosen |= {"batch_size": 0, "train_fraction": 0.4, "clip_norm": 0.0, "learning_rate": 1e-3}
    ours = Trainer(RunConfig.for_task(task, model, steps=1_000_000, **chosen), task)
    table = task.labels_N.reshape(task.modulus, task.modulus)
    plain = PlainPerceptronLoop(table, 0.4, model["hidden"], model.get("width", 0))
    for loop in (plain, ours):
        loop.advance(steps)
    rates = [gemm_rate(torch.float32)]
    before, after, ratio = in_turn(lambda: plain.advance(steps), lambda: ours.advance(steps), repeats)
    rates.append(gemm_rate(torch.float32))
    products = len(ours.split.train_T) + 2 * model.get("width", 0)
    limit = steps * 6 * products * model["hidden"] * task.modulus / statistics.mean(rates)
    return row(f"training: {steps} steps of a perceptron ({name})", before, after, ratio, limit, "GEMM rate")


def joint_tasks(repeats: int, steps: int = 20) -> Row:
    """Steps on two tasks that one network answers together, against a plain loop with two heads."""
    task = joint_task([named_task("add"), named_task("mul")])
    ours = Trainer(RunConfig.for_task(task, protocol="paper", steps=1_000_000), task)
    plain = PlainLoop(operations=(operator.add, operator.mul))
    for loop in (plain, ours):
        loop.advance(steps)
    rates = [gemm_rate(torch.float32)]
    before, after, ratio = in_turn(lambda: plain.advance(steps), lambda: ours.advance(steps), repeats)
    rates.append(gemm_rate(torch.float32))
    # The second head is a product of 512 rows, forward and twice backward.
    limit = steps * (STEP_FLOP + 6 * 512 * 128 * 97) / statistics.mean(rates)
    return row(f"training: {steps} steps on add and mul jointly", before, after, ratio, limit, "GEMM rate")


def projections(repeats: int, subspace: str, what: str, steps: int = 20) -> Row:
    """Steps from whose updates three directions are removed, against the same steps left as they are."""
    changed = config(interventions=(Intervention.of(f"remove:{subspace}"),))
    ours, bare = (Trainer(chosen, named_task("add")) for chosen in (changed, config()))
    for loop in (bare, ours):
        # Until the window of 20 updates is full, it has no directions.
        loop.advance(30)
    before, after, ratio = in_turn(lambda: bare.advance(steps), lambda: ours.advance(steps), 2 * repeats)
    name = f"training: {steps} steps, {what} removed from updates"
    return row(name, before, after, ratio, before, "the steps alone", overhead_share=1 / ratio - 1)


@contextmanager
def recorded(stack: Stack, every: int, intervals: int) -> Iterator[Callable[[], None]]:
    """Give a function that trains for some intervals, a folder per run, until all is written."""
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(WRITERS) as writers, ExitStack() as opened:
        recorders = [
            opened.enter_context(RunFolder(Path(place) / str(i), member.config, member.task, writers=writers))
            for i, member in enumerate(stack.members)
        ]
        histories = [recorder.resume(member) for recorder, member in zip(recorders, stack.members, strict=True)]

        def train() -> None:
            for _ in range(intervals):
                stack.advance(every)
                for member, recorder, history, found in zip(
                    stack.members, recorders, histories, stack.evaluate(), strict=True
                ):
                    history.append(found)
                    recorder.record(member, history)
            for recorder in recorders:
                recorder.flush()

        yield train


def recording(make: Callable[[], Stack], what: str, every: int = 100, intervals: int = 1, repeats: int = 5) -> Row:
    """Intervals with the folders of all runs written, against without."""
    bare = make()

    def without() -> None:
        for _ in range(intervals):
            bare.advance(every)
            bare.evaluate()

    with recorded(make(), every, intervals) as with_recording:
        without()
        with_recording()
        spent: list[float] = []
        before, after, ratio = in_turn(_processor(without, spent), _processor(with_recording, spent), repeats)
    count = len(bare) * intervals
    processor = statistics.median(b - a for a, b in zip(spent[::2], spent[1::2], strict=True))
    per_snapshot = {
        "milliseconds_per_run_and_snapshot": 1e3 * (after - before) / count,
        "processor_milliseconds_per_run_and_snapshot": 1e3 * processor / count,
    }
    return row(f"recording of {what} every {every} steps", before, after, ratio, before, "no recording", **per_snapshot)


def _processor(work: Callable[[], None], spent: list[float]) -> Callable[[], None]:
    """Give the same work, which notes the processor-seconds of all its threads."""

    def counted() -> None:
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)

    return counted


def one_large_run() -> Stack:
    return Stack([Member(config(), named_task("add"))])


def small_runs(runs: int = 8) -> Stack:
    """Runs of 18,711 parameters: their recording is all waiting and overhead."""
    task, sizes = named_task("add", modulus=23), {"width": 32, "heads": 4, "hidden": 64}
    settings = {"batch_size": 128, "steps": 1_000_000}
    return Stack([Member(RunConfig.for_task(task, sizes, seed=seed, **settings), task) for seed in range(runs)])


def _short_run(seed: int, steps: int, plain: bool) -> None:
    run = PlainLoop(seed=seed) if plain else Trainer(config(seed), named_task("add"))
    run.advance(steps)
    run.evaluate()


@contextmanager
def _workers(count: int, threads: int, plain: bool) -> Iterator[Callable[[int, int], None]]:
    """Give a function that spreads runs of some steps over processes that are started beforehand."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, torch.set_num_threads, (threads,)) as pool:

        def work(runs: int, steps: int) -> None:
            for future in [pool.submit(_short_run, seed, steps, plain) for seed in range(runs)]:
                future.result()

        # A worker that has not finished its first run leaves the next to another.
        work(count, 10)
        work(count, 10)
        yield work


def beside_each_other(runs: int = 4, steps: int = 30) -> Iterator[Row]:
    """One process per core with one thread each, against runs one after another with a thread per core.

    Our own runs and the plain loop's are baselines: what a study gains by processes alone, and in all.
    """
    cores = joblib.cpu_count()
    with _workers(cores, 1, False) as in_processes:
        limit = runs / cores * min(seconds(lambda: in_processes(1, steps)) for _ in range(3))
        for plain, name in ((False, "ours"), (True, "the plain loop")):
            with _workers(1, cores, plain) as in_sequence:
                before, after, ratio = in_turn(
                    lambda work=in_sequence: work(runs, steps), lambda: in_processes(runs, steps), LEAST_PAIRS
                )
            path = f"{runs} runs of {steps} steps, a process per core, against {name} with {cores} threads"
            yield row(path, before, after, ratio, limit, "one run alone, on every core")


def scaling() -> list[dict[str, object]]:
    """Seconds of a step against the modulus and the number of stacked runs."""
    found = []
    for modulus in (23, 53, 97, 193):
        task = named_task("add", modulus=modulus)
        trainer = Trainer(RunConfig.for_task(task, protocol="paper"), task)
        found.append({"path": "training step", "modulus": modulus, "seconds": _per_step(trainer.stack)})
    for runs in (1, 2, 8):
        stack = Stack([Member(config(seed), named_task("add")) for seed in range(runs)])
        found.append({"path": "training step", "stacked_runs": runs, "seconds": _per_step(stack)})
    return found


def _per_step(stack: Stack, steps: int = 10) -> float:
    stack.advance(steps)
    return min(seconds(lambda: stack.advance(steps)) for _ in range(3)) / steps


def recordings() -> list[Row]:
    small = recording(small_runs, "8 stacked small runs", every=20, intervals=5, repeats=9)
    return [recording(one_large_run, "one run: snapshot, moves, online Gram,"), small]


def rows(repeats: int = 5) -> Iterator[Row]:
    yield one_run(repeats)
    yield from (perceptron(repeats, embedded=embedded) for embedded in (True, False))
    yield joint_tasks(repeats)
    yield projections(repeats, "random:3", "3 directions at random")
    yield projections(repeats, "edge:3", "the edge of 3 of the last 20")
    yield from recordings()
    yield from beside_each_other()
