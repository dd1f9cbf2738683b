"""What is read from a run's modes and selection: bands of nulls, single frequencies, and the wave as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.forming import ORDERS
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.selection_tables import of_functions
from spectraledge.arrays import Float, Ints


@dataclass(frozen=True)
class Band:
    """The 5%, 50% and 95% points of a statistic over directions of one kind."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Picture:
    """The response of one edge direction as a picture over the inputs.

    Attributes:
        direction: 1-based.
        basis: Name of the basis.
        subspace: Dominant frequency or representation in it, by name.
        character: The 2-D character (ω_a, ω_b) with the largest share.
        share: Share of the picture's energy that it holds.
        random: The same share for random directions in parameter space, if there are any.
        raw: Values, row a, column b; NaN for a pair outside the domain.
        ordered: The same with rows and columns sorted by their position on the wave, or in the orders.
        orders: How a and b are ordered where it is not by the wave, in words; else none.
    """

    direction: int
    basis: str
    subspace: str
    character: tuple[int, int]
    share: float
    random: Band | None
    raw: Float
    ordered: Float
    orders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parts:
    """What divides a picture over all pairs into functions of the task's own group: x becomes Σ_r f_r ⟨f_r, x⟩.

    Attributes:
        elements_MM: The element of the pair at every place of a and b; −1 for none.
        functions_EK: Functions of all subspaces side by side, orthonormal over the pairs.
        ends_S: Where in them the functions of each own subspace end, in the order of the score.
    """

    elements_MM: Ints
    functions_EK: Float
    ends_S: Ints


@dataclass(frozen=True)
class OwnScore:
    """How the function that a run computes on test pairs divides over its task's own functions, at every snapshot.

    On train pairs it is a function of the answer as soon as these are learned by heart.

    Attributes:
        steps_T: Steps of the snapshots.
        labels: Names of the own functions, S of them.
        share_ST: Share of the centred logits' energy in each.
        chance: Share that values permuted among the inputs have in all of them together.
        waves_TMM: The function projected on the direction of answers along which it varies most in the end, by position
            of a and b on that wave, in units of its root mean square then; NaN for no value. None where not measured.
        parts: How that picture divides into own functions; None where not measured.
        orders: How a and b are ordered there where it is not by the wave, in words; else none.
    """

    steps_T: Ints
    labels: tuple[str, ...]
    share_ST: Float
    chance: float
    waves_TMM: Float | None
    parts: Parts | None = None
    orders: tuple[str, ...] = ()

    @property
    def own_T(self) -> Float:
        """Share in all own functions together."""
        whole_T: Float = self.share_ST.sum(axis=0)
        return whole_T


@dataclass(frozen=True)
class PublishedStatistic:
    """The published concentration F of a run's edge in its own basis, beside random directions.

    Attributes:
        own: Smallest and largest at the edge in the own basis.
        random: Of random directions in the own basis.
        above: How many edge directions lie above that band.
        directions: How many edge directions there are.
        best: The basis in which the edge's median is largest.
        of_best: Smallest and largest there.
    """

    own: tuple[float, float]
    random: Band
    above: int
    directions: int
    best: str
    of_best: tuple[float, float]


def bases(run: RunResult) -> list[str]:
    """Names of the bases a run was read in, its own first."""
    return sorted(run.modes["basis"].unique(), key=lambda name: name != run.structure)


def readings(run: RunResult, *, kind: str, basis: str, method: str) -> pd.DataFrame:
    """Rows of a run's modes of one kind of direction, in one basis, by one method, in order of direction."""
    modes = run.modes
    chosen = (modes["kind"] == kind) & (modes["basis"] == basis) & (modes["method"] == method)
    return modes[chosen].sort_values("direction")


def own_score(run: RunResult) -> OwnScore | None:
    """Read the score of a run in its task's own basis on pairs that it never saw; None where it was not measured."""
    score = run.table("score")
    if score.empty:
        return None
    rows = score[(score["basis"] == run.structure) & (score["readout"] == FUNCTION) & (score["half"] == "test")]
    rows = of_functions(rows)
    if rows.empty:
        return None
    table = rows.pivot(index="subspace", columns="step", values="share").reindex(list(dict.fromkeys(rows["subspace"])))
    chance = rows[rows["step"] == rows["step"].iloc[0]]["chance"].sum()
    labels = tuple(map(str, table.index))
    return OwnScore(
        table.columns.to_numpy(np.int64),
        labels,
        table.to_numpy(),
        float(chance),
        _waves(run),
        _parts(run, labels),
        _orders(run.table("forming").iloc[0]) if len(run.table("forming")) else (),
    )


def _waves(run: RunResult) -> Float | None:
    forming = run.table("forming")
    if forming.empty:
        return None
    steps, places = np.unique(forming["step"], return_inverse=True)
    side = _side(forming)
    waves = np.full((len(steps), side, side), np.nan)
    waves[places, forming["place_a"], forming["place_b"]] = forming["value"]
    return waves


