"""Snapshot files: which step a name gives, and what is said of files that are no snapshots."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save

from spectraledge.errors import InputError
from spectraledge.trajectory import Snapshot, find_snapshots, read_snapshot, snapshot_path, write_tensors
from spectraledge.trajectory.snapshots import open_snapshot

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_round_trip(tmp_path, dtype):
    tensors = {"b": torch.arange(6).reshape(2, 3).to(dtype), "a": torch.ones((), dtype=dtype)}
    write_tensors(tmp_path / "deep" / "x.safetensors", tensors, {"note": "text"})
    found = read_snapshot(tmp_path / "deep" / "x.safetensors")
    assert sorted(found) == ["a", "b"]
    for name, tensor in tensors.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)
    with open_snapshot(tmp_path / "deep" / "x.safetensors") as file:
        assert file.metadata() == {"note": "text"}


def test_a_file_is_that_of_the_library(tmp_path):
    tensors = {name: torch.randn(shape) for name, shape in {"b": (2, 3), 'é "\n': (0, 3), "a": (), "c": (5,)}.items()}
    write_tensors(tmp_path / "x.safetensors", tensors, {"note": 'te"xt'})
    assert (tmp_path / "x.safetensors").read_bytes() == save(tensors, {"note": 'te"xt'})
    types = [*DTYPES, torch.complex64, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64]
    mixed = {str(dtype): torch.ones(3, dtype=dtype) for dtype in types}
    write_tensors(tmp_path / "x.safetensors", mixed)
    for name, tensor in load((tmp_path / "x.safetensors").read_bytes()).items():
        torch.testing.assert_close(tensor, mixed.pop(name), rtol=0, atol=0)
    assert mixed == {}


def test_a_type_that_no_file_holds_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"tensor 'x' is of type C128, expected one of U64, .*: convert it"):
        write_tensors(tmp_path / "x.safetensors", {"x": torch.ones(2, dtype=torch.complex128)})
    assert list(tmp_path.iterdir()) == []


def test_views_of_one_vector_are_written_each_for_itself(tmp_path):
    flat = torch.arange(6.0)
    tensors = {"a": flat[:4].view(2, 2), "b": flat[4:], "c": flat[:4].view(2, 2).T}
    write_tensors(tmp_path / "x.safetensors", tensors)
    for name, tensor in read_snapshot(tmp_path / "x.safetensors").items():
        torch.testing.assert_close(tensor, tensors[name], rtol=0, atol=0)


def test_only_the_named_tensors_are_read(tmp_path):
    write_tensors(tmp_path / "x.safetensors", {name: torch.ones(2) for name in "abc"})
    assert list(read_snapshot(tmp_path / "x.safetensors", ("c", "a"))) == ["c", "a"]


@given(extra=st.integers(0, 300))
def test_a_file_is_read_whatever_the_length_of_its_header(tmp_path_factory, extra):
    # The header's length is the first byte of the file, and 128 is also the first byte of a pickle.
    path = tmp_path_factory.mktemp("header") / "x.safetensors"
    write_tensors(path, {"x": torch.ones(2)}, {"note": "n" * extra})
    torch.testing.assert_close(read_snapshot(path)["x"], torch.ones(2))


@pytest.mark.parametrize("length", [128, 384, 640])
def test_a_header_length_that_looks_like_a_pickle_is_none(tmp_path, length):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": torch.ones(2)}, {"note": ""})
    missing = length - int.from_bytes(path.read_bytes()[:8], "little")
    write_tensors(path, {"x": torch.ones(2)}, {"note": "n" * missing})
    assert int.from_bytes(path.read_bytes()[:8], "little") == length
    torch.testing.assert_close(read_snapshot(path)["x"], torch.ones(2))


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["step_00000100", "step_00000000", "step_00000200"], [0, 100, 200]),
        (["10", "9", "100"], [9, 10, 100]),
        (["checkpoint-500", "checkpoint-1000"], [500, 1000]),
        (["epoch=3-step=50", "epoch=4-step=100"], [50, 100]),
        (["v2_step300_loss0.5", "v2_step7_loss0.61"], [7, 300]),
        (["run1-step-20", "run1-step-20000"], [20, 20_000]),
    ],
)
def test_names_give_steps_and_steps_give_the_order(tmp_path, names, steps):
    touch(tmp_path, *(f"{name}.safetensors" for name in names))
    found = find_snapshots(tmp_path)
    assert [snapshot.step for snapshot in found] == steps
    assert sorted(snapshot.path.stem for snapshot in found) == sorted(names)


def test_the_snapshots_of_a_run_lie_in_their_own_folder(tmp_path):
    touch(tmp_path, "resume.safetensors", "run.json")
    for step in (0, 100):
        write_tensors(snapshot_path(tmp_path, step), {"x": torch.ones(1)})
    expected = [Snapshot(step, tmp_path / "snapshots" / f"step_{step:08d}.safetensors") for step in (0, 100)]
    assert find_snapshots(tmp_path) == find_snapshots(tmp_path / "snapshots") == expected


def test_other_files_and_hidden_ones_are_passed_over(tmp_path):
    touch(tmp_path, "step_1.safetensors", ".step_2.safetensors.7.partial", ".step_2.safetensors", "run.json", "x.pt")
    assert [snapshot.step for snapshot in find_snapshots(tmp_path)] == [1]


@pytest.mark.parametrize("name", ["final", "1-2", "step_1_step_2", "epoch3_of10"])
def test_a_name_without_a_clear_step_is_refused(tmp_path, name):
    touch(tmp_path, "step_1.safetensors", f"{name}.safetensors")
    with pytest.raises(InputError, match=rf"cannot tell the step of .*{name}\.safetensors: .*not like 'step_#'"):
        find_snapshots(tmp_path)


def test_two_files_of_one_step_are_refused(tmp_path):
    touch(tmp_path, "step_1.safetensors", "step_001.safetensors")
    with pytest.raises(InputError, match=r"step 1 is in both step_001\.safetensors and step_1\.safetensors"):
        find_snapshots(tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no folder at .*nowhere: give a folder of snapshots"):
        find_snapshots(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path):
    touch(tmp_path, "step_1.safetensors")
    with pytest.raises(InputError, match="is one file: give the folder of its series"):
        find_snapshots(tmp_path / "step_1.safetensors")


@pytest.mark.parametrize("names", [[], ["run.json", ".step_1.safetensors"]])
def test_a_folder_without_snapshots_is_refused(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=r"no snapshots in .*: expected files like step_00000100\.safetensors"):
        find_snapshots(tmp_path)


@pytest.mark.parametrize("suffix", ["pkl", "pickle"])
def test_a_folder_of_pickles_says_how_to_convert_them(tmp_path, suffix):
    touch(tmp_path, f"step_1.{suffix}")
    with pytest.raises(InputError, match=rf"step_1\.{suffix} is not read: pickles are not opened.*save_file"):
        find_snapshots(tmp_path)


class Bomb:
    """Unpickling this would fail the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_pickle_under_another_name_is_not_opened(tmp_path, zipped):
    path = tmp_path / "step_1.safetensors"
    torch.save({"x": Bomb()}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"is a pickle .* whatever its name says; it was not opened"):
        read_snapshot(path)


@pytest.mark.parametrize("kept", [0, 4, 8, 40, -1])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "step_1.safetensors"
    write_tensors(path, {"x": torch.ones(100)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"step_1\.safetensors is truncated or is not a safetensors file"):
        read_snapshot(path)


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "step_1.safetensors"
    path.write_text("not a tensor in sight")
    with pytest.raises(InputError, match="is truncated or is not a safetensors file"):
        read_snapshot(path)


@pytest.mark.parametrize("suffix", ["safetensors", "bin", "pt"])
def test_a_pointer_of_git_lfs_says_so(tmp_path, suffix):
    path = tmp_path / f"step_1.{suffix}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    with pytest.raises(InputError, match="is a pointer of Git LFS and not the file itself: fetch it with git lfs pull"):
        read_snapshot(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=rf"no snapshot at {re.escape(str(tmp_path))}"):
        read_snapshot(tmp_path / "step_1.safetensors")


def test_a_missing_tensor_is_named(tmp_path):
    path = tmp_path / "step_1.safetensors"
    write_tensors(path, {"x": torch.ones(1)})
    with pytest.raises(InputError, match=r"step_1\.safetensors has no tensor 'y'.*another run"):
        read_snapshot(path, ("x", "y"))
