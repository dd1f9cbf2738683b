"""Every claim of the `paper` study, declared before any run is read, and their verdicts over its seeds."""

from collections.abc import Callable

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.paper_arms import ARMS
from spectraledge.claims.paper_edge import EDGE
from spectraledge.claims.paper_modes import MODES
from spectraledge.claims.paper_probes import PROBES
from spectraledge.claims.paper_reuse import REUSE
from spectraledge.claims.paper_tools import TOOLS
from spectraledge.claims.verdicts import Declared, Verdicts, judge

PAPER_CLAIMS: tuple[Declared, ...] = (*EDGE, *MODES, *PROBES, *TOOLS, *REUSE, *ARMS)
"""Every claim and how it is measured; where there are several statistics for one question, the sound ones first."""


def evaluate_study(runs: Runs) -> Verdicts:
    """Evaluate every claim of the paper over the seeds of a study.

    Claims about what a learned task's edge does are of runs that reached a test accuracy of .95; claims about runs that
    do not are of those conditions whatever they reached.

    Args:
        runs: The finished runs, whatever was measured of them.

    Returns:
        The verdicts; claims whose runs or tables are missing are "not measured".

    Cost: a few seconds for a hundred runs.
    """
    return judge(PAPER_CLAIMS, runs)


OVER_SEEDS: dict[str, Callable[[Runs], Verdicts]] = {"paper": evaluate_study}
"""Recipes whose claims are over seeds, and how those are evaluated."""
