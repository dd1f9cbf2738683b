"""Tables of operations in files: numbers or names, with or without names of rows and columns, in CSV or .npy."""

import csv
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError

Cell = int | float | str | None
"""A number, a name, or nothing."""

DELIMITERS = (";", "\t", ",")
"""A file's is the first that occurs in it outside quotes and brackets, else blanks are."""

_HIDDEN = {ord(delimiter): 0xE000 + place for place, delimiter in enumerate((*DELIMITERS, " "))}
_SHOWN = {hidden: delimiter for delimiter, hidden in _HIDDEN.items()}
"""What stands for delimiters in names such as (1,2) while lines are parted, characters of private use, and back."""

_ENCLOSED = re.compile(r'((?<![^;\t, ])"(?:[^"]|"")*"|[()\[\]{}])')
"""A quoted cell, or a bracket."""

_MANY = 1.5
"""Answers over rows of a square from which its first row and column may be none (our choice)."""

_LIST = 9
_APART = 0.9
"""Rows from which three columns may list pairs, and the least share of these that are different (our choices)."""


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table as a file holds it.

    Attributes:
        cells: The answers, row by row; None where there is none.
        rows: Names of the rows, in the file's first column; empty if it has none.
        columns: Names of the columns, in the file's first row; empty if it has none.
    """

    cells: tuple[tuple[Cell, ...], ...]
    rows: tuple[Cell, ...] = ()
    columns: tuple[Cell, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns of answers."""
        return len(self.cells), len(self.cells[0])

    @property
    def named(self) -> str:
        """What has names in the file, in words."""
        return " and ".join(what for what, names in (("rows", self.rows), ("columns", self.columns)) if names) or "none"

    @property
    def answers(self) -> tuple[Cell, ...]:
        """The different answers: as rows or columns are named where all are among their names, else sorted.

        −1 is none where the others are numbered from 0, as many as there are rows: it stands for a missing one.
        """
        found = {cell for row in self.cells for cell in row if cell is not None}
        if found == set(range(-1, max(self.shape))):
            found.discard(-1)
        for names in (self.rows, self.columns):
            if found and found <= set(names):
                return names
        return tuple(sorted(found, key=lambda cell: (isinstance(cell, str), cell)))

    @property
    def is_latin(self) -> bool:
        """Whether every row and every column holds every answer once."""
        return _is_latin(self.cells)

    @property
    def marks(self) -> tuple[str, ...]:
        """Words among numbers that are no names and of no Latin square, so that they may stand for no answer at all."""
        words = tuple(answer for answer in self.answers if isinstance(answer, str))
        are_names = len(words) == len(self.answers) or set(self.answers) <= {*self.rows, *self.columns}
        return () if are_names or self.is_latin else words

    def numbered(self) -> Ints:
        """The table with every answer as its place in `answers`, −1 where there is none, int64 (A, B)."""
        place: dict[Cell, int] = {answer: number for number, answer in enumerate(self.answers)}
        return np.array([[place.get(cell, -1) for cell in row] for row in self.cells], dtype=np.int64)


