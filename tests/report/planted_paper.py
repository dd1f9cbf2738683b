"""A small study of the whole paper with planted tables, so that its report is tested without training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from report_support import GROKKED_STEP, make_run

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.effects import Effect
from spectraledge.claims.paper_effects import measure_paper
from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.claims.verdicts import SeedClaim, Verdicts, judge
from spectraledge.studies.results import StudyResult
from spectraledge.studies.study_config import StudyConfig
from spectraledge.tasks import any_task
from spectraledge.training import RunConfig

SEEDS = (42, 137, 2024)
EFFECT = 0.2
SINGLE = ("add", "mul", "sub", "square_sum")
CONTROLS = (
    *((task, 0.0) for task in SINGLE),
    *((task, decay) for task in ("quadratic", "cubic") for decay in (1.0, 0.0)),
)
ARM_STEPS = {"square_sum+": 2600, "add+square_sum": 1300, "permuted_add+square_sum": None}
DECLINE = {True: 40.0, False: 1.2}
STEPS = np.arange(2000, 3100, 100)


def paper_run(task: str, seed: int, *, weight_decay: float = 1.0) -> RunResult:
    effect = EFFECT if task in SINGLE and weight_decay else 0.0
    run = make_run(task, effect=effect, seed=seed, weight_decay=weight_decay)
    rng = np.random.default_rng([seed, len(task), int(weight_decay)])
    grokked = effect > 0
    tables = {
        "declines": declines(rng, grokked),
        "decompositions": decompositions(rng),
        "decomposition_changes": changes(),
        "decomposition_agreement": agreement(rng, grokked),
        "purity": purity(rng),
        "ranks": ranks(rng),
        "autoencoder": overlaps(rng),
        "usage": usage(rng),
    }
    if task == "square_sum":
        tables |= {"reuse": reuse(rng, ["residual"]), "reuse_probes": synergy(rng)}
        tables["reuse_selection"] = reuse_selection(rng)
    return run.with_tables(**tables)


def joint_run(task: str, seed: int, *, start: str = "") -> RunResult:
    joint = any_task(task)
    required = ("square_sum",) if len(joint.parts) > 1 else ()
    config = RunConfig.for_task(joint, seed=seed, steps=3000, required=required, start=start)
    base = make_run("square_sum", effect=EFFECT, seed=seed)
    rng = np.random.default_rng([seed, len(task)])
    step = ARM_STEPS[task]
    manifest = base.manifest.model_copy(update={"grokked_step": None if step is None else step + seed % 100})
    tables = {
        "reuse": reuse(rng, ["residual", "square_sum"]),
        "reuse_probes": synergy(rng),
        "reuse_selection": reuse_selection(rng),
        "usage": usage(rng),
    }
    if len(joint.parts) > 1:
        tables |= {"sharedness": sharedness(rng), "inclusion": inclusion(rng, [part.name for part in joint.parts])}
    return RunResult(config, manifest, base.metrics, "output", joint.formula, 131_072, tables)


def paper_study(
    folder: Path, *, seeds: tuple[int, ...] = SEEDS, failed: RunConfig | None = None, error: str = ""
) -> StudyResult:
    runs = [paper_run(task, seed) for task in SINGLE for seed in seeds]
    runs += [paper_run(task, seed, weight_decay=decay) for task, decay in CONTROLS for seed in seeds]
    runs += [joint_run(task, seed) for task in ARM_STEPS for seed in seeds]
    # Pictures of one seed are enough, as where they are left out of the others.
    runs = [run if run.config.seed == seeds[0] else run.with_tables(waves=pd.DataFrame()) for run in runs]
    configs = (*(run.config for run in runs), *([failed] if failed else []))
    config = StudyConfig(name="paper", runs=configs, analysis=AnalysisConfig())
    return StudyResult(config, folder, tuple(runs), {failed.run_id: error} if failed else {}, ())


def bare(study: StudyResult) -> StudyResult:
    """The same study as if nothing had been measured in its runs."""
    return replace(study, runs=tuple(replace(run, tables={}) for run in study.runs))


def verdicts(study: StudyResult) -> Verdicts:
    """The study's effects, and claims with known verdicts: replicates, does not, inconclusive, not measured."""
    planted = {
        ("published-first", "Table 1", "published"): [3.0, 3.1, 2.9],
        ("sound-second", "Table 1", "sound"): [2.0, 2.1, 1.9],
        ("rank", "§5", "sound"): [0.5, 0.51, 0.49],
        ("open", "§7", "sound"): [0.5, 2.0, 1.1],
        ("absent", "§6.5", "sound"): [],
    }
    claims, rows = [], []
    for (name, section, method), values in planted.items():
        effect = Effect(name, "a ratio", "ratio", "ratio", "its null", lambda _: None)
        statement = f"Statement of {name}."
        claims.append(SeedClaim(name, section, method, statement, effect, "add-decay", published="9 × |x|"))
        labels = {"effect_id": name, "run": "r", "task": "add", "weight_decay": 1.0, "after": "", "learned": True}
        rows += [
            {**labels, "seed": seed, "value": value, "null": 1.0} for seed, value in zip(SEEDS, values, strict=False)
        ]
    effects = MeasuredEffects({claim.id: claim.effect for claim in claims}, pd.DataFrame(rows))
    return replace(judge(claims, effects), effects=measure_paper(study.runs))


