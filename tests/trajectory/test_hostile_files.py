"""Files that mean harm or are odd: a clear refusal at once, or the right answer."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from spectraledge.errors import InputError
from spectraledge.trajectory import Series, find_series
from spectraledge.trajectory.formats import distributed

MORE_THAN_IT_HOLDS: dict[str, Callable[[], torch.Tensor]] = {
    "expanded": lambda: torch.zeros(1).expand(10**7, 10**6),
    "overlapping": lambda: torch.arange(3e6).as_strided((10**6, 10**6), (1, 1)),
    "meta": lambda: torch.empty(10**7, 10**6, device="meta"),
    "sparse": lambda: torch.eye(4).to_sparse(),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
}


@pytest.fixture(autouse=True)
def quick() -> object:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MORE_THAN_IT_HOLDS)
def test_what_claims_more_than_it_holds_is_left_out(tmp_path: Path, kind: str) -> None:
    for step in range(3):
        torch.save(
            {"w": torch.full((3,), float(step)), "x.weight": MORE_THAN_IT_HOLDS[kind]()}, tmp_path / f"{step}.pt"
        )
    series = Series.open(tmp_path)
    assert list(series.selection.matched) == ["w"]
    assert "x.weight" in series.selection.left_out
    assert len(list(series.updates())) == 2


def test_mappings_without_end_are_refused(tmp_path: Path) -> None:
    content: dict[str, object] = {"w": torch.ones(2)}
    content["self"] = content
    torch.save({"model": content}, tmp_path / "step_1.pt")
    with pytest.raises(InputError, match="mappings within mappings"):
        Series.open(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"weight_map":{"w":"model.safetensors"},"total":' + b"9" * 10_000 + b"}",
        b"\xff\xfe{}",
        b'{"weight_map":{"w":"model.safetensors.index.json"}}',
        b'{"weight_map":{"w":"../model.safetensors"}}',
        b'{"weight_map":{"w":5}}',
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "step_1"
    place.mkdir()
    (place / "model.safetensors.index.json").write_bytes(content)
    save_file({"w": torch.ones(2)}, place / "model-00001-of-00001.safetensors")
    with pytest.raises(InputError, match=r"index\.json is (not valid JSON|no index of shards)"):
        Series.open(tmp_path)


@pytest.mark.parametrize("reference", [b"\xff\xfe", b"../../..", b"/etc", b"a\0b", b"", b"a" * 5000])
def test_a_reference_that_names_no_commit_is_not_followed(tmp_path: Path, reference: bytes) -> None:
    place = tmp_path / "models--a--b"
    (place / "refs").mkdir(parents=True)
    (place / "snapshots").mkdir()
    (place / "refs" / "step1").write_bytes(reference)
    with pytest.raises(InputError, match=r"step1 \(not downloaded\)"):
        find_series(place)


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_a_distributed_checkpoint_that_claims_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed.checkpoint import FileSystemWriter, save

    save({"w": torch.ones(3)}, storage_writer=FileSystemWriter(tmp_path / "step_1"), no_dist=True)
    assert list(distributed.open_distributed(tmp_path / "step_1" / ".metadata").keys()) == ["w"]
    monkeypatch.setattr(distributed.DistributedTensor, "get_shape", lambda _: [10**7, 10**6])
    with pytest.raises(InputError, match=r"claims w of shape \[10000000, 1000000\] in files of .* bytes"):
        distributed.open_distributed(tmp_path / "step_1" / ".metadata")


def test_steps_beyond_what_tables_hold_are_refused(tmp_path: Path) -> None:
    for step in (2**63, 2**64):
        save_file({"w": torch.ones(2)}, tmp_path / f"step_{step}.safetensors")
    with pytest.raises(InputError, match="cannot tell the step"):
        Series.open(tmp_path)


def test_a_safetensors_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [10**7, 10**6], "data_offsets": [0, 16]}}).encode()
    (tmp_path / "step_1.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
    with pytest.raises(InputError, match="is truncated or is not a safetensors file"):
        Series.open(tmp_path)
