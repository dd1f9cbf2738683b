"""Tasks on the elements of a group by name, and controls of the same size without a group."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spectraledge.algebra import Group, group_labels, named_group, random_latin_square
from spectraledge.arrays import Ints
from spectraledge.errors import InputError
from spectraledge.streams import numpy_generator
from spectraledge.tasks.operations import all_pairs
from spectraledge.tasks.task import Task

LATIN_KINDS = ("latin", "loop")
"""Tables without a group that `latin_task` makes."""


@dataclass(frozen=True)
class GroupOperation:
    """An operation on any group.

    Attributes:
        word: What it is called in names of files.
        formula: As a person writes it.
        values: The operation on arrays of a and b.
    """

    word: str
    formula: str
    values: Callable[[Group, Ints, Ints], Ints]

    def formula_in(self, group: Group) -> str:
        """The formula with the group's name."""
        return f"{self.formula} in {group.name}"


GROUP_OPERATIONS = {
    "ab": GroupOperation("product", "a·b", lambda group, a, b: group.table_MM[a, b]),
    "ab^-1": GroupOperation("quotient", "a·b⁻¹", lambda group, a, b: group.quotients_MM[a, b]),
    "aba^-1": GroupOperation("conjugate", "a·b·a⁻¹", lambda group, a, b: group.quotients_MM[group.table_MM[a, b], a]),
    "[a,b]": GroupOperation("commutator", "a·b·a⁻¹·b⁻¹", lambda group, a, b: group.commutators_MM[a, b]),
}
"""What `group:NAME:OPERATION` may name, beside the words that stand in names of files."""


def parsed(member: str) -> tuple[Group, GroupOperation]:
    """The group and the operation of "S5" or "S5:ab^-1": a key of `GROUP_OPERATIONS` or its word, by default ab."""
    name, _, chosen = member.partition(":")
    by_word = {operation.word: operation for operation in GROUP_OPERATIONS.values()}
    operation = (GROUP_OPERATIONS | by_word).get(chosen or "ab")
    if operation is None:
        known = ", ".join(f"{key} or {each.word}" for key, each in GROUP_OPERATIONS.items())
        raise InputError(f"unknown operation {chosen!r} on group {name}: known are {known}")
    return named_group(name), operation


def group_task(member: str) -> Task:
    """The task of an operation on a group by name; residues are its elements, numbered as `named_group` does.

    Args:
        member: "S5", of a·b, or "S5:ab^-1" and so on (`GROUP_OPERATIONS`).

    Returns:
        The task on all pairs. Its own basis is that of the operation, read by the irreducible representations.

    Raises:
        InputError: if there is no such group or operation, or it has fewer than two elements.
    """
    group, operation = parsed(member)
    if len(group) < 2:
        raise InputError(f"a task needs a group of two or more elements, got {group.name}")
    pairs_N2 = all_pairs(len(group))
    labels_N = operation.values(group, *pairs_N2.T)
    parts = [group.name] if operation.word == "product" else [group.name, operation.word]
    structure = ":".join(["group", *parts])
    return Task("-".join(parts), operation.formula_in(group), len(group), pairs_N2, labels_N, structure)


def latin_task(kind: str, number: str, *, modulus: int) -> Task:
    """A control without a group: a Latin square at random, or a loop, which is one with an identity.

    Args:
        kind: "latin" or "loop"; the identity of a loop is 0.
        number: Which of them, a number from 0.
        modulus: Number of residues; 5 or more, since all smaller loops are groups.

    Returns:
        The task on all pairs.

    Raises:
        InputError: if the number or the modulus is out of range.
    """
    if not number.isdecimal():
        raise InputError(f"{kind} squares are numbered from 0, got {number!r}: try {kind}:0")
    if modulus < 5:
        raise InputError(f"Latin squares that are no groups have a modulus of 5 or more, got {modulus}")
    pairs_N2 = all_pairs(modulus)
    generator = numpy_generator(int(number), "latin square", modulus)
    while group_labels(square_MM := random_latin_square(modulus, generator)) is not None:
        pass
    if kind == "loop":
        # Rows by what they do to the first column, columns by what they do to the first row: 0 is then the identity.
        square_MM = np.argsort(square_MM[0])[square_MM]
        square_MM = square_MM[np.argsort(square_MM[:, 0])]
    formula = f"a random {'loop' if kind == 'loop' else 'Latin square'}"
    return Task(f"{kind}-{int(number)}", formula, modulus, pairs_N2, square_MM.ravel())


def task_of_name(name: str, *, modulus: int) -> Task | None:
    """Make the task again that `group_task` or `latin_task` gave a name; None if neither gives such a name."""
    base, _, number = name.partition("-")
    if base in LATIN_KINDS and number.isdecimal():
        return latin_task(base, number, modulus=modulus)
    member = member_of_name(name)
    return group_task(member) if member else None


def member_of_name(name: str) -> str:
    """The group and operation ("S5:quotient") of the task that `group_task` gave a name; "" for other names."""
    base, dash, word = name.partition("-")
    words = {operation.word for operation in GROUP_OPERATIONS.values()}
    if (dash and word not in words) or not re.fullmatch(r"[A-Z][a-z]*[0-9]+(x[A-Z][a-z]*[0-9]+)*", base):
        return ""
    return f"{base}:{word}" if word else base
