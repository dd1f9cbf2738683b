"""The figures that set the edge against null directions: energy share and concentration, per run and basis."""

from collections.abc import Iterator

from spectraledge.analyses.run_result import RunResult
from spectraledge.report.charts import FigureSpec, Group, KeyEntry, Lane, LaneChart, Panel, Point
from spectraledge.report.data import (
    LEAD_NULL_KINDS,
    NULL_KINDS,
    SINGLE_KINDS,
    bases,
    basis_label,
    own_variables,
    published_modes,
    quantiles,
    readings,
    titles,
    white_noise_concentration,
)
from spectraledge.report.style import INK, KIND_COLOURS, SINGLE_SHAPES, shape
from spectraledge.report.words import listing, modes_window, step_word
from spectraledge.studies.results import StudyResult

_SHARE_AXIS = "energy share, corrected for chance (%)"
_CONCENTRATION_AXIS = "concentration F (no unit)"
_PADDING = 0.06
_SAME_DIGITS = 9

NULL_WORDS = {
    "bulk": "bulk directions of the same window",
    "span": "random directions in the window's span",
    "random": "random directions in parameter space",
    "block": "random directions with the edge's norm in every tensor",
    "run_span": "random directions in the span of all updates up to the step",
}

SINGLE_WORDS = {
    "weights": "the weights themselves",
    "gradient": "gradient of the training loss",
    "shuffled": "gradients of the loss with shuffled labels",
}

_LANE_LABELS = {"block": "block norms", "run_span": "run span", "shuffled": "shuffled labels"}


def own_basis_figure(study: StudyResult) -> FigureSpec:
    """The lead figure: the edge's energy share in every run's own basis, against null directions."""
    named = titles(study)
    groups = [Group(named[run.run_id], (*_own_lanes(run), *_single_lanes(run))) for run in study.runs]
    steps = listing([f"{run.modes_step:,}" for run in study.runs])
    charts = [_chart("Share in the task's own basis", groups, share=True)] if groups else []
    return FigureSpec(
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
        entries=(*_edge_entries(study), *_null_entries(study, LEAD_NULL_KINDS), *_single_entries(study)),
        panels=tuple(Panel("", (chart,)) for chart in charts),
        beside=True,
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
            *_null_entries(study, NULL_KINDS),
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


def _own_lanes(run: RunResult) -> tuple[Lane, ...]:
    return _lanes(run, run.structure, "energy_share", "jvp", LEAD_NULL_KINDS)


def _single_lanes(run: RunResult) -> Iterator[Lane]:
    for kind in SINGLE_KINDS:
        shares = readings(run, kind=kind, basis=run.structure, method="jvp")["energy_share"].dropna()
        hollow = kind == "shuffled"
        points = [
            Point(float(share), SINGLE_WORDS[kind], KIND_COLOURS[kind], SINGLE_SHAPES[kind], hollow) for share in shares
        ]
        if points:
            yield Lane(_LANE_LABELS.get(kind, kind), KIND_COLOURS[kind], tuple(points))


def _lanes(
    run: RunResult, basis: str, column: str, method: str, nulls: tuple[str, ...] = NULL_KINDS
) -> tuple[Lane, ...]:
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
    bands = {kind: quantiles(readings(run, kind=kind, basis=basis, method=method)[column]) for kind in nulls}
    lanes += [Lane(_LANE_LABELS.get(kind, kind), KIND_COLOURS[kind], band=band) for kind, band in bands.items() if band]
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


def _null_entries(study: StudyResult, kinds: tuple[str, ...]) -> tuple[KeyEntry, ...]:
    return tuple(
        KeyEntry(f"{_LANE_LABELS.get(kind, kind)}: {NULL_WORDS[kind]}", KIND_COLOURS[kind], band=True)
        for kind in _present(study, kinds)
    )


def _single_entries(study: StudyResult) -> tuple[KeyEntry, ...]:
    return tuple(
        KeyEntry(SINGLE_WORDS[kind], KIND_COLOURS[kind], shape=SINGLE_SHAPES[kind], hollow=kind == "shuffled")
        for kind in _present(study, SINGLE_KINDS)
    )


def _present(study: StudyResult, kinds: tuple[str, ...]) -> list[str]:
    there = {str(kind) for run in study.runs for kind in run.modes["kind"].unique()}
    return [kind for kind in kinds if kind in there]
