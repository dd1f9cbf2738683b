"""Damage to every kind of file of a study, what each command makes of it, and whether that is right.

`PYTHONPATH=src python tests/damage_matrix.py` tries all and prints counts; the tests try a seeded sample.
"""

import contextlib
import io
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pandas as pd

from spectraledge import AnalysisConfig, RunConfig, named_task
from spectraledge.cli import main, study_commands
from spectraledge.files import write_table
from spectraledge.studies import StudyConfig, StudyResult

SIZES = {"width": 12, "heads": 2, "hidden": 16}
STEP = "step_00000030.safetensors"
RUN_FILES = (
    *("run.json", "files.json", "domain.parquet", "metrics.parquet", "gram.parquet"),
    *(f"snapshots/{STEP}", "snapshots/step_00000060.safetensors", f"moves/{STEP}", "moves/step_00000060.safetensors"),
    *("spectrum.parquet", "modes.parquet", "moves.parquet", "course.parquet"),
    *("analyses/spectrum.json", "analyses/step.json"),
)
STUDY_FILES = ("study.json", "manifest.json", "claims.parquet", "modes.parquet")


class Case(NamedTuple):
    """One attack.

    Attributes:
        file: Which file, by its path in the study; RUN stands for the run.
        damage: A key of `DAMAGES`.
        command: A key of `COMMANDS`.
    """

    file: str
    damage: str
    command: str


class Outcome(NamedTuple):
    """What a command left behind.

    Attributes:
        code: Its exit code; 1 with a traceback as its error for what escaped.
        error: What it said on stderr.
        out: What it printed.
    """

    code: int
    error: str
    out: str = ""


def recipe(seeds: tuple[int, ...] = (42,), budget: str = "matched") -> StudyConfig:
    """One run of addition mod 11 and one of multiplication, hardly trained."""
    settings = {"steps": 60, "every": 5, "batch_size": 32, "seed": seeds[0], "stop_accuracy": 2.0}
    runs = tuple(RunConfig.for_task(named_task(name, modulus=11), SIZES, **settings) for name in ("add", "mul"))
    return StudyConfig(name="tiny", runs=runs, analysis=AnalysisConfig(window=5, nulls=4, stride=4))


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _other(path: Path, rng: random.Random) -> None:
    """Put another file of the same kind in its place."""
    others = sorted(other for other in path.parent.glob(f"*{path.suffix}") if other != path)
    shutil.copy(rng.choice(others), path)


def _zero(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    begin = rng.randrange(len(content))
    content[begin:] = bytes(len(content) - begin)
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "flip": _flip,
    "cut": lambda path, rng: path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)]) and None,
    "empty": lambda path, rng: path.write_bytes(b"") and None,
    "zero": _zero,
    "delete": lambda path, rng: path.unlink(),
    "swap": _other,
}


def run_of(study: Path) -> Path:
    """Return the run that is attacked."""
    return study / "runs" / recipe().runs[0].run_id


def _study_run(study: Path, out: Path, *more: str) -> list[str]:
    return ["study", "run", f"{Path(__file__)}:recipe", "--out", str(study), "--jobs", "1", *more]


COMMANDS: dict[str, Callable[[Path, Path], list[str]]] = {
    "verify": lambda study, out: ["study", "verify", str(study)],
    "verify run": lambda study, out: ["study", "verify", str(run_of(study))],
    "report": lambda study, out: ["study", "report", str(study), "--out", str(out)],
    "analyze": lambda study, out: ["analyze", str(run_of(study)), "--window", "5", "--out", str(out)],
    "analyze all": lambda study, out: [
        *("analyze", str(run_of(study)), "--window", "5", "--params", "*", "--out", str(out))
    ],
    "modes": lambda study, out: [
        *("modes", str(run_of(study)), "--window", "5", "--nulls", "4", "--stride", "4", "--out", str(out))
    ],
    "run": _study_run,
    "repair": lambda study, out: _study_run(study, out, "--repair"),
}


def _numbers(result: StudyResult, answers: object, *, out: Path | None = None, progress: str = "") -> Path:
    """Write what a report is made of instead of drawing it, which takes ten seconds."""
    place = (out or result.folder) / "shown"
    for run in result.runs:
        for name, table in {**run.tables, "metrics": run.metrics}.items():
            write_table(place / run.run_id / f"{name}.parquet", table)
    if isinstance(answers, pd.DataFrame):
        write_table(place / "claims.parquet", answers)
    return place


