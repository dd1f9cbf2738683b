"""Claims about when runs generalise, what tells those runs from others, and what their updates select."""

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.paper_runs import (
    GROKKING,
    OTHERS,
    OWN,
    Effect,
    chosen,
    mean_of,
    of_task,
    over_tasks,
    single_runs,
)
from spectraledge.claims.published import GROKKED_WITHIN, published
from spectraledge.claims.verdicts import Declared, Method, SeedClaim
from spectraledge.tasks import OPERATIONS

WITHIN = GROKKED_WITHIN
"""Steps within which a task must generalise: the claim's own bound, the one published number that is part of a rule."""

STEEP = 10.0
"""Decline of g_23 that counts as one (our choice: an order of magnitude)."""

SELECTION_MARGIN = 1.1
"""Largest selection ratio that does not matter (our choice: a tenth more than directions at random)."""

CHANGE_MARGIN = 100.0
"""Steps between changes that do not matter (our choice: one snapshot of the paper's)."""

ALL_TASKS = (*GROKKING, *OTHERS)

TABLE_1 = {"quantity": "g23", "definition": "since_peak", "window": 10, "centered": False}
"""Decline of g_23 by the scripts: the largest value so far over the value here, uncentred windows of 10 updates."""

_MATCHED = "read at the first step with test accuracy .95, of other runs at the median of those steps in their seed"


def matched_values(runs: Runs, name: str, **where: object) -> pd.DataFrame:
    """Read a quantity of every single-task run at like steps of its training.

    Definition: a run that groks is read at its first step with test accuracy of .95, any other at the median of those
    steps in its seed; both at the nearest step that has the quantity. Updates shrink with training, so runs that are
    read at unlike steps differ by that alone.

    Args:
        runs: The study's runs.
        name: Name of a table with columns step and value.
        **where: Values of its other columns.

    Returns:
        One row per run: seed, value, first (whether it groks). Seeds without a run that groks are left out.
    """
    runs = single_runs(runs, ALL_TASKS)
    grokked_steps: dict[int, list[int]] = {run.config.seed: [] for run in runs}
    for run in runs:
        if run.manifest.grokked_step is not None:
            grokked_steps[run.config.seed].append(run.manifest.grokked_step)
    rows = []
    for run in runs:
        table, others = chosen(run, name, **where), grokked_steps[run.config.seed]
        if table.empty or not others:
            continue
        at = np.median(others) if run.manifest.grokked_step is None else run.manifest.grokked_step
        nearest = int((table["step"] - at).abs().to_numpy().argmin())
        rows.append((run.config.seed, float(table["value"].iloc[nearest]), run.grokked))
    return pd.DataFrame(rows, columns=["seed", "value", "first"])


def _groks(task: str) -> Declared:
    claim = SeedClaim(
        f"groks-{task}",
        "§2",
        "sound",
        f"{OPERATIONS[task].formula} generalises within {WITHIN:,} steps at weight decay 1.",
        "whether test accuracy reaches .95 by then",
        "it does in half of the seeds",
        "rate",
        "above",
        published="3 of 3 seeds",
    )

    def within(run: RunResult) -> tuple[float, float]:
        step = run.manifest.grokked_step
        return float(step is not None and step <= WITHIN), 0.5

    return claim, over_tasks((task,), within, grokked=False)


def _never(id_: str, statement: str, tasks: tuple[str, ...], weight_decay: float, known: str) -> Declared:
    claim = SeedClaim(
        id_,
        "§2",
        "sound",
        statement,
        f"whether no run of the seed, on {', '.join(tasks)}, reaches test accuracy .95 within its budget",
        "none does in half of the seeds",
        "rate",
        "above",
        published=known,
    )
    share = over_tasks(tasks, lambda run: (float(run.grokked), 0.5), weight_decay=weight_decay, grokked=False)

    def measure(runs: Runs) -> pd.DataFrame:
        table = share(runs)
        return table.assign(value=(table["value"] == 0).astype(np.float64))

    return claim, measure


def _decline_separates(id_: str, method: Method, what: str, known: str = "", **where: object) -> Declared:
    claim = SeedClaim(
        id_,
        "Table 1",
        method,
        f"{what[0].upper()}{what[1:]} tells runs that grok from runs that do not.",
        f"{what.removesuffix(',')}; {_MATCHED}",
        "an area of one half",
        "area",
        "above",
        published=known,
    )
    return claim, lambda runs: matched_values(runs, "declines", **where)


def _separates(id_: str, what: str, effect: Effect) -> Declared:
    claim = SeedClaim(
        id_,
        "Table 1",
        "sound",
        f"{what[0].upper()}{what[1:]} tells runs that grok from runs that do not.",
        f"{what}, at the last step with test accuracy .95, else at the last",
        "an area of one half",
        "area",
        "above",
    )

    def measure(runs: Runs) -> pd.DataFrame:
        runs = single_runs(runs, ALL_TASKS)
        rows = [(run.config.seed, found[0], run.grokked) for run in runs if (found := effect(run)) is not None]
        return pd.DataFrame(rows, columns=["seed", "value", "first"])

    return claim, measure


def _declines(id_: str, statement: str, statistic: str, known: str, *, grokked: bool) -> Declared:
    claim = SeedClaim(
        id_, "Table 1", "published", statement, statistic, "half of the seeds", "rate", "above", published=known
    )

    def measure(runs: Runs) -> pd.DataFrame:
        found = matched_values(runs, "declines", **TABLE_1)
        steep = found.assign(steep=found["value"] > STEEP)[found["first"] == grokked].groupby("seed")["steep"]
        happens = (steep.all() if grokked else ~steep.any()).astype(np.float64)
        return pd.DataFrame({"seed": happens.index, "value": happens.to_numpy(), "null": 0.5})

    return claim, measure


