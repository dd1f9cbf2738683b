"""Claims over seeds in words: the headline, and one table of all of them by section."""

from collections.abc import Mapping
from typing import Any, get_args

import pandas as pd

from spectraledge.claims.verdicts import Verdict
from spectraledge.pages.document import Claim, Column, Row, Rows, Table
from spectraledge.report.over_seeds.effect_tables import Form, interval
from spectraledge.report.words import NONE, counted, figures, hundredths, listing, probability, ratio
from spectraledge.studies.results import StudyResult

VERDICTS: tuple[str, ...] = get_args(Verdict)
"""All verdicts, in the order in which they are counted."""

_FORMS: dict[str, tuple[Form, str]] = {
    "difference": (figures, "difference"),
    "ratio": (ratio, "ratio"),
    "rate": ("{:.0%}".format, "of seeds"),
    "area": (hundredths, "area under the ROC curve"),
}
_COLUMNS = (
    Column("claim"),
    Column("verdict", "verdict"),
    Column("effect (95% interval over seeds)"),
    Column("ours", "number"),
    Column("null", "number"),
    Column("seeds", "number"),
    Column("q", "number"),
    Column("published"),
)


_REST = {
    "does not": ("does not", "do not"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
    "not measured": ("was not measured", "were not measured"),
}
"""Verdicts but the first as they are said of one claim and of several."""


def counts(claims: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict; all verdicts are there."""
    found = claims["verdict"].value_counts() if len(claims) else pd.Series(dtype=int)
    return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}


def headline(study: StudyResult, claims: pd.DataFrame) -> str:
    """The study in one sentence: verdicts counted, claims on sound statistics and published ones apart."""
    if claims.empty:
        return f"{counted(len(study.runs), 'run')} finished; no claim has been evaluated yet."
    found = counts(claims)
    parts = []
    for method, words in (("sound", "sound statistics"), ("published", "published ones")):
        part = claims[claims["method"] == method]
        if len(part):
            parts.append(f"{counts(part)['replicates']} of {len(part)} on {words}")
    rest = [f"{found[verdict]} {words[found[verdict] > 1]}" for verdict, words in _REST.items() if found[verdict]]
    return (
        f"Over up to {counted(int(claims['seeds'].max()), 'seed')}, {found['replicates']} of "
        f"{counted(len(claims), 'claim')} {'replicates' if found['replicates'] == 1 else 'replicate'} "
        f"({listing(parts)})" + (f"; of the others, {listing(rest)}." if rest else ".")
    )


def declared(claims: pd.DataFrame) -> tuple[Claim, ...]:
    """Every claim as it was declared, with its verdict."""
    return tuple(
        Claim(
            id=row["claim"],
            statement=row["statement"],
            details=(("Measured", row["statistic"]), ("Null", row["null"]), ("Rule", row["rule"])),
            verdict=row["verdict"],
            remark="" if row["method"] == "sound" else "published statistic",
        )
        for row in claims.to_dict("records")
    )


def claim_table(claims: pd.DataFrame, targets: Mapping[str, str]) -> Table:
    """Every claim with its numbers, by section, sound statistics before published ones."""
    groups = []
    for name in dict.fromkeys(claims["section"]):
        part = claims[claims["section"] == name]
        part = part.sort_values("method", key=lambda kinds: kinds != "sound", kind="stable")
        verdicts = list(part["verdict"])
        found = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts)
        rows = tuple(Row(_cells(row), row["claim"]) for row in part.to_dict("records"))
        groups.append(Rows(f"{name}: {found}", rows, target=targets.get(rows[0].claim, "")))
    note = (
        "Ours and null: means over seeds, geometric for ratios; for areas medians of the two groups of runs. q is "
        "adjusted for all claims together (Benjamini–Hochberg)."
    )
    return Table("claim-table", "Every claim by section", _COLUMNS, tuple(groups), note)


def _cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    form, scale = _FORMS[row["scale"]]
    published = row["published"] or NONE
    if not row["seeds"]:
        return ("", row["verdict"], NONE, NONE, NONE, "0", NONE, published)
    return (
        "",
        row["verdict"],
        f"{form(row['value'])} ({interval(row['low'], row['high'], form)}) {scale}",
        figures(row["measured"]),
        figures(row["measured_null"]),
        str(row["seeds"]),
        probability(row["q"]),
        published,
    )
