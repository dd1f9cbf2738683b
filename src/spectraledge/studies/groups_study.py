"""The runs of `groups`: a group and a larger one, two with one table of characters, and controls of the first."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.group_claims import DICYCLIC, DIHEDRAL, GROUP, LARGER
from spectraledge.studies.budgets import not_published, window_of
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import Task, task_from_source
from spectraledge.training import RunConfig

CONTROLS = (f"permuted:group:{GROUP}", "latin:0", "loop:0")
"""The same answers dealt out to other pairs, and tables of the same size that are no group's."""

FRACTIONS = {DIHEDRAL: 0.8, DICYCLIC: 0.8}
"""Share of pairs that train where it is not `FRACTION` (our choices: on .7 a run on Dic6 answers a third of the others
after 7,000 steps; on .8 it reaches .95 after 5,800)."""

FRACTION = 0.7

EVERY = {DIHEDRAL: 25, LARGER: 25}
"""Steps between snapshots where they are not 50: at seed 42 D12 is learned within 1,600 steps and S5 within 800, and a
window of 20 updates has to fit in (our choices)."""

STEPS, CONTROL_STEPS = 10_000, 6_000
"""Most steps of a run, and those of controls (our choices: at seed 42 S4 takes 3,400, Dic6 5,800)."""


@not_published
def groups(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs on S4 and S5 of every seed, and of the first half of the seeds on D12, Dic6 and controls of S4.

    The network is a perceptron with one hidden layer on an embedding, trained on as many pairs a step as it has, after
    Chughtai et al. 2023 (arXiv 2302.03025), but smaller, at three times the learning rate and on more of the pairs, so
    that a run takes half a minute; a transformer of these sizes has not begun to generalise by then (our choices).

    Runs on groups are analysed by `score`, `step` and `cosets`, the control with permuted answers by `cosets`; of the
    others it counts whether they generalise. Budget "small" is 60 steps of networks of eight neurons on the tables.
    """
    symmetric, pair = ([_task(f"group:{name}") for name in names] for names in ((GROUP, LARGER), (DIHEDRAL, DICYCLIC)))
    controls = [_task(source, modulus=symmetric[0].modulus) for source in CONTROLS]
    first = seeds[: (len(seeds) + 1) // 2]
    runs = [
        _run(task, seed, budget)
        for seed in seeds
        for task in (*symmetric, *((*pair, *controls) if seed in first else ()))
    ]
    permuted, *others = [task.name for task in controls]
    measured: dict[str, tuple[str, ...]] = {permuted: ("cosets",), **dict.fromkeys(others, ())}
    return StudyConfig(
        name="groups",
        questions="groups",
        runs=tuple(runs),
        analysis=AnalysisConfig(
            analyses=("score", "step", "cosets"), window=window_of(budget), nulls=20, seed=seeds[0]
        ),
        other_analyses={run.run_id: measured[run.task] for run in runs if run.task in measured},
    )


def _task(source: str, *, modulus: int = 0) -> Task:
    task = task_from_source(source, modulus=modulus)
    assert isinstance(task, Task)
    return task


def _run(task: Task, seed: int, budget: Budget) -> RunConfig:
    fraction = FRACTIONS.get(task.name, FRACTION)
    settings: dict[str, Any] = {"train_fraction": fraction, "batch_size": int(fraction * len(task)), "seed": seed}
    model: dict[str, Any] = {"kind": "mlp", "inputs": "embedded", "width": 64, "hidden": 128}
    if budget == "small":
        return RunConfig.for_task(task, {**model, "width": 4, "hidden": 8}, steps=60, every=5, **settings)
    settings |= {"steps": STEPS if task.structure.startswith("group:") else CONTROL_STEPS, "learning_rate": 0.003}
    return RunConfig.for_task(task, model, every=EVERY.get(task.name, 50), **settings)
