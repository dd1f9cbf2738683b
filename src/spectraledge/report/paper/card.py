"""The study card: what the study is and what it found, for people and for machines."""

import json

from spectraledge.report.paper.contents import Report
from spectraledge.report.paper.methods import seeds_of
from spectraledge.report.paper.verdict_words import counts
from spectraledge.studies.results import StudyResult

LICENCE = "MIT"


def card(report: Report, study: StudyResult, *, command: str) -> str:
    """Write the study card: a YAML head, then a few words.

    Args:
        report: What the study's report says.
        study: The study.
        command: What made it.

    Returns:
        Markdown with a YAML head.
    """
    runs = study.config.runs
    found = counts(report.verdicts.claims)
    # JSON is YAML, so names need no rules of their own.
    head = {
        "name": report.name,
        "version": report.version,
        "licence": LICENCE,
        "configuration": report.hash,
        "paper": "arXiv 2604.06256",
        "tasks": list(dict.fromkeys(run.task for run in runs)),
        "seeds": seeds_of(runs),
        "runs": {
            "planned": len(runs),
            "finished": len(runs) - len(study.missing) - len(study.failed),
            "failed": len(study.failed),
            "missing": len(study.missing),
        },
        "claims": found,
        "command": command,
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
    names = [
        *dict.fromkeys(row.statement for group in report.claims for row in group.rows if row.verdict == "replicates")
    ]
    words = [
        f"# {report.name}",
        report.headline,
        *([report.absent] if report.absent else []),
        "## Replicates",
        "\n".join(f"- {name}" for name in names) or "None.",
        "## Read with care",
        "Verdicts are of this model, these tasks and these seeds. Runs that did not generalise stopped at their "
        "budget; what they would do later was not measured. Single-task and multitask claims rest on different "
        "numbers of seeds: see the claims table.",
        "## Files",
        "`report.html`, `report.md`, `claims.csv`, `claims-by-seed.csv`, `tables/`, `figures/`.",
    ]
    return "---\n" + "\n".join(lines) + "\n---\n\n" + "\n\n".join(words) + "\n"
