"""Claims about what helps a² + b²: tasks learned beside it, and tasks learned first (open questions of §8)."""

from collections.abc import Callable, Mapping

import pandas as pd

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.claims.paper_edge import SELECTION_MARGIN
from spectraledge.claims.paper_runs import chosen, joint_runs, mean_of, paired
from spectraledge.claims.paper_tools import JOINT
from spectraledge.claims.published import published
from spectraledge.claims.verdicts import Declared, Measure, SeedClaim
from spectraledge.tasks import OPERATIONS

COMPOSITE = "square_sum"
"""The task whose structure is in question (Xu 2026, §6.5)."""

ALONE = f"{COMPOSITE}+"
"""That task alone, on the domain of joint tasks."""

STEPS_MARGIN = 1.1
"""Largest ratio of steps that does not matter (our choice: a tenth)."""

PARTS = {"add": "sum", "mul": "dlog_sum"}
"""Simple tasks and their own bases."""

CONTROLS = {"maximum": "an unrelated task, max(a, b)", "permuted_add": "a + b with permuted answers"}
"""Tasks that have nothing to give."""

SIMPLE, PERMUTED = JOINT["dual"], "permuted_add+permuted_mul"
"""What is learned first, in the sequential form of the question."""

Chosen = Callable[[Runs], Mapping[int, RunResult]]
"""Some of a study's runs, by seed."""

Number = Callable[[RunResult], float]
"""Something measured in a run; NaN where it was not."""


def arm(task: str, after: str = "") -> Chosen:
    """Return the runs of a joint task, from scratch or from the trunk of runs on another."""
    return lambda runs: joint_runs(runs, task, after)


def _beside(part: str) -> Chosen:
    return arm(f"{part}+{COMPOSITE}")


def compared(first: Chosen, second: Chosen, number: Number) -> Measure:
    """Compare a number of two runs of each seed."""
    return lambda runs: paired(first(runs), second(runs), number)


def selection(basis: str) -> Number:
    """Return the selection ratio of all functions of a basis at the head of a² + b², of runs that generalise."""

    def number(run: RunResult) -> float:
        table = chosen(run, "reuse_selection", readout=COMPOSITE, basis=basis)
        return mean_of(table, "ratio") if run.grokked else float("nan")

    return number


SELECTED = "selection ratio S, at the head of a² + b², of all functions of"
_STEPS = "steps until a² + b² reaches test accuracy .95, from the run's own start; the last one evaluated where never"


def _sooner(id_: str, statement: str, first: Chosen, second: Chosen, null: str) -> Declared:
    claim = SeedClaim(
        id_,
        "§8",
        "sound",
        statement,
        _STEPS,
        f"the same {null}",
        "ratio",
        "below",
        margin=STEPS_MARGIN,
        published="left open",
    )
    return claim, compared(first, second, _steps)


def _selects_more(id_: str, statement: str, basis: str, first: Chosen, second: Chosen, null: str) -> Declared:
    variable = {"sum": "a + b", "dlog_sum": "dlog a + dlog b"}[basis]
    claim = SeedClaim(
        id_,
        "§8",
        "sound",
        statement,
        f"{SELECTED} {variable}",
        f"the same {null}",
        "ratio",
        "above",
        margin=SELECTION_MARGIN,
        published="left open",
    )
    return claim, compared(first, second, selection(basis))


def _groks(name: str, known: str) -> Declared:
    claim = SeedClaim(
        f"groks-{name}",
        "§2",
        "sound",
        f"The {name}-task network generalises in all its tasks.",
        "whether the lowest of their test accuracies reaches .95 within the budget",
        "it does in half of the seeds",
        "rate",
        "above",
        published=known,
    )

    def measure(runs: Runs) -> pd.DataFrame:
        rows = [(seed, float(run.grokked), 0.5) for seed, run in joint_runs(runs, JOINT[name]).items()]
        return pd.DataFrame(rows, columns=["seed", "value", "null"])

    return claim, measure


def _steps(run: RunResult) -> float:
    """First step with test accuracy .95, the last one where there is none: the ratio is then closer to 1 than it is."""
    return float(run.manifest.step if run.manifest.grokked_step is None else run.manifest.grokked_step)


def _factorial() -> list[Declared]:
    found = []
    for part, basis in PARTS.items():
        learned = OPERATIONS[part].formula
        found.append(
            _sooner(
                f"{part}-helps",
                f"a² + b² is learned sooner beside {learned} than alone.",
                _beside(part),
                arm(ALONE),
                "alone, on the same pairs",
            )
        )
        for control, words in CONTROLS.items():
            other, null = _beside(control), f"beside {words}"
            found += [
                _sooner(
                    f"{part}-helps-more-than-{control}",
                    f"a² + b² is learned sooner beside {learned} than beside {words}.",
                    _beside(part),
                    other,
                    null,
                ),
                _selects_more(
                    f"{part}-is-used-more-than-{control}",
                    f"a² + b² selects functions of {learned} more beside {learned} than beside {words}.",
                    basis,
                    _beside(part),
                    other,
                    null,
                ),
            ]
    return found


_FIRST, _FIRST_PERMUTED = arm(ALONE, SIMPLE), arm(ALONE, PERMUTED)

ARMS: tuple[Declared, ...] = (
    _groks("dual", ""),
    _groks("tri", published("§2", "steps until the tri-task groks")),
    *_factorial(),
    _sooner(
        "learned-first",
        "a² + b² is learned sooner from the trunk of a network that learned a + b and a·b than from scratch.",
        _FIRST,
        arm(ALONE),
        "from scratch",
    ),
    _sooner(
        "learned-first-more-than-permuted",
        "a² + b² is learned sooner from the trunk of a network that learned a + b and a·b than from that of one that "
        "memorised permuted answers.",
        _FIRST,
        _FIRST_PERMUTED,
        "from the trunk of a network that memorised permuted answers",
    ),
    _selects_more(
        "learned-first-is-used",
        "From the trunk of a network that learned a + b and a·b, a² + b² selects functions of a + b more than from "
        "scratch.",
        "sum",
        _FIRST,
        arm(ALONE),
        "from scratch",
    ),
)
"""Claims of joint training itself, and of the questions that §8 leaves open."""
