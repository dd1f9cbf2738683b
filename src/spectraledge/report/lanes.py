"""The figures that set the edge against null directions: energy share and concentration, per run and basis."""

from collections.abc import Iterable

from spectraledge.report.charts import FigureSpec, Group, KeyEntry, Lane, LaneChart, Panel, Point
from spectraledge.report.data import (
    NULL_KINDS,
    bases,
    basis_label,
    published_modes,
    quantiles,
    readings,
    titles,
    white_noise_concentration,
)
from spectraledge.report.style import INK, KIND_COLOURS, shape
from spectraledge.report.words import listing, modes_window, step_word
from spectraledge.studies.results import RunResult, StudyResult

_SHARE_AXIS = "energy share, corrected for chance (%)"
_CONCENTRATION_AXIS = "concentration F (no unit)"
_PADDING = 0.06
_SAME_DIGITS = 9

NULL_WORDS = {
    "bulk": "bulk directions of the same window",
    "span": "random directions in the window's span",
    "random": "random directions in parameter space",
}


def own_basis_figure(study: StudyResult) -> FigureSpec:
    """The lead figure: the edge's energy share in every run's own basis, against null directions."""
    named = titles(study)
    groups = [Group(named[run.run_id], _lanes(run, run.structure, "energy_share", "jvp")) for run in study.runs]
    steps = listing([f"{run.modes_step:,}" for run in study.runs])
    own = listing([_own_variable(run) for run in _one_per_task(study.runs)])
    charts = [_chart("Share in the task's own basis", groups, share=True)] if groups else []
    return FigureSpec(
        key="shares",
        title="How much of each direction's effect is a function of the task's own variable",
        caption=(
            f"Energy share: the part of a direction's vector response, over all input pairs, that is a function of the "
            f"task's own variable ({own}), corrected for chance. Exact derivative (jvp), {modes_window(study)}, at "
            f"steps {steps} from top to bottom. Bands: 5–95% of the null directions, tick at their median."
        ),
        nothing="the edge's marks would lie inside the three bands below them.",
        entries=(*_edge_entries(study), *_null_entries(study)),
        panels=tuple(Panel("", (chart,)) for chart in charts),
        beside=True,
    )


def all_bases_figure(study: StudyResult) -> FigureSpec:
    """The edge's energy share in every basis, one panel per run."""
    named = titles(study)
    per_run = [_groups(run, _rows(run, ("energy_share",), "jvp"), "energy_share", "jvp") for run in study.runs]
    limits = _limits([group for groups in per_run for group in groups])
    return FigureSpec(
        key="shares_by_basis",
        title="The same share in every basis",
        caption=(
            f"As in the figure before, in each basis that was tried; the task's own is tinted. Exact derivative (jvp), "
            f"{modes_window(study)}, at the step in each panel's title. The share depends only on which pairs a basis "
            f"puts together, not on how it numbers them, so bases that put the same pairs together share one row."
        ),
        nothing="the edge's marks would lie inside the bands below them in the tinted rows too.",
        entries=(*_edge_entries(study), *_null_entries(study)),
        panels=tuple(
            Panel(
                f"{named[run.run_id]}, {step_word(run.modes_step)}",
                (_chart("Energy share", groups, share=True, limits=limits),),
            )
            for run, groups in zip(study.runs, per_run, strict=True)
        ),
    )


def right_basis_figure(study: StudyResult) -> FigureSpec:
    """The figure of the paper: F under each basis, with the energy share beside it, for runs that generalised."""
    runs = [run for run in study.runs if run.grokked]
    named = titles(study)
    rows = {run.run_id: _rows(run, ("concentration", "energy_share"), "difference") for run in runs}
    concentration = {run.run_id: _groups(run, rows[run.run_id], "concentration", "difference") for run in runs}
    share = {run.run_id: _groups(run, rows[run.run_id], "energy_share", "difference") for run in runs}
    limits = {
        "concentration": _limits([group for groups in concentration.values() for group in groups]),
        "energy_share": _limits([group for groups in share.values() for group in groups]),
    }
    noise = white_noise_concentration(runs[0]) if runs else 0.0
    return FigureSpec(
        key="bases",
        title="The same modes under the wrong and the right basis: F and energy share",
        caption=(
            f"F, the published statistic, is the share of the largest Fourier frequency ω in the group means of ‖R‖²; "
            f"the number beside each direction is that ω. Published method: finite difference, test pairs, "
            f"{modes_window(study)}, at the step in each panel's title. Line in F: its mean for white noise, "
            f"{noise:.3f}. Line in the share: 0. Published values (seed 42) where there are any. F is relative to what "
            f"varies between groups, however little that is: where the share is near 0, F describes next to nothing. "
            f"And ‖R‖² is a square: a response at ω often shows at 2ω."
        ),
        nothing=(
            "F of the edge would lie inside the bands of random directions, and so would its energy share. "
            "Read the two side by side: a large F that random directions reach as well says nothing about the edge."
        ),
        entries=(
            *_edge_entries(study),
            KeyEntry("published F", INK, shape=shape(1), hollow=True),
            *_null_entries(study),
        ),
        panels=tuple(
            Panel(
                f"{named[run.run_id]}, {step_word(run.modes_step)}",
                (
                    _chart(
                        "Concentration F",
                        concentration[run.run_id],
                        share=False,
                        limits=limits["concentration"],
                        reference=noise,
                    ),
                    _chart("Energy share", share[run.run_id], share=True, limits=limits["energy_share"]),
                ),
            )
            for run in runs
        ),
        beside=True,
    )


