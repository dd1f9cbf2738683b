"""Tasks: a finite domain of input pairs, their labels, and the group structure that the labels have."""

from spectraledge.tasks.groupings import GROUPINGS, Grouping, grouping
from spectraledge.tasks.joint import JointTask, any_task, formula_of, joint_task, part_names
from spectraledge.tasks.operations import OPERATIONS, Operation, named_task
from spectraledge.tasks.splits import Split, default_split, paper_split
from spectraledge.tasks.task import Task
from spectraledge.tasks.user import task_from_function, task_from_source, task_from_table

__all__ = [
    "GROUPINGS",
    "OPERATIONS",
    "Grouping",
    "JointTask",
    "Operation",
    "Split",
    "Task",
    "any_task",
    "default_split",
    "formula_of",
    "grouping",
    "joint_task",
    "named_task",
    "paper_split",
    "part_names",
    "task_from_function",
    "task_from_source",
    "task_from_table",
]
