"""Forks: runs that part from another one at a step, with its weights, optimizer and streams, and one thing changed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from spectraledge.errors import InputError
from spectraledge.interventions.intervention import Intervention
from spectraledge.models import architecture_of
from spectraledge.streams import derived_seed
from spectraledge.tasks import JointTask, Task, permuted_task, task_from_source
from spectraledge.training.config import RunConfig
from spectraledge.training.member import Member
from spectraledge.training.protocols import PROTOCOLS, BatchSource
from spectraledge.training.recorded_task import recorded_task
from spectraledge.training.saved_state import State, kept_states, read_state, state_path
from spectraledge.training.stack import Stack
from spectraledge.training.step_rules import MEMORY
from spectraledge.trajectory import Layout, find_snapshots, read_snapshot, snapshot_path, whole

WARM_UP = 200
"""Steps over which an optimizer's memory is filled where none was kept (our choice: at the published β₂ = .98 what the
second moment remembers is 98 % of the gradients that it averages)."""

OWN, PERMUTED = "own", "permuted"
"""Answers: the run's own; and the same ones dealt out to other pairs."""


def answers_of(task: Task | JointTask, answers: str) -> Task | JointTask:
    """Make the task that a branch is given.

    Args:
        task: The run's own.
        answers: "own"; "permuted" or "permuted:K", the own ones dealt out to other pairs, by one draw or another; or
            another task over the same pairs (see `task_from_source`).

    Returns:
        The task.

    Raises:
        InputError: if it is of other pairs or another modulus, unknown, or the run answers several tasks.
    """
    if answers == OWN:
        return task
    if isinstance(task, JointTask):
        raise InputError(f"a joint task ({task.name}) keeps its answers in a fork: change something else")
    kind, _, draw = answers.partition(":")
    if kind == PERMUTED and (not draw or draw.isdecimal()):
        return permuted_task(task, draw=int(draw or 0))
    other = task_from_source(answers, modulus=task.modulus)
    if (
        isinstance(other, JointTask)
        or other.modulus != task.modulus
        or not np.array_equal(other.pairs_N2, task.pairs_N2)
    ):
        raise InputError(
            f"a fork answers the same pairs as its run, {len(task)} of residues mod {task.modulus}, and {other.name!r} "
            f"has {len(other)} mod {other.modulus}: choose another task"
        )
    return other


