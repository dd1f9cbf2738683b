"""The tables of claims, published values, runs and settings of a report by runs, and the files it gives away."""

import pandas as pd

from spectraledge.analyses.readings import band, readings
from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.published import PublishedMode
from spectraledge.models import LOSSES
from spectraledge.pages.document import Claim, Column, Rows, Table
from spectraledge.report.run_names import optimizer_words, published_modes, titles
from spectraledge.report.words import (
    NONE,
    concentration_range,
    counted,
    decimal,
    distinct,
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
from spectraledge.tasks import basis_formula

_METHODS = {"difference": "Ours, finite difference", "jvp": "Ours, jvp"}
_LONGEST = 20_000

_VALUE = Column("Value", "number")
_INTERVAL = Column("95% interval", "number")
_REST = (
    Column("Null median", "number"),
    Column("Null 95%", "number"),
    Column("p", "number"),
    Column("q", "number"),
    Column("Published"),
)


def declared_claims(claims: pd.DataFrame) -> tuple[Claim, ...]:
    """Every claim as it was declared."""
    found = []
    for claim in claims.drop_duplicates("claim").to_dict("records") if len(claims) else ():
        section = str(claim["section"])
        details = (
            ("Statistic", str(claim["statistic"])),
            ("Null", str(claim["null"])),
            ("Found if", str(claim["rule"])),
        )
        remark = f"Xu 2026, {section}" if section.startswith("§") else section
        found.append(Claim(str(claim["claim"]), str(claim["statement"]), details, remark=remark))
    return tuple(found)


def claim_tables(study: StudyResult, claims: pd.DataFrame) -> list[Table]:
    """Every claim with one row per run, in the order of the claims."""
    named = titles(study)
    tables = []
    for name, group in claims.groupby("claim", sort=False) if len(claims) else ():
        claim = str(name)
        spreads = [spread(row["low"], row["high"], ratio) for row in group.to_dict("records")]
        some = any(words != NONE for words in spreads)
        rows = [
            (
                named.get(row["run"], row["run"]),
                row["verdict"],
                statistic(claim, row["value"]),
                *([words] if some else []),
                statistic(claim, row["null_median"]),
                statistic(claim, row["null_high"]),
                probability(row["p"]),
                probability(row["q"]),
                row["published"] or NONE,
            )
            for row, words in zip(group.to_dict("records"), spreads, strict=True)
        ]
        columns = (Column("Run"), Column("Verdict", "verdict"), _VALUE, *([_INTERVAL] if some else []), *_REST)
        tables.append(Table(claim, "", columns, (Rows.of("", rows),), claim=claim))
    return tables


def comparison_table(study: StudyResult) -> Table | None:
    """Every published mode beside ours, for each run of the published kind that generalised; None without any."""
    named = titles(study)
    groups = tuple(
        Rows.of(f"{named[run.run_id]}, {step_word(run.modes_step)}", (_compared(run, mode) for mode in published))
        for run in study.runs
        if (published := published_modes(run))
    )
    columns = (
        Column("Direction"),
        Column("Basis"),
        Column("Where"),
        *(Column(title, "number", "Published") for title in ("ω", "F")),
        *(Column(title, "number", over) for over in _METHODS.values() for title in ("ω", "F", "Random F")),
    )
    return Table("published-values", "Values of single directions", columns, groups) if groups else None


def run_table(study: StudyResult) -> Table:
    """Every finished run in numbers."""
    named = titles(study)
    numbers = (
        "Generalised at step",
        "Test accuracy, last step",
        "Steps",
        "Modes at step",
        "Wall time (s)",
        "Steps/s",
        "Watched numbers P",
    )
    rows = [
        (
            named[run.run_id],
            NONE if run.manifest.grokked_step is None else f"{run.manifest.grokked_step:,}",
            percent(run.manifest.test_accuracy),
            f"{run.manifest.step:,}",
            f"{run.modes_step:,}",
            f"{run.manifest.wall_seconds:,.0f}",
            f"{run.manifest.step / run.manifest.wall_seconds:,.1f}" if run.manifest.wall_seconds > 0 else NONE,
            f"{run.parameters:,}",
            f"runs/{run.run_id}",
        )
        for run in study.runs
    ]
    return Table(
        "run-table",
        "Every run in numbers",
        (Column("Run"), *(Column(title, "number") for title in numbers), Column("Folder", "code")),
        (Rows.of("", rows),),
        "Wall time is training with recording, over all sittings; runs may have shared the machine. The folder of a "
        "run holds every table of it, as Parquet, those too that are too long to be taken from this page.",
    )


def settings(study: StudyResult) -> tuple[tuple[str, str], ...]:
    """How the study was made, as terms and values; a value that differs between runs is listed with all of them."""
    analysis = study.config.analysis
    configs = study.config.runs
    terms = [
        ("study", f"{study.config.name}, {counted(len(configs), 'run')}, configuration {study.config.hash[:12]}"),
        ("seeds of the runs", distinct(str(run.seed) for run in configs)),
        ("random streams", distinct(f"{run.protocol} protocol" for run in configs)),
        ("seed of the null directions", str(analysis.seed)),
        ("null directions", f"{analysis.nulls} of each kind"),
        ("read-out", analysis.readout),
        ("noise floor of every window", counted(analysis.surrogates, "surrogate") if analysis.surrogates else "none"),
        ("edge directions", f"v1 to v{analysis.edge}"),
        ("directions", modes_window(study)),
        ("eigenvalues over time", spectrum_window(study)),
        ("snapshots", distinct(f"every {run.every:,} steps" for run in configs)),
        ("watched parameters", distinct(", ".join(run.watched) for run in configs)),
        ("optimiser", distinct(optimizer_words(run) for run in configs)),
        ("loss", distinct(LOSSES[run.loss] for run in configs)),
        ("training pairs", distinct(f"{run.train_fraction:.0%} of all pairs" for run in configs)),
        ("pairs outside a basis, left out of it", distinct(_left_out(study)) or "none"),
    ]
    keys = dict.fromkeys(key for run in study.runs for key in run.manifest.environment)
    found = [(key, distinct(str(run.manifest.environment.get(key, NONE)) for run in study.runs)) for key in keys]
    return (*terms, *found)


def files(study: StudyResult, claims: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The study's tables by name; those that are too long for a page are left in the study's folder."""
    tables = {"claims": claims}
    for name in ("metrics", *RUN_TABLES):
        found = [(run, run.metrics if name == "metrics" else run.table(name)) for run in study.runs]
        parts = [table.assign(run=run.run_id) for run, table in found if len(table)]
        if 0 < sum(len(part) for part in parts) <= _LONGEST:
            joined = pd.concat(parts, ignore_index=True)
            tables[name] = joined[["run", *(column for column in joined.columns if column != "run")]]
    return {name: table for name, table in tables.items() if len(table)}


def _left_out(study: StudyResult) -> list[str]:
    named = titles(study)
    found = []
    for run in study.runs:
        exact = run.modes[run.modes["method"] == "jvp"]
        for basis, rows in exact[exact["excluded"] > 0].groupby("basis", sort=False):
            excluded, used = int(rows["excluded"].iloc[0]), int(rows["pairs"].iloc[0])
            found.append(f"{named[run.run_id]}, {basis_formula(str(basis))}: {excluded:,} of {excluded + used:,}")
    return found


def _compared(run: RunResult, mode: PublishedMode) -> tuple[str, ...]:
    return (
        f"v{mode.direction}" if mode.direction else f"mean of {mode.kind}",
        basis_formula(mode.basis),
        mode.section,
        NONE if mode.frequency is None else str(mode.frequency),
        NONE if mode.concentration is None else f"{mode.concentration:g}",
        *(cell for method in _METHODS for cell in _ours(run, mode, method)),
    )


def _ours(run: RunResult, mode: PublishedMode, method: str) -> tuple[str, str, str]:
    table = readings(run, kind=mode.kind, basis=mode.basis, method=method)
    if mode.direction:
        table = table[table["direction"] == mode.direction]
    if table.empty:
        return NONE, NONE, NONE
    random = readings(run, kind="random", basis=mode.basis, method=method)["concentration"]
    frequency = str(table["frequency"].iloc[0]) if mode.direction else NONE
    return frequency, decimal(float(table["concentration"].mean())), concentration_range(band(random))
