"""What is wrong with series that were published, in miniature; and sound series, in which nothing may be found."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spectraledge.trajectory import verify_series

Weights = dict[str, Tensor]
STEPS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256]


def trained(
    steps: list[int],
    *,
    seed: int = 0,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW,
    rate: float = 3e-3,
    spike: tuple[int, float] | None = None,
    **options: float,
) -> dict[int, Weights]:
    """Weights of a real training at some steps; a spike multiplies the rate for five steps from one on."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(12, 48), nn.LayerNorm(48), nn.GELU(), nn.Linear(48, 12))
    made = optimizer(model.parameters(), lr=rate, **options)
    found = {}
    for step in range(steps[-1] + 1):
        if step in steps:
            found[step] = {name: value.detach().clone() for name, value in model.state_dict().items()}
        for group in made.param_groups:
            group["lr"] = rate * (spike[1] if spike and spike[0] <= step < spike[0] + 5 else 1)
        inputs = torch.randn(32, 12, generator=generator)
        loss = (model(inputs) - inputs.roll(1, 1) * inputs).square().mean()
        made.zero_grad()
        loss.backward()
        made.step()
    return found


def folders(place: Path, series: dict[int, Weights]) -> Path:
    for step, weights in series.items():
        (place / f"step{step}").mkdir(parents=True)
        save_file(weights, place / f"step{step}" / "model.safetensors")
    return place


def cache(place: Path, revisions: dict[int, dict[str, str]], blobs: dict[str, Weights]) -> Path:
    """A repository in Hugging Face's cache: blobs, snapshots of links to them, and a reference for each revision."""
    repository = place / "models--a--b"
    (repository / "blobs").mkdir(parents=True)
    (repository / "refs").mkdir()
    for name, weights in blobs.items():
        save_file(weights, repository / "blobs" / name)
    for step, files in revisions.items():
        commit = f"{step:040x}"
        (repository / "refs" / f"step{step}").write_text(commit)
        (repository / "snapshots" / commit).mkdir(parents=True)
        for file, blob in files.items():
            (repository / "snapshots" / commit / file).symlink_to(f"../../blobs/{blob}")
    return repository


def kinds(place: Path, **options: bool) -> list[tuple[str, tuple[int, ...]]]:
    return [(finding.kind, finding.steps) for finding in verify_series(place, **options).findings]


@pytest.fixture(scope="module")
def series() -> dict[int, Weights]:
    return trained(STEPS)


@pytest.mark.parametrize("quick", [True, False])
def test_revisions_that_are_the_final_weights(tmp_path: Path, series: dict[int, Weights], quick: bool) -> None:
    blobs = {f"blob{step}": weights for step, weights in series.items()}
    late = (16, 64, 256)
    revisions = {step: {"model.safetensors": f"blob{256 if step in late else step}"} for step in STEPS}
    assert kinds(cache(tmp_path, revisions, blobs), quick=quick) == [("duplicate", late)]


def test_first_steps_that_are_identical(tmp_path: Path, series: dict[int, Weights]) -> None:
    same = {step: series[0] if step <= 2 else weights for step, weights in series.items()}
    assert kinds(folders(tmp_path, same)) == [("duplicate", (0, 1, 2))]


def test_half_a_series_that_never_moved(tmp_path: Path) -> None:
    moving = trained([0, *range(7, 14)])
    still = {100 * step: moving[0] if step <= 6 else moving[step] for step in range(14)}
    assert kinds(folders(tmp_path, still)) == [("duplicate", tuple(100 * step for step in range(7)))]


def halves(weights: Weights) -> tuple[Weights, Weights]:
    names = sorted(weights)
    return {name: weights[name] for name in names[:3]}, {name: weights[name] for name in names[3:]}


def shards(place: Path, series: dict[int, Weights]) -> Path:
    """The series in two shards each, of which two steps hold the first one of the last step."""
    blobs, revisions = {}, {}
    for step, weights in series.items():
        blobs[f"one{step}"], blobs[f"two{step}"] = halves(weights)
    index = {name: f"model-0000{1 + (name in blobs['two0'])}-of-00002.safetensors" for name in series[0]}
    for step in series:
        files = {"model-00001-of-00002.safetensors": f"one{256 if step in (4, 32) else step}"}
        revisions[step] = {**files, "model-00002-of-00002.safetensors": f"two{step}"}
    repository = cache(place, revisions, blobs)
    for commit in (repository / "snapshots").iterdir():
        (commit / "model.safetensors.index.json").write_text(str({"weight_map": index}).replace("'", '"'))
    return repository


