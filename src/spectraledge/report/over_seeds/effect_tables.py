"""Tables over seeds, declared row by row: a label, an effect and the runs it is summarised in; nothing is computed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf, isnan, nan
from typing import Any

import pandas as pd

from spectraledge.analyses.readings import white_noise_concentration
from spectraledge.claims.effects import Unit
from spectraledge.claims.summaries import LEVEL, MeasuredEffects, Summary
from spectraledge.claims.verdicts import Verdicts
from spectraledge.pages.document import Column, Rows, Table
from spectraledge.report.words import NONE, decimal, figures, modes_window, percent, ratio, spread, whole
from spectraledge.studies.results import StudyResult

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
class Source:
    """What a report is made from: the finished runs, and what their seeds say of the claims."""

    study: StudyResult
    verdicts: Verdicts

    @property
    def effects(self) -> MeasuredEffects:
        """What was measured in every run."""
        return self.verdicts.effects

    @property
    def noise(self) -> float:
        """Mean of F for white noise; missing without runs."""
        return white_noise_concentration(self.study.runs[0]) if self.study.runs else nan

    def said(self, words: str) -> str:
        """Words with the study's own `{noise}` and `{window}`."""
        return words.format(noise=decimal(self.noise), window=modes_window(self.study))


@dataclass(frozen=True)
class EffectRow:
    """A row: labels, an effect in a condition, what is published of it, and effects whose nulls it has too."""

    labels: tuple[str, ...]
    effect: str
    of: str
    published: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class EffectTable:
    """A table of effects over seeds, those that were measured; its note as `Source.said`; others: headings of nulls."""

    key: str
    title: str
    labels: tuple[str, ...]
    rows: tuple[EffectRow, ...]
    null: str
    note: str
    others: tuple[str, ...] = ()
    extents: bool = False

    def __call__(self, source: Source) -> Table | None:
        """Put the summaries of its effects into words; None where nothing was measured."""
        effects = source.effects
        found = [(row, summary) for row in self.rows if (summary := effects.summary(row.effect, row.of)).seeds]
        if not found:
            return None
        published = any(row.published for row, _ in found)
        labels = (*self.labels, *(("generalised", "lowest to highest run") if self.extents else ()))
        cells, numbers = [], []
        for row, summary in found:
            unit = effects.declared[row.effect].unit
            form = _FORMS[unit]
            said = (*row.labels, *(self._extent(row, effects) if self.extents else ()))
            nulls = [effects.summary(other, row.of).measured_null for other in row.others]
            shown = [mean_words(summary, form), str(summary.seeds), form(summary.measured_null), *map(form, nulls)]
            cells.append((*said, *shown, *([row.published or NONE] if published else [])))
            numbers.append(
                dict(zip(labels, said, strict=True))
                | mean_numbers(summary, row.effect, row.of, unit)
                | {"null": summary.measured_null}
                | dict(zip(self.others, nulls, strict=True))
                | ({"published": row.published} if published else {})
            )
        headings = (f"ours (mean, {LEVEL:.0%} interval over seeds)", "seeds", self.null, *self.others)
        columns = [*map(Column, labels), *(Column(name, "number") for name in headings)]
        columns += [Column("published")] if published else []
        return worded(self.key, self.title, columns, cells, numbers, note=source.said(self.note))

    def _extent(self, row: EffectRow, effects: MeasuredEffects) -> tuple[str, str]:
        extent = effects.extent(row.effect, row.of)
        return f"{extent.learned} of {extent.runs}", spread(extent.lowest, extent.highest, figures)


def interval(low: float, high: float, form: Form) -> str:
    """An interval over seeds in parentheses, or why there is none."""
    if isnan(low) or isnan(high):
        return "one seed"
    return "seeds alike" if isinf(high) else f"{form(low)} to {form(high)}"


def mean_words(summary: Summary, form: Form) -> str:
    """The mean of a value over seeds with its interval."""
    return f"{form(summary.measured)} ({interval(summary.measured_low, summary.measured_high, form)})"


def mean_numbers(summary: Summary, effect: str, of: str, unit: str) -> dict[str, Any]:
    """The numbers behind the words of a mean, and what they are of."""
    ends = {"value": summary.measured, "low": summary.measured_low, "high": summary.measured_high}
    return {"effect_id": effect, "of": of, "unit": unit, "seeds": summary.seeds, **ends}


def worded(
    key: str, title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], numbers: Any, *, note: str
) -> Table:
    """A table of words with the numbers behind them."""
    return Table(key, title, tuple(columns), (Rows.of("", rows),), note, numbers=pd.DataFrame(numbers), sparse=True)
