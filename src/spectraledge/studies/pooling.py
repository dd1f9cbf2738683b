"""Seeds of one study from several folders: of several machines or sittings, and those whose numbers alone are kept."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.claims.effects import EFFECT_COLUMNS
from spectraledge.claims.questions import QUESTIONS
from spectraledge.claims.verdicts import Verdicts
from spectraledge.errors import InputError
from spectraledge.studies.recipes import made_of_seeds, seeds_through
from spectraledge.studies.results import STUDY_FILE, StudyResult, load_study
from spectraledge.studies.study_config import StudyConfig

EFFECTS_FILE = "effects.csv"
"""What was measured in every run, beside a report; with all digits."""

CARD_FILE = "card.md"
"""What the study was; see `report.over_seeds.card`."""


def pool(folders: Sequence[Path]) -> tuple[StudyResult, Verdicts]:
    """Take folders of one study together and judge its claims on all of their seeds.

    Args:
        folders: At least one, each a study's folder, or one with a report's `EFFECTS_FILE` and `CARD_FILE`. Recipe and
            settings have to be the same, and no run may be in two.

    Returns:
        The study: of runs whose folder is at hand, all that is finished; of the others its configuration alone. And
        what its claims say of all of them.

    Raises:
        InputError: if a folder is neither, they are not of one study, its claims are not over seeds, or a
            report's study is not one that this version has a recipe of.
        DamageError: if runs of a study, or its own files, are not what was written.
    """
    parts = [_read(folder) for folder in folders]
    studies = [study for study, _ in parts]
    first = studies[0]
    for folder, study in zip(folders, studies, strict=True):
        study.refuse_damaged()
        if not first.config.like(study.config):
            raise InputError(
                f"{folders[0]} and {folder} are not of one study, with recipe, budget and first seed the same: give "
                "folders of one recipe, run with --seeds and --skip"
            )
    times = Counter(run.run_id for study in studies for run in study.config.runs)
    if twice := [name for name, number in times.items() if number > 1]:
        raise InputError(f"{len(twice)} runs are in two folders, the first {twice[0]}: give each run once")
    config = _whole(studies)
    order = {run.run_id: place for place, run in enumerate(config.runs)}
    runs = sorted((run for study in studies for run in study.runs), key=lambda run: order[run.run_id])
    pooled = StudyResult(
        config,
        first.folder,
        tuple(runs),
        {name: error for study in studies for name, error in study.failed.items()},
        tuple(name for study in studies for name in study.missing),
        tuple(name for study in studies for name in study.crashed),
    )
    answers = QUESTIONS[config.questions](pooled.runs)
    if not isinstance(answers, Verdicts):
        raise InputError(f"{config.name} has claims on runs, not over seeds: its folders cannot be taken together")
    return pooled, answers.joined(*(rows for _, rows in parts))


def keeps_effects_alone(folder: Path) -> bool:
    """Tell whether a folder holds what was measured in a study's runs, and not the study."""
    return (folder / EFFECTS_FILE).is_file() and not (folder / STUDY_FILE).is_file()


def _read(folder: Path) -> tuple[StudyResult, pd.DataFrame]:
    """Read a study, or what a report keeps of one."""
    path = folder / EFFECTS_FILE
    if not keeps_effects_alone(folder):
        return load_study(folder), pd.DataFrame(columns=list(EFFECT_COLUMNS))
    try:
        rows = pd.read_csv(path, dtype={"run": str, "task": str, "after": str, "seed": np.int64, "learned": np.bool_})
    except ValueError as error:
        raise InputError(f"{path} is no table of effects ({error}): write the report again") from error
    if tuple(rows.columns) != EFFECT_COLUMNS:
        raise InputError(f"{path} holds no effects as this version writes them: write the report again")
    return _described(folder / CARD_FILE), rows.fillna({"after": ""})


def _described(card: Path) -> StudyResult:
    """Return the study that a card is of, without its runs."""
    try:
        head = dict(line.split(": ", 1) for line in card.read_text().split("---\n")[1].splitlines())
        name, seeds, hash_, failed, missing = (
            json.loads(head[key]) for key in ("name", "seeds", "configuration", "failed", "missing")
        )
        made = [study for _, study in made_of_seeds(name, seeds_through(seeds), seeds)]
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{card} is no study card of this version ({error!r}): write the report again") from error
    for config in made:
        if config.hash == hash_:
            return StudyResult(config, card.parent, (), failed, tuple(missing))
    raise InputError(
        f"the study of {card} is not one that a recipe of this version makes: give the folder of the study itself, or "
        "run it again"
    )


def _whole(studies: Sequence[StudyResult]) -> StudyConfig:
    """Return the configuration of all runs, in the recipe's order where it is known."""
    first, runs = studies[0].config, [run for study in studies for run in study.config.runs]
    others = {name: analyses for study in studies for name, analyses in study.config.other_analyses.items()}
    whole = first.model_copy(update={"runs": tuple(runs), "other_analyses": others})
    seeds = {run.seed for run in runs}
    made = made_of_seeds(first.name, seeds_through(seeds), seeds)
    return next((one for _, one in made if one.grows(whole) and whole.grows(one)), whole)
