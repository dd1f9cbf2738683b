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
