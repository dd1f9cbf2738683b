"""Intervals between consecutive snapshots: whether they are even, what is done where not, which steps are missing."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Literal

from spectraledge.errors import InputError

_LEAP = 10

Spacing = Literal["keep", "scale", "refuse"]
"""What is done with unevenly spaced snapshots: nothing, updates over √(interval/median), or an error."""


def describe_intervals(steps: Sequence[int]) -> str:
    """Say which intervals there are, the most frequent first, such as "1000 (142 times), 488 (1 time)".

    Args:
        steps: In ascending order.

    Returns:
        The words; empty where all intervals are equal.
    """
    counts = Counter(after - before for before, after in pairwise(steps))
    if len(counts) < 2:
        return ""
    words = [f"{interval} ({count} time{'s' if count > 1 else ''})" for interval, count in counts.most_common(5)]
    return ", ".join(words) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")


def check_spacing(steps: Sequence[int], spacing: Spacing) -> None:
    """Refuse uneven steps where that was asked for.

    Args:
        steps: In ascending order.
        spacing: What was asked for.

    Raises:
        InputError: if spacing is "refuse" and intervals differ, or it is no known choice.
    """
    if spacing not in ("keep", "scale", "refuse"):
        raise InputError(f"unknown spacing {spacing!r}: expected 'keep', 'scale' or 'refuse'")
    words = describe_intervals(steps)
    if words and spacing == "refuse":
        raise InputError(
            f"snapshots are unevenly spaced, their intervals are {words}: choose spacing 'scale' or 'keep', or give a "
            "glob that matches evenly spaced ones"
        )


def missing_steps(steps: Sequence[int]) -> list[tuple[int, ...]]:
    """Find steps that an otherwise regular series leaves out.

    Rule (ours): a stretch of intervals that differ from those around it is a gap where each is a whole multiple, at
    least twice, of one interval s, and the intervals just before and just after the stretch are s. At either end of the
    series, where one side is open, the stretch is one interval and the other side two intervals of s. A spacing that
    changes for good, or grows all the time, is therefore no gap.

    Args:
        steps: In strictly ascending order.

    Returns:
        The missing steps of each gap, in order.
    """
    runs = [(interval, len(list(group))) for interval, group in groupby(b - a for a, b in pairwise(steps))]
    expanded = [interval for interval, count in runs for _ in range(count)]
    usual = sorted(set(expanded), reverse=True)
    gaps = []
    for index, interval in enumerate(expanded):
        regular = _regular(expanded, index, usual)
        if regular:
            gaps.append(tuple(range(steps[index] + regular, steps[index] + interval, regular)))
    return gaps


def leaps(steps: Sequence[int]) -> list[tuple[int, int]]:
    """Find intervals that are out of all proportion to those around them, whether or not steps are regular.

    Rule (ours): at least ten times as long as each of the two intervals before it and the two behind it; an interval at
    an end needs two on its other side. A spacing that changes for good is none.

    Args:
        steps: In strictly ascending order.

    Returns:
        The steps before and behind each.
    """
    intervals = [after - before for before, after in pairwise(steps)]
    found = []
    for index, interval in enumerate(intervals):
        around = intervals[max(index - 2, 0) : index] + intervals[index + 1 : index + 3]
        closed = 0 < index < len(intervals) - 1 or len(around) >= 2
        if around and closed and interval >= _LEAP * max(around):
            found.append((steps[index], steps[index + 1]))
    return found


def _regular(intervals: Sequence[int], index: int, usual: Sequence[int]) -> int:
    """Return which of the intervals that there are, longest first, the one at `index` is a gap of; 0 if of none."""
    for regular in usual:
        if not _is_gap(intervals[index], regular):
            continue
        left, right = index - 1, index + 1
        while left >= 0 and _is_gap(intervals[left], regular):
            left -= 1
        while right < len(intervals) and _is_gap(intervals[right], regular):
            right += 1
        before, after = intervals[max(left - 1, 0) : left + 1], intervals[right : right + 2]
        alone = right - left == 2
        inside = left >= 0 and right < len(intervals) and before[-1] == after[0] == regular
        at_start = alone and left < 0 and list(after) == [regular] * 2
        at_end = alone and right == len(intervals) and list(before) == [regular] * 2
        if inside or at_start or at_end:
            return regular
    return 0


def _is_gap(interval: int, regular: int) -> bool:
    return interval > regular and interval % regular == 0
