"""The second published network, against a plain module as its authors write it (Tian 2025, arXiv 2509.21519)."""

import torch
from torch import nn
from torch.nn import functional as F

from spectraledge.models import answer_losses, architecture_of, model_config
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig, Trainer

MODULUS, HIDDEN = 11, 24
SIZES = {"kind": "mlp", "hidden": HIDDEN, "activation": "square", "bias": False}


class Squares(nn.Module):
    """V (W x)², x the one-hot vectors of both tokens side by side; no biases."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2 * MODULUS, HIDDEN, bias=False)
        self.second = nn.Linear(HIDDEN, MODULUS, bias=False)

    def forward(self, pairs):
        return self.second(self.first(F.one_hot(pairs, MODULUS).flatten(1).float()) ** 2)


def published(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Squares()


def test_answers_are_those_of_the_plain_module_with_its_own_first_weights():
    architecture = architecture_of(model_config(**SIZES, tokens=MODULUS, answers=1))
    module, weights = published(3), architecture.draw(3, published=True)
    assert list(weights) == ["layers.0.weight", "head.weight"]
    for ours, theirs in zip(weights.values(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    pairs = torch.cartesian_prod(torch.arange(MODULUS), torch.arange(MODULUS))
    torch.testing.assert_close(architecture.still(weights, pairs)["logits"], module(pairs).detach())


def test_training_is_that_of_the_published_loop():
    """All training pairs at every step, zero-mean squared error, Adam with PyTorch's betas, no clipping."""
    task = named_task("add", modulus=MODULUS)
    settings = {"protocol": "paper", "seed": 3, "optimizer": "adam", "betas": (0.9, 0.999), "learning_rate": 1e-3}
    settings |= {"weight_decay": 2e-4, "clip_norm": 0.0, "batch_size": 0, "loss": "mse", "train_fraction": 0.4}
    trainer = Trainer(RunConfig.for_task(task, SIZES, steps=40, every=40, **settings), task)
    module, train = published(3), trainer.split.train_T
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, weight_decay=2e-4)
    pairs, labels = torch.from_numpy(task.pairs_N2[train]), torch.from_numpy(task.labels_N[train])
    start = [parameter.detach().clone() for parameter in module.parameters()]
    losses = []
    for _ in range(40):
        out = module(pairs)
        zero_mean, target = out - out.mean(1, keepdim=True), F.one_hot(labels, MODULUS) - 1 / MODULUS
        loss = (zero_mean - target).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    trainer.advance(40)
    torch.testing.assert_close(trainer.recent_losses, losses, rtol=1e-5, atol=1e-6)
    for ours, theirs, before in zip(trainer.weights().values(), module.parameters(), start, strict=True):
        assert float((ours - theirs.detach()).norm()) <= 1e-3 * float((theirs.detach() - before).norm())
    measured = trainer.evaluate()
    everywhere = module(torch.from_numpy(task.pairs_N2)).detach()
    right = torch.from_numpy(task.labels_N)
    expected = answer_losses(everywhere, right, "mse")[torch.from_numpy(trainer.split.test_T)].mean()
    torch.testing.assert_close(measured.test_loss, float(expected), rtol=1e-4, atol=1e-6)
