"""Subspaces: spans, windows' leading directions and weighing, against explicit projectors and singular vectors."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import Frame, TrailingWindow, orthonormal_rows, spanned, weigh, window_directions


def rng(seed):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=rng(seed))


def projector(frame):
    if frame.everything:
        return torch.eye(frame.rank, dtype=torch.float64)
    rows = frame.rows_KP.double()
    return rows.T @ rows


def naive_projector(vectors_KP, rank=None):
    """P×P, of the leading right singular vectors."""
    _, values, rows = np.linalg.svd(vectors_KP.double().numpy(), full_matrices=False)
    kept = rows[: int((values > 1e-12 * values[0]).sum()) if rank is None else rank]
    return torch.from_numpy(kept.T @ kept)


@given(st.integers(1, 6), st.integers(6, 300), st.integers(0, 100))
def test_a_span_is_that_of_its_vectors(count, size, seed):
    vectors = draw(count, size, seed=seed)
    scaled = vectors * torch.logspace(-150, 150, count, dtype=torch.float64)[:, None]
    frame = spanned(scaled)
    assert frame.rank == count
    torch.testing.assert_close(frame.rows_KP @ frame.rows_KP.T, torch.eye(count, dtype=torch.float64))
    torch.testing.assert_close(projector(frame), naive_projector(vectors), rtol=0, atol=1e-12)
    torch.testing.assert_close(projector(Frame.of(orthonormal_rows(vectors))), projector(frame), rtol=0, atol=1e-10)


def test_dependent_vectors_span_what_they_span():
    vectors = draw(2, 9)
    frame = spanned(torch.cat([vectors, vectors.sum(0, keepdim=True), 3 * vectors[:1]]))
    assert frame.rank == 2
    torch.testing.assert_close(projector(frame), naive_projector(vectors), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (torch.zeros(1, 3), "is zero"),
        (torch.tensor([[1.0, torch.nan]]), "not finite"),
        (torch.empty(0, 3), r"shape \(K ≥ 1, P ≥ 1\), got \(0, 3\)"),
        (torch.ones(3), r"got \(3,\)"),
    ],
)
def test_what_spans_nothing_is_refused(vectors, message):
    with pytest.raises(InputError, match=message):
        spanned(vectors)


@given(st.integers(1, 4), st.floats(-3, 3), st.floats(-3, 3), st.booleans(), st.integers(0, 50))
def test_weighing_equals_the_explicit_projector(rank, inside, outside, restore, seed):
    frame, vectors = spanned(draw(rank, 12, seed=seed)), draw(2, 12, seed=seed + 1000)
    found = weigh(vectors, frame, inside=inside, outside=outside, restore=restore)
    naive = vectors @ (inside * projector(frame) + outside * (torch.eye(12, dtype=torch.float64) - projector(frame)))
    if restore and naive[0].norm() > 0:
        naive = naive * vectors[0].norm() / naive[0].norm()
        torch.testing.assert_close(found.vectors_NP[0].norm(), vectors[0].norm())
    torch.testing.assert_close(found.vectors_NP, naive, rtol=1e-10, atol=1e-10)
    share = (projector(frame) @ vectors[0]).square().sum() / vectors[0].square().sum()
    torch.testing.assert_close(found.share, share)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_laws_of_keeping_and_removing(dtype):
    frame, vectors = spanned(draw(3, 50, dtype=dtype)), draw(1, 50, seed=1, dtype=dtype)
    kept = weigh(vectors, frame, inside=1, outside=0).vectors_NP
    removed = weigh(vectors, frame, inside=0, outside=1).vectors_NP
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(kept + removed, vectors, rtol=0, atol=20 * eps)
    torch.testing.assert_close(removed @ frame.rows_KP.T, torch.zeros(1, 3, dtype=dtype), rtol=0, atol=20 * eps)
    again = weigh(kept, frame, inside=1, outside=0).vectors_NP
    torch.testing.assert_close(again, kept, rtol=0, atol=20 * eps)
    torch.testing.assert_close(weigh(kept, frame, inside=0, outside=1).vectors_NP, 0 * kept, rtol=0, atol=20 * eps)


def test_what_changes_nothing_is_the_same_vector():
    vectors = draw(1, 7)
    whole, part = spanned(draw(7, 7)), spanned(draw(2, 7))
    assert weigh(vectors, part, inside=1, outside=1, restore=True).vectors_NP is vectors
    assert whole.everything
    assert weigh(vectors, whole, inside=1, outside=0).vectors_NP is vectors
    assert weigh(vectors, Frame(torch.empty(0, 7), everything=True), inside=1, outside=0).vectors_NP is vectors
    torch.testing.assert_close(weigh(vectors, whole, inside=0, outside=1).vectors_NP, 0 * vectors)


def test_a_length_that_is_gone_is_not_restored():
    frame = spanned(torch.eye(3)[:1])
    inside = torch.tensor([[2.0, 0.0, 0.0]])
    assert weigh(inside, frame, inside=0, outside=1, restore=True).vectors_NP.tolist() == [[0, 0, 0]]
    assert bool(weigh(0 * inside, frame, inside=0, outside=1).share.isnan())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [7, 57, 20_000])
def test_rounding_alone_is_not_made_as_long_as_what_there_was(dtype, size):
    """A window of three vectors, and the last of them: all of it is in the window, so nothing is left outside."""
    vectors, eps = draw(3, size, dtype=dtype), torch.finfo(dtype).eps
    trailing = TrailingWindow(3)
    for vector in vectors:
        trailing.append(vector)
    left = weigh(vectors[-1:], trailing.leading(), inside=0, outside=1, restore=True).vectors_NP
    assert left.norm() < 100 * eps * vectors[-1].norm()
    # What is left of something else is restored, however small the factors are.
    other = draw(1, size, seed=9, dtype=dtype)
    for inside, outside in ((0, 1e-20), (1e-20, 0)):
        found = weigh(other, trailing.leading(), inside=inside, outside=outside, restore=True).vectors_NP
        torch.testing.assert_close(found.norm(), other.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("window", [2, 5])
def test_leading_directions_of_every_window(dtype, center, window):
    updates = draw(17, 40, dtype=dtype) * torch.linspace(1, 3, 40, dtype=dtype) + 2 * draw(1, 40, seed=1, dtype=dtype)
    trailing = TrailingWindow(window)
    for count, update in enumerate(updates, start=1):
        trailing.append(update)
        assert trailing.full == (count >= window)
        if not trailing.full:
            continue
        last = updates[count - window : count].double()
        directions = window_directions(last, center=center).vectors_KP
        for skip, kept in ((0, 1), (1, 2), (0, None), (1, None)):
            frame = trailing.leading(skip=skip, count=kept, center=center)
            chosen = directions[skip : None if kept is None else skip + kept]
            assert frame.rank == len(chosen)
            tolerance = 1e-11 if dtype == torch.float64 else 1e-5
            torch.testing.assert_close(projector(frame), chosen.T @ chosen, rtol=0, atol=tolerance)


def test_unequal_eigenvalues_do_not_blur_the_small_ones():
    frame = spanned(draw(4, 5000))
    rows = (torch.tensor([1e6, 1e3, 10.0, 1.0], dtype=torch.float64)[:, None] * frame.rows_KP).float()
    mixed = spanned(draw(4, 4, seed=2)).rows_KP.float() @ rows
    trailing = TrailingWindow(4)
    for row in mixed:
        trailing.append(row)
    exact = window_directions(mixed.double()).vectors_KP[2:]
    found = trailing.leading(skip=2)
    torch.testing.assert_close(projector(found), exact.T @ exact, rtol=0, atol=1e-6)


def test_what_rounding_alone_can_give_is_no_direction():
    trailing = TrailingWindow(3)
    for place, size in enumerate((1.0, 1.0, 1e-5)):
        trailing.append(size * draw(20, seed=place), noise=1e-9)
    assert trailing.leading().rank == 2
    still = TrailingWindow(2)
    for _ in range(2):
        still.append(torch.zeros(4))
    assert still.full
    assert still.leading().rank == 0
    assert TrailingWindow(2).leading().rank == 0


def test_a_vector_that_is_not_finite_empties_the_window():
    trailing = TrailingWindow(2)
    for value in (1.0, 2.0, torch.nan, 3.0):
        trailing.append(torch.tensor([value, 1.0]))
    assert not trailing.full
    trailing.append(torch.tensor([0.0, 1.0]))
    assert trailing.full
    assert trailing.leading().everything


def test_a_state_goes_on_bit_for_bit():
    one, other = TrailingWindow(4), TrailingWindow(4)
    updates = draw(11, 30, dtype=torch.float32)
    for update in updates[:6]:
        one.append(update, noise=1e-12)
    tensors, count = one.state()
    other.restore({name: part.clone() for name, part in tensors.items()}, count)
    for update in updates[6:]:
        one.append(update)
        other.append(update)
        assert torch.equal(one.leading(count=2).rows_KP, other.leading(count=2).rows_KP)
    with pytest.raises(InputError, match="window must be at least 1, got 0"):
        TrailingWindow(0)
