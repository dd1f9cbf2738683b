"""Results of a study of gradients and curvature as if what is planted had been measured."""

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.streams import numpy_generator
from spectraledge.studies import first_seeds, recipe
from spectraledge.trajectory import Manifest

SEEDS = first_seeds(10)
STEPS = np.arange(0, 1_600, 100)
GROKS, HALF = 1_300, 1_200
RISES = (500, 600, 700)
"""Of the seeds in turn."""

PARAMETERS = 1_000


def planted(seeds=SEEDS, rises=(), shares=None, ratios=None, controls_rise=False):
    """Results of the study: what is said to rise does at `RISES` in runs that learn; the rest looks as in controls."""
    runs = []
    for config in recipe("landscape", seeds=seeds, budget="small").runs:
        learned = config.task == "add" and config.train_fraction > 0.1
        generator = numpy_generator(0, config.run_id)
        risen = RISES[seeds.index(config.seed) % len(RISES)] <= STEPS

        def series(name, low=False, learned=learned, generator=generator, risen=risen):
            # Controls go further on both sides.
            flat = 5 + (0.02 if learned else 0.1) * (generator.random(len(STEPS)) - 0.5)
            up = risen & (name in rises) & (learned or controls_rise)
            return flat * np.where(up, 0.01 if low else 100.0, 1.0)

        accuracy = np.where(learned & (STEPS >= HALF), np.where(STEPS >= GROKS, 1.0, 0.6), 0.01)
        columns = {"test_loss": series("test_loss", low=True), "weight_norm": series("weight_norm", low=True)}
        flat = {"train_loss": np.full(len(STEPS), 0.1), "train_accuracy": np.full(len(STEPS), 1.0)}
        metrics = pd.DataFrame({"step": STEPS, "test_accuracy": accuracy, **flat, **columns})
        bent = {name: series(name) for name in ("defect", "gradient", "curvature")}
        tables = {"commutator": pd.DataFrame({"step": STEPS, **bent})}
        leaders = [
            (step, vector, 1, value, 0, np.nan if step < 300 else (shares or {}).get(vector, 0.1) * wobble, 0.1, 0.01)
            for step, value in zip(STEPS, series("hessian"), strict=True)
            for vector in ("hessian", "gauss-newton", "commutator")
            for wobble in (1 + 0.01 * generator.standard_normal(),)
        ]
        names = ["step", "vector", "number", "value", "direction", "overlap", "span", "random"]
        tables["curvature"] = pd.DataFrame(leaders, columns=names)
        if learned:
            found = {"update": 1.0, "optimizer": 1.0, "decay": 1.0, "gradient": 1.0, "permuted": 1.0, **(ratios or {})}
            rows = [(name, "", draw, one * (1 + 0.01 * generator.standard_normal()))
                    for name, one in found.items() for draw in ((1, 2, 3) if name == "permuted" else (0,))]  # fmt: skip
            tables["gradient_selection"] = pd.DataFrame(rows, columns=["source", "part", "draw", "ratio"])
            cosine = 3 / PARAMETERS * (1 + 0.01 * generator.standard_normal())
            tables["gradient_edges"] = pd.DataFrame({"source": ["gradient"], "part": [""], "with_updates": [cosine]})
        manifest = Manifest(
            config={},
            config_hash="",
            step=int(STEPS[-1]),
            grokked_step=GROKS if learned else None,
            seeds={},
            environment={},
            test_accuracy=float(accuracy[-1]),
        )
        runs.append(RunResult(config, manifest, metrics, "sum", "a + b", PARAMETERS, tables))
    return tuple(runs)
