"""What the user can get wrong: one line that says what to do, exit code 2, nothing half-written."""

import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_support import TINY, Command, Outcome
from safetensors.torch import save_file

from spectraledge.trajectory import Manifest


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Six snapshots of one tensor."""
    folder = tmp_path / "series"
    folder.mkdir()
    for index in range(6):
        save_file({"w": torch.full((3,), float(index))}, folder / f"step_{index}.safetensors")
    return folder


def refused(outcome: Outcome, *parts: str) -> None:
    """Check for exit code 2 and a one-line message with all parts."""
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    message = outcome.err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["train", "plus"], ["unknown task 'plus'", "add (a + b)", "cubic"]),
        (["train", "div", "--modulus", 91], ["division needs a prime modulus, got 91", "89 or 97"]),
        (["train", "div", "--modulus", 8], ["division needs a prime modulus, got 8", "7 or 11", "group:U8:ab^-1"]),
        (["train", "add", "--modulus", 1], ["modulus must be at least 2"]),
        (["train", "add", "--heads", 3], ["heads must divide width"]),
        (["train", "add", "--steps", 150], ["steps must be a multiple of every"]),
        (["train", "add", "--learning-rate", -1], ["learning_rate", "greater than 0"]),
        (["train", "missing.csv"], ["no task table at missing.csv"]),
        (["train", "add", "--device", "abacus"], ["device 'abacus' cannot be used here", "use cpu"]),
        (["train", "add", "--train-fraction", 0.00001], ["leaves 0 to train", "choose one that leaves both some"]),
        (["train", "missing.py:f"], ["no Python file at missing.py"]),
        (["study", "run", "slow"], ["unknown study 'slow'", "quick"]),
        (["study", "status", "nowhere"], ["no study.json in nowhere"]),
        (["study", "report", "nowhere"], ["no study.json in nowhere"]),
        (["analyze", "nowhere"], ["no folder at nowhere"]),
        (["modes", "nowhere"], ["no run.json in nowhere"]),
        (["modes", "nowhere", "--device", "mps"], ["'mps' has no double precision", "take cpu"]),
        (["score", "nowhere", "--device", "abacus"], ["unknown device 'abacus'", "expected cpu, cuda or cuda:N"]),
        (["analyze", "nowhere", "--device", "cuda:99"], ["device 'cuda:99'", "cpu"]),
        (["study", "run", "quick", "--device", "cuda:99"], ["device 'cuda:99'", "cpu"]),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else None,
)
def test_wrong_arguments(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[object], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(command(*arguments), *parts)
    assert files_below(tmp_path) == set()


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        (["--window", 6], ["window must be in [2, 5] for 6 snapshots, got 6"]),
        (["--window", 4, "--params", "*attn*"], ["'*attn*' matches nothing", "the tensors are w"]),
    ],
)
def test_analyze_refuses(command: Command, series: Path, extra: list[object], parts: list[str]) -> None:
    before = files_below(series)
    refused(command("analyze", series, *extra), *parts)
    assert files_below(series) == before


def test_analyze_refuses_a_series_without_a_window(command: Command, series: Path, tmp_path: Path) -> None:
    outcome = command("analyze", series / "step_[0-1]*", "--step", r"step_(0+)\.", "--out", tmp_path / "out")
    refused(outcome, "the shortest window, of 2 updates, needs 3 snapshots, got 1")


def test_forks_that_cannot_be(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    for options, part in {
        ("--step", 7): "no snapshot at step 7",
        ("--step", 500): "which ends at 120: the nearest is at step 120",
        ("--step", 60, "--warm-up", 0): "kept no state at step 60 (kept: none): train it with --keep-states",
        ("--step", 60, "--steps", 7): "steps must be a multiple of every",
        ("--step", 60, "--steps", 10, "--answers", "nothing"): "unknown task 'nothing'",
        ("--step", 60, "--steps", 10, "--answers", "mul"): "a fork answers the same pairs as its run",
        ("--step", 60, "--steps", 10, "--train-fraction", 1.5): "train_fraction: Input should be less than 1",
        ("--step", 60, "--steps", 10, "--weight-decay", 1.0): "is the same as 'unchanged'",
        ("--step", 60, "--steps", 10, "--intervene", "edge"): "expected ACTION:SUBSPACE",
    }.items():
        refused(command("fork", tiny_run, *options, "--out", tmp_path / "forks"), part)
    assert not (tmp_path / "forks").exists()
    refused(command("train", "add", *TINY, "--out", tmp_path / "run", "--keep-states", 7), "every 5 steps, got 7")
    refused(command("train", "add", *TINY, "--every", 0, "--keep-states", 7), "every: Input should be greater than 0")


def test_interventions_that_mean_nothing(command: Command, tmp_path: Path) -> None:
    for text, part in {
        "edge:3": "expected ACTION:SUBSPACE such as remove:edge:3",
        "remove:edge:30": "asks for more directions than a window of 20 has",
        "remove:edge:3,from=120": "lies beyond the budget of 120 steps",
        "remove:given": "write the vectors to a file",
        "remove:edge:3,params=nothing": "parameter pattern 'nothing' matches nothing",
    }.items():
        refused(command("train", "add", *TINY, "--out", tmp_path / "run", "--intervene", text), part)
    assert not (tmp_path / "run").exists()


def spoil_shape(path: Path) -> None:
    save_file({"w": torch.zeros(4)}, path)


def spoil_nan(path: Path) -> None:
    save_file({"w": torch.tensor([1.0, float("nan"), 2.0])}, path)


def spoil_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def spoil_foreign(path: Path) -> None:
    path.write_bytes(b"not a tensor in sight, only words and words and words")


def spoil_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"w": [1.0, 2.0, 3.0]}))


def spoil_torch_save(path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, path)


def spoil_name(path: Path) -> None:
    path.rename(path.with_name("final.safetensors"))


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (spoil_shape, "all snapshots must come from one network"),
        (spoil_nan, "not finite"),
        (spoil_truncated, "truncated or is not a safetensors file"),
        (spoil_foreign, "truncated or is not a safetensors file"),
        (spoil_pickle, "is a pickle"),
        (spoil_torch_save, "is a pickle"),
        (spoil_name, "cannot tell the step of"),
    ],
)
def test_spoilt_snapshots(command: Command, series: Path, spoil: object, part: str) -> None:
    spoil(series / "step_3.safetensors")
    before = files_below(series)
    refused(command("analyze", series, "--window", 3), part)
    assert files_below(series) == before


def test_folders_without_snapshots(command: Command, tmp_path: Path) -> None:
    refused(command("analyze", tmp_path), "no snapshots in")
    (tmp_path / "step_1.pkl").write_bytes(pickle.dumps({"w": [0.0]}))
    refused(command("analyze", tmp_path), "step_1.pkl is not read: pickles are not opened")


def test_unknown_basis_and_step(command: Command, tiny_run: Path) -> None:
    before = files_below(tiny_run)
    refused(command("modes", tiny_run, "--window", 5, "--basis", "fourier"), "unknown basis 'fourier'", "dlog_sum")
    refused(command("modes", tiny_run, "--window", 5, "--step", 7), "no snapshot at step 7", "step 5")
    assert files_below(tiny_run) == before


def test_logarithms_need_a_prime(command: Command, tmp_path: Path) -> None:
    assert command("train", "add", *TINY, "--modulus", 8, "--out", tmp_path / "run").code == 0
    refused(command("modes", tmp_path / "run", "--window", 5, "--basis", "dlog_sum"), "needs a prime modulus, got 8")


def test_a_folder_of_another_configuration(command: Command, tiny_run: Path) -> None:
    before = {path: path.read_bytes() for path in files_below(tiny_run)}
    refused(command("train", "add", *TINY, "--seed", 1, "--out", tiny_run), "another configuration (different: seed)")
    assert {path: path.read_bytes() for path in files_below(tiny_run)} == before


def test_a_folder_of_something_else(command: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    refused(command("train", "add", *TINY, "--out", tmp_path), "exists and is no run folder")
    refused(command("train", "add", *TINY, "--out", tmp_path / "thesis.tex"), "exists and is no run folder")
    assert files_below(tmp_path) == {tmp_path / "thesis.tex"}


def test_a_manifest_that_is_not_ours(command: Command, tiny_run: Path) -> None:
    manifest = Manifest.read(tiny_run)
    manifest.config["batch_size"] = -16
    manifest.write(tiny_run)
    refused(command("modes", tiny_run, "--window", 5), "settings that this version does not know (batch_size")
    refused(command("analyze", tiny_run, "--window", 5), "settings that this version does not know (batch_size")
    (tiny_run / "run.json").write_text((tiny_run / "run.json").read_text()[:-20])
    refused(command("modes", tiny_run, "--window", 5), "is not valid JSON")
    (tiny_run / "run.json").write_text("{}")
    refused(command("modes", tiny_run, "--window", 5), "is not a run manifest of this version")


def test_divergence(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    outcome = command("train", "add", *TINY, "--learning-rate", 1e30, "--out", folder)
    refused(outcome, "the loss became", "lower the learning rate")
    assert '"status": "failed"' in (folder / "run.json").read_text()
    assert (folder / "snapshots" / "step_00000000.safetensors").is_file()


def test_no_right_to_write(command: Command, series: Path) -> None:
    refused(command("analyze", series, "--window", 3, "--out", "/proc/spectraledge"), "the system refused")


def test_no_space_left(tmp_path: Path) -> None:
    """With files limited to 64 KiB, training stops with a message and leaves no partial file."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536));"
        f"sys.argv = ['spectraledge', 'train', 'add', '--out', {str(tmp_path / 'run')!r}];"
        "from spectraledge.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "the system refused: File too large" in done.stderr
    assert not [path for path in files_below(tmp_path) if ".partial" in path.name or path.suffix == ".safetensors"]


