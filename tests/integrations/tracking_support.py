"""Small trainings to be tracked, and the same updates taken the plain way."""

import numpy as np
import torch
from torch import nn

from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.trajectory import snapshot_path, write_tensors


class Network(nn.Module):
    """A network whose parameters are in the order of their names."""

    def __init__(self, width=6):
        super().__init__()
        self.attn = nn.Linear(5, width)
        self.mlp = nn.Linear(width, 3)

    def forward(self, inputs):
        return self.mlp(torch.tanh(self.attn(inputs)))


class Training:
    """A loop with a stream of batches of its own, for as many steps as asked; the same for the same seed."""

    def __init__(self, *, dtype=torch.float32, seed=0, network=Network, **settings):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.model = network()
        if dtype != torch.float32:  # Which would take from complex weights their imaginary parts.
            self.model.to(dtype)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01, **settings)
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype

    def loss(self):
        inputs = torch.randn(8, 5, generator=self.generator).to(self.dtype)
        return (self.model(inputs) - inputs[:, :3].sin()).square().mean()

    def steps(self, count):
        for _ in range(count):
            self.optimizer.zero_grad()
            self.loss().backward()
            self.optimizer.step()

    def tracker(self, **settings):
        return SpectralEdgeTracker(
            self.model, self.optimizer, **{"params": "*weight", "window": 5, "every": 3} | settings
        )

    def watched(self):
        return torch.cat([part.detach().flatten() for name, part in self.model.named_parameters() if "weight" in name])


class Decaying(torch.optim.SGD):
    """Extends a step, so that hooks are called for its own and for that within."""

    def step(self, closure=None):
        loss = super().step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                torch._foreach_mul_(group["params"], 0.99)
        return loss


def extended(parts, **settings):
    """An optimizer whose class extends that of another one, which is used by itself as well."""
    parts = list(parts)
    torch.optim.SGD(parts, **settings)
    return Decaying(parts, **settings)


def plain_updates(steps, every, **settings):
    """Updates of the watched parameters by cloning them, float64 (T, P)."""
    training = Training(**settings)
    vectors = [training.watched().double()]
    for _ in range(steps // every):
        training.steps(every)
        vectors.append(training.watched().double())
    return torch.stack(vectors).diff(dim=0)


def snapshots(folder, steps, every):
    """A folder of snapshots of the same training."""
    training = Training()
    for step in range(0, steps + 1, every):
        write_tensors(snapshot_path(folder, step), dict(training.model.named_parameters()))
        training.steps(every)


class Kept:
    """Watched weights as a loop keeps them itself, and the products of their updates in plain NumPy.

    Args:
        model: The model.
        pattern: What the names of those kept end with.
    """

    def __init__(self, model, pattern="weight"):
        self.model, self.pattern, self.rows = model, pattern, []
        self.keep()

    def keep(self):
        parts = [part.detach() for name, part in self.model.named_parameters() if name.endswith(self.pattern)]
        parts = [torch.view_as_real(part) if part.is_complex() else part for part in parts]
        self.rows.append(np.concatenate([part.double().numpy().ravel() for part in parts]))

    def eigenvalues(self, window):
        updates = np.diff(np.stack(self.rows), axis=0)[-window:]
        return np.linalg.eigvalsh(updates @ updates.T)[::-1]

    def check(self, tracker):
        """Assert that the tracker's last window is that of the last rows."""
        expected = self.eigenvalues(tracker.window)
        np.testing.assert_allclose(tracker.latest.eigenvalues_W, expected, rtol=1e-4, atol=1e-6 * expected[0])


def weights(model):
    return {name: part.detach().clone() for name, part in model.named_parameters()}


def track_by_hand(training, steps, after, **settings):
    """A training whose steps are recorded by hand, each after something else has been done."""
    kept = Kept(training.model)
    tracker = SpectralEdgeTracker(training.model, None, **{"params": "*weight", "window": 3, "every": 1} | settings)
    with tracker:
        for _ in range(steps):
            training.steps(1)
            after()
            tracker.record()
            kept.keep()
    return tracker, kept
