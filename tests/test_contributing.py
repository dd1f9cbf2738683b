"""What CONTRIBUTING says about adding things, done as it says."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.step import analyze_step
from spectraledge.errors import InputError
from spectraledge.modes import energy_share, field, grouping_basis, peak
from spectraledge.tasks import GROUPINGS, OPERATIONS, default_groupings, grouping, known, named_task, why_not
from spectraledge.training import RunConfig, train_in_folder

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
SETTINGS = AnalysisConfig(window=5, nulls=3, leave_out=("probes",))
Add = Callable[[str], None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Puts a module of the page beside those of `known`; what it registers is gone after the test."""
    monkeypatch.setattr(known, "__path__", [*known.__path__, str(tmp_path)])
    before = [(registry, dict(registry)) for registry in (GROUPINGS, OPERATIONS)]
    added = []

    def put(name: str) -> None:
        (code,) = re.findall(rf"```python known/{name}.py\n(.*?)```", TEXT, flags=re.S)
        (tmp_path / f"{name}.py").write_text(code)
        import_module(f"{known.__name__}.{name}")
        added.append(f"{known.__name__}.{name}")

    yield put
    for registry, entries in before:
        registry.clear()
        registry.update(entries)
    for name in added:
        del sys.modules[name]


def run_of(folder: Path, name: str, modulus: int) -> Path:
    task = named_task(name, modulus=modulus)
    sizes = {"width": 12, "heads": 2, "hidden": 16}
    train_in_folder(folder, RunConfig.for_task(task, model=sizes, steps=40, every=5, batch_size=32, seed=1), task)
    return folder


def test_a_task_with_its_group(add: Add, tmp_path: Path) -> None:
    add("xor")
    task = named_task("xor", modulus=8)
    assert task.labels_N.tolist() == [a ^ b for a in range(8) for b in range(8)]
    assert default_groupings(task)[-1] == "xor"
    with pytest.raises(InputError, match="needs a power of two as modulus, got 12: use 16"):
        named_task("xor", modulus=12)
    assert "got 12: use 16" in why_not(named_task("add", modulus=12), "xor")

    # The parity of the bits 1 and 4 of the answer is frequency 5, and no single frequency of a sum.
    parity_N = np.array([(-1) ** bin(q & 5).count("1") for q in task.labels_N])
    planted_KND = (parity_N[:, None] * np.array([1.0, -2.0]))[None]
    own = grouping(task, "xor")
    np.testing.assert_allclose(energy_share(planted_KND, own), 1.0)
    basis = grouping_basis(own)
    assert basis.subspaces[int(basis.energies(planted_KND)[0].argmax())] == "frequency 5"
    waving = field(planted_KND * (2 + planted_KND[..., :1]))
    assert peak(waving, own).frequency_K.tolist() == [5]
    assert energy_share(planted_KND, grouping(task, "sum"))[0] < 0.5

    tables = analyze_step(run_of(tmp_path / "run", "xor", 8), SETTINGS)
    assert set(tables["modes"]["basis"]) == {"sum", "difference", "product", "output", "xor"}
    selected = tables["selection"].query("basis == 'xor'")
    assert selected["frequency"].tolist() == [*range(1, 8), 0, 0]
    assert set(selected["functions"]) == {"a ⊕ b", "the rest"}
    assert set(tables["keys"]["basis"]) == set(tables["contrasts"]["basis"]) == {"xor"}
    assert set(tables["frequencies"]["basis"]) == {"sum"}


