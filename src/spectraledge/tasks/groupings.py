"""Groupings: maps from an input pair (a, b) to an element q of a finite group, by which functions are read.

They are registered by name, each by the module of `known` that tells of its tasks. A pair that the map does not cover
(zero has no logarithm) belongs to no group and is left out, never put into an arbitrary one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from spectraledge.algebra import Characters, Group, cyclic_characters, irreducible_characters, spectrum_of_means
from spectraledge.arrays import Bools, Float, Ints
from spectraledge.errors import InputError
from spectraledge.statistics import Symmetry
from spectraledge.tasks.task import Task


@dataclass(frozen=True)
class Grouping:
    """A map from the pairs of a domain to the M elements of a finite group.

    Attributes:
        name: Its key in `GROUPINGS`.
        formula: The map as a person writes it.
        order: Order M of the group.
        groups_N: The element of every pair, int64 (N,), in 0..M − 1; −1 for a pair outside the basis.
        coordinates_N2: The coordinates of a and b of which q is the sum or difference, int64 (N, 2), −1 where there is
            none: those of the rule's `Axes`.
        signs: The coefficients (±1) with which the coordinates enter, or (0, 0) if q is no such combination.
        characters: The functions on the group by frequency; None for the cyclic group Z_M.
        by_divisor: Whether its elements are residues, which pictures sort by divisor.
    """

    name: str
    formula: str
    order: int
    groups_N: Ints
    coordinates_N2: Ints
    signs: tuple[int, int]
    characters: Characters | None = None
    by_divisor: bool = False

    @property
    def excluded(self) -> int:
        """Number of pairs outside the basis."""
        return int((self.groups_N < 0).sum())

    @property
    def functions(self) -> Characters:
        """The functions on the group by frequency."""
        return self.characters or cyclic_characters(self.order)

    @property
    def is_ordered(self) -> bool:
        """Whether pictures sort elements by cosets or divisors, for want of one wave through all of them."""
        return self.by_divisor or self.functions.group is not None

    @property
    def separates(self) -> bool:
        """Whether every pair is a group of its own, so that any response is a function of the group."""
        return len(np.unique(self.groups_N[self.groups_N >= 0])) == len(self.groups_N) - self.excluded

    def power(self, means_KM: Float) -> Float:
        """Power of functions on the group at each frequency, by the published definition for a cyclic one.

        Args:
            means_KM: Group means, NaN for a group without members.

        Returns:
            Shape (K, F); see `spectrum_of_means` and `Characters.power`.
        """
        return spectrum_of_means(means_KM) if self.characters is None else self.characters.power(means_KM)

    def covering(self, kept_N: Bools) -> "Grouping":
        """The same map on all pairs, of which only some are in a group."""
        groups_N = np.where(kept_N, self.groups_N, -1)
        return replace(self, groups_N=groups_N, coordinates_N2=np.where(kept_N[:, None], self.coordinates_N2, -1))

    def restricted(self, kept_N: Bools) -> "Grouping":
        """The same map on some of the pairs."""
        return replace(self, groups_N=self.groups_N[kept_N], coordinates_N2=self.coordinates_N2[kept_N])


@dataclass(frozen=True)
class Axes:
    """Coordinates of the two members of a pair.

    Attributes:
        formula: Both as a person writes them.
        read: From a task to the coordinates, int64 (N, 2), −1 where there is none, and the order of their group.
    """

    formula: str
    read: Callable[[Task], tuple[Ints, int]]


RESIDUES = Axes("a, b", lambda task: (task.pairs_N2, task.modulus))


@dataclass(frozen=True)
class GroupingRule:
    """How to read the pairs of any task; what is registered.

    Attributes:
        name: What it is called, in tables and on the command line.
        formula: The map as a person writes it.
        signs: (±1, ±1) where it is a sum or difference of the axes' coordinates, which also gives the picture.
        axes: The coordinates.
        elements: The element of every pair otherwise, from the task; −1 for a pair that it does not cover.
        characters: The functions on its elements, from the task; None for those of the group.
        group: The group that its elements are of, from the task; None for the cyclic group of the axes.
        symmetries: Permutations of the elements that carry its structure over into itself; answers that are shuffled
            to have none are drawn without them.
        usual: Whether tasks are read in it when no bases are chosen.
        by_divisor: Whether its elements are residues, which pictures sort by divisor.
        unless_told: Whether only those are whose own group nobody has told.
    """

    name: str
    formula: str
    signs: tuple[int, int] = (0, 0)
    axes: Axes = RESIDUES
    elements: Callable[[Task], Ints] | None = None
    characters: Callable[[Task], Characters] | None = None
    group: Callable[[Task], Group] | None = None
    symmetries: tuple[Symmetry, ...] = ("affine",)
    usual: bool = False
    by_divisor: bool = False
    unless_told: bool = False

    @property
    def grid(self) -> str:
        """Name of the grouping in whose coordinates pairs are split: its own, or else those of the residues."""
        return self.name if any(self.signs) else _combination(RESIDUES, (1, 1))

    @property
    def picture(self) -> str:
        """Name of the grouping in whose coordinates waves are drawn: its own, or else that of its grid."""
        return self.name if self.group or self.by_divisor else self.grid

    def line(self, signs: tuple[int, int]) -> str:
        """Name of the grouping that combines the coordinates of the same axes by some signs; "" if there is none."""
        return _combination(self.axes, signs)


GROUPINGS: dict[str, GroupingRule] = {}
"""Every grouping by name, in the order in which they are shown."""

FAMILIES: dict[str, Callable[[str], GroupingRule]] = {}
"""Groupings that are named by a family and a member, "group:S5": from the member to the rule."""


def _combination(axes: Axes, signs: tuple[int, int]) -> str:
    return next((rule.name for rule in GROUPINGS.values() if rule.axes is axes and rule.signs == signs), "")


def register_grouping(rule: GroupingRule) -> None:
    """Make a grouping known by its name.

    Args:
        rule: How to make it for a task.

    Raises:
        InputError: if there is one of this name.
    """
    if rule.name in GROUPINGS:
        raise InputError(f"there is a basis {rule.name!r} already: choose another name")
    GROUPINGS[rule.name] = rule


def grouping_rule(name: str) -> GroupingRule:
    """The rule of a grouping by name.

    Args:
        name: A key of `GROUPINGS`, or one of `FAMILIES` with a member behind a colon.

    Returns:
        The rule.

    Raises:
        InputError: if the name is unknown.
    """
    family, _, member = name.partition(":")
    if member and family in FAMILIES:
        return FAMILIES[family](member)
    if name not in GROUPINGS:
        raise InputError(f"unknown basis {name!r}: known bases are {', '.join(GROUPINGS)}")
    return GROUPINGS[name]


def basis_formula(name: str) -> str:
    """A grouping as a person writes it; the name itself where it is none."""
    try:
        return grouping_rule(name).formula
    except InputError:
        return name


def task_title(formula: str, structure: str, modulus: int) -> str:
    """A task in a few words: elements of a group by name are no residues, all others are counted mod their number."""
    family, _, member = structure.partition(":")
    return formula if member and family in FAMILIES else f"{formula} mod {modulus}"


def grouping(task: Task, name: str) -> Grouping:
    """Group the pairs of a task by one of the known variables.

    Args:
        task: The task whose domain is grouped.
        name: See `grouping_rule`.

    Returns:
        The grouping.

    Raises:
        InputError: if the name is unknown, or the grouping does not apply to the task: it needs logarithms and the
            modulus is not prime, or covers no pair.
    """
    rule = grouping_rule(name)
    coordinates, order = rule.axes.read(task)
    if rule.elements is None:
        groups = np.where((coordinates >= 0).all(axis=1), coordinates @ np.array(rule.signs) % order, -1)
    else:
        groups = rule.elements(task)
    if (groups < 0).all():
        raise InputError(f"basis {name!r} covers no pair of task {task.name!r}: choose another basis")
    characters = rule.characters(task) if rule.characters else None
    if rule.group:
        characters = irreducible_characters(rule.group(task))
    order = len(characters.frequency_M) if characters else order
    return Grouping(name, rule.formula, order, groups, coordinates, rule.signs, characters, rule.by_divisor)


def why_not(task: Task, name: str) -> str:
    """Why functions on the pairs of a task cannot be read in a basis; "" if they can.

    Args:
        task: The task.
        name: See `grouping_rule`.

    Returns:
        What to tell a person.
    """
    try:
        found = grouping(task, name)
    except InputError as error:
        return str(error)
    return f"basis {name!r} puts every pair into a group of its own" if found.separates else ""


def default_groupings(task: Task) -> list[str]:
    """Tell in which bases a task is read when none are chosen.

    Args:
        task: The task.

    Returns:
        Names of the usual ones that apply to it, and its own; of a task whose group nobody has told also that of the
        group that its table is, where it is one.
    """
    untold = task.structure == "output"
    names = [
        name
        for name, rule in GROUPINGS.items()
        if (rule.usual or (untold and rule.unless_told)) and not why_not(task, name)
    ]
    return names if task.structure in names else [*names, task.structure]


def left_out(task: Task) -> Mapping[str, str]:
    """The usual bases that a task is not read in, with the reason."""
    reasons = {name: why_not(task, name) for name, rule in GROUPINGS.items() if rule.usual}
    return {name: why for name, why in reasons.items() if why}
