"""The answer itself as a variable, for tasks without a known group; outside its logarithm is the answer 0."""

from spectraledge.algebra import discrete_logarithms
from spectraledge.tasks.groupings import GroupingRule, register_grouping
from spectraledge.tasks.known.multiplicative import LOGARITHMS

register_grouping(GroupingRule("output", "the answer", elements=lambda task: task.labels_N, usual=True))
register_grouping(
    GroupingRule(
        "output_dlog",
        "dlog of the answer",
        axes=LOGARITHMS,
        elements=lambda task: discrete_logarithms(task.modulus)[task.labels_N],
        symmetries=("affine", "power"),
    )
)
