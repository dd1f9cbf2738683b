"""Addition and subtraction, and the group Z_n by which they act (Xu 2026, §2)."""

from spectraledge.tasks.groupings import GroupingRule, register_grouping
from spectraledge.tasks.operations import Operation, register_operation

register_operation(Operation("add", "a + b", "sum", lambda a, b, n: a + b))
register_operation(Operation("sub", "a − b", "difference", lambda a, b, n: a - b))

register_grouping(GroupingRule("sum", "a + b", (1, 1), usual=True))
register_grouping(GroupingRule("difference", "a − b", (1, -1), usual=True))
