"""Products, leading directions and commutators against whole matrices of tiny networks, plain steps and quadratics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from spectraledge import RunConfig, named_task
from spectraledge.errors import InputError
from spectraledge.models import Parameters, answer_losses, architecture_of
from spectraledge.observed.loss_curvature import MATRICES, STEP_SIZE, LossCurvature, commutator
from spectraledge.observed.network import Network
from spectraledge.trajectory import Layout

TASK = named_task("add", modulus=3)
KEPT_N = np.arange(9) % 4 != 1


def network_of(loss: str, model: dict[str, object], *, watched: str, answers: int = 1) -> Network:
    config = RunConfig.for_task(TASK, model, loss=loss)
    architecture = architecture_of(config.model.model_copy(update={"answers": answers}))
    parameters = {name: 2 * value.double() for name, value in architecture.draw(1, published=False).items()}
    layout = Layout({name: tuple(value.shape) for name, value in parameters.items() if watched in name})
    assert layout.shapes
    pairs, labels = torch.from_numpy(TASK.pairs_N2), torch.from_numpy(TASK.labels_N)
    if answers > 1:
        labels = torch.stack([labels, (2 * labels + pairs[:, 0]) % 3], 1)
    return Network(architecture, parameters, layout, pairs, labels, config.loss)


def logits_of(module: torch.nn.Module, parameters: Parameters, inputs_N2: torch.Tensor) -> torch.Tensor:
    """Logits of all answers by the plain module, (N, answers, classes)."""
    with sdpa_kernel(SDPBackend.MATH):
        seen = torch.func.functional_call(module, parameters, (inputs_N2,))
    return getattr(seen, "logits_NC", seen).unflatten(-1, (-1, 3))


def loss_of(network: Network, logits_NOC: torch.Tensor, places: np.ndarray | torch.Tensor) -> torch.Tensor:
    labels_NO = network.labels_N.reshape(len(network.labels_N), -1)
    return answer_losses(logits_NOC, labels_NO[places], network.loss).sum(1).mean()


MLP = {"kind": "mlp", "inputs": "embedded", "width": 3, "hidden": 4, "activation": "square"}
TRANSFORMER = {"width": 4, "heads": 2, "hidden": 3, "depth": 1}
CASES = [
    ("cross-entropy", MLP, "", 1),
    ("mse", MLP, "", 1),
    ("cross-entropy", TRANSFORMER, "attention", 1),
    ("cross-entropy", TRANSFORMER, "attention", 2),
    ("mse", MLP, "", 2),
]


@pytest.fixture(params=CASES, ids=["mlp", "mlp-mse", "transformer", "transformer-joint", "mlp-joint"])
def network(request: pytest.FixtureRequest) -> Network:
    loss, model, watched, answers = request.param
    return network_of(loss, model, watched=watched, answers=answers)


def whole_matrices(network: Network) -> dict[str, np.ndarray]:
    """Both matrices, entry by entry, by the definitions."""
    kept, module = torch.from_numpy(KEPT_N), network.architecture.module()

    def logits(weights_P: torch.Tensor) -> torch.Tensor:
        moved = {**network.parameters, **network.layout.split(weights_P)}
        return logits_of(module, moved, network.inputs_N2[kept])

    def loss(logits_NOC: torch.Tensor) -> torch.Tensor:
        return loss_of(network, logits_NOC, kept)

    weights_P = network.weights_P
    jacobian = torch.func.jacrev(logits)(weights_P).flatten(0, 2)
    bend = torch.func.hessian(loss)(logits(weights_P)).flatten(3, 5).flatten(0, 2)
    return {
        "hessian": torch.func.hessian(lambda one: loss(logits(one)))(weights_P).numpy(),
        "gauss-newton": (jacobian.T @ bend @ jacobian).numpy(),
    }


def test_products_and_leading_directions_are_those_of_the_whole_matrix(network: Network) -> None:
    curved = LossCurvature(network, KEPT_N)
    for name, matrix_PP in whole_matrices(network).items():
        vectors_KP = torch.randn(
            4, network.layout.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        for vector_P in vectors_KP:
            found_P = curved.product(name, vector_P)
            np.testing.assert_allclose(found_P, matrix_PP @ vector_P.numpy(), rtol=1e-9, atol=1e-11)
        values_P, vectors_PP = np.linalg.eigh(matrix_PP)
        leading = curved.leading(name, 2, np.random.default_rng(1))
        np.testing.assert_allclose(leading.values_K, values_P[::-1][:2], rtol=1e-5)
        assert leading.residuals_K.max() < 1e-3
        if values_P[-1] - values_P[-2] > 1e-2 * values_P[-1]:
            assert abs(leading.vectors_KP[0] @ vectors_PP[:, -1]) == pytest.approx(1.0, abs=1e-4)


def test_gauss_newton_is_not_negative_and_the_hessian_may_be(network: Network) -> None:
    found = {name: np.linalg.eigvalsh(matrix)[0] for name, matrix in whole_matrices(network).items()}
    assert set(found) == set(MATRICES)
    assert found["gauss-newton"] > -1e-9
    assert found["hessian"] < -1e-6


@pytest.mark.parametrize("count", [0, 7])
def test_as_many_directions_as_parameters_are_refused(count: int) -> None:
    network = network_of("mse", MLP, watched="head.bias")
    layout = Layout({"head.bias": (3,)})
    curved = LossCurvature(replace(network, layout=layout), KEPT_N)
    with pytest.raises(InputError, match=r"must be in \[1, 2\] for 3 watched parameters, got"):
        curved.leading("hessian", count, np.random.default_rng(0))


@pytest.mark.parametrize("name", MATRICES)
def test_a_loss_that_does_not_bend_is_refused(name: str) -> None:
    """Neurons that no pair reaches: nothing that their weights do changes the loss."""
    network = network_of("mse", {"kind": "mlp", "hidden": 4}, watched="layers")
    dead = {key: value - 100 * ("layers" in key) for key, value in network.parameters.items()}
    curved = LossCurvature(replace(network, parameters=dead), KEPT_N)
    with pytest.raises(InputError, match="are 0 here: the watched weights do not bend the loss of this network"):
        curved.leading(name, 2, np.random.default_rng(0))


def plain_steps(network: Network, *batches: np.ndarray) -> torch.Tensor:
    """Where stochastic gradient descent of PyTorch leads, batch by batch."""
    weights = {name: value.clone().requires_grad_() for name, value in network.parameters.items()}
    optimizer, module = torch.optim.SGD(weights.values(), lr=STEP_SIZE), network.architecture.module()
    for places in batches:
        optimizer.zero_grad()
        loss_of(network, logits_of(module, weights, network.inputs_N2[places]), places).backward()
        optimizer.step()
    return torch.cat([value.detach().flatten() for value in weights.values()])


def test_the_commutator_is_two_plain_steps_in_both_orders(network: Network) -> None:
    first_n, second_n = np.array([0, 1, 1, 5]), np.array([2, 3, 8, 8])
    found = commutator(network, first_n, second_n)
    gap_P = plain_steps(network, first_n, second_n) - plain_steps(network, second_n, first_n)
    torch.testing.assert_close(found.vector_P * STEP_SIZE**2, gap_P, rtol=1e-5, atol=1e-12)
    start_P = torch.cat([value.flatten() for value in network.parameters.values()])
    lengths = [float((plain_steps(network, places) - start_P).norm()) for places in (first_n, second_n)]
    assert found.defect == pytest.approx(float(gap_P.norm()) / (lengths[0] * lengths[1] + 1e-12), rel=1e-5)
    assert found.gradient**2 == pytest.approx(lengths[0] * lengths[1] / STEP_SIZE**2, rel=1e-6)
    assert -1 <= found.cosine <= 1


def test_a_batch_commutes_with_itself(network: Network) -> None:
    places = np.array([0, 4, 4])
    found = commutator(network, places, places)
    assert found.defect == 0
    assert found.cosine == pytest.approx(1.0)


class Quadratic:
    """Logits that are the weights themselves, for every pair: with squared error the loss is a known quadratic."""

    def read(self, readout: str):
        def logits(parameters: Parameters, pairs_N2: torch.Tensor) -> torch.Tensor:
            scale = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
            return (scale * parameters["weights"]).expand(len(pairs_N2), 3)

        return logits


def test_a_planted_quadratic_is_found() -> None:
    weights = {"weights": torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)}
    pairs, labels = torch.from_numpy(TASK.pairs_N2), torch.from_numpy(TASK.labels_N)
    curved = LossCurvature(Network(Quadratic(), weights, Layout({"weights": (3,)}), pairs, labels, "mse"), KEPT_N)
    # ‖C(Sw − onehot)‖², C without the mean over classes: 2·S·C·S, whatever the pairs and answers.
    scale = np.diag([1.0, 2.0, 4.0])
    expected, vectors = np.linalg.eigh(2 * scale @ (np.eye(3) - 1 / 3) @ scale)
    for name in MATRICES:
        leading = curved.leading(name, 2, np.random.default_rng(2))
        np.testing.assert_allclose(leading.values_K, expected[::-1][:2], rtol=1e-9)
        np.testing.assert_allclose(np.abs(leading.vectors_KP @ vectors[:, ::-1][:, :2]), np.eye(2), atol=1e-6)