def test_a_network(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python net.py\n(.*?)```", TEXT, flags=re.S)
    (tmp_path / "net.py").write_text(code)
    task, model = named_task("add", modulus=5), {"kind": f"{tmp_path / 'net.py'}:build", "hidden": 6}
    config = RunConfig.for_task(task, model, steps=20, every=2, batch_size=8, seed=1)
    assert config.watched == ("embedding.weight", "mix.weight")
    train_in_folder(tmp_path / "run", config, task)
    tables = analyze_step(tmp_path / "run", SETTINGS)
    assert set(tables["contrasts"]["readout"]) == {"residual", "logits"}


def test_a_basis(add: Add, tmp_path: Path) -> None:
    add("carry")
    task = named_task("add", modulus=7)
    carries = grouping(task, "carry")
    assert carries.groups_N.tolist() == [int(a + b > 6) for a in range(7) for b in range(7)]
    response_KND = np.where(carries.groups_N == 1, 3.0, -1.0)[None, :, None]
    np.testing.assert_allclose(energy_share(response_KND, carries), 1.0)
    assert "carry" not in default_groupings(task)

    settings = SETTINGS.model_copy(update={"bases": ("carry", "sum")})
    tables = analyze_step(run_of(tmp_path / "run", "add", 7), settings)
    assert set(tables["modes"]["basis"]) == {"carry", "sum"}
    row = tables["selection"].query("basis == 'carry' and subspace == 'frequency'").iloc[0]
    assert (row["dimension"], row["functions"]) == (1, "whether a + b carries")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with a statistic, a claim and a format added as the page says: a module and a line each."""
    package = tmp_path_factory.mktemp("copy") / "spectraledge"
    shutil.copytree(ROOT / "src" / "spectraledge", package, ignore=shutil.ignore_patterns("__pycache__"))
    for place, code in re.findall(r"```python ((?:analyses|claims|trajectory)/[\w/]+.py)\n(.*?)```", TEXT, flags=re.S):
        line = re.fullmatch(r"(from \S+ import \w+)  # and (.*), in (\w+)\n", code)
        if not line:
            (package / place).write_text(code)
            continue
        added, entry, registry = line.groups()
        text = (package / place).read_text().replace("\nfrom spectraledge", f"\n{added}\nfrom spectraledge", 1)
        text, count = re.subn(rf"^({registry}\b.*= [({{])$", rf"\1\n    {entry},", text, flags=re.M)
        assert count == 1, place
        (package / place).write_text(text)
    return package.parent


def run_extended(extended: Path, *arguments: object) -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": str(extended)}
    command = [sys.executable, "-m", "spectraledge", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=extended)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


STUDY = """
from spectraledge import RunConfig, named_task
from spectraledge.studies import AnalysisConfig, StudyConfig

def mine(*, seeds, budget):
    sizes = {"width": 8, "heads": 2, "hidden": 8}
    run = RunConfig.for_task(named_task("add", modulus=5), sizes, seed=seeds[0], steps=40, every=4, batch_size=8)
    settings = AnalysisConfig(analyses=("spectrum", "step"), window=6, nulls=3, leave_out=("probes", "contrasts"))
    return StudyConfig(name="mine", runs=(run,), analysis=settings)
"""


def test_a_statistic_with_its_figure_and_a_claim(extended: Path) -> None:
    (extended / "my_study.py").write_text(STUDY)
    run_extended(extended, "study", "run", "my_study.py:mine", "--out", "study", "--jobs", 1)
    (run,) = (extended / "study" / "runs").iterdir()
    reach = pd.read_parquet(run / "reach.parquet")
    assert reach["reach"].between(1 / 25, 1).all()
    claims = pd.read_parquet(extended / "study" / "claims.parquet").set_index("claim")
    edge = reach[reach["kind"] == "edge"]["reach"].sort_values()
    assert claims.loc["even-reach", "value"] == edge.iloc[-2]
    page = (extended / "study" / "report.html").read_text()
    assert "How many inputs a direction moves" in page
    assert "The edge moves more of the inputs than directions at random do." in page
    assert (extended / "study" / "figures" / "reach.png").is_file()


def test_a_checkpoint_format(extended: Path) -> None:
    generator = np.random.default_rng(0)
    place, weights = extended / "archives", generator.normal(size=(8, 6, 5))
    place.mkdir()
    for step, moved in enumerate(weights.cumsum(0)):
        np.savez(place / f"step_{step}.npz", weight=moved, count=step)
    told = run_extended(extended, "analyze", "archives", "--params", "weight", "--window", 6, "--out", "spectra")
    assert told
    found = pd.read_parquet(extended / "spectra" / "spectrum.parquet").query("step == 6")["eigenvalue"]
    values = np.linalg.svd(weights[1:7].reshape(6, -1), compute_uv=False) ** 2
    np.testing.assert_allclose(found, values, rtol=1e-9)
