"""Several tasks at once: one domain, and an answer of each part to every pair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError
from spectraledge.files import digest
from spectraledge.tasks.group_tasks import member_of_name, task_of_name
from spectraledge.tasks.groupings import basis_formula
from spectraledge.tasks.operations import OPERATIONS, PERMUTED, all_pairs, named_task, permuted_task
from spectraledge.tasks.task import JOIN, Task


@dataclass(frozen=True)
class JointTask:
    """Tasks that one network answers together, a head for each (Xu 2026, §2).

    Attributes:
        parts: The tasks, in the order of the heads; equal domains and moduli, different names.
    """

    parts: tuple[Task, ...]

    def __post_init__(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) < len(names):
            raise InputError(f"a joint task needs one or more parts with different names, got {', '.join(names)}")
        for part in self.parts[1:]:
            if part.modulus != self.modulus or not np.array_equal(part.pairs_N2, self.pairs_N2):
                raise InputError(
                    f"parts of a joint task share their pairs and modulus, {part.name!r} and {names[0]!r} do not: "
                    "make them with joint_task"
                )

    @property
    def name(self) -> str:
        """Names of the parts, joined by a plus sign; a task alone on the joint domain ends in one."""
        return JOIN.join(part.name for part in self.parts) + (JOIN if len(self.parts) == 1 else "")

    @property
    def formula(self) -> str:
        """The parts as a person writes them."""
        return " and ".join(part.formula for part in self.parts)

    @property
    def modulus(self) -> int:
        """Number of residues."""
        return self.parts[0].modulus

    @property
    def pairs_N2(self) -> Ints:
        """The domain, int64 (N, 2)."""
        return self.parts[0].pairs_N2

    @property
    def answers_NO(self) -> Ints:
        """The answer of every part, int64 (N, O)."""
        return np.column_stack([part.labels_N for part in self.parts])

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the parts' tables in their order."""
        return digest([part.digest for part in self.parts])

    def __len__(self) -> int:
        """Return the number of pairs, N."""
        return len(self.pairs_N2)


def joint_task(parts: Sequence[Task]) -> JointTask:
    """Join tasks on the pairs without a zero (Xu 2026, §2: a and b in 1..p − 1), whatever each is defined on.

    Args:
        parts: The tasks, in the order of the heads; one alone is that task on the joint domain.

    Returns:
        The joint task.

    Raises:
        InputError: if moduli or names do not fit together, or a part lacks one of the pairs.
    """
    restricted = []
    for part in parts:
        pairs = all_pairs(part.modulus, (1, 1))
        table = np.full((part.modulus, part.modulus), -1)
        table[part.pairs_N2[:, 0], part.pairs_N2[:, 1]] = part.labels_N
        labels = table[pairs[:, 0], pairs[:, 1]]
        if (labels < 0).any():
            a, b = pairs[labels < 0][0]
            raise InputError(f"task {part.name!r} has no answer to ({a}, {b}), and parts need all pairs without a zero")
        restricted.append(replace(part, pairs_N2=pairs, labels_N=labels))
    return JointTask(tuple(restricted))


def any_task(name: str, *, modulus: int = 97) -> Task | JointTask:
    """Make a task by its name, or several joined by plus signs.

    Args:
        name: A key of `OPERATIONS`, or keys joined by "+": "add+mul" is a joint task of two parts, "add+" of one. Or
            the name of a task on a group, of a Latin square, or of one whose answers are permuted: "S5", "S5-permuted".
        modulus: Number of residues. Default 97 (Xu 2026, §2).

    Returns:
        The task.

    Raises:
        InputError: as `named_task` and `joint_task` do.
    """
    if JOIN in name:
        return joint_task([named_task(part, modulus=modulus) for part in part_names(name)])
    return _single(name, modulus)


def _single(name: str, modulus: int) -> Task:
    if name in OPERATIONS:
        return named_task(name, modulus=modulus)
    if name.endswith(PERMUTED):
        return permuted_task(_single(name.removesuffix(PERMUTED), modulus))
    return task_of_name(name, modulus=modulus) or named_task(name, modulus=modulus)


def part_names(name: str) -> tuple[str, ...]:
    """Names of the parts in the name of a task; a task that is not joint is its only part."""
    return tuple(name.removesuffix(JOIN).split(JOIN))


def formula_of(name: str) -> str:
    """The task of a name as a person writes it; the name itself where it is no known one."""
    return " and ".join(_formula(part) for part in part_names(name))


def structure_of(name: str) -> str:
    """The own grouping of the task of a name, of a joint one that of its last part; "output" where it is unknown."""
    last = part_names(name)[-1]
    if last in OPERATIONS:
        return OPERATIONS[last].structure
    member = member_of_name(last)
    return f"group:{member}" if member else "output"


def controlled_structure(task: Task) -> str:
    """The own grouping of a task; of one whose answers are permuted, that of the task that it is the control of."""
    # A table of one's own may have any name, and of what it is the control is then not known.
    try:
        named = task.name.endswith(PERMUTED) and _single(task.name, task.modulus).digest == task.digest
    except InputError:
        named = False
    return structure_of(task.name.removesuffix(PERMUTED)) if named else task.structure


def _formula(name: str) -> str:
    if name in OPERATIONS:
        return OPERATIONS[name].formula
    if name.endswith(PERMUTED):
        return f"{_formula(name.removesuffix(PERMUTED))}, answers permuted"
    member = member_of_name(name)
    return basis_formula(f"group:{member}") if member else name
