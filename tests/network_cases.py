"""Networks of every kind, small, as cases that training and analyses run through."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spectraledge.models import Architecture, architecture_of, model_config

SOURCE = '''
import torch
from torch import nn
from torch.nn import functional as F


class Sums(nn.Module):
    """Sums embeddings, mixes them, and answers; a constant is a buffer."""

    def __init__(self, task, hidden):
        super().__init__()
        self.embed = nn.Embedding(task.modulus, hidden)
        self.register_buffer("scale", torch.tensor(0.5))
        self.mix = nn.Linear(hidden, hidden)
        self.answer = nn.Linear(hidden, task.modulus * task.answers)

    def forward(self, pairs):
        summed = self.embed(pairs).sum(1) * self.scale
        return self.answer(torch.tanh(self.mix(summed)) + summed)


class OneHot(nn.Module):
    """Cannot be stacked by vmap, and has no linear layer behind everything."""

    def __init__(self, task):
        super().__init__()
        self.modulus = task.modulus
        self.first = nn.Linear(2 * task.modulus, 6)
        self.second = nn.Parameter(torch.randn(task.modulus * task.answers, 6))

    def forward(self, pairs):
        given = F.one_hot(pairs, self.modulus).flatten(1).to(self.second.dtype)
        return torch.relu(self.first(given)) @ self.second.t()


class Tied(nn.Module):
    """Answers with its own embedding."""

    def __init__(self, task):
        super().__init__()
        self.embed = nn.Embedding(task.modulus, 6)
        self.mix = nn.Linear(12, 6)
        self.head = nn.Linear(6, task.modulus * task.answers)
        if task.answers == 1:
            self.head.weight = self.embed.weight

    def forward(self, pairs):
        return self.head(F.gelu(self.mix(self.embed(pairs).flatten(1))))


class Encoder(nn.Module):
    """PyTorch's own encoder, whose fast paths and fused attention have no derivative of every kind."""

    def __init__(self, task):
        super().__init__()
        self.embed = nn.Embedding(task.modulus, 4)
        self.encoder = nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, task.modulus * task.answers)

    def forward(self, pairs):
        return self.head(self.encoder(self.embed(pairs))[:, 0])


def sums(task, hidden=5):
    return Sums(task, hidden)


def one_hot(task):
    return OneHot(task)


def tied(task):
    return Tied(task)


def encoder(task):
    return Encoder(task)
'''

MODELS: dict[str, dict[str, object]] = {
    "transformer": {"width": 8, "heads": 2, "hidden": 6},
    "mlp": {"kind": "mlp", "hidden": 6},
    "embedded_mlp": {
        "kind": "mlp",
        "inputs": "embedded",
        "width": 5,
        "hidden": 6,
        "depth": 2,
        "activation": "square",
    },
    "published_mlp": {"kind": "mlp", "hidden": 6, "activation": "square", "bias": False},
    "module": {"kind": "sums", "hidden": 4},
    "unstacked_module": {"kind": "one_hot"},
    "tied_module": {"kind": "tied"},
    "encoder": {"kind": "encoder"},
}
"""Settings of each case; a kind that is a function of `SOURCE` is that function in a file."""

NetworkModel = Callable[[str], dict[str, object]]


@pytest.fixture(scope="session")
def network_model(tmp_path_factory: pytest.TempPathFactory) -> NetworkModel:
    """Give a case's settings by its name."""
    path = tmp_path_factory.mktemp("networks") / "networks.py"
    path.write_text(SOURCE)

    def settings(case: str) -> dict[str, object]:
        found = dict(MODELS[case])
        if found.get("kind", "mlp") != "mlp":
            found["kind"] = f"{path}:{found['kind']}"
        return found

    return settings


@pytest.fixture(scope="session")
def architecture(network_model: NetworkModel) -> Callable[..., Architecture]:
    """Make a case's architecture mod 5."""

    def make(case: str, *, answers: int = 1) -> Architecture:
        settings = {"kind": "transformer", **network_model(case)}
        return architecture_of(model_config(**settings, tokens=5, answers=answers))

    return make


def write_module(folder: Path, body: str) -> str:
    """Write a file whose function `build` returns a module of class `Net`, and say how to name it."""
    lines = ["import torch", "from torch import nn", "from torch.nn import functional as F", "", body]
    (folder / "net.py").write_text("\n".join(lines))
    return f"{folder / 'net.py'}:build"
