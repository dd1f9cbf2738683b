"""Tables that are read when they are asked for."""

import gc
import weakref
from functools import partial

import pandas as pd
import pytest

from spectraledge.analyses import stored_tables
from spectraledge.analyses.stored_tables import StoredTables

ROWS = 1_000


class Disk:
    """Tables whose readings are counted."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def table(self, name: str) -> pd.DataFrame:
        self.read.append(name)
        return pd.DataFrame({"value": [float(ord(name))] * ROWS})

    def tables(self, names: str) -> StoredTables:
        return StoredTables({name: partial(self.table, name) for name in names})


def test_a_table_is_read_when_asked_for_and_once() -> None:
    disk = Disk()
    tables = disk.tables("abc")
    assert list(tables) == ["a", "b", "c"]
    assert len(tables) == 3
    assert "a" in tables
    assert "d" not in tables
    assert disk.read == []
    assert tables["b"] is tables["b"]
    assert tables.get("d") is None
    assert disk.read == ["b"]
    with pytest.raises(KeyError):
        tables["d"]


def test_those_used_least_lately_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_tables, "KEPT_BYTES", 2 * 8 * ROWS + 1_000)
    disk = Disk()
    one, other = disk.tables("ab"), disk.tables("ab")
    for tables, name in ((one, "a"), (other, "a"), (one, "a"), (other, "b"), (one, "a"), (other, "a")):
        assert tables[name]["value"].eq(ord(name)).all()
    assert disk.read == ["a", "a", "b", "a"]
    assert len(one._held) + len(other._held) == 2


def test_the_one_asked_for_is_given_however_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_tables, "KEPT_BYTES", 10)
    disk = Disk()
    tables = disk.tables("ab")
    assert [len(tables[name]) for name in "aab"] == [ROWS] * 3
    assert disk.read == ["a", "b"]
    assert list(tables._held) == ["b"]


def test_tables_of_a_run_that_is_gone_take_no_memory() -> None:
    tables = Disk().tables("a")
    table = weakref.ref(tables["a"])
    assert table() is not None
    del tables
    gc.collect()
    assert table() is None
