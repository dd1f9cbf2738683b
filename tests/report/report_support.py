"""Synthetic runs and studies with known contents, so that reports are tested without training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.studies.config import AnalysisConfig, StudyConfig
from spectraledge.studies.results import RunResult, StudyResult
from spectraledge.tasks import OPERATIONS, named_task
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest

STEPS = np.arange(0, 3100, 100)
GROKKED_STEP = 2600
BASES = ("sum", "difference", "product", "dlog_sum", "output")
KINDS = {"edge": 3, "bulk": 16, "span": 20, "random": 20}


def make_run(task: str, *, effect: float = 0.0, seed: int = 42, weight_decay: float = 1.0) -> RunResult:
    """A run whose edge has `effect` more energy share in the task's own basis; it grokked if that is positive."""
    config = RunConfig.for_task(named_task(task), seed=seed, weight_decay=weight_decay, steps=3000)
    rng = np.random.default_rng(seed + len(task))
    structure = OPERATIONS[task].structure
    grokked = effect > 0
    manifest = Manifest(
        config=config.model_dump(mode="json"),
        config_hash=config.hash,
        status="done",
        stopped="accuracy" if grokked else "budget",
        step=3000,
        grokked_step=GROKKED_STEP if grokked else None,
        test_accuracy=0.9871 if grokked else 0.0123,
        wall_seconds=60.0,
        seeds={"weights": seed},
        environment={"python": "3.11.7", "device": "cpu", "threads": 1, "torch": "2.13.0"},
    )
    return RunResult(
        config=config,
        manifest=manifest,
        metrics=_metrics(grokked),
        spectrum=_spectrum(),
        edge=_edge(),
        modes=_modes(rng, structure, effect),
        waves=_waves(config.model.tokens),
        characters=_characters(rng, "sum" if structure == "output" else structure, effect),
        structure=structure,
        formula=OPERATIONS[task].formula,
        parameters=131_072,
    )


def make_study(folder: Path, *runs: RunResult, failed: RunConfig | None = None, error: str = "") -> StudyResult:
    configs = (*(run.config for run in runs), *([failed] if failed else []))
    config = StudyConfig(name="synthetic", runs=configs, analysis=AnalysisConfig())
    return StudyResult(config, folder, runs, {failed.run_id: error} if failed else {}, ())


def without_bulk(run: RunResult) -> RunResult:
    """The same run as if every direction of its window were edge, and no window had an edge position."""
    return replace(
        run,
        modes=run.modes[run.modes["kind"] != "bulk"],
        characters=run.characters[run.characters["kind"] != "bulk"],
        edge=run.edge.assign(k_star=pd.array([None] * len(run.edge), dtype="Int64")),
    )


def _metrics(grokked: bool) -> pd.DataFrame:
    learned = np.where(STEPS >= GROKKED_STEP, 0.99, 0.01) if grokked else np.full(len(STEPS), 0.01)
    return pd.DataFrame(
        {
            "step": STEPS,
            "train_loss": np.exp(-STEPS / 500),
            "test_loss": 5.0,
            "train_accuracy": 1.0,
            "test_accuracy": learned,
            "gradient_norm": 1.0,
            "weight_norm": 30.0,
        }
    )


def _spectrum() -> pd.DataFrame:
    rows = [(step, k, 50.0 / k**2 * np.exp(-step / 2000)) for step in STEPS[20:] for k in range(1, 21)]
    table = pd.DataFrame(rows, columns=["step", "k", "eigenvalue"])
    # A centred window has a last eigenvalue of exactly zero, which a log axis cannot show.
    table.loc[table["k"] == 20, "eigenvalue"] = 0.0
    return table.assign(singular_value=np.sqrt(table["eigenvalue"]), share=0.05)


def _edge() -> pd.DataFrame:
    steps = STEPS[20:]
    k_star = pd.array([None, *([2] * (len(steps) - 1))], dtype="Int64")
    return pd.DataFrame({"step": steps, "k_star": k_star, "g12": 1.0, "g23": 0.5, "trace": 100.0})


def _modes(rng: np.random.Generator, structure: str, effect: float) -> pd.DataFrame:
    rows = []
    for method in ("jvp", "difference"):
        for basis in BASES:
            for kind, count in KINDS.items():
                for direction in range(1, count + 1):
                    share = rng.normal(0.01, 0.002) + (effect if (kind, basis) == ("edge", structure) else 0.0)
                    number = direction + (3 if kind == "bulk" else 0)
                    rows.append((3000, kind, number, basis, 26, rng.uniform(0.08, 0.2), share, method, 9409, 0, 0.0102))
    names = "step kind direction basis frequency concentration energy_share method pairs excluded chance"
    return pd.DataFrame(rows, columns=names.split())


def _waves(modulus: int) -> pd.DataFrame:
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(modulus), np.arange(modulus), indexing="ij"))
    tables = []
    for direction, frequency in ((1, 26), (2, 3)):
        phases = np.stack([frequency * a % modulus, frequency * b % modulus], axis=1)
        # As for a basis that zero is outside of.
        phases[(a == 0) | (b == 0)] = -1
        value = np.sqrt(2) * np.cos(2 * np.pi * frequency * (a + b) / modulus)
        table = pd.DataFrame({"direction": direction, "a": a, "b": b, "value": value})
        tables.append(table.assign(phase_a=phases[:, 0], phase_b=phases[:, 1]))
    return pd.concat(tables, ignore_index=True)


def _characters(rng: np.random.Generator, basis: str, effect: float) -> pd.DataFrame:
    rows = [
        (kind, direction, basis, 26, 26, 26, rng.uniform(0.1, 0.2) + (effect if kind == "edge" else 0.0))
        for kind, count in KINDS.items()
        for direction in range(1, count + 1)
    ]
    names = "kind direction basis frequency character_a character_b character_share"
    return pd.DataFrame(rows, columns=names.split())
