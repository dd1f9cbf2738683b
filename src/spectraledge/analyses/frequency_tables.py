"""Whether what the weights hold and where they move agree: energies per frequency of both, rank by rank."""

import numpy as np
import pandas as pd

from spectraledge.analyses.analysis import OF_BASIS, Column, StepTable, without
from spectraledge.analyses.selection_tables import SUBSPACE
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.devices import host
from spectraledge.models import HasTokenTable
from spectraledge.observed.observation import Observation
from spectraledge.statistics import rank_agreement
from spectraledge.streams import numpy_generator
from spectraledge.tasks import Grouping, grouping

WEIGHT_SIDES = ("embedding", "neurons", "logits")
MOVING_SIDES = ("edge", "window", "random")


def frequency_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """Energy per frequency of what the weights hold and of what moving them does, in the run's wave basis.

    Definition: embedding: squared norm of the token embedding's Fourier components over the tokens' coordinates
    (residues, or discrete logarithms, where a token without one is left out). neurons, logits: energies of the last
    feed-forward layer's activations, and of the logits without their mean, as functions of the grouping. edge, window:
    energies of the responses along the directions, weighted by eigenvalue. random: mean over isotropic directions.

    Returns:
        See `FREQUENCIES`; embedding and neurons are missing where the network has none.
    """
    group = grouping(seen.run.task, seen.run.wave_basis)
    basis = seen.bases[group.name]
    still, architecture = seen.network.still, seen.network.architecture
    eigenvalues_K = seen.window.directions.eigenvalues_K.numpy()
    energies_KS = seen.energies[group.name]
    edge, window, random = (seen.directions.places(*kinds) for kinds in (("edge",), ("edge", "bulk"), ("random",)))
    lacking = np.full(len(basis.subspaces) - 2, np.nan)
    sides = {
        "embedding": _embedding(seen, architecture, group) if isinstance(architecture, HasTokenTable) else lacking,
        "neurons": basis.energies(still["neurons"][None])[0][1:-1] if "neurons" in still else lacking,
        "logits": basis.energies(seen.network.readout("logits")[None])[0][1:-1],
        "edge": (eigenvalues_K[: len(edge)] @ energies_KS[edge])[1:-1],
        "window": (eigenvalues_K @ energies_KS[window])[1:-1],
        "random": (energies_KS[random].mean(axis=0))[1:-1],
    }
    table = pd.DataFrame({name: _normed(energy_F) for name, energy_F in sides.items()})
    table.insert(0, "step", seen.step)
    table.insert(1, "readout", seen.readout)
    table.insert(2, "basis", group.name)
    table.insert(3, "frequency", np.arange(1, len(table) + 1))
    table.insert(4, "subspace", basis.subspaces[1:-1])
    missing = [name for name in WEIGHT_SIDES if table[name].isna().all()]
    return without(table, f"{' and '.join(missing)} of the network unknown") if missing else table


def agreement_table(frequencies: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Rank agreement over the frequencies of what the weights hold with what moving them does.

    Null: the pairing of frequencies is arbitrary. A trained network's frequencies agree along random directions too,
    so compare the rows of the edge with those of random directions.

    Returns:
        See `AGREEMENT`. No rows for pairs of which a side does not vary.
    """
    rows = []
    for weights in WEIGHT_SIDES:
        for moving in MOVING_SIDES:
            x, y = frequencies[weights].to_numpy(), frequencies[moving].to_numpy()
            if len(x) < 2 or np.isnan(x).any() or np.ptp(x) == 0 or np.ptp(y) == 0:
                continue
            found = rank_agreement(x, y, generator=numpy_generator(seed, "agreement", weights, moving))
            rows.append(
                (*frequencies.loc[0, ["step", "readout", "basis"]], weights, moving, len(x), found.observed, found.p)
            )
    return AGREEMENT.frame(rows)


def _embedding(seen: Observation, architecture: HasTokenTable, group: Grouping) -> Float:
    """Energy of the token embedding at each frequency over its tokens' coordinates."""
    pairs_N2, coordinates_N2 = seen.run.task.pairs_N2, group.coordinates_N2
    placed_N = coordinates_N2[:, 0] >= 0
    position = np.full(group.order, -1)
    position[coordinates_N2[placed_N, 0]] = pairs_N2[placed_N, 0]
    table_VD = host(architecture.token_table(seen.network.parameters).double())
    columns_MD = table_VD[position[position >= 0]]
    characters_MM = group.functions.functions_MM[position >= 0]
    power_M = np.square(characters_MM.T @ (columns_MD - columns_MD.mean(axis=0))).sum(axis=1)
    return np.bincount(group.functions.frequency_M, weights=power_M)[1:].astype(np.float64)


def _normed(energy_F: Float) -> Float:
    total = energy_F.sum()
    return energy_F / total if total > 0 else energy_F


_OF_ALL = "of its own sum over the frequencies"

FREQUENCIES = StepTable(
    "frequencies",
    "frequency of the run's wave basis",
    {
        **OF_BASIS,
        "frequency": Column("ω, from 1; of representations their number"),
        "subspace": SUBSPACE,
        "embedding": Column(f"energy that the token embedding holds, {_OF_ALL}", "share"),
        "neurons": Column(f"energy of the last feed-forward layer's activations, {_OF_ALL}", "share"),
        "logits": Column(f"energy of the logits without their mean, {_OF_ALL}", "share"),
        "edge": Column(f"energy of the response along the edge, {_OF_ALL}", "share"),
        "window": Column(f"the same along the whole window, {_OF_ALL}", "share"),
        "random": Column(f"the same along isotropic directions, {_OF_ALL}", "share"),
    },
    make=frequency_table,
)
AGREEMENT = StepTable(
    "agreement",
    "pair of what the weights hold and what moves",
    {
        **OF_BASIS,
        "weights": Column("embedding, neurons or logits"),
        "moving": Column("edge, window or random"),
        "frequencies": Column("their number"),
        "rho": Column("Spearman's rank correlation over the frequencies"),
        "p": Column("two-sided, against an arbitrary pairing"),
    },
    make=lambda seen, settings: agreement_table(frequency_table(seen, settings), seed=settings.seed),
)