def _selection(run: RunResult) -> tuple[float, float] | None:
    table = chosen(run, "selection", basis=OWN, subspace=WHOLE)
    return (float(table["ratio"].iloc[0]), 1.0) if len(table) else None


def _own_share(run: RunResult) -> tuple[float, float] | None:
    table = chosen(run, "modes", method="jvp", basis=OWN, kind="edge")
    return (mean_of(table, "energy_share"), 0.0) if len(table) else None


_SELECTED = "selection ratio S of all functions of the task's own variable together"


def _selects(task: str) -> Declared:
    claim = SeedClaim(
        f"selects-{task}",
        "Conjecture 1",
        "sound",
        f"The updates of a network that learned {OPERATIONS[task].formula} move its own functions more than isotropic "
        "updates would.",
        _SELECTED,
        "isotropic directions: S = 1",
        "ratio",
        "above",
        margin=SELECTION_MARGIN,
    )
    return claim, of_task(task, _selection)


def _selects_nothing(id_: str, runs: str, tasks: tuple[str, ...], weight_decay: float) -> Declared:
    claim = SeedClaim(
        id_,
        "Conjecture 1",
        "sound",
        f"{runs} select none of their task's own functions.",
        f"{_SELECTED}, geometric mean over the tasks",
        "isotropic directions: S = 1",
        "ratio",
        "equal",
        margin=SELECTION_MARGIN,
    )
    effect = over_tasks(tasks, _selection, weight_decay=weight_decay, grokked=False, logarithms=True)
    return claim, effect


def _changes(id_: str, method: Method, statement: str, null: str) -> SeedClaim:
    return SeedClaim(
        id_,
        "§4.2",
        method,
        statement,
        "steps between the first and the last change of g_23, of the path's first component and of σ_1/σ_2 of W_Q and "
        "W_K, mean over the four tasks that grok",
        null,
        "difference",
        "below",
        margin=CHANGE_MARGIN,
        published="said to agree in time",
    )


def _spread(run: RunResult) -> tuple[float, float] | None:
    table = run.table("decomposition_agreement")
    if table.empty:
        return None
    # Its first row is of the study's own window.
    return float(table["spread"].iloc[0]), float(table["null_spread"].iloc[0])


def _spread_of_others(runs: Runs) -> pd.DataFrame:
    ours = over_tasks(GROKKING, _spread)(runs).set_index("seed")["value"]
    others = over_tasks(OTHERS, _spread, grokked=False)(runs).set_index("seed")["value"]
    return pd.DataFrame({"value": ours, "null": others}).dropna().reset_index()


EDGE: tuple[Declared, ...] = (
    *(_groks(task) for task in GROKKING),
    _never("never-without-decay", "Without weight decay no task generalises.", ALL_TASKS, 0.0, "0 of 18 runs"),
    _never("never-quadratic-cubic", "a² + ab + b² and a³ + ab do not generalise.", OTHERS, 1.0, "0 of 6 runs"),
    _separates("selection-separates", _SELECTED, _selection),
    _separates("own-share-separates", "share of the edge's response in functions of the own variable", _own_share),
    _decline_separates(
        "floor-separates",
        "sound",
        "the largest eigenvalue of the centred window over its noise floor",
        quantity="floor_ratio",
        definition="value",
    ),
    _decline_separates(
        "share-decline-separates",
        "sound",
        "the decline of g_23's share of the trace",
        quantity="g23_share",
        definition="since_peak",
        window=10,
        centered=False,
    ),
    _decline_separates(
        "decline-separates",
        "published",
        "the decline of g_23 from its largest value, in uncentred windows of 10 updates,",
        published("Table 1", "decline of g_23"),
        **TABLE_1,
    ),
    _decline_separates(
        "decline-since-first-separates",
        "published",
        "the decline of g_23 from its first value, in uncentred windows of 20 updates,",
        published("Table 1", "decline of g_23"),
        quantity="g23",
        definition="since_first",
        window=20,
        centered=False,
    ),
    _declines(
        "decline-of-grokking-runs",
        f"g_23 declines more than {STEEP:g} times in every run that groks.",
        f"whether that is so of all runs of the seed that grok; {_MATCHED}",
        published("Table 1", "runs that decline"),
        grokked=True,
    ),
    _declines(
        "no-decline-of-others",
        f"g_23 declines {STEEP:g} times in no run that does not grok.",
        f"whether that is so of all other runs of the seed; {_MATCHED}",
        published("Table 1", "runs that decline"),
        grokked=False,
    ),
    (
        _changes(
            "changes-agree-with-learning",
            "sound",
            "The three decompositions change closer together where the task is learned than where it is not.",
            "the same, mean over the two tasks that do not grok, at weight decay 1",
        ),
        _spread_of_others,
    ),
    (
        _changes(
            "changes-agree",
            "published",
            "The three decompositions change at the same time.",
            "median of three changes anywhere in the course",
        ),
        over_tasks(GROKKING, _spread),
    ),
    *(_selects(task) for task in GROKKING),
    _selects_nothing("selects-nothing-quadratic-cubic", "Runs on a² + ab + b² and a³ + ab", OTHERS, 1.0),
    _selects_nothing("selects-nothing-without-decay", "Runs without weight decay", ALL_TASKS, 0.0),
)
"""Claims of §2, Table 1, §4.2 and the first conjecture."""
