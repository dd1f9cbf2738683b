"""How cost grows, by hand: seconds and peak memory against parameters, snapshots, runs and inputs.

`python benchmarks/cost_curves.py` takes about seven minutes on two quiet cores and up to 5 GB of disk, which it frees;
`--small` about two, and 0.2 GB; `parameters --large` a quarter of an hour and 46 GB, for up to 10⁹ parameters; names of
curves choose among them. Every point is measured once, in a process of its own. The fitted exponent is b of c + a·xᵇ,
with the constant c, such as the start of workers, apart; what is said of sizes that were not measured says so.
Prints a table and writes benchmarks/results/<date>-cost-curves.json.
"""

import argparse
import ctypes
import importlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor
from measuring import RESULTS, cores, gemm_rate, processor, read_rate
from rich.console import Console
from rich.table import Table
from safetensors.torch import save_file
from scipy.optimize import nnls
from spectra import status_mib

from spectraledge import RunConfig, Trainer, functional_modes, named_task
from spectraledge.analyses.spectra import analyze_folder
from spectraledge.claims.questions import QUESTIONS
from spectraledge.files import write_json
from spectraledge.modes import walsh_basis
from spectraledge.report import write_report
from spectraledge.studies import AnalysisConfig, Backend, StudyConfig, run_study, study
from spectraledge.studies.jobs import Job, run_folder, waves
from spectraledge.studies.recipes import first_seeds, recipe
from spectraledge.training import RunFolder
from spectraledge.trajectory.verification import verify_series

WINDOW, BLOCK, WORKERS = 20, 1 << 20, 2
LEAST_FREE, LEAST_FREE_LARGE = 12e9, 50e9
"""Bytes that the disk must have free for the largest point of the curve over parameters."""

LARGE = (10**8, 10**9)
"""Numbers of parameters of `--large`."""

Work = Callable[[], object]


def read_files(folder: Path) -> float:
    """Seconds to read all files of a folder once, from where the system holds them now."""
    buffer, began = bytearray(1 << 22), time.perf_counter()
    for path in folder.rglob("*.safetensors"):
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - began


