"""Gradients on one batch at any network of a run, for the right answers and for the same dealt out to other pairs."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from spectraledge.arrays import Bools, Ints
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun

BATCH = 512
"""Training pairs whose gradient is taken (arXiv 2604.25143)."""

DRAWS = 3
"""Ways in which answers are dealt out (our choice)."""


@dataclass(frozen=True)
class GradientBatch:
    """Training pairs of a run, and whose answers each gets: the same at every network.

    A gradient on given pairs is a function of the weights, so that snapshots give exactly what a training that kept it
    would have.

    Attributes:
        kept_N: Which pairs of the domain.
        answers_Bn: Of every draw, places in the domain whose answers the batch's pairs get, in order; draw 0 are their
            own, the others permutations within the batch, so that every class keeps its size.
    """

    kept_N: Bools
    answers_Bn: Ints

    @classmethod
    def draw(cls, run: RecordedRun, generator: np.random.Generator) -> "GradientBatch":
        """Draw `BATCH` training pairs, or take all where there are no more, and `DRAWS` permutations."""
        kept_N = np.zeros(len(run.task), dtype=bool)
        kept_N[generator.permutation(np.flatnonzero(~run.test_N))[:BATCH]] = True
        own_n = np.flatnonzero(kept_N)
        return cls(kept_N, np.stack([own_n, *(generator.permutation(own_n) for _ in range(DRAWS))]))

    def gradient(self, network: Network, draw: int = 0) -> Tensor:
        """Return the gradient of the mean loss for the answers of a draw, float64, shape (P,)."""
        answers_N = network.labels_N.clone()
        own_n, answers_n = (torch.from_numpy(self.answers_Bn[which]).to(network.device) for which in (0, draw))
        answers_N[own_n] = network.labels_N[answers_n]
        return network.gradient(self.kept_N, answers_N).double()
