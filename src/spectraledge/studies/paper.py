"""The runs of `paper`: every condition of Xu 2026, and the experiments that its open questions ask for."""

from collections.abc import Iterator

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.studies.budgets import PaperRuns
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import part_names
from spectraledge.training import RunConfig

LEARNED = ("add", "sub", "mul", "square_sum")
"""Tasks that grok (Xu 2026, §2)."""

CONTROLS = ("quadratic", "cubic")
"""Tasks that do not (Xu 2026, §2)."""

DUAL = "add+mul"
TRI = "add+mul+square_sum"
PERMUTED = "permuted_add+permuted_mul"
ALONE = "square_sum+"
COMPANIONS = ("add", "mul", "maximum", "permuted_add")
"""Tasks that a² + b² is joined with in the factorial, beside both of `DUAL`: each simple task, an unrelated one that
can be learned, and one that can only be memorised (our choice; Xu 2026, §8 asks for the first two)."""

CONTROL_STEPS = 3_600
"""Budget of runs that never grok, about where grokking ones stop (2,400 to 3,900 steps), so that all are read at like
steps."""

_CONTROL_STEPS = {"small": 400, "matched": CONTROL_STEPS, "published": 200_000}
_DECAYLESS_STEPS = {"small": 400, "matched": CONTROL_STEPS, "published": 50_000}
_LEARNED_STEPS = {"small": 800, "matched": 20_000, "published": 200_000}
_JOINT_STEPS = {"small": 400, "matched": 40_000, "published": 200_000}
_MEMORISED_STEPS = {"small": 400, "matched": 20_000, "published": 200_000}
"""Budget beside a companion that can only be memorised; matched: as long as `TRI` takes (22,200 steps at seed 42)."""

_PERMUTED_STEPS = {"small": 200, "matched": 15_000, "published": 15_000}
"""Pre-training on permuted answers, which no accuracy stops; as long as `DUAL` takes (15,700 steps at seed 42)."""

_RUNS = PaperRuns(
    small_modulus=17,
    small_sizes={"width": 32, "heads": 2, "hidden": 64},
    # More pairs to learn from and a higher rate, so that some of them generalise.
    small_settings={"batch_size": 64, "every": 20, "train_fraction": 0.8, "learning_rate": 5e-3},
)


def paper(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return the whole study.

    Args:
        seeds: Root seeds. Ten runs of each are joint, and cost up to seven times as much as single tasks.
        budget: "matched": controls run as long as the grokking runs take. "published": the author's step budgets.
            "small": every kind of run on small networks mod 17, for a test of everything.

    Returns:
        The study: six tasks at weight decay 1 and 0; two and three tasks on one trunk; a² + b² with each of
        `COMPANIONS` and alone; and a² + b² from a trunk that has learned, or memorised, two tasks before.
    """
    single = [
        _RUNS.run(task, seed, budget, weight_decay=decay, steps=_single_steps(task, decay, budget))
        for decay in (1.0, 0.0)
        for seed in seeds
        for task in (*LEARNED, *CONTROLS)
    ]
    joint = [run for seed in seeds for run in _joint(seed, budget)]
    small = budget == "small"
    analysis = AnalysisConfig(
        analyses=("step", "declines", "decompositions"),
        window=10 if small else 20,
        nulls=4 if small else 10,
        precision="single",
        leave_out=("contrasts", "agreement"),
        seed=seeds[0],
    )
    more = {run.run_id: (*analysis.analyses, *_further(run, shown=run.seed == seeds[0])) for run in single}
    return StudyConfig(
        name="paper",
        questions="paper",
        runs=(*single, *joint),
        analysis=analysis,
        other_analyses=more | {run.run_id: _of_joint(run) for run in joint},
    )


def _further(run: RunConfig, *, shown: bool) -> tuple[str, ...]:
    """What is measured of a single-task run beside the step."""
    score = ("score",) if shown else ()
    if run.task not in LEARNED or not run.weight_decay:
        return score
    reuse = ("reuse",) if run.task in part_names(TRI) else ()
    return (*score, "representation", "cousage", "autoencoder", *reuse)


def _of_joint(run: RunConfig) -> tuple[str, ...]:
    if run.task == PERMUTED:
        return ()
    # A run that starts from another one may end before a window is full, which only reuse can do with.
    simple = set(part_names(run.task)) <= set(LEARNED)
    return ("reuse", "cousage") if simple and not run.start else ("reuse",)


def _single_steps(task: str, decay: float, budget: Budget) -> int:
    if not decay:
        return _DECAYLESS_STEPS[budget]
    return (_CONTROL_STEPS if task in CONTROLS else _LEARNED_STEPS)[budget]


def _joint(seed: int, budget: Budget) -> Iterator[RunConfig]:
    steps = _JOINT_STEPS[budget]
    dual = _RUNS.run(DUAL, seed, budget, steps=steps)
    permuted = _RUNS.run(PERMUTED, seed, budget, steps=_PERMUTED_STEPS[budget])
    yield dual
    yield _RUNS.run(TRI, seed, budget, steps=steps)
    yield _RUNS.run(ALONE, seed, budget, steps=steps)
    for companion in COMPANIONS:
        most = (_MEMORISED_STEPS if companion.startswith("permuted") else _JOINT_STEPS)[budget]
        yield _RUNS.run(f"{companion}+square_sum", seed, budget, steps=most, required=("square_sum",))
    yield permuted
    for start in (dual, permuted):
        yield _RUNS.run(ALONE, seed, budget, steps=steps, start=start.hash)
