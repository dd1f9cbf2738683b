"""What was done, said from the configurations alone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from spectraledge.claims.design import arm_words
from spectraledge.models import LOSSES, ModuleConfig, TransformerConfig
from spectraledge.report.run_names import optimizer_words
from spectraledge.report.words import counted, distinct, listing, modes_window, spectrum_window
from spectraledge.studies.recipes import made_of_seeds, seeds_through
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import formula_of
from spectraledge.tasks.task import JOIN
from spectraledge.training import RunConfig

_NO_SIZES = {"kind", "tokens", "answers"}
"""What a network's configuration holds beside its sizes."""


def method_rows(study: StudyResult) -> list[tuple[str, str]]:
    """Settings of the study, as terms and words."""
    runs, analysis = study.config.runs, study.config.analysis
    floor = f"{analysis.surrogates} surrogates of each window" if analysis.surrogates else "not measured"
    return [
        ("runs", f"{counted(len(runs), 'run')} with {counted(len(seeds_of(runs)), 'seed')}"),
        ("seeds", ", ".join(map(str, seeds_of(runs)))),
        *_conditions(study),
        ("model", distinct(_model(run) for run in runs)),
        ("training", distinct(_training(run) for run in runs)),
        ("data", distinct(f"{run.train_fraction:.0%} of all pairs train" for run in runs)),
        ("random streams", distinct(_protocol(run) for run in runs)),
        ("snapshots", distinct(f"every {run.every} steps" for run in runs)),
        ("stop", distinct(_stop(run) for run in runs)),
        ("watched parameters", distinct(", ".join(run.watched) for run in runs)),
        ("engine", distinct(run.engine for run in runs)),
        ("window, directions and modes", modes_window(study)),
        ("window, eigenvalues over training", spectrum_window(study)),
        ("window, published decline of g₂₃", "W = 10 updates, not centred"),
        ("edge", f"v1 to v{analysis.edge}; the rest of the window is the bulk"),
        ("response", f"exact derivative of the {analysis.readout} read-out, {analysis.precision} precision"),
        ("null directions", f"{analysis.nulls} of each kind"),
        ("noise floor", floor),
        ("seed of everything random in analyses", str(analysis.seed)),
        ("analyses", ", ".join(analysis.analyses)),
        *_other_analyses(study),
        ("configuration", study.config.hash),
    ]


def seeds_of(runs: Iterable[RunConfig]) -> list[int]:
    """Seeds in the order in which they first occur."""
    return list(dict.fromkeys(run.seed for run in runs))


def study_command(study: StudyResult) -> str:
    """What makes the study again, as far as its configuration tells."""
    name, seeds = study.config.name, seeds_of(study.config.runs)
    for options, every in _ways(seeds):
        for budget, made in made_of_seeds(name, every, seeds):
            if made.hash == study.config.hash:
                return f"spectraledge study run {name} {options} --budget {budget}"
    return f"spectraledge study run {name} --seeds {len(seeds)}"


def _ways(seeds: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Options that ask for seeds, and all seeds that the recipe is then given."""
    every = seeds_through(seeds)
    skipped = len(every) - len(seeds)
    if every and every[skipped:] == tuple(seeds):
        yield f"--seeds {len(every)}" + (f" --skip {skipped}" if skipped else ""), every
    if len(seeds) == 1:
        yield f"--seed {seeds[0]}", tuple(seeds)


def environment_rows(study: StudyResult) -> list[tuple[str, str]]:
    """Where finished runs were made: versions, device, threads, and what they took."""
    environments = [run.manifest.environment for run in study.runs]
    names = dict.fromkeys(name for environment in environments for name in environment)
    rows = [
        (name, distinct(str(environment[name]) for environment in environments if name in environment))
        for name in names
    ]
    hours = sum(run.manifest.wall_seconds for run in study.runs) / 3600
    numbers = {run.run_id for run in study.config.runs}.difference(
        (run.run_id for run in study.runs), study.failed, study.missing
    )
    these = f"{counted(len(study.runs), 'run')}; of {len(numbers)} more, numbers alone are kept" if numbers else ""
    return (
        [*rows, (f"training, {these or 'all runs together'}", f"{hours:.1f} hours of wall time")] if study.runs else []
    )


def _conditions(study: StudyResult) -> list[tuple[str, str]]:
    single = Counter((run.task, run.weight_decay, run.steps) for run in study.config.runs if JOIN not in run.task)
    by_settings: dict[tuple[float, int, int], list[str]] = {}
    for (task, decay, steps), count in single.items():
        by_settings.setdefault((decay, steps, count), []).append(formula_of(task))
    rows = [
        (
            "single tasks",
            "; ".join(
                f"{listing(tasks)}, weight decay {decay:g}, at most {steps:,} steps, {counted(count, 'seed')} each"
                for (decay, steps, count), tasks in by_settings.items()
            ),
        )
    ]
    task_of = {run.hash: run.task for run in study.config.runs}
    joint = Counter(
        (arm_words(run.task, task_of.get(run.start, "")), run.steps) for run in study.config.runs if JOIN in run.task
    )
    arms = [f"{label} (at most {steps:,} steps, {counted(count, 'seed')})" for (label, steps), count in joint.items()]
    return [row for row in (*rows, ("tasks together, one trunk and a head each", "; ".join(arms))) if row[1]]


def _other_analyses(study: StudyResult) -> list[tuple[str, str]]:
    counts = Counter(study.config.other_analyses.values())
    words = "; ".join(f"{', '.join(names)} ({counted(count, 'run')})" for names, count in counts.items())
    return [("analyses of other runs", words)] if words else []


def _model(run: RunConfig) -> str:
    model = run.model
    if not isinstance(model, TransformerConfig):
        sizes = model.options if isinstance(model, ModuleConfig) else model.model_dump(exclude=_NO_SIZES)
        words = [f"{name} {value}" for name, value in sizes.items()]
        return f"{', '.join([model.label, *words])}, p = {model.tokens}"
    return (
        f"transformer encoder, {counted(model.depth, 'layer')}, width {model.width}, {counted(model.heads, 'head')}, "
        f"hidden width {model.hidden}, p = {model.tokens}"
    )


def _training(run: RunConfig) -> str:
    return f"{optimizer_words(run)}; {LOSSES[run.loss]}"


def _protocol(run: RunConfig) -> str:
    return "the author’s: same first weights, split and batches" if run.protocol == "paper" else "named streams"


def _stop(run: RunConfig) -> str:
    return f"after {run.stop_patience} evaluations in a row with test accuracy of at least {run.stop_accuracy:g}"
