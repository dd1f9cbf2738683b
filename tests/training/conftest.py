"""Small runs: a network that trains in half a second."""

import pytest

from spectraledge.tasks import named_task
from spectraledge.training import RunConfig


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
