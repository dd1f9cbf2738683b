"""Groups that many tests ask about, and tables under other names."""

import numpy as np

from spectraledge.algebra import named_group

NAMES = [
    "C1", "C2", "C7", "C12", "C2xC6", "C3xC3", "C2xC2xC2", "S3", "S4", "A4", "A5", "D4", "D5", "D6", "Q8", "Dic3",
    "Dic5", "Aff5", "Aff7", "C3xS3", "S3xS3", "C2xQ8", "D4xC3", "Q16",
]  # fmt: skip
"""Of each kind some, and products."""

LARGE = [
    "C97", "C128", "S5", "D64", "Dic32", "Aff11", "C2xC2xC2xC2xC2xC2xC2", "D4xQ8xC2", "A4xA4", "C4xC32", "C2xA5",
]  # fmt: skip
"""Up to order 144."""

LOOP = np.array([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]])
"""A loop of order 5 in which every element is its own inverse; no group of order 5 has one that is."""


def renamed(table, seed):
    """The same operation, its elements called otherwise."""
    names = np.random.default_rng(seed).permutation(len(table))
    places = np.argsort(names)
    return names[table[np.ix_(places, places)]]


def isotope(table, seed):
    """Rows, columns and answers called otherwise, each in its own way."""
    rows, columns, answers = (np.random.default_rng([seed, k]).permutation(len(table)) for k in range(3))
    return answers[table[np.ix_(rows, columns)]]


def damaged(table, count, seed):
    """So many entries changed to another answer."""
    generator = np.random.default_rng(seed)
    found = table.copy()
    for place in generator.choice(table.size, count, replace=False):
        found.flat[place] = (found.flat[place] + generator.integers(1, len(table))) % len(table)
    return found


def table_of(name):
    return named_group(name).table_MM
