"""Small runs: a network that trains in half a second, and whether two left the same."""

import pytest

from spectraledge.tasks import named_task
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest, find_snapshots


@pytest.fixture(scope="session")
def small_task():
    return named_task("add", modulus=13)


@pytest.fixture(scope="session")
def small_config(small_task):
    """Make a configuration of a small run; settings override."""

    def make(**settings):
        small = {"batch_size": 32, "steps": 400, "every": 20, "stop_accuracy": 2.0}
        return RunConfig.for_task(small_task, {"width": 16, "heads": 2, "hidden": 32}, **small | settings)

    return make


def assert_same_run(folder, expected):
    found, whole = find_snapshots(folder), find_snapshots(expected)
    assert [snapshot.step for snapshot in found] == [snapshot.step for snapshot in whole]
    for ours, theirs in zip(found, whole, strict=True):
        assert ours.path.read_bytes() == theirs.path.read_bytes()
    files = [sorted(p.relative_to(at) for p in at.rglob("*") if p.is_file()) for at in (folder, expected)]
    assert files[0] == files[1]
    for name in files[0]:
        # It says how long it took.
        if name.name != "run.json":
            assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    left, right = Manifest.read(folder), Manifest.read(expected)
    assert left.model_copy(update={"wall_seconds": 0.0}) == right.model_copy(update={"wall_seconds": 0.0})
    assert left.status == "done"
    assert not (folder / "resume.safetensors").exists()
