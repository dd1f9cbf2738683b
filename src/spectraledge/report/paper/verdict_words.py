"""Claims over seeds in words: the headline, the table, and the rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from spectraledge.claims.verdicts import Verdict
from spectraledge.report.paper.model import Section
from spectraledge.report.paper.rows import Form, interval
from spectraledge.report.words import NONE, counted, figures, hundredths, listing, probability, ratio
from spectraledge.studies.results import StudyResult

VERDICTS: tuple[str, ...] = get_args(Verdict)
"""All verdicts, in the order in which they are counted."""

_FORMS: dict[str, Form] = {"difference": figures, "ratio": ratio, "rate": "{:.0%}".format, "area": hundredths}
_SCALES = {
    "difference": "difference",
    "ratio": "ratio",
    "rate": "of seeds",
    "area": "area under the ROC curve",
}


@dataclass(frozen=True)
class ClaimRow:
    """One claim in words.

    Attributes:
        id: Its id.
        statement: The claim.
        sound: Whether its statistic is specific to it, rather than the published one.
        published: What Xu 2026 reports.
        measured: Mean over seeds of the statistic.
        null: The same of its null.
        effect: On its scale, with its interval.
        scale: What the effect is; "" where it was not measured.
        seeds: Seeds with an effect.
        q: Adjusted p-value.
        verdict: The verdict.
        statistic: What is measured in each seed.
        compared: What it is compared with.
        rule: The decision rule.
    """

    id: str
    statement: str
    sound: bool
    published: str
    measured: str
    null: str
    effect: str
    scale: str
    seeds: str
    q: str
    verdict: str
    statistic: str
    compared: str
    rule: str

    @property
    def titled(self) -> str:
        """The claim, and whether its statistic is the published one."""
        return self.statement if self.sound else f"{self.statement} (published statistic)"


@dataclass(frozen=True)
class ClaimGroup:
    """Claims of one section of the paper.

    Attributes:
        section: Where the paper has them.
        target: Anchor of the report's section about it; "" where there is none.
        rows: The claims, sound statistics first.
    """

    section: str
    target: str
    rows: tuple[ClaimRow, ...]

    @property
    def found(self) -> str:
        """How many of its claims have each verdict."""
        verdicts = [row.verdict for row in self.rows]
        return ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS if verdict in verdicts)


def counts(claims: pd.DataFrame) -> dict[str, int]:
    """How many claims have each verdict; all verdicts are there."""
    found = claims["verdict"].value_counts() if len(claims) else pd.Series(dtype=int)
    return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}


def headline(study: StudyResult, claims: pd.DataFrame) -> str:
    """The study in one sentence: verdicts counted, claims on sound statistics and published ones apart.

    Args:
        study: The study.
        claims: One row per claim.

    Returns:
        The sentence.
    """
    if claims.empty:
        return f"{counted(len(study.runs), 'run')} finished; no claim has been evaluated yet."
    found = counts(claims)
    parts = []
    for method, words in (("sound", "sound statistics"), ("published", "published ones")):
        part = claims[claims["method"] == method]
        if len(part):
            parts.append(f"{counts(part)['replicates']} of {len(part)} on {words}")
    rest = [f"{found[verdict]} {verdict}" for verdict in VERDICTS[1:] if found[verdict]]
    most = int(claims["seeds"].max())
    return (
        f"Over up to {counted(most, 'seed')}, {found['replicates']} of {counted(len(claims), 'claim')} "
        f"{'replicates' if found['replicates'] == 1 else 'replicate'} ({listing(parts)})"
        + (f"; of the others, {listing(rest)}." if rest else ".")
    )


def claim_groups(claims: pd.DataFrame, sections: Sequence[Section]) -> list[ClaimGroup]:
    """Claims by section of the paper, in the order of declaration, sound statistics before published ones."""
    groups = []
    for name in dict.fromkeys(claims["section"]) if len(claims) else ():
        part = claims[claims["section"] == name].sort_values(
            "method", key=lambda kinds: kinds != "sound", kind="stable"
        )
        rows = tuple(map(_row, part.to_dict("records")))
        groups.append(ClaimGroup(str(name), _target(rows, sections), rows))
    return groups


def claims_of(section: Section, groups: Sequence[ClaimGroup]) -> list[ClaimRow]:
    """Claims that a section of the report names."""
    return [row for group in groups for row in group.rows if row.id in section.claims]


def _target(rows: Sequence[ClaimRow], sections: Sequence[Section]) -> str:
    """The section of the report that names the first of a group's claims; "" if none does."""
    return next((section.key for section in sections if rows[0].id in section.claims), "")


def _row(row: dict[str, object]) -> ClaimRow:
    scale = str(row["scale"])
    form = _FORMS[scale]
    value, low, high = (float(str(row[name])) for name in ("value", "low", "high"))
    measured = int(str(row["seeds"])) > 0
    return ClaimRow(
        id=str(row["claim"]),
        statement=str(row["statement"]),
        sound=row["method"] == "sound",
        published=str(row["published"]) or NONE,
        measured=figures(float(str(row["measured"]))),
        null=figures(float(str(row["measured_null"]))),
        effect=f"{form(value)} ({interval(low, high, form)})" if measured else NONE,
        scale=_SCALES[scale] if measured else "",
        seeds=str(row["seeds"]),
        q=probability(float(str(row["q"]))) if measured else NONE,
        verdict=str(row["verdict"]),
        statistic=str(row["statistic"]),
        compared=str(row["null"]),
        rule=str(row["rule"]),
    )