def call(arguments: list[str]) -> Outcome:
    """Run the command line in this process."""
    said, out, before, code = io.StringIO(), io.StringIO(), sys.argv, 0
    sys.argv = ["spectraledge", *arguments]
    try:
        with (
            contextlib.redirect_stderr(said),
            contextlib.redirect_stdout(out),
            mock.patch.object(study_commands, "write_report", _numbers),
        ):
            main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        return Outcome(1, f"{said.getvalue()}{traceback.format_exc()}")
    finally:
        sys.argv = before
    return Outcome(code, said.getvalue(), out.getvalue())


def made(out: Path) -> dict[str, pd.DataFrame]:
    """Read the tables below a folder."""
    return {path.relative_to(out).as_posix(): pd.read_parquet(path) for path in sorted(out.rglob("*.parquet"))}


def judge(case: Case, whole: Path, place: Path, seed: int = 0) -> tuple[str, str]:
    """Do one attack.

    Args:
        case: Which.
        whole: The study, unharmed.
        place: An empty folder to work in.
        seed: Of the damage.

    Returns:
        "right", "refused", "unharmed", "silent" or "traceback", and what was said.
    """
    study, out = place / "study", place / "out"
    shutil.copytree(whole, study)
    path = study / case.file.replace("RUN", f"runs/{recipe().runs[0].run_id}")
    before = path.read_bytes()
    DAMAGES[case.damage](path, random.Random(f"{seed} {case}"))
    if path.is_file() and path.read_bytes() == before:
        return "unharmed", ""
    outcome = call(COMMANDS[case.command](study, out))
    said = outcome.error.splitlines()[-1] if outcome.error else ""
    if "Traceback" in outcome.error or outcome.code not in (0, 2):
        return "traceback", outcome.error
    if outcome.code == 2:
        return ("refused" if said.startswith("error: ") else "silent"), said
    if case.command in ("verify", "verify run"):
        asked = case.command == "verify" or case.file.startswith("RUN")
        return ("silent" if asked else "right"), said
    if case.command in ("run", "repair"):
        changed = call(COMMANDS["verify"](study, out)).error
        # Snapshots that nothing is computed from are not read again; what is wrong with them stays to be found.
        asleep = case.command == "run" and path.parent.name in ("snapshots", "moves") and bool(changed)
        well = _same(made(whole / "runs"), made(study / "runs")) and (asleep or not changed)
        return ("right" if well else "silent"), changed or said
    if case.command == "report" and recipe().runs[0].run_id in outcome.out:
        return "refused", "named as a run that is not done"
    if case.command == "report":
        return ("right" if _same(made(whole / "shown"), made(out / "shown")) else "silent"), said
    return ("right" if _same(_expected(whole, case.command), made(out)) else "silent"), said


@cache
def _expected(whole: Path, command: str) -> dict[str, pd.DataFrame]:
    """Make the tables that a command makes of the study unharmed."""
    with tempfile.TemporaryDirectory() as out:
        outcome = call(COMMANDS[command](whole, Path(out) / "out"))
        assert outcome.code == 0, outcome.error
        return made(Path(out) / "out")


def _same(left: dict[str, pd.DataFrame], right: dict[str, pd.DataFrame]) -> bool:
    return left.keys() == right.keys() and all(left[name].equals(right[name]) for name in left)


def cases() -> Iterator[Case]:
    """List every attack."""
    for file in (*(f"RUN/{name}" for name in RUN_FILES), *STUDY_FILES):
        for damage in DAMAGES:
            for command in COMMANDS:
                yield Case(file, damage, command)


def make(folder: Path) -> Path:
    """Make the study that is attacked."""
    outcome = call(_study_run(folder, folder))
    assert outcome.code == 0, outcome.error
    return folder


def _all() -> None:
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        whole = make(Path(folder) / "whole")
        for case in cases():
            with tempfile.TemporaryDirectory() as place:
                verdict, said = judge(case, whole, Path(place))
            counts[case.command, verdict] += 1
            if verdict in ("silent", "traceback"):
                print(*case, verdict, said.splitlines()[-1:], sep="\t", flush=True)
    for (command, verdict), count in sorted(counts.items()):
        print(command, verdict, count, sep="\t")


if __name__ == "__main__":
    _all()