def read_table_file(path: Path, *, square: bool = False, labels: bool | None = None) -> TableFile:
    """Read a table of answers.

    Cells of a CSV file lie between semicolons, else tabs, commas or blanks. Its first row and column are taken for
    names when the rest tells: words beside numbers; or each name once, with nothing, or a word that is nowhere else, in
    the corner, and where there are as many rows as columns, no more answers than names, or names among the answers.

    Args:
        path: A .csv or .npy file.
        square: Whether the table has as many rows as columns, so that one row or column too many holds names.
        labels: Whether the first row and column are names (where there is a row or column too many, it alone). Default:
            told from the table.

    Returns:
        The table.

    Raises:
        InputError: if there is no such file, or it is no readable table, or it is not square though it should be, or
            words stand among numbers that may mean a missing answer.
    """
    if path.suffix not in (".csv", ".npy") or not path.is_file():
        raise InputError(f"no task table at {path}: give the path of a .csv or .npy file")
    try:
        rows = _array_rows(path) if path.suffix == ".npy" else _text_rows(path)
    except (ValueError, OSError, EOFError, csv.Error) as error:
        raise InputError(f"{path} is not a readable table of numbers or names ({error})") from error
    if not rows or not rows[0]:
        raise InputError(f"{path} is not a readable table of numbers or names (it is empty)")
    lengths = [len(row) for row in rows]
    if len(set(lengths)) > 1:
        odd = next(number for number, length in enumerate(lengths) if length != lengths[0])
        raise InputError(
            f"{path} is not a readable table of numbers or names (row 1 has {lengths[0]} cells, row {odd + 1} has "
            f"{lengths[odd]})"
        )
    if _lists_pairs(rows):
        raise InputError(
            f"{path} lists pairs with their answers, three in a row: give a table, with a row for each a and a column "
            "for each b; if it is one of three columns, exchange rows and columns"
        )
    rows = _without_empty_edges(rows, square=square)
    first_row, first_column = _named_edges(rows, square=square, labels=labels)
    body = tuple(tuple(row[first_column:]) for row in rows[first_row:])
    names = tuple(row[0] for row in rows[first_row:]) if first_column else ()
    found = TableFile(body, names, tuple(rows[0][first_column:]) if first_row else ())
    if not found.cells or not found.cells[0]:
        raise InputError(
            f"{path} has no answers beside its names: cells lie between semicolons, tabs, commas or blanks"
        )
    if marks := found.marks:
        raise InputError(
            f"{path} is not a readable table of numbers or names ({marks[0]!r} is no number, other answers are): leave "
            "cells without an answer empty, or name all answers, or name rows and columns"
        )
    for what, edge in (("row", found.rows), ("column", found.columns)):
        if edge and not _are_names(edge):
            raise InputError(
                f"{path} has a {what} without a name, or two of one name: name each once, or none (--no-labels)"
            )
    if square and found.shape[0] != found.shape[1]:
        raise InputError(
            f"{path} has {found.shape[0]} rows and {found.shape[1]} columns of answers: an operation's table has as "
            "many of one as of the other, beside names (--labels)"
        )
    return found


def _array_rows(path: Path) -> list[list[Cell]]:
    array = np.load(path, allow_pickle=False)
    if array.ndim != 2 or array.dtype.kind not in "biufU":
        raise ValueError(f"it must have rows and columns of numbers or names, got {array.dtype} of shape {array.shape}")
    return [[_cell(value) for value in row] for row in array.tolist()]


def _text_rows(path: Path) -> list[list[Cell]]:
    # The byte order mark that spreadsheets write is no part of the first answer.
    text = path.read_text(encoding="utf-8-sig")
    lines = [_hidden(line) for line in text.splitlines(keepends=True)]
    delimiter = next((each for each in DELIMITERS if any(each in line for line in lines)), None)
    rows = [line.split() for line in lines]
    if delimiter:
        rows = list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
        if text.count('"') % 2 and any("\n" in value for row in rows for value in row):
            raise ValueError("a quote that is opened is not closed")
    return [[_cell(value.translate(_SHOWN)) for value in row] for row in rows if len(row) > 1 or "".join(row).strip()]


def _hidden(line: str) -> str:
    """A line with other characters for the delimiters in quotes and, if all are closed, in brackets."""
    depth, parts = 0, []
    for part in _ENCLOSED.split(line):
        depth += (part in ("(", "[", "{")) - (part in (")", "]", "}"))
        parts.append(part.translate(_HIDDEN) if depth or part.startswith('"') else part)
        if depth < 0:
            break
    hidden = "".join(parts)
    # A list of all answers in a row is no name.
    return line if depth or not any(delimiter in hidden.strip() for delimiter in (*DELIMITERS, " ")) else hidden


def _cell(value: Any) -> Cell:
    if isinstance(value, str):
        # One character may be written as two.
        text = unicodedata.normalize("NFC", value.strip())
        if not text or text.lower() == "nan":
            return None
        if re.fullmatch(r"[+-]?[0-9]+", text):
            return int(text)
        try:
            value = float(text)
        except ValueError:
            return text
        # Python reads 1_0 as 10.
        if math.isinf(value) or "_" in text:
            return text
        # Above 2⁵³ not every integer is a floating-point number.
        if (exact := Decimal(text)) == exact.to_integral_value():
            return int(exact)
    if isinstance(value, float):
        if math.isinf(value):
            return str(value)
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return int(value)


