"""Python source with the labels of `tokenize`: against a count by hand, and by the indentation that one sees."""

import textwrap
from pathlib import Path

import numpy as np
import pytest

from spectraledge.errors import InputError
from spectraledge.examples import SourceText, contexts, token_labels
from spectraledge.examples.standard_library import windows

SOURCE = b"""def f(a,
      b):
    if a:  # c
        return [1, 'x']
    return {2: (3,)}


x = '''(
'''
"""
SHORT = {"k": "keyword", "n": "name", "d": "number", "s": "string", "c": "comment", "o": "operator", "_": "blank"}
CLASSES = """kkk_nono_
______noo_
____kk_no__ccc_
________kkkkkk_odo_ssso_
____kkkkkk_odo_odooo_
_
_
n_o_sssss
sss_
""".replace("\n", "")


def test_every_byte_has_the_class_that_one_reads() -> None:
    labels = token_labels(SOURCE)
    assert labels["class"].tolist() == [SHORT[letter] for letter in CLASSES]


def test_depth_counts_brackets_outside_of_strings() -> None:
    depth = token_labels(SOURCE)["depth"]
    naive, open_brackets = [], 0
    for character, letter in zip(SOURCE.decode(), CLASSES, strict=True):
        if letter == "o":
            open_brackets += (character in "([{") - (character in ")]}")
        naive.append(open_brackets)
    assert depth.tolist() == naive
    assert depth.max() == 2


def test_indentation_is_that_of_lines_outside_of_brackets() -> None:
    source = Path(textwrap.__file__).read_bytes()
    labels = token_labels(source)
    starts = np.cumsum([0, *(len(line) for line in source.splitlines(keepends=True))])
    seen = 0
    for start, line in zip(starts, source.splitlines(), strict=False):
        code = line.strip()
        first = start + len(line) - len(line.lstrip())
        if code and labels["class"][first] in ("keyword", "name") and (start == 0 or labels["depth"][start - 1] == 0):
            assert labels["indentation"][first] == (first - start) / 4
            seen += 1
    assert seen > 150
    assert labels["depth"][-1] == 0


@pytest.mark.parametrize("source", ["x = 'ä'\n".encode(), b"x = 1\r\n", b"x = (1\n", b"  x\n y\n", b"'''\n"])
def test_files_that_tokenize_does_not_read_have_no_labels(source: bytes) -> None:
    assert token_labels(source) == {}


def test_windows_are_drawn_from_every_place_alike() -> None:
    files = [np.frombuffer(text, dtype=np.uint8) for text in (b"abc", b"de", b"fghij")]
    drawn = windows(files, 4000, 3, np.random.default_rng(0))
    found, counts = np.unique([bytes(row.tolist()) for row in drawn], return_counts=True)
    assert found.tolist() == [b"abc", b"fgh", b"ghi", b"hij"]
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(4000 * 0.25 * 0.75)
    with pytest.raises(InputError, match="no file has 6 bytes"):
        windows(files, 1, 6, np.random.default_rng(0))


def test_contexts_have_the_labels_of_the_bytes_that_were_read() -> None:
    source = Path(textwrap.__file__).read_bytes()
    refused = np.frombuffer(b"'''" + bytes(5000), dtype=np.uint8)
    files = [refused, np.frombuffer(source, dtype=np.uint8)]
    inputs, labels = contexts(files, 40, 24, 8, np.random.default_rng(1))
    whole = token_labels(source)
    for row, stretch in enumerate(inputs):
        places = [at for at in range(len(source)) if source.startswith(bytes(stretch.tolist()), at)]
        for number, seen in enumerate((7, 15, 23)):
            assert labels["last byte"][3 * row + number] == stretch[seen]
            assert labels["position"][3 * row + number] == seen
            for name in ("class", "depth", "indentation"):
                assert labels[name][3 * row + number] in {whole[name][at + seen] for at in places}
    with pytest.raises(InputError, match="no held-out file"):
        contexts([refused], 1, 8, 8, np.random.default_rng(1))


def test_the_library_is_split_by_files_without_its_tests(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.py").write_bytes(name.encode() * 30_000)
    for left_out in ("test/e.py", "site-packages/f.py", "g.txt"):
        (tmp_path / left_out).parent.mkdir(exist_ok=True)
        (tmp_path / left_out).write_bytes(b"z" * 30_000)
    text = SourceText.read(seed=1, folder=tmp_path)
    assert len(text.validation) == 1
    assert sorted(bytes(file[:1]) for file in (*text.training, *text.validation)) == [b"a", b"b", b"c", b"d"]
    assert text.described()["training_bytes"] == 90_000
    assert text.digest == SourceText.read(seed=1, folder=tmp_path).digest
    splits = {bytes(SourceText.read(seed=seed, folder=tmp_path).validation[0][:1]) for seed in range(12)}
    assert len(splits) > 1
    (tmp_path / "a.py").unlink()
    with pytest.raises(InputError, match="installed as source"):
        SourceText.read(seed=1, folder=tmp_path)
