"""How often `discover` is right: all groups up to order 32 behind names, damaged tables, tables without a group.

Run by hand: `python benchmarks/discovery.py`. Prints rows and writes them as JSON beside the others. Groups are all
that there are up to order 32 (`groups_of_order`), and all named ones of orders 64, 120 and 128. Whether a Latin square
is a group's up to names is asked of an oracle that shares no code with `discover`: whether its rows lead to each other
by as many permutations as there are rows.
"""

import itertools
import platform
import time
from datetime import date
from pathlib import Path

import numpy as np

from spectraledge.algebra import (
    PAIR_ELEMENTS,
    candidate_names,
    conjugacy_classes,
    coset_projector,
    discover,
    double_cosets,
    groups_of_order,
    identify,
    irreducible_representations,
    isomorphism,
    isotypic_parts,
    named_group,
    random_latin_square,
    separation,
    subgroups,
)
from spectraledge.files import write_json

RELABELLINGS = 5
ORDERS = range(1, 33)


def renamed(table, generator):
    """Rows, columns and answers called otherwise, each in its own way."""
    rows, columns, answers = (generator.permutation(len(table)) for _ in range(3))
    return answers[table[np.ix_(rows, columns)]]


def is_right(found, table, group):
    """Whether the group is found, under labels that make its table of the given one."""
    labels = found.labels
    makes = found.group.table_MM[np.ix_(labels.rows_M, labels.columns_M)] == labels.answers_K[table]
    return bool(found.is_group and makes.all() and isomorphism(found.group, group) is not None)


def is_groups(square):
    """Whether a Latin square is a group's up to names: rows lead to rows by M permutations, not more."""
    places = np.argsort(square, axis=1)
    steps = {tuple(places[second][square[first]]) for first in range(len(square)) for second in range(len(square))}
    return len(steps) == len(square)


def behind_names(groups, generator, relabellings=RELABELLINGS):
    """How many tables of groups are recognised, and the longest time."""
    right, names, longest = 0, {}, 0.0
    for number, group in enumerate(groups):
        for _ in range(relabellings):
            table = renamed(group.table_MM, generator)
            began = time.perf_counter()
            found = discover(table)
            longest = max(longest, time.perf_counter() - began)
            right += is_right(found, table, group)
            names.setdefault(found.group.name, set()).add(number)
    return {
        "groups": len(groups),
        "tables": relabellings * len(groups),
        "right": right,
        "names for two groups": sum(len(numbers) > 1 for numbers in names.values()),
        "named": sum(identify(group).is_named for group in groups),
        "longest seconds": longest,
    }


def damaged(groups, generator, share):
    """How many damaged tables lead to their group, in as many changes, and how often that is called certain."""
    rows = {"tables": 0, "group found": 0, "changes at most the damage": 0, "certain": 0, "certain and wrong": 0}
    longest = 0.0
    for group in groups:
        order = len(group)
        count = separation(order) // 2 if share is None else max(1, round(share * order**2))
        table = renamed(group.table_MM, generator)
        for place in generator.choice(table.size, count, replace=False):
            table.flat[place] = (table.flat[place] + generator.integers(1, order)) % order
        began = time.perf_counter()
        found = discover(table)
        longest = max(longest, time.perf_counter() - began)
        same = isomorphism(found.group, group) is not None
        rows["tables"] += 1
        rows["group found"] += same
        rows["changes at most the damage"] += found.changes <= count
        rows["certain"] += found.is_exact
        rows["certain and wrong"] += found.is_exact and found.changes > count
    return rows | {"longest seconds": longest}


def no_groups(tables):
    """How many tables are called groups', and how many are by the oracle."""
    called, are, disagree, longest = 0, 0, 0, 0.0
    for table, known in tables:
        began = time.perf_counter()
        found = discover(table).is_group
        longest = max(longest, time.perf_counter() - began)
        called, are, disagree = called + found, are + known, disagree + (found != known)
    row = {"tables": len(tables), "called groups": called, "are groups": are, "disagree": disagree}
    return row | {"longest seconds": longest}


def reduced_squares(order):
    """All Latin squares with the first row and column in order."""
    rows_of = [[p for p in itertools.permutations(range(order)) if p[0] == a] for a in range(order)]
    squares = [[tuple(range(order))]]
    for a in range(1, order):
        squares = [
            [*square, row]
            for square in squares
            for row in rows_of[a]
            if all(row[b] != other[b] for other in square for b in range(order))
        ]
    return squares


