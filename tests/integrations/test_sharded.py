"""Parameters spread over two processes (gloo), against the answer of one process."""

import pandas as pd
import pytest
import torch
import torch.multiprocessing
from sharded_support import PARALLEL, SKETCH, STEPS, follow, start, whole, work

from spectraledge.files import read_table
from spectraledge.spectrum import BandedGram

TABLES = ("spectrum", "edge", "rotation", "gram", "selection")
WINDOW, EVERY, PARAMETERS = 5, 3, 6 * 5 + 6 + 3 * 6 + 3 + 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sharded")
    torch.multiprocessing.spawn(work, (place / "store", place), nprocs=2)
    return place


def tables(folder, name, rank):
    return {table: read_table(folder / name / str(rank) / f"{table}.parquet") for table in TABLES}


@pytest.mark.parametrize("name", PARALLEL)
def test_every_process_finds_what_one_process_does(folder, name):
    here, there = tables(folder, name, 0), tables(folder, name, 1)
    expected = follow(whole).results()
    for table in TABLES:
        pd.testing.assert_frame_equal(here[table], there[table], check_exact=True)
        # Gradients summed over processes are rounded in another order.
        pd.testing.assert_frame_equal(here[table], getattr(expected, table), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("name", PARALLEL)
def test_a_snapshot_takes_one_small_sum(folder, name):
    for rank in range(2):
        sums = (folder / name / str(rank) / "sums").read_text().split()
        assert sums.count(str(WINDOW + 3)) == (0 if name == "replicated" else STEPS // EVERY)


@pytest.mark.parametrize("name", PARALLEL)
def test_every_number_is_held_once(folder, name):
    held = [int((folder / name / str(rank) / "bytes").read_text()) for rank in range(2)]
    all_of_it = (WINDOW * 4 + 4) * PARAMETERS
    if name == "replicated":
        assert held == [all_of_it, all_of_it]
    else:
        assert sum(held) == all_of_it
    if name == "replicas of shards":
        assert min(held) == 0


def test_sketches_of_shards_give_the_sum_of_their_grams(folder):
    training = start(whole)
    grams = [BandedGram(WINDOW + 1), BandedGram(WINDOW + 1)]
    expected = []
    before = [part.detach().clone() for part in training.model.parameters()]
    for _ in range(STEPS // EVERY):
        training.steps(EVERY)
        for rank, gram in enumerate(grams):
            pairs = zip(training.model.parameters(), before, strict=True)
            shards = [(new - old).detach().chunk(2)[rank] for new, old in pairs]
            gram.append(SKETCH(torch.cat([shard.flatten() for shard in shards])))
        expected.append(grams[0].latest + grams[1].latest)
        before = [part.detach().clone() for part in training.model.parameters()]
    found = tables(folder, "sketched", 0)["gram"]["product"].to_numpy(copy=True)
    torch.testing.assert_close(torch.from_numpy(found), torch.stack(expected).flatten(), rtol=1e-4, atol=1e-9)


def test_each_process_resumes_from_its_own_state(folder):
    resumed, expected = tables(folder, "resumed", 1), tables(folder, "sharded", 1)
    for table in TABLES:
        pd.testing.assert_frame_equal(resumed[table], expected[table], check_exact=True)
    assert "this tracker has process = 1, the state has 0" in (folder / "resumed" / "1" / "refused").read_text()


def test_a_noise_floor_is_refused(folder):
    for rank in range(2):
        assert "leave out the surrogates" in (folder / f"refused {rank}").read_text()


def test_the_inner_module_of_flat_shards_is_refused(folder):
    for rank in range(2):
        text = (folder / f"refused {rank} inner").read_text()
        # Of the layers the wrappers are part of it; of the parameter outside of them they are not.
        assert text == "scale may be one process's shard: give the tracker the FullyShardedDataParallel module"


def test_what_moves_one_shard_begins_the_series_anew_in_all_processes(folder):
    here, there = tables(folder, "moved", 0), tables(folder, "moved", 1)
    for table in TABLES:
        pd.testing.assert_frame_equal(here[table], there[table], check_exact=True)
    assert here["gram"]["step"].unique().tolist() == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert here["edge"]["step"].tolist() == [10, 11, 12]
    for rank in range(2):
        assert "between steps 4 and 5 something else" in (folder / "moved" / str(rank) / "told").read_text()
