"""Losses of answers and their slopes, against their definitions and autograd."""

import pytest
import torch
from torch.nn import functional as F

from spectraledge.models import answer_losses, losses_and_slopes
from spectraledge.models.losses import LOSS_UNITS

every_loss = pytest.mark.parametrize("loss", LOSS_UNITS)
shapes = pytest.mark.parametrize("shape", [(7,), (7, 2), (3, 7, 2)], ids=str)


def drawn(shape, classes=5):
    generator = torch.Generator().manual_seed(len(shape))
    logits = 3 * torch.randn(*shape, classes, dtype=torch.float64, generator=generator)
    return logits, torch.randint(classes, shape, generator=generator)


@shapes
def test_losses_are_their_definitions(shape):
    logits, labels = drawn(shape)
    right = F.one_hot(labels, 5).double()
    entropies = -(right * logits.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(answer_losses(logits, labels, "cross-entropy"), entropies)
    centred = (logits - logits.mean(-1, keepdim=True)) - (right - 1 / 5)
    torch.testing.assert_close(answer_losses(logits, labels, "mse"), centred.square().sum(-1))


@every_loss
@shapes
def test_slopes_are_autograds(loss, shape):
    logits, labels = drawn(shape)
    losses, slopes = losses_and_slopes(logits, labels, loss)
    logits.requires_grad_()
    expected = answer_losses(logits, labels, loss)
    torch.testing.assert_close(losses, expected.detach())
    torch.testing.assert_close(slopes, torch.autograd.grad(expected.sum(), logits)[0])


@every_loss
def test_a_constant_added_to_all_logits_changes_nothing(loss):
    logits, labels = drawn((7, 2))
    torch.testing.assert_close(answer_losses(logits + 9.0, labels, loss), answer_losses(logits, labels, loss))


def test_the_right_answer_itself_has_no_squared_error():
    labels = torch.arange(5)
    assert float(answer_losses(F.one_hot(labels, 5).float(), labels, "mse").max()) < 1e-12