def _side(forming: pd.DataFrame) -> int:
    """How many elements a and b have on the picture."""
    return int(forming[["place_a", "place_b"]].to_numpy().max()) + 1


def _parts(run: RunResult, labels: Sequence[str]) -> Parts | None:
    functions, forming = run.table("own_functions"), run.table("forming")
    if functions.empty or "element" not in forming:
        return None
    first = forming[forming["step"] == forming["step"].iloc[0]]
    elements_MM = np.full((_side(first),) * 2, -1)
    elements_MM[first["place_a"], first["place_b"]] = first["element"]
    of_column = functions.pivot(index=["subspace", "column"], columns="element", values="value")
    # A subspace whose functions those before it already hold has none of its own.
    held = [of_column[of_column.index.get_level_values("subspace") == label].to_numpy() for label in labels]
    return Parts(elements_MM, np.concatenate(held).T, np.cumsum([len(rows) for rows in held]))


def band(values: pd.Series) -> Band | None:
    """The 5%, 50% and 95% points; None without values."""
    if values.empty:
        return None
    low, median, high = values.quantile([0.05, 0.5, 0.95])
    return Band(float(low), float(median), float(high))


def white_noise_concentration(run: RunResult) -> float:
    """Mean of F for white noise over n = ⌊M/2⌋ frequencies, (1 + 1/2 + … + 1/n)/n (Fisher's g): not 1/n."""
    count = max(1, run.config.model.tokens // 2)
    return float(np.mean(1 / np.arange(1, count + 1)))


def selected_frequencies(run: RunResult) -> pd.DataFrame:
    """Return the rows of every frequency of the own variable, in order, with a column `selected`.

    Selected are those whose interval lies above 1 and of which the updates' share is more than noise has.
    """
    table = run.selection
    own = table[(table["basis"] == run.structure) & ~table["part"].astype(bool)].copy()
    own["selected"] = (own["low"] > 1) & (own["window_share"] > own["chance"])
    return own.sort_values("frequency")


def above_shuffled(runs: Runs) -> tuple[int, int]:
    """How many runs have two edge directions above all gradients for shuffled answers, of how many that generalised."""
    above, of = 0, 0
    for run in runs:
        edge, shuffled = (
            readings(run, kind=kind, basis=run.structure, method="jvp")["energy_share"] for kind in ("edge", "shuffled")
        )
        if run.grokked and len(edge) > 1 and len(shuffled):
            of += 1
            above += int(edge.nlargest(2).iloc[-1] > shuffled.max())
    return above, of


def published_statistic(run: RunResult) -> PublishedStatistic | None:
    """F of the edge as it is published, by a finite difference on the test pairs; None without random directions."""
    edge = {
        basis: readings(run, kind="edge", basis=basis, method="difference")["concentration"] for basis in bases(run)
    }
    own = edge[run.structure]
    random = band(readings(run, kind="random", basis=run.structure, method="difference")["concentration"])
    if random is None:
        return None
    best = max(edge, key=lambda basis: float(edge[basis].median()))
    return PublishedStatistic(
        own=(float(own.min()), float(own.max())),
        random=random,
        above=int((own > random.high).sum()),
        directions=len(own),
        best=best,
        of_best=(float(edge[best].min()), float(edge[best].max())),
    )


def pictures(run: RunResult) -> list[Picture]:
    """Pictures of a run, one per direction that was recorded."""
    characters = run.characters
    null = band(characters.loc[characters["kind"] == "random", "character_share"])
    drawn = []
    for direction, table in run.waves.groupby("direction"):
        seen = characters[(characters["kind"] == "edge") & (characters["direction"] == direction)].iloc[0]
        inside = table[(table["phase_a"] >= 0) & (table["phase_b"] >= 0)]
        rows = inside.groupby("a")["phase_a"].first().sort_values(kind="stable").index
        columns = inside.groupby("b")["phase_b"].first().sort_values(kind="stable").index
        drawn.append(
            Picture(
                direction=int(seen["direction"]),
                basis=str(seen["basis"]),
                subspace=str(seen["subspace"]),
                character=(int(seen["character_a"]), int(seen["character_b"])),
                share=float(seen["character_share"]),
                random=null,
                raw=_picture(table).to_numpy(dtype=np.float64),
                ordered=_picture(inside).loc[rows, columns].to_numpy(dtype=np.float64),
                orders=_orders(seen),
            )
        )
    return drawn


def _orders(row: pd.Series) -> tuple[str, ...]:
    """The orders of a and b in a row of a table that has them; none where there are none."""
    return tuple(str(row[name]) for name in ORDERS if row.get(name))


def _picture(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index="a", columns="b", values="value")
