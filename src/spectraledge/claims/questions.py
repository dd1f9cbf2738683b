"""What a recipe may ask of its runs, by name: which claims are evaluated, and how."""

from collections.abc import Callable

import pandas as pd

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.cause_claims import evaluate_causes
from spectraledge.claims.group_claims import evaluate_groups
from spectraledge.claims.landscape_claims import evaluate_landscape
from spectraledge.claims.network_claims import evaluate_networks
from spectraledge.claims.of_runs import evaluate_claims
from spectraledge.claims.paper_claims import evaluate_study
from spectraledge.claims.run_claims import CLAIMS
from spectraledge.claims.score_claims import evaluate_score
from spectraledge.claims.verdicts import Verdicts

Answers = pd.DataFrame | Verdicts
"""Claims on single runs as `evaluate_claims` gives them, or claims over seeds."""


def evaluate_runs(runs: Runs) -> pd.DataFrame:
    """Evaluate the claims on single runs in those whose modes were measured; see `evaluate_claims`."""
    return evaluate_claims(CLAIMS, [run for run in runs if len(run.table("modes")) and len(run.table("characters"))])


QUESTIONS: dict[str, Callable[[Runs], Answers]] = {
    "runs": evaluate_runs,
    "score": evaluate_score,
    "paper": evaluate_study,
    "causes": evaluate_causes,
    "landscape": evaluate_landscape,
    "networks": evaluate_networks,
    "groups": evaluate_groups,
}
"""Every set of claims by name, and how it is evaluated on a study's finished runs."""
