"""The score of a run: which functions it computes over training, and what makes them grow."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spectraledge.analyses.analysis import BASIS, READOUT, Analysis, Column, Table, without
from spectraledge.analyses.forming import FORMING, FUNCTIONS, LastWave, own_functions
from spectraledge.analyses.growth import CARRIERS, FUNCTION, GROWTH, Interval, carrier_rows, growth_tables
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.devices import host
from spectraledge.models import ReadoutName
from spectraledge.modes import Shares, energies_in, shares
from spectraledge.observed.network import Network
from spectraledge.observed.observation import make_bases
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import Grouping, default_groupings, grouping

WATCHED = "function"
"""Name of what is read of a model that is watched while it trains."""

READOUTS: tuple[ReadoutName, ...] = (FUNCTION, "residual")
"""What is read: the function itself, and the stream whose responses `modes` are."""

STRIDE = 4
"""Snapshots from one whose growth is measured to the next, where no stride is chosen (our choice)."""


def score_run(folder: Path, settings: AnalysisConfig, *, dtype: torch.dtype = torch.float32) -> dict[str, pd.DataFrame]:
    """Measure the score of a run, and its function as a picture at every snapshot.

    In single precision by default: shares agree with those of double precision to 1e-5 (our choice).

    Returns:
        `SCORE`, `FORMING` and `FUNCTIONS` by name.

    Cost: a forward pass per snapshot.
    """
    run = RecordedRun.open(folder, device=settings.device)
    last = host(Network.at(run, run.steps[-1], dtype=dtype).readout(FUNCTION).double())
    own = grouping(run.task, run.task.structure)
    wave, formed = LastWave.of(last, grouping(run.task, run.wave_basis), own), []

    def passing() -> Iterator[Network]:
        for step in run.steps:
            network = Network.at(run, step, dtype=dtype)
            formed.append(wave.picture(step, host(network.readout(FUNCTION).double())))
            yield network

    score = _states(run, _groupings(run, settings.bases), passing())
    forming = pd.concat(formed, ignore_index=True)
    return {SCORE.name: score, FORMING.name: forming, FUNCTIONS.name: own_functions(own)}


def growth_run(
    folder: Path, settings: AnalysisConfig, *, dtype: torch.dtype = torch.float32
) -> dict[str, pd.DataFrame]:
    """Measure what the functions of a run grow by, and which directions carry the growth of its own ones.

    Returns:
        `GROWTH` and `CARRIERS` by name.

    Cost: about ten derivatives per measured interval.
    """
    run = RecordedRun.open(folder, settings.params, device=settings.device)
    bases = make_bases(run, _groupings(run, settings.bases))
    grown: list[pd.DataFrame] = []
    carriers: list[tuple[object, ...]] = []
    for place in range(1, len(run.steps))[::-1][:: settings.stride or STRIDE][::-1]:
        before, after = (Network.at(run, run.steps[at], dtype=dtype) for at in (place - 1, place))
        interval = Interval.of(run, place, before, after, settings.window)
        grown += growth_tables(interval, bases)
        carriers += carrier_rows(interval, bases[run.task.structure], settings)
    found = CARRIERS.frame(carriers)
    few = "" if carriers else f"no measured interval has a window of {settings.window} updates"
    return {
        GROWTH.name: pd.concat(grown, ignore_index=True) if grown else GROWTH.frame(),
        CARRIERS.name: without(found, few) if few else found,
    }


def state_of_control(folder: Path, learned: RecordedRun) -> pd.DataFrame:
    """Measure the score of a control in the own basis of the run that it is a control of.

    The group of a table is that of the run's own answers; those of the control are no group's.

    Returns:
        See `SCORE`, of that basis.
    """
    run, own = RecordedRun.open(folder, device=str(learned.device)), learned.task.structure
    networks = (Network.at(run, step, dtype=torch.float32) for step in run.steps)
    is_of_table = own == "group" and np.array_equal(run.task.pairs_N2, learned.task.pairs_N2)
    return _states(run, {own: grouping(learned.task if is_of_table else run.task, own)}, networks)


def _groupings(run: RecordedRun, names: Sequence[str] | None) -> dict[str, Grouping]:
    return {name: grouping(run.task, name) for name in names or default_groupings(run.task)}


def _states(run: RecordedRun, asked: Mapping[str, Grouping], networks: Iterable[Network]) -> pd.DataFrame:
    halves = {"all": None, "train": ~run.test_N, "test": run.test_N}
    bases = {half: make_bases(run, asked, kept_N) for half, kept_N in halves.items() if kept_N is None or kept_N.any()}
    keys = [(half, name) for half, of_half in bases.items() for name in of_half]
    taken = [bases[half][name] for half, name in keys]
    energies: dict[tuple[ReadoutName, str, str], list[Float]] = {}
    for network in networks:
        for readout in (name for name in READOUTS if name in network.architecture.readouts):
            for key, energies_1S in zip(keys, energies_in(taken, network.readout(readout)[None]), strict=True):
                energies.setdefault((readout, *key), []).append(energies_1S[0])
    found = (
        (readout, half, shares(np.stack(rows), bases[half][name])) for (readout, half, name), rows in energies.items()
    )
    return score_table(run.steps, found)


def score_table(steps: Sequence[int], states: Iterable[tuple[str, str, Shares]]) -> pd.DataFrame:
    """Make the table `SCORE` of read-outs, on which inputs each is taken, and its shares at every snapshot, (T, S)."""
    tables = [SCORE.frame()]
    for readout, half, found in states:
        subspaces, count = found.basis.subspaces[1:], len(steps)
        columns = {
            "step": np.repeat(np.asarray(steps, dtype=np.int64), len(subspaces)),
            "readout": readout,
            "basis": found.basis.name,
            "subspace": subspaces * count,
            "share": found.share_KS[:, 1:].ravel(),
            "chance": np.tile(found.chance_S[1:], count),
            "half": half,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables[1:] or tables, ignore_index=True)


SCORE = Table(
    "score",
    "snapshot, read-out, subspace and half",
    {
        "step": Column("the snapshot", "step"),
        "readout": READOUT,
        "basis": BASIS,
        "subspace": Column("frequency ω of the basis, of pairs with its line before it; rest"),
        "share": Column("of the read-out's energy without its mean over the pairs, that lies in the subspace", "share"),
        "chance": Column("share that a read-out whose values are permuted among the pairs has on average", "share"),
        "half": Column("which pairs: all, train, test; subspaces are those of functions on these pairs"),
    },
)
SCORING = Analysis("score", score_run, (SCORE, FORMING, FUNCTIONS), settings=("bases",))
GROWING = Analysis(
    "growth",
    growth_run,
    (GROWTH, CARRIERS),
    settings=("window", "center_modes", "edge", "nulls", "stride", "seed", "bases", "params"),
)
