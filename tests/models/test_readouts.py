"""Read-outs after the residual stream, against `torch.func.jvp` through PyTorch's own layers."""

import pytest
import torch
from torch import nn

from spectraledge.models import Transformer, TransformerConfig
from spectraledge.models.readouts import centred_logit_response, normed_response
from spectraledge.modes import jvp_responses, module_readout


def layers(width, classes, eps=1e-5, seed=0):
    torch.manual_seed(seed)
    norm, head = nn.LayerNorm(width, eps=eps).double(), nn.Linear(width, classes).double()
    for parameter in (*norm.parameters(), *head.parameters()):
        nn.init.normal_(parameter)
    return norm.requires_grad_(False), head.requires_grad_(False)


def centred(logits):
    return logits - logits.mean(-1, keepdim=True)


@pytest.mark.parametrize(("width", "classes", "eps"), [(2, 2, 1e-5), (8, 5, 1e-5), (16, 97, 0.1)])
def test_both_are_the_derivative_through_the_layers(width, classes, eps):
    norm, head = layers(width, classes, eps)
    residual_ND = 3 * torch.randn(11, width, dtype=torch.float64) + 1
    response_KND = torch.randn(3, 11, width, dtype=torch.float64)
    normed_KND = normed_response(residual_ND, response_KND, norm.weight, eps=eps)
    logits_KNC = centred_logit_response(normed_KND, head.weight)
    for k in range(3):
        expected = torch.func.jvp(norm, (residual_ND,), (response_KND[k],))[1]
        torch.testing.assert_close(normed_KND[k], expected, rtol=1e-10, atol=1e-12)
        expected = torch.func.jvp(lambda x: centred(head(norm(x))), (residual_ND,), (response_KND[k],))[1]
        torch.testing.assert_close(logits_KNC[k], expected, rtol=1e-10, atol=1e-12)


def test_the_network_gives_the_same_responses():
    torch.manual_seed(0)
    network = Transformer(TransformerConfig(tokens=7, width=8, heads=2, hidden=16)).double()
    parameters = {name: value.detach() for name, value in network.named_parameters()}
    names = [name for name in parameters if ".attention." in name and name.endswith(".weight")]
    directions = {name: torch.randn(2, *parameters[name].shape, dtype=torch.float64) for name in names}
    inputs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    response_KND, expected_KNC = (
        jvp_responses(module_readout(network, select), parameters, directions, inputs)
        for select in (lambda output: output.residual_ND, lambda output: centred(output.logits_NC))
    )
    with torch.no_grad():
        residual_ND = network(inputs).residual_ND
    normed_KND = normed_response(residual_ND, response_KND, parameters["norm.weight"])
    torch.testing.assert_close(
        centred_logit_response(normed_KND, parameters["head.weight"]), expected_KNC, rtol=1e-9, atol=1e-11
    )


def test_what_the_layer_norm_removes_has_no_response():
    norm, _ = layers(6, 4)
    residual_ND = torch.randn(5, 6, dtype=torch.float64)
    shift = torch.ones(1, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(normed_response(residual_ND, shift, norm.weight), torch.zeros_like(shift))
    stretch = (residual_ND - residual_ND.mean(-1, keepdim=True))[None]
    torch.testing.assert_close(normed_response(residual_ND, stretch, norm.weight, eps=0.0), torch.zeros_like(shift))


def test_logit_responses_sum_to_zero_and_single_precision_is_kept():
    torch.manual_seed(0)
    residual_ND, response_KND = torch.randn(5, 6), torch.randn(2, 5, 6)
    normed_KND = normed_response(residual_ND, response_KND, torch.randn(6))
    logits_KNC = centred_logit_response(normed_KND, torch.randn(4, 6))
    assert normed_KND.dtype == logits_KNC.dtype == torch.float32
    torch.testing.assert_close(logits_KNC.sum(-1), torch.zeros(2, 5), rtol=0, atol=1e-5)


def test_single_precision_is_that_of_double():
    torch.manual_seed(0)
    residual_ND, response_KND, weight_D = torch.randn(7, 6) + 2, torch.randn(2, 7, 6), torch.randn(6)
    exact_KND = normed_response(residual_ND.double(), response_KND.double(), weight_D.double())
    torch.testing.assert_close(normed_response(residual_ND, response_KND, weight_D), exact_KND.float())