def fork_config(
    folder: Path, task: Task | JointTask, *, step: int, steps: int, warm_up: int | None = None, **changes: Any
) -> RunConfig:
    """Make the configuration of a branch: that of the run, from a step on, with what is changed.

    Args:
        folder: The folder of the run that is forked.
        task: What the branch answers; see `answers_of`.
        step: Where it parts; the run has a snapshot there.
        steps: How many steps it takes.
        warm_up: See `Fork`. Default: 0 where the run kept its state there or the optimizer is another one, else
            `WARM_UP`.
        **changes: Settings that differ, by name; "batch_seed" is that of `Fork`.

    Returns:
        The configuration. The stop rule never holds unless `changes` say otherwise, so that branches are of one length;
        another optimizer has its usual momentum.

    Raises:
        InputError: if the run has no snapshot there, or kept no state where warm_up is 0, or a setting is not allowed.
    """
    known = RunConfig.of_run(folder)
    recorded = [one.step for one in find_snapshots(folder)]
    if step not in recorded:
        nearest = min(recorded, key=lambda one: abs(one - step))
        raise InputError(
            f"no snapshot at step {step} in {folder}, which ends at {recorded[-1]}: the nearest is at step {nearest}"
        )
    anew = changes.get("optimizer", known.optimizer) != known.optimizer
    able = anew or state_path(folder, step).is_file()
    if warm_up is None:
        warm_up = 0 if able else WARM_UP
    if not warm_up and not able:
        raise InputError(_no_state(folder, step))
    fork = {"run": known.hash, "step": step, "warm_up": warm_up, "batch_seed": changes.pop("batch_seed", None)}
    own = {"task": task.name, "task_digest": task.digest, "start": "", "fork": fork, "steps": step + steps}
    same = task.digest == known.task_digest
    fresh: dict[str, Any] = {"stop_accuracy": 2.0, "required": known.required if same else ()}
    if anew:
        fresh["momentum"] = RunConfig.model_fields["momentum"].default
    try:
        return RunConfig.model_validate({**known.model_dump(), **own, **fresh, **changes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}") from error


def branch_runs(
    folder: Path,
    *,
    step: int,
    steps: int,
    warm_up: int | None = None,
    every: int | None = None,
    answers: Sequence[str] = (),
    interventions: Sequence[Intervention] = (),
    **values: Sequence[object],
) -> dict[str, tuple[RunConfig, Task | JointTask]]:
    """Make branches of one network, each with one thing changed.

    Args:
        folder: The folder of the run that is forked.
        step: Where they part.
        steps: How many steps each takes.
        warm_up: See `fork_config`.
        every: Steps between snapshots. Default: those of the run.
        answers: A branch for each; see `answers_of`.
        interventions: A branch with each, instead of those of the run.
        **values: By the name of a setting, a branch for each value; see `fork_config`.

    Returns:
        Configuration and task of each by what is changed; the first is "unchanged".

    Raises:
        InputError: as `answers_of` and `fork_config`, or if two are the same.
    """
    own, shared = recorded_task(folder), {} if every is None else {"every": every}
    changes: list[tuple[str, str, dict[str, object]]] = [("unchanged", OWN, {})]
    changes += [(f"answers {one}", one, {}) for one in answers if one != OWN]
    for name, each in values.items():
        words = "batch order" if name == "batch_seed" else name.replace("_", " ")
        changes += [(f"{words} {value}", OWN, {name: value}) for value in each]
    changes += [(str(one), OWN, {"interventions": (one,)}) for one in interventions]
    made: dict[str, tuple[RunConfig, Task | JointTask]] = {}
    for name, kind, settings in changes:
        task = answers_of(own, kind)
        config = fork_config(folder, task, step=step, steps=steps, warm_up=warm_up, **shared, **settings)
        for other, (known, _) in made.items():
            if known.hash == config.hash:
                raise InputError(f"branch {name!r} is the same as {other!r}: leave one out, or change something")
        made[name] = config, task
    return made


def origin(folder: Path, config: RunConfig) -> State:
    """Make the state that a fork goes on from.

    Definition: the kept state of the run at that step, so that a fork with nothing changed is the run, bit for bit on a
    CPU. Without one the weights are those of the snapshot, the batches those that the run would have seen, drawn up to
    there, and the optimizer's memory is filled at these weights (`Stack.warm_up`), for the run's own answers. Where the
    optimizer is another one and its memory is not to be filled, it begins anew, as that of a first step.

    Args:
        folder: The folder of the run that is forked.
        config: The fork's configuration.

    Returns:
        The state.

    Raises:
        InputError: if it is of another run, or kept no state and is a fork itself, whose batches are not its seed's, or
            kept none and is to go on exactly.
        DamageError: if a file is not what was written.
    """
    fork, known = config.fork, RunConfig.of_run(folder)
    assert fork is not None
    if known.hash != fork.run or known.model != config.model:
        raise InputError(
            f"{folder} holds another run, or another network, than the fork is of: give the run that it forks"
        )
    path = state_path(folder, fork.step)
    anew = config.optimizer != known.optimizer
    if path.is_file() and not fork.warm_up:
        state = read_state(whole(path))
    elif fork.warm_up or anew:
        state = _rebuilt(folder, known, config)
    else:
        raise InputError(_no_state(folder, fork.step))
    tensors, text = dict(state.tensors), dict(state.text)
    if anew and not fork.warm_up:
        tensors = {name: part for name, part in tensors.items() if name not in MEMORY}
        text["remembers_since"] = str(fork.step)
    if config.interventions != known.interventions:
        tensors = {name: part for name, part in tensors.items() if name in ("weights", *MEMORY)}
        text.pop("interventions", None)
    if fork.batch_seed is not None:
        text["batches"] = json.dumps(_batches(config, fork.batch_seed).state())
    return State(tensors, text)


def _no_state(folder: Path, step: int) -> str:
    kept = ", ".join(map(str, kept_states(folder))) or "none"
    return (
        f"{folder} kept no state at step {step} (kept: {kept}): train it with --keep-states, or fill the optimizer's "
        f"memory anew with --warm-up {WARM_UP}"
    )


def _batches(config: RunConfig, seed: int) -> BatchSource:
    # Positions do not depend on how many pairs train.
    return PROTOCOLS[config.protocol].batches(seed, 1, config.batch_size)


def _rebuilt(folder: Path, known: RunConfig, config: RunConfig) -> State:
    """The state from a snapshot: the run's batches, and the memory that the fork's optimizer has of warming up."""
    fork = config.fork
    assert fork is not None
    if known.fork:
        raise InputError(f"{folder} is a fork itself; {_no_state(folder, fork.step).partition(', or')[0]}")
    task = recorded_task(folder)
    weights = read_snapshot(whole(snapshot_path(folder, fork.step)))
    layout = Layout(architecture_of(known.model).shapes)
    own = {"optimizer": config.optimizer, "momentum": config.momentum}
    plain = known.model_copy(update={"interventions": (), "start": "", "engine": "eager", **own})
    member = Member(plain, task)
    stack = Stack([member])
    stack.flat.weights.copy_(layout.join(weights))
    for _ in range(fork.step):
        member.batches.draw()
    position = member.batches.state()
    member.batches = PROTOCOLS[known.protocol].batches(
        derived_seed(known.seed, "warm-up") % 2**32, len(member.split.train_T), known.batch_size
    )
    member.step = fork.step
    if fork.warm_up:
        stack.warm_up(fork.warm_up)
    tensors, text = member.state()
    return State({name: part.clone() for name, part in tensors.items()}, {**text, "batches": json.dumps(position)})