@pytest.mark.parametrize("quick", [True, False])
def test_a_shard_of_the_final_weights_beside_its_own_second(
    tmp_path: Path, series: dict[int, Weights], quick: bool
) -> None:
    (finding,) = verify_series(shards(tmp_path, series), quick=quick).findings
    assert (finding.kind, finding.steps) == ("duplicate", (4, 32, 256))
    assert "model-00001-of-00002.safetensors" in finding.text


def test_a_copied_tensor_within_one_file(tmp_path: Path, series: dict[int, Weights]) -> None:
    part = {**series, 32: {**series[32], "0.weight": series[256]["0.weight"]}}
    (finding,) = verify_series(folders(tmp_path, part)).findings
    assert (finding.kind, finding.steps) == ("duplicate", (32, 256))
    assert "hold 1 of 6 tensors byte for byte alike (0.weight)" in finding.text


def test_a_frozen_tensor_is_no_copy(tmp_path: Path, series: dict[int, Weights]) -> None:
    frozen = {step: {**weights, "0.weight": series[0]["0.weight"]} for step, weights in series.items()}
    assert kinds(folders(tmp_path, frozen)) == []


def test_a_first_step_of_another_seed(tmp_path: Path, series: dict[int, Weights]) -> None:
    (found,) = kinds(folders(tmp_path, {**series, 0: trained([0], seed=9)[0]}))
    assert found == ("broken lineage", (0, 1))


def test_one_step_of_another_run(tmp_path: Path, series: dict[int, Weights]) -> None:
    (found,) = kinds(folders(tmp_path, {**series, 16: trained([16], seed=9)[16]}))
    assert found == ("broken lineage", (16,))


@pytest.mark.parametrize("quick", [True, False])
def test_a_gap_of_many_steps(tmp_path: Path, quick: bool) -> None:
    found = trained(list(range(12)))
    steps = [1000, 2300, 3900, 6600, 8500, 11_000, 224_000, 226_300, 229_100, 230_400, 233_000, 234_700]
    late = dict(zip(steps, found.values(), strict=True))
    assert kinds(folders(tmp_path, late), quick=quick) == [("gap", (11_000, 224_000))]


def test_sizes_alone_tell_another_network(tmp_path: Path, series: dict[int, Weights]) -> None:
    blobs = {f"blob{step}": weights for step, weights in series.items()}
    blobs["blob8"] = {**series[8], "more": torch.zeros(48, 12)}
    repository = cache(tmp_path, {step: {"model.safetensors": f"blob{step}"} for step in STEPS}, blobs)
    assert kinds(repository, quick=True) == [("foreign", (8,))]


def test_a_cache_is_looked_at_without_reading_weights(tmp_path: Path, series: dict[int, Weights]) -> None:
    blobs = {f"blob{step}": weights for step, weights in series.items()}
    repository = cache(tmp_path, {step: {"model.safetensors": f"blob{step}"} for step in STEPS}, blobs)
    for blob in (repository / "blobs").iterdir():
        size = blob.stat().st_size
        blob.write_bytes(b"")
        os.truncate(blob, size)
    assert kinds(repository, quick=True) == []
    assert {kind for kind, _ in kinds(repository)} == {"unreadable"}


@pytest.mark.parametrize(
    "settings",
    [
        {"weight_decay": 1.0},
        {"optimizer": torch.optim.SGD, "rate": 0.05, "momentum": 0.9},
        {"spike": (60, 30.0)},
    ],
    ids=["AdamW", "SGD with momentum", "a spike of the rate"],
)
@pytest.mark.parametrize("steps", [STEPS, list(range(0, 200, 10))], ids=["powers of two", "even"])
@pytest.mark.parametrize("seed", [1, 2])
def test_sound_series_raise_no_alarm(tmp_path: Path, settings: dict, steps: list[int], seed: int) -> None:
    assert kinds(folders(tmp_path, trained(steps, seed=seed, **settings))) == []
