"""What the network of a recorded run computes of pairs (a, b), as values over a × b: no answer, label or basis."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spectraledge.arrays import Bools, Float
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.observed.view import View


class PairValues(NamedTuple):
    """Values over the pairs of a run at a snapshot.

    Attributes:
        values_MMD: The read-out, or what moves it, at (a, b), shape (tokens, tokens, channels); NaN outside the domain.
        unseen_MM: Which pairs of the domain were not trained on.
    """

    run: RecordedRun
    step: int
    values_MMD: Float
    unseen_MM: Bools

    def over_pairs(self) -> Float:
        """The values as a function on the domain, shape (N, channels)."""
        values_ND: Float = self.values_MMD[tuple(self.run.task.pairs_N2.T)]
        return values_ND


def _function(_: RecordedRun, network: Network, __: View) -> Float:
    return np.asarray(host(network.readout("logits")), dtype=np.float64)


def _change(run: RecordedRun, network: Network, view: View) -> Float:
    before = Network.at(run, _window(run, view).series.snapshots[0].step, dtype=view.dtype)
    return _function(run, network, view) - _function(run, before, view)


def _edge(run: RecordedRun, network: Network, view: View) -> Float:
    directions = _window(run, view).directions
    response_KND = host(network.responses(directions.vectors_KP[: view.edge], "logits"))
    weighted_NKD = response_KND.swapaxes(0, 1) * np.sqrt(directions.eigenvalues_K[: view.edge].numpy())[:, None]
    return np.asarray(weighted_NKD.reshape(len(weighted_NKD), -1), dtype=np.float64)


def _window(run: RecordedRun, view: View) -> Window:
    assert view.step is not None
    return run.window(view.step, window=view.window, center=view.center)


PAIR_FUNCTIONS: dict[str, tuple[str, Callable[[RecordedRun, Network, View], Float]]] = {
    "function": ("logits without their mean over classes", _function),
    "change": ("how far these moved over the window", _change),
    "edge": ("their responses along the window's leading directions, each times its singular value", _edge),
}
"""What can be asked of a network, with its words."""


def pair_values(folder: Path, what: str, view: View) -> PairValues:
    """Return what a network computes of all its pairs; a joint run is seen through its last head.

    The step is by default the last snapshot, since accuracy tells of answers.

    Raises:
        InputError: if the folder is no run, there is no such function or step, or the window is not there.
    """
    if what not in PAIR_FUNCTIONS:
        raise InputError(f"unknown function of pairs {what!r}: known are {', '.join(PAIR_FUNCTIONS)}")
    run = RecordedRun.open(folder, view.params, device=view.device)
    step = run.chosen_step(run.steps[-1] if view.step is None else view.step)
    values_ND = PAIR_FUNCTIONS[what][1](run, Network.at(run, step, dtype=view.dtype), replace(view, step=step))
    size, places = run.config.model.tokens, tuple(run.task.pairs_N2.T)
    values_MMD = np.full((size, size, values_ND.shape[1]), np.nan)
    values_MMD[places] = values_ND
    unseen_MM = np.zeros((size, size), dtype=bool)
    unseen_MM[places] = run.test_N
    return PairValues(run, step, values_MMD, unseen_MM)
