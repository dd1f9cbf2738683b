"""A `score` study made of numbers: own functions rise before accuracy does, and the edge carries a third."""

from pathlib import Path

import numpy as np
import pandas as pd

from paper_support import a_run
from spectraledge.analyses.growth import CARRIERS, GROWTH
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.score import SCORE
from spectraledge.studies.recipes import recipe
from spectraledge.studies.results import StudyResult

STEPS = np.arange(0, 1600, 100)
SEEDS = (42, 137, 2024, 1)
RISES = (500, 400, 500, 400)
ACCURACY_RISES, GROKS = 800, 1_200
FREQUENCIES = 10
EDGE, SPAN, MEAN, INTERVALS = 0.3, 0.15, 0.4, 3


def planted_score(folder: Path) -> StudyResult:
    study = recipe("score", seeds=SEEDS)
    return StudyResult(study, folder, tuple(planted_runs()), {}, ())


def planted_runs() -> list[RunResult]:
    runs = []
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        learned = [_run(rng, task, seed, learned=True) for task in ("add", "sub", "mul")]
        few = [_run(rng, task, seed, learned=False) for task in ("add", "sub", "mul")]
        runs += [*learned, _run(rng, "permuted_add", seed, learned=False), *few]
    return runs


def _run(rng: np.random.Generator, task: str, seed: int, *, learned: bool) -> RunResult:
    run = a_run(task, seed, grokked_step=GROKS if learned else None, steps=1_500)
    if not learned and task != "permuted_add":
        config = run.config.model_copy(update={"train_fraction": 0.1})
        run = RunResult(config, run.manifest, run.metrics, run.structure, task, run.parameters)
    tables = {"score": _score(run.structure, rises=RISES[SEEDS.index(seed)] if learned else None)}
    if learned:
        tables |= {"growth": _growth(rng, run.structure), "carriers": _carriers(rng)}
    metrics = _metrics(learned=learned)
    return RunResult(run.config, run.manifest, metrics, run.structure, task, run.parameters, tables)


def _metrics(*, learned: bool) -> pd.DataFrame:
    # Alike in all runs, so that no threshold is crossed by chance.
    noise = 0.001 * (STEPS // 100 % 3)
    risen = (STEPS >= ACCURACY_RISES) & learned
    return pd.DataFrame(
        {
            "step": STEPS,
            "train_loss": 0.01 + noise,
            "test_loss": 5 + noise - 4.0 * risen,
            "train_accuracy": 1.0 - noise,
            "test_accuracy": 0.01 + noise + 0.5 * risen + 0.45 * ((STEPS >= GROKS) & learned),
            "gradient_norm": 1.0 + noise,
            "weight_norm": 30 + noise - 10 * risen,
        }
    )


def _score(own: str, *, rises: int | None) -> pd.DataFrame:
    chance, tables = 0.01, []
    for basis in ("sum", "difference", "dlog_sum"):
        for half in ("all", "train", "test"):
            for name in [f"frequency {place}" for place in range(1, FREQUENCIES + 1)]:
                share = chance * (0.9 + 0.1 * (STEPS // 100 % 3))
                if rises and basis == own and half != "train" and name in ("frequency 2", "frequency 5"):
                    share = share + 0.4 * (rises <= STEPS)
                columns = {"step": STEPS, "readout": "logits", "basis": basis, "subspace": name, "share": share}
                tables.append(pd.DataFrame({**columns, "chance": chance, "half": half}))
    return pd.concat(tables, ignore_index=True)[list(SCORE.columns)]


def _growth(rng: np.random.Generator, own: str) -> pd.DataFrame:
    parts = {
        ("change", "whole"): 1.0,
        ("change", "first order"): 0.98,
        ("window", "mean"): 0.7,
        ("window", "fluctuation"): 0.28,
        ("moves", "optimizer"): 1.9,
        ("moves", "decay"): -0.92,
    }
    rows = [
        (step, own, subspace, split, part, value * weight * (1 + 0.02 * rng.normal()), 0.1)
        for step in (400, 800, 1200)
        for subspace, weight in (("frequency 2", 0.5), ("frequency 5", 0.5), ("rest", 7.0))
        for (split, part), value in parts.items()
    ]
    return pd.DataFrame(rows, columns=list(GROWTH.columns))


def _carriers(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for step in (400, 800, 1200):
        rows.append((step, "own", "all", 99, 1.0, 1.0, np.nan, np.nan))
        for window in ("before", "own"):
            curves = {
                "edge": np.cumsum([0.1, 0.1, 0.1, 0.1, 0.1, 0.1]),
                "span": np.cumsum([0.05, 0.05, 0.05, 0.05, 0.2, 0.2]),
                "random": np.full(6, 1e-4),
                "gradient": np.cumsum([0.01, 0.01, 0.01, 0.0, 0.0, 0.0]),
                "mean": np.array([MEAN]),
            }
            for kind, curve in curves.items():
                noisy = curve * (1 + 0.02 * rng.normal())
                rows += [(step, window, kind, k + 1, value, value, np.nan, np.nan) for k, value in enumerate(noisy)]
    return pd.DataFrame(rows, columns=list(CARRIERS.columns))
