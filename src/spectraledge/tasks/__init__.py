"""Tasks: a finite domain of input pairs, their labels, and the group structure that the labels have."""

from spectraledge.tasks.groupings import GROUPINGS, Grouping, grouping
from spectraledge.tasks.operations import OPERATIONS, Operation, named_task
from spectraledge.tasks.splits import Split, default_split, paper_split
from spectraledge.tasks.task import Task
from spectraledge.tasks.user import task_from_function, task_from_source, task_from_table

__all__ = [
    "GROUPINGS",
    "OPERATIONS",
    "Grouping",
    "Operation",
    "Split",
    "Task",
    "default_split",
    "grouping",
    "named_task",
    "paper_split",
    "task_from_function",
    "task_from_source",
    "task_from_table",
]