def test_tables_must_be_of_numbered_answers(command: Command, tmp_path: Path) -> None:
    for name, table, part in [
        ("flat", np.zeros(4), "must have rows and columns of numbers"),
        ("large", np.full((5, 5), 25), "an answer 25 in a table of 25 cells"),
        ("half", np.full((5, 5), 0.5), "not integers"),
    ]:
        np.save(tmp_path / f"{name}.npy", table)
        refused(command("train", tmp_path / f"{name}.npy", "--out", tmp_path / "run"), part)
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused(command("train", tmp_path / "pickled.npy", "--out", tmp_path / "run"), "not a readable table")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("train", "add", "--threads", 100_000), ["256"]),
        (("train", "add+"), ["a part behind each plus sign", "'add+'"]),
        (("train", "add", "--device", "meta", *TINY), ["device 'meta' holds no numbers"]),
        (("analyze", "\udcff", "--window", 5), ["is no text in UTF-8"]),
        (("study", "run", "quick", "--threads", 100_000), ["256"]),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], parts: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    outcome = command(*arguments)
    assert outcome.code == 2
    assert all(part in outcome.err for part in parts), outcome.err
    assert time.monotonic() - began < 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "/etc", "..", "a\\b", "a\nb", "x" * 200])
def test_a_task_that_names_another_place_is_refused_where_it_is_read(
    command: Command, tiny_run: Path, name: str
) -> None:
    manifest = Manifest.read(tiny_run)
    manifest.config["task"] = name
    manifest.write(tiny_run)
    refused(command("modes", tiny_run, "--window", 5), "settings that this version does not know (task")


def test_more_nulls_than_can_be_told_apart_are_refused(command: Command, tiny_run: Path) -> None:
    refused(command("modes", tiny_run, "--window", 5, "--nulls", 100_000_000), "nulls", "10000")