def _one_per_task(runs: Iterable[RunResult]) -> list[RunResult]:
    return list({run.config.task: run for run in runs}.values())


def _own_variable(run: RunResult) -> str:
    own = basis_label(run.structure)
    return own if own == run.formula else f"{own} for {run.formula}"


def _lanes(run: RunResult, basis: str, column: str, method: str) -> tuple[Lane, ...]:
    compared = column == "concentration"
    published = {(mode.basis, mode.direction): mode for mode in published_modes(run) if mode.kind == "edge"}
    lanes = []
    for _, row in readings(run, kind="edge", basis=basis, method=method).iterrows():
        direction = int(row["direction"])
        label = f"v{direction}" + (f", ω {row['frequency']}" if compared else "")
        points = [Point(float(row[column]), label, KIND_COLOURS["edge"], shape(direction))]
        known = published.get((basis, direction))
        if compared and known and known.concentration is not None:
            name = f"v{direction} published" + (f", ω {known.frequency}" if known.frequency else "")
            points.append(Point(known.concentration, name, INK, shape(direction), hollow=True))
        lanes.append(Lane(label, KIND_COLOURS["edge"], tuple(points)))
    bands = {kind: quantiles(readings(run, kind=kind, basis=basis, method=method)[column]) for kind in NULL_KINDS}
    lanes += [Lane(kind, KIND_COLOURS[kind], band=band) for kind, band in bands.items() if band]
    return tuple(lanes)


def _rows(run: RunResult, columns: tuple[str, ...], method: str) -> dict[str, str]:
    """Heading of each row by its basis, own first; bases in which all values are the same share a row."""
    merged: dict[tuple[float, ...], list[str]] = {}
    for basis in bases(run):
        lanes = [lane for column in columns for lane in _lanes(run, basis, column, method)]
        merged.setdefault(tuple(round(_measured(lane), _SAME_DIGITS) for lane in lanes), []).append(basis)
    return {
        names[0]: ", ".join(basis_label(name) + (" (own)" if name == run.structure else "") for name in names)
        for names in merged.values()
    }


def _groups(run: RunResult, rows: dict[str, str], column: str, method: str) -> list[Group]:
    return [
        Group(heading, _lanes(run, basis, column, method), basis == run.structure) for basis, heading in rows.items()
    ]


def _measured(lane: Lane) -> float:
    return lane.band.median if lane.band else lane.points[0].value


def _limits(groups: list[Group]) -> tuple[float, float]:
    lanes = [lane for group in groups for lane in group.lanes]
    values = [point.value for lane in lanes for point in lane.points]
    values += [end for lane in lanes if lane.band for end in (lane.band.low, lane.band.high)]
    low, high = min([0.0, *values]), max([0.05, *values])
    return low - _PADDING * (high - low), high + _PADDING * (high - low)


def _chart(
    title: str,
    groups: list[Group],
    *,
    share: bool,
    limits: tuple[float, float] | None = None,
    reference: float = 0.0,
) -> LaneChart:
    axis = _SHARE_AXIS if share else _CONCENTRATION_AXIS
    return LaneChart(title, axis, tuple(groups), limits or _limits(groups), share, reference)


def _edge_entries(study: StudyResult) -> tuple[KeyEntry, ...]:
    directions = range(1, study.config.analysis.edge + 1)
    return tuple(KeyEntry(f"edge v{k}", KIND_COLOURS["edge"], shape=shape(k)) for k in directions)


def _null_entries(study: StudyResult) -> tuple[KeyEntry, ...]:
    present = {str(kind) for run in study.runs for kind in run.modes["kind"].unique()}
    return tuple(
        KeyEntry(f"{kind}: {NULL_WORDS[kind]}", KIND_COLOURS[kind], band=True) for kind in NULL_KINDS if kind in present
    )
