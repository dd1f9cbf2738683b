"""Published values of Xu 2026 (arXiv 2604.06256v1) and of later work, for comparison only: they decide nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedMode:
    """A published peak of one direction's ‖R‖² in a basis, seed 42 after grokking; direction 0: mean over a kind."""

    section: str
    task: str
    basis: str
    kind: str
    direction: int
    frequency: int | None
    concentration: float | None

    @property
    def text(self) -> str:
        """As a report writes it."""
        parts = [] if self.concentration is None else [f"F {self.concentration:g}"]
        parts += [] if self.frequency is None else [f"ω {self.frequency}"]
        name = f"v{self.direction}" if self.direction else f"mean of the {self.kind}"
        return f"{name}: {', '.join(parts)}"


MODES = (
    PublishedMode("Table 2", "add", "sum", "edge", 1, 26, 0.33),
    PublishedMode("Table 2", "add", "sum", "edge", 2, 26, 0.16),
    PublishedMode("Table 2", "add", "sum", "edge", 3, 25, 0.40),
    PublishedMode("Table 2", "add", "sum", "bulk", 4, 8, 0.18),
    PublishedMode("Table 2", "add", "sum", "bulk", 5, 26, 0.12),
    PublishedMode("Table 2", "add", "sum", "bulk", 0, None, 0.18),
    PublishedMode("§6.3", "mul", "product", "edge", 1, None, 0.054),
    PublishedMode("§6.3", "mul", "dlog_sum", "edge", 1, 29, 0.32),
    PublishedMode("§6.3", "mul", "dlog_sum", "edge", 2, 29, None),
    PublishedMode("§6.3", "mul", "dlog_sum", "edge", 3, 29, None),
    PublishedMode("§6.4", "sub", "difference", "edge", 1, 16, None),
    PublishedMode("§6.4", "sub", "difference", "edge", 2, 6, None),
    PublishedMode("§6.4", "sub", "difference", "edge", 3, 32, None),
    PublishedMode("§6.4", "sub", "difference", "edge", 0, None, 0.16),
    PublishedMode("§6.4", "sub", "difference", "bulk", 0, None, 0.16),
)
"""Peaks by task and basis. Method: centred window of 20 updates, finite difference, test pairs."""

DLOG_GAIN = 5.9
"""F of v1 for multiplication in discrete logs over F under the raw product (§6.3), empty group filled with 0."""

GROKKED_WITHIN = 5_000
"""Steps within which the single-task runs that grok do so (§2)."""


@dataclass(frozen=True)
class PublishedValue:
    """A published number (low = high) or range, of a task, condition or directions; a mean beside a range; its unit."""

    section: str
    quantity: str
    of: str
    low: float
    high: float
    mean: float | None = None
    unit: str = ""

    @property
    def number(self) -> str:
        """The number alone, as a report writes it."""
        ends = f"{self.low:,g}" if self.low == self.high else f"{self.low:,g}–{self.high:,g}"
        return (ends if self.mean is None else f"{self.mean:g} ({ends})") + self.unit

    @property
    def text(self) -> str:
        """As a report writes it."""
        return f"{self.of}: {self.number}"


def _one(section: str, quantity: str, of: str, value: float, unit: str = "") -> PublishedValue:
    return PublishedValue(section, quantity, of, value, value, None, unit)


