"""The design of the `paper` study: its tasks, the conditions that runs stand for, and the margins of its claims."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from spectraledge.arrays import Bools
from spectraledge.tasks import OPERATIONS, formula_of, part_names
from spectraledge.tasks.task import JOIN

GROKKING = ("add", "sub", "mul", "square_sum")
"""Tasks that grok with weight decay (Xu 2026, §2)."""

OTHERS = ("quadratic", "cubic")
"""Tasks that do not (Xu 2026, §2)."""

TASKS = (*GROKKING, *OTHERS)

COMPOSITE = "square_sum"
"""The task whose structure is in question (Xu 2026, §6.5)."""

ALONE = COMPOSITE + JOIN
"""That task alone, on the domain of joint tasks."""

DUAL, TRI = "add+mul", f"add+mul+{COMPOSITE}"
"""The paper's joint tasks."""

PERMUTED = "permuted_add+permuted_mul"
"""Tasks that can only be memorised, learned first in place of `DUAL`."""

PARTS = {"add": "sum", "mul": "dlog_sum"}
"""Simple tasks and their own bases."""

CONTROLS = {"maximum": "an unrelated task, max(a, b)", "permuted_add": "a + b with permuted answers"}
"""Tasks that have nothing to give."""

COMPANIONS = (*PARTS, *CONTROLS)
"""Tasks that a² + b² is joined with in the factorial, beside both of `DUAL`: each simple task, an unrelated one that
can be learned, and one that can only be memorised (our choice; Xu 2026, §8 asks for the first two)."""

SQUARE_BASES = ("output", "output_dlog", "gaussian_norm", "gaussian_angle")
"""Groupings in which a² + b² is read (Xu 2026, §6.5); the paper's fifth basis is the 2-D Fourier transform."""

STEEP = 10.0
"""Decline of g_23 that counts as one (our choice: an order of magnitude)."""

SHARE_MARGIN = 0.02
"""Largest difference of energy shares that does not matter (our choice: twice the chance level of an own variable)."""

F_MARGIN = 1.25
"""Largest ratio of two F, or of two shares of a plane wave, that does not matter (our choice: a quarter)."""

AGREEMENT_MARGIN = 0.1
"""Largest difference between shares of pairs that agree that does not matter (our choice)."""

R2_MARGIN = 0.02
"""Largest difference of R² that does not matter (our choice, as for energy shares)."""

SELECTION_MARGIN = 1.1
"""Largest selection ratio that does not matter (our choice: a tenth more than directions at random)."""

STEPS_MARGIN = 1.1
"""Largest ratio of steps that does not matter (our choice: a tenth)."""

CHANGE_MARGIN = 100.0
"""Steps between changes that do not matter (our choice: one snapshot of the paper's)."""

TOOL_MARGIN = 1.25
"""Largest ratio to random directions that does not matter (our choice: a quarter, as for F)."""

JACCARD_MARGIN = 0.1
"""Largest difference of Jaccard indices that does not matter (our choice: two features of twenty)."""

SHARED_MARGIN = 0.05
"""Largest difference of sharedness that does not matter (our choice: a tenth of its range for two tasks)."""

SYNERGY_MARGIN = 0.01
"""Largest difference of synergies that does not matter (our choice: a hundredth of the response's energy)."""

INCLUSION_MARGIN = 0.05
"""Largest difference of inclusions that does not matter (our choice)."""


