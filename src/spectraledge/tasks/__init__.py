"""Tasks: a finite domain of input pairs, their labels, and the group structure that the labels have."""

from spectraledge.tasks import known
from spectraledge.tasks.group_tasks import group_task, latin_task
from spectraledge.tasks.groupings import (
    GROUPINGS,
    Axes,
    Grouping,
    GroupingRule,
    basis_formula,
    default_groupings,
    grouping,
    grouping_rule,
    left_out,
    register_grouping,
    task_title,
    why_not,
)
from spectraledge.tasks.joint import (
    JointTask,
    any_task,
    controlled_structure,
    formula_of,
    joint_task,
    part_names,
    structure_of,
)
from spectraledge.tasks.operations import OPERATIONS, Operation, named_task, permuted_task, register_operation
from spectraledge.tasks.splits import Split, default_split, paper_split
from spectraledge.tasks.table_files import TableFile, read_table_file
from spectraledge.tasks.task import Task
from spectraledge.tasks.user import task_from_function, task_from_source, task_from_table

__all__ = [
    "GROUPINGS",
    "OPERATIONS",
    "Axes",
    "Grouping",
    "GroupingRule",
    "JointTask",
    "Operation",
    "Split",
    "TableFile",
    "Task",
    "any_task",
    "basis_formula",
    "controlled_structure",
    "default_groupings",
    "default_split",
    "formula_of",
    "group_task",
    "grouping",
    "grouping_rule",
    "joint_task",
    "known",
    "latin_task",
    "left_out",
    "named_task",
    "paper_split",
    "part_names",
    "permuted_task",
    "read_table_file",
    "register_grouping",
    "register_operation",
    "structure_of",
    "task_from_function",
    "task_from_source",
    "task_from_table",
    "task_title",
    "why_not",
]
