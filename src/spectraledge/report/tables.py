"""The tables of the report, as rows of words, and the files that can be taken from it."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.published import PublishedMode
from spectraledge.report.data import basis_label, published_modes, quantiles, readings, titles
from spectraledge.report.words import (
    NONE,
    concentration_range,
    counted,
    decimal,
    modes_window,
    percent,
    probability,
    ratio,
    spectrum_window,
    spread,
    statistic,
    step_word,
)
from spectraledge.studies.results import RUN_TABLES, StudyResult

_METHODS = ("difference", "jvp")
_LONGEST = 20_000


@dataclass(frozen=True)
class ClaimRow:
    """One claim on one run, ready to print."""

    run: str
    value: str
    interval: str
    null_median: str
    null_high: str
    p: str
    q: str
    published: str
    verdict: str


@dataclass(frozen=True)
class ClaimTable:
    """One claim and its rows."""

    section: str
    statement: str
    statistic: str
    null: str
    rule: str
    rows: tuple[ClaimRow, ...]

    @property
    def has_intervals(self) -> bool:
        """Whether any row has an interval."""
        return any(row.interval != NONE for row in self.rows)


@dataclass(frozen=True)
class Ours:
    """What we measure in place of a published value, by one method."""

    frequency: str
    concentration: str
    random: str


@dataclass(frozen=True)
class ComparisonRow:
    """A published value beside ours."""

    section: str
    basis: str
    direction: str
    frequency: str
    concentration: str
    ours: tuple[Ours, ...]


@dataclass(frozen=True)
class Comparison:
    """One run's published values beside ours."""

    run: str
    rows: tuple[ComparisonRow, ...]


@dataclass(frozen=True)
class RunRow:
    """One run in numbers, ready to print."""

    run: str
    run_id: str
    generalised: str
    accuracy: str
    steps: str
    modes_step: str
    seconds: str
    speed: str
    parameters: str


@dataclass(frozen=True)
class Download:
    """A table that can be taken from the page."""

    name: str
    rows: int
    uri: str


def claim_tables(study: StudyResult, claims: pd.DataFrame) -> list[ClaimTable]:
    """Every claim with one row per run, in the order of the claims."""
    named = titles(study)
    tables = []
    groups = claims.groupby("claim", sort=False) if len(claims) else ()
    for claim, group in groups:
        first = group.iloc[0]
        rows = tuple(
            ClaimRow(
                run=named.get(row["run"], row["run"]),
                value=statistic(str(claim), row["value"]),
                interval=spread(row["low"], row["high"], ratio),
                null_median=statistic(str(claim), row["null_median"]),
                null_high=statistic(str(claim), row["null_high"]),
                p=probability(row["p"]),
                q=probability(row["q"]),
                published=row["published"] or NONE,
                verdict=row["verdict"],
            )
            for row in group.to_dict("records")
        )
        section = str(first["section"])
        tables.append(
            ClaimTable(
                section=f"Xu 2026, {section}" if section.startswith("§") else section,
                statement=str(first["statement"]),
                statistic=str(first["statistic"]),
                null=str(first["null"]),
                rule=str(first["rule"]),
                rows=rows,
            )
        )
    return tables


def comparisons(study: StudyResult) -> list[Comparison]:
    """Every published mode beside ours, for each run of the published kind that generalised."""
    named = titles(study)
    return [
        Comparison(
            f"{named[run.run_id]}, {step_word(run.modes_step)}",
            tuple(
                ComparisonRow(
                    section=mode.section,
                    basis=basis_label(mode.basis),
                    direction=f"v{mode.direction}" if mode.direction else f"mean of {mode.kind}",
                    frequency=NONE if mode.frequency is None else str(mode.frequency),
                    concentration=NONE if mode.concentration is None else f"{mode.concentration:g}",
                    ours=tuple(_ours(run, mode, method) for method in _METHODS),
                )
                for mode in published
            ),
        )
        for run in study.runs
        if (published := published_modes(run))
    ]


