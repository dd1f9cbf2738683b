"""What runs, bases and kinds of functions are called, one spelling each."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.arrays import Float
from spectraledge.claims.published import MODES, PublishedMode
from spectraledge.models import TransformerConfig
from spectraledge.report.words import listing
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import basis_formula
from spectraledge.training import OPTIMIZERS, RunConfig

OWN = "own functions"
"""All functions of a task's own variable, in figures and tables."""

_PUBLISHED_MODULUS = 97
_PUBLISHED_DECAY = 1.0


@dataclass(frozen=True)
class Selected:
    """Selection ratio of some functions in one run: which, whether they are the task's own, and their row."""

    label: str
    own: bool
    row: pd.Series


def titles(study: StudyResult) -> dict[str, str]:
    """Title of each finished run by run id, with what else is needed to tell runs apart."""
    several_seeds = len({run.config.seed for run in study.runs}) > 1
    short = {run.run_id: run.title + (f", seed {run.config.seed}" if several_seeds else "") for run in study.runs}
    repeated = Counter(short.values())
    return {run_id: f"{title} ({run_id[-8:]})" if repeated[title] > 1 else title for run_id, title in short.items()}


def optimizer_words(run: RunConfig) -> str:
    """How a run makes steps of gradients."""
    memory = f"momentum {run.momentum:g}" if run.optimizer == "sgd" else f"betas {run.betas[0]:g} and {run.betas[1]:g}"
    if run.optimizer == "muon":
        memory = f"momentum {run.momentum:g}, and AdamW with {memory} where there is no hidden matrix"
    clipped = f"gradients clipped to norm {run.clip_norm:g}" if run.clip_norm else "gradients as they come"
    batch = f"{run.batch_size} pairs a step, drawn with replacement" if run.batch_size else "all pairs at every step"
    return f"{OPTIMIZERS[run.optimizer]}, learning rate {run.learning_rate:g}, {memory}, {clipped}, {batch}"


def function_label(subspace: str, *, by: str = " ") -> str:
    """Functions of one kind in few words: "ω 26" of a frequency, else their own name."""
    return subspace.replace(f"{WHOLE} ", f"ω{by}")


def own_variables(runs: Iterable[RunResult]) -> str:
    """The own variable of every task, as a list in a sentence."""
    own = {run.formula: basis_formula(run.structure) for run in runs}
    return listing([name if name == formula else f"{name} for {formula}" for formula, name in own.items()])


def selected_parts(run: RunResult) -> list[Selected]:
    """The own functions as a whole, then the parts of the pairs that are not those, in the order of tables."""
    if run.selection.empty:
        return []
    wholes = run.selection[run.selection["part"]]
    own = wholes[(wholes["basis"] == run.structure) & (wholes["subspace"] == WHOLE)]
    found = [Selected(OWN, True, row) for _, row in own.iterrows()]
    lines = wholes[(wholes["family"] == "pairs") & (wholes["grouping"] != run.structure)]
    found += [Selected(str(row["functions"]), False, row) for _, row in lines.iterrows()]
    order = ("frequency", "a", "b", "sum", "difference", "rest")
    return sorted(found, key=lambda part: order.index(part.row["subspace"]))


def published_modes(run: RunResult) -> list[PublishedMode]:
    """Published modes of a run's task; none for runs of another kind than the published ones (Xu 2026, §2)."""
    model = run.config.model
    same = model.tokens == _PUBLISHED_MODULUS and run.config.weight_decay == _PUBLISHED_DECAY
    alike = same and isinstance(model, TransformerConfig)
    return [mode for mode in MODES if mode.task == run.config.task] if alike and run.grokked else []


def floats(table: pd.DataFrame, column: str) -> Float:
    """Values of a column as float64, missing ones as NaN."""
    return table[column].to_numpy(dtype=np.float64, na_value=np.nan)