def _without_empty_edges(rows: list[list[Cell]], *, square: bool) -> list[list[Cell]]:
    """Cut off rows and columns without an answer at the end, as spreadsheets leave them; of a square those too many."""
    while len(rows) > (len(rows[0]) if square else 1) and not any(cell is not None for cell in rows[-1]):
        rows = rows[:-1]
    while len(rows[0]) > (len(rows) if square else 1) and not any(row[-1] is not None for row in rows):
        rows = [row[:-1] for row in rows]
    return rows


def _lists_pairs(rows: list[list[Cell]]) -> bool:
    """Whether the first two of three columns hold pairs: values that come again, in pairs that seldom do."""
    # Below a row of names or not, and behind a column that counts them or not.
    if len(rows[0]) == 4 and any(_are_counted([row[0] for row in body]) for body in (rows, rows[1:])):
        rows = [row[1:] for row in rows]
    for body in (rows, rows[1:]) if len(rows[0]) == 3 else ():
        count = len(body)
        different = [_different([row[place] for row in body]) for place in (0, 1)]
        pairs = len({(a, b) for a, b, _ in body})
        if count >= _LIST and min(different) > 1 and max(different) <= count / 2 and pairs >= _APART * count:
            return True
    return False


def _named_edges(rows: list[list[Cell]], *, square: bool, labels: bool | None) -> tuple[bool, bool]:
    """Whether the first row holds names, and whether the first column does."""
    count, width = len(rows), len(rows[0])
    if labels is not None:
        return labels and (count >= width or not square), labels and (width >= count or not square)
    top, left, corner = rows[0][1:], [row[0] for row in rows[1:]], rows[0][0]
    body = [cell for row in rows[1:] for cell in row[1:]]
    if not all(cell is None or isinstance(cell, str) for cell in body):
        # Of numbers, words that name nothing tell nothing either.
        body = [cell for cell in body if not isinstance(cell, str) or cell in top or cell in left]
    is_words = any(isinstance(cell, str) for cell in body)
    if not is_words and not (count == width and _is_latin(rows)):
        first_row, first_column = (bool(edge) and all(isinstance(cell, str) for cell in edge) for edge in (top, left))
        if first_row or first_column:
            both = corner is None or count == width
            return first_row or both, first_column or both
    # An empty corner, or a word that is nowhere else. Of two rows and columns the corner is an answer, or a missing
    # one, unless it is empty and what lies opposite is a name.
    is_corner = corner is None and (count > 2 or set(body) <= set(top))
    is_corner |= isinstance(corner, str) and sum(row.count(corner) for row in rows) == 1 and count > 2
    if is_corner and (count == width or not square):
        come_again = _come_again(rows)
        # Without names a square is mostly that of an operation, with about as many answers as rows.
        are_answers = count == width and _different(body) >= count and not come_again
        are_answers &= _different([*top, *left, *body]) < _MANY * count
        are_names = _are_names(top), _are_names(left)
        if (all(are_names) and not are_answers) or (any(are_names) and come_again):
            return True, True
    # One row or column too many for a square; of numbers only beside a Latin square, and where they count its lines if
    # it has two.
    for edge, rest in ((rows[0], rows[1:]), ([row[0] for row in rows], [row[1:] for row in rows])):
        if not rest or not len(rest) == len(edge) == len(rest[0]) > 1 or not _are_names(edge):
            continue
        if is_words or (square and (len(edge) > 2 or _are_counted(edge)) and _is_latin(rest)):
            return edge is rows[0], edge is not rows[0]
    return False, False


def _come_again(rows: list[list[Cell]]) -> bool:
    """Whether most names of rows, and of columns, are answers in their lines, as in a group's table with names."""
    for lines in (rows, list(zip(*rows, strict=True))):
        found = [line[0] in line[1:] for line in lines[1:] if line[0] is not None]
        if sum(found) <= len(found) / 2:
            return False
    return True


def _are_counted(edge: Sequence[Cell]) -> bool:
    return list(edge) in (list(range(len(edge))), list(range(1, len(edge) + 1)))


def _is_latin(rows: Sequence[Sequence[Cell]]) -> bool:
    """Whether every line holds every answer once."""
    answers = set(rows[0])
    return all(_are_names(line) and set(line) == answers for line in (*rows, *zip(*rows, strict=True)))


def _are_names(cells: Sequence[Cell]) -> bool:
    return len(cells) > 0 and None not in cells and len(set(cells)) == len(cells)


def _different(cells: Sequence[Cell]) -> int:
    return len({cell for cell in cells if cell is not None})
