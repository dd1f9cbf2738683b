"""The figures that set the edge against null directions: energy share and concentration, per run and basis."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from spectraledge.analyses.readings import band, bases, readings, white_noise_concentration
from spectraledge.analyses.run_result import RunResult
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.lane_plot import lane_plot
from spectraledge.pages.marks import CIRCLE, DIAMOND, TRIANGLE_DOWN, Mark, shape
from spectraledge.pages.style import INK, KIND_COLOURS
from spectraledge.report.run_names import function_label, own_variables, published_modes, titles
from spectraledge.report.words import listing, modes_window, step_word
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import basis_formula

_SHARE_AXIS = "energy share, corrected for chance (%)"
_CONCENTRATION_AXIS = "concentration F (no unit)"
_PADDING = 0.06
_SAME_DIGITS = 9
_DIFFERENCE = "difference"

_NULLS = ("bulk", "span", "random")
"""Kinds of directions that the edge is compared with."""

_LEAD_NULLS = (*_NULLS, "block", "run_span")
"""Kinds that it is compared with in the lead figure."""

_NULL_WORDS = {
    "bulk": ("bulk", "bulk directions of the same window"),
    "span": ("span", "random directions in the window's span"),
    "random": ("random", "random directions in parameter space"),
    "block": ("block norms", "random directions with the edge's norm in every tensor"),
    "run_span": ("run span", "random directions in the span of all updates up to the step"),
}
"""Lane and meaning of each null."""

_SINGLES = {
    "weights": ("weights", Mark("the weights themselves", INK, DIAMOND)),
    "gradient": ("gradient", Mark("gradient of the training loss", INK, TRIANGLE_DOWN)),
    "shuffled": ("shuffled labels", Mark("gradients of the loss with shuffled labels", INK, CIRCLE, hollow=True)),
}
"""Lane and mark of kinds whose few directions are shown one by one."""

Rows = list[dict[str, Any]]


def own_basis_figure(study: StudyResult) -> Figure:
    """The lead figure: the edge's energy share in every run's own basis, against null directions."""
    named = titles(study)
    rows = [
        {"group": named[run.run_id], **row}
        for run in study.runs
        for row in (*_rows(run, run.structure, "energy_share", "jvp", _LEAD_NULLS), *_single_rows(run))
    ]
    marks = _edge_marks(study) | _null_marks(study, _LEAD_NULLS) | _single_marks(study)
    steps = listing([f"{run.modes_step:,}" for run in study.runs])
    chart = [_chart("Share in the task's own basis", rows, marks, share=True)] if rows else []
    return Figure(
        key="shares",
        title="How much of each direction's effect is a function of the task's own variable",
        caption=(
            f"Energy share: the part of a direction's vector response, over all input pairs, that is a function of the "
            f"task's own variable ({own_variables(study.runs)}), corrected for chance. Exact derivative (jvp), "
            f"{modes_window(study)}, at steps {steps} from top to bottom. Bands: 5–95% of the null directions, tick at "
            f"their median. A trained network's Jacobian is structured too, so directions without any role have some "
            f"share there; weights and gradients have a role of their own and are no nulls."
        ),
        nothing="the edge's marks would lie inside the bands below them.",
        panels=tuple(Panel((one,)) for one in chart),
        entries=tuple(marks.values()),
    )


def right_basis_figure(study: StudyResult) -> Figure:
    """The figure of the paper: F under each basis, with the energy share beside it, for runs that generalised."""
    runs = [run for run in study.runs if run.grokked]
    named = titles(study)
    noise = white_noise_concentration(runs[0]) if runs else 0.0
    published = {f"published {k}": _published_mark(k) for k in _directions(study)}
    marks = _edge_marks(study) | published | _null_marks(study, _NULLS)
    columns = {"concentration": "Concentration F", "energy_share": "Energy share"}
    rows = {column: {run.run_id: _in_bases(run, column) for run in runs} for column in columns}
    limits = {column: _limits([row for of_run in rows[column].values() for row in of_run]) for column in columns}
    return Figure(
        key="bases",
        title="The same modes under the wrong and the right basis: F and energy share",
        caption=(
            f"F, the published statistic, is the share of the largest Fourier frequency ω in the group means of ‖R‖²; "
            f"beside each direction stands that ω, or the representation of a group. Published method: finite "
            f"difference, test pairs, {modes_window(study)}, at the step in each panel's title. Line in F: its mean "
            f"for white noise, {noise:.3f}. Line in the share: 0. Published values (seed 42) where there are any. F is "
            f"relative to what varies between groups, however little that is: where the share is near 0, F describes "
            f"next to nothing. And ‖R‖² is a square: a response at ω often shows at 2ω."
        ),
        nothing=(
            "F of the edge would lie inside the bands of random directions, and so would its energy share. "
            "Read the two side by side: a large F that random directions reach as well says nothing about the edge."
        ),
        panels=tuple(
            Panel(
                tuple(
                    _chart(
                        title,
                        rows[column][run.run_id],
                        marks,
                        share=column == "energy_share",
                        limits=limits[column],
                        reference=noise if column == "concentration" else 0.0,
                    )
                    for column, title in columns.items()
                ),
                f"{named[run.run_id]}, {step_word(run.modes_step)}",
                across=2,
            )
            for run in runs
        ),
        entries=(*_edge_marks(study).values(), _published_mark(1), *_null_marks(study, _NULLS).values()),
    )


def _rows(run: RunResult, basis: str, column: str, method: str, nulls: Sequence[str] = _NULLS) -> Rows:
    """Edge directions one by one, with what is published of them, then nulls as bands."""
    compared = column == "concentration"
    published = {(mode.basis, mode.direction): mode for mode in published_modes(run) if mode.kind == "edge"}
    rows: Rows = []
    for _, row in readings(run, kind="edge", basis=basis, method=method).iterrows():
        direction = int(row["direction"])
        label = f"v{direction}" + (f", {function_label(row['subspace'])}" if compared else "")
        rows.append({"lane": label, "mark": f"v{direction}", "value": float(row[column]), "name": label})
        known = published.get((basis, direction))
        if compared and known and known.concentration is not None:
            name = f"v{direction} published" + (f", ω {known.frequency}" if known.frequency else "")
            value = {"value": known.concentration, "name": name}
            rows.append({"lane": label, "mark": f"published {direction}", **value})
    for kind in nulls:
        found = band(readings(run, kind=kind, basis=basis, method=method)[column])
        if found:
            lane, words = _NULL_WORDS[kind]
            ends = {"value": found.median, "low": found.low, "high": found.high}
            rows.append({"lane": lane, "mark": kind, **ends, "name": words})
    return rows


def _single_rows(run: RunResult) -> Iterator[dict[str, Any]]:
    for kind, (lane, mark) in _SINGLES.items():
        for share in readings(run, kind=kind, basis=run.structure, method="jvp")["energy_share"].dropna():
            yield {"lane": lane, "mark": kind, "value": float(share), "name": mark.label}


def _in_bases(run: RunResult, column: str) -> Rows:
    """Rows under every basis, own first; bases in which all values are the same share a heading."""
    merged: dict[tuple[float, ...], list[str]] = {}
    for basis in bases(run):
        rows = [row for one in ("concentration", "energy_share") for row in _rows(run, basis, one, _DIFFERENCE)]
        values = (row["value"] for row in rows if not row["mark"].startswith("published"))
        merged.setdefault(tuple(round(value, _SAME_DIGITS) for value in values), []).append(basis)
    return [
        {"group": _heading(run, names), "own": run.structure in names, **row}
        for names in merged.values()
        for row in _rows(run, names[0], column, _DIFFERENCE)
    ]


def _heading(run: RunResult, names: Sequence[str]) -> str:
    return ", ".join(basis_formula(name) + (" (own)" if name == run.structure else "") for name in names)


def _limits(rows: Rows) -> tuple[float, float]:
    values = [row[end] for row in rows for end in ("value", "low", "high") if end in row]
    low, high = min([0.0, *values]), max([0.05, *values])
    return low - _PADDING * (high - low), high + _PADDING * (high - low)


def _chart(
    title: str,
    rows: Rows,
    marks: dict[str, Mark],
    *,
    share: bool,
    limits: tuple[float, float] | None = None,
    reference: float = 0.0,
) -> Chart:
    return lane_plot(
        pd.DataFrame(rows),
        marks,
        axis=_SHARE_AXIS if share else _CONCENTRATION_AXIS,
        words=title,
        title="" if limits is None else title,
        limits=limits or _limits(rows),
        percent=share,
        reference=reference,
        emphasised={row["group"] for row in rows if row.get("own")},
    )


def _directions(study: StudyResult) -> range:
    return range(1, study.config.analysis.edge + 1)


def _edge_marks(study: StudyResult) -> dict[str, Mark]:
    return {f"v{k}": Mark(f"edge v{k}", KIND_COLOURS["edge"], shape(k)) for k in _directions(study)}


def _published_mark(direction: int) -> Mark:
    return Mark("published F", INK, shape(direction), hollow=True)


def _null_marks(study: StudyResult, kinds: Sequence[str]) -> dict[str, Mark]:
    there = _present(study)
    return {kind: Mark(": ".join(_NULL_WORDS[kind]), KIND_COLOURS[kind], band=True) for kind in kinds if kind in there}


def _single_marks(study: StudyResult) -> dict[str, Mark]:
    there = _present(study)
    return {kind: mark for kind, (_, mark) in _SINGLES.items() if kind in there}


def _present(study: StudyResult) -> set[str]:
    return {str(kind) for run in study.runs for kind in run.modes["kind"].unique()}
