"""Planted faults in a series are found, each under its own name, and sound series have none."""

import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from spectraledge.errors import InputError
from spectraledge.trajectory import contents, find_snapshots, order, verify_series
from spectraledge.trajectory.census import digest_snapshot, read_pieces
from spectraledge.trajectory.order import out_of_order

STEPS = range(0, 1000, 100)


def walk(count=10, drift=0.3, seed=0, dtype=torch.float32):
    """Snapshots of a random walk with drift."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(count, 300, generator=generator) + drift
    return [
        {"layer.weight": row[:280].reshape(14, 20).to(dtype).clone(), "layer.bias": row[280:].to(dtype).clone()}
        for row in steps.cumsum(0)
    ]


def record(folder, snapshots, steps=STEPS):
    for step, tensors in zip(steps, snapshots, strict=True):
        save_file(tensors, folder / f"step_{step}.safetensors")
    return folder


def kinds(folder, **options):
    return [(finding.kind, finding.steps) for finding in verify_series(folder, **options).findings]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("drift", [0.0, 0.3, 10.0])
@pytest.mark.parametrize("seed", range(3))
def test_sound_series_have_no_findings(tmp_path, dtype, drift, seed):
    found = verify_series(record(tmp_path, walk(drift=drift, seed=seed, dtype=dtype)))
    assert found.findings == ()
    assert found.tensors == ("layer.bias", "layer.weight")
    assert [snapshot.step for snapshot in found.snapshots] == list(STEPS)


def test_a_missing_step_is_found(tmp_path):
    record(tmp_path, walk())
    (tmp_path / "step_400.safetensors").unlink()
    (finding,) = verify_series(tmp_path).findings
    assert (finding.kind, finding.steps) == ("missing", (400,))
    assert finding.text == "step 400 is missing between steps 300 and 500"


def test_many_missing_steps_are_one_finding(tmp_path):
    snapshots = walk(14)
    record(tmp_path, snapshots[:3] + snapshots[11:], [0, 100, 200, 1100, 1200, 1300])
    (finding,) = verify_series(tmp_path).findings
    assert finding.steps == tuple(range(300, 1100, 100))
    assert finding.text == "8 steps (300, 400, 500, 600, 700, 800 ... 1000) are missing between steps 200 and 1100"


def test_copies_are_found(tmp_path):
    snapshots = walk()
    snapshots[6] = snapshots[5]
    (finding,) = verify_series(record(tmp_path, snapshots)).findings
    assert (finding.kind, finding.steps) == ("duplicate", (500, 600))
    assert finding.text == "steps 500, 600 hold the same tensors, byte for byte"


def test_weights_that_are_tied_in_some_of_the_files_count_once(tmp_path):
    for step, tensors in zip(STEPS, walk(), strict=True):
        named = {"wte.weight": tensors["layer.weight"], "lm_head.weight": tensors["layer.weight"]}
        torch.save(
            named if step % 200 else {name: part.clone() for name, part in named.items()}, tmp_path / f"{step}.pt"
        )
    assert kinds(tmp_path) == []
    (tmp_path / "300.pt").write_bytes((tmp_path / "700.pt").read_bytes())
    assert kinds(tmp_path) == [("duplicate", (300, 700))]


def test_copies_in_another_format_are_found(tmp_path):
    snapshots = walk(5)
    for step, tensors in zip(range(5), [*snapshots[:4], snapshots[1]], strict=True):
        (tmp_path / f"step_{step}").mkdir()
        if step == 4:
            torch.save({"model": tensors}, tmp_path / "step_4" / "x.pt")
        else:
            save_file(tensors, tmp_path / f"step_{step}" / "x.safetensors")
    assert kinds(tmp_path) == [("duplicate", (1, 4))]


def test_only_chosen_tensors_are_compared(tmp_path):
    snapshots = walk()
    snapshots[6]["layer.bias"] = snapshots[5]["layer.bias"]
    snapshots[2]["layer.weight"][0, 0] = torch.nan
    record(tmp_path, snapshots)
    assert kinds(tmp_path, patterns=["*.bias"]) == [("duplicate", (500, 600))]
    assert kinds(tmp_path, patterns=["*.weight"]) == [("not finite", (200,))]
    with pytest.raises(InputError, match=r"'\*attn\*' matches nothing; the tensors are layer\.bias, layer\.weight"):
        verify_series(tmp_path, patterns=["*attn*"])


def test_one_bit_makes_no_copy(tmp_path):
    snapshots = walk()
    snapshots[6] = {name: tensor.clone() for name, tensor in snapshots[5].items()}
    for tensor in snapshots[6].values():
        tensor.view(torch.int32).flatten()[3] ^= 1
    assert "duplicate" not in [kind for kind, _ in kinds(record(tmp_path, snapshots))]


def test_a_step_that_is_there_twice_is_found(tmp_path):
    snapshots = walk()
    record(tmp_path, snapshots)
    save_file(walk(1, seed=9)[0], tmp_path / "step_0300.safetensors")
    (finding,) = verify_series(tmp_path).findings
    assert (finding.kind, finding.steps) == ("duplicate", (300,))
    assert finding.text == "step 300 is there 2 times: step_0300.safetensors, step_300.safetensors"


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("drift", [0.0, 10.0])
def test_two_swapped_snapshots_are_found(tmp_path, at, drift):
    snapshots = walk(drift=drift)
    snapshots[at], snapshots[at + 1] = snapshots[at + 1], snapshots[at]
    ((kind, (step,)),) = kinds(record(tmp_path, snapshots))
    assert kind == "out of order"
    assert step in (STEPS[at], STEPS[at + 1])


def test_a_snapshot_in_the_wrong_place_is_found_and_told_where_it_fits(tmp_path):
    snapshots = walk()
    snapshots.insert(1, snapshots.pop(7))
    (finding,) = verify_series(record(tmp_path, snapshots)).findings
    assert (finding.kind, finding.steps) == ("out of order", (100,))
    assert finding.text == "step 100 looks out of order: its weights fit better after step 700 than where they are"


def test_a_foreign_snapshot_is_found(tmp_path):
    snapshots = walk()
    weight = snapshots[2].pop("layer.weight")
    snapshots[3]["extra"] = torch.ones(1)
    snapshots[5]["layer.weight"] = snapshots[5]["layer.weight"].T.contiguous()
    snapshots[7]["layer.bias"] = snapshots[7]["layer.bias"].half()
    found = verify_series(record(tmp_path, snapshots)).findings
    assert weight.shape == (14, 20)
    assert [(finding.kind, finding.steps[0]) for finding in found] == [
        ("foreign", step) for step in (200, 300, 500, 700)
    ]
    ends = [
        "it lacks layer.weight",
        "it has also extra",
        "it has layer.weight as F32 (20, 14) instead of F32 (14, 20)",
        "it has layer.bias as F16 (20,) instead of F32 (20,)",
    ]
    for finding, end in zip(found, ends, strict=True):
        assert finding.text.endswith(end)


def test_snapshots_without_any_chosen_tensor_are_no_copies_of_each_other(tmp_path):
    snapshots = walk()
    snapshots[2] = snapshots[3] = {"other": torch.ones(1)}
    assert kinds(record(tmp_path, snapshots), patterns=["layer.*"]) == [("foreign", (200,)), ("foreign", (300,))]


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_found(tmp_path, value):
    snapshots = walk()
    snapshots[4]["layer.weight"][13, 19] = value
    (finding,) = verify_series(record(tmp_path, snapshots)).findings
    assert (finding.kind, finding.steps) == ("not finite", (400,))
    assert finding.text == "step 400 has values that are not finite in layer.weight"


@pytest.mark.parametrize("kept", [0, 20, -1])
def test_a_truncated_file_is_found(tmp_path, kept):
    path = record(tmp_path, walk()) / "step_300.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    (finding,) = verify_series(tmp_path).findings
    assert (finding.kind, finding.steps) == ("unreadable", (300,))
    assert "truncated" in finding.text


def test_a_series_of_which_nothing_can_be_read_is_all_findings(tmp_path):
    for step in (1, 2):
        (tmp_path / f"{step}.safetensors").touch()
    found = verify_series(tmp_path)
    assert [finding.kind for finding in found.findings] == ["unreadable", "unreadable"]
    assert found.tensors == ()


def test_a_missing_shard_is_found(tmp_path):
    for step, tensors in zip((1, 2, 3), walk(3), strict=True):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file({"layer.bias": tensors["layer.bias"]}, folder / "model-00001-of-00002.safetensors")
        save_file({"layer.weight": tensors["layer.weight"]}, folder / "model-00002-of-00002.safetensors")
        names = {"layer.bias": "model-00001-of-00002.safetensors", "layer.weight": "model-00002-of-00002.safetensors"}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    assert kinds(tmp_path) == []
    (tmp_path / "checkpoint-2" / "model-00002-of-00002.safetensors").unlink()
    assert kinds(tmp_path) == [("unreadable", (2,))]


def test_progress_is_told(tmp_path):
    told = []
    verify_series(record(tmp_path, walk()), on_progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 10) for i in range(1, 11)]


def naive_length(order, distance):
    return sum(distance[i, j] for i, j in itertools.pairwise(order))


@given(seed=st.integers(0, 999), count=st.integers(4, 9))
@settings(max_examples=30)
def test_the_first_found_is_the_move_that_shortens_the_path_most(seed, count):
    points = np.random.default_rng(seed).standard_normal((count, 3))
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    order, best, chosen = list(range(count)), 0.0, None
    for i in order:
        rest = [j for j in order if j != i]
        own = naive_length(order, distance) - naive_length(rest, distance)
        for place in range(count):
            detour = naive_length([*rest[:place], i, *rest[place:]], distance) - naive_length(rest, distance)
            if place != i and detour < 0.75 * own and own - detour > best + 1e-12:
                best, chosen = own - detour, (i, rest[place - 1] if place else -1)
    found = out_of_order(torch.from_numpy(distance))
    assert (found[0] if found else None) == chosen


def naive_order(distance):
    """The rule as it is said, a snapshot and a place at a time."""
    order, found = list(range(len(distance))), []
    while len(order) > 3:
        moves = []
        for at, i in enumerate(order):
            rest = [j for j in order if j != i]
            costs = [
                distance[i, rest[0]],
                *(distance[i, j] + distance[i, k] - distance[j, k] for j, k in itertools.pairwise(rest)),
                distance[i, rest[-1]],
            ]
            place = min((place for place in range(len(order)) if place != at), key=costs.__getitem__)
            if costs[place] < 0.75 * costs[at]:
                moves.append((costs[at] - costs[place], -at, (i, rest[place - 1] if place else -1)))
        if not moves:
            break
        found.append(max(moves)[2])
        order.remove(found[-1][0])
    return found


@given(seed=st.integers(0, 999), count=st.integers(4, 40), rows=st.integers(1, 9))
@settings(max_examples=30)
def test_the_order_is_that_of_the_rule_however_many_rows_are_compared_at_a_time(seed, count, rows):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((count, 40)).cumsum(0)[rng.permutation(count) if seed % 2 else slice(None)]
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "_ROWS", rows)
        assert out_of_order(torch.from_numpy(distance)) == naive_order(distance)


def test_weights_that_turn_round_and_grow_beside_a_break_are_no_crash():
    first, other = torch.randn(2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert order.path_findings([0, 2, 5], [first, -3 * first, 3 * other], [slice(0, 64)]) == []


@pytest.mark.parametrize("count", range(4))
def test_too_few_snapshots_have_no_order(count):
    assert out_of_order(torch.rand(count, count, dtype=torch.float64)) == []


def test_a_straight_line_is_in_order_and_so_is_its_reverse():
    place = torch.arange(8.0, dtype=torch.float64)
    distance = (place[:, None] - place).abs()
    assert out_of_order(distance) == out_of_order(distance.flip(0, 1)) == []


@pytest.mark.parametrize("most", [1, 2, 5, 24, 1000])
@pytest.mark.parametrize("shape", [(2, 3, 4), (24,), (1, 1, 24), (), (0, 3), (3, 1, 8)], ids=str)
def test_pieces_join_to_the_whole_and_are_small(shape, most):
    whole = torch.rand(shape)
    pieces = list(read_pieces(whole, shape, 0, whole.numel(), most=most))
    torch.testing.assert_close(torch.cat([*pieces, torch.empty(0)]), whole.flatten(), rtol=0, atol=0)
    assert all(piece.numel() <= most for piece in pieces)


def test_contents_come_from_headers(tmp_path):
    tensors = {"b": torch.ones(2, 3), "a": torch.ones(4).bfloat16(), "n": torch.tensor([1, 2])}
    save_file(tensors, tmp_path / "7.safetensors")
    (held,) = (contents(snapshot) for snapshot in find_snapshots(tmp_path))
    assert (held.files, held.parameters, held.dtypes) == (("7.safetensors",), 10, ("F32", "BF16", "I64"))
    assert held.bytes == (tmp_path / "7.safetensors").stat().st_size
    assert {name: (kind.dtype, kind.shape) for name, kind in held.tensors.items()} == {
        "a": ("BF16", (4,)),
        "b": ("F32", (2, 3)),
        "n": ("I64", (2,)),
    }


def test_a_sample_holds_the_numbers_at_its_coordinates(tmp_path):
    tensors = {"b": torch.randn(4, 5), "a": torch.randn(7).bfloat16(), "n": torch.arange(3), "c": torch.randn(())}
    save_file(tensors, tmp_path / "7.safetensors")
    (held,) = (contents(snapshot) for snapshot in find_snapshots(tmp_path))
    sample = torch.tensor([0, 6, 7, 19, 26, 27])
    flat = torch.cat([tensors[name].double().flatten() for name in ("a", "b", "c")])
    found = digest_snapshot(held, sorted(tensors), sample)
    torch.testing.assert_close(found.sample_n, flat[sample], rtol=0, atol=0)
