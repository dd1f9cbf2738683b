"""Readings of a study's tables that figures, tables and text share."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.published import MODES, PublishedMode
from spectraledge.models import TransformerConfig
from spectraledge.report.charts import Band, Float
from spectraledge.report.words import listing
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import GROUPINGS

NULL_KINDS = ("bulk", "span", "random")
"""Kinds of directions that the edge is compared with."""

LEAD_NULL_KINDS = (*NULL_KINDS, "block", "run_span")
"""Kinds that it is compared with in the lead figure."""

SINGLE_KINDS = ("weights", "gradient", "shuffled")
"""Kinds whose few directions are shown one by one."""

OWN = "own functions"
"""All functions of a task's own variable, in figures and tables."""

_PUBLISHED_MODULUS = 97
_PUBLISHED_DECAY = 1.0


def titles(study: StudyResult) -> dict[str, str]:
    """Title of each finished run by run id, with what else is needed to tell runs apart."""
    several_seeds = len({run.config.seed for run in study.runs}) > 1
    short = {run.run_id: run.title + (f", seed {run.config.seed}" if several_seeds else "") for run in study.runs}
    repeated = Counter(short.values())
    return {run_id: f"{title} ({run_id[-8:]})" if repeated[title] > 1 else title for run_id, title in short.items()}


def basis_label(name: str) -> str:
    """A basis as a person writes it."""
    return GROUPINGS[name].formula if name in GROUPINGS else name


def own_variables(runs: Iterable[RunResult]) -> str:
    """The own variable of every task, as a list in a sentence."""
    own = {run.formula: basis_label(run.structure) for run in runs}
    return listing([name if name == formula else f"{name} for {formula}" for formula, name in own.items()])


def bases(run: RunResult) -> list[str]:
    """Names of the bases a run was read in, its own first."""
    return sorted(run.modes["basis"].unique(), key=lambda name: name != run.structure)


def readings(run: RunResult, *, kind: str, basis: str, method: str) -> pd.DataFrame:
    """Rows of a run's modes of one kind of direction, in one basis, by one method, in order of direction."""
    modes = run.modes
    chosen = (modes["kind"] == kind) & (modes["basis"] == basis) & (modes["method"] == method)
    return modes[chosen].sort_values("direction")


@dataclass(frozen=True)
class Selected:
    """Selection ratio of some functions in one run.

    Attributes:
        label: Which functions.
        own: Whether they are those of the task's own variable.
        row: Their row of the table of selection.
    """

    label: str
    own: bool
    row: pd.Series


def selected_parts(run: RunResult) -> list[Selected]:
    """The own functions as a whole, then the parts of the pairs that are not those, in the order of tables."""
    if run.selection.empty:
        return []
    wholes = run.selection[run.selection["part"]]
    own = wholes[(wholes["basis"] == run.structure) & (wholes["subspace"] == WHOLE)]
    found = [Selected(OWN, True, row) for _, row in own.iterrows()]
    lines = wholes[(wholes["family"] == "pairs") & (wholes["grouping"] != run.structure)]
    found += [Selected(str(row["functions"]), False, row) for _, row in lines.iterrows()]
    order = ("frequency", "a", "b", "sum", "difference", "rest")
    return sorted(found, key=lambda part: order.index(part.row["subspace"]))


def selected_frequencies(run: RunResult) -> pd.DataFrame:
    """Rows of every frequency of the own variable, with a column `selected`.

    Selected are those whose interval lies above 1 and of which the updates' share is more than noise has.

    Args:
        run: A run whose selection was measured.

    Returns:
        The rows, in order of frequency.
    """
    table = run.selection
    own = table[(table["basis"] == run.structure) & ~table["part"].astype(bool)].copy()
    own["selected"] = (own["low"] > 1) & (own["window_share"] > own["chance"])
    return own.sort_values("frequency")


def quantiles(values: pd.Series) -> Band | None:
    """The 5%, 50% and 95% points; None without values."""
    if values.empty:
        return None
    low, median, high = values.quantile([0.05, 0.5, 0.95])
    return Band(float(low), float(median), float(high))


def white_noise_concentration(run: RunResult) -> float:
    """Mean of F for white noise over n = ⌊M/2⌋ frequencies, (1 + 1/2 + … + 1/n)/n (Fisher's g): not 1/n."""
    count = max(1, run.config.model.tokens // 2)
    return float(np.mean(1 / np.arange(1, count + 1)))


def published_modes(run: RunResult) -> list[PublishedMode]:
    """Published modes of a run's task; none for runs of another kind than the published ones (Xu 2026, §2)."""
    model = run.config.model
    same = model.tokens == _PUBLISHED_MODULUS and run.config.weight_decay == _PUBLISHED_DECAY
    alike = same and isinstance(model, TransformerConfig)
    return [mode for mode in MODES if mode.task == run.config.task] if alike and run.grokked else []


def curve(table: pd.DataFrame, column: str, *, positive: bool = False) -> Float:
    """Values of a column as float64; missing ones, and with `positive` those a log axis cannot show, are NaN."""
    values = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(values > 0, values, np.nan) if positive else values


@dataclass(frozen=True)
class Picture:
    """The response of one edge direction as a picture over the inputs.

    Attributes:
        direction: 1-based.
        basis: The basis's formula.
        frequency: Dominant frequency in it.
        character: The 2-D character (ω_a, ω_b) with the largest share.
        share: Share of the picture's energy that it holds.
        random: The same share for random directions in parameter space, if there are any.
        raw: Values, row a, column b; NaN for a pair outside the domain.
        ordered: The same with rows and columns sorted by their position on the wave.
    """

    direction: int
    basis: str
    frequency: int
    character: tuple[int, int]
    share: float
    random: Band | None
    raw: Float
    ordered: Float


def pictures(run: RunResult) -> list[Picture]:
    """Pictures of a run, one per direction that was recorded."""
    characters = run.characters
    null = quantiles(characters.loc[characters["kind"] == "random", "character_share"])
    drawn = []
    for direction, table in run.waves.groupby("direction"):
        seen = characters[(characters["kind"] == "edge") & (characters["direction"] == direction)].iloc[0]
        inside = table[(table["phase_a"] >= 0) & (table["phase_b"] >= 0)]
        rows = inside.groupby("a")["phase_a"].first().sort_values(kind="stable").index
        columns = inside.groupby("b")["phase_b"].first().sort_values(kind="stable").index
        drawn.append(
            Picture(
                direction=int(seen["direction"]),
                basis=basis_label(str(seen["basis"])),
                frequency=int(seen["frequency"]),
                character=(int(seen["character_a"]), int(seen["character_b"])),
                share=float(seen["character_share"]),
                random=null,
                raw=_picture(table).to_numpy(dtype=np.float64),
                ordered=_picture(inside).loc[rows, columns].to_numpy(dtype=np.float64),
            )
        )
    return drawn


def _picture(table: pd.DataFrame) -> pd.DataFrame:
    return table.pivot(index="a", columns="b", values="value")
