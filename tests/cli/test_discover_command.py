"""`spectraledge discover`: which group a table in a file is, and of which group a trained network's function is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_support import Command

from spectraledge import RunConfig, named_task
from spectraledge.algebra import named_group
from spectraledge.devices import CPU
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import Task
from spectraledge.training import train_in_folder


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


SQUARES = {"kind": "mlp", "hidden": 256, "activation": "square", "bias": False}


def trained(folder: Path, task: Task) -> Path:
    """A network that learns a + b mod 13 in a hundred steps."""
    settings = {"loss": "mse", "optimizer": "adam", "weight_decay": 2e-4, "learning_rate": 0.01, "clip_norm": 0}
    config = RunConfig.for_task(
        task, SQUARES, **settings, batch_size=0, train_fraction=0.8, steps=240, every=20, seed=1
    )
    train_in_folder(folder, config, task)
    return folder


@pytest.fixture(scope="module")
def sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "add", named_task("add", modulus=13))


@pytest.mark.parametrize("of", ["function", "change"])
def test_the_group_of_a_trained_network_is_found_in_its_function_and_how_that_came(command: Command, sums, of):
    done = command("discover", sums, "--of", of, "--window", 12, "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert (found["group"], found["order"], found["searches_alike"], found["null"]["p"]) == ("C13", 13, 5, 1 / 21)
    assert found["placed"] > 0.5
    assert found["null"]["high"] < found["unseen_share"] <= 1
    assert found["known_basis"] == {"name": "sum", "share": pytest.approx(found["share"], rel=0.05)}
    assert [part["name"][:9] for part in found["representations"]] == ["frequency"] * 6
    # a + b is a function of the elements' sum.
    rows, columns = (np.array(found["labels"][name]) for name in ("rows", "columns"))
    elements = (rows[:, None] + columns) % 13
    sums_of = np.arange(13)[:, None] + np.arange(13)
    assert len({(g, s % 13) for g, s in zip(elements.ravel(), sums_of.ravel(), strict=True)}) == 13


def test_responses_along_the_edge_are_searched_too(command: Command, sums):
    found = json.loads(command("discover", sums, "--of", "edge", "--window", 5, "--edge", 2, "--json").out)
    assert (found["of"], found["nearest"], found["step"]) == ("edge", "C13", 240)


def test_it_is_said_in_a_sentence_and_a_few_lines(command: Command, sums, tmp_path):
    done = command("discover", sums, "--out", tmp_path)
    said = done.out.splitlines()
    assert said[0].startswith("at step 240 the function is of the group C13 (order 13): elements found")
    assert len(said) == 6
    assert json.loads((tmp_path / "discovery.json").read_text())["group"] == "C13"


def test_before_anything_is_learned_there_is_no_group(command: Command, sums):
    for step in (0, 60):
        found = json.loads(command("discover", sums, "--step", step, "--json").out)
        assert (found["group"], found["forming"]) == (None, None)
    done = command("discover", sums, "--step", 0)
    assert "at step 0 the function is of no group that can be told, nearest is C13 (order 13)" in done.out


def test_a_group_is_forming_while_hardly_an_answer_is_right(command: Command, tmp_path):
    task, sizes = named_task("add", modulus=17), {"kind": "mlp", "inputs": "embedded", "width": 32, "hidden": 128}
    settings = {"steps": 160, "every": 160, "batch_size": 0, "learning_rate": 0.02, "train_fraction": 0.8, "seed": 1}
    train_in_folder(tmp_path / "run", RunConfig.for_task(task, sizes, **settings), task)
    assert RecordedRun.open(tmp_path / "run").metrics["test_accuracy"].iloc[-1] < 0.1
    found = json.loads(command("discover", tmp_path / "run", "--json").out)
    assert (found["group"], found["forming"]) == (None, "C17")
    assert found["placed"] < 0.5 < found["placed_apart"]
    said = command("discover", tmp_path / "run").out
    assert said.startswith("at step 160 the function is becoming one of the group C17 (order 17): ")


def test_memorised_answers_are_of_no_group(command: Command, tmp_path):
    run = trained(tmp_path / "run", named_task("permuted_add", modulus=13))
    assert RecordedRun.open(run).metrics["train_accuracy"].iloc[-1] > 0.9
    found = json.loads(command("discover", run, "--json").out)
    assert (found["group"], found["forming"], found["nearest"]) == (None, None, "C13")


def test_neither_answers_nor_the_name_of_the_task_enter(command: Command, sums, monkeypatch):
    def told_otherwise(folder, patterns=None, **options):
        run = opened(folder, patterns, **options)
        order = np.random.default_rng(0).permutation(len(run.task))
        wrong = replace(run.task, name="unknown", structure="output", labels_N=run.task.labels_N[order])
        return replace(run, task=wrong)

    right = json.loads(command("discover", sums, "--json").out)
    opened = RecordedRun.open
    monkeypatch.setattr(RecordedRun, "open", told_otherwise)
    wrong = json.loads(command("discover", sums, "--json").out)
    assert wrong.pop("known_basis") != right.pop("known_basis")
    assert wrong == right


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--step", 7], "no snapshot at step 7"),
        (["--of", "everything"], "unknown function of pairs 'everything': known are function, change, edge"),
        (["--of", "change", "--window", 99], "window must be in"),
        (["--device", "cuda:99"], "device 'cuda:99'"),
        (["--labels"], "is a run, in which nothing is named"),
    ],
)
def test_what_a_run_does_not_have_is_refused(command: Command, sums, options, part):
    done = command("discover", sums, *options)
    assert (done.code, done.out) == (2, "")
    assert part in done.err


@pytest.mark.parametrize(
    ("modulus", "part"),
    [(3, "got 5: of 9 pairs in all; take an operation on more elements"), (4, "got 8: hold out more")],
)
def test_too_few_pairs_are_told_from_too_few_that_are_held_out(command: Command, tmp_path, modulus, part):
    config = RunConfig.for_task(task := named_task("add", modulus=modulus), SQUARES, steps=20, every=20)
    train_in_folder(tmp_path / "run", config, task)
    done = command("discover", tmp_path / "run")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f"evidence needs at least 10 held-out pairs, {part}\n")


def test_missing_entries_are_said_of_those_to_change(command: Command, tmp_path):
    table = named_group("C9").table_MM.copy()
    table[np.tril_indices(9, -1)] = -1
    np.save(tmp_path / "t.npy", table)
    said = command("discover", tmp_path / "t.npy").out
    assert said.startswith("no group: nearest is C9, distance at most 0.4444 (36 of 81 entries to change, all of them")
    table[0, 0] = 5
    np.save(tmp_path / "t.npy", table)
    assert "(37 of 81 entries to change, 36 of them missing)" in command("discover", tmp_path / "t.npy").out


def test_a_folder_that_is_no_run_and_a_step_of_a_table_are_refused(command: Command, tmp_path):
    assert command("discover", tmp_path).code == 2
    np.save(tmp_path / "t.npy", named_group("C3").table_MM)
    done = command("discover", tmp_path / "t.npy", "--step", 5)
    assert (done.code, done.out) == (2, "")
    assert "a table has no step" in done.err


def test_a_run_is_read_where_it_is_asked_for_and_a_table_on_the_cpu(command: Command, tiny_run, tmp_path, monkeypatch):
    monkeypatch.setattr("spectraledge.cli.options.usable_device", str)
    asked = []
    monkeypatch.setattr("spectraledge.observed.recorded_run.usable_device", lambda name: asked.append(name) or CPU)
    command("discover", tiny_run, "--device", "cuda:1")
    assert asked == ["cuda:1"]
    np.save(tmp_path / "t.npy", named_group("C3").table_MM)
    done = command("discover", tmp_path / "t.npy", "--device", "cuda:1")
    assert (done.code, done.out) == (2, "")
    assert "t.npy is a table, which is read on the CPU: leave out --device" in done.err
