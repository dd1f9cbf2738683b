"""Published layouts in miniature: what trainers and hubs leave on disk, read or refused with what to do."""

import argparse
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spectraledge.errors import InputError
from spectraledge.trajectory import Series, find_series

STEPS = [100, 200, 300, 400]


def walk(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, 40, generator=generator).cumsum(0)
    return [{"a.weight": row[:30].reshape(6, 5).clone(), "b.weight": row[30:].reshape(2, 5).clone()} for row in rows]


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(content, path) if path.name.endswith(".safetensors") else torch.save(content, path)


def is_the_walk(source, steps=STEPS, **options):
    """Check steps and every update, in float64, against the tensors that were written."""
    series = Series.open(source, **options)
    assert [snapshot.step for snapshot in series.snapshots] == list(steps)
    names = list(series.layout.shapes)
    assert sorted(names) == ["a.weight", "b.weight"]
    rows = np.stack(
        [np.concatenate([one[name].double().numpy().ravel() for name in names]) for one in walk(len(steps))]
    )
    updates = torch.stack([update.update_P for update in series.updates()])
    np.testing.assert_array_equal(updates.numpy(), np.diff(rows, axis=0))


def each(write):
    for step, tensors in zip(STEPS, walk(), strict=True):
        write(step, tensors)