def write_walk(folder: Path, snapshots: int, size: int, dtype: torch.dtype) -> None:
    """Write snapshots of a random walk, as matrices of at most a million numbers."""
    generator = torch.Generator().manual_seed(0)
    columns = min(1000, size // 100)
    rows = min(1000, size // columns)
    walk = {f"layers.{i}.weight": torch.randn(rows, columns) for i in range(size // (rows * columns))}
    folder.mkdir()
    for step in range(snapshots):
        save_file({name: part.to(dtype) for name, part in walk.items()}, folder / f"step_{step}.safetensors")
        for part in walk.values():
            part += 0.01 * torch.randn(part.shape, generator=generator)


@contextmanager
def parameters(size: int, place: Path) -> Iterator[tuple[Work, Callable[[], float]]]:
    """`analyze --block` of 23 checkpoints in bfloat16, three windows of 20."""
    snapshots = WINDOW + 3
    write_walk(place / "series", snapshots, size, torch.bfloat16)
    yield (
        lambda: analyze_folder(place / "series", window=WINDOW, block=BLOCK),
        lambda: read_files(place / "series") + 2 * (snapshots - 1) * WINDOW * size / gemm_rate(torch.float64),
    )


@contextmanager
def snapshots(count: int, place: Path) -> Iterator[tuple[Work, Callable[[], float]]]:
    """`analyze` of so many snapshots of 10,000 parameters."""
    write_walk(place / "series", count, 10_000, torch.float32)
    yield (
        lambda: analyze_folder(place / "series", window=WINDOW),
        lambda: read_files(place / "series") + 2 * count * WINDOW * 10_000 / gemm_rate(torch.float64),
    )


@contextmanager
def verified(count: int, place: Path) -> Iterator[tuple[Work, Callable[[], float]]]:
    """`checkpoints verify` of the same."""
    write_walk(place / "series", count, 10_000, torch.float32)
    yield lambda: verify_series(place / "series"), lambda: read_files(place / "series")


def small_run(seed: int = 0, **settings: object) -> RunConfig:
    """The smallest sensible run: 869 parameters."""
    chosen = {"steps": 1_000_000, "every": 1, "batch_size": 16} | settings
    return RunConfig.for_task(
        named_task("add", modulus=7), {"width": 8, "heads": 2, "hidden": 8, "depth": 1}, seed=seed, **chosen
    )


@contextmanager
def recorded(count: int, place: Path) -> Iterator[tuple[Work, Callable[[], float]]]:
    """Recording so many snapshots of a run of 1,000 parameters, which itself takes next to nothing."""
    task, config = named_task("add", modulus=7), small_run()

    def record(folder: Path | None = None) -> None:
        trainer = Trainer(config, task)
        if folder is None:
            for _ in range(count):
                trainer.advance(1)
                trainer.evaluate()
            return
        with RunFolder(folder, config, task) as recorder:
            history = recorder.resume(trainer)
            for _ in range(count):
                trainer.advance(1)
                history.append(trainer.evaluate())
                recorder.record(trainer, history)
            recorder.flush()

    def without() -> float:
        began = time.perf_counter()
        record()
        return time.perf_counter() - began

    yield lambda: record(place / "run"), without


def nothing(job: Job) -> str:
    """A job that is done at once."""
    return ""


def many_runs(count: int) -> StudyConfig:
    """A study of so many runs, of which nothing is analysed."""
    runs = tuple(small_run(seed, every=10, steps=100) for seed in range(count))
    return StudyConfig(name="many", runs=runs, analysis=AnalysisConfig(analyses=()))


@contextmanager
def scheduled(count: int, place: Path) -> Iterator[tuple[Work, None]]:
    """`study run` with two processes and jobs that do nothing."""
    config, study.complete = many_runs(count), nothing
    yield lambda: run_study(config, place / "study", backend=Backend(jobs=WORKERS)), None
    # The process of the point would wait until they have been idle for five minutes.
    get_reusable_executor().shutdown(wait=True)


def jobs_of(count: int, place: Path) -> list[Job]:
    config = many_runs(count)
    return [Job(run, place, config.analysis, ()) for wave in waves(config.runs) for run in wave]


@contextmanager
def on_dask(count: int, place: Path) -> Iterator[tuple[Work, None]]:
    """The same jobs on a dask cluster of two local workers that is there."""
    from distributed import LocalCluster

    jobs = jobs_of(count, place)
    with LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster:
        backend = Backend("dask", address=cluster.scheduler_address)
        backend.run(nothing, jobs[:WORKERS], logs=place)
        yield lambda: backend.run(nothing, jobs, logs=place), None


@contextmanager
def on_ray(count: int, place: Path) -> Iterator[tuple[Work, None]]:
    """The same jobs on a ray cluster of two local workers that is there."""
    import ray

    jobs = jobs_of(count, place)
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    try:
        backend = Backend("ray")
        backend.run(nothing, jobs[:WORKERS], logs=place)
        yield lambda: backend.run(nothing, jobs, logs=place), None
    finally:
        ray.shutdown()


def copied_study(count: int, place: Path) -> StudyConfig:
    """A finished study of so many runs: those of one seed, trained and analysed, and copies of them as other seeds.

    The recipe has seven runs of a seed, and of later ones four.
    """
    seeds = first_seeds(max(1, round(count / 5.5)))
    first = recipe("score", seeds=seeds[:1], budget="small")
    # Beside the folder of the point: the first that needs it makes it for all.
    trained = place.parent / "trained"
    run_study(first, trained, jobs=1)
    config = recipe("score", seeds=seeds, budget="small")
    like = {(run.task, run.train_fraction): run_folder(trained, run) for run in first.runs}
    for run in config.runs:
        source, target = like[run.task, run.train_fraction], run_folder(place / "study", run)
        target.mkdir(parents=True)
        shutil.copytree(source / "analyses", target / "analyses")
        for path in source.iterdir():
            if path.is_file():
                shutil.copy(path, target)
    return config


@contextmanager
def finished(count: int, place: Path) -> Iterator[tuple[Work, None]]:
    """`study run` of a study that is finished: looks at every run, joins tables, measures effects, judges claims."""
    config = copied_study(count, place)
    yield lambda: run_study(config, place / "study", jobs=1), None


@contextmanager
def reported(count: int, place: Path) -> Iterator[tuple[Work, None]]:
    """The report of the same study."""
    result = run_study(copied_study(count, place), place / "study", jobs=1)
    yield lambda: write_report(result, QUESTIONS[result.config.questions](result.runs)), None


@contextmanager
def inputs(count: int, place: Path) -> Iterator[tuple[Work, Callable[[], float]]]:
    """`functional_modes` of a perceptron on so many sampled inputs of 16 bits: 6 directions and 12 of nulls."""
    torch.manual_seed(0)
    width, window, nulls = 64, 6, 6
    module = torch.nn.Sequential(torch.nn.Linear(16, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)).eval()
    walk, states = {name: part.detach().clone() for name, part in module.state_dict().items()}, []
    for _ in range(window + 1):
        states.append({name: part.clone() for name, part in walk.items()})
        for part in walk.values():
            part += 0.01 * torch.randn_like(part)
    bits = torch.randint(2, (count, 16), generator=torch.Generator().manual_seed(0))
    signs = 1 - 2 * bits.float()

    def work() -> None:
        functional_modes(
            module,
            states,
            signs,
            readout=lambda answers: answers,
            bases=[walsh_basis(bits, order=1)],
            window=window,
            nulls=nulls,
        )

    products = 3 * 2 * (16 + 1) * width * count * (window + nulls)
    yield work, lambda: products / gemm_rate(torch.float64)


@dataclass(frozen=True)
class Curve:
    """One cost against one size.

    Attributes:
        what: What is measured, as `many` of which.
        many: What is counted.
        make: Prepares a point, and gives its work and the seconds of its limit.
        full: Sizes.
        small: Sizes of a quick look.
        limit: What limits it.
        beyond: A size to which the fit is extended where it is not measured; 0 for none.
        needs: A library.
    """

    what: str
    many: str
    make: Callable[[int, Path], object]
    full: tuple[int, ...]
    small: tuple[int, ...]
    limit: str = ""
    beyond: int = 0
    needs: str = ""


_TENS = (10, 100, 300, 1000)
_FEW = (10, 30, 100, 200)
_READING = "reading the files once, then W products per update"

CURVES = {
    "parameters": Curve(
        "analyze --block", "parameters", parameters, (10**5, 10**6, 10**7, 10**8), (10**5, 10**6, 3 * 10**6),
        _READING, 10**9,
    ),
    "snapshots": Curve(
        "analyze", "snapshots", snapshots, (100, 1000, 3000, 10_000), (100, 300, 1000), _READING
    ),
    "verified": Curve(
        "checkpoints verify", "snapshots", verified, (100, 300, 1000, 2000), (100, 300, 1000),
        "reading the files once",
    ),
    "recorded": Curve(
        "recording", "snapshots", recorded, (30, 100, 300, 1000), (30, 100, 200), "the training alone"
    ),
    "scheduled": Curve("study run, jobs that do nothing", "runs", scheduled, _TENS, _FEW),
    "dask": Curve("the same jobs on dask", "runs", on_dask, (30, 300, 1000), (10, 30, 100), needs="distributed"),
    "ray": Curve("the same jobs on ray", "runs", on_ray, (30, 300, 1000), (10, 30, 100), needs="ray"),
    "finished": Curve("study run, all done", "runs", finished, (11, 29, 99, 304), (7, 29, 99)),
    "reported": Curve("study report", "runs", reported, (11, 29, 99, 304), (7, 29, 99)),
    "inputs": Curve(
        "functional_modes", "inputs", inputs, (10**3, 10**4, 10**5, 10**6), (10**3, 10**4, 10**5),
        "products of the derivatives at the float64 GEMM rate",
    ),
}  # fmt: skip


def measured(curve: Curve, size: int, shared: str) -> dict[str, float | None]:
    """Prepare a point and do its work once: seconds, this process's own time, and peak memory beyond what it had."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    with tempfile.TemporaryDirectory(dir=shared) as place, curve.make(size, Path(place)) as (work, limit):
        ctypes.CDLL(None).malloc_trim(0)
        before = status_mib(status, "VmRSS")
        reset.write_text("5")
        processor_before, began = time.process_time(), time.perf_counter()
        work()
        took, spent = time.perf_counter() - began, time.process_time() - processor_before
        peak = status_mib(status, "VmHWM") - before
        least = limit() if limit else None
    return {"size": size, "seconds": took, "processor_seconds": spent, "peak_mib": peak, "limit_seconds": least}


def _tell(curve: Curve, size: int, shared: str, answer: object) -> None:
    torch.set_num_threads(1)
    answer.send(measured(curve, size, shared))


def point(curve: Curve, size: int, shared: str) -> dict[str, float | None]:
    """Measure a point in a process of its own."""
    # A fork: nothing is imported again, and the memory that counts is what the work takes beyond that.
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(curve, size, shared, there))
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        process.join()
        sys.exit(f"{curve.what} at {size:,} {curve.many} failed, see above")
    finally:
        process.join()


def fitted(sizes: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Constant c ≥ 0, factor a and exponent b of c + a·xᵇ with the least relative squares."""
    best = None
    for exponent in np.linspace(0.3, 2.5, 221):
        terms_N2 = np.stack([np.ones(len(sizes)), sizes**exponent], 1) / values[:, None]
        (constant, factor), rest = nnls(terms_N2, np.ones(len(sizes)))
        if best is None or rest < best[0]:
            best = rest, constant, factor, exponent
    return best[1:]


def described(curve: Curve, points: list[dict[str, float | None]]) -> dict[str, object]:
    sizes = np.array([p["size"] for p in points], dtype=float)
    taken = np.array([p["seconds"] for p in points])
    peaks = np.maximum([p["peak_mib"] for p in points], 1e-3)
    spent = np.array([p["processor_seconds"] for p in points])
    constant, factor, exponent = fitted(sizes, taken)
    last = np.log(taken[-1] / taken[-2]) / np.log(sizes[-1] / sizes[-2])
    memory = np.log(peaks[-1] / peaks[-2]) / np.log(sizes[-1] / sizes[-2])
    found = {
        "curve": curve.what,
        "against": curve.many,
        "limit": curve.limit,
        "points": points,
        "constant_seconds": constant,
        "exponent": exponent,
        "processor_exponent": fitted(sizes, spent)[2],
        "last_slope": last,
        "memory_last_slope": memory,
    }
    if curve.beyond > sizes[-1]:
        found |= {"extrapolated_to": curve.beyond, "extrapolated_seconds": constant + factor * curve.beyond**exponent}
    return found


def show(found: dict[str, dict[str, object]]) -> None:
    table = Table(title="Cost curves; seconds ∝ sizeᵇ beyond a constant; memory beyond the process's own")
    for column in (
        "cost",
        "size",
        "seconds",
        "processor s",
        "ms each",
        "share of limit",
        "peak MiB",
        "b",
        "last slope",
    ):
        table.add_column(column, justify="left" if column == "cost" else "right")
    for curve in found.values():
        for number, p in enumerate(curve["points"]):
            last = number == len(curve["points"]) - 1
            limit = p["limit_seconds"]
            table.add_row(
                f"{curve['curve']}" if number == 0 else "",
                f"{p['size']:,} {curve['against']}",
                f"{p['seconds']:.3f}",
                f"{p['processor_seconds']:.3f}",
                f"{1e3 * p['seconds'] / p['size']:.3g}",
                "" if limit is None else f"{limit / p['seconds']:.0%}",
                f"{p['peak_mib']:.0f}",
                (
                    f"{curve['exponent']:.2f} + {curve['constant_seconds']:.2g} s, "
                    f"processor {curve['processor_exponent']:.2f}"
                    if last
                    else ""
                ),
                f"{curve['last_slope']:.2f}, memory {curve['memory_last_slope']:.2f}" if last else "",
                end_section=last,
            )
    Console(width=max(Console().width, 170)).print(table)
    for curve in found.values():
        if "extrapolated_to" in curve:
            print(
                f"{curve['curve']}: {curve['extrapolated_to']:,} {curve['against']} would take "
                f"{curve['extrapolated_seconds']:.0f} s, extrapolated from at most {curve['points'][-1]['size']:,}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=f"of {', '.join(CURVES)}; all by default")
    parser.add_argument("--small", action="store_true", help="smaller sizes, a quick look")
    parser.add_argument("--large", action="store_true", help=f"of parameters, {LARGE[0]:,} and {LARGE[1]:,}")
    asked = parser.parse_args()
    if unknown := set(asked.curves) - set(CURVES):
        parser.error(f"no curve is called {', '.join(sorted(unknown))}: choose among {', '.join(CURVES)}")
    if asked.large and (asked.small or asked.curves != ["parameters"]):
        parser.error("--large is for the curve over parameters alone: name it, without --small")
    if not asked.small and "parameters" in (asked.curves or CURVES):
        free, least = shutil.disk_usage(tempfile.gettempdir()).free, LEAST_FREE_LARGE if asked.large else LEAST_FREE
        if free < least:
            parser.error(
                f"{tempfile.gettempdir()} has {free / 1e9:.0f} GB free, needs {least / 1e9:.0f}: set TMPDIR, or --small"
            )
    torch.set_num_threads(1)
    # Before processes are forked, or each would spend seconds on it.
    importlib.import_module("torch._dynamo")
    found, began = {}, time.monotonic()
    with tempfile.TemporaryDirectory() as shared:
        for name in asked.curves or CURVES:
            curve, since = CURVES[name], time.monotonic()
            try:
                importlib.import_module(curve.needs or "torch")
            except ModuleNotFoundError:
                print(f"{name}: not measured, {curve.needs} is not installed", flush=True)
                continue
            points = []
            for size in LARGE if asked.large else curve.small if asked.small else curve.full:
                points.append(point(curve, size, shared))
                took, spent = points[-1]["seconds"], points[-1]["processor_seconds"]
                print(f"{name}: {size:,} {curve.many}, {took:.3f} s ({spent:.3f} s)", file=sys.stderr, flush=True)
            found[name] = described(curve, points) | {"spent_seconds": time.monotonic() - since}
    show(found)
    for name, curve in found.items():
        print(f"{name}: measured in {curve['spent_seconds']:.0f} s")
    print(f"all: {time.monotonic() - began:.0f} s")
    parts = [
        f"{datetime.now(UTC):%Y-%m-%d}-cost-curves",
        *(kind for kind in ("small", "large") if getattr(asked, kind)),
        *asked.curves,
    ]
    path = RESULTS / f"{'-'.join(parts)}.json"
    environment = {"processor": processor(), "cores": cores(), "torch": torch.__version__}
    rates = {"gemm_float32": gemm_rate(torch.float32), "gemm_float64": gemm_rate(torch.float64), "read": read_rate()}
    RESULTS.mkdir(exist_ok=True)
    write_json(path, {"environment": environment, "rates_per_second": rates, "curves": found})
    print(f"written: {path}")


if __name__ == "__main__":
    main()
