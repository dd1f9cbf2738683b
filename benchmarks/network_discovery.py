"""How often `discover` is right about networks: that generalised, have not yet, memorised, or are untrained.

Run by hand: `python benchmarks/network_discovery.py`; about ten minutes on one core. Networks are trained in stacks of
four seeds. A network has generalised where its test accuracy is .95 or more at the end. It has not yet where it answers
.95 of the training pairs and at most twice what chance would of the others: the last such snapshot of a run is a
control, and so is its first.
"""

import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np

from spectraledge import RunConfig
from spectraledge.files import write_json
from spectraledge.modes import energy_share, group_of_function
from spectraledge.observed.pair_values import pair_values
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.observed.view import View
from spectraledge.tasks import grouping, task_from_source
from spectraledge.training import train_in_folders

SEEDS = range(1, 5)
RELU = {
    "model": {"kind": "mlp", "inputs": "embedded", "width": 32, "hidden": 128},
    "settings": {"learning_rate": 0.01, "batch_size": 0, "stop_accuracy": 2.0},
}
FEW = {"model": RELU["model"], "settings": RELU["settings"] | {"weight_decay": 0.0}}
SQUARES = {
    "model": {"kind": "mlp", "hidden": 256, "activation": "square", "bias": False},
    "settings": {
        "loss": "mse",
        "optimizer": "adam",
        "weight_decay": 2e-4,
        "learning_rate": 0.01,
        "clip_norm": 0,
        "batch_size": 0,
        "stop_accuracy": 2.0,
    },
}
CASES = [
    # task, modulus, group, network, share that trains, steps
    ("add", 23, "C23", RELU, 0.7, 1200),
    ("mul", 23, "C22", RELU, 0.7, 1500),
    ("group:D7", 14, "D7", RELU, 0.8, 2000),
    ("group:S4", 24, "S4", RELU, 0.8, 2000),
    ("group:Dic5", 20, "Dic5", RELU, 0.8, 2000),
    ("group:C3xS3", 18, "C3xS3", RELU, 0.8, 2000),
    ("sub", 13, "C13", SQUARES, 0.8, 400),
    ("group:C2xC2xC2xC2", 16, "C2xC2xC2xC2", SQUARES, 0.8, 400),
    ("group:D5", 10, "D5", SQUARES, 0.8, 400),
    ("group:A4", 12, "A4", SQUARES, 0.8, 400),
    ("add", 23, None, FEW, 0.3, 1200),
    ("group:S4", 24, None, FEW, 0.3, 1200),
    ("permuted:add", 23, None, RELU, 0.7, 1200),
    ("permuted:group:D7", 14, None, RELU, 0.8, 1200),
    ("permuted:group:S4", 24, None, RELU, 0.8, 1200),
    ("permuted:sub", 13, None, SQUARES, 0.8, 400),
    ("permuted:group:A4", 12, None, SQUARES, 0.8, 400),
    ("latin:0", 14, None, RELU, 0.8, 1200),
    ("group:D7:aba^-1", 14, None, RELU, 0.8, 2000),
]


def trained(folder, source, modulus, network, fraction, steps):
    """Four runs of a case."""
    task = task_from_source(source, modulus=modulus)
    runs = []
    for seed in SEEDS:
        settings = {"train_fraction": fraction, "steps": steps, "every": max(steps // 20, 20), "seed": seed}
        config = RunConfig.for_task(task, network["model"], **network["settings"], **settings)
        runs.append((folder / config.run_id, config, task))
    train_in_folders(runs)
    return [folder for folder, _, _ in runs]


def asked(folder, step, group):
    """What `discover` says of a network, beside what is known of it."""
    began = time.perf_counter()
    seen = pair_values(folder, "function", View(step=step))
    found = group_of_function(seen.values_MMD, held_out=seen.unseen_MM)
    seconds = time.perf_counter() - began
    task = seen.run.task
    known = energy_share(seen.over_pairs()[None], grouping(task, task.structure).covering(seen.run.test_N))[0]
    metrics = seen.run.metrics.set_index("step").loc[step]
    return {
        "task": task.name,
        "group": group,
        "seed": seen.run.config.seed,
        "step": step,
        "train accuracy": float(metrics["train_accuracy"]),
        "test accuracy": float(metrics["test_accuracy"]),
        "found": found.discovery.group.name if found.is_found else None,
        "forming": found.discovery.group.name if found.is_forming else None,
        "nearest": found.discovery.group.name,
        "share": found.share,
        "known share": float(known),
        "unseen share": found.unseen_share,
        "placed": found.placed,
        "placed apart": found.placed_apart,
        "null high": float(np.quantile(found.null_B, 0.95)),
        "p": found.p,
        "seconds": seconds,
    }


def chosen(folder, group, order):
    """The snapshots of a run that are asked, and what each is."""
    metrics = RecordedRun.open(folder).metrics
    last = metrics.iloc[-1]
    if group is None:
        yield "learned, no group" if last["test_accuracy"] >= 0.95 else "memorised", int(last["step"])
        return
    yield "untrained", int(metrics["step"].iloc[0])
    before = metrics[(metrics["test_accuracy"] <= 2 / order) & (metrics["train_accuracy"] >= 0.95)]
    if len(before):
        yield "before generalisation", int(before["step"].iloc[-1])
    yield "generalised" if last["test_accuracy"] >= 0.95 else "partly generalised", int(last["step"])


def main():
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for source, modulus, group, network, fraction, steps in CASES:
            began = time.perf_counter()
            folders = trained(Path(place), source, modulus, network, fraction, steps)
            print(f"{source}: trained in {time.perf_counter() - began:.0f} s", flush=True)
            for folder in folders:
                for kind, step in chosen(folder, group, modulus):
                    rows.append({"kind": kind, **asked(folder, step, group)})
                    print(rows[-1], flush=True)
    counts = {
        kind: {
            "networks": number,
            **{
                f"{what}{right}": sum(
                    row["kind"] == kind and row[what] is not None and (not right or row[what] == row["group"])
                    for row in rows
                )
                for what in ("found", "forming")
                for right in ("", " rightly")
            },
        }
        for kind, number in Counter(row["kind"] for row in rows).items()
    }
    print(counts)
    write_json(
        Path(__file__).parent / "results" / f"{date.today()}-network-discovery.json",
        {"counts": counts, "networks": rows},
    )


if __name__ == "__main__":
    main()
