"""Which representations a network on a group uses, and whether its neurons are functions of cosets."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.algebra import Group
from spectraledge.analyses.analysis import STEP, Analysis, Column, Table, without
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Bools, Float
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.modes import grouping_basis, shares
from spectraledge.modes.coset_concentration import Concentration, mixed
from spectraledge.modes.measures import group_means
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.streams import numpy_generator
from spectraledge.tasks import Grouping, controlled_structure, grouping


def measure_cosets(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Read the network of a run on a group, or of its control with permuted answers, at one step.

    Null: see `Concentration.turned` and `mixed`. Functions of representations of one dimension stay as they are when
    they are turned.

    Returns:
        `REPRESENTATIONS` and `COSETS` by name.

    Raises:
        InputError: if the task has no group.
    """
    run = RecordedRun.open(folder, device=settings.device)
    own = grouping(run.task, controlled_structure(run.task))
    if own.functions.group is None:
        raise InputError(f"task {run.task.name!r} is not on a group by name: train one, such as group:S4")
    step = run.chosen_step(settings.step)
    network = Network.at(run, step)
    asked = Concentration.of(own.functions.group)
    cosets = COSETS.frame(
        (step, own.name, what, kind, draw, asked.on_cosets(functions_FM), asked.of_one_representation(functions_FM))
        for what, own_FM in _functions(network, own)
        for kind, draw, functions_FM in _beside_nulls(asked, what, own_FM, settings)
    )
    return {
        REPRESENTATIONS.name: _representations(network, own, run.test_N, step),
        COSETS.name: cosets if "neurons" in network.still else without(cosets, "neurons of the network unknown"),
    }


def _functions(network: Network, own: Grouping) -> Iterator[tuple[str, Float]]:
    """Neurons over a and over b, and the centred logits over the group's variable, as functions of the element."""
    if "neurons" in network.still:
        neurons_HN = host(network.still["neurons"].double()).T
        for axis, along_N in zip("ab", own.coordinates_N2.T, strict=True):
            sums_HM = np.stack([np.bincount(along_N, weights=row_N, minlength=own.order) for row_N in neurons_HN])
            yield f"neurons over {axis}", sums_HM / np.bincount(along_N, minlength=own.order)
    yield "logits", group_means(host(network.readout(FUNCTION).double()).T, own)


def _beside_nulls(
    asked: Concentration, what: str, own_FM: Float, settings: AnalysisConfig
) -> Iterator[tuple[str, int, Float]]:
    yield "network", 0, own_FM
    for kind, null in (("turned", asked.turned), ("mixed", mixed)):
        generator = numpy_generator(settings.seed, "cosets", what, kind)
        for draw in range(1, settings.nulls + 1):
            yield kind, draw, null(own_FM, generator)


def _representations(network: Network, own: Grouping, test_N: Bools, step: int) -> pd.DataFrame:
    basis = grouping_basis(own.covering(test_N))
    found = shares(basis.energies(network.readout(FUNCTION)[None]), basis)
    names = basis.subspaces[1:-1]
    faithful = [_is_faithful(own, frequency) for frequency in range(1, len(names) + 1)]
    numbers = (found.share_KS[0, 1:-1].tolist(), found.chance_S[1:-1].tolist())
    return REPRESENTATIONS.frame(
        (step, own.name, *row) for row in zip(names, faithful, basis.dimensions_S[1:-1].tolist(), *numbers, strict=True)
    )


def _is_faithful(own: Grouping, frequency: int) -> bool:
    """Whether the identity alone acts as nothing on the functions of a subspace."""
    assert isinstance(own.functions.group, Group)
    functions_MR = own.functions.functions_MM[:, own.functions.frequency_M == frequency]
    character_M = functions_MR @ functions_MR[own.functions.group.identity]
    return int((character_M > character_M.max() - 1e-9).sum()) == 1


_BASIS = Column("the task's own; of a control with permuted answers that of the task it controls")

REPRESENTATIONS = Table(
    "representations",
    "representation of the group",
    {
        "step": STEP,
        "basis": _BASIS,
        "subspace": Column("name of the representation"),
        "faithful": Column("whether it tells all elements apart; else it is one of a quotient"),
        "dimension": Column("of its functions on the test pairs"),
        "share": Column("of the centred logits' energy on test pairs", "share"),
        "chance": Column("share that logits dealt out to the pairs at random have", "share"),
    },
)
COSETS = Table(
    "cosets",
    "set of functions on the group, kind and draw",
    {
        "step": STEP,
        "basis": _BASIS,
        "functions": Column(
            "neurons over a, neurons over b: means of the last hidden layer's activations over the other input; "
            "logits: their means over the pairs with one value of the task's variable"
        ),
        "kind": Column(
            "network: its own; turned: of the same rank and energy in every representation, turned at random from both "
            "sides; mixed: of the same span, each function a random combination of all"
        ),
        "draw": Column("1-based number of those at random, else 0"),
        "on_cosets": Column(
            "share that is constant on cosets of a subgroup, the best for each function, corrected for chance, mean by "
            "energy",
            "share",
        ),
        "one_representation": Column("share in one representation, the strongest of each function, by energy", "share"),
    },
)
COMPARING_COSETS = Analysis(
    "cosets", measure_cosets, (REPRESENTATIONS, COSETS), settings=("nulls", "seed", "step"), thinned=True
)
