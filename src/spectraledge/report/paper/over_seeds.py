"""Numbers over seeds: one row per thing that is said, with its interval, its null and what was published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.claims.verdicts import LEVEL
from spectraledge.report.paper.model import Table
from spectraledge.report.words import NONE, decimal, figures, hundredths, percent, probability, ratio, whole
from spectraledge.statistics import mean_estimate

Form = Callable[[float], str]

SEED = "seed"

_NUMBERS = ("seeds", "value", "low", "high", "null")

_FORMS: dict[str, Form] = {
    "share": percent,
    "F": decimal,
    "R²": hundredths,
    "ratio": ratio,
    "steps": whole,
    "number": figures,
    "p": probability,
}


def over_seeds(
    table: pd.DataFrame, by: Sequence[str], *, value: str = "value", null: str = "null", logarithmic: bool = False
) -> pd.DataFrame:
    """Means over seeds with intervals by Student's t; what one seed has several of is averaged within it first.

    Args:
        table: One or more rows per seed and label; columns of labels, `seed`, value and null.
        by: Columns of labels.
        value: Column of values.
        null: Column of nulls; may be missing.
        logarithmic: Whether means are geometric.

    Returns:
        One row per label in the order of the table: labels, seeds (with a finite value), value, low, high (missing
        below two seeds, infinite where seeds do not differ), null (mean over seeds).
    """
    columns = [*by, *_NUMBERS]
    if table.empty:
        return pd.DataFrame(columns=columns)
    scored = pd.DataFrame({name: table[name] for name in (*by, SEED)})
    for name, source in (("value", value), ("null", null)):
        numbers = table[source].astype(float) if source in table else pd.Series(np.nan, index=table.index)
        with np.errstate(divide="ignore", invalid="ignore"):
            scored[name] = np.log(numbers) if logarithmic else numbers
    scored = scored.replace([np.inf, -np.inf], np.nan)
    rows = []
    for labels, part in scored.groupby(list(by), sort=False, dropna=False):
        seeds = part.groupby(SEED)[["value", "null"]].mean()
        values = seeds["value"].dropna().to_numpy()
        if not len(values):
            continue
        nulls = seeds["null"].dropna()
        ends = (np.nan, np.nan)
        if len(values) > 1:
            found = mean_estimate(values, level=LEVEL)
            ends = (found.low, found.high)
        estimated = np.array([values.mean(), *ends, nulls.mean() if len(nulls) else np.nan])
        rows.append((*labels, len(values), *(np.exp(estimated) if logarithmic else estimated)))
    return pd.DataFrame(rows, columns=columns)


def interval(low: float, high: float, form: Form) -> str:
    """An interval over seeds in parentheses, or why there is none."""
    if np.isnan(low) or np.isnan(high):
        return "one seed"
    if np.isinf(high):
        return "seeds alike"
    return f"{form(low)} to {form(high)}"


@dataclass(frozen=True)
class Words:
    """How a table over seeds is put into words.

    Attributes:
        labels: Columns of labels and their headings.
        null: Heading of the null.
        published: Whether the numbers have a column of published values.
    """

    labels: Mapping[str, str]
    null: str
    published: bool = True


def seeds_table(key: str, title: str, numbers: pd.DataFrame, words: Words, *, note: str) -> Table:
    """Put numbers over seeds into words.

    Args:
        key: File name.
        title: What it shows.
        numbers: What `over_seeds` gives, with columns `unit` (see `_FORMS`) and, if the words say so, `published`.
        words: Labels and headings.
        note: What a reader must know.

    Returns:
        The table.
    """
    headings = [*words.labels.values(), f"ours (mean, {LEVEL:.0%} interval over seeds)", "seeds", words.null]
    headings += ["published"] if words.published else []
    rows = []
    for row in numbers.to_dict("records"):
        form = _FORMS[row["unit"]]
        cells = [str(row[name]) for name in words.labels]
        cells += [f"{form(row['value'])} ({interval(row['low'], row['high'], form)})", str(row["seeds"])]
        cells += [form(row["null"])]
        rows.append((*cells, *([row["published"] or NONE] if words.published else [])))
    count = len(words.labels)
    return Table(
        key,
        title,
        tuple(headings),
        tuple(rows),
        tuple(count <= place < count + 3 for place in range(len(headings))),
        note,
        numbers,
    )
