"""Distributed checkpoints of PyTorch: its own reader gives the tensors, and nothing in them is run."""

import os
import pickle
import warnings

import pytest
import torch
from torch.distributed import checkpoint

from spectraledge.errors import InputError
from spectraledge.trajectory import Series, find_series, read_snapshot
from spectraledge.trajectory.formats.distributed import METADATA
from spectraledge.trajectory.snapshots import open_snapshot


def tensors(step):
    generator = torch.Generator().manual_seed(step)
    return {"a.weight": torch.randn(4, 3, generator=generator), "b": torch.randn(5, generator=generator).bfloat16()}


def save(folder, content):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        checkpoint.save(content, checkpoint_id=str(folder))


@pytest.fixture
def series(tmp_path):
    for step in (100, 200, 300):
        save(tmp_path / f"step-{step}", tensors(step))
    return tmp_path


def test_tensors_are_those_that_were_saved(series):
    for step in (100, 200, 300):
        found = read_snapshot(series / f"step-{step}")
        for name, tensor in tensors(step).items():
            torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("source", ["", "step-*", "step-*/*.distcp"])
def test_a_series_is_found_and_read_in_blocks(series, source):
    whole = Series.open(series / source)
    assert [snapshot.step for snapshot in whole.snapshots] == [100, 200, 300]
    updates = [update.update_P for update in whole.updates()]
    rows = [torch.cat([tensors(step)[name].double().flatten() for name in whole.layout.shapes]) for step in (100, 200)]
    torch.testing.assert_close(updates[0], rows[1] - rows[0], rtol=0, atol=0)
    blocks = [[update.update_P for update in block.updates()] for block in whole.blocks(5)]
    torch.testing.assert_close(torch.cat([block[0] for block in blocks]), updates[0], rtol=0, atol=0)


def test_what_a_trainer_keeps_beside_the_weights_is_left_out(tmp_path):
    for step in (1, 2):
        state = {
            "state": {"a.weight": {"exp_avg": torch.ones(4, 3), "step": torch.ones(())}},
            "param_groups": [{"lr": 1}],
        }
        save(tmp_path / f"step{step}" / "model_and_optim", {"model": tensors(step), "optim": state, "step": step})
        (tmp_path / f"step{step}" / "train").mkdir()
        torch.save({}, tmp_path / f"step{step}" / "train" / "rank0.pt")
    series = Series.open(tmp_path)
    assert sorted(series.layout.shapes) == ["model.a.weight", "model.b"]
    assert set(series.selection.left_out.values()) == {"state of an optimiser"}
    assert sorted(Series.open(tmp_path, key="model").layout.shapes) == ["a.weight", "b"]
    with pytest.raises(InputError, match="nothing under key 'net': there is model, optim"):
        Series.open(tmp_path, key="net")


def test_fully_sharded_checkpoints_of_accelerate(tmp_path):
    for step in (1, 2):
        save(tmp_path / f"checkpoint_{step}" / "pytorch_model_fsdp_0", {"model": tensors(step)})
        save(tmp_path / f"checkpoint_{step}" / "optimizer_0", {"optimizer": {"x": torch.ones(1)}})
    assert [one.step for one in Series.open(tmp_path, key="model").snapshots] == [1, 2]


class Bomb:
    """Unpickling this would fail the test."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


class Command:
    """Unpickling this would make a folder."""

    def __reduce__(self):
        return (os.mkdir, ("ran",))


@pytest.mark.parametrize("content", [Bomb(), {"state_dict_metadata": Bomb()}, Command(), os.system, pickle.loads])
def test_metadata_that_needs_code_is_refused_and_not_run(series, content, monkeypatch):
    monkeypatch.chdir(series)
    (series / "step-100" / METADATA).write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"\.metadata holds more than PyTorch writes there \(.*could run code"):
        open_snapshot(series / "step-100")
    assert not (series / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1}), pickle.dumps([])])
def test_broken_metadata_is_refused(series, content):
    (series / "step-100" / METADATA).write_bytes(content)
    with pytest.raises(InputError, match=r"\.metadata is truncated or is not of a distributed checkpoint"):
        open_snapshot(series / "step-100")


def test_a_missing_or_truncated_part_is_refused(series):
    part = series / "step-200" / "__0_0.distcp"
    part.write_bytes(part.read_bytes()[:200])
    with pytest.raises(InputError, match=r"step-200 lacks a part of .*copy the \.distcp files again"):
        list(Series.open(series).updates())
    part.rename(series / "step-200" / "__1_0.distcp")
    with pytest.raises(InputError, match="step-200 lacks a part of "):
        list(Series.open(series).updates())


def test_parts_that_metadata_does_not_cover_are_refused(series):
    path = series / "step-200" / METADATA
    metadata = pickle.loads(path.read_bytes())
    metadata.state_dict_metadata["a.weight"].chunks.clear()
    path.write_bytes(pickle.dumps(metadata))
    with pytest.raises(InputError, match=r"step-200 holds 0 of the 12 numbers of a\.weight"):
        read_snapshot(series / "step-200")


def test_one_checkpoint_is_no_series(series):
    with pytest.raises(InputError, match="is one snapshot, in several files"):
        find_series(series / "step-100")
