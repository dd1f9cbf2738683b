"""Responses, exact and by differences, against derivatives written out."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.models import Transformer, TransformerConfig
from spectraledge.modes import (
    difference_responses,
    double_backward_responses,
    dual_responses,
    jvp_responses,
    module_readout,
)

INPUTS = torch.cartesian_prod(torch.arange(7), torch.arange(7))
WATCHED = ("layers.0.attention.qkv.weight", "layers.1.attention.output.weight")
DTYPES = {torch.float64: 1e-10, torch.float32: 2e-5}

read_outs = pytest.mark.parametrize(
    "select", [lambda out: out.residual_ND, lambda out: out.logits_NC], ids=["residual", "logits"]
)


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Transformer(TransformerConfig(tokens=7, width=12, heads=3, hidden=10)).double()
    return model.requires_grad_(requires_grad=False)


def parameters_of(model):
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def random_directions(model, count, names=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn((count, *parameter.shape), dtype=torch.float64, generator=generator).to(parameter.dtype)
        for name, parameter in model.named_parameters()
        if names is None or name in names
    }


def moved(model, directions, k, size):
    """Read out a copy of the network whose weights have been moved."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            if name in directions:
                parameter.add_(size * directions[name][k])
        return other(INPUTS)


exact_ones = pytest.mark.parametrize("respond", [jvp_responses, dual_responses, double_backward_responses])


@exact_ones
@read_outs
@pytest.mark.parametrize("names", [None, WATCHED], ids=["all", "watched"])
def test_exact_responses_are_central_differences(network, names, select, respond):
    directions = random_directions(network, 3, names)
    found = respond(module_readout(network, select), parameters_of(network), directions, INPUTS)
    size = 1e-5
    for k in range(3):
        forth, back = (select(moved(network, directions, k, sign * size)) for sign in (1, -1))
        torch.testing.assert_close(found[k], (forth - back) / (2 * size), rtol=1e-6, atol=1e-6)


@read_outs
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_exact_responses_are_those_of_one_direction_at_a_time(network, dtype, select):
    model = copy.deepcopy(network).to(dtype)
    readout, parameters, directions = module_readout(model, select), parameters_of(model), random_directions(model, 4)
    found = jvp_responses(readout, parameters, directions, INPUTS)
    assert (found.dtype, found.requires_grad) == (dtype, False)
    for k in range(4):
        tangent = {name: value[k].double() for name, value in directions.items()}
        exact = copy.deepcopy(network)
        alone = torch.func.jvp(
            lambda moving, exact=exact: module_readout(exact, select)(moving, INPUTS),
            ({name: value.double() for name, value in parameters.items()},),
            (tangent,),
        )[1]
        torch.testing.assert_close(found[k].double(), alone, rtol=DTYPES[dtype], atol=DTYPES[dtype])


@pytest.fixture(scope="module")
def two_responses(network):
    """Directions by name, and the responses along them, twice."""
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    directions = [random_directions(network, 2, WATCHED, seed) for seed in (1, 2)]
    return [(part, jvp_responses(readout, parameters, part, INPUTS)) for part in directions]


@given(first=st.floats(-3, 3), second=st.floats(-3, 3))
def test_exact_responses_are_linear_in_the_direction(network, two_responses, first, second):
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    (left, one), (right, other) = two_responses
    both = {name: first * left[name] + second * right[name] for name in WATCHED}
    sum_of_both = jvp_responses(readout, parameters, both, INPUTS)
    torch.testing.assert_close(sum_of_both, first * one + second * other, rtol=1e-10, atol=1e-10)


def test_a_parameter_left_out_is_one_that_does_not_move(network):
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    directions = random_directions(network, 2)
    still = {name: value if name in WATCHED else torch.zeros_like(value) for name, value in directions.items()}
    watched = {name: directions[name] for name in WATCHED}
    torch.testing.assert_close(
        jvp_responses(readout, parameters, watched, INPUTS),
        jvp_responses(readout, parameters, still, INPUTS),
        rtol=1e-12,
        atol=1e-12,
    )


@exact_ones
@pytest.mark.parametrize("entries", [5, 30, 49 * 3, 10**6])
def test_the_size_of_a_pass_changes_nothing(network, entries, respond):
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    directions = random_directions(network, 3, WATCHED)
    expected = jvp_responses(readout, parameters, directions, INPUTS)
    found = respond(readout, parameters, directions, INPUTS, entries=entries)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_responses_have_an_axis_of_directions_inputs_and_outputs(network, count):
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    directions = random_directions(network, count, WATCHED)
    assert jvp_responses(readout, parameters, directions, INPUTS).shape == (count, 49, 12)
    assert difference_responses(readout, parameters, directions, INPUTS, size=1e-3).shape == (count, 49, 12)