def laws(most):
    """Largest departures of all irreducible representations of all named groups up to an order."""
    worst = {"homomorphism": 0.0, "unitarity": 0.0, "orthogonality": 0.0}
    count = 0
    for order in range(1, most + 1):
        names = [name for name in candidate_names(order) if identify(named_group(name)).group.name == name]
        for name in names:
            group = named_group(name)
            found = irreducible_representations(group)
            assert sum(rho.dimension**2 for rho in found) == order
            assert len(found) == len(conjugacy_classes(group))
            count += 1
            for rho in found:
                matrices = rho.matrices_Mdd
                unit = matrices @ matrices.conj().transpose(0, 2, 1) - np.eye(rho.dimension)
                worst["unitarity"] = max(worst["unitarity"], float(np.abs(unit).max()))
                for x in range(order):
                    off = np.abs(matrices[x] @ matrices - matrices[group.table_MM[x]]).max()
                    worst["homomorphism"] = max(worst["homomorphism"], float(off))
            entries = [np.sqrt(rho.dimension / order) * rho.matrices_Mdd.reshape(order, -1) for rho in found]
            all_MM = np.concatenate(entries, axis=1)
            off = float(np.abs(all_MM.conj().T @ all_MM - np.eye(order)).max())
            worst["orthogonality"] = max(worst["orthogonality"], off)
    return {"groups": count, **worst}


def seconds_of_everything(name):
    """Seconds for a group: representations, subgroups, projectors of elements, pairs and two-sided cosets."""
    began = time.perf_counter()
    group = named_group(name)
    irreducible_representations(group)
    parts = isotypic_parts(group)
    values_MM = np.random.default_rng(0).normal(size=(len(group), len(group)))
    for elements in PAIR_ELEMENTS.values():
        parts.split_pairs(values_MM, elements(group))
    classes = subgroups(group).classes
    for left in classes:
        for right in classes:
            coset_projector(double_cosets(group, left.elements, right.elements))
    return {"seconds": time.perf_counter() - began, "representations": len(parts.names), "subgroups": len(classes)}


def main():
    generator = np.random.default_rng(0)
    small = [group for order in ORDERS for group in groups_of_order(order)]
    large = {
        order: [named_group(name) for name in candidate_names(order) if identify(named_group(name)).group.name == name]
        for order in (64, 120, 128)
    }
    result = {"machine": platform.processor() or platform.machine(), "numpy": np.__version__}

    def keep(name, row):
        result[name] = row
        print(name, row, flush=True)

    keep("S5 with all its projectors", seconds_of_everything("S5"))
    keep("all groups up to order 32, behind names", behind_names(small, generator))
    for order, groups in large.items():
        keep(f"named groups of order {order}, behind names", behind_names(groups, generator))
    keep("wrong entries: half the separation", damaged(small[1:], generator, None))
    for share in (0.05, 0.1, 0.2):
        chosen = [group for group in small if len(group) >= 8]
        keep(f"wrong entries: {share:.0%}, orders 8 to 32", damaged(chosen, generator, share))
    for order, groups in large.items():
        keep(f"wrong entries: 1%, order {order}", damaged(groups, generator, 0.01))
    for order in (5, 6, 7, 8, 9, 12, 16, 32):
        squares = [random_latin_square(order, generator) for _ in range(100 if order < 8 else 30)]
        keep(f"random Latin squares of order {order}", no_groups([(square, is_groups(square)) for square in squares]))
    for order in (2, 3, 4, 5, 7, 8, 16, 32, 128):
        tables = [generator.integers(0, order, (order, order)) for _ in range(100 if order < 8 else 10)]
        known = [bool(np.ptp(np.sort(table), axis=0).max() == np.ptp(np.sort(table.T), axis=0).max() == 0)
                 and is_groups(table) for table in tables]  # fmt: skip
        keep(f"random tables of order {order}", no_groups(list(zip(tables, known, strict=True))))
    for order in (4, 5, 6):
        squares = [np.array(square) for square in reduced_squares(order)]
        keep(f"all loops of order {order}", no_groups([(square, is_groups(square)) for square in squares]))
    keep("representations of named groups up to order 128, largest error", laws(128))
    write_json(Path(__file__).parent / "results" / f"{date.today()}-discovery.json", result)


if __name__ == "__main__":
    main()
