"""Every effect of the `paper` study by id, and their measurement."""

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.direction_effects import DIRECTION_EFFECTS
from spectraledge.claims.effects import measure
from spectraledge.claims.joint_effects import JOINT_EFFECTS
from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.claims.training_effects import TRAINING_EFFECTS

PAPER_EFFECTS = {effect.id: effect for effect in (*TRAINING_EFFECTS, *DIRECTION_EFFECTS, *JOINT_EFFECTS)}
"""Everything that is measured in the runs of the paper's study, for claims and tables alike."""


def measure_paper(runs: Runs) -> MeasuredEffects:
    """Measure every effect of the paper in every run; some seconds for a hundred runs."""
    return MeasuredEffects(PAPER_EFFECTS, measure(PAPER_EFFECTS.values(), runs))
