"""The autoencoder by hand against PyTorch's autograd, its laws, a planted dictionary, and the files SAELens reads."""

import pytest
import torch
from torch.nn import functional as F

from spectraledge.controls import autoencoder as module
from spectraledge.controls import train_autoencoder
from spectraledge.errors import InputError
from spectraledge.streams import torch_generator


def rows(count=70, width=6, seed=0):
    return torch.randn(count, width, dtype=torch.float64, generator=torch_generator(seed, "rows"))


def naive_features(x, encoder, bias, decoder_bias, active):
    before = (x - decoder_bias) @ encoder.T + bias
    best = before.topk(active, dim=1)
    return torch.zeros_like(before).scatter(1, best.indices, best.values.relu())


@pytest.mark.parametrize("active", [1, 3, 10])
def test_gradients_are_those_of_autograd(active):
    x = rows()
    encoder, decoder = (F.normalize(rows(10, 6, seed), dim=1).requires_grad_() for seed in (1, 2))
    bias, decoder_bias = (0.1 * rows(1, width, 3)[0] for width in (10, 6))
    parameters = [encoder, bias.requires_grad_(), decoder, decoder_bias.requires_grad_()]
    features = naive_features(x, encoder, bias, decoder_bias, active)
    F.mse_loss(features @ decoder + decoder_bias, x).backward()
    copies = [parameter.detach().clone() for parameter in parameters]
    module._set_gradients(x, *copies, active)
    for copy, parameter in zip(copies, parameters, strict=True):
        torch.testing.assert_close(copy.grad, parameter.grad, rtol=1e-9, atol=1e-12)


def test_training_equals_a_plain_loop():
    x, size = rows(70), {"features": 12, "active": 3, "batch_size": 16}
    found = train_autoencoder(x, **size, epochs=4, learning_rate=0.01, generator=torch_generator(5))
    generator = torch_generator(5)
    mean, scale = x.mean(0), (x - x.mean(0)).square().mean().sqrt()
    scaled = ((x - mean) / scale).float()
    start = F.normalize(torch.randn(12, 6, generator=generator), dim=1)
    parameters = [start.clone(), torch.zeros(12), start.clone(), torch.zeros(6)]
    adam = torch.optim.Adam([parameter.requires_grad_() for parameter in parameters], lr=0.01)
    encoder, bias, decoder, decoder_bias = parameters
    for _ in range(4):
        order = torch.randperm(70, generator=generator)
        for start_row in range(0, 70, 16):
            batch = scaled[order[start_row : start_row + 16]]
            adam.zero_grad()
            F.mse_loss(naive_features(batch, encoder, bias, decoder_bias, 3) @ decoder + decoder_bias, batch).backward()
            adam.step()
            with torch.no_grad():
                decoder /= decoder.norm(dim=1, keepdim=True)
    # In the inputs' own units: encode their scaled form, and scale what comes out.
    expected = scale * naive_features(scaled, encoder, bias, decoder_bias, 3)
    torch.testing.assert_close(found.encode(x), expected.float().detach(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.decoder_FD, decoder.detach(), rtol=1e-3, atol=1e-4)
    reconstructed = mean + scale * (naive_features(scaled, encoder, bias, decoder_bias, 3) @ decoder + decoder_bias)
    torch.testing.assert_close(found.decode(found.encode(x)), reconstructed.float().detach(), rtol=1e-3, atol=1e-4)


def test_features_are_few_and_positive_and_decoders_of_unit_length():
    found = train_autoencoder(rows(), features=20, active=4, epochs=3, generator=torch_generator(0))
    features = found.encode(rows())
    assert int((features > 0).sum(1).max()) == 4
    assert float(features.min()) == 0
    torch.testing.assert_close(found.decoder_FD.norm(dim=1), torch.ones(20))


def test_ties_for_the_last_place_are_left_out():
    values = torch.tensor([[3.0, 2.0, 2.0, 1.0], [-1.0, 4.0, -2.0, -3.0]])
    kept = module._sparse(values, 2)
    torch.testing.assert_close(kept, torch.tensor([[3.0, 0, 0, 0], [0, 4.0, 0, 0]]), rtol=0, atol=0)


def test_scaling_and_shifting_the_inputs_scales_and_shifts_the_autoencoder():
    x = rows()
    plain, moved = (
        train_autoencoder(y, features=20, active=4, epochs=20, generator=torch_generator(0)) for y in (x, 8 * x + 3)
    )
    torch.testing.assert_close(moved.encode(8 * x + 3), 8 * plain.encode(x), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(moved.decoder_FD, plain.decoder_FD, rtol=1e-3, atol=1e-4)
    assert moved.explained(8 * x + 3) == pytest.approx(plain.explained(x), abs=1e-4)


def test_a_planted_dictionary_is_found():
    generator = torch_generator(0, "dictionary")
    dictionary_FD = torch.linalg.qr(torch.randn(16, 16, generator=generator))[0][:10]
    chosen = torch.rand(2_000, 10, generator=generator).argsort(dim=1)[:, :2]
    amounts = torch.zeros(2_000, 10).scatter(1, chosen, 1 + torch.rand(2_000, 2, generator=generator))
    x = amounts @ dictionary_FD
    found = train_autoencoder(x, features=20, active=2, epochs=120, learning_rate=3e-3, generator=torch_generator(1))
    best = (dictionary_FD @ found.decoder_FD.T).max(dim=1).values
    assert float(best.min()) > 0.9
    assert found.explained(x) > 0.9


def test_the_generator_decides():
    first, again, other = (
        train_autoencoder(rows(), features=8, active=2, epochs=2, generator=torch_generator(seed)).encoder_FD
        for seed in (1, 1, 2)
    )
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert float((first - other).abs().max()) > 0.1


@pytest.mark.parametrize("active", [0, 9])
def test_more_active_features_than_there_are_is_refused(active):
    with pytest.raises(InputError, match=rf"active must be in \[1, 8\], the number of features, got {active}"):
        train_autoencoder(rows(), features=8, active=active, generator=torch_generator(0))


def test_inputs_that_do_not_vary_are_refused():
    with pytest.raises(InputError, match="needs inputs that vary"):
        train_autoencoder(torch.ones(5, 3), generator=torch_generator(0))
