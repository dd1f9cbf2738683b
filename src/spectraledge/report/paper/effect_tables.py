"""Tables over seeds, declared row by row: a label, an effect and the runs it is summarised in; nothing is computed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf, isnan
from typing import Any

import pandas as pd

from spectraledge.claims.effects import Unit
from spectraledge.claims.summaries import LEVEL, MeasuredEffects, Summary
from spectraledge.report.document import Column, Rows, Table
from spectraledge.report.words import NONE, decimal, figures, percent, ratio, whole

Form = Callable[[float], str]

_FORMS: Mapping[Unit, Form] = {
    "share": percent,
    "F": decimal,
    "R²": decimal,
    "index": decimal,
    "ratio": ratio,
    "steps": whole,
    "count": figures,
    "rank": figures,
    "rate": "{:.0%}".format,
}
"""How values of each unit are written."""


@dataclass(frozen=True)
class EffectRow:
    """A row of a table.

    Attributes:
        labels: What it is of, in words; one for each column of labels.
        effect: Id of the effect.
        of: Key of the condition.
        published: What Xu 2026 has beside it; "" for nothing.
        others: Ids of effects whose nulls stand beside its own.
    """

    labels: tuple[str, ...]
    effect: str
    of: str
    published: str = ""
    others: tuple[str, ...] = ()


def interval(low: float, high: float, form: Form) -> str:
    """An interval over seeds in parentheses, or why there is none."""
    if isnan(low) or isnan(high):
        return "one seed"
    return "seeds alike" if isinf(high) else f"{form(low)} to {form(high)}"


def mean_words(summary: Summary, form: Form) -> str:
    """The mean of a value over seeds with its interval."""
    return f"{form(summary.measured)} ({interval(summary.measured_low, summary.measured_high, form)})"


def worded(
    key: str, title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], numbers: Any, *, note: str
) -> Table:
    """A table of words with the numbers behind them."""
    return Table(key, title, tuple(columns), (Rows.of("", rows),), note, numbers=pd.DataFrame(numbers), sparse=True)


def effect_table(
    effects: MeasuredEffects,
    key: str,
    title: str,
    labels: Sequence[str],
    rows: Iterable[EffectRow],
    *,
    null: str,
    note: str,
    others: Sequence[str] = (),
) -> Table | None:
    """Put summaries of effects into words.

    Args:
        effects: What was measured.
        key: File name.
        title: What the table shows.
        labels: Headings of the columns of labels.
        rows: Its rows; those of which nothing was measured are left out.
        null: Heading of the null.
        note: What a reader must know.
        others: Headings of other nulls.

    Returns:
        The table; None without rows.
    """
    found = [(row, summary) for row in rows if (summary := effects.summary(row.effect, row.of)).seeds]
    if not found:
        return None
    published = any(row.published for row, _ in found)
    cells, numbers = [], []
    for row, summary in found:
        unit = effects.declared[row.effect].unit
        form = _FORMS[unit]
        nulls = [effects.summary(other, row.of).measured_null for other in row.others]
        shown = [mean_words(summary, form), str(summary.seeds), form(summary.measured_null), *map(form, nulls)]
        cells.append((*row.labels, *shown, *([row.published or NONE] if published else [])))
        numbers.append(
            dict(zip(labels, row.labels, strict=True))
            | mean_numbers(summary, row.effect, row.of, unit)
            | {"null": summary.measured_null}
            | dict(zip(others, nulls, strict=True))
            | ({"published": row.published} if published else {})
        )
    headings = (f"ours (mean, {LEVEL:.0%} interval over seeds)", "seeds", null, *others)
    columns = [*map(Column, labels), *(Column(name, "number") for name in headings)]
    columns += [Column("published")] if published else []
    return worded(key, title, columns, cells, numbers, note=note)


def mean_numbers(summary: Summary, effect: str, of: str, unit: str) -> dict[str, Any]:
    """The numbers behind the words of a mean, and what they are of."""
    ends = {"value": summary.measured, "low": summary.measured_low, "high": summary.measured_high}
    return {"effect_id": effect, "of": of, "unit": unit, "seeds": summary.seeds, **ends}
