"""The study card: what the study is and what it found, for people and for machines."""

import json
from collections import Counter

from spectraledge.pages.document import Page
from spectraledge.report.over_seeds.claim_table import VERDICTS
from spectraledge.report.over_seeds.methods import seeds_of
from spectraledge.studies.results import StudyResult

LICENCE = "MIT"


def card(page: Page, study: StudyResult) -> str:
    """Write the study card: a YAML head, then a few words."""
    runs = study.config.runs
    found = Counter(claim.verdict for claim in page.claims)
    # JSON is YAML, so names need no rules of their own.
    head = {
        "name": page.study,
        "version": page.version,
        "licence": LICENCE,
        "configuration": page.hash,
        "paper": "arXiv 2604.06256",
        "tasks": list(dict.fromkeys(run.task for run in runs)),
        "seeds": seeds_of(runs),
        "runs": {
            "planned": len(runs),
            "finished": len(runs) - len(study.missing) - len(study.failed),
            "failed": len(study.failed),
            "missing": len(study.missing),
        },
        "failed": study.failed,
        "missing": study.missing,
        "claims": {verdict: found[verdict] for verdict in VERDICTS},
        "command": page.command,
    }
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
    names = list(dict.fromkeys(claim.statement for claim in page.claims if claim.verdict == "replicates"))
    words = [
        f"# {page.study}",
        page.headline,
        *([page.warning] if page.warning else []),
        "## Replicates",
        "\n".join(f"- {name}" for name in names) or "None.",
        "## Read with care",
        "Verdicts are of this model, these tasks and these seeds. Runs that did not generalise stopped at their "
        "budget; what they would do later was not measured. Single-task and multitask claims rest on different "
        "numbers of seeds: see the claims table.",
        "## Files",
        "`report.html`, `report.md`, `claims.csv`, `claims-by-seed.csv`, `tables/`, `figures/`; and, in what a "
        "repository keeps, `effects.csv`.",
    ]
    return "---\n" + "\n".join(lines) + "\n---\n\n" + "\n\n".join(words) + "\n"
