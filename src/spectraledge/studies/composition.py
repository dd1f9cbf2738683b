"""Composition over a study: whether arms that learn simple tasks too learn the composite sooner; what seeds share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.modes import inclusion
from spectraledge.tasks import part_names
from spectraledge.training import RunConfig
from spectraledge.training.loop import GROKKED
from spectraledge.training.run_folder import PARTS_FILE

Float = NDArray[np.float64]

FUNCTIONS_FILE = "functions.parquet"
"""Where a run folder holds the table "functions" of `reuse`."""

ARM_COLUMNS = ["run", "arm", "weight_decay", "seed", "part", "censored", "steps", "before", "total", "budget"]


def arms(folders: Sequence[Path]) -> pd.DataFrame:
    """When every part of every run reached a test accuracy of at least .95.

    Definition: the two forms of the question that Xu 2026, §8, leaves open: tasks learned together, and tasks learned
    first. A run that never reaches it is censored at its last evaluation, which is its budget unless training stopped
    on other parts or is not over.

    Args:
        folders: Run folders, of one task or joint; a run that starts from another's trunk needs that one among them.

    Returns:
        One row per run and part: run (its folder's name), arm (the task; "X after Y" for a run that starts from the
        trunk of one on Y), weight_decay, seed, part, censored, steps (first evaluated step at which it was reached,
        counted from the run's own start; the last one evaluated where censored), before (steps of the runs whose trunk
        it starts from), total (both together), budget (its own).

    Raises:
        InputError: if a folder is no run, or the run that one starts from is not among them.
    """
    configs = {folder: RunConfig.of_run(folder) for folder in folders}
    by_hash = {config.hash: folder for folder, config in configs.items()}
    rows: list[tuple[object, ...]] = []
    for folder, config in configs.items():
        before, earlier = 0, [config]
        while earlier[-1].start:
            parent = by_hash.get(earlier[-1].start)
            if parent is None:
                raise InputError(
                    f"{folder.name} starts from the run with hash {earlier[-1].start[:8]}…, which is not among the "
                    f"{len(configs)} runs given: give it too"
                )
            before += int(read_table(parent / "metrics.parquet")["step"].max())
            earlier.append(configs[parent])
        arm = " after ".join(one.task for one in earlier)
        for part, accuracy in _accuracies(folder, config).items():
            reached = accuracy.index[accuracy >= GROKKED]
            steps = int(reached.min()) if len(reached) else int(accuracy.index.max())
            labels = (folder.name, arm, config.weight_decay, config.seed, part)
            rows.append((*labels, not len(reached), steps, before, before + steps, config.steps))
    return pd.DataFrame(rows, columns=ARM_COLUMNS)


def _accuracies(folder: Path, config: RunConfig) -> dict[str, pd.Series]:
    """Test accuracy by step, of every part."""
    names = part_names(config.task)
    if len(names) == 1:
        return {names[0]: read_table(folder / "metrics.parquet").set_index("step")["test_accuracy"]}
    parts = read_table(folder / PARTS_FILE)
    return {name: parts[parts["part"] == name].set_index("step")["test_accuracy"] for name in names}


def compare_arms(
    table: pd.DataFrame, *, part: str, reference: str, measure: str = "steps", level: float = 0.95
) -> pd.DataFrame:
    """Steps of every arm over those of a reference arm, paired by seed.

    Definition: the geometric mean over seeds of the ratio of steps; below 1 the arm is faster. A censored run took at
    least its steps, so that the ratio is then only a bound.
    Interval: Student's t on the logs of the ratios, exact where those are normal whatever the number of seeds; our
    choice over the bootstrap, which covers .70 of the cases with 3 seeds at .95. Only where nothing is censored.
    Test: sign test, two-sided and exact. With n seeds p cannot fall below 2^(1 − n), .25 for three seeds, whatever the
    runs do: `smallest_p` says so. With three seeds read ratio, range and interval, and expect no finding from p.
    Runs that were not evaluated after their start are left out.

    Args:
        table: Rows of `arms`, of one weight decay.
        part: The part whose steps are compared.
        reference: The arm to compare with.
        measure: "steps", from the run's own start, or "total", with what it starts from.
        level: Coverage of the interval.

    Returns:
        One row per other arm with the part: arm, reference, part, measure, seeds (that both have), censored,
        reference_censored (how many of those), bound (what ratio is: "exact", "at least", "at most", or "none" if both
        arms are censored), ratio, low, high, smallest, largest (over seeds), faster, slower (seeds where that is
        certain), p, smallest_p. Arms that share no seed with the reference are left out.

    Raises:
        InputError: if the measure is unknown, the level is not in (0, 1), the reference has no such part, or an arm has
            two runs of one seed.
    """
    if measure not in ("steps", "total") or not 0 < level < 1:
        raise InputError(f"measure is steps or total and level in (0, 1), got {measure!r} and {level}")
    own = table[(table["part"] == part) & (table["steps"] > 0)]
    if own.duplicated(["arm", "seed"]).any():
        twice = own.loc[own.duplicated(["arm", "seed"]), "arm"].iloc[0]
        raise InputError(f"arm {twice!r} has two runs of one seed: compare runs of one weight decay")
    base = own[own["arm"] == reference]
    if not len(base):
        raise InputError(f"no run of arm {reference!r} has a part {part!r}: arms are {', '.join(own['arm'].unique())}")
    rows = []
    for arm, group in own[own["arm"] != reference].groupby("arm", sort=False):
        both = group.merge(base, on="seed", suffixes=("", "_reference"))
        if len(both):
            found = _ratio(
                both[measure].to_numpy(np.float64),
                both[f"{measure}_reference"].to_numpy(np.float64),
                both["censored"].to_numpy(np.bool_),
                both["censored_reference"].to_numpy(np.bool_),
                level,
            )
            rows.append({"arm": arm, "reference": reference, "part": part, "measure": measure, **found})
    return pd.DataFrame(rows)


def _ratio(
    steps_S: Float, base_S: Float, censored_S: NDArray[np.bool_], base_censored_S: NDArray[np.bool_], level: float
) -> dict[str, object]:
    seeds, logs_S = len(steps_S), np.log(steps_S / base_S)
    bounds = {(False, False): "exact", (True, False): "at least", (False, True): "at most", (True, True): "none"}
    bound = bounds[bool(censored_S.any()), bool(base_censored_S.any())]
    half = np.nan
    if bound == "exact" and seeds > 1:
        half = scipy.stats.t.ppf((1 + level) / 2, seeds - 1) * logs_S.std(ddof=1) / np.sqrt(seeds)
    # The sign is certain where the smaller number is not a bound from below.
    faster = int(((logs_S < 0) & ~censored_S).sum())
    slower = int(((logs_S > 0) & ~base_censored_S).sum())
    p = scipy.stats.binomtest(faster, faster + slower).pvalue if faster + slower else 1.0
    return {
        "seeds": seeds,
        "censored": int(censored_S.sum()),
        "reference_censored": int(base_censored_S.sum()),
        "bound": bound,
        "ratio": np.nan if bound == "none" else float(np.exp(logs_S.mean())),
        "low": float(np.exp(logs_S.mean() - half)),
        "high": float(np.exp(logs_S.mean() + half)),
        "smallest": float(np.exp(logs_S.min())),
        "largest": float(np.exp(logs_S.max())),
        "faster": faster,
        "slower": slower,
        "p": float(p),
        "smallest_p": 2.0 ** (1 - seeds),
    }


def inclusion_between(folders: Sequence[Path]) -> pd.DataFrame:
    """Inclusion of every part's functions in those of the parts of every run, other seeds' and its own.

    Definition: see `inclusion`; subspaces are those of the edge that `reuse` stores. For Conjecture 2 compare the row
    whose target is the composite of a joint run and whose others are its own "add+mul" with those where the others
    belong to other seeds: the same parts that were learned apart from it.
    Null: other seeds, and `chance`, that of random functions of equal rank.

    Args:
        folders: Run folders that hold the table "functions" of `reuse`, of one modulus.

    Returns:
        One row per target, other run and set of its parts: run, task, seed, target, other_run, other_task, other_seed,
        others (a part, or all but the target joined by "+"), target_rank, others_rank, inclusion, chance. A part is not
        compared with itself in its own run.

    Raises:
        InputError: if a run has no such table, or domains differ.

    Cost: about 20 ms for each row at p = 97.
    """
    spans = {folder: _spans(folder) for folder in folders}
    configs = {folder: RunConfig.of_run(folder) for folder in folders}
    if len({len(next(iter(parts.values()))) for parts in spans.values()}) > 1:
        raise InputError("functions of runs with different domains do not compare: give runs of one modulus")
    rows = []
    for folder, parts in spans.items():
        for target, target_Nr in parts.items():
            for other, others in spans.items():
                for names in _sets(list(others), target, own=folder == other):
                    joined_Nr = np.hstack([others[name] for name in names])
                    rank = int(np.linalg.matrix_rank(joined_Nr.T @ joined_Nr, hermitian=True))
                    rows.append(
                        {
                            **_labels(folder, configs[folder], ""),
                            "target": target,
                            **_labels(other, configs[other], "other_"),
                            "others": "+".join(names),
                            "target_rank": target_Nr.shape[1],
                            "others_rank": rank,
                            "inclusion": inclusion(target_Nr, *(others[name] for name in names)),
                            "chance": rank / (len(target_Nr) - 1),
                        }
                    )
    return pd.DataFrame(rows)


def _labels(folder: Path, config: RunConfig, prefix: str) -> dict[str, object]:
    return {f"{prefix}run": folder.name, f"{prefix}task": config.task, f"{prefix}seed": config.seed}


def _sets(parts: Sequence[str], target: str, *, own: bool) -> list[tuple[str, ...]]:
    """Which parts of a run a target is compared with: each alone, and all others together."""
    rest = tuple(part for part in parts if part != target)
    return [(part,) for part in (rest if own else parts)] + ([rest] if len(rest) > 1 else [])


def _spans(folder: Path) -> dict[str, Float]:
    path = folder / FUNCTIONS_FILE
    if not path.is_file():
        raise InputError(f"no {FUNCTIONS_FILE} in {folder}: carry out the analysis of reuse on it first")
    table = read_table(path).drop(columns=["a", "b"])
    names = [str(column).rpartition(" ")[0] for column in table]
    return {
        name: table.loc[:, [one == name for one in names]].to_numpy(np.float64, copy=True)
        for name in dict.fromkeys(names)
    }
