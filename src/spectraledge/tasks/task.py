"""What a task is: every input pair it is defined on, the right answer to each, and the structure it has."""

import hashlib
from dataclasses import dataclass

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError

JOIN = "+"
"""Between the names of a joint task's parts, and so in no name of a part."""


@dataclass(frozen=True)
class Task:
    """A binary operation on residues 0..modulus − 1, given by its whole table.

    Attributes:
        name: Identifier, safe in file names, without a plus sign.
        formula: The operation as a person writes it.
        modulus: Number of residues; tokens and classes are 0..modulus − 1.
        pairs_N2: The domain, int64 (N, 2): each pair (a, b) once, a outer, b inner.
        labels_N: The answers, int64 (N,), in 0..modulus − 1.
        structure: Name of the grouping of pairs by which the task's group acts (see `GROUPINGS`), or "output" when no
            group is known and the answer itself is the only structure.
    """

    name: str
    formula: str
    modulus: int
    pairs_N2: Ints
    labels_N: Ints
    structure: str = "output"

    def __post_init__(self) -> None:
        if JOIN in self.name:
            raise InputError(f"the name of a task holds no {JOIN!r}, which joins several, got {self.name!r}: rename it")
        count = len(self.labels_N)
        if count < 2 or self.pairs_N2.shape != (count, 2):
            raise InputError(
                f"task {self.name!r} needs at least two pairs with one label each, got pairs of shape "
                f"{self.pairs_N2.shape} and {count} labels: take a larger modulus, or a table of more pairs"
            )
        for what, values in (("a pair", self.pairs_N2), ("a label", self.labels_N)):
            low, high = int(values.min()), int(values.max())
            if low < 0 or high >= self.modulus:
                raise InputError(
                    f"task {self.name!r} has {what} outside 0..{self.modulus - 1} ({low}..{high}): "
                    "reduce it mod the modulus"
                )

    def __len__(self) -> int:
        """Return the number of pairs in the domain, N."""
        return len(self.labels_N)

    @property
    def parts(self) -> tuple["Task", ...]:
        """Itself, as the only part: what trains asks tasks and joint tasks alike."""
        return (self,)

    @property
    def answers_NO(self) -> Ints:
        """The answers as one column, int64 (N, 1)."""
        return self.labels_N[:, None]

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the table: two tasks with equal digests are the same function."""
        table = np.column_stack([self.pairs_N2, self.labels_N]).astype("<i8")
        return hashlib.sha256(str(self.modulus).encode() + table.tobytes()).hexdigest()
