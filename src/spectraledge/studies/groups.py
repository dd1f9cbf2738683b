"""The runs of `groups`: a group, two others with one table of characters, and controls of the first without a rule."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.group_claims import DICYCLIC, DIHEDRAL, GROUP
from spectraledge.errors import InputError
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import Task, task_from_source
from spectraledge.training import RunConfig

CONTROLS = (f"permuted:group:{GROUP}", "latin:0", "loop:0")
"""The same answers dealt out to other pairs, and tables of the same size that are no group's."""

FRACTION, SMALLER_FRACTION = 0.7, 0.8
"""Share of pairs that train, of S4 and of the groups of order 16, whose table has fewer (our choices: with .7 of them a
run on D8 stays at a test accuracy of .86)."""

STEPS = 8_000
"""Most steps of a run (our choice: more than twice what S4 takes at seed 42)."""


def groups(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs on S4, on D8 and Dic4, and controls of the first, of every seed.

    The network is a perceptron with one hidden layer on an embedding, trained on as many pairs a step as it has, after
    Chughtai et al. 2023 (arXiv 2302.03025), but smaller, at three times the learning rate and on more of the pairs, so
    that a run takes half a minute; a transformer of these sizes has not begun to generalise by then (our choices).

    Args:
        seeds: Root seeds.
        budget: "small" is 60 steps of networks of eight neurons on the same tables.

    Returns:
        The study: runs on groups are analysed by `score`, `step` and `cosets`, the control with permuted answers by
        `cosets`; of the others it counts whether they generalise.

    Raises:
        InputError: if the published budget is asked for.
    """
    if budget == "published":
        raise InputError("groups has no published budget: take --budget matched")
    learned = [_task(f"group:{name}") for name in (GROUP, DIHEDRAL, DICYCLIC)]
    controls = [_task(source, modulus=learned[0].modulus) for source in CONTROLS]
    runs = [_run(task, seed, budget) for seed in seeds for task in (*learned, *controls)]
    permuted, *others = [task.name for task in controls]
    measured: dict[str, tuple[str, ...]] = {permuted: ("cosets",), **dict.fromkeys(others, ())}
    return StudyConfig(
        name="groups",
        questions="groups",
        runs=tuple(runs),
        analysis=AnalysisConfig(
            analyses=("score", "step", "cosets"), window=6 if budget == "small" else 20, nulls=20, seed=seeds[0]
        ),
        other_analyses={run.run_id: measured[run.task] for run in runs if run.task in measured},
    )


def _task(source: str, *, modulus: int = 0) -> Task:
    task = task_from_source(source, modulus=modulus)
    assert isinstance(task, Task)
    return task


def _run(task: Task, seed: int, budget: Budget) -> RunConfig:
    fraction = SMALLER_FRACTION if task.name in (DIHEDRAL, DICYCLIC) else FRACTION
    settings: dict[str, Any] = {"train_fraction": fraction, "batch_size": int(fraction * len(task)), "seed": seed}
    model: dict[str, Any] = {"kind": "mlp", "inputs": "embedded", "width": 64, "hidden": 128}
    if budget == "small":
        return RunConfig.for_task(task, {**model, "width": 4, "hidden": 8}, steps=60, every=5, **settings)
    return RunConfig.for_task(task, model, steps=STEPS, learning_rate=0.003, **settings)
