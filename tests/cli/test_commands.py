"""What every command does when all is well."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cli_support import TINY, Command
from safetensors.torch import save_file

from spectraledge.algebra import named_group
from spectraledge.cli.app import _COMMANDS
from spectraledge.tasks import GROUPINGS, OPERATIONS
from spectraledge.trajectory import Manifest

COMMANDS = [
    ("study", "run"),
    ("study", "status"),
    ("study", "report"),
    ("train",),
    ("analyze",),
    ("modes",),
    ("score",),
    ("ablate",),
    ("centroids",),
    ("gradients",),
    ("curvature",),
    ("fork",),
    ("checkpoints", "list"),
    ("checkpoints", "verify"),
    ("doctor",),
    ("example", "language-model"),
]


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_the_shared_options(command: Command, names: tuple[str, ...], monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = command(*names, "--help")
    assert shown.code == 0
    assert f"Example:  spectraledge {' '.join(names)}" in shown.out
    for option in ("--out", "--seed", "--json"):
        assert option in shown.out


def test_the_list_says_of_every_command_what_the_command_says_of_itself(command: Command, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for name, (module, words, _) in _COMMANDS.items():
        assert words in command(name, "--help").out, name
        written = getattr(import_module(f"spectraledge.cli.{module}"), name).__doc__
        assert name in ("study", "checkpoints", "example") or written in (None, words), name


def test_the_list_imports_no_command() -> None:
    script = (
        "import sys; from spectraledge.cli.app import app; "
        "app(['--help'], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "curvature" in done.stdout


@pytest.mark.parametrize("collects", [True, False])
def test_a_command_starts_without_what_only_its_work_needs(collects: bool) -> None:
    script = (
        f"import gc, sys; from spectraledge.cli.app import app; collects = {collects}; collects or gc.disable(); "
        "app(['modes', '--help'], standalone_mode=False); assert 'torch' in sys.modules; "
        "assert not {'scipy.stats', 'scipy.optimize'} & sys.modules.keys(); "
        "assert gc.isenabled() == collects == bool(gc.get_freeze_count())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "registry"), [("train", OPERATIONS), ("modes", GROUPINGS)])
def test_help_lists_all_that_is_registered(
    command: Command, name: str, registry: dict[str, object], monkeypatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = set(re.findall(r"\w+", command(name, "--help").out))
    assert set(registry) <= words


def test_train_with_interventions(command: Command, tmp_path: Path) -> None:
    texts = ["remove:edge:2,window=4", "keep:random:3,on=gradient,norm=restored,until=60"]
    done = command(
        "train", "add", *TINY, "--out", tmp_path / "run", *(word for text in texts for word in ("--intervene", text))
    )
    assert done.code == 0
    assert "remove:edge:2,window=4: 116 steps changed, 4 before there were directions; " in done.out
    assert [(one["acted"], one["idle"]) for one in Manifest.read(tmp_path / "run").interventions] == [(116, 4), (60, 0)]


def test_ablate_ends_in_a_sentence(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    done = command("ablate", tiny_run, "--window", 10, "--nulls", 2, "--out", tmp_path)
    assert done.code == 0
    assert "everything" in done.out
    assert "Taking back what the run moved its weights by along the leading directions at step" in done.out
    assert f"ablated functions  {tmp_path / 'ablated_functions.parquet'}" in done.out
    found = json.loads(command("ablate", tiny_run, "--window", 10, "--nulls", 2, "--out", tmp_path, "--json").out)
    assert found["found"] in done.out
    assert set(found) == {"ablation", "ablated_functions", "found"}


def test_centroids_end_in_a_sentence(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    done = command("centroids", tiny_run, "--window", 10, "--nulls", 2, "--out", tmp_path)
    assert done.code == 0
    assert "the leading directions of the gradients' window move centroids" in done.out
    found = json.loads(command("centroids", tiny_run, "--window", 10, "--nulls", 2, "--out", tmp_path, "--json").out)
    assert set(found) == {"centroids", "found"}


def test_gradients_end_in_a_sentence(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    done = command("gradients", tiny_run, "--window", 10, "--nulls", 2, "--out", tmp_path)
    assert done.code == 0
    assert "windows move the task's own functions so many times as much" in done.out
    found = json.loads(command("gradients", tiny_run, "--window", 10, "--nulls", 2, "--out", tmp_path, "--json").out)
    assert set(found) == {"gradient_spectra", "gradient_edges", "gradient_selection", "found"}


def test_curvature_ends_in_a_sentence(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    done = command("curvature", tiny_run, "--window", 10, "--nulls", 2, "--stride", 10, "--out", tmp_path)
    assert done.code == 0
    assert "The commutator defect is" in done.out
    assert set(
        json.loads(command("curvature", tiny_run, "--window", 10, "--step", 60, "--out", tmp_path, "--json").out)
    ) == {
        "commutator",
        "curvature",
        "found",
    }


def test_fork_compares_branches(command: Command, tmp_path: Path) -> None:
    assert command("train", "add", *TINY, "--out", tmp_path / "run", "--keep-states", 60).code == 0
    asked = ("fork", tmp_path / "run", "--step", 60, "--steps", 20, "--nulls", 3, "--every", 10)
    asked += ("--answers", "permuted", "--weight-decay", 0, "--batch-order", 1, "--intervene", "remove:random:2")
    done = command(*asked)
    assert done.code == 0
    assert "remove:random:2: remove:random:2: 20 steps changed, 0 before there were directions" in done.err
    assert "kept no state" not in done.err
    place = tmp_path / "run-fork-60"
    names = {"unchanged", "answers-permuted", "weight-decay-0.0", "batch-order-1", "remove-random-2"}
    assert {path.name for path in place.iterdir() if path.is_dir()} == names
    assert "Over 20 steps from one network at step 60, functions of a + b hold so many times" in done.out
    assert (place / "branches.parquet").is_file()
    found = json.loads(command(*asked, "--json").out)
    assert found["found"] in done.out
    warmed = command("fork", tmp_path / "run", "--step", 65, "--steps", 5, "--nulls", 2, "--warm-up", 7)
    assert "kept no state at step 65: the optimizer's memory is filled over 7 steps" in warmed.err


def test_score_ends_in_a_sentence_and_a_picture(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "permuted"
    assert command("train", "permuted_add", *TINY, "--out", other).code == 0
    measured = command("score", tiny_run, "--window", 10, "--nulls", 2, "--control", other)
    assert measured.code == 0
    assert measured.out.startswith("On pairs that it never saw, functions of a + b hold ")
    assert "not dated: against one control a false alarm has a chance of up to 0.5" in measured.out
    assert "Over the measured intervals the watched weights carried" in measured.out
    assert re.search(rf"^picture +{tiny_run / 'figures' / 'score.png'}$", measured.out, flags=re.M)
    assert (tiny_run / "figures" / "score.png").stat().st_size > 10_000
    page = (tiny_run / "report.html").read_text()
    assert "answers permuted mod 7" in page
    for name in ("score", "growth", "carriers", "onsets"):
        assert len(pd.read_parquet(tiny_run / f"{name}.parquet"))
    told = json.loads(command("score", tiny_run, "--out", tmp_path / "alone", "--json").out)
    assert told["found"].endswith("give runs on permuted answers with --control.")
    assert "onsets" not in told
    assert not (tmp_path / "alone" / "onsets.parquet").exists()


def test_train_analyze_modes(command: Command, tiny_run: Path) -> None:
    assert sorted(path.name for path in tiny_run.iterdir() if not path.name.startswith(".")) == [
        "domain.parquet",
        "files.json",
        "gram.parquet",
        "metrics.parquet",
        "moves",
        "run.json",
        "snapshots",
    ]
    assert len(list((tiny_run / "snapshots").iterdir())) == 25
    analyzed = command("analyze", tiny_run, "--window", 10, "--json")
    assert analyzed.code == 0
    told = json.loads(analyzed.out)
    assert told["matched"] == [
        f"layers.{layer}.attention.{part}.weight" for layer in (0, 1) for part in ("output", "qkv")
    ]
    spectrum, edge = (pd.read_parquet(tiny_run / f"{name}.parquet") for name in ("spectrum", "edge"))
    assert list(spectrum.columns) == ["step", "k", "eigenvalue", "singular_value", "share"]
    assert list(edge.columns) == ["step", "k_star", "g12", "g23", "trace", "effective_dimension"]
    assert edge["step"].tolist() == list(range(50, 121, 5))
    measured = command(
        "modes", tiny_run, "--window", 10, "--nulls", 3, "--basis", "sum", "--basis", "dlog_sum", "--json"
    )
    assert measured.code == 0
    told = json.loads(measured.out)
    assert told["step"] == 120
    assert {row["basis"] for row in told["selects"]} == {"sum", "dlog_sum"}
    assert told["found"].startswith("At step 120 the updates ")
    for name in ("selection", "keys", "contrasts", "moves", "frequencies", "agreement", "probes"):
        assert told[name] == str(tiny_run / f"{name}.parquet")
        assert len(pd.read_parquet(tiny_run / f"{name}.parquet"))
    assert not (tiny_run / "course.parquet").exists()
    modes = pd.read_parquet(tiny_run / "modes.parquet")
    assert list(modes.columns[:9]) == [
        "step",
        "kind",
        "direction",
        "basis",
        "frequency",
        "subspace",
        "concentration",
        "energy_share",
        "method",
    ]
    nulls = {"span", "random", "block", "run_span", "weights", "gradient", "shuffled"}
    assert set(modes["kind"]) == {"edge", "bulk", *nulls}
    assert set(modes["method"]) == {"jvp", "difference"}
    # Of 49 pairs, 13 have a zero and no logarithm.
    assert modes.query("basis == 'dlog_sum' and method == 'jvp'")["excluded"].unique().tolist() == [13]


def test_modes_of_logits_and_their_course(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    settings = ("--window", 5, "--nulls", 2, "--readout", "logits", "--stride", 4, "--out", tmp_path)
    shown = command("modes", tiny_run, *settings)
    assert shown.code == 0, shown.err
    assert shown.out.startswith("At step 120 the updates ")
    assert "95% interval" in shown.out.splitlines()[0]
    assert "selection ratio" in shown.out
    assert "Medians" not in shown.out
    assert len(shown.out.splitlines()) < 20
    assert f"its page: spectraledge report {tiny_run} --window=5 --nulls=2" in shown.err
    # The page is told of the settings at which modes were measured.
    told = command("modes", tiny_run, *settings, "--verbose")
    assert "Medians over directions" in told.out
    assert str(tmp_path / "selection.parquet") in told.out
    assert set(pd.read_parquet(tmp_path / "modes.parquet")["readout"]) == {"logits"}
    assert pd.read_parquet(tmp_path / "course.parquet")["step"].nunique() == 5
    assert len(pd.read_parquet(tmp_path / "changes.parquet"))


def test_a_finished_run_is_not_trained_again(command: Command, tiny_run: Path) -> None:
    before = (tiny_run / "run.json").read_bytes()
    again = command("train", "add", *TINY, "--out", tiny_run, "--json")
    assert json.loads(again.out)["status"] == "done"
    assert (tiny_run / "run.json").read_bytes() == before


def test_analyze_reads_folders_of_others(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    theta = np.cumsum(rng.standard_normal((9, 6)), axis=0)
    for index, vector in enumerate(theta):
        save_file({"block.attn.weight": torch.tensor(vector)}, tmp_path / f"checkpoint-{index * 7}.safetensors")
    result = command("analyze", tmp_path, "--params", "*attn*", "--window", 4, "--center", "--out", tmp_path / "out")
    assert result.code == 0
    assert "watched 1 tensors, 6 parameters: block.attn.weight" in result.err
    spectrum = pd.read_parquet(tmp_path / "out" / "spectrum.parquet")
    rows = np.diff(theta[-5:], axis=0)
    expected = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(spectrum["eigenvalue"].tail(4), expected, atol=1e-10)
    assert spectrum["step"].max() == 56
    assert f"its page: spectraledge report {tmp_path / 'out'}\n" in result.err


def test_many_tensors_are_counted_unless_asked_for(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for step in range(4):
        tensors = {f"layers.{layer}.weight": torch.tensor(rng.standard_normal(3)) for layer in range(20)}
        tensors["head.weight"] = torch.tensor(rng.standard_normal(2))
        save_file(tensors, tmp_path / f"step_{step}.safetensors")
    settings = (tmp_path, "--params", "head*", "--window", 2, "--out", tmp_path / "out")
    said = command("analyze", *settings)
    assert "left out 20 tensors (no pattern matches); --verbose lists them" in said.err
    assert "watched 1 tensors, 2 parameters: head.weight" in said.err
    assert "layers.7.weight" not in said.err + said.out
    assert "layers.7.weight" in command("analyze", *settings, "--verbose").err
    told = json.loads(command("analyze", *settings, "--json").out)
    assert told["left_out"]["layers.7.weight"] == "no pattern matches"


@pytest.mark.parametrize("kind", ["function", "csv", "npy"])
def test_train_on_a_task_of_the_user(command: Command, tmp_path: Path, kind: str) -> None:
    table = np.array([[(a * a + 2 * b) % 7 for b in range(7)] for a in range(7)])
    if kind == "function":
        (tmp_path / "mine.py").write_text("def mine(a, b):\n    return None if a == b else a * a + 2 * b\n")
        source = f"{tmp_path}/mine.py:mine"
    else:
        source = tmp_path / f"mine.{kind}"
        signed = np.where(np.eye(7, dtype=bool), -1, table)
        np.savetxt(source, signed, delimiter=",", fmt="%d") if kind == "csv" else np.save(source, signed)
    folder = tmp_path / "run"
    assert command("train", source, *TINY, "--out", folder).code == 0
    domain = pd.read_parquet(folder / "domain.parquet")
    assert len(domain) == 42
    np.testing.assert_array_equal(domain["label"], table[domain["a"], domain["b"]])
    assert command("modes", folder, "--window", 5, "--nulls", 2, "--basis", "output", "--json").code == 0


def test_doctor(command: Command, tmp_path: Path) -> None:
    result = command("doctor", "--json", "--out", tmp_path)
    found = json.loads(result.out)
    assert result.code == 0
    assert found["missing"] == []
    assert found["spectrum_error"] < 1e-12
    assert json.loads((tmp_path / "doctor.json").read_text()) == found


def test_version(command: Command) -> None:
    assert command("--version").out.strip() == "0.1.0"


def test_several_runs_train_as_one_batch(command: Command, tmp_path: Path) -> None:
    result = command("train", "add", *TINY, "--runs", 3, "--seed", 5, "--out", tmp_path, "--json")
    assert result.code == 0
    found = json.loads(result.out)["runs"]
    assert [(run["status"], run["step"]) for run in found] == [("done", 120)] * 3
    assert f"its page: spectraledge report {' '.join(run['folder'] for run in found)}\n" in result.err
    assert [Manifest.read(Path(run["folder"])).config["seed"] for run in found] == [5, 6, 7]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(Path(run["folder"]).name for run in found)


@pytest.mark.parametrize("kind", ["name", "table"])
def test_a_group_and_its_control_are_read_by_irreducible_representations(command: Command, tmp_path: Path, kind: str):
    source, own = "group:S3", "group:S3"
    if kind == "table":
        source, own = tmp_path / "t.csv", "group"
        np.savetxt(source, np.roll(named_group("S3").table_MM, 1, axis=0)[:, ::-1], fmt="%d")
    runs = [tmp_path / "own", tmp_path / "control"]
    for folder, name in zip(runs, (source, f"permuted:{source}"), strict=True):
        done = command("train", name, *TINY[2:], "--steps", 40, "--out", folder)
        assert done.code == 0, done.err
    done = command("score", runs[0], "--control", runs[1], "--window", 5, "--nulls", 3)
    assert done.code == 0, done.err
    assert done.out.startswith("On pairs that it never saw, functions of ")
    score = pd.read_parquet(runs[0] / "score.parquet")
    # Two more representations than the trivial one, of 1 and of 4 functions.
    assert set(score.loc[score["basis"] == own, "subspace"]) >= {"sign", "standard"}


def test_what_needs_functions_that_a_task_has_not_says_so_without_a_traceback(command: Command, tmp_path: Path) -> None:
    # Of units mod 3 a² + b² is 2, and of a / b mod 2 there is one pair with a logarithm.
    options = [*TINY[2:], "--steps", 40, "--every", 2]
    assert command("train", "add+mul+square_sum", "--modulus", 3, *options, "--out", tmp_path / "joint").code == 0
    done = command("ablate", tmp_path / "joint", "--nulls", 3, "--window", 5)
    assert (done.code, done.err) == (0, "")
    assert "Taking back what the run moved its weights by" in done.out
    assert pd.read_parquet(tmp_path / "joint" / "ablated_functions.parquet").empty
    assert command("train", "div", "--modulus", 2, *options, "--out", tmp_path / "div").code == 0
    done = command("score", tmp_path / "div", "--nulls", 3, "--window", 5)
    assert (done.code, done.out) == (2, "")
    assert "cover no pair" in done.err


@pytest.mark.parametrize("task", ["mul", "add+mul"])
def test_a_modulus_too_small_for_a_task_is_said_with_what_to_do(command: Command, tmp_path: Path, task: str) -> None:
    done = command("train", task, "--modulus", 2, "--out", tmp_path / "run")
    assert (done.code, done.out) == (2, "")
    assert "needs at least two pairs" in done.err
    assert "take a larger modulus" in done.err
