"""Responses by hand, against forward-mode differentiation of the network."""

import pytest
import torch

from spectraledge.models import Transformer, TransformerConfig
from spectraledge.models.pair_transformer import PairTransformer
from spectraledge.models.tangents import has_tangents, head_tangents, residual_tangents
from spectraledge.modes import jvp_responses, module_readout
from spectraledge.native import calls

CONFIGS = [
    TransformerConfig(tokens=7, width=12, heads=2, hidden=16, depth=1),
    TransformerConfig(tokens=11, width=8, heads=4, hidden=20, depth=2),
    TransformerConfig(tokens=5, width=12, heads=3, hidden=8, depth=3),
]


@pytest.fixture(autouse=True)
def _functions(monkeypatch, native):
    """Run every test with each set of instructions, and with PyTorch's ways."""
    monkeypatch.setattr(calls, "FUNCTIONS", {name: native(name, types) for name, types in calls.ARGUMENTS.items()})


def network(config: TransformerConfig, dtype: torch.dtype) -> tuple[Transformer, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Transformer(config).to(dtype)
    # Away from the initial values, where biases are zero and scales are one.
    moved = {
        name: value.detach() + 0.3 * torch.randn(value.shape, generator=generator, dtype=dtype)
        for name, value in model.named_parameters()
    }
    return model, moved


@pytest.mark.parametrize("config", CONFIGS, ids=["one layer", "two layers", "three layers"])
@pytest.mark.parametrize("part", ["qkv", "output", "", "layers.0", "last"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_equal_to_jvp(config: TransformerConfig, part: str, dtype: torch.dtype, tolerance: float) -> None:
    model, parameters = network(config, dtype)
    wanted = f"layers.{config.depth - 1}" if part == "last" else part
    names = [n for n in parameters if ".attention." in n and n.endswith(".weight") and wanted in n]
    assert has_tangents(config, names)
    generator = torch.Generator().manual_seed(1)
    directions = {n: torch.randn(3, *parameters[n].shape, generator=generator, dtype=dtype) for n in names}
    tokens = torch.cartesian_prod(torch.arange(config.tokens), torch.arange(config.tokens))
    by_hand = residual_tangents(config, parameters, directions, tokens)
    readout = module_readout(model, lambda output: output.residual_ND)
    torch.testing.assert_close(
        by_hand, jvp_responses(readout, parameters, directions, tokens), rtol=tolerance, atol=tolerance
    )
    by_head = head_tangents(config, parameters, directions, tokens)
    read_heads = PairTransformer(config).read_heads()
    torch.testing.assert_close(
        by_head, jvp_responses(read_heads, parameters, directions, tokens), rtol=tolerance, atol=tolerance
    )


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CONFIGS[1]
    _, parameters = network(config, torch.float64)
    names = [n for n in parameters if ".attention." in n and n.endswith(".weight")]
    directions = {n: torch.randn(2, *parameters[n].shape, dtype=torch.float64) for n in names}
    tokens = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    whole = residual_tangents(config, parameters, directions, tokens)
    monkeypatch.setattr("spectraledge.models.tangents._BATCH", 7)
    torch.testing.assert_close(residual_tangents(config, parameters, directions, tokens), whole, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_share_inputs(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    _, parameters = network(CONFIGS[1], torch.float64)
    names = [n for n in parameters if ".attention." in n and n.endswith(".weight")]
    directions = {n: torch.randn(5, *parameters[n].shape, dtype=torch.float64) for n in names}
    tokens = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    alone = residual_tangents(CONFIGS[1], parameters, directions, tokens)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    shared = residual_tangents(CONFIGS[1], parameters, directions, tokens)
    torch.testing.assert_close(shared, alone, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("chosen", [[120, 3, 3, 64, 0, 17], []], ids=["some", "none"])
def test_inputs_in_any_order_and_more_than_once(chosen: list[int]) -> None:
    config = CONFIGS[1]
    _, parameters = network(config, torch.float64)
    names = [n for n in parameters if ".attention." in n and n.endswith(".weight")]
    directions = {n: torch.randn(2, *parameters[n].shape, dtype=torch.float64) for n in names}
    tokens = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    every = residual_tangents(config, parameters, directions, tokens)
    found = residual_tangents(config, parameters, directions, tokens[chosen])
    torch.testing.assert_close(found, every[:, chosen], rtol=1e-13, atol=1e-13)


def test_other_parameters_and_lengths_go_another_way() -> None:
    assert not has_tangents(CONFIGS[0], ["layers.0.attention.qkv.weight", "head.weight"])
    assert not has_tangents(CONFIGS[0], ["layers.0.attention.qkv.bias"])
    assert not has_tangents(TransformerConfig(tokens=7, length=3), ["layers.0.attention.qkv.weight"])
