"""`checkpoints list` and `checkpoints verify`, and `analyze` on series of others."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from cli_support import Command
from safetensors.torch import load_file, save_file


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Eight checkpoints of a random walk, as Transformers' trainer lays them out."""
    folder = tmp_path / "series"
    generator = torch.Generator().manual_seed(0)
    weight_TP = torch.randn(8, 60, generator=generator).cumsum(0)
    for index, row in enumerate(weight_TP):
        place = folder / f"checkpoint-{100 * index}"
        place.mkdir(parents=True)
        tensors = {"attn.weight": row[:48].reshape(6, 8).clone(), "ln.bias": row[48:].bfloat16()}
        save_file(tensors, place / "model.safetensors")
    return folder


def test_list(command: Command, series: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    told = command("checkpoints", "list", series, "--json", "--out", tmp_path / "out")
    assert told.code == 0, told.err
    rows = json.loads(told.out)["checkpoints"]
    assert rows == json.loads((tmp_path / "out" / "checkpoints.json").read_text())
    assert [row["step"] for row in rows] == list(range(0, 800, 100))
    path = series / "checkpoint-300"
    assert rows[3] == {
        "step": 300,
        "path": str(path),
        "files": ["model.safetensors"],
        "bytes": (path / "model.safetensors").stat().st_size,
        "tensors": 2,
        "dtypes": ["F32", "BF16"],
        "parameters": 60,
        "left_out": {},
    }
    shown = command("checkpoints", "list", series)
    assert shown.code == 0
    assert "checkpoint-300/model.safetensors" in shown.out
    assert shown.err == ""


def test_list_says_that_steps_are_uneven(command: Command, series: Path) -> None:
    (series / "checkpoint-700").rename(series / "checkpoint-650")
    assert "intervals are 100 (6 times), 50 (1 time)" in command("checkpoints", "list", series).err


def test_a_sound_series_is_clean(command: Command, series: Path) -> None:
    outcome = command("checkpoints", "verify", series)
    assert (outcome.code, outcome.out) == (0, "8 checkpoints, 2 tensors: no findings\n")


def test_quick_reads_no_weights(command: Command, series: Path) -> None:
    said = command("checkpoints", "verify", series, "--quick")
    assert (said.code, "nothing read: no finding" in said.out) == (0, True)
    one, other = (series / f"checkpoint-{step}" / "model.safetensors" for step in (200, 300))
    other.unlink()
    other.hardlink_to(one)
    said = command("checkpoints", "verify", series, "--quick", "--json")
    assert said.code == 1
    assert [(one["kind"], one["steps"]) for one in json.loads(said.out)["findings"]] == [("duplicate", [200, 300])]


def test_a_pattern_chooses_one_of_two_series(command: Command, tmp_path: Path) -> None:
    for stage in (1, 2):
        for step in range(3):
            save_file({"weight": torch.full((2, 2), float(stage))}, tmp_path / f"stage{stage}-step{step}.safetensors")
    refused = command("checkpoints", "list", tmp_path)
    assert refused.code == 2
    assert "--step" in refused.err
    said = command("checkpoints", "list", tmp_path, "--step", r"^stage2-step(\d+)", "--json")
    assert [one["step"] for one in json.loads(said.out)["checkpoints"]] == [0, 1, 2]
    assert "stage2" in said.out
    assert "no part of the series: stage1-step0.safetensors" in said.err


def test_findings_are_told_and_end_with_code_1(command: Command, series: Path, tmp_path: Path) -> None:
    four, five, seven = (series / f"checkpoint-{step}" / "model.safetensors" for step in (400, 500, 700))
    five.write_bytes(four.read_bytes())
    seven.write_bytes(seven.read_bytes()[:50])
    (series / "checkpoint-200" / "model.safetensors").unlink()
    outcome = command("checkpoints", "verify", series)
    assert outcome.code == 1
    first, second, third, last = outcome.out.splitlines()
    assert first == "missing: step 200 is missing between steps 100 and 300"
    assert second.startswith("unreadable: step 700 cannot be read: ")
    assert third == "duplicate: steps 400, 500 hold the same tensors, byte for byte"
    assert last == "7 checkpoints, 2 tensors: 3 findings"
    told = command("checkpoints", "verify", series, "--json", "--out", tmp_path / "out")
    assert told.code == 1
    result = json.loads(told.out)
    assert result == json.loads((tmp_path / "out" / "verification.json").read_text())
    assert [(finding["kind"], finding["steps"]) for finding in result["findings"]] == [
        ("missing", [200]),
        ("unreadable", [700]),
        ("duplicate", [400, 500]),
    ]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["list", "nowhere"], "no folder at nowhere"),
        (["verify", "nowhere"], "no folder at nowhere"),
        (["verify", "no*where"], "no*where matches no snapshots"),
        (["verify", "series", "--params", "*mlp*"], "'*mlp*' matches nothing; the tensors are attn.weight, ln.bias"),
    ],
)
def test_mistakes_end_with_code_2(
    command: Command, series: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], part: str
) -> None:
    monkeypatch.chdir(series.parent)
    outcome = command("checkpoints", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in outcome.err.strip().splitlines()[-1]


def test_analyze_reads_globs_and_nested_weights(command: Command, series: Path, tmp_path: Path) -> None:
    """Three ways to give the same series give the same spectrum."""
    spectra = []
    for folder in sorted(series.iterdir()):
        tensors = load_file(folder / "model.safetensors")
        torch.save({"ema": {"shadow": tensors}, "step": 1}, tmp_path / f"{folder.name}.pt")
    options = ("--params", "*attn*", "--window", 4)
    for number, source in enumerate(
        [(series,), (series / "*" / "*.safetensors",), (tmp_path / "*.pt", "--key", "ema/shadow")]
    ):
        outcome = command("analyze", *source, *options, "--out", tmp_path / f"out{number}")
        assert outcome.code == 0, outcome.err
        spectra.append(pd.read_parquet(tmp_path / f"out{number}" / "spectrum.parquet"))
    for spectrum in spectra[1:]:
        pd.testing.assert_frame_equal(spectrum, spectra[0])


def test_analyze_says_where_rounding_explains_all(command: Command, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = 1 + torch.rand(6, 8, generator=generator)
    for step in range(10):
        moved = 1e-3 * torch.randn(6, 8, generator=generator) * (1 if step < 9 else 1000)
        save_file({"weight": (weight + moved).bfloat16()}, tmp_path / f"step_{step}.safetensors")
    said = command("analyze", tmp_path, "--window", 4)
    assert said.code == 0
    assert "in 5 of 6 windows all eigenvalues are 0: the weights stand still, or move by no more" in said.err
    assert "in 1 of 6 windows k* is the last eigenvalue that can be told from rounding, and the drop" in said.err


def test_analyze_needs_a_place_for_what_a_glob_gives(command: Command, series: Path) -> None:
    outcome = command("analyze", series / "*", "--window", 4)
    assert outcome.code == 2
    assert "choose a folder with --out" in outcome.err


def test_analyze_treats_uneven_steps_as_told(command: Command, series: Path, tmp_path: Path) -> None:
    (series / "checkpoint-700").rename(series / "checkpoint-625")
    traces = {}
    for spacing in ("keep", "scale"):
        outcome = command("analyze", series, "--window", 4, "--spacing", spacing, "--out", tmp_path / spacing)
        assert outcome.code == 0
        assert "unevenly spaced, their intervals are 100 (6 times), 25 (1 time)" in outcome.err
        traces[spacing] = pd.read_parquet(tmp_path / spacing / "edge.parquet")["trace"]
    assert traces["scale"][:3].tolist() == pytest.approx(traces["keep"][:3].tolist(), rel=1e-12)
    assert traces["scale"].iloc[-1] > traces["keep"].iloc[-1]
    refused = command("analyze", series, "--window", 4, "--spacing", "refuse")
    assert refused.code == 2
    assert "snapshots are unevenly spaced" in refused.err


def test_the_page_runs(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of docs/checkpoints.md from top to bottom; a line says so if it ends with another code than 0."""
    page = Path(__file__).parents[2] / "docs" / "checkpoints.md"
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with torch.random.fork_rng():
        for language, block in re.findall(r"```(python|console)\n(.*?)```", page.read_text(), flags=re.DOTALL):
            if language == "python":
                exec(compile(block, page.name, "exec"), names)
                continue
            for line in block.splitlines():
                text, _, expected = line.removeprefix("$ ").partition("  # exit code ")
                program, *arguments = shlex.split(text)
                assert program in ("spectraledge", "cp", "rm")
                if program == "spectraledge":
                    outcome = command(*arguments)
                    assert outcome.code == int(expected or 0), f"{line}\n{outcome.err}"
                else:
                    subprocess.run([program, *arguments], check=True)
    assert sorted(path.name for path in (tmp_path / "spectra").iterdir()) == ["edge.parquet", "spectrum.parquet"]


def test_list_names_a_file_that_it_cannot_read(command: Command, series: Path) -> None:
    (series / "checkpoint-300" / "model.safetensors").write_bytes(b"broken")
    outcome = command("checkpoints", "list", series)
    assert (outcome.code, outcome.out) == (2, "")
    assert "checkpoint-300/model.safetensors is truncated" in outcome.err


@pytest.mark.parametrize("names", [("analyze",), ("checkpoints", "verify")], ids=" ".join)
def test_help_shows_patterns_with_their_stars(
    command: Command, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = command(*names, "--help").out
    assert shown.count("'*attn*weight'") == 2
