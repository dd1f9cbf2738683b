"""A recorded run at one step with directions of some kinds, for what needs no full observation."""

from pathlib import Path
from typing import NamedTuple

from spectraledge.observed.labelled_directions import LabelledDirections, collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.observed.view import View


class ChosenStep(NamedTuple):
    """A run at a step.

    Attributes:
        run: The run.
        window: The window of updates that ends there.
        network: The network there.
        directions: Its directions of the kinds asked for.
    """

    run: RecordedRun
    window: Window
    network: Network
    directions: LabelledDirections

    @property
    def labels(self) -> list[tuple[int, str, int]]:
        """Step, kind and number of every direction."""
        kinds, numbers = self.directions.kinds, self.directions.numbers
        return [(self.window.step, kind, number) for kind, number in zip(kinds, numbers, strict=True)]


def at_chosen_step(folder: Path, view: View, *kinds: str) -> ChosenStep:
    """Read a run at a step.

    Args:
        folder: A run folder that this package wrote.
        view: Where and how to look.
        kinds: Kinds of directions, see `labelled_directions.KINDS`.

    Returns:
        The run, its window, network and directions.
    """
    run = RecordedRun.open(folder, view.params, device=view.device)
    step = run.chosen_step(view.step)
    window = run.window(step, window=view.window, center=view.center)
    network = Network.at(run, step, dtype=view.dtype)
    return ChosenStep(run, window, network, collect_directions(run, window, network, view, kinds=kinds))