@read_outs
@pytest.mark.parametrize("names", [None, WATCHED], ids=["all", "watched"])
@pytest.mark.parametrize("size", [0.3, 1e-3])
def test_differences_are_those_of_a_copy_that_was_moved(network, names, size, select):
    directions = random_directions(network, 3, names)
    parameters = parameters_of(network)
    found = difference_responses(module_readout(network, select), parameters, directions, INPUTS, size=size)
    still = select(network(INPUTS))
    for k in range(3):
        expected = select(moved(network, directions, k, size)) - still
        torch.testing.assert_close(found[k], expected, rtol=1e-10, atol=1e-12)


def test_differences_over_many_inputs_are_those_of_each(network):
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    directions = random_directions(network, 2, WATCHED)
    many = INPUTS.repeat(25, 1)
    found = difference_responses(readout, parameters, directions, many, size=0.1)
    expected = difference_responses(readout, parameters, directions, INPUTS, size=0.1).repeat(1, 25, 1)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_small_differences_become_the_exact_response(network):
    readout, parameters = module_readout(network, lambda out: out.residual_ND), parameters_of(network)
    directions = random_directions(network, 2, WATCHED)
    exact = jvp_responses(readout, parameters, directions, INPUTS)
    errors = [
        float((difference_responses(readout, parameters, directions, INPUTS, size=size) / size - exact).abs().max())
        for size in (1e-3, 1e-4)
    ]
    np.testing.assert_allclose(errors[0] / errors[1], 10, rtol=0.05)


def test_a_part_that_is_registered_twice_moves_twice_and_is_put_back():
    torch.manual_seed(0)
    part = torch.nn.Linear(3, 3).double()
    module, inputs = torch.nn.Sequential(part, torch.nn.Tanh(), part), torch.eye(3, dtype=torch.float64)
    weight, along = part.weight, torch.randn(2, 3, 3, dtype=torch.float64)
    readout = module_readout(module, lambda output: output)
    found = jvp_responses(readout, {"0.weight": weight.detach()}, {"0.weight": along}, inputs)
    assert part.weight is weight
    size = 1e-5
    for k in range(2):
        forth, back = (readout({"0.weight": weight.detach() + s * along[k]}, inputs) for s in (size, -size))
        torch.testing.assert_close(found[k], ((forth - back) / (2 * size)).detach(), rtol=1e-6, atol=1e-8)


def test_responses_leave_the_network_alone(network):
    before = {name: value.clone() for name, value in parameters_of(network).items()}
    readout, directions = module_readout(network, lambda out: out.residual_ND), random_directions(network, 2)
    jvp_responses(readout, parameters_of(network), directions, INPUTS)
    difference_responses(readout, parameters_of(network), directions, INPUTS, size=1.0)
    torch.testing.assert_close(parameters_of(network), before, rtol=0, atol=0)


def test_a_read_out_uses_the_parameters_it_is_given(network):
    readout = module_readout(network, lambda out: out.logits_NC)
    shifted = {"head.bias": network.head.bias + 1.0}
    torch.testing.assert_close(readout(shifted, INPUTS), network(INPUTS).logits_NC + 1.0)
    torch.testing.assert_close(readout({}, INPUTS), network(INPUTS).logits_NC)


@pytest.mark.parametrize(
    "respond",
    [
        jvp_responses,
        dual_responses,
        double_backward_responses,
        lambda *arguments: difference_responses(*arguments, size=0.1),
    ],
    ids=["exact", "one by one", "double backward", "difference"],
)
@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"nothing": (2, 3)}, "direction along 'nothing', which the network does not have: it has position_embedding"),
        ({"head.bias": (2, 3)}, r"direction along 'head.bias' has shape \(3,\), the parameter has \(7,\)"),
        ({"head.bias": (7,)}, r"direction along 'head.bias' has shape \(\), the parameter has \(7,\)"),
        ({"head.bias": (2, 7), "norm.bias": (3, 12)}, "must hold the same number, at least one"),
        ({"head.bias": (0, 7)}, "must hold the same number, at least one"),
        ({}, "must hold the same number, at least one"),
    ],
)
def test_directions_that_do_not_fit_are_refused(network, respond, shapes, message):
    directions = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
    readout = module_readout(network, lambda out: out.residual_ND)
    with pytest.raises(InputError, match=message):
        respond(readout, parameters_of(network), directions, INPUTS)
