"""What can be wrong with a series."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing", "gap", "unreadable", "foreign", "not finite", "duplicate", "exchanged", "broken lineage", "out of order"
]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What kind of thing.
        steps: Steps of the snapshots that it concerns; for "missing" those that are not there.
        text: The same in plain words.
    """

    kind: Kind
    steps: tuple[int, ...]
    text: str


def listed(things: Sequence[object]) -> str:
    """Write things one after another, many of them in part."""
    return ", ".join(map(str, things[:6])) + (f" ... {things[-1]}" if len(things) > 6 else "")
