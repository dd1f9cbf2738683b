"""Recipes: functions that return a whole study."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Protocol, get_args

from pydantic import ValidationError

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.score_claims import TASKS
from spectraledge.errors import InputError
from spectraledge.files import load_function
from spectraledge.studies.budgets import PaperRuns, not_published, window_of
from spectraledge.studies.causes import causes
from spectraledge.studies.groups_study import groups
from spectraledge.studies.landscape import landscape
from spectraledge.studies.networks import networks
from spectraledge.studies.paper import CONTROL_STEPS, paper
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import any_task
from spectraledge.training import RunConfig

FIRST_SEEDS = (42, 137, 2024)
"""Seeds of Xu 2026, §2; more are 1, 2, 3, ... (our choice, so that no seed is chosen for its result)."""


class Recipe(Protocol):
    """A function that returns a whole study."""

    def __call__(self, *, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
        """Return the study.

        Args:
            seeds: Root seeds of its runs, at least one; the first is that of everything random in analyses.
            budget: What it may cost.
        """


def first_seeds(number: int) -> tuple[int, ...]:
    """Return the first seeds of the one list that studies take theirs from.

    Args:
        number: How many.

    Returns:
        42, 137, 2024, 1, 2, 3, ...

    Raises:
        InputError: if it is not positive.
    """
    if number < 1:
        raise InputError(f"a study needs at least 1 seed, got {number}")
    others = (seed for seed in count(1) if seed not in FIRST_SEEDS)
    return (*FIRST_SEEDS, *islice(others, max(number - len(FIRST_SEEDS), 0)))[:number]


def seeds_through(seeds: Iterable[int]) -> tuple[int, ...]:
    """Return the start of the list of seeds up to the last of some; none if they are not among its first thousand."""
    listed, wanted = first_seeds(1_000), set(seeds)
    return listed[: 1 + max(map(listed.index, wanted))] if wanted and wanted <= set(listed) else ()


def made_of_seeds(name: str, every: tuple[int, ...], kept: Iterable[int]) -> Iterator[tuple[Budget, StudyConfig]]:
    """Make a known recipe's study of some of its seeds, `kept` of `every`, for every budget that it has."""
    left = set(kept)
    for budget in get_args(Budget) if every and name in RECIPES else ():
        try:
            made = recipe(name, seeds=every, budget=budget)
        except InputError:
            continue
        yield budget, made.of(run for run in made.runs if run.seed in left)


@not_published
def quick(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return three tasks that grok and two controls that do not, of every seed: some minutes for one on two cores.

    Budget "small" is 200 steps of small networks mod 11.
    """
    runs = [run for seed in seeds for run in _quick_runs(seed, budget)]
    usual = AnalysisConfig()
    analysis = AnalysisConfig(analyses=(*usual.analyses, "score"), seed=seeds[0], window=window_of(budget))
    return StudyConfig(name="quick", runs=tuple(runs), analysis=analysis)


def _quick_runs(seed: int, budget: Budget) -> list[RunConfig]:
    run = partial(_RUNS.run, seed=seed, budget=budget, engine="eager")
    controls = [run("cubic", steps=CONTROL_STEPS), run("add", weight_decay=0.0, steps=CONTROL_STEPS)]
    return [*map(run, TASKS), *controls]


@not_published
def score(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return what onsets of functions are judged on: three tasks that grok, and controls alike in all but the answers.

    Controls of all three are runs on permuted answers, which have no rule; and, of the first half of the seeds, runs on
    their own answers with a tenth of the pairs, too few to find it (our choice; half of them train the others, as in
    Xu 2026, §2).

    Budget "small" is 200 steps of small networks mod 11.
    """
    few = seeds[: (len(seeds) + 1) // 2]
    learned = {seed: [_RUNS.run(name, seed, budget) for name in TASKS] for seed in seeds}
    runs = [run for seed in seeds for run in (*learned[seed], *_untaught(seed, budget, few=seed in few))]
    return StudyConfig(
        name="score",
        runs=tuple(runs),
        analysis=AnalysisConfig(analyses=("score",), seed=seeds[0], window=window_of(budget)),
        other_analyses={run.run_id: ("score", "growth") for seed in seeds for run in learned[seed]},
    )


def _untaught(seed: int, budget: Budget, *, few: bool) -> list[RunConfig]:
    tasks = TASKS if few else ()
    pairs = [_RUNS.run(name, seed, budget, train_fraction=_FEW_PAIRS, steps=CONTROL_STEPS) for name in tasks]
    return [_RUNS.run("permuted_add", seed, budget, steps=CONTROL_STEPS), *pairs]


_FEW_PAIRS = 0.1
_RUNS = PaperRuns(small_settings={"steps": 200, "every": 10, "batch_size": 64})


RECIPES: dict[str, Recipe] = {
    "quick": quick,
    "score": score,
    "paper": paper,
    "causes": causes,
    "landscape": landscape,
    "networks": networks,
    "groups": groups,
}
"""Every recipe by name."""


def recipe(name: str, *, seeds: tuple[int, ...] = (42,), budget: Budget = "matched") -> StudyConfig:
    """Make a study by name.

    Args:
        name: A key of `RECIPES`, or `my_study.py:recipe`: a Python file and a function in it that is a `Recipe`.
        seeds: Root seeds of its runs; see `first_seeds`. Default 42 (Xu 2026, §2).
        budget: What it may cost.

    Returns:
        The study's configuration.

    Raises:
        InputError: if the name is unknown, the study has no such budget, or the function fails, returns something
            else, or makes no run, one on a table of its own, or one with a value that is not allowed.
    """
    path, _, function = name.rpartition(":")
    if not path.endswith(".py"):
        if name not in RECIPES:
            raise InputError(f"unknown study {name!r}: known studies are {', '.join(RECIPES)}, or my_study.py:recipe")
        return RECIPES[name](seeds=seeds, budget=budget)
    try:
        made = load_function(Path(path), function)(seeds=seeds, budget=budget)
    except InputError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([error.title, *map(str, first["loc"])])
        # Of settings that do not go together the message says which, and the input is all of them.
        found = f", got {first['input']!r}" if first["loc"] else ""
        raise InputError(
            f"recipe {name!r} failed: {where}: {first['msg'].removeprefix('Value error, ')}{found}"
        ) from error
    except Exception as error:
        raise InputError(
            f"recipe {name!r} failed: {type(error).__name__}: {error}; it is called with seeds=(42, ...) and "
            f'budget="{budget}"'
        ) from error
    if not isinstance(made, StudyConfig):
        raise InputError(f"recipe {name!r} must return a StudyConfig, got {type(made).__name__}")
    made = made.checked()
    if not made.runs:
        raise InputError(f"recipe {name!r} makes no run for seeds {', '.join(map(str, seeds))}: give its study some")
    for run in made.runs:
        if not _is_named(run):
            raise InputError(
                f"recipe {name!r} has a run on a table or function of its own, {run.task!r}, and a study makes tasks "
                "by their names: train it with `spectraledge train`, and `spectraledge report` reads such runs side by "
                "side"
            )
    return made


def _is_named(run: RunConfig) -> bool:
    """Whether the name of a run's task makes that task."""
    try:
        return any_task(run.task, modulus=run.model.tokens).digest == run.task_digest
    except InputError:
        return False