def test_nanogpt(tmp_path):
    content = {"optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}, "model_args": {"n_layer": 2}, "iter_num": 3}
    each(lambda step, tensors: save(tmp_path / f"ckpt_{step}.pt", {"model": tensors, **content}))
    is_the_walk(tmp_path)


def test_lightning_with_its_copies(tmp_path):
    each(
        lambda step, tensors: save(
            tmp_path / f"epoch={step // 150}-step={step}.ckpt",
            {"state_dict": tensors, "callbacks": {"Checkpoint": {"best": torch.ones(())}}, "optimizer_states": [{}]},
        )
    )
    for copy in ("last.ckpt", "last-v1.ckpt"):
        save(tmp_path / copy, {"state_dict": walk(1, seed=1)[0]})
    is_the_walk(tmp_path)
    assert find_series(tmp_path).strangers == ("last-v1.ckpt", "last.ckpt")


def test_imagenet(tmp_path):
    rest = {"epoch": 3, "best_acc1": torch.ones(()), "args": argparse.Namespace(lr=0.1)}
    each(
        lambda step, tensors: save(
            tmp_path / f"checkpoint-{step}.pth.tar",
            {"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}, **rest},
        )
    )
    save(tmp_path / "model_best.pth.tar", {"state_dict": walk(1, seed=1)[0]})
    is_the_walk(tmp_path)
    is_the_walk(tmp_path / "checkpoint-*.pth.tar")


def test_deepspeed(tmp_path):
    def write(step, tensors):
        folder = tmp_path / f"global_step{step}"
        save(folder / "mp_rank_00_model_states.pt", {"module": tensors, "buffer_names": [], "global_steps": step})
        save(folder / "zero_pp_rank_0_mp_rank_00_optim_states.pt", {"optimizer_state_dict": {}})
        (tmp_path / "latest").write_text(f"global_step{step}")

    each(write)
    is_the_walk(tmp_path)
    is_the_walk(tmp_path / "*" / "mp_rank_00_model_states.pt")
    is_the_walk(tmp_path, key="module")


@pytest.mark.parametrize(
    "file",
    [
        "checkpoint-{0}/global_step{0}/mp_rank_00_model_states.pt",
        "epoch=0-step={}.ckpt/checkpoint/mp_rank_00_model_states.pt",
    ],
    ids=["Transformers", "Lightning"],
)
def test_deepspeed_within_other_trainers(tmp_path, file):
    each(lambda step, tensors: save(tmp_path / file.format(step), {"module": tensors}))
    is_the_walk(tmp_path)


def test_megatron(tmp_path):
    each(
        lambda step, tensors: save(
            tmp_path / f"iter_{step:07d}" / "mp_rank_00" / "model_optim_rng.pt",
            {"args": argparse.Namespace(a=1), "model": tensors, "optimizer": {"x": torch.ones(2)}},
        )
    )
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("400")
    is_the_walk(tmp_path)
    is_the_walk(tmp_path / "iter_*")
    is_the_walk(tmp_path / "iter_*" / "mp_rank_00" / "*.pt")


@pytest.mark.parametrize(
    "files",
    [
        ["global_step{}/mp_rank_00_model_states.pt", "global_step{}/mp_rank_01_model_states.pt"],
        ["global_step{}/zero_pp_rank_0_mp_rank_00_model_states.pt"],
        ["global_step{}/layer_00-model_00-model_states.pt", "global_step{}/layer_01-model_00-model_states.pt"],
        ["step_{}/consolidated.00.pth", "step_{}/consolidated.01.pth"],
        ["iter_{}/mp_rank_00/model_optim_rng.pt", "iter_{}/mp_rank_01/model_optim_rng.pt"],
    ],
    ids=["tensor parallel", "ZeRO-3", "pipeline", "Llama", "Megatron"],
)
def test_parts_of_parallel_processes_are_no_network(tmp_path, files):
    for file in files:
        each(lambda step, tensors, file=file: save(tmp_path / file.format(step), {"module": tensors}))
    with pytest.raises(InputError, match=r"in parts of several processes .*convert it into one file first"):
        find_series(tmp_path)
    with pytest.raises(InputError, match="in parts of several processes"):
        find_series(tmp_path / files[0].format("*"))


def test_a_file_of_each_folder_that_is_no_part_is_read(tmp_path):
    for seed in (1, 2):
        each(lambda step, tensors, seed=seed: save(tmp_path / f"step_{step}" / f"seed_{seed}.pt", tensors))
    is_the_walk(tmp_path / "*" / "seed_1.pt")


@pytest.mark.parametrize("depth", ["{}", "epoch_{1}/step_{0}", "run/step_{0}"])
def test_folders_within_folders(tmp_path, depth):
    each(lambda step, tensors: save(tmp_path / depth.format(step, step // 250) / "model.safetensors", tensors))
    is_the_walk(tmp_path / "run" if depth.startswith("run") else tmp_path)


def test_steps_that_start_anew_in_each_folder_are_not_mixed(tmp_path):
    for place in ("epoch_1/step_100", "epoch_1/step_200", "epoch_2/step_150"):
        save(tmp_path / place / "model.safetensors", walk(1)[0])
    with pytest.raises(InputError, match="a higher step than epoch_2/step_150, but a lower epoch"):
        find_series(tmp_path)
    for source in (tmp_path, tmp_path / "*" / "step_*"):
        found = find_series(source, step=r"^epoch_1/step_(\d+)")
        assert [snapshot.step for snapshot in found.snapshots] == [100, 200]
        assert found.strangers == ("epoch_2/step_150",)


def test_two_stages_in_one_place(tmp_path):
    for name in ("stage1-step1000-tokens4B", "stage1-step2000-tokens8B", "stage2-ingredient1-step1000-tokens4B"):
        save(tmp_path / name / "model.safetensors", walk(1)[0])
    with pytest.raises(
        InputError, match=r"'stage1-step#-tokens#' \(stage1-step1000-tokens4B, .*'stage2-ingredient1-step#"
    ):
        find_series(tmp_path)
    for source in (tmp_path, tmp_path / "*" / "model.safetensors"):
        assert [one.step for one in find_series(source, step=r"stage1-step(\d+)").snapshots] == [1000, 2000]


def test_links_are_followed(tmp_path):
    def write(step, tensors):
        save(tmp_path / "store" / f"{step}.safetensors", tensors)
        (tmp_path / "run" / f"step_{step}").mkdir(parents=True)
        os.symlink(f"../../store/{step}.safetensors", tmp_path / "run" / f"step_{step}" / "model.safetensors")

    each(write)
    os.symlink("step_400", tmp_path / "run" / "latest")
    is_the_walk(tmp_path / "run")


def cached(repository, revisions):
    """Lay out revisions by name as Hugging Face's cache does."""
    for number, (name, tensors) in enumerate(revisions.items()):
        save(repository / "snapshots" / f"{number:040x}" / "model.safetensors", tensors)
        reference = repository / "refs" / name
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(f"{number:040x}\n")
    return repository


def test_a_cache_with_pull_requests_and_versions(tmp_path):
    series = {f"step{step}": tensors for step, tensors in zip(STEPS, walk(), strict=True)}
    others = dict.fromkeys(["main", "v1.0", "v2", "refs/pr/7", "refs/convert/step9", "2024-01-31"], walk(1, seed=1)[0])
    repository = cached(tmp_path / "models--org--name", series | others)
    (repository / "refs" / "step500").write_text("f" * 40)
    (repository / "snapshots" / ("e" * 40)).mkdir()
    (repository / "refs" / "step600").write_text("e" * 40)
    is_the_walk(repository)
    assert sorted(find_series(repository).strangers) == [
        "2024-01-31",
        "main",
        "refs/convert/step9 (a conversion)",
        "refs/pr/7 (a pull request)",
        "step500 (not downloaded)",
        "step600 (no weights downloaded)",
        "v1.0 (a version)",
        "v2 (a version)",
    ]


def test_a_cache_of_two_stages(tmp_path):
    names = ["stage1-step100", "stage1-step200", "stage2-step100"]
    repository = cached(tmp_path / "models--org--name", dict.fromkeys(names, walk(1)[0]))
    with pytest.raises(InputError, match=r"follow 2 patterns"):
        find_series(repository)
    assert [one.step for one in find_series(repository, step=r"^stage1-step(\d+)$").snapshots] == [100, 200]


def test_commits_alone_have_no_steps(tmp_path):
    repository = cached(tmp_path / "models--org--name", {"main": walk(1)[0]})
    with pytest.raises(InputError, match=r"where only the messages of commits tell the steps .*--revision COMMIT"):
        find_series(repository)
    clone = tmp_path / "clone"
    save(clone / "model.safetensors", walk(1)[0])
    (clone / ".git").mkdir()
    with pytest.raises(InputError, match=r"a repository at one commit: .*git worktree add \.\./checkpoints/step_1000"):
        find_series(clone)


def test_one_repository_per_step(tmp_path):
    for thousands, tensors in zip((0, 20, 40, 60), walk(), strict=True):
        cached(tmp_path / f"models--org--multi-seed_0-step_{thousands}k", {"main": tensors})
    steps = [0, 20_000, 40_000, 60_000]
    is_the_walk(tmp_path, steps)
    is_the_walk(tmp_path / "models--org--multi-seed_0-step_*", steps)
    torn = tmp_path / "models--org--multi-seed_0-step_60k"
    save(torn / "snapshots" / ("f" * 40) / "model.safetensors", walk(1)[0])
    (torn / "refs" / "main").unlink()
    with pytest.raises(InputError, match="step_60k has 2 downloaded revisions and none of them is main"):
        find_series(tmp_path)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("step_{}.npz", r"step_100\.npz is not read: write its arrays with safetensors\.numpy"),
        ("model-{}.gguf", "quantised weights are not read"),
        ("model.ckpt-{}.index", "of TensorFlow: write the variables of tf.train.load_checkpoint"),
        ("checkpoint_{}.msgpack", "of Flax: write it with safetensors.flax"),
        ("checkpoint_{}/flax_model.msgpack", "of Flax: write it with safetensors.flax"),
        ("{}/default/manifest.ocdbt", r"a checkpoint of Orbax \(JAX\): restore it"),
        ("step_{}.pt2", "a program with weights"),
        ("step-{}/__0_0.distcp", r"\.distcp files without their \.metadata: saving was not finished"),
        ("optimizer_{}.pt", r"expected files like step_00000100\.safetensors, there is optimizer_100\.pt"),
        ("step_{}.onnx", "a graph for inference"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, file, words):
    for step in STEPS:
        path = tmp_path / file.format(step)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(InputError, match=f"no snapshots in .*{words}"):
        find_series(tmp_path)


def test_shards_without_their_index_are_no_snapshot(tmp_path):
    def write(step, tensors):
        for number, (name, tensor) in enumerate(tensors.items(), start=1):
            save(tmp_path / f"checkpoint-{step}" / f"model-{number:05d}-of-00002.safetensors", {name: tensor})

    each(write)
    for source in (tmp_path, tmp_path / "*" / "model-00001-of-00002.safetensors"):
        with pytest.raises(InputError, match=r"holds shards .* without their index: copy its \.index\.json file"):
            find_series(source)
    with pytest.raises(InputError, match="is one snapshot, in several files"):
        find_series(tmp_path / "checkpoint-100")


def test_a_key_chooses_names_below_it_where_they_lie_side_by_side(tmp_path):
    def write(step, tensors):
        both = {f"model.{name}": tensor for name, tensor in tensors.items()}
        both |= {f"other.{name}": tensor + 1 for name, tensor in tensors.items()}
        save(tmp_path / "whole" / f"step_{step}.safetensors", both)
        folder = tmp_path / "shards" / f"checkpoint-{step}"
        save(folder / "x.safetensors", both)
        index = {"weight_map": dict.fromkeys(both, "x.safetensors")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    each(write)
    for kind in ("whole", "shards"):
        is_the_walk(tmp_path / kind, key="model")
        with pytest.raises(InputError, match="has nothing under key 'net': there is model, other"):
            Series.open(tmp_path / kind, key="net")
