"""The language model at a reduced size: the whole command, its tables, and a training that is stopped midway."""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spectraledge.cli import main
from spectraledge.errors import InputError
from spectraledge.examples import TABLES, LanguageConfig, SourceText, contexts, run_language_model
from spectraledge.examples.language_measures import LINKS, loss_links, shared_p
from spectraledge.examples.language_page import sentences
from spectraledge.examples.language_training import new_model, train_language_model
from spectraledge.files import read_table
from spectraledge.streams import numpy_generator
from spectraledge.trajectory import verify_series

SIZE = {"steps": 150, "width": 16}


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder that the command leaves, and what it prints."""
    folder = tmp_path_factory.mktemp("example") / "lm"
    options = ["--small", "--steps", str(SIZE["steps"]), "--width", str(SIZE["width"]), "--threads", "1", "--json"]
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(sys, "argv", ["spectraledge", "example", "language-model", *options, "--out", str(folder)])
        with pytest.raises(SystemExit, match=r"^0$"):
            main()
    return folder, json.loads(said.getvalue())


@pytest.fixture(scope="module")
def text() -> SourceText:
    return SourceText.read(seed=42)


def test_the_command_leaves_tables_as_declared_and_a_report(example: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = example
    assert {name: str(folder / f"{name}.parquet") for name in printed["tables"]} == printed["tables"]
    assert set(printed["tables"]) == {table.name for table in TABLES}
    for table in TABLES:
        found = read_table(folder / f"{table.name}.parquet")
        assert len(found)
        assert not table.misfit(found.columns)
    report = (folder / "report.html").read_text()
    for words in printed["found"].values():
        assert words.split(".")[0].replace("'", "’")[:40] in report.replace("'", "’")
    assert (folder / "figures" / "spectra-by-layer.png").stat().st_size > 10_000
    assert (folder / "report.md").is_file()


def test_it_learns_and_both_doors_give_one_spectrum(example: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = example
    course, agreed = (read_table(folder / f"{name}.parquet") for name in ("course", "agreement"))
    assert course["validation_loss"].iloc[-1] < course["validation_loss"].iloc[0] - 1.5
    assert agreed["group"].tolist() == ["layer 1", "layer 2", "embeddings", "all"]
    assert (agreed["windows"] == 150 - 20 + 1).all()
    assert agreed["difference"].max() < 1e-6
    assert (agreed["k_star_differs"] == 0).all()
    total, parts = agreed["parameters"].iloc[-1], agreed["parameters"].iloc[:-1].sum()
    assert total == parts + 16  # The last normalisation belongs to no group.
    traces = read_table(folder / "layer_spectra.parquet").pivot(index="step", columns="group", values="trace")
    within = traces[["layer 1", "layer 2", "embeddings"]].sum(axis=1) / traces["all"]
    assert within.between(0.99, 1 + 1e-9).all()


def test_checkpoints_are_those_of_transformers_and_sound(example: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = example
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(folder / "checkpoints" / "checkpoint-150")
    stored = load_file(folder / "checkpoints" / "checkpoint-150" / "model.safetensors")
    assert model.config._attn_implementation == "sdpa"
    assert model.lm_head.weight is model.transformer.wte.weight
    torch.testing.assert_close(model.transformer.wte.weight.detach(), stored["transformer.wte.weight"])
    found = verify_series(folder / "checkpoints", ["*"])
    assert len(found.snapshots) == 151
    assert not found.strangers
    assert not found.findings


def test_a_second_call_makes_nothing_again(example: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = example
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    again = run_language_model(LanguageConfig.small(**SIZE), folder)
    assert again.sentences == printed["found"]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before
    with pytest.raises(InputError, match="holds a training with other settings"):
        run_language_model(LanguageConfig.small(**SIZE, layers=3), folder)


def test_a_folder_of_somebody_else_is_left_alone(text: SourceText, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.pt").write_bytes(b"mine")
    with pytest.raises(InputError, match="holds something else: choose an empty folder"):
        train_language_model(LanguageConfig.small(**SIZE), text, tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["checkpoints", "mine.pt"]


def test_a_training_that_was_stopped_ends_with_the_same_numbers(
    example: tuple[Path, dict[str, Any]], text: SourceText, tmp_path: Path
) -> None:
    folder, _ = example
    seen = []

    def stop(step: int) -> None:
        seen.append(step)
        if step == 95 and len(seen) == 95:
            raise KeyboardInterrupt

    config = LanguageConfig.small(**SIZE)
    with pytest.raises(KeyboardInterrupt):
        train_language_model(config, text, tmp_path, on_progress=stop)
    assert not (tmp_path / "course.parquet").exists()
    (tmp_path / "checkpoints" / ".checkpoint-96.1.partial").mkdir()
    course = train_language_model(config, text, tmp_path, on_progress=stop)
    assert seen[95] == 81
    pd.testing.assert_frame_equal(course, read_table(folder / "course.parquet"), check_exact=True)
    for group in config.groups:
        for name in ("spectrum", "edge"):
            one, other = (read_table(place / "tracked" / group / f"{name}.parquet") for place in (tmp_path, folder))
            pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "tracked", "course.parquet", "example.json"}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {f"checkpoint-{n}" for n in range(151)}
    last = load_file(tmp_path / "checkpoints" / "checkpoint-150" / "model.safetensors")
    for name, value in load_file(folder / "checkpoints" / "checkpoint-150" / "model.safetensors").items():
        torch.testing.assert_close(last[name], value, rtol=0, atol=0)


def test_what_layers_share_is_what_differences_and_svd_give(
    example: tuple[Path, dict[str, Any]], text: SourceText
) -> None:
    folder, _ = example
    config = LanguageConfig.small(**SIZE)
    inputs, _ = contexts(
        text.validation, config.measured, config.context, config.stride, numpy_generator(42, "contexts")
    )
    snapshots = [load_file(folder / f"checkpoints/checkpoint-{step}/model.safetensors") for step in range(130, 151)]
    model = new_model(config).double()
    model.load_state_dict({**snapshots[-1], "lm_head.weight": snapshots[-1]["transformer.wte.weight"]})
    model.set_attn_implementation("eager")
    parameters = dict(model.named_parameters())

    def read() -> torch.Tensor:
        with torch.no_grad():
            logits = model(torch.from_numpy(inputs)).logits[:, config.stride - 1 :: config.stride].flatten(0, 1)
        return logits - logits.mean(-1, keepdim=True)

    spans = []
    for layer in range(2):
        names = [
            name for name in snapshots[0] if name.startswith(f"transformer.h.{layer}.") and name.endswith("weight")
        ]
        theta = torch.stack([torch.cat([one[name].double().ravel() for name in names]) for one in snapshots])
        responses = []
        for direction in torch.linalg.svd(theta.diff(dim=0), full_matrices=False)[2][:3]:
            parts = direction.split([parameters[name].numel() for name in names])
            ends = []
            for size in (1e-4, -2e-4, 1e-4):
                for name, part in zip(names, parts, strict=True):
                    parameters[name].data += size * part.view_as(parameters[name])
                ends.append(read())
            responses.append((ends[0] - ends[1]) / 2e-4)
        columns = torch.cat(responses, dim=1)
        spans.append(torch.linalg.svd(columns - columns.mean(0), full_matrices=False)[0][:, :3])
    naive = float((spans[0].T @ spans[1]).square().sum() / 3)
    found = read_table(folder / "shared.parquet").query("kind == 'edge'")["inclusion"]
    np.testing.assert_allclose(found, naive, rtol=1e-5)


def test_a_gpt_is_made_without_touching_the_global_stream() -> None:
    config = LanguageConfig.small()
    before = torch.random.get_rng_state()
    one, other = new_model(config), new_model(config)
    assert torch.equal(torch.random.get_rng_state(), before)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not any(isinstance(part, nn.Dropout) and part.p for part in one.modules())
    numbers = sum(parameter.numel() for parameter in new_model(LanguageConfig()).parameters())
    assert 1_000_000 < numbers < 3_000_000


def planted(linked: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spectra of two groups and a loss; the last update of the second one shares steps with the loss."""
    rng = np.random.default_rng(0)
    steps = np.arange(1, 321)
    loss = rng.normal(size=320)
    course = pd.DataFrame({"step": steps, "validation_loss": 5 - 0.01 * steps + loss.cumsum() / 50})
    tables = []
    for group in ("layer 1", "all"):
        walks = np.exp(-0.01 * steps + 0.1 * rng.normal(size=(6, 320)).cumsum(axis=1))
        eigenvalues = ["eigenvalue_1", "eigenvalue_2", "eigenvalue_3"]
        table = pd.DataFrame(walks.T, columns=[*eigenvalues, "trace", "last_update", "effective_dimension"])
        if group == "all":
            mixed = linked * loss + np.sqrt(1 - linked**2) * rng.normal(size=320)
            table["last_update"] = np.exp(-0.01 * steps + 0.1 * mixed.cumsum())
        tables.append(table.assign(group=group, step=steps))
    return pd.concat(tables).query("step >= 20"), course


