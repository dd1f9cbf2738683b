"""Read-outs of a recorded network and their responses, against finite differences of the network itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from spectraledge.devices import host
from spectraledge.errors import DeviceError
from spectraledge.models import READOUTS, Parameters, Transformer
from spectraledge.models.pair_transformer import PairTransformer
from spectraledge.models.transformer import HeadOutputs
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun

TINY = 1e-6


@pytest.fixture(scope="module")
def network(run: Path) -> Network:
    return Network.at(RecordedRun.open(run), 200)


def direction(network: Network, seed: int = 0) -> torch.Tensor:
    vector = torch.randn(1, network.layout.size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def read(network: Network, readout: str, move: torch.Tensor) -> np.ndarray:
    model = (HeadOutputs if readout == "head" else Transformer)(network.architecture.config).double()
    moved = {name: network.parameters[name] + value for name, value in network.layout.split(move[0]).items()}
    model.load_state_dict({**network.parameters, **moved})
    with torch.no_grad():
        out = model(network.inputs_N2)
        if readout == "head":
            return out.numpy()
        if readout == "residual":
            return out.residual_ND.numpy()
        if readout == "normed":
            return model.norm(out.residual_ND).numpy()
        return (out.logits_NC - out.logits_NC.mean(1, keepdim=True)).numpy()


def differentiated(network: Network, readout: str, vector: torch.Tensor) -> np.ndarray:
    return (read(network, readout, TINY * vector) - read(network, readout, -TINY * vector)) / (2 * TINY)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("patterns", [None, ["*weight"]])
def test_responses_are_derivatives(run: Path, readout: str, patterns: list[str] | None) -> None:
    network = Network.at(RecordedRun.open(run, patterns), 200)
    vector = direction(network)
    expected = differentiated(network, readout, vector)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(host(network.responses(vector, readout))[0], expected, atol=1e-6 * scale)
    from_residual = host(network.later(network.responses(vector)[0], vector, readout))
    np.testing.assert_allclose(from_residual, expected, atol=1e-6 * scale)


@pytest.mark.parametrize("readout", READOUTS)
def test_the_read_out_is_that_of_the_module(network: Network, readout: str) -> None:
    expected = read(network, readout, torch.zeros(1, network.layout.size, dtype=torch.float64))
    np.testing.assert_allclose(host(network.readout(readout)), expected, atol=1e-12)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("patterns", [None, ["*"]])
def test_pulling_back_is_the_transpose_of_responding(run: Path, readout: str, patterns: list[str] | None) -> None:
    network = Network.at(RecordedRun.open(run, patterns), 200)
    vector = direction(network)
    response_ND = host(network.responses(vector, readout))[0]
    cotangent_ND = np.random.default_rng(2).standard_normal(response_ND.shape)
    pulled_P = network.pulled_back(cotangent_ND, readout)
    np.testing.assert_allclose(float(pulled_P @ vector[0]), np.vdot(cotangent_ND, response_ND), rtol=1e-9)


def test_half_way_between_two_networks(run: Path) -> None:
    first, last = (Network.at(RecordedRun.open(run), step) for step in (100, 200))
    middle = first.between(last)
    for name, value in middle.parameters.items():
        torch.testing.assert_close(2 * value, first.parameters[name] + last.parameters[name])
    assert first.whole.layout.size == sum(value.numel() for value in first.parameters.values())


def test_head_responses_are_derivatives(network: Network) -> None:
    vector = direction(network, 1)
    expected = differentiated(network, "head", vector)
    found = host(network.head_responses(vector))[:, :, 0]
    assert found.shape == (2, 2, 36, 12)
    for layer in range(2):
        for head in range(2):
            place = slice(12 * (2 * layer + head), 12 * (2 * layer + head + 1))
            np.testing.assert_allclose(found[layer, head], expected[:, place], atol=1e-6 * np.abs(expected).max())


def test_heads_sum_to_what_attention_adds(network: Network) -> None:
    model = Transformer(network.architecture.config).double()
    model.load_state_dict(network.parameters)
    seen = {}

    def keep(layer):
        finish = layer.finish

        def watched(stream, mixed):
            seen.setdefault("added", []).append(
                (mixed @ layer.attention.output.weight.T + layer.attention.output.bias)[:, 0]
            )
            return finish(stream, mixed)

        return watched

    for layer in model.layers:
        layer.finish = keep(layer)
    with torch.no_grad():
        model(network.inputs_N2)
    heads = torch.from_numpy(read(network, "head", torch.zeros(1, network.layout.size))).view(36, 2, 2, 12)
    for layer, added in enumerate(seen["added"]):
        bias = network.parameters[f"layers.{layer}.attention.output.bias"]
        torch.testing.assert_close(heads[:, layer].sum(1) + bias, added)


def test_what_a_network_computes(network: Network) -> None:
    model = Transformer(network.architecture.config).double()
    model.load_state_dict(network.parameters)
    last, neurons = model.layers[-1], []

    def watched(stream, mixed):
        stream = stream + last.attention.output(mixed)
        neurons.append(torch.nn.functional.gelu(last.up(last.norm2(stream)))[:, 0])
        return stream + last.down(torch.nn.functional.gelu(last.up(last.norm2(stream))))

    last.finish = watched
    with torch.no_grad():
        out = model(network.inputs_N2)
    torch.testing.assert_close(network.still["residual"], out.residual_ND)
    torch.testing.assert_close(network.still["logits"], out.logits_NC)
    torch.testing.assert_close(network.still["neurons"], neurons[0])


def test_single_precision_is_close(run: Path, network: Network) -> None:
    single = Network.at(RecordedRun.open(run), 200, dtype=torch.float32)
    vector = direction(network)
    exact, rounded = host(network.responses(vector)), host(single.responses(vector))
    assert rounded.dtype == np.float32
    np.testing.assert_allclose(rounded, exact, atol=1e-5 * np.abs(exact).max())


class OtherHeads(PairTransformer):
    """What attention heads add responds otherwise than it should, and nothing else does."""

    def head_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: torch.Tensor) -> torch.Tensor:
        return super().head_tangents(parameters, directions, pairs_N2) * (1 + 1e-6)


class OtherResiduals(PairTransformer):
    """So does the residual."""

    def residual_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: torch.Tensor) -> torch.Tensor:
        return super().residual_tangents(parameters, directions, pairs_N2) * (1 + 1e-6)


def test_a_device_that_computes_something_else_is_refused(network: Network) -> None:
    network.check_against(network)
    name = next(iter(network.layout.shapes))
    moved = {**network.parameters, name: network.parameters[name] * (1 + 1e-5)}
    with pytest.raises(DeviceError, match=r"the gradient of this network: cpu and cpu differ by .*take cpu"):
        replace(network, parameters=moved).check_against(network)
    lost = {**network.parameters, name: network.parameters[name] * torch.nan}
    with pytest.raises(DeviceError, match="differ by nan"):
        replace(network, parameters=lost).check_against(network)
    for other, what in ((OtherHeads, "heads"), (OtherResiduals, "the residual")):
        with pytest.raises(DeviceError, match=f"responses of {what} of this network"):
            replace(network, architecture=other(network.architecture.config)).check_against(network)
