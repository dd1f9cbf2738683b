"""Atomic files: a reader sees the old content or the new, never a part, whatever fails."""

import contextlib
import errno
import os
import resource
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.files import (
    digest,
    fingerprint,
    read_json,
    read_table,
    replacing,
    write_bytes,
    write_columns,
    write_json,
    write_table,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextlib.contextmanager
def largest_file(size):
    """Let the operating system refuse files above a size, as a full disk refuses them."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_bytes_are_written_and_replaced(tmp_path):
    path = tmp_path / "deep" / "er" / "file"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file"]


def test_pieces_are_one_file(tmp_path):
    found = write_bytes(tmp_path / "file", b"one", memoryview(b"and"), b"", b"two")
    assert (tmp_path / "file").read_bytes() == b"oneandtwo"
    assert found == fingerprint(tmp_path / "file")


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_columns_are_written_as_their_table_is(tmp_path, count):
    columns = {
        "step": list(range(count)),
        "loss": [float("nan") if i % 3 == 1 else i / 7 for i in range(count)],
        "product": np.random.default_rng(0).random(count),
        "whole": [float(i) for i in range(count)],
    }
    ours = write_columns(tmp_path / "ours", columns)
    assert ours == write_table(tmp_path / "theirs", pd.DataFrame(columns))
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_the_old_content_stands_until_the_new_is_whole(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"half of the n")
        assert path.read_bytes() == b"old"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
    assert path.read_bytes() == b"half of the n"


def test_a_failing_writer_changes_nothing(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail():
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError("writer broke")

    with pytest.raises(RuntimeError, match="writer broke"):
        fail()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_refused_write_changes_nothing(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with largest_file(4096), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        write_bytes(path, b"x" * 10_000)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace")], ids=["flush", "rename"])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_bytes(path, b"new"),
        lambda path: write_json(path, [1, 2]),
        lambda path: write_table(path, pd.DataFrame({"a": [1]})),
    ],
    ids=["bytes", "json", "table"],
)
def test_a_full_disk_changes_nothing(tmp_path, monkeypatch, owner, call, write):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(owner, call, full)
    with pytest.raises(OSError, match="No space left"):
        write(path)
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@given(value=json_values)
def test_json_round_trip(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("json") / "value.json"
    write_json(path, value)
    assert read_json(path) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused_and_the_old_file_stands(tmp_path, value):
    path = tmp_path / "value.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, value)
    assert read_json(path) == 1


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00"], ids=["empty", "cut", "binary"])
def test_broken_json_says_which_file(tmp_path, content):
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"value\.json is not valid JSON"):
        read_json(path)


def test_table_round_trip(tmp_path):
    table = pd.DataFrame({"step": [1, 2], "loss": [0.5, float("nan")], "name": ["a", "b"]})
    write_table(tmp_path / "table.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.parquet"), table)


def test_a_missing_table_says_so(tmp_path):
    with pytest.raises(InputError, match=r"table\.parquet does not exist"):
        read_table(tmp_path / "table.parquet")


@pytest.mark.parametrize("kept", [0, 3, 200])
def test_a_broken_table_says_so(tmp_path, kept):
    path = tmp_path / "table.parquet"
    write_table(path, pd.DataFrame({"a": range(100)}))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"table\.parquet is not a readable Parquet table"):
        read_table(path)


@given(value=st.dictionaries(st.text(), json_values, max_size=4))
def test_the_digest_ignores_the_order_of_keys(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_different_values_have_different_digests():
    values = [{}, [], {"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": 1.5}, {"a": None}]
    assert len({digest(value) for value in values}) == len(values)