def test_a_planted_link_is_found_and_said_and_trends_are_not() -> None:
    spectra, course = planted(0.8)
    links = loss_links(LanguageConfig(), spectra, course)
    assert not LINKS.misfit(links.columns)
    assert (links["plain"].abs() > 0.5).sum() > 6
    found = links[links["p_family"] <= 0.05]
    assert found[["group", "quantity"]].to_numpy().tolist() == [["all", "last_update"]]
    alone = loss_links(LanguageConfig(), *planted(0.0))
    assert alone["p_family"].min() > 0.05


def told(**changes: pd.DataFrame) -> dict[str, str]:
    """Sentences on tables in which nothing is found, but for those given."""
    draws = [("layer 1", "edge", 1, 0.5, 0.01), *(("layer 1", "random", d, 0.4 + d / 100, 0.01) for d in range(1, 20))]
    row = {"step": 400, "basis": "alone", "ratio": 1.0, "low": 0.9, "high": 1.1, "q": 0.5, "p_exact": 0.5}
    functions = [{**row, "subspace": name} for name in ("class", "depth")]
    tables = {
        "course": pd.DataFrame({"validation_loss": [5.5, 1.5]}),
        "agreement": pd.DataFrame({"difference": [1e-9], "k_star_differs": [0], "windows": [300]}),
        "layer_spectra": pd.DataFrame(
            {
                "group": ["a", "b"] * 3,
                "step": [100, 100, 200, 200, 300, 300],
                "k_star": [1, 1, 1, 2, 2, 2],
                "eigenvalue_1": [9.0, 9.0, 9.0, 9.0, 1.2, 3.0],
                "eigenvalue_2": 1.0,
            }
        ),
        "functions": pd.DataFrame(functions),
        "components": pd.DataFrame(
            {"step": [400], "p_share": [0.3], "p_ratio": [0.2], "reads": ["class"], "reads_share": [0.6]}
        ),
        "shared": pd.DataFrame(draws, columns=["target", "kind", "draw", "inclusion", "chance"]),
        "links": pd.DataFrame(
            {
                "group": ["all", "all"],
                "quantity": ["trace", "last_update"],
                "plain": [0.9, 0.2],
                "within": [0.1, -0.2],
                "p": [0.5, 0.03],
                "p_family": [0.9, 0.08],
            }
        ),
    }
    return sentences(tables | changes)


