"""Perceptrons by hand, against their module under autograd and forward-mode differentiation."""

import pytest
import torch
from torch import Tensor

from spectraledge.models import LossName, answer_losses, architecture_of, model_config
from spectraledge.models.pair_mlp import MLPArchitecture
from spectraledge.modes import jvp_responses
from spectraledge.training.engine import compiled_if

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
SHAPES: dict[str, dict[str, object]] = {
    "one_hot relu": {"hidden": 9},
    "one_hot square, no bias": {"hidden": 9, "activation": "square", "bias": False},
    "one_hot relu, a single neuron": {"hidden": 1},
    "one_hot gelu, three layers": {"hidden": 9, "depth": 3, "activation": "gelu"},
    "embedded relu": {"inputs": "embedded", "width": 4, "hidden": 9},
    "embedded gelu, two layers": {"inputs": "embedded", "width": 4, "hidden": 9, "depth": 2, "activation": "gelu"},
}
every_shape = pytest.mark.parametrize("shape", SHAPES)


def made(shape: str, answers: int = 1) -> MLPArchitecture:
    found = architecture_of(model_config("mlp", tokens=7, answers=answers, **SHAPES[shape]))
    assert isinstance(found, MLPArchitecture)
    return found


def drawn(architecture: MLPArchitecture, dtype: torch.dtype, stacks: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        name: torch.randn(stacks, *shape, generator=generator, dtype=torch.float64).to(dtype)
        for name, shape in architecture.shapes.items()
    }


def examples(stacks: int, answers: int, count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    pairs = torch.randint(7, (stacks, count, 2), generator=generator)
    return pairs, torch.randint(7, (stacks, count, answers), generator=generator)


def by_autograd(
    architecture: MLPArchitecture, weights: dict[str, Tensor], pairs: Tensor, labels: Tensor, loss: LossName
) -> tuple[Tensor, dict[str, Tensor]]:
    def mean_loss(one: dict[str, Tensor]) -> Tensor:
        logits = torch.func.functional_call(architecture.module(), one, (pairs,))
        return answer_losses(logits.view(*labels.shape, 7), labels, loss).sum(-1).mean()

    gradient, value = torch.func.grad_and_value(mean_loss)(weights)
    return value, gradient


@every_shape
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize("stacks", [1, 3])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_losses_and_gradients_are_autograds(
    shape: str, loss: LossName, stacks: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spectraledge.models.mlp_passes._BATCH", 10)
    architecture = made(shape, answers=2)
    weights = drawn(architecture, dtype, stacks)
    pairs, labels = examples(stacks, 2, 23)
    with torch.no_grad():
        losses, gradients = architecture.loss_and_gradient(weights, architecture.encode(pairs), labels, loss)
    for s in range(stacks):
        one = {name: value[s] for name, value in weights.items()}
        expected_loss, expected = by_autograd(architecture, one, pairs[s], labels[s], loss)
        torch.testing.assert_close(losses[s], expected_loss, rtol=TOLERANCE[dtype], atol=0)
        assert list(gradients) == list(expected)
        for name, value in expected.items():
            scale = float(value.abs().max())
            torch.testing.assert_close(gradients[name][s], value, rtol=0, atol=TOLERANCE[dtype] * scale, msg=name)


def test_a_compiled_step_is_the_eager_one() -> None:
    architecture = made("embedded gelu, two layers")
    weights = drawn(architecture, torch.float64, 2)
    pairs, labels = examples(2, 1, 600)
    inputs = architecture.encode(pairs)
    compiled = compiled_if(architecture.loss_and_gradient, "compiled", "cpu")
    with torch.no_grad():
        losses, gradients = architecture.loss_and_gradient(weights, inputs, labels)
        same, others = compiled(weights, inputs, labels)
    torch.testing.assert_close(same, losses, rtol=1e-12, atol=0)
    torch.testing.assert_close(others, gradients, rtol=1e-10, atol=1e-12)


@every_shape
@pytest.mark.parametrize("part", ["embedding", "layers.0", "layers.1", "bias", "head", ""])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_responses_are_those_of_forward_mode(
    shape: str, part: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spectraledge.models.mlp_passes._BATCH", 10)
    whole = made(shape, answers=2)
    one = {name: value[0] for name, value in drawn(whole, dtype, 1).items()}
    chosen = [name for name in one if part in name]
    if not chosen:
        return
    pairs = examples(1, 1, 23)[0][0]
    generator = torch.Generator().manual_seed(5)
    directions = {n: torch.randn(3, *one[n].shape, generator=generator, dtype=dtype) for n in chosen}
    # One direction leaves a parameter where it is.
    directions[chosen[0]][1] = 0
    for architecture in (whole, whole.part(one, 1)[0]):
        for readout in architecture.readouts:
            found = architecture.whole_tangents(one, directions, pairs, readout)
            expected = jvp_responses(architecture.read(readout), one, directions, pairs)
            scale = float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype] * max(scale, 1.0))
    torch.testing.assert_close(
        whole.residual_tangents(one, directions, pairs), whole.whole_tangents(one, directions, pairs, "residual")
    )


def test_what_nothing_moves_does_not_respond() -> None:
    architecture = made("embedded relu")
    one = {name: value[0] for name, value in drawn(architecture, torch.float64, 1).items()}
    directions = {"head.bias": torch.zeros(2, 7, dtype=torch.float64)}
    directions["head.bias"][0, 3] = 1
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    residual, logits = (architecture.whole_tangents(one, directions, pairs, name) for name in ("residual", "logits"))
    assert not residual.any()
    assert not logits[1].any()
    # One logit of seven, without the mean over classes.
    torch.testing.assert_close(logits[0].sum(0)[3], torch.tensor(49.0 * 6 / 7, dtype=torch.float64))
