"""What a run is called."""

from spectraledge.analyses.run_result import run_title
from spectraledge.interventions import Intervention
from spectraledge.models.mlp import MLPConfig
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig
from spectraledge.training.config import Fork


def test_a_run_is_called_by_its_task_and_what_sets_it_apart() -> None:
    plain = RunConfig.for_task(named_task("add"), steps=100)
    change = Intervention.of("remove:edge:2")
    for updates, words in (
        ({}, "a + b mod 97, weight decay 1"),
        ({"train_fraction": 0.3, "weight_decay": 0.0}, "a + b mod 97, weight decay 0, 30% of pairs train"),
        (
            {"model": MLPConfig(tokens=97), "interventions": (change,), "fork": Fork(run="0" * 64, step=1200)},
            f"a + b mod 97, weight decay 1, mlp, {change}, forked at step 1,200",
        ),
    ):
        assert run_title(plain.model_copy(update=updates), "a + b", "sum") == words
    assert run_title(plain, "a·b in S3", "group:S3") == "a·b in S3, weight decay 1"