VALUES = (
    PublishedValue("Table 1", "decline of g_23", "grokking runs", 15, 110, 40, "×"),
    _one("Table 1", "decline of g_23", "grokking tasks without weight decay", 1.2, "×"),
    _one("Table 1", "decline of g_23", "other tasks", 1.5, "×"),
    _one("Table 1", "decline of g_23", "other tasks without weight decay", 1.1, "×"),
    _one("Table 1", "runs that decline", "grokking runs", 12, " of 12"),
    _one("Table 1", "runs that decline", "grokking tasks without weight decay", 0, " of 12"),
    _one("Table 1", "runs that decline", "other tasks", 1, " of 6"),
    _one("Table 1", "runs that decline", "other tasks without weight decay", 0, " of 6"),
    PublishedValue("§6.5", "F in any of five bases", "a² + b²", 0.10, 0.15),
    PublishedValue("§6.3", "F under dlog over F in its own basis", "add", 0.2, 0.3, None, "×"),
    _one("§6.3", "F under dlog over F raw", "mul, v1", DLOG_GAIN, "×"),
    _one("§6.3", "F under dlog over F raw", "mul, mean of v1 to v3", 2.7, "×"),
    _one("§6.3", "F", "first principal component of R_1, add, ω = 26", 0.67),
    _one("§6.5", "power off the diagonal", "a² + b², (dlog u, dlog v)", 0.97),
    _one("§5", "head purity", "v1 to v3, all tasks", 0.14),
    _one("§5", "effective rank of the response", "v1 to v3", 40),
    _one("§5", "Fourier peakedness", "at the grokking transition, ω = 25", 32.8),
    _one("§5", "Jaccard of TopK features", "add", 0.25),
    _one("§5", "Jaccard of TopK features", "sub", 0.60),
    _one("§5", "Jaccard of TopK features", "sets at random", 0.02),
    PublishedValue("§5", "Jaccard of TopK features", "50 random directions", 0.30, 0.83),
    PublishedValue("Table 3", "R² of additive", "add", 0.17, 0.29),
    _one("Table 3", "R² of additive", "mul", 0.02),
    _one("Table 3", "R² of additive", "a² + b²", 0.01),
    _one("Table 3", "R² of multiplicative", "add", 0.02),
    PublishedValue("Table 3", "R² of multiplicative", "mul", 0.11, 0.26),
    _one("Table 3", "R² of multiplicative", "a² + b²", 0.02),
    PublishedValue("Table 3", "R² of both", "add", 0.18, 0.31),
    PublishedValue("Table 3", "R² of both", "mul", 0.12, 0.27),
    PublishedValue("Table 3", "R² of both", "a² + b²", 0.03, 0.04),
    PublishedValue("Table 3", "R² of both and cross", "add", 0.29, 0.40),
    PublishedValue("Table 3", "R² of both and cross", "mul", 0.23, 0.37),
    PublishedValue("Table 3", "R² of both and cross", "a² + b²", 0.15, 0.16),
    _one("Table 4", "F on a + b", "a² + b² alone, ω = 17", 0.09),
    _one("Table 4", "F on a + b", "tri-task, ω = 26", 0.20),
    _one("Table 4", "synergy", "a² + b² alone", 0.024),
    _one("Table 4", "synergy", "tri-task", 0.043),
    _one("Table 5", "largest F", "add, additive, single mode", 0.40),
    _one("Table 5", "largest F", "mul, dlog, single mode", 0.32),
    _one("Table 5", "largest F", "sub, additive, several modes", 0.19),
    _one("Table 5", "R²", "a² + b², cross terms", 0.16),
    PublishedValue("§7", "sharedness", "above the edge", 0.8, 0.9),
    PublishedValue("§7", "sharedness", "below the edge", 0.3, 0.5),
    PublishedValue("§2", "steps until the tri-task groks", "three seeds", 17_900, 30_500, None, " steps"),
)
"""Every published value that is no peak of a direction. Tables 3 and 4 are in sample, Table 1 from scripts."""


def published(section: str, quantity: str) -> str:
    """Say what is published of a quantity."""
    found = [value.text for value in VALUES if (value.section, value.quantity) == (section, quantity)]
    assert found, f"nothing is published of {quantity} in {section}"
    return "; ".join(found)


def published_number(section: str, quantity: str, of: str) -> str:
    """Say which number is published of a quantity of one thing."""
    where = (section, quantity)
    found = [value.number for value in VALUES if (value.section, value.quantity) == where and value.of.startswith(of)]
    return found[0] if found else ""


def published_modes(section: str, task: str, basis: str) -> str:
    """Say which F, and where, are published of a task's directions in a basis."""
    found = [mode.text for mode in MODES if (mode.section, mode.task, mode.basis) == (section, task, basis)]
    assert found, f"no mode of {task} in {basis} is published in {section}"
    return "; ".join(found)


_INTERVENTIONS = "add, three seeds (arXiv 2604.25143): "

LATER = {
    "steps:remove-gradient": f"{_INTERVENTIONS}1.02 times",
    "steps:keep-gradient": f"{_INTERVENTIONS}2.20 times faster",
    "steps:keep-random": f"{_INTERVENTIONS}2.36 times faster",
    "steps:remove-random": f"{_INTERVENTIONS}1.00 times",
    "centroid:update:block": "over isotropic ones: 3 to 9 (arXiv 2604.25143)",
    "centroid:gradient:random": "100 to 330 (arXiv 2604.25143)",
    "alarm:rule": "600 to 1,600 steps before, 12 of 12 runs (arXiv 2602.16746)",
    "gap:no-decay": "300 against 1.3, 15 seeds (arXiv 2605.08119)",
    "gap:relu": "its alarm never sounds with ReLU (arXiv 2605.08119)",
    "k-star:muon": "k* 1 against 2, small GPTs (arXiv 2603.28964)",
}
"""What was published after the paper, as text, by the id of the effect that is our counterpart."""
