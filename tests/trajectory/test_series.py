"""Series of snapshots as a stream of float64 vectors and updates."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import BandedGram, block_windows, window_directions, window_eigenvalues
from spectraledge.trajectory import Series, snapshot_path, write_tensors
from spectraledge.trajectory import series as series_module

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def record(folder, snapshots, first=0):
    """Write a list of snapshots, each a dict of tensors, 10 steps apart."""
    for i, tensors in enumerate(snapshots, start=first):
        write_tensors(snapshot_path(folder, 10 * i), tensors)
    return folder


def random_snapshots(count, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "b": torch.randn(2, 3, generator=generator).to(dtype),
            "a": torch.randn(4, generator=generator).to(dtype),
            "steps": torch.tensor(i),
        }
        for i in range(count)
    ]


def centred(series, window):
    """Centred spectrum of every window of a series, as an analysis computes it."""
    gram, noise = BandedGram(window), []
    for update in series.updates():
        gram.append(update.update_P)
        noise.append(update.storage_noise)
    noise_N1 = torch.tensor(noise, dtype=torch.float64).unfold(0, window, 1).sum(-1, keepdim=True)
    return window_eigenvalues(gram.windows(), center=True, storage_noise=noise_N1)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_vectors_and_updates_are_exact_in_float64(tmp_path, dtype):
    snapshots = random_snapshots(5, dtype)
    series = Series.open(record(tmp_path, snapshots), ("b", "a"))
    rows = [np.concatenate([s[name].double().numpy().ravel() for name in series.layout.shapes]) for s in snapshots]
    found = list(series.vectors())
    assert [step for step, _, _ in found] == [0, 10, 20, 30, 40]
    for (_, vector_P, _), row in zip(found, rows, strict=True):
        assert vector_P.dtype == torch.float64
        np.testing.assert_array_equal(vector_P.numpy(), row)
    updates = list(series.updates())
    assert [update.step for update in updates] == [10, 20, 30, 40]
    for update, before, after in zip(updates, rows, rows[1:], strict=False):
        np.testing.assert_array_equal(update.update_P.numpy(), after - before)


def test_a_small_update_of_a_large_weight_is_not_rounded_again(tmp_path):
    before, after = torch.tensor([1.0, 3.0]), torch.tensor([1.0 + 2**-23, 3.0 - 2**-22])
    series = Series.open(record(tmp_path, [{"w": before}, {"w": after}]))
    ((_, update_P, _),) = series.updates()
    torch.testing.assert_close(update_P, torch.tensor([2.0**-23, -(2.0**-22)], dtype=torch.float64), rtol=0, atol=0)


def test_integer_tensors_are_never_watched(tmp_path):
    series = Series.open(record(tmp_path, random_snapshots(2)))
    assert (sorted(series.layout.shapes), series.layout.size) == (["a", "b"], 10)
    assert "steps" not in series.selection.matched + series.selection.others
    assert series.selection.left_out == {"steps": "I64: not of a floating type"}
    with pytest.raises(
        InputError, match=r"pattern 'steps' matches nothing; the tensors are a, b; left out are steps \("
    ):
        Series.open(tmp_path, ("steps",))


def test_only_the_chosen_tensors_are_watched(tmp_path):
    series = Series.open(record(tmp_path, random_snapshots(2)), ("a",))
    assert (series.selection.matched, series.selection.others) == (("a",), ("b",))
    assert series.layout.shapes == {"a": (4,)}


def test_no_patterns_are_refused(tmp_path):
    record(tmp_path, random_snapshots(2))
    with pytest.raises(InputError, match="pattern"):
        Series.open(tmp_path, ())


def test_a_part_of_a_series(tmp_path):
    series = Series.open(record(tmp_path, random_snapshots(6)))
    assert [s.step for s in series.until(25).snapshots] == [0, 10, 20]
    assert [s.step for s in series.until(20).last(2).snapshots] == [10, 20]
    assert [update.step for update in series.until(20).last(2).updates()] == [20]
    assert series.until(20).layout == series.layout


def test_a_single_snapshot_has_no_updates(tmp_path):
    assert list(Series.open(record(tmp_path, random_snapshots(1))).updates()) == []


def test_opening_reads_headers_alone(tmp_path):
    record(tmp_path, random_snapshots(1))
    snapshot_path(tmp_path, 10).write_bytes(b"\x00")
    series = Series.open(tmp_path)
    assert [step for step, _, _ in series.until(0).vectors()] == [0]
    with pytest.raises(InputError, match=r"step_00000010\.safetensors is truncated"):
        list(series.vectors())


def test_a_folder_without_float_tensors_says_so(tmp_path):
    record(tmp_path, [{"steps": torch.tensor([1, 2])}])
    with pytest.raises(InputError, match=r"pattern '\*' matches nothing; the tensors are none"):
        Series.open(tmp_path)


def test_a_tensor_that_a_later_snapshot_lacks_is_named(tmp_path):
    series = Series.open(record(tmp_path, [{"a": torch.ones(2), "b": torch.ones(2)}, {"a": torch.ones(2)}]))
    with pytest.raises(InputError, match=r"step_00000010\.safetensors has no tensor 'b'"):
        list(series.updates())


def test_a_tensor_of_another_shape_is_named(tmp_path):
    series = Series.open(record(tmp_path, [{"a": torch.ones(2, 3)}, {"a": torch.ones(3, 2)}]))
    with pytest.raises(
        InputError, match=r"has a of shape \(3, 2\) .* but step_00000000\.safetensors has floats of shape \(2, 3\)"
    ):
        list(series.updates())


def test_a_tensor_that_is_an_integer_later_is_named(tmp_path):
    record(tmp_path, [{"a": torch.ones(2)}, {"a": torch.ones(2, dtype=torch.int64)}])
    with pytest.raises(InputError, match="float"):
        list(Series.open(tmp_path).updates())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_values_that_are_not_finite_are_named(tmp_path, value, dtype):
    series = Series.open(
        record(tmp_path, [{"a": torch.ones(2).to(dtype)}, {"a": torch.tensor([1.0, value]).to(dtype)}])
    )
    with pytest.raises(InputError, match=r"step_00000010\.safetensors has values in a that are not finite"):
        list(series.updates())


def test_numbers_whose_squares_overflow_are_finite(tmp_path):
    rows = [{"a": torch.tensor([1e200, 1.0], dtype=torch.float64)}, {"a": torch.full((2,), 3e200, dtype=torch.float64)}]
    ((_, update_P, _),) = Series.open(record(tmp_path, rows)).updates()
    torch.testing.assert_close(update_P, torch.tensor([2e200, 3e200], dtype=torch.float64))


def test_values_that_are_not_finite_matter_only_where_watched(tmp_path):
    broken = {"a": torch.ones(2), "b": torch.tensor([float("nan")])}
    series = Series.open(record(tmp_path, [broken, broken]), ("a",))
    ((_, update_P, _),) = series.updates()
    torch.testing.assert_close(update_P, torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@settings(max_examples=10)
@given(seed=st.integers(0, 999), scale=st.floats(1e-3, 1e2), drift=st.floats(1e-8, 1e-1))
def test_a_linear_trajectory_has_no_centred_spectrum(tmp_path_factory, dtype, seed, scale, drift):
    rng = np.random.default_rng(seed)
    start, step = scale * rng.normal(size=300), scale * drift * rng.normal(size=300)
    rows = [{"w": torch.from_numpy(start + i * step).to(dtype)} for i in range(25)]
    series = Series.open(record(tmp_path_factory.mktemp("linear"), rows))
    values = centred(series, 20)
    torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=0)
    last = list(series.last(21).updates())
    updates_WP, noise = torch.stack([u.update_P for u in last]), sum(u.storage_noise for u in last)
    assert len(window_directions(updates_WP, center=True, storage_noise=noise).vectors_KP) == 0


def test_rounding_in_step_across_all_weights_is_still_rounding(tmp_path):
    # Half a unit in the last place per snapshot: every stored update is 0 or one unit, the same for every weight.
    rows = [{"w": torch.full((300,), 1.0 + i * 2.0**-24, dtype=torch.float64).float()} for i in range(25)]
    values = centred(Series.open(record(tmp_path, rows)), 20)
    torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=0)


def test_rounding_of_weights_that_shrink_is_still_rounding(tmp_path):
    rng = np.random.default_rng(0)
    start = rng.normal(size=300)
    rows = [{"w": torch.from_numpy(start * (1 - 0.039 * i)).float()} for i in range(25)]
    values = centred(Series.open(record(tmp_path, rows)), 20)
    torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", FLOATS[1:], ids=str)
def test_what_is_larger_than_rounding_is_kept(tmp_path, dtype):
    rng = np.random.default_rng(0)
    start, step, signal = rng.normal(size=(3, 300))
    size = 16 * torch.finfo(dtype).eps
    rows = [
        {"w": torch.from_numpy(start + i * 0.01 * step + size * (i == 12) * 5 * signal).to(dtype)} for i in range(25)
    ]
    values = centred(Series.open(record(tmp_path, rows)), 20)
    assert float(values[:, 0].min()) > 0


def test_the_noise_of_a_vector_is_one_rounding_of_every_weight(tmp_path):
    rows = [{"a": torch.full((3,), 2.0 * i), "b": torch.full((2,), 3.0 * i, dtype=torch.bfloat16)} for i in (1, 2)]
    series = Series.open(record(tmp_path, rows))
    in_float32, in_bfloat16 = (torch.finfo(dtype).eps ** 2 for dtype in (torch.float32, torch.bfloat16))
    expected = [12 * in_float32 + 18 * in_bfloat16, 48 * in_float32 + 72 * in_bfloat16]
    np.testing.assert_allclose([noise for _, _, noise in series.vectors()], expected, rtol=1e-12)
    (update,) = series.updates()
    np.testing.assert_allclose(update.storage_noise, np.mean(expected), rtol=1e-12)


@pytest.mark.parametrize("size", [7, 10**6])
@pytest.mark.parametrize("dtype", FLOATS[2:], ids=str)
def test_the_rounding_of_weights_that_stand_still_hides_nothing(tmp_path, dtype, size):
    rng = np.random.default_rng(0)
    walk_TP = (0.001 * rng.normal(size=(9, 6))).cumsum(0)
    base = torch.from_numpy(rng.normal(size=(50, 40))).to(dtype)
    series = Series.open(record(tmp_path, [{"adapter": torch.from_numpy(row), "base": base} for row in walk_TP]))
    assert series.still == {"base"}
    noise, updates = 0.0, []
    for block in series.blocks(size):
        last = list(block.updates())[-5:]
        noise += sum(update.storage_noise for update in last)
        updates.append(torch.stack([update.update_P for update in last]))
    gram_WW = sum(part @ part.T for part in updates)
    expected = np.linalg.svd(np.diff(walk_TP, axis=0)[-5:], compute_uv=False) ** 2
    np.testing.assert_allclose(window_eigenvalues(gram_WW, storage_noise=noise), expected, rtol=1e-9)


def test_copies_of_one_snapshot_do_not_stand_still(tmp_path):
    rows = [{"w": torch.full((3, 2), float(i in (1, 3)), dtype=torch.bfloat16)} for i in range(5)]
    assert Series.open(record(tmp_path, rows)).still == frozenset()
    assert Series.open(record(tmp_path / "one", rows[:1])).still == frozenset()


@pytest.mark.parametrize("dtype", FLOATS[1:], ids=str)
@given(seed=st.integers(0, 999), growth=st.floats(0.1, 2))
@settings(max_examples=10)
def test_rounding_moves_an_update_by_no_more_than_its_noise(tmp_path_factory, dtype, seed, growth):
    rng = np.random.default_rng(seed)
    exact = [rng.normal(size=200), growth * rng.normal(size=200)]
    rows = [{"w": torch.from_numpy(row).to(dtype)} for row in exact]
    (update,) = Series.open(record(tmp_path_factory.mktemp("rounded"), rows)).updates()
    error = update.update_P.numpy() - (exact[1] - exact[0])
    assert 0 < float(error @ error) <= update.storage_noise


MIXED = {"a": (2, 3, 4), "b": (), "c": (0, 3), "d": (1, 1, 5), "e": (7,), "f": (3, 1, 2)}
"""Shapes of 43 numbers, cut by blocks in every way: within rows, across rows and tensors, scalars and nothing."""


def mixed_snapshots(count, dtypes=(torch.float32, torch.bfloat16)):
    generator = torch.Generator().manual_seed(0)
    return [
        {
            name: torch.randn(shape, generator=generator).to(dtypes[number % len(dtypes)])
            for number, (name, shape) in enumerate(MIXED.items())
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 12, 13, 42, 43, 100])
def test_blocks_join_to_the_whole(tmp_path, size):
    whole = Series.open(record(tmp_path, mixed_snapshots(3)))
    blocks = list(whole.blocks(size))
    assert [len(block.block) for block in blocks] == [size] * (43 // size) + [43 % size] * (43 % size > 0)
    for number, (step, vector_P, noise) in enumerate(whole.vectors()):
        parts = [list(block.vectors())[number] for block in blocks]
        assert {part[0] for part in parts} == {step}
        torch.testing.assert_close(torch.cat([part[1] for part in parts]), vector_P, rtol=0, atol=0)
        np.testing.assert_allclose(sum(part[2] for part in parts), noise, rtol=1e-12)
    for number, update in enumerate(whole.updates()):
        parts = [list(block.updates())[number] for block in blocks]
        torch.testing.assert_close(torch.cat([part.update_P for part in parts]), update.update_P, rtol=0, atol=0)
        np.testing.assert_allclose(sum(part.storage_noise for part in parts), update.storage_noise, rtol=1e-12)


def test_a_part_of_a_block_is_a_block_of_the_part(tmp_path):
    whole = Series.open(record(tmp_path, mixed_snapshots(4)))
    block = list(whole.blocks(10))[2]
    assert block.until(20).last(2).block == range(20, 30)
    inner = list(block.blocks(4))
    assert [part.block for part in inner] == [range(20, 24), range(24, 28), range(28, 30)]
    joined = torch.cat([next(part.vectors())[1] for part in inner])
    torch.testing.assert_close(joined, next(whole.vectors())[1][20:30], rtol=0, atol=0)


class Counted:
    """A stored tensor that keeps count of the numbers read from it."""

    def __init__(self, stored, read):
        self.stored, self.read = stored, read

    def __getattr__(self, name):
        return getattr(self.stored, name)

    def __getitem__(self, index):
        part = self.stored[index]
        self.read.append(part.numel())
        return part


@pytest.mark.parametrize("size", [1, 5, 12, 43])
def test_blocks_read_every_number_once(tmp_path, monkeypatch, size):
    whole, read = Series.open(record(tmp_path, mixed_snapshots(3))), []

    class File:
        def __init__(self, path, key):
            self.opened = open_snapshot(path, key=key)

        def __enter__(self):
            self.file = self.opened.__enter__()
            return self

        def __exit__(self, *error):
            self.opened.__exit__(*error)

        def keys(self):
            return self.file.keys()

        def get_slice(self, name):
            return Counted(self.file.get_slice(name), read)

    open_snapshot = series_module.open_snapshot
    monkeypatch.setattr(series_module, "open_snapshot", File)
    for block in whole.blocks(size):
        assert len(list(block.updates())) == 2
    assert sum(read) == 3 * 43
    assert max(read) <= size


@pytest.mark.parametrize("size", [3, 10, 1000])
def test_the_windows_of_blocks_are_those_of_the_whole(tmp_path, size):
    whole = Series.open(record(tmp_path, mixed_snapshots(12)))
    gram = BandedGram(4)
    for update in whole.updates():
        gram.append(update.update_P)
    blocks = ((update.update_P for update in block.updates()) for block in whole.blocks(size))
    torch.testing.assert_close(block_windows(blocks, 4), gram.windows(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [0, -1])
def test_blocks_of_nothing_are_refused(tmp_path, size):
    whole = Series.open(record(tmp_path, mixed_snapshots(2)))
    with pytest.raises(InputError, match=f"a block needs at least 1 parameter, got {size}"):
        next(whole.blocks(size))


def test_a_block_names_what_is_wrong_in_it_and_a_foreign_tensor_anywhere(tmp_path):
    first, second = mixed_snapshots(2)
    second["e"][3] = float("nan")
    blocks = list(Series.open(record(tmp_path, [first, second])).blocks(10))
    assert len(list(blocks[0].updates())) == 1
    with pytest.raises(InputError, match=r"step_00000010\.safetensors has values in e that are not finite"):
        list(blocks[3].updates())
    record(tmp_path, [{**first, "e": torch.ones(8)}], first=1)
    with pytest.raises(InputError, match=r"has e of shape \(8,\) and type F32, but step_00000000\.safetensors has"):
        list(blocks[0].updates())
