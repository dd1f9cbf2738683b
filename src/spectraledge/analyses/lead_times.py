"""How long before grokking an online alarm comes, at a rate of false alarms that is measured on runs it never saw."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import torch
from torch import Tensor

from spectraledge.analyses.curvature import CURVATURE, DEFECTS, LEADERS
from spectraledge.analyses.edge_decline import TABLE_WINDOW, recorded_gram
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.stamps import read_tables
from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.spectrum import Change, Detector, calibrated_threshold, change_score, gram_series
from spectraledge.statistics import SeedEstimate, blocked_folds, rate_estimate
from spectraledge.streams import numpy_generator
from spectraledge.tasks.task import JOIN
from spectraledge.training import RunConfig
from spectraledge.training.metrics_tables import read_metrics
from spectraledge.trajectory import Manifest

WINDOWS = (TABLE_WINDOW, 20)
"""Updates per window: those of Table 1 and of §2.3 (Xu 2026)."""

BASELINES = ("weight_norm", "train_loss", "train_accuracy", "update_norm")
"""What needs no spectrum. They have no window, which tables write as 0."""

OUTCOMES = ("test_accuracy", "test_loss")
"""What an alarm is to precede, dated as it is: by what controls never reach."""

CURVATURES = ("defect", "gradient", "curvature", "hessian")
"""What bends the loss, where the analysis of that name was carried out: of `DEFECTS`, and the largest eigenvalue."""

_CHANGES: dict[str, tuple[Change, ...]] = {"k_star": ("shift",), "overlap": ("high",), "hessian": ("high", "low")}
"""Changes that mean something of a position, of a cosine and of what may be negative."""

_OF_SIZES: tuple[Change, ...] = ("high", "low", "rise", "collapse", "plateau")
"""Changes of all other quantities."""

_KEYS = ["quantity", "change", "window"]


@dataclass(frozen=True)
class AlarmRun:
    """A run as a detector sees it.

    Attributes:
        name: Of its folder.
        grokked_step: First recorded step with test accuracy of at least .95; None for a control.
        series: Steps and values of each quantity, by its name and window.
    """

    name: str
    task: str
    weight_decay: float
    seed: int
    grokked_step: int | None
    series: dict[tuple[str, int], tuple[list[int], Tensor]]

    @classmethod
    def read(cls, folder: Path, *, windows: Sequence[int] = WINDOWS) -> "AlarmRun":
        """Read a run folder, no snapshot of it: `gram_series` of every window size, `BASELINES` and `CURVATURES`."""
        config = RunConfig.of_run(folder)
        metrics = read_metrics(folder)
        series = {(name, 0): _series(metrics, name) for name in BASELINES if name in metrics}
        for window in windows:
            recorded = recorded_gram(folder, window)
            found = gram_series(recorded.steps, recorded.band_TW, recorded.noise_T, window=window)
            series |= {(name, 0 if name in BASELINES else window): one for name, one in found.items()}
        if (folder / f"{LEADERS.name}.parquet").is_file():
            series |= _bent(read_tables(folder, CURVATURE))
        grokked = Manifest.read(folder).grokked_step
        return cls(folder.name, config.task, config.weight_decay, config.seed, grokked, series)

    @classmethod
    def of(cls, run: RunResult) -> "AlarmRun":
        """See an analysed run by what needs no spectrum: `BASELINES`, `OUTCOMES`, and `CURVATURES` where measured."""
        names = [name for name in (*BASELINES, *OUTCOMES) if name in run.metrics]
        series = {(name, 0): _series(run.metrics, name) for name in names}
        if len(run.table(LEADERS.name)):
            series |= _bent(run.tables)
        config = run.config
        return cls(run.run_id, config.task, config.weight_decay, config.seed, run.manifest.grokked_step, series)


def _series(table: pd.DataFrame, column: str) -> tuple[list[int], Tensor]:
    return table["step"].astype(int).tolist(), torch.from_numpy(table[column].to_numpy(np.float64, copy=True))


def _bent(tables: Mapping[str, pd.DataFrame]) -> dict[tuple[str, int], tuple[list[int], Tensor]]:
    """`CURVATURES` in the tables of that analysis."""
    top = tables[LEADERS.name]
    top = top[(top["vector"] == "hessian") & (top["number"] == 1) & (top["direction"] == 0)]
    bent = {(name, 0): _series(tables[DEFECTS.name], name) for name in CURVATURES[:-1]}
    return bent | {(CURVATURES[-1], 0): _series(top, "value")}


def read_alarm_runs(folders: Iterable[Path], *, windows: Sequence[int] = WINDOWS) -> list[AlarmRun]:
    """Read the finished runs of single tasks; joint ones and unfinished ones are passed over."""
    chosen = []
    for folder in folders:
        config = RunConfig.of_run(folder)
        if JOIN not in config.task and Manifest.read(folder).status == "done":
            chosen.append(AlarmRun.read(folder, windows=windows))
    return alike(chosen)


def alike(runs: Sequence[AlarmRun]) -> list[AlarmRun]:
    """Leave `CURVATURES` out where not all runs have them: thresholds need the same quantities of all."""
    if all((CURVATURES[0], 0) in run.series for run in runs):
        return list(runs)
    return [replace(run, series={k: v for k, v in run.series.items() if k[0] not in CURVATURES}) for run in runs]


def calibrated_detectors(
    controls: Sequence[AlarmRun], *, share: float = 0.05, consecutive: int = 2
) -> dict[tuple[str, int], list[Detector]]:
    """Set thresholds on runs that never grok, see `calibrated_threshold`: detectors by quantity and window."""
    keys = list(controls[0].series) if controls else []
    if any(set(run.series) != set(keys) for run in controls):
        raise InputError("every control needs the same quantities: record them with the same lags, and long enough")
    detectors: dict[tuple[str, int], list[Detector]] = {}
    for key in keys:
        detectors[key] = []
        for change in _CHANGES.get(key[0], _OF_SIZES):
            scores = [change_score(run.series[key][1], change) for run in controls]
            threshold = calibrated_threshold(scores, share=share, consecutive=consecutive)
            detectors[key].append(Detector(key[0], change, threshold, consecutive))
    return detectors


def first_alarms(
    runs: Sequence[AlarmRun], *, share: float = 0.05, consecutive: int = 2, seed: int = 42
) -> pd.DataFrame:
    """First alarm of every detector in every run, with thresholds from controls of other seeds.

    Definition: seeds are dealt into two halves at random; each half's runs are judged by thresholds that are calibrated
    on the controls of the other. Runs of a seed share weights and split, and so are never on both sides.

    Args:
        runs: Grokking runs and controls.
        share: Share of the calibrating controls that may alarm.
        consecutive: Scores in a row that make an alarm.
        seed: Root seed of the halves.

    Returns:
        One row per run and detector: run, task, weight_decay, seed, half, grokked_step (missing for controls),
        quantity, change, window, threshold, alarm_step (of the first alarm; missing where there is none).

    Raises:
        InputError: if there are fewer than two seeds, or a half has no control.

    Cost: some milliseconds per run.
    """
    if len({run.seed for run in runs}) < 2:
        raise InputError("held-out alarms need runs of at least two seeds: train more")
    folds = blocked_folds([run.seed for run in runs], 2, numpy_generator(seed, "alarm_halves"))
    rows: list[dict[str, object]] = []
    for half, (others, own) in enumerate(folds):
        controls = [runs[place] for place in others if runs[place].grokked_step is None]
        if not controls:
            raise InputError("each half of the seeds needs a run that never groks: add controls of more seeds")
        calibrated = calibrated_detectors(controls, share=share, consecutive=consecutive)
        rows += (row for place in own for row in _alarms(runs[place], half, calibrated))
    table = pd.DataFrame(rows)
    return table.astype({"grokked_step": "Int64", "alarm_step": "Int64"})


def lead_times(alarms: pd.DataFrame) -> pd.DataFrame:
    """Summarise alarms: how many grokking runs they precede and by how much, and how many controls they come in.

    Definition: lead = grokking step − step of the first alarm. A run without an alarm has a lead of minus infinity, so
    that detectors are compared on all runs and not on those that suit them; where half have none, so has the median.
    A long lead alone says little: a detector that tells tasks apart in the first steps has it too. One that sees
    grokking come alarms earlier in those runs of a task that grok earlier, which "follows" measures.
    Intervals of rates are those of Clopper and Pearson 1934 (`rate_estimate`), with runs taken as independent. The
    interval of the median lead takes seeds as the unit: of each seed the median over its runs, and of those the exact
    interval of a median by order statistics (Conover 1999), whatever their distribution.

    Args:
        alarms: From `first_alarms`.

    Returns:
        One row per detector: quantity, change, window (0 for baselines); grokking (runs), before (rate of runs whose
        first alarm is before grokking), before_low, before_high, ever (rate with an alarm at any time); controls
        (runs), false_alarms (rate), false_low, false_high; seeds, lead (median over runs, steps), lead_q25, lead_q75
        (quantiles over runs), lead_low, lead_high (95 % interval of the median over seeds), infinite where there
        are too few alarms or seeds; follows (rank correlation, within tasks, of the steps of alarm and grokking over
        runs with an alarm; missing where a task's runs all alarm at one step).

    Raises:
        InputError: if there is no grokking run or no control.
    """
    grokking = alarms["grokked_step"].notna()
    if not grokking.any() or grokking.all():
        raise InputError("lead times need runs that grok and runs that do not: add the missing kind")
    rows = []
    for keys, group in alarms.groupby(_KEYS, sort=False):
        grokked, controls = (group[group["grokked_step"].notna() == kind] for kind in (True, False))
        leads = (grokked["grokked_step"] - grokked["alarm_step"]).astype("Float64")
        lead: Float = leads.to_numpy(np.float64, na_value=-inf).astype(np.float64)
        before, false = rate_estimate(int((lead > 0).sum()), len(lead)), _rate_of_alarms(controls)
        seeds = grokked["seed"].to_numpy()
        leads_S = np.array([_quantile(lead[seeds == seed], 0.5) for seed in np.unique(seeds)])
        low, high = _median_interval(leads_S)
        rows.append(
            {
                **dict(zip(_KEYS, keys, strict=True)),
                "grokking": len(lead),
                "before": before.value,
                "before_low": before.low,
                "before_high": before.high,
                "ever": _rate_of_alarms(grokked).value,
                "controls": len(controls),
                "false_alarms": false.value,
                "false_low": false.low,
                "false_high": false.high,
                "seeds": len(leads_S),
                "lead": _quantile(lead, 0.5),
                "lead_q25": _quantile(lead, 0.25),
                "lead_q75": _quantile(lead, 0.75),
                "lead_low": low,
                "lead_high": high,
                "follows": _rank_correlation(grokked.dropna(subset=["alarm_step"])),
            }
        )
    return pd.DataFrame(rows)


def _alarms(run: AlarmRun, half: int, calibrated: dict[tuple[str, int], list[Detector]]) -> Iterator[dict[str, object]]:
    for (quantity, window), detectors in calibrated.items():
        if (quantity, window) not in run.series:
            raise InputError(f"{run.name} has no {quantity} of windows of {window} updates, as the controls have")
        for detector in detectors:
            steps = detector.alarm_steps(*run.series[quantity, window])
            yield {
                "run": run.name,
                "task": run.task,
                "weight_decay": run.weight_decay,
                "seed": run.seed,
                "half": half,
                "grokked_step": run.grokked_step,
                "quantity": quantity,
                "change": detector.change,
                "window": window,
                "threshold": detector.threshold,
                "alarm_step": steps[0] if steps else None,
            }


def _rate_of_alarms(runs: pd.DataFrame) -> SeedEstimate:
    return rate_estimate(int(runs["alarm_step"].notna().sum()), len(runs))


def _rank_correlation(runs: pd.DataFrame) -> float:
    """Return Pearson's correlation of ranks within each task, less their mean there: what tasks differ by is out."""
    by_task = runs[["alarm_step", "grokked_step"]].astype(np.float64).groupby(runs["task"])
    ranks = by_task.rank() - by_task.rank().groupby(runs["task"]).transform("mean")
    alarm, grokking = ranks["alarm_step"].to_numpy(), ranks["grokked_step"].to_numpy()
    size = float(np.sqrt((alarm @ alarm) * (grokking @ grokking)))
    return float(alarm @ grokking) / size if size > 0 else nan


def _quantile(values: Float, part: float) -> float:
    """Return the smallest value that at least this part of them do not exceed: always one of them, also if infinite."""
    return float(np.quantile(values, part, method="inverted_cdf"))


def _median_interval(values_S: Float) -> tuple[float, float]:
    ends = np.asarray(scipy.stats.quantile_test(values_S, q=0, p=0.5).confidence_interval(0.95), dtype=np.float64)
    # SciPy gives NaN where no order statistic is far enough out.
    low, high = np.where(np.isnan(ends), [-inf, inf], ends)
    return float(low), float(high)
