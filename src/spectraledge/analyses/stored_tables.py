"""Tables of a run on disk: each is read when it is asked for, and of all runs those used last stay in memory."""

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping

import pandas as pd

KEPT_BYTES = 1 << 30
"""Memory for the tables of all runs together (our choice: some hundred usual runs, or a few of the largest)."""


class StoredTables(Mapping[str, pd.DataFrame]):
    """Tables by name, of which a process keeps those used last, `KEPT_BYTES` of them and at least one.

    What reads a table, given by its name, may be called again.
    """

    def __init__(self, readers: Mapping[str, Callable[[], pd.DataFrame]]) -> None:
        self._readers = dict(readers)
        self._held: dict[str, pd.DataFrame] = {}
        self._number = next(_NUMBERS)

    def __getitem__(self, name: str) -> pd.DataFrame:
        table = self._held.get(name)
        if table is None:
            table = self._held[name] = self._readers[name]()
        _use(self, name, table)
        return table

    def __contains__(self, name: object) -> bool:
        return name in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


_NUMBERS = itertools.count()
_USED: OrderedDict[tuple[int, str], tuple[weakref.ref[StoredTables], int]] = OrderedDict()
"""Whose table, and its bytes, the one used last at the end; of runs that are gone until others push them out."""

_LOCK = threading.Lock()


def _use(owner: StoredTables, name: str, table: pd.DataFrame) -> None:
    """Note that a table is used, and let go of those that were used least lately."""
    with _LOCK:
        key = owner._number, name
        if key in _USED:
            _USED.move_to_end(key)
            return
        _USED[key] = weakref.ref(owner), int(table.memory_usage(deep=True).sum())
        held = sum(size for _, size in _USED.values())
        while held > KEPT_BYTES and len(_USED) > 1:
            (_, oldest), (whose, size) = _USED.popitem(last=False)
            held -= size
            if (other := whose()) is not None:
                other._held.pop(oldest, None)
