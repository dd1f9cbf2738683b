"""What CONTRIBUTING says about adding things, done as it says."""

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.step import analyze_step
from spectraledge.errors import InputError
from spectraledge.modes import energy_share, field, grouping_basis, peak
from spectraledge.tasks import GROUPINGS, OPERATIONS, default_groupings, grouping, known, named_task, why_not
from spectraledge.training import RunConfig, train_in_folder

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
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
