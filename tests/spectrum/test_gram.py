"""The banded Gram: streaming equals the definition, and no more than two windows are held."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import BandedGram, block_windows
from spectraledge.spectrum import band as band_module


def random_updates(count, size, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, size, dtype=torch.float64, generator=generator).to(dtype)


def streamed(updates_TP, window):
    gram = BandedGram(window)
    for update_P in updates_TP:
        gram.append(update_P)
    return gram


def naive_windows(updates_TP, window):
    rows = updates_TP.double().tolist()
    return np.array(
        [
            [[sum(x * y for x, y in zip(first, second, strict=True)) for second in part] for first in part]
            for part in (rows[start : start + window] for start in range(len(rows) - window + 1))
        ]
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_updates_longer_than_a_block(dtype):
    updates_TP = random_updates(5, 70_000, dtype=dtype)
    rows = updates_TP.double().numpy()
    expected = np.array([rows[start : start + 3] @ rows[start : start + 3].T for start in range(3)])
    np.testing.assert_allclose(streamed(updates_TP, 3).windows().numpy(), expected, rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@given(count=st.integers(2, 12), data=st.data())
def test_windows_agree_with_the_definition(dtype, count, data):
    window = data.draw(st.integers(2, count))
    updates_TP = random_updates(count, data.draw(st.integers(1, 6)), data.draw(st.integers(0, 99)), dtype)
    found = streamed(updates_TP, window).windows()
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), naive_windows(updates_TP, window), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("window", [2, 20, 140])
@pytest.mark.parametrize("batches", [[300], [5, 17, 278], [127, 128, 45], [256, 1, 43]])
def test_many_blocks_of_updates_and_parameters(monkeypatch, native, batches, window, dtype):
    monkeypatch.setattr(band_module, "_ADD_BAND", native("add_band", band_module._ADD_BAND_ARGUMENTS))
    updates_TP = random_updates(300, 1100, dtype=dtype)
    gram = BandedGram(window)
    for part in torch.split(updates_TP, batches):
        gram.extend(part)
    rows = updates_TP.double().numpy()
    expected = np.array([rows[start:][:window] @ rows[start:][:window].T for start in (0, 100, 300 - window)])
    found = gram.windows()[[0, 100, -1]]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 8, 383, 385, 3000])
def test_one_update_is_as_one_of_several_to_the_last_bit(monkeypatch, native, size, dtype):
    monkeypatch.setattr(band_module, "_ADD_BAND", native("add_band", band_module._ADD_BAND_ARGUMENTS))
    held, recent = 19, random_updates(19, size, dtype=dtype)
    updates_TP = random_updates(2, size, dtype=dtype)
    alone = band_module.band(updates_TP[:1], held, recent, 5)
    exact = updates_TP[:1].double() @ torch.cat([updates_TP[:1], recent]).double().T
    # Behind the update itself: the ring, newest first, whose oldest row is 5.
    lags = [0, *(1 + (5 - lag) % held for lag in range(1, held + 1))]
    torch.testing.assert_close(alone, exact[:, lags], rtol=1e-12, atol=1e-10)
    if band_module._ADD_BAND is not None:
        assert torch.equal(alone[0], band_module.band(updates_TP, held, recent, 5)[0])


def test_sums_do_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr(band_module, "_PER_THREAD", 1)
    updates_TP, found = random_updates(25, 50_000, dtype=torch.float32), []
    threads = torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(streamed(updates_TP, 20).windows())
    torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_rows_that_do_not_lie_together(monkeypatch, native):
    monkeypatch.setattr(band_module, "_ADD_BAND", native("add_band", band_module._ADD_BAND_ARGUMENTS))
    wide = random_updates(12, 300)
    for updates_TP in (wide[:, 20:50], wide[::2], wide[:, :9].t(), wide[:1].expand(7, 300)):
        found = BandedGram(4)
        for part in torch.split(updates_TP, 5):
            found.extend(part)
        np.testing.assert_allclose(found.windows().numpy(), naive_windows(updates_TP, 4), rtol=1e-12, atol=1e-12)


def test_updates_that_require_gradients_leave_no_graph():
    updates_TP = random_updates(5, 7).requires_grad_()
    found = streamed(updates_TP, 3).windows()
    assert not found.requires_grad
    np.testing.assert_allclose(found.numpy(), naive_windows(updates_TP, 3), rtol=1e-12)


def test_streaming_may_be_read_at_any_time():
    updates_TP = random_updates(15, 7)
    gram = BandedGram(4)
    for seen, update_P in enumerate(updates_TP, start=1):
        gram.append(update_P)
        assert len(gram) == seen
        if seen >= 4:
            np.testing.assert_allclose(gram.windows().numpy(), naive_windows(updates_TP[:seen], 4), rtol=1e-12)


def test_updates_are_copied():
    updates_TP = random_updates(5, 7)
    gram, reused = BandedGram(3), torch.empty(7, dtype=torch.float64)
    for update_P in updates_TP:
        gram.append(reused.copy_(update_P))
    np.testing.assert_allclose(gram.windows().numpy(), naive_windows(updates_TP, 3), rtol=1e-12)


@given(window=st.integers(2, 6), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_batches_of_any_size_are_the_same_as_one_update_at_a_time(window, sizes, seed):
    updates_TP = random_updates(sum(sizes) + window, 5, seed)
    gram = BandedGram(window)
    for part in torch.split(updates_TP, [*sizes, window]):
        gram.extend(part)
    assert len(gram) == len(updates_TP)
    np.testing.assert_allclose(gram.windows().numpy(), naive_windows(updates_TP, window), rtol=1e-12, atol=1e-12)


def test_single_updates_and_batches_may_be_mixed():
    updates_TP = random_updates(14, 5)
    gram = BandedGram(4)
    gram.append(updates_TP[0])
    gram.extend(updates_TP[1:9])
    gram.append(updates_TP[9])
    gram.extend(updates_TP[10:])
    np.testing.assert_allclose(gram.windows().numpy(), naive_windows(updates_TP, 4), rtol=1e-12, atol=1e-12)


def test_no_updates_add_nothing():
    updates_TP = random_updates(6, 5)
    gram = BandedGram(3)
    for part in (updates_TP[:0], updates_TP[:4], updates_TP[:0], updates_TP[4:]):
        gram.extend(part)
    np.testing.assert_allclose(gram.windows().numpy(), naive_windows(updates_TP, 3), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("batch", [1, 7, 60])
def test_memory_is_two_windows_at_most_however_long_the_run(batch, dtype):
    gram = BandedGram(4)
    for part in torch.split(random_updates(60, 50, dtype=dtype), batch):
        gram.extend(part)
    held = [value for value in vars(gram).values() if isinstance(value, torch.Tensor)]
    assert {value.dtype for value in held} == {dtype}
    assert 3 * 50 <= sum(value.numel() for value in held) <= 2 * 4 * 50


@pytest.mark.parametrize("window", [1, 0, -3, 4.0, 2.5])
def test_a_window_that_is_no_number_of_updates_is_refused(window):
    with pytest.raises(InputError, match=f"window must be a whole number of updates, at least 2, got {window}"):
        BandedGram(window)


def test_a_window_longer_than_the_run_is_refused():
    with pytest.raises(InputError, match=r"window must be in \[2, 4\] for 4 updates, got 5: record more snapshots"):
        streamed(random_updates(4, 3), 5).windows()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_update_that_is_not_finite_is_refused(value):
    gram = streamed(random_updates(2, 3), 2)
    with pytest.raises(InputError, match="update 3 has values that are not finite: drop the snapshots"):
        gram.append(torch.tensor([1.0, value, 2.0]))
    assert len(gram) == 2


def test_an_update_that_is_not_finite_is_found_within_a_batch():
    updates_TP = random_updates(9, 3)
    updates_TP[6, 1] = float("nan")
    gram = streamed(updates_TP[:2], 2)
    with pytest.raises(InputError, match="update 7 has values that are not finite"):
        gram.extend(updates_TP[2:])
    gram.extend(updates_TP[2:6])
    np.testing.assert_allclose(gram.windows().numpy(), naive_windows(updates_TP[:6], 2), rtol=1e-12)


@pytest.mark.parametrize("size", [2, 4])
def test_an_update_of_another_length_is_refused(size):
    gram = streamed(random_updates(2, 3), 2)
    with pytest.raises(InputError, match=rf"update.* 3 .*has|have shape \(.*{size}\), expected \(.*3\)"):
        gram.append(torch.ones(size))
    assert len(gram) == 2


def test_a_first_update_that_is_no_vector_is_refused_and_leaves_nothing_behind():
    gram = BandedGram(2)
    with pytest.raises(InputError, match=r"update 1 has shape \(2, 3\)"):
        gram.append(torch.ones(2, 3))
    gram.append(torch.ones(3))
    gram.append(torch.ones(3))
    torch.testing.assert_close(gram.windows(), torch.full((1, 2, 2), 3.0, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@given(size=st.integers(1, 30), window=st.integers(2, 6), seed=st.integers(0, 99))
def test_blocks_of_parameters_add_up(dtype, size, window, seed):
    updates_TP = random_updates(8, 23, seed, dtype)
    found = block_windows(torch.split(updates_TP, size, dim=1), window)
    np.testing.assert_allclose(found.numpy(), naive_windows(updates_TP, window), rtol=1e-12, atol=1e-12)


def test_blocks_and_their_updates_are_read_one_at_a_time_and_once():
    updates_TP, log = random_updates(5, 6), []

    def rows(block):
        for number, update_P in enumerate(updates_TP[:, 2 * block : 2 * block + 2]):
            log.append((block, number))
            yield update_P

    block_windows((rows(block) for block in range(3)), 2)
    assert log == [(block, number) for block in range(3) for number in range(5)]


def test_blocks_of_different_updates_are_refused():
    blocks = [random_updates(5, 3), random_updates(4, 3)]
    with pytest.raises(InputError, match="every block needs the same updates: one has 5, a later one has 4"):
        block_windows(blocks, 3)


def test_an_update_of_another_length_within_a_block_is_refused():
    for lengths in ((3, 2), (3, 3, 3, 3, 2)):
        with pytest.raises(InputError, match=r"must cover the same parameters, got shapes \[\(2,\), \(3,\)\]"):
            block_windows([[torch.ones(length) for length in lengths]], 2)


def test_no_blocks_are_refused():
    with pytest.raises(InputError, match="at least one block of parameters, got none"):
        block_windows([], 3)
