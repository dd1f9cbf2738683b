"""Series of others: folders of folders, shards, globs and revisions in a cache."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from spectraledge.errors import InputError
from spectraledge.trajectory import Series, find_snapshots, read_snapshot
from spectraledge.trajectory.finding import find_series
from spectraledge.trajectory.hub import in_hub_cache
from spectraledge.trajectory.snapshots import open_snapshot, snapshot_files
from spectraledge.trajectory.verification import verify_series


def weights(step=0):
    return {"a": torch.full((2, 3), float(step)), "b": torch.arange(4.0) * (step + 1)}


def save(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path) if path.suffix == ".safetensors" else torch.save(tensors, path)


def save_sharded(folder, tensors, suffix=".safetensors", stem="model"):
    """Write one tensor per shard, with the index that Transformers writes."""
    names = {name: f"{stem}-{i + 1:05d}-of-{len(tensors):05d}{suffix}" for i, name in enumerate(tensors)}
    for name, tensor in tensors.items():
        save(folder / names[name], {name: tensor})
    index = {"metadata": {"total_size": 0}, "weight_map": names}
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps(index))


def same_values(folder, steps):
    found = find_snapshots(folder)
    assert [snapshot.step for snapshot in found] == steps
    for snapshot in found:
        tensors = read_snapshot(snapshot.path)
        assert sorted(tensors) == ["a", "b"]
        for name, tensor in weights(snapshot.step).items():
            torch.testing.assert_close(tensors[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin", "weights.pt", "adapter.safetensors"])
@pytest.mark.parametrize("name", ["step_{}", "checkpoint-{}", "{}", "gpt2-seed1-step{}"])
def test_folders_of_folders(tmp_path, file, name):
    for step in (1000, 200, 30):
        save(tmp_path / name.format(step) / file, weights(step))
    same_values(tmp_path, [30, 200, 1000])


@pytest.mark.parametrize(("suffix", "stem"), [(".safetensors", "model"), (".bin", "pytorch_model")])
def test_sharded_checkpoints_of_a_trainer(tmp_path, suffix, stem):
    for step in (500, 1000):
        folder = tmp_path / f"checkpoint-{step}"
        save_sharded(folder, weights(step), suffix, stem)
        torch.save({"lr": 0.1}, folder / "optimizer.pt")
        torch.save({"lr": 0.1}, folder / "rng_state.pth")
        torch.save({"lr": 0.1}, folder / "training_args.bin")
    # What a trainer leaves at the end has no step and is no part of the series.
    save(tmp_path / "model.safetensors", weights())
    torch.save({"lr": 0.1}, tmp_path / "training_args.bin")
    (tmp_path / "runs").mkdir()
    same_values(tmp_path, [500, 1000])
    assert [path.name for path in snapshot_files(tmp_path / "checkpoint-500")] == [
        f"{stem}-0000{i}-of-00002{suffix}" for i in (1, 2)
    ]
    with pytest.raises(InputError, match="is one snapshot, in several files: give the folder that holds all"):
        find_snapshots(tmp_path / "checkpoint-500")


def test_blocks_of_shards_join_to_the_whole(tmp_path):
    for step in (1, 2, 3):
        save_sharded(tmp_path / f"step_{step}", weights(step))
    whole = Series.open(tmp_path)
    (first, second) = (update.update_P for update in whole.updates())
    joined = [
        torch.cat(parts) for parts in zip(*([u.update_P for u in b.updates()] for b in whole.blocks(4)), strict=True)
    ]
    torch.testing.assert_close(torch.stack(joined), torch.stack([first, second]), rtol=0, atol=0)
    expected = torch.cat([(weights(2)[name] - weights(1)[name]).flatten() for name in whole.layout.shapes]).double()
    torch.testing.assert_close(first, expected, rtol=0, atol=0)


def test_only_shards_that_are_needed_are_opened(tmp_path):
    save_sharded(tmp_path, weights(3))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"broken")
    assert list(read_snapshot(tmp_path, ("a",))) == ["a"]
    with pytest.raises(InputError, match=r"model-00002-of-00002\.safetensors is truncated"):
        read_snapshot(tmp_path, ("b",))


def test_a_missing_shard_is_named(tmp_path):
    save_sharded(tmp_path, weights())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"model-00002-of-00002\.safetensors is missing, which model\.safetensors\.ind"
    ):
        open_snapshot(tmp_path)


def test_a_shard_that_lacks_a_tensor_is_named(tmp_path):
    save_sharded(tmp_path, weights())
    save_file({"other": torch.ones(1)}, tmp_path / "model-00001-of-00002.safetensors")
    with pytest.raises(InputError, match=r"model-00001-of-00002\.safetensors has no tensor 'a', which its index names"):
        read_snapshot(tmp_path)


@pytest.mark.parametrize("index", ['{"a": 1}', "[]", '{"weight_map": {}}', '{"weight_map": {"a": "../elsewhere"}}'])
def test_an_index_of_something_else_is_refused(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InputError, match=r"index\.json is no index of shards"):
        open_snapshot(tmp_path)


def test_safetensors_come_before_pytorch_files(tmp_path):
    save(tmp_path / "step_1" / "model.safetensors", weights(1))
    save(tmp_path / "step_1" / "pytorch_model.bin", weights(9))
    save(tmp_path / "step_1" / "consolidated.safetensors", weights(9))
    same_values(tmp_path, [1])


def test_several_files_of_equal_right_are_refused(tmp_path):
    for name in ("ema", "raw"):
        save(tmp_path / "step_1" / f"{name}.safetensors", weights(1))
    with pytest.raises(InputError, match=r"several files of weights \(ema\.safetensors, raw\.safetensors\).*glob"):
        find_snapshots(tmp_path)
    same_values(tmp_path / "step_*" / "ema.safetensors", [1])


def test_other_weights_beside_the_usual_file_are_named(tmp_path):
    for step in (1, 2):
        save(tmp_path / f"step_{step}" / "model.safetensors", weights(step))
        save(tmp_path / f"step_{step}" / "average.safetensors", weights(10 * step))
        save(tmp_path / f"step_{step}" / "pytorch_model.bin", weights(step))
        save(tmp_path / f"step_{step}" / "optimizer.safetensors", weights(step))
    average = f"{tmp_path}/*/average.safetensors"
    named = (f"average.safetensors (other weights, which the glob '{average}' reads)",)
    for source in (tmp_path, tmp_path / "step_*"):
        assert find_series(source).strangers == named
    assert [snapshot.step for snapshot in find_series(Path(average)).distinct()] == [1, 2]
    assert find_series(Path(average)).strangers == ()


def test_weights_in_folders_beside_the_usual_file_are_named_and_so_are_those_of_another_kind(tmp_path):
    beside = ["value_head.bin", "2_Dense/model.safetensors", "global_step{}/mp_rank_00_model_states.pt"]
    for step in (1, 2):
        for name in ("model.safetensors", "pytorch_model.bin", "optimizer_0/optim.pt", *beside):
            save(tmp_path / f"step_{step}" / name.format(step), weights(step))
    shown = {f"{tmp_path}/*/{name.format('*')}": name.format("*") for name in beside}
    shown = {
        place.replace("mp_rank_00", "mp_rank_*"): name.replace("mp_rank_00", "mp_rank_*")
        for place, name in shown.items()
    }
    expected = [f"{name} (other weights, which the glob '{place}' reads)" for place, name in shown.items()]
    assert sorted(find_series(tmp_path).strangers) == sorted(expected)
    for place in shown:
        same_values(Path(place), [1, 2])


def test_networks_in_folders_of_their_own_are_refused_with_a_glob_that_reads_one(tmp_path):
    for step in (1, 2):
        for seed, name in enumerate(("policy", "value")):
            save(tmp_path / f"checkpoint-{step}" / name / "model.safetensors", weights(step + 10 * seed))
    with pytest.raises(InputError, match=r"step 1 is in both policy and value of .*give a glob such as '(.*)'") as no:
        find_snapshots(tmp_path)
    same_values(Path(str(no.value).split("'")[1]), [1, 2])


@pytest.mark.parametrize("depth", ["checkpoints", "run/checkpoints"])
def test_a_folder_above_a_series_says_which_to_give(tmp_path, depth):
    for step in (1, 2):
        save(tmp_path / depth / f"step_{step}.pt", weights(step))
    with pytest.raises(InputError, match=f"no snapshots in .*; give {tmp_path / depth}$"):
        find_snapshots(tmp_path)


def test_series_in_numbered_folders_are_no_snapshots_of_one(tmp_path):
    for place in ("0", "1"):
        for step in (1, 2):
            save(tmp_path / place / f"step_{step}.pt", weights(step))
    with pytest.raises(InputError, match=f"several files of weights .*: if these are a series, give {tmp_path / '0'}$"):
        find_snapshots(tmp_path)


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_shards_beside_the_whole_file_are_passed_over_by_name_and_so_is_what_lies_beside_shards(tmp_path, suffix):
    stem = "model" if suffix == ".safetensors" else "pytorch_model"
    for step in (1, 2):
        save_sharded(tmp_path / f"step_{step}", weights(step), suffix, stem)
        save(tmp_path / f"step_{step}" / f"average{suffix}", weights(10 * step))
    average = f"average{suffix} (other weights, which the glob '{tmp_path}/*/average{suffix}' reads)"
    assert find_series(tmp_path).strangers == (average,)
    same_values(tmp_path, [1, 2])
    for step in (1, 2):
        save(tmp_path / f"step_{step}" / f"{stem}{suffix}", weights(5 * step))
    index = f"{stem}{suffix}.index.json (other weights, which a folder without a whole file reads)"
    assert find_series(tmp_path).strangers == (average, index)
    series = Series.open(tmp_path)
    expected = torch.cat([(weights(10)[name] - weights(5)[name]).flatten() for name in series.layout.shapes])
    torch.testing.assert_close(next(series.updates()).update_P, expected.double())


@pytest.mark.parametrize(
    "names", [("model.safetensors", "model_1.safetensors"), ("pytorch_model.bin", "pytorch_model_1.bin")]
)
def test_the_second_network_of_a_training_is_not_passed_over(tmp_path, names):
    for seed, name in enumerate(names):
        save(tmp_path / "checkpoint_1" / name, weights(seed))
    with pytest.raises(InputError, match=rf"several files of weights \({names[0]}, {names[1]}\).*glob"):
        find_snapshots(tmp_path)
    for name in names:
        assert [one.path.name for one in find_snapshots(tmp_path / "checkpoint_*" / name)] == [name]


def test_a_folder_without_weights_is_none(tmp_path):
    save(tmp_path / "step_1" / "model.safetensors", weights(1))
    save(tmp_path / "step_2" / "optimizer.pt", {})
    (tmp_path / "step_3").symlink_to("nowhere")
    for source in (tmp_path, tmp_path / "step_[1-3]"):
        found = find_series(source)
        assert [snapshot.step for snapshot in found.snapshots] == [1]
        assert "step_2 (no weights in it)" in found.strangers
    assert find_series(tmp_path).strangers[1:] == ("step_3 (no weights in it)",)
    with pytest.raises(InputError, match=r"no weights in .*step_2: expected model\.safetensors"):
        open_snapshot(tmp_path / "step_2")


@pytest.mark.parametrize("name", ["final", "1-2"])
def test_a_folder_without_a_clear_step_is_refused(tmp_path, name):
    for folder in ("step_1", name):
        save(tmp_path / folder / "model.safetensors", weights(1))
    with pytest.raises(InputError, match=f"cannot tell the step of .*{name}: .*a glob that leaves it out"):
        find_snapshots(tmp_path)
    same_values(tmp_path / "step_*", [1])


def test_files_with_steps_come_before_folders(tmp_path):
    save(tmp_path / "step_1.safetensors", weights(1))
    save(tmp_path / "old_7" / "model.safetensors", weights(7))
    same_values(tmp_path, [1])


@pytest.mark.parametrize("name", ["train.{}.pt", "training-{}.pt", "trainable_{}.pt", "step_{}/train.weights.pt"])
def test_networks_that_are_trained_are_no_state_of_a_trainer(tmp_path, name):
    for step in (100, 200):
        path = tmp_path / name.format(step)
        path.parent.mkdir(exist_ok=True)
        torch.save({"weight": torch.ones(2)}, path)
        torch.save({}, path.parent / "train.pt")
    assert [snapshot.step for snapshot in find_snapshots(tmp_path)] == [100, 200]


def test_files_of_another_kind_beside_the_series_are_named_but_for_copies(tmp_path):
    save(tmp_path / "step_1.pt", weights(1))
    for step in (2, 3):
        save(tmp_path / f"step_{step}.safetensors", weights(step))
    save(tmp_path / "step_2.pt", weights(2))
    found = find_series(tmp_path)
    assert ([snapshot.step for snapshot in found.snapshots], found.strangers) == ([2, 3], ("step_1.pt",))


@pytest.mark.parametrize("file", ["step_2.safetensors", "step_2/model.safetensors"])
def test_a_link_to_what_is_gone_is_no_missing_step(tmp_path, file):
    for step in (1, 3):
        save(tmp_path / file.replace("2", str(step)), weights(step))
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).symlink_to("elsewhere")
    assert [snapshot.step for snapshot in find_snapshots(tmp_path)] == [1, 2, 3]
    with pytest.raises(InputError, match=r"step_2.* is a link to elsewhere, where there is nothing: fetch that file"):
        list(Series.open(tmp_path, ["*"]).vectors())
    (unread,) = [one for one in verify_series(tmp_path, ["*"]).findings if one.kind == "unreadable"]
    assert unread.steps == (2,)


def test_pytorch_files_are_read_where_there_are_no_others(tmp_path):
    for step in (1, 2):
        save(tmp_path / f"step_{step}.pt", weights(step))
    torch.save({}, tmp_path / "optimizer.pt")
    same_values(tmp_path, [1, 2])


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        ("seed{0}/model_step{0}.pt", "*/model_step*.pt"),
        ("step{0}/deep/model.safetensors", "**/model.safetensors"),
        ("run1/step_{0}/model.safetensors", "run1/*"),
        ("ckpt_{0}.safetensors", "ckpt_[0-9].safetensors"),
    ],
)
def test_globs(tmp_path, files, pattern):
    for step in (3, 5):
        save(tmp_path / files.format(step), weights(step))
    same_values(tmp_path / pattern, [3, 5])


def test_shards_that_a_glob_matches_stand_for_their_folder(tmp_path):
    for step in (3, 5):
        save_sharded(tmp_path / f"checkpoint-{step}", weights(step))
    same_values(tmp_path / "checkpoint-*" / "*", [3, 5])
    same_values(tmp_path / "checkpoint-*" / "*.safetensors", [3, 5])


def test_a_glob_that_matches_nothing_is_refused(tmp_path):
    (tmp_path / "step_1.txt").touch()
    with pytest.raises(InputError, match=r"step_\* matches no snapshots"):
        find_snapshots(tmp_path / "step_*")


def test_two_matches_of_one_step_are_refused_with_their_folders(tmp_path):
    for run in ("a", "b"):
        save(tmp_path / run / "step_1.safetensors", weights(1))
    with pytest.raises(InputError, match=r"step 1 is in both .*a/step_1\.safetensors and .*b/step_1\.safetensors"):
        find_snapshots(tmp_path / "*" / "step_*")
    assert [snapshot.path.parent.name for snapshot in find_series(tmp_path / "*" / "step_*").snapshots] == ["a", "b"]


def test_a_folder_whose_name_looks_like_a_glob_is_a_folder(tmp_path):
    save(tmp_path / "run[1]" / "step_1.safetensors", weights(1))
    same_values(tmp_path / "run[1]", [1])


@pytest.fixture
def cache(tmp_path):
    """Lay out a repository as Hugging Face's cache does: blobs, links to them, revisions by commit, names in refs."""
    repository = tmp_path / "models--org--tiny"
    for number, (name, step) in enumerate([("main", 2000), ("step1000-tokens2B", 1000), ("step2000-tokens4B", 2000)]):
        commit = f"{number:040x}"
        blob, link = (
            repository / "blobs" / f"{step}.safetensors",
            repository / "snapshots" / commit / "model.safetensors",
        )
        save(blob, weights(step))
        link.parent.mkdir(parents=True)
        link.symlink_to(blob)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    (repository / "refs" / "step3000").write_text("f" * 40)
    return repository


def test_downloaded_revisions_with_a_step_are_a_series(cache):
    same_values(cache, [1000, 2000])
    same_values(cache / "snapshots", [1000, 2000])
    assert in_hub_cache(cache)
    assert in_hub_cache(cache / "snapshots")
    assert not in_hub_cache(cache / "refs")


def test_a_repository_without_steps_says_what_it_has(cache):
    for name in ("step1000-tokens2B", "step2000-tokens4B"):
        (cache / "refs" / name).unlink()
    with pytest.raises(
        InputError, match=r"no downloaded revision .*it has main, step3000 \(not down.*nothing is downloaded here"
    ):
        find_snapshots(cache)
