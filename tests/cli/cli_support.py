"""What the command-line tests share."""

from collections.abc import Callable
from dataclasses import dataclass

TINY = [
    *("--modulus", "7", "--width", "12", "--heads", "2", "--hidden", "16", "--batch-size", "16"),
    *("--steps", "120", "--every", "5"),
]
"""Options of a run that takes a second."""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]