def test_what_is_not_found_is_said() -> None:
    said = told()
    assert said["functions"].startswith("No set of functions is moved more")
    assert "is 1.20 to 3.00 times the second on average, at most 3.00 times" in said["layer_spectra"]
    assert "k* is 1 in 33% to 67% of all windows" in said["layer_spectra"]
    assert said["components"].startswith("No functional principal component stands out")
    assert "not more than for random directions" in said["shared"]
    assert "1 of 2 series" in said["links"]
    assert "none follows it: the nearest is last update of all (-0.20, p = 0.08)" in said["links"]


def test_what_is_found_is_said() -> None:
    base = {"step": 400, "basis": "alone", "q": 0.01, "p_exact": 0.01}
    functions = pd.DataFrame(
        [
            {**base, "subspace": "class", "ratio": 1.5, "low": 1.2, "high": 1.9},
            {**base, "subspace": "depth", "ratio": 0.5, "low": 0.3, "high": 0.8},
            {**base, "subspace": "position", "ratio": 1.5, "low": 1.2, "high": 1.9, "q": 0.06},
            {**base, "subspace": "indentation", "ratio": 1.5, "low": 1.2, "high": 1.9, "p_exact": 0.06},
        ]
    )
    shared = pd.DataFrame(
        [("a", "edge", 1, 0.9, 0.01), *(("a", "random", d, 0.4, 0.01) for d in range(1, 20))],
        columns=["target", "kind", "draw", "inclusion", "chance"],
    )
    links = pd.DataFrame(
        {"group": ["all"], "quantity": ["trace"], "plain": [0.9], "within": [0.4], "p": [0.001], "p_family": [0.002]}
    )
    components = pd.DataFrame(
        {"step": [400], "p_share": [0.001], "p_ratio": [0.2], "reads": ["class"], "reads_share": [0.6]}
    )
    said = told(functions=functions, shared=shared, links=links, components=components)
    assert "class (alone; S 1.50 at 400). Not found for depth, position and indentation" in said["functions"]
    assert "Moved less (95% interval below 1): depth (alone; S 0.50 at 400)" in said["functions"]
    assert said["components"].startswith("1 of 2 tests")
    assert shared_p(shared) == 0.05
    assert ", more than for random directions" in said["shared"]
    assert "beyond a trend 1 do: trace of all (+0.40, p = 0.002)." in said["links"]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="148 are needed: train 740 steps"):
        LanguageConfig.checked(steps=500)
    with pytest.raises(InputError, match="heads that divide the width"):
        LanguageConfig.checked(width=30)
    with pytest.raises(InputError, match="stride that divides the context"):
        LanguageConfig.checked(context=66)
    assert LanguageConfig.checked(steps=None) == LanguageConfig()


def test_without_transformers_the_extra_is_named(
    text: SourceText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cast(dict[str, Any], sys.modules), "transformers", None)
    with pytest.raises(InputError, match=r"pip install spectraledge\[transformers\]"):
        train_language_model(LanguageConfig.small(), text, tmp_path)
    assert not list(tmp_path.iterdir())
