"""The idiomatic way to do what this package does fast, written as a careful person would without it."""

import copy
import math
import operator
import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class PlainTransformer(nn.Module):
    """The paper's network from PyTorch's own layers, read at position 0, with as many heads as answers."""

    def __init__(
        self, modulus: int, width: int = 128, heads: int = 4, hidden: int = 256, depth: int = 2, answers: int = 1
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(modulus, width)
        self.positions = nn.Parameter(torch.randn(2, width) / math.sqrt(width))
        layer = nn.TransformerEncoderLayer(
            width, heads, hidden, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, answers * modulus)

    def residual(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.encoder(self.tokens(pairs) + self.positions)[:, 0]

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.residual(pairs)))


class PlainLoop:
    """The training loop around it: a list of pairs, a tensor per batch, evaluation on everything every 100 steps."""

    def __init__(
        self,
        modulus: int = 97,
        seed: int = 42,
        device: str = "cpu",
        operations: Sequence[Callable[[int, int], int]] = (operator.add,),
    ) -> None:
        torch.manual_seed(seed)
        np.random.seed(seed)
        pairs = [(a, b) for a in range(modulus) for b in range(modulus)]
        random.Random(seed).shuffle(pairs)
        self.train, self.test = pairs[: len(pairs) // 2], pairs[len(pairs) // 2 :]
        self.modulus = modulus
        self.operations = operations
        self.device = device
        self.model = PlainTransformer(modulus, answers=len(operations)).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0)
        self.folder = tempfile.TemporaryDirectory()
        self.step = 0

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            index = np.random.randint(0, len(self.train), 512)
            batch = [self.train[i] for i in index]
            inputs = torch.tensor(batch, device=self.device)
            logits = self.model(inputs).chunk(len(self.operations), -1)
            loss = sum(F.cross_entropy(said, right) for said, right in zip(logits, self.labels(batch), strict=True))
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1

    def labels(self, batch: list[tuple[int, int]]) -> list[torch.Tensor]:
        return [
            torch.tensor([operation(a, b) % self.modulus for a, b in batch], device=self.device)
            for operation in self.operations
        ]

    def evaluate(self) -> list[float]:
        self.model.eval()
        with torch.no_grad():
            found = []
            for half in (self.train, self.test):
                inputs = torch.tensor(half, device=self.device)
                logits = self.model(inputs).chunk(len(self.operations), -1)
                found += [
                    float((said.argmax(-1) == right).float().mean())
                    for said, right in zip(logits, self.labels(half), strict=True)
                ]
        self.model.train()
        return found

    def interval(self) -> None:
        """A hundred steps, an evaluation and a snapshot."""
        self.advance(100)
        self.evaluate()
        torch.save(self.model.state_dict(), Path(self.folder.name) / f"{self.step}.pt")


class PlainPerceptron(nn.Module):
    """One hidden layer on two tokens, as one-hot vectors without biases, or embedded."""

    def __init__(self, tokens: int, hidden: int, width: int = 0) -> None:
        super().__init__()
        self.tokens = tokens
        self.embedding = nn.Embedding(tokens, width) if width else None
        self.first = nn.Linear(2 * (width or tokens), hidden, bias=bool(width))
        self.head = nn.Linear(hidden, tokens, bias=bool(width))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.embedding is None:
            return self.head(self.first(inputs).square())
        return self.head(F.relu(self.first(self.embedding(inputs).flatten(1))))


class PlainPerceptronLoop:
    """Every training pair at every step, made into tensors once; cross-entropy and AdamW, or squared error and Adam."""

    def __init__(self, table: np.ndarray, fraction: float, hidden: int, width: int = 0) -> None:
        torch.manual_seed(0)
        tokens = len(table)
        pairs = torch.cartesian_prod(torch.arange(tokens), torch.arange(tokens))
        kept = torch.randperm(len(pairs))[: int(fraction * len(pairs))]
        self.labels = torch.from_numpy(table).flatten()[kept].long()
        self.model = PlainPerceptron(tokens, hidden, width)
        self.inputs = pairs[kept] if width else F.one_hot(pairs[kept], tokens).flatten(1).float()
        self.target = F.one_hot(self.labels, tokens) - 1 / tokens
        if width:
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=1.0)
        else:
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, weight_decay=2e-4)

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            logits = self.model(self.inputs)
            if self.model.embedding is None:
                gaps = logits - logits.mean(-1, keepdim=True) - self.target
                loss = gaps.square().sum(-1).mean()
            else:
                loss = F.cross_entropy(logits, self.labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def svd_per_window(updates_TP: np.ndarray, window: int) -> np.ndarray:
    """Squared singular values of every trailing window."""
    windows = range(len(updates_TP) - window + 1)
    return np.stack([np.linalg.svd(updates_TP[t : t + window], compute_uv=False) ** 2 for t in windows])


def svd_per_window_on_gpu(updates_TP: torch.Tensor, window: int) -> torch.Tensor:
    """Do the same on a GPU."""
    windows = range(len(updates_TP) - window + 1)
    return torch.stack([torch.linalg.svdvals(updates_TP[t : t + window]).cpu() ** 2 for t in windows])


def perturbed_responses(
    model: PlainTransformer, directions: list[dict[str, torch.Tensor]], pairs: torch.Tensor, size: float
) -> torch.Tensor:
    """Central differences: load perturbed weights, two forward passes per direction."""
    weights = copy.deepcopy(model.state_dict())
    found = []
    model.eval()
    with torch.no_grad():
        for direction in directions:
            ends = []
            for sign in (1, -1):
                model.load_state_dict(
                    {n: w + sign * size * direction[n] if n in direction else w for n, w in weights.items()}
                )
                ends.append(model.residual(pairs))
            found.append((ends[0] - ends[1]) / (2 * size))
    model.load_state_dict(weights)
    return torch.stack(found)