def run_rows(study: StudyResult) -> list[RunRow]:
    """Every finished run in numbers."""
    named = titles(study)
    return [
        RunRow(
            run=named[run.run_id],
            run_id=run.run_id,
            generalised=NONE if run.manifest.grokked_step is None else f"{run.manifest.grokked_step:,}",
            accuracy=percent(run.manifest.test_accuracy),
            steps=f"{run.manifest.step:,}",
            modes_step=f"{run.modes_step:,}",
            seconds=f"{run.manifest.wall_seconds:,.0f}",
            speed=f"{run.manifest.step / run.manifest.wall_seconds:,.1f}" if run.manifest.wall_seconds > 0 else NONE,
            parameters=f"{run.parameters:,}",
        )
        for run in study.runs
    ]


def settings(study: StudyResult) -> list[tuple[str, str]]:
    """How the study was made, as terms and values; a value that differs between runs is listed with all of them."""
    analysis = study.config.analysis
    configs = study.config.runs
    terms = [
        ("study", f"{study.config.name}, {counted(len(configs), 'run')}, configuration {study.config.hash[:12]}"),
        ("seeds of the runs", _each(str(run.seed) for run in configs)),
        ("random streams", _each(f"{run.protocol} protocol" for run in configs)),
        ("seed of the null directions", str(analysis.seed)),
        ("null directions", f"{analysis.nulls} of each kind"),
        ("read-out", analysis.readout),
        ("noise floor of every window", counted(analysis.surrogates, "surrogate") if analysis.surrogates else "none"),
        ("edge directions", f"v1 to v{analysis.edge}"),
        ("directions", modes_window(study)),
        ("eigenvalues over time", spectrum_window(study)),
        ("snapshots", _each(f"every {run.every:,} steps" for run in configs)),
        ("watched parameters", _each(", ".join(run.watched) for run in configs)),
        ("optimiser", _each(f"AdamW, learning rate {run.learning_rate:g}, batch {run.batch_size}" for run in configs)),
        ("training pairs", _each(f"{run.train_fraction:.0%} of all pairs" for run in configs)),
        ("pairs outside a basis, left out of it", _each(_left_out(study)) or "none"),
    ]
    keys = dict.fromkeys(key for run in study.runs for key in run.manifest.environment)
    found = [(key, _each(str(run.manifest.environment.get(key, NONE)) for run in study.runs)) for key in keys]
    return terms + found


def _left_out(study: StudyResult) -> list[str]:
    named = titles(study)
    found = []
    for run in study.runs:
        exact = run.modes[run.modes["method"] == "jvp"]
        for basis, rows in exact[exact["excluded"] > 0].groupby("basis", sort=False):
            excluded, used = int(rows["excluded"].iloc[0]), int(rows["pairs"].iloc[0])
            found.append(f"{named[run.run_id]}, {basis_label(str(basis))}: {excluded:,} of {excluded + used:,}")
    return found


def _each(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))


def downloads(study: StudyResult, claims: pd.DataFrame) -> list[Download]:
    """The study's tables as CSV inside links; those that are too long for a page are left in the study's folder."""
    tables = {"claims": claims}
    for name in ("metrics", *RUN_TABLES):
        parts = [getattr(run, name).assign(run=run.run_id) for run in study.runs if len(getattr(run, name))]
        if 0 < sum(len(part) for part in parts) <= _LONGEST:
            joined = pd.concat(parts, ignore_index=True)
            tables[name] = joined[["run", *(column for column in joined.columns if column != "run")]]
    return [Download(f"{name}.csv", len(table), _uri(table)) for name, table in tables.items() if len(table)]


def _ours(run: RunResult, mode: PublishedMode, method: str) -> Ours:
    table = readings(run, kind=mode.kind, basis=mode.basis, method=method)
    if mode.direction:
        table = table[table["direction"] == mode.direction]
    if table.empty:
        return Ours(NONE, NONE, NONE)
    random = readings(run, kind="random", basis=mode.basis, method=method)["concentration"]
    return Ours(
        frequency=str(table["frequency"].iloc[0]) if mode.direction else NONE,
        concentration=decimal(float(np.mean(table["concentration"]))),
        random=concentration_range(quantiles(random)),
    )


def _uri(table: pd.DataFrame) -> str:
    content = table.to_csv(index=False).encode()
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(content).decode()
