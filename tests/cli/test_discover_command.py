"""`spectraledge discover`: which group a table in a file is."""

import json

import numpy as np
import pytest
from cli_support import Command

from spectraledge.algebra import named_group


def relabelled(name, seed):
    table = named_group(name).table_MM
    rows, columns, answers = (np.random.default_rng([seed, k]).permutation(len(table)) for k in range(3))
    return answers[table[np.ix_(rows, columns)]]


@pytest.mark.parametrize("name", ["C12", "C2xC6", "D7", "Dic5", "S4", "Aff5", "Q8"])
@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_a_relabelled_group_is_named_with_labels_that_hold(command: Command, tmp_path, name, suffix):
    table, path = relabelled(name, 1), tmp_path / f"t{suffix}"
    if suffix == ".csv":
        np.savetxt(path, table, fmt="%d", delimiter=",")
    else:
        np.save(path, table)
    done = command("discover", path, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["group"], found["distance"], found["is_group"], found["exact"]) == (name, 0.0, True, True)
    group, labels = np.array(found["table"]), found["labels"]
    np.testing.assert_array_equal(group, named_group(name).table_MM)
    np.testing.assert_array_equal(group[np.ix_(labels["rows"], labels["columns"])], np.array(labels["answers"])[table])
    assert sum(each["dimension"] ** 2 for each in found["representations"]) == len(table)


def test_a_wrong_entry_is_a_distance(command: Command, tmp_path):
    table = relabelled("S4", 2)
    table[3, 4] = (table[3, 4] + 1) % 24
    np.save(tmp_path / "t.npy", table)
    found = json.loads(command("discover", tmp_path / "t.npy", "--json").out)
    assert (found["group"], found["is_group"], found["nearest"], found["exact"]) == (None, False, "S4", True)
    assert found["distance"] == 1 / 576
    said = command("discover", tmp_path / "t.npy").out.splitlines()
    assert said[0] == "no group: nearest is S4, distance 0.001736 (1 of 576 entries to change)"
    assert [" ".join(line.split()) for line in said[2:4]] == [
        "the group is commutative False",
        "the table is a Latin square False",
    ]


def test_names_in_the_file_are_names_of_labels(command: Command, tmp_path):
    (tmp_path / "t.csv").write_text("∘,one,flip\none,one,flip\nflip,flip,one\n")
    done = command("discover", tmp_path / "t.csv", "--json", "--out", tmp_path / "found")
    found = json.loads(done.out)
    assert found == json.loads((tmp_path / "found" / "discovery.json").read_text())
    assert (found["group"], found["rows"], found["answers"]) == ("C2", ["one", "flip"], ["one", "flip"])
    assert "the first of the table's rows and columns holds names" in done.err
    said = command("discover", tmp_path / "t.csv").out
    assert said.startswith("the table of C2 (order 2), up to names\n")
    assert "one → 0, flip → 1" in said
    answers = json.loads(command("discover", tmp_path / "t.csv", "--no-labels", "--json").out)
    assert (answers["order"], answers["group"]) == (3, None)


def test_a_distance_that_is_a_bound_says_so(command: Command, tmp_path):
    np.save(tmp_path / "t.npy", np.random.default_rng(0).integers(0, 9, (9, 9)))
    said = command("discover", tmp_path / "t.npy").out
    assert said.startswith("no group: nearest is C")
    assert ", distance at most 0." in said


def test_a_group_without_a_name_is_still_a_group(command: Command, tmp_path):
    # Turns of the plane of 7 elements by squares: z → az + b with a = 1, 2, 4.
    maps = [(a, b) for a in (1, 2, 4) for b in range(7)]
    table = [[maps.index((a * c % 7, (a * d + b) % 7)) for c, d in maps] for a, b in maps]
    np.save(tmp_path / "t.npy", np.array(table))
    found = json.loads(command("discover", tmp_path / "t.npy", "--json").out)
    assert (found["is_group"], found["named"], found["distance"], found["order"]) == (True, False, 0.0, 21)
    assert found["group"].startswith("group of order 21, not commutative, 5 classes, no name here")
    assert command("discover", tmp_path / "t.npy").out.startswith("the table of a group of order 21,")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("0,1,2\n1,2,0\n", "has 2 rows and 3 columns of answers"),
        (",\n,\n", "the table has no entry"),
        ("0,1\n1\n", "row 1 has 2 cells, row 2 has 1"),
        (None, "no task table at"),
    ],
)
def test_what_is_no_table_is_refused(command: Command, tmp_path, content, part):
    if content is not None:
        (tmp_path / "t.csv").write_text(content)
    done = command("discover", tmp_path / "t.csv")
    assert (done.code, done.out) == (2, "")
    assert part in done.err
