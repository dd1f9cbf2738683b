"""What the subspaces of functions on a group are called: sign, standard, or by order of the character or dimension."""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from spectraledge.algebra.finite_groups import Group
from spectraledge.algebra.isomorphism import fingerprint, isomorphism
from spectraledge.algebra.isotypic import real_rows
from spectraledge.algebra.named_groups import named_group, permutations
from spectraledge.algebra.representations import CharacterTable
from spectraledge.arrays import Float, Ints

SIGN, STANDARD = "sign", "standard"


def subspace_names(group: Group, table: CharacterTable) -> tuple[str, ...]:
    """Names of the isotypic parts of the functions on a group, the constants left out.

    "sign": the only character of order 2. "standard" and "standard × sign": of S_n and A_n, the permutation of letters
    without its constants. All others by the order of the character, or by dimension, with a letter where there are
    several: "character of order 4", "dimension 2 (a)". A representation and its conjugate have one name.

    Args:
        group: The group.
        table: Its characters.

    Returns:
        A name for each part in the order of `isotypic_parts`, all different.

    Cost: for the orders of S_n and A_n also an `isomorphism`.
    """
    rows = [each[0] for each in real_rows(table)[1:]]
    kinds = [_kind(table, row) for row in rows]
    if kinds.count(_of_order(2)) == 1:
        kinds[kinds.index(_of_order(2))] = SIGN
    known = dict(_of_letters(group, table, rows, kinds))
    kinds = [known.get(row, kind) for row, kind in zip(rows, kinds, strict=True)]
    several, seen = Counter(kinds), Counter[str]()
    names = []
    for kind in kinds:
        names.append(f"{kind} ({_letters(seen[kind])})" if several[kind] > 1 else kind)
        seen[kind] += 1
    return tuple(names)


def _of_order(order: int) -> str:
    return f"character of order {order}"


def _kind(table: CharacterTable, row: int) -> str:
    if (dimension := table.dimensions_C[row]) > 1:
        return f"dimension {dimension}"
    # The values of a character are all roots of unity of its order.
    turns_C = np.angle(table.values_CC[row]) / (2 * np.pi)
    return _of_order(next(k for k in range(1, table.on_elements_CM.shape[1] + 1) if _whole(k * turns_C)))


def _whole(numbers: Float) -> bool:
    return bool(np.abs(numbers - np.rint(numbers)).max() < 1e-9)


def _of_letters(group: Group, table: CharacterTable, rows: list[int], kinds: list[str]) -> Iterator[tuple[int, str]]:
    """Rows of the standard representation of S_n or A_n, and of its product with the sign, with their names."""
    fixed_M = _fixed_letters(group)
    if fixed_M is None:
        return
    characters_CM = table.on_elements_CM
    wanted = {STANDARD: fixed_M - 1.0}
    if SIGN in kinds:
        wanted = {f"{STANDARD} × {SIGN}": characters_CM[rows[kinds.index(SIGN)]].real * (fixed_M - 1.0), **wanted}
    for name, character_M in wanted.items():
        yield from ((row, name) for row in rows if np.abs(characters_CM[row] - character_M).max() < 1e-6)


def _fixed_letters(group: Group) -> Ints | None:
    """How many letters each element leaves in place, if the group is S_n, n ≥ 3, or A_n, n ≥ 4."""
    orders = {f"S{n}": math.factorial(n) for n in range(3, 7)} | {f"A{n}": math.factorial(n) // 2 for n in range(4, 7)}
    for name in (name for name, order in orders.items() if order == len(group)):
        target, image_M = named_group(name), None
        if group.name == name:
            image_M = np.arange(len(group))
        elif fingerprint(group) == fingerprint(target):
            image_M = isomorphism(group, target)
        if image_M is not None:
            letters_Mn = permutations(name)
            fixed_M: Ints = (letters_Mn == np.arange(letters_Mn.shape[1])).sum(axis=1)[image_M]
            return fixed_M
    return None


def _letters(place: int) -> str:
    """The letters a, b, …, z, then aa, ab and so on."""
    return (_letters(place // 26 - 1) if place >= 26 else "") + chr(ord("a") + place % 26)