def declines(rng: np.random.Generator, grokked: bool) -> pd.DataFrame:
    rows = []
    names = ("g23", "trace", "g23_share", "ratio_23", "weight_norm")
    for window, center in ((20, False), (20, True), (10, False), (10, True)):
        for name in names:
            for definition in ("value", "since_first", "since_peak"):
                value = DECLINE[grokked] * np.exp(rng.normal(0, 0.1))
                where = (0, False) if name == "weight_norm" else (window, center)
                rows += [(name, definition, *where, step, value, 1.1, step == 3000) for step in STEPS]
    for name, null in (("above_floor", 0.02), ("floor_ratio", 1.0)):
        rows.append((name, "value", 20, True, 3000, (2.0 if grokked else 0.0) + rng.uniform(1, 1.1), null, True))
    columns = ["quantity", "definition", "window", "centered", "step", "value", "null", "matched"]
    return pd.DataFrame(rows, columns=columns).drop_duplicates(columns[:5])


def decompositions(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    quantities = [("updates", name, 20) for name in ("sigma_1", "sigma_2", "sigma_3", "g23")]
    quantities += [("displacement", "pc1_share", 0), ("weights", "ratio", 0)]
    for decomposition, name, window in quantities:
        for step in STEPS:
            value = 0.8 if name == "pc1_share" else 2 * np.exp(-step / 3000) * rng.uniform(1, 1.1)
            rows.append((decomposition, name, window, 0, step, value, 0.61, np.nan))
    columns = ["decomposition", "quantity", "window", "layer", "step", "value", "null", "null_high"]
    return pd.DataFrame(rows, columns=columns)


def changes() -> pd.DataFrame:
    rows = [
        ("updates", "g23", 20, 0, 2400, 2300, 2500),
        ("displacement", "pc1_share", 0, 0, 2500, 2400, 2600),
        ("weights", "ratio", 0, 0, 2600, 2500, 2700),
    ]
    return pd.DataFrame(rows, columns=["decomposition", "quantity", "window", "layer", "step", "low", "high"])


def agreement(rng: np.random.Generator, grokked: bool) -> pd.DataFrame:
    row = {
        "window": 20,
        "grokked_step": float(GROKKED_STEP) if grokked else np.nan,
        "updates": 2400.0 + rng.integers(0, 50),
        "displacement": 2500.0,
        "weights": 2600.0 + rng.integers(0, 50),
        "updates_null": 2450.0,
        "displacement_null": 2550.0,
        "spread": 200.0 + rng.integers(0, 50),
        "null_spread": 450.0,
        "p": 0.2,
    }
    return pd.DataFrame([row, {**row, "window": 10}])


def purity(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (kind, number, grain, blocks, 1.4 / blocks + rng.uniform(0, 0.01), 1.35 / blocks, 1.5 / blocks)
        for grain, blocks in (("head", 8), ("head_matrix", 32), ("matrix", 4))
        for kind, number in directions()
    ]
    columns = ["kind", "direction", "grain", "blocks", "purity", "null_mean", "null_high"]
    return pd.DataFrame(rows, columns=columns)


def directions() -> list[tuple[str, int]]:
    sizes = {"edge": (1, 4), "bulk": (4, 9), "random": (1, 7)}
    return [(kind, number) for kind, (first, end) in sizes.items() for number in range(first, end)]


def ranks(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (kind, number, centered, rng.uniform(30, 40), rng.uniform(5, 30))
        for centered in (False, True)
        for kind, number in directions()
    ]
    return pd.DataFrame(rows, columns=["kind", "direction", "centered", "effective_rank", "peakedness"])


def overlaps(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (kind, first, second, rng.uniform(0.2, 0.6))
        for kind in ("edge", "bulk", "random", "tilted")
        for first, second in ((1, 2), (1, 3), (2, 3))
    ]
    return pd.DataFrame(rows, columns=["kind", "first", "second", "jaccard"])


def usage(rng: np.random.Generator) -> pd.DataFrame:
    rows = [("square_sum", kind, number, rng.uniform(0, 1)) for kind, number in directions()]
    return pd.DataFrame(rows, columns=["head", "kind", "direction", "dominance"])


def sharedness(rng: np.random.Generator) -> pd.DataFrame:
    rows = [(kind, number, 2, rng.uniform(0.5, 1), 0.5) for kind, number in directions()]
    return pd.DataFrame(rows, columns=["kind", "direction", "heads", "sharedness", "floor"])


def inclusion(rng: np.random.Generator, parts: list[str]) -> pd.DataFrame:
    rows = []
    for target in parts:
        others = "+".join(part for part in parts if part != target)
        rows.append((target, others, "edge", 1, 10, 10, 0.4 + rng.uniform(0, 0.05), 10 / 9215))
        rows += [(target, others, kind, draw, 10, 10, 0.1, 10 / 9215) for kind in ("span", "random") for draw in (1, 2)]
    columns = ["target", "others", "kind", "draw", "target_rank", "others_rank", "inclusion", "chance"]
    return pd.DataFrame(rows, columns=columns)


def reuse(rng: np.random.Generator, readouts: list[str]) -> pd.DataFrame:
    rows = [
        (readout, kind, number, basis, 26, rng.uniform(0.08, 0.2), rng.uniform(0, 0.02))
        for readout in readouts
        for kind, number in directions()
        for basis in ("output", "sum", "output_dlog", "dlog_sum", "gaussian_norm", "gaussian_angle")
    ]
    columns = ["readout", "kind", "direction", "basis", "frequency", "concentration", "energy_share"]
    return pd.DataFrame(rows, columns=columns)


def reuse_selection(rng: np.random.Generator) -> pd.DataFrame:
    rows = [("residual", basis, 96, rng.uniform(1, 1.3)) for basis in ("output", "sum", "dlog_sum")]
    return pd.DataFrame(rows, columns=["readout", "basis", "dimension", "ratio"])


def synergy(rng: np.random.Generator) -> pd.DataFrame:
    rows = [
        (kind, number, held, rng.uniform(0, 0.05), 0.001, 0.01, 0.001)
        for kind in ("edge", "random")
        for number in (1, 2, 3)
        for held in ("none", "rows")
    ]
    columns = ["kind", "direction", "held_out", "synergy", "interaction", "random_synergy", "random_interaction"]
    return pd.DataFrame(rows, columns=columns)
