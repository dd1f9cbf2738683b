"""Numbers and settings as words: one spelling each, so that text, tables and figures agree."""

import math
from collections.abc import Callable, Iterable, Sequence

from spectraledge.analyses.readings import Band
from spectraledge.studies.results import StudyResult

NONE = "–"


def listing(items: Sequence[str]) -> str:
    """Items as a list in a sentence."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


def distinct(words: Iterable[str]) -> str:
    """Each of some words once."""
    return "; ".join(dict.fromkeys(words))


def counted(count: int, noun: str) -> str:
    """A number of things."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted_of(count: int, of: int, noun: str) -> str:
    """A number of things out of all of them: 3 of the 6 runs, 1 of 1 runs."""
    return f"{count} of the {counted(of, noun)}" if of > 1 else f"{count} of {of} {noun}s"


def step_word(step: int) -> str:
    """A training step."""
    return f"step {step:,}"


def percent(share: float) -> str:
    """A share in percent, with one decimal."""
    return NONE if math.isnan(share) else _signed(share * 100, "z.1f") + "%"


def decimal(value: float) -> str:
    """A number with three decimals."""
    return NONE if math.isnan(value) else _signed(value, "z.3f")


def ratio(value: float) -> str:
    """A ratio with three digits: 1.48, 12.3, 123."""
    if math.isnan(value):
        return NONE
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def spread(low: float, high: float, form: Callable[[float], str]) -> str:
    """From one number to another."""
    return NONE if math.isnan(low) or math.isnan(high) else f"{form(low)} to {form(high)}"


def hundredths(value: float) -> str:
    """A number with two decimals."""
    return NONE if math.isnan(value) else _signed(value, "z.2f")


def figures(value: float) -> str:
    """A number with three digits, or all of its whole ones: 0.0123, 1.23, 1,234."""
    return NONE if math.isnan(value) else _signed(value, ",.0f" if abs(value) >= 999.5 else ".3g")


def whole(value: float) -> str:
    """A whole number."""
    return NONE if math.isnan(value) else _signed(value, ",.0f")


def probability(value: float) -> str:
    """A p- or q-value with two digits."""
    return NONE if math.isnan(value) else f"{value:.2g}"


def statistic(claim: str, value: float) -> str:
    """A claim's statistic in its unit."""
    if math.isnan(value):
        return NONE
    if claim == "generalises":
        return step_word(round(value))
    if claim == "right-basis":
        return f"{value:.2f}×"
    if claim == "selects-own-functions":
        return ratio(value)
    return percent(value) if claim in ("own-variable", "edge-over-bulk", "one-wave") else decimal(value)


def concentration_range(band: Band | None) -> str:
    """Median and 5–95% range of F."""
    return NONE if band is None else f"{decimal(band.median)} ({decimal(band.low)}–{decimal(band.high)})"


def modes_window(study: StudyResult) -> str:
    """The window that modes are taken from."""
    return _window(study.config.analysis.window, study.config.analysis.center_modes)


def spectrum_window(study: StudyResult) -> str:
    """The window that eigenvalues over time are taken from."""
    return _window(study.config.analysis.window, study.config.analysis.center_spectrum)


def _window(window: int, center: bool) -> str:
    return f"window of W = {window} updates, {'centred' if center else 'not centred'}"


def _signed(value: float, form: str) -> str:
    return format(value, form).replace("-", "−")


def sentence(words: str) -> str:
    """Words that begin a sentence."""
    return words[:1].upper() + words[1:]
