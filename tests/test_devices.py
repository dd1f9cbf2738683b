"""Where analyses compute: what is refused, what does not depend on it, and that no tensor is left behind."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import spectraledge
from spectraledge.algebra import discover, named_group
from spectraledge.analyses import stamps
from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import check_room, given_array, room_on, usable_device
from spectraledge.errors import DeviceError, InputError
from spectraledge.modes import basis as basis_module
from spectraledge.modes import energies_in, feature_basis, field, group_of_function, grouping_basis, growth, pair_basis
from spectraledge.studies import recipe
from spectraledge.studies.jobs import Job, complete, read_trouble
from spectraledge.tasks import grouping, named_task, task_from_table
from spectraledge.trajectory import Manifest


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [
        ("abacus", 0, "unknown device 'abacus': expected cpu, cuda or cuda:N"),
        ("cuda:x", 2, "unknown device 'cuda:x'"),
        ("cpu:1", 0, "unknown device 'cpu:1'"),
        ("meta", 0, "unknown device 'meta'"),
        ("mps", 0, "device 'mps' has no double precision.*take cpu"),
        ("cuda", 0, "device 'cuda' needs a GPU and a PyTorch that is built for it.*finds none here: take cpu"),
        ("cuda:2", 2, "there is no device 'cuda:2': PyTorch finds cuda:0, cuda:1; take one of these"),
    ],
)
def test_what_cannot_compute_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int, words: str
) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(DeviceError, match=words):
        usable_device(name)


def test_what_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    assert [usable_device(name) for name in ("cpu", "cuda", "cuda:1")] == list(
        map(torch.device, ("cpu", "cuda", "cuda:1"))
    )


def test_the_device_is_in_no_hash_and_in_nothing_that_is_written() -> None:
    here, there = AnalysisConfig(), AnalysisConfig(device="cuda:1")
    assert here.view.device == "cpu"
    assert {there.view.device, there.residual_view.device} == {"cuda:1"}
    assert here.model_dump(mode="json") == there.model_dump(mode="json")
    assert "device" not in there.values(*AnalysisConfig.model_fields)
    for analysis in ANALYSES.values():
        assert analysis.hash(here) == analysis.hash(there)
    study = recipe("quick", budget="small")
    moved = study.model_copy(update={"analysis": study.analysis.model_copy(update={"device": "cuda:1"})})
    assert moved.hash == study.hash
    assert moved.like(study)
    assert moved.model_dump(mode="json") == study.model_dump(mode="json")


def test_a_stamp_names_a_gpu_and_says_nothing_of_the_cpu(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = AnalysisConfig(window=5, surrogates=0)
    path = stamps.stamp_path(tmp_path, "spectrum")
    stamps.measure(run, ANALYSES["spectrum"], settings, into=tmp_path)
    assert "device" not in json.dumps(json.loads(path.read_text()))
    monkeypatch.setattr(stamps, "device_name", lambda name: "a GPU")
    stamps.measure(run, ANALYSES["spectrum"], settings, into=tmp_path)
    assert '"device": "a GPU"' in json.dumps(json.loads(path.read_text()))


def failing(error: Exception) -> Analysis:
    def measure(folder: Path, settings: AnalysisConfig) -> dict[str, object]:
        raise error

    return Analysis("failing", measure, (), settings=())  # type: ignore[arg-type]


def test_what_another_place_can_do_is_no_result(run: Path, tmp_path: Path) -> None:
    """A stamp with an error is final; memory that is short now is not."""
    with pytest.raises(DeviceError, match="cpu has too little free memory for this: let fewer processes share it"):
        stamps.carry_out(run, failing(torch.OutOfMemoryError("of 3 GB")), AnalysisConfig())
    assert not stamps.stamp_path(run, "failing").exists()


def test_a_job_without_its_device_trains_nothing_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(monkeypatch, 0)
    study = recipe("quick", budget="small")
    job = Job(study.runs[0], tmp_path, AnalysisConfig(device="cuda"), (ANALYSES["score"],))
    assert complete(job) == ""
    trouble = read_trouble(tmp_path, job.run)
    assert trouble is not None
    assert "needs a GPU" in trouble.error
    assert not trouble.traceback
    assert not Manifest.present(job.folder)


def test_what_has_no_room_on_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("memory_reserved", 3_000), ("memory_allocated", 1_000), ("mem_get_info", (5_000, 9_000))):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    check_room(torch.device("cuda"), 7_000, "all that is free")
    with pytest.raises(DeviceError, match=r"one byte more needs at least .* on cuda, and .* are free: let fewer"):
        check_room(torch.device("cuda"), 7_001, "one byte more")
    check_room(torch.device("cpu"), 1 << 60, "what the CPU is asked elsewhere")
    with pytest.raises(DeviceError, match="cuda:1 has too little"), room_on("cuda:1"):
        raise torch.OutOfMemoryError("of 3 GB")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_basis_on_a_device_is_the_same_basis(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    task = named_task("mul", modulus=7)
    bases = [grouping_basis(grouping(task, "sum")), pair_basis(grouping(task, "dlog_sum"))]
    bases.append(grouping_basis(grouping(task, "sum").covering(task.pairs_N2[:, 0] > 2)))
    assert len({basis.size for basis in bases}) > 1
    generator = torch.Generator().manual_seed(0)
    response_KND = torch.randn(5, len(task), 3, dtype=dtype, generator=generator)
    response_KND[1] = 2.0
    response_KND[2, :, 1:] = 0.0

    def found() -> list[np.ndarray]:
        both = [basis.products_and_energies(response_KND[0], response_KND) for basis in bases]
        grown = [growth(response_KND[0], response_KND[2], basis).whole_S for basis in bases]
        return [*energies_in(bases, response_KND), *(part for pair in both for part in pair), *grown]

    expected = found()
    by_definition = [basis.energies(response_KND.numpy()) for basis in bases]
    np.testing.assert_array_equal(np.hstack(expected[:3]), np.hstack(by_definition))
    monkeypatch.setattr(basis_module, "_is_elsewhere", lambda values: True)
    for there, here in zip(found(), expected, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-12, atol=1e-12)
    assert [len(part) for part in energies_in(bases, response_KND[:0])] == [0, 0, 0]


def test_a_field_of_a_tensor_is_that_of_an_array() -> None:
    response_KND = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(field(response_KND), field(response_KND.numpy()))


def test_every_analysis_says_where_a_run_is_observed() -> None:
    root = Path(spectraledge.__file__).parent
    calls = [
        (path.name, call)
        for layer in ("analyses", "observed")
        for path in sorted((root / layer).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "RecordedRun.open"
    ]
    assert len(calls) > 10
    told = {id(call) for _, call in calls if "device" in {keyword.arg for keyword in call.keywords}}
    missing = [f"{name}: {ast.unparse(call)}" for name, call in calls if id(call) not in told]
    # It reads of which task a branch is.
    assert missing == ["branches.py: RecordedRun.open(folder)"]


@pytest.mark.parametrize(
    ("which", "names"),
    [
        ("add_run", ["step"]),
        ("group_run", ["cosets", "centroids"]),
    ],
)
def test_no_tensor_is_left_behind(request: pytest.FixtureRequest, which: str, names: list[str]) -> None:
    """On a device that is none, whose tensors must not meet those of the CPU."""
    script = Path(__file__).with_name("stand_in_device.py")
    folder = request.getfixturevalue(which)
    done = subprocess.run([sys.executable, script, folder, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == names


def test_tensors_are_given_as_arrays_whatever_their_type():
    values = torch.arange(6.0).reshape(2, 3)
    for tensor in (values.bfloat16(), values.half(), values.clone().requires_grad_(), values.T.contiguous().T):
        np.testing.assert_array_equal(given_array(tensor), values.numpy())
    assert given_array([["a", "b"]]).tolist() == [["a", "b"]]


@pytest.mark.parametrize(
    "door",
    [
        lambda table: task_from_table(table).labels_N,
        lambda table: discover(table).group.name,
        lambda table: group_of_function(np.ma.stack([table == x for x in range(5)], axis=2) * 1.0, nulls=19).is_found,
        lambda table: feature_basis("basis", {"of": table.ravel()}),
    ],
    ids=["task", "discover", "function", "features"],
)
def test_numbers_behind_a_mask_are_not_read(door):
    table = np.ma.asarray(named_group("C5").table_MM)
    door(table)
    with pytest.raises(InputError, match=r"masked arrays hold numbers behind their mask: fill them .*filled"):
        door(np.ma.masked_equal(table, 3))


def test_complex_numbers_are_not_cut_to_their_real_parts():
    for values in (torch.ones(5, 5, 3, dtype=torch.complex64), np.ones((5, 5, 3), dtype=np.complex128)):
        with pytest.raises(InputError, match=r"expected real numbers, got complex.*: give real and imaginary parts"):
            group_of_function(values, nulls=19)


def test_rows_of_different_lengths_are_no_array():
    with pytest.raises(InputError, match="expected an array, in which all rows are equally long"):
        given_array([[0, 1], [1]])