@dataclass(frozen=True)
class Condition:
    """Runs of a study that are taken together.

    Attributes:
        words: What they are; one word of a sentence.
        tasks: Their tasks.
        weight_decay: Theirs; None for any.
        after: Task of the run whose trunk they start from; "" for weights at random.
        learned: Whether only runs that reach a test accuracy of .95 belong to it (True), or only others (False).
        whole: Whether a seed counts only if it has a run of every task.
    """

    words: str
    tasks: tuple[str, ...]
    weight_decay: float | None = None
    after: str = ""
    learned: bool | None = None
    whole: bool = True

    def holds(self, effects: pd.DataFrame) -> Bools:
        """Tell which rows are of its runs."""
        chosen = effects["task"].isin(self.tasks) & (effects["after"] == self.after)
        if self.weight_decay is not None:
            chosen &= effects["weight_decay"] == self.weight_decay
        if self.learned is not None:
            chosen &= effects["learned"] == self.learned
        return chosen.to_numpy(np.bool_)

    def whole_seeds(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Leave out seeds that do not count."""
        if not self.whole or len(self.tasks) == 1:
            return rows
        return rows[rows.groupby("seed")["task"].transform("nunique") == len(self.tasks)]


SQUARES_DECAY = 2e-4
"""Weight decay of the second published network, coupled (Tian 2025, arXiv 2509.21519)."""

ARMS = {
    "alone": Condition("a² + b² alone", (ALONE,)),
    "beside-add": Condition("a² + b² with a + b", (f"add+{COMPOSITE}",)),
    "beside-mul": Condition("a² + b² with a·b", (f"mul+{COMPOSITE}",)),
    "beside-both": Condition("a² + b² with a + b and a·b", (TRI,)),
    "beside-maximum": Condition("a² + b² with max(a, b)", (f"maximum+{COMPOSITE}",)),
    "beside-permuted_add": Condition("a² + b² with a + b, answers permuted", (f"permuted_add+{COMPOSITE}",)),
    "after-both": Condition("a² + b² after a + b and a·b", (ALONE,), after=DUAL),
    "after-permuted": Condition("a² + b² after permuted answers", (ALONE,), after=PERMUTED),
}
"""Ways to learn a² + b² on the joint domain, in the order of tables."""

GROUPS = {
    "grokking-decay": Condition("grokking tasks, weight decay 1", GROKKING, 1.0),
    "grokking-no-decay": Condition("grokking tasks, weight decay 0", GROKKING, 0.0),
    "others-decay": Condition("other tasks, weight decay 1", OTHERS, 1.0),
    "others-no-decay": Condition("other tasks, weight decay 0", OTHERS, 0.0),
}
"""The four groups of Table 1; a run belongs to one by design, whether it generalised or not."""


DECAYS = {1.0: "decay", 0.0: "no-decay"}
"""Weight decays of single tasks (Xu 2026, §2), and names for them."""

SINGLES = {
    f"{task}-{name}": Condition(f"{OPERATIONS[task].formula}, weight decay {decay:g}", (task,), decay)
    for decay, name in DECAYS.items()
    for task in TASKS
}
"""Single tasks, whether their runs generalised or not."""


def _learned(name: str, condition: Condition) -> tuple[str, Condition]:
    return f"{name}-learned", replace(condition, words=f"{condition.words}, learned", learned=True)


TASKS_ON_GROUPS = {
    f"group-{task}": Condition(words, (task,))
    for task, words in {
        **{name: f"a·b in {name}" for name in ("S4", "S5", "D12", "Dic6")},
        "S4-permuted": "a·b in S4, answers permuted",
        "latin-0": "a random Latin square",
        "loop-0": "a random loop",
    }.items()
}
"""Runs of the `groups` study by task."""


CONDITIONS: dict[str, Condition] = {
    **SINGLES,
    **dict(_learned(name, condition) for name, condition in SINGLES.items()),
    **GROUPS,
    "learned": Condition("the four tasks that grok", GROKKING, 1.0, learned=True),
    "learned-runs": Condition("runs on tasks that grok", GROKKING, 1.0, learned=True, whole=False),
    "generalised": Condition("runs that grok", TASKS, learned=True, whole=False),
    "not-generalised": Condition("runs that do not", TASKS, learned=False, whole=False),
    "untaught": Condition(
        "controls: permuted answers, or too few pairs",
        ("permuted_add", *TASKS),
        1.0,
        learned=False,
        whole=False,
    ),
    "permuted": Condition("a + b with permuted answers", ("permuted_add",), 1.0, learned=False),
    "few-pairs": Condition("a + b with too few pairs", ("add",), 1.0, learned=False),
    "no-decay": Condition("all tasks without weight decay", TASKS, 0.0),
    "squares-learned": Condition("a + b in the network of squares", ("add",), SQUARES_DECAY, learned=True),
    "dual": Condition("a + b and a·b", (DUAL,)),
    **ARMS,
    **dict(_learned(name, condition) for name, condition in ARMS.items()),
    **TASKS_ON_GROUPS,
    **dict(_learned(name, condition) for name, condition in TASKS_ON_GROUPS.items()),
}
"""Every condition that an effect is summarised in."""


def learned(task: str) -> str:
    """Return the condition of a task's runs with weight decay that learned it."""
    return f"{task}-decay-learned"


def arm_words(task: str, after: str) -> str:
    """Say what a joint run learns."""
    found = [arm.words for arm in ARMS.values() if (arm.tasks, arm.after) == ((task,), after)]
    return found[0] if found else formula_of(task)


def heads(condition: Condition) -> int:
    """Return how many heads the runs of a condition have."""
    return len(part_names(condition.tasks[0]))
