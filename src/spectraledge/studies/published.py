"""Published values of Xu 2026 (arXiv 2604.06256v1), for comparison only: nothing is computed or decided from them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedMode:
    """A published peak of one direction's field ‖R‖² in one basis, seed 42 after grokking.

    Attributes:
        section: Where it stands.
        task: Task name.
        basis: Grouping name.
        kind: "edge" or "bulk".
        direction: 1-based; 0 for a mean over the kind.
        frequency: ω of the peak; None where none is published.
        concentration: F.
    """

    section: str
    task: str
    basis: str
    kind: str
    direction: int
    frequency: int | None
    concentration: float | None


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

DECLINES = {
    ("grokking", 1.0): "12 of 12, mean 40× (15 to 110×)",
    ("grokking", 0.0): "0 of 12, 1.2×",
    ("other", 1.0): "1 of 6, 1.5×",
    ("other", 0.0): "0 of 6, 1.1×",
}
"""Table 1: runs in which g_23 declines, and by how much, by kind of task and weight decay."""

BASES_OF_SQUARES = "0.10 to 0.15 in every basis, as the bulk"
"""F of the edge for a² + b² (§6.5)."""

WRONG_BASIS = "0.2 to 0.3×"
"""F of addition in discrete logarithms over F in sums (§6.3)."""

DLOG_GAIN_MEAN = 2.7
"""Mean over v_1 to v_3 of F for multiplication in discrete logs over F under the raw product (§6.3)."""

COMPOSITION = {
    ("add", "additive"): "0.17 to 0.29",
    ("add", "multiplicative"): "0.02",
    ("add", "both"): "0.18 to 0.31",
    ("add", "cross"): "0.29 to 0.40",
    ("mul", "additive"): "0.02",
    ("mul", "multiplicative"): "0.11 to 0.26",
    ("mul", "both"): "0.12 to 0.27",
    ("mul", "cross"): "0.23 to 0.37",
    ("square_sum", "additive"): "0.01",
    ("square_sum", "multiplicative"): "0.02",
    ("square_sum", "both"): "0.03 to 0.04",
    ("square_sum", "cross"): "0.15 to 0.16",
}
"""Table 3: R² in sample of v_1 to v_3, by task and features."""

REUSED_F = {"square_sum": "0.09 (ω 17)", "add+mul+square_sum": "0.20 (ω 26)"}
"""Table 4: F of a² + b² under a + b, alone and beside a + b and a·b."""

REUSED_SYNERGY = {"square_sum": "+0.024", "add+mul+square_sum": "+0.043"}
"""Table 4: R² of both kinds of waves less the larger of each, v_1, in sample."""

TRI_TASK_STEPS = "17,900, 24,800 and 30,500"
"""Steps at which a + b, a·b and a² + b² together generalise (§2)."""

SUMMARY = {
    "add": ("additive, one mode", "0.40"),
    "mul": ("discrete logarithms, one mode", "0.32"),
    "sub": ("additive, several modes", "0.19"),
    "square_sum": ("cross terms", "R² 0.16"),
}
"""Table 5: structure of the edge, and the statistic that it was read from, F unless it says R²."""

PURITY = "about 0.14"
"""§5: largest share of a direction in one (layer, head) block."""

EFFECTIVE_RANK = "about 40"
"""§5: of the response along a direction."""

PEAKEDNESS = "32.8 (ω 25), addition"
"""§5: of the projection on the first right singular vector, at the transition."""

JACCARD = {"add": "0.25", "sub": "0.60"}
"""§5: overlap of the sparse features that two edge directions move, lowest and highest of the tasks."""

SHAREDNESS = {"edge": "0.8 to 0.9", "bulk": "0.3 to 0.5"}
"""§7: of directions above and below the edge, in multitask runs."""
