"""Formats of files, by registration; PyTorch's read as data, mapped, and refused where they are more than that."""

import argparse
import datetime
import pickle
import random
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spectraledge.errors import InputError
from spectraledge.trajectory import Series, folders, formats, read_snapshot
from spectraledge.trajectory.formats import open_file
from spectraledge.trajectory.formats.pickled import PickledTensor
from spectraledge.trajectory.snapshots import open_snapshot

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]

MAPS = Path("/proc/self/maps")


class Bomb:
    """Unpickling this would fail the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("suffix", ["pt", "pth", "bin", "ckpt"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_state_dict_is_read(tmp_path, suffix, dtype):
    tensors = OrderedDict(b=torch.arange(6).reshape(2, 3).to(dtype), a=torch.ones((), dtype=dtype))
    path = tmp_path / f"step_1.{suffix}"
    torch.save(tensors, path)
    found = read_snapshot(path)
    assert sorted(found) == ["a", "b"]
    for name, tensor in tensors.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


def test_tied_and_transposed_tensors_and_parameters_are_read(tmp_path):
    weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))
    torch.save({"in": weight, "out": weight, "turned": weight.detach().T}, tmp_path / "1.pt")
    found = read_snapshot(tmp_path / "1.pt")
    for name, expected in (("in", weight), ("out", weight), ("turned", weight.T)):
        torch.testing.assert_close(found[name], expected.detach(), rtol=0, atol=0)
        assert not found[name].requires_grad


def test_types_have_the_names_of_safetensors_files():
    named = [PickledTensor(torch.ones(2, 1, dtype=dtype)).get_dtype() for dtype in DTYPES]
    assert named == ["F64", "F32", "F16", "BF16", "I64", "U8", "BOOL"]
    assert PickledTensor(torch.ones(1, dtype=torch.complex64)).get_dtype() == "C64"
    assert PickledTensor(torch.ones(2, 1)).get_shape() == [2, 1]


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict"])
def test_weights_beside_an_optimiser_are_found(tmp_path, key):
    model = nn.Linear(2, 1)
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    torch.save({key: model.state_dict(), "optimizer": optimiser.state_dict(), "step": 7}, tmp_path / "7.pt")
    found = read_snapshot(tmp_path / "7.pt")
    assert sorted(found) == ["bias", "weight"]
    torch.testing.assert_close(found["weight"], model.weight.detach(), rtol=0, atol=0)


def test_weights_are_found_in_the_state_of_composer_and_beside_nothing_else_of_it(tmp_path):
    kept = {"rng": {"numpy": torch.ones(3)}, "train_metrics": {"loss": torch.ones(())}}
    torch.save({"state": {"model": {"w": torch.ones(2)}, **kept}, "rng": [torch.ones(2)]}, tmp_path / "1.pt")
    assert list(read_snapshot(tmp_path / "1.pt")) == ["w"]
    torch.save({"state": {0: {"sum": torch.ones(2)}}, "param_groups": []}, tmp_path / "2.pt")
    with pytest.raises(InputError, match="there is state, param_groups; choose a key"):
        read_snapshot(tmp_path / "2.pt")
    torch.save({"state": {"model": {"w": torch.ones(2)}}, "model": {"w": torch.zeros(2)}}, tmp_path / "3.pt")
    torch.testing.assert_close(read_snapshot(tmp_path / "3.pt")["w"], torch.zeros(2))


def test_weights_are_those_that_are_trained_where_lightning_averages_them(tmp_path):
    averaged = {"state_dict": {"w": torch.zeros(2)}, "averaging_state": {"n_averaged": torch.ones(())}}
    torch.save({**averaged, "current_model_state": {"w": torch.ones(2)}}, tmp_path / "1.ckpt")
    torch.testing.assert_close(read_snapshot(tmp_path / "1.ckpt")["w"], torch.ones(2))
    torch.testing.assert_close(read_snapshot(tmp_path / "1.ckpt", key="state_dict")["w"], torch.zeros(2))


def test_a_key_says_where_the_weights_are(tmp_path):
    content = {
        "model": {"w": torch.ones(1)},
        "state_dict": {"w": torch.zeros(1)},
        "ema": {"inner": {"w": torch.ones(3)}},
    }
    torch.save(content, tmp_path / "1.pt")
    with pytest.raises(InputError, match="has weights under each of state_dict, model: choose one by its key"):
        read_snapshot(tmp_path / "1.pt")
    torch.testing.assert_close(read_snapshot(tmp_path / "1.pt", key="state_dict")["w"], torch.zeros(1))
    torch.testing.assert_close(read_snapshot(tmp_path / "1.pt", key="ema/inner")["w"], torch.ones(3))
    with pytest.raises(InputError, match=r"nothing under key 'ema/outer': there is inner$"):
        read_snapshot(tmp_path / "1.pt", key="ema/outer")
    torch.testing.assert_close(read_snapshot(tmp_path / "1.pt", key="ema")["inner.w"], torch.ones(3))


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(1)], torch.ones(1), {}])
def test_a_file_without_named_tensors_says_what_it_holds(tmp_path, content):
    torch.save(content, tmp_path / "1.pt")
    held = {dict: "(epoch|nothing)", list: "a list", torch.Tensor: "a Tensor"}[type(content)]
    with pytest.raises(InputError, match=f"no named tensors at its top or under .*: there is {held}; choose a key"):
        read_snapshot(tmp_path / "1.pt")


def test_what_needs_code_is_refused_and_not_run(tmp_path):
    torch.save({"w": torch.ones(1), "config": Bomb()}, tmp_path / "1.pt")
    with pytest.raises(InputError, match=r"1\.pt holds more than tensors.*could run code; it was refused"):
        read_snapshot(tmp_path / "1.pt")


def test_a_whole_model_is_refused(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "1.pt")
    with pytest.raises(InputError, match="could run code; it was refused"):
        read_snapshot(tmp_path / "1.pt")


@pytest.mark.parametrize("content", [{"w": torch.ones(1)}, {"w": Bomb()}], ids=["tensors", "bomb"])
def test_the_old_format_is_refused_and_not_opened(tmp_path, content):
    torch.save(content, tmp_path / "1.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"format before PyTorch 1\.6.*cannot be memory-mapped; it was not opened"):
        read_snapshot(tmp_path / "1.pt")


def test_a_bare_pickle_is_not_opened(tmp_path):
    (tmp_path / "1.bin").write_bytes(pickle.dumps({"w": Bomb()}))
    with pytest.raises(InputError, match="it was not opened"):
        read_snapshot(tmp_path / "1.bin")


@pytest.mark.parametrize("kept", [0, 3, 4, 100, 600, 4100, 4160, 4300, -1])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / "1.pt"
    torch.save({"w": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"1\.pt is truncated or is not a"):
        read_snapshot(path)


@pytest.mark.parametrize(("whole", "broken"), [(b"/version", b"/\xffersion"), (b"/data.pkl", b"/data.pk\xff")])
def test_a_file_whose_list_of_parts_is_damaged_is_refused(tmp_path, whole, broken):
    path = tmp_path / "1.pt"
    torch.save({"w": torch.ones(2)}, path)
    head, found, tail = path.read_bytes().rpartition(whole)
    assert found
    path.write_bytes(head + broken + tail)
    with pytest.raises(InputError, match=r"1\.pt is truncated or is not a"):
        read_snapshot(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no snapshot at .*1\.pt"):
        open_file(tmp_path / "1.pt")


@pytest.mark.skipif(not MAPS.exists(), reason="the system does not tell what is mapped")
def test_a_file_is_mapped_while_it_is_open_and_no_longer(tmp_path):
    path = tmp_path / "1.pt"
    torch.save({"w": torch.ones(3, 1000)}, path)
    with open_file(path) as file:
        assert str(path) in MAPS.read_text()
        copy = file.get_tensor("w")
    del file
    assert str(path) not in MAPS.read_text()
    torch.testing.assert_close(copy, torch.ones(3, 1000))


@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_a_series_of_pytorch_files_is_that_of_safetensors_files(tmp_path, size):
    generator = torch.Generator().manual_seed(0)
    for step in (0, 10, 20):
        tensors = {
            "a": torch.randn(2, 3, 4, generator=generator),
            "b": torch.randn((), generator=generator).bfloat16(),
            "c": torch.randn(0, 3),
            "d": torch.randn(5, generator=generator).half(),
        }
        for kind in ("pt", "safetensors"):
            (tmp_path / kind).mkdir(exist_ok=True)
        torch.save({"model": tensors}, tmp_path / "pt" / f"{step}.pt")
        save_file(tensors, tmp_path / "safetensors" / f"{step}.safetensors")
    ours, theirs = Series.open(tmp_path / "pt"), Series.open(tmp_path / "safetensors")
    by_name = {name: index for index, name in enumerate(theirs.layout.shapes)}
    assert ours.layout.size == theirs.layout.size == 30
    assert set(by_name) == set(ours.layout.shapes)
    for block in ours.blocks(size):
        for (step, vector_P, noise), (same, whole_P, _) in zip(block.vectors(), ours.vectors(), strict=True):
            assert step == same
            torch.testing.assert_close(vector_P, whole_P[block.block.start : block.block.stop], rtol=0, atol=0)
            assert noise >= 0
    for mine, other in zip(ours.updates(), theirs.updates(), strict=True):
        left, right = ours.layout.split(mine.update_P), theirs.layout.split(other.update_P)
        for name in by_name:
            torch.testing.assert_close(left[name], right[name], rtol=0, atol=0)
        assert mine.storage_noise == pytest.approx(other.storage_noise, rel=1e-12)


def script(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), str(path))


def trace(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(1, 1), torch.ones(1, 1)), str(path))


def package(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("program/archive_format", "pt2")
        archive.writestr("program/models/model.json", "{}")


@pytest.mark.parametrize("write", [script, trace, package])
@pytest.mark.parametrize("suffix", ["pt", "bin", "pth.tar"])
def test_a_program_is_named_as_one(tmp_path, write, suffix):
    path = tmp_path / f"step_1.{suffix}"
    write(path)
    with pytest.raises(
        InputError, match=r"step_1\.\S+ is (a TorchScript archive|an exported program or package): a program"
    ):
        open_file(path)


MISFITS = {
    "module": lambda path: torch.save(nn.Linear(1, 1), path),
    "module in a dict": lambda path: torch.save({"model": nn.Linear(1, 1)}, path),
    "objects in numpy": lambda path: torch.save({"w": torch.ones(1), "best": np.array([{}], dtype=object)}, path),
    "lazy": lambda path: torch.save(nn.LazyLinear(1).state_dict(), path),
    "script": script,
    "old": lambda path: torch.save({}, path, _use_new_zipfile_serialization=False),
    "empty": lambda path: path.touch(),
    "zip": lambda path: zipfile.ZipFile(path, "w").close(),
    "text": lambda path: path.write_text("words"),
    "safetensors": lambda path: save_file({"w": torch.ones(1)}, path),
}


@pytest.mark.parametrize("write", MISFITS.values(), ids=list(MISFITS))
def test_no_message_advises_to_run_a_file_or_to_delete_one(tmp_path, write):
    write(tmp_path / "1.pt")
    with pytest.raises(InputError, match=r"1\.pt (is|holds)") as refusal:
        open_file(tmp_path / "1.pt")
    text = str(refusal.value)
    assert "weights_only=False" not in text
    assert "`False`" not in text
    assert "delete" not in text
    assert "\n" not in text


def test_a_message_names_what_a_file_needs(tmp_path):
    torch.save({"w": torch.ones(1), "best": nn.Linear(1, 1)}, tmp_path / "1.pt")
    with pytest.raises(InputError, match=r"more than tensors and plain values \(torch\.nn\.modules\.linear\.Linear\)"):
        open_file(tmp_path / "1.pt")


def test_a_namespace_of_settings_is_data(tmp_path):
    torch.save({"model": {"w": torch.ones(1)}, "args": argparse.Namespace(lr=0.1, deep=[1])}, tmp_path / "1.pt")
    with open_file(tmp_path / "1.pt") as file:
        assert file.keys() == ["w"]
    torch.save({"model": {"w": torch.ones(1)}, "args": argparse.Namespace(lr=Bomb())}, tmp_path / "1.pt")
    with pytest.raises(InputError, match="could run code"):
        open_file(tmp_path / "1.pt")


def test_scores_times_paths_and_random_streams_beside_weights_are_data(tmp_path):
    beside = {
        "best": np.float64(0.5),
        "counts": [np.int64(3), np.float32(1.5), np.bool_(True)],
        "history": np.arange(6.0).reshape(2, 3),
        "rng": [
            {"python": random.getstate(), "numpy": np.random.RandomState(0).get_state(), "torch": torch.get_rng_state()}
        ],
        "times": {
            "total": datetime.timedelta(seconds=3),
            "at": datetime.datetime(2024, 1, 31),
            "day": datetime.date.min,
        },
        "out": Path("runs") / "1",
    }
    torch.save({"model": {"w": torch.ones(3)}, **beside}, tmp_path / "1.pt")
    torch.testing.assert_close(read_snapshot(tmp_path / "1.pt")["w"], torch.ones(3))
    torch.save({"model": {"w": torch.ones(3)}, **beside, "why": np.array([Bomb()], dtype=object)}, tmp_path / "2.pt")
    with pytest.raises(InputError, match=r"holds more than tensors and plain values \(_pytest\.outcomes"):
        read_snapshot(tmp_path / "2.pt")


def test_arrays_of_numpy_among_weights_are_not_passed_over(tmp_path):
    for content in ({"w": torch.ones(3), "b": np.ones(3)}, {"model": {"w": torch.ones(3), "b": np.ones(3)}}):
        torch.save(content, tmp_path / "1.pt")
        with pytest.raises(InputError, match=r"1\.pt holds b, an array of NumPy, among tensors"):
            read_snapshot(tmp_path / "1.pt")
    torch.save({"w": np.ones(3)}, tmp_path / "1.pt")
    with pytest.raises(InputError, match=r"no named tensors .*: there is w"):
        read_snapshot(tmp_path / "1.pt")


def test_nested_modules_have_the_names_of_their_places(tmp_path):
    model = {
        "language_model": {"embedding": {"weight": torch.ones(2)}, "encoder": {"l.0.w": torch.zeros(1)}},
        "head": {},
    }
    torch.save({"model": model}, tmp_path / "1.pt")
    with open_file(tmp_path / "1.pt") as file:
        assert file.keys() == ["language_model.embedding.weight", "language_model.encoder.l.0.w"]


def test_several_networks_are_not_taken_for_one(tmp_path):
    one = {"w": torch.ones(1)}
    torch.save({"model": {"fast": one, "slow": one}}, tmp_path / "1.pt")
    with pytest.raises(InputError, match=r"holds several networks \(fast, slow\): choose one by its key"):
        open_file(tmp_path / "1.pt")
    with open_file(tmp_path / "1.pt", "model/slow") as file:
        assert file.keys() == ["w"]
    for counter in (torch.tensor(3), torch.tensor(0.97)):
        torch.save({"generator": one, "critic": one, "best": counter}, tmp_path / "2.pt")
        with pytest.raises(InputError, match="there is generator, critic, best; choose a key that has"):
            open_file(tmp_path / "2.pt")


@pytest.mark.parametrize("place", [(), ("net",)])
def test_an_optimiser_is_known_by_what_it_holds(tmp_path, place):
    part = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adagrad([part], initial_accumulator_value=1)
    content = {"w": torch.ones(2), "solver": optimizer.state_dict()}
    for name in place:
        content = {"scale": torch.ones(2), name: content}
    torch.save(content, tmp_path / "step_1.pt")
    with open_file(tmp_path / "step_1.pt") as file:
        assert set(file.keys()) == ({"scale", "net.w"} if place else {"w"})
    with open_file(tmp_path / "step_1.pt", "/".join([*place, "solver"])) as file:
        assert "state.0.sum" in file.keys()  # noqa: SIM118 (not a mapping)


def test_networks_beside_tensors_are_read_with_them(tmp_path):
    one = {"w": torch.ones(2)}
    torch.save(
        {"query": torch.ones(2), "actor": one, "critic": one, "optimizer": {"state": {0: one}}}, tmp_path / "1.pt"
    )
    with open_file(tmp_path / "1.pt") as file:
        assert file.keys() == ["query", "actor.w", "critic.w", "optimizer.state.0.w"]


@pytest.mark.parametrize("key", ["optimizer", "optimizer/state/0", "optimizer_states"])
def test_the_state_of_an_optimiser_is_no_weights(tmp_path, key):
    torch.save({"optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}}}, tmp_path / "1.pt")
    with pytest.raises(InputError, match=f"key '{key}' is that of an optimiser's state"):
        open_snapshot(tmp_path / "1.pt", key=key)
    with pytest.raises(InputError, match=r"no named tensors at its top or under .*: there is optimizer"):
        open_snapshot(tmp_path / "1.pt")


def test_a_format_is_a_line_of_registration(tmp_path, monkeypatch):
    """An opener under a name's end is all that a format needs, but for folders and globs, which ask for `FILES`."""

    class Text:
        def __init__(self, path):
            self.rows = dict(line.split("=") for line in path.read_text().split())

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def keys(self):
            return list(self.rows)

        def get_tensor(self, name):
            return torch.tensor([float(number) for number in self.rows[name].split(",")])

        def get_slice(self, name):
            return PickledTensor(self.get_tensor(name))

    monkeypatch.setitem(formats.OPENERS, ".txt", lambda path, key: Text(path))
    for module in (formats, folders):
        monkeypatch.setattr(module, "FILES", (*formats.FILES, ".txt"))
    for step in (1, 2, 3):
        (tmp_path / f"step_{step}.txt").write_text(f"a={step},{step**2} b=1")
    updates = [update.update_P for update in Series.open(tmp_path).updates()]
    expected = torch.tensor([[1.0, 3, 0], [1, 5, 0]], dtype=torch.float64)
    torch.testing.assert_close(torch.stack(updates), expected)


def test_an_unknown_file_says_what_is_read(tmp_path):
    (tmp_path / "1.npz").touch()
    with pytest.raises(InputError, match=r"1\.npz is of no format that is read here: write its arrays with"):
        open_file(tmp_path / "1.npz")
    (tmp_path / "1.xyz").touch()
    with pytest.raises(InputError, match=r"1\.xyz is of no format that is read here: give a file \.safetensors, "):
        open_file(tmp_path / "1.xyz")
