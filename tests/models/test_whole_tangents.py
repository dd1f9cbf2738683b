"""Responses along any parameters by hand, against forward-mode differentiation of the network."""

import pytest
import torch
from test_tangents import CONFIGS, network

from spectraledge.models import READOUTS, TransformerConfig
from spectraledge.models.pair_transformer import PairTransformer
from spectraledge.models.whole_tangents import whole_tangents
from spectraledge.modes import jvp_responses

PARTS = ["embedding", "norm", "attention", "qkv.bias", "up", "down", "bias", "head", "layers.0", ""]


def pairs(config: TransformerConfig) -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(config.tokens), torch.arange(config.tokens))


@pytest.mark.parametrize("config", CONFIGS, ids=["one layer", "two layers", "three layers"])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-4)])
def test_equal_to_jvp(config: TransformerConfig, part: str, dtype: torch.dtype, tolerance: float) -> None:
    _, parameters = network(config, dtype)
    generator = torch.Generator().manual_seed(1)
    chosen = [name for name in parameters if part in name]
    directions = {n: torch.randn(2, *parameters[n].shape, generator=generator, dtype=dtype) for n in chosen}
    # One direction leaves a parameter where it is.
    directions[chosen[0]][1] = 0
    for readout in READOUTS:
        found = whole_tangents(config, parameters, directions, pairs(config), readout)
        read = PairTransformer(config).read(readout)
        expected = jvp_responses(read, parameters, directions, pairs(config))
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_what_nothing_moves_does_not_respond() -> None:
    _, parameters = network(CONFIGS[1], torch.float64)
    directions = {"head.bias": torch.zeros(2, *parameters["head.bias"].shape, dtype=torch.float64)}
    directions["head.bias"][0, 3] = 1
    residual, logits = (
        whole_tangents(CONFIGS[1], parameters, directions, pairs(CONFIGS[1]), name) for name in ("residual", "logits")
    )
    assert not residual.any()
    assert not logits[1].any()
    # One logit of eleven, without the mean over classes.
    torch.testing.assert_close(logits[0].sum(0)[3], torch.tensor(121.0 * 10 / 11, dtype=torch.float64))


def test_batches_and_order_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIGS[1]
    _, parameters = network(config, torch.float64)
    directions = {n: torch.randn(2, *value.shape, dtype=torch.float64) for n, value in parameters.items()}
    whole = {name: whole_tangents(config, parameters, directions, pairs(config), name) for name in READOUTS}
    order = torch.randperm(121)
    monkeypatch.setattr("spectraledge.models.whole_tangents._BATCH", 7)
    for name, values in whole.items():
        found = whole_tangents(config, parameters, directions, pairs(config)[order], name)
        torch.testing.assert_close(found, values[:, order], rtol=1e-12, atol=1e-12)
