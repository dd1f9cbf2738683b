"""What a tracker measures, while it measures it: a line for each function, in a terminal or a notebook."""

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from html import escape
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from spectraledge.analyses.score_findings import WatchedCourse
from spectraledge.integrations.record import Reading

LINES = 8
"""Functions, or eigenvalues, that have a line."""

_PAUSE_SECONDS = 0.5
_REST = 50
"""Least time between two pictures, over the time that one takes."""

_BAR, _SPARK = 20, 24
"""Characters of a bar and of a spark line."""

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


def live_lines(step: int, reading: Reading | None, course: WatchedCourse | None) -> list[str]:
    """A line for the step, then one for each watched function furthest above chance, or each leading eigenvalue."""
    edge = "no window is full yet" if reading is None else f"k* = {reading.k_star}"
    lines = [f"step {step:,}: {edge}"]
    if course is not None and not course.empty:
        names = [str(name) for name in course.shares.columns[:LINES]]
        wide = max(map(len, names))
        for name in names:
            share_T = course.shares[name].to_numpy(np.float64)
            now, chance = float(share_T[-1]), float(course.chance[name])
            lines.append(f"{name:<{wide}} {bar(now)} {now:6.1%} (chance {chance:.1%}) {spark(share_T)}")
    elif reading is not None and reading.trace > 0:
        for place, value in enumerate(reading.eigenvalues_W[:LINES].tolist(), start=1):
            lines.append(f"eigenvalue {place} {bar(value / reading.trace)} {value / reading.trace:6.1%} of the trace")
    return lines


def bar(share: float) -> str:
    """Draw a share, from 0 to 1, as a bar of a fixed width; to an eighth of a character."""
    eighths = round(8 * _BAR * min(max(share, 0.0), 1.0))
    full, part = divmod(eighths, 8)
    return ("█" * full + _EIGHTHS[part] * (part > 0)).ljust(_BAR)


def spark(share_T: np.ndarray) -> str:
    """Draw shares, from 0 to 1, as a line of blocks: all steps, a few of them where they are many, the last always."""
    places = np.unique(np.linspace(0, len(share_T) - 1, min(_SPARK, len(share_T))).round().astype(int))
    levels = (np.clip(share_T[places], 0, 1) * (len(_LEVELS) - 1)).round().astype(int)
    return "".join(_LEVELS[level] for level in levels)


class LineConsole(Console):
    """A console that raises when nobody reads it, where that of rich would end the whole process."""

    def on_broken_pipe(self) -> None:
        """Raise the error that is being handled."""
        raise


class LiveDisplay:
    """Lines that are drawn over each other, in the notebook that runs the code or else on a terminal's stderr.

    Where stderr is no terminal only the last ones are written. What goes wrong with them ends them with a warning, and
    nothing else.
    """

    def __init__(self, console: LineConsole | None = None) -> None:
        self._console = console or LineConsole(stderr=True)
        self._live: Live | None = None
        self._handle: Any = None
        self._not_before = 0.0
        self._made: Callable[[], Sequence[str]] | None = None
        self._broken = False

    def update(self, lines: Callable[[], Sequence[str]]) -> None:
        """Draw lines, unless it was done a moment ago."""
        self._made = lines
        if time.monotonic() >= self._not_before:
            self._try(lines)

    def end(self) -> None:
        """Draw the last lines, and leave them standing."""
        if self._made is not None:
            self._try(self._made)
        self._stop()
        self._handle = self._made = None

    def _try(self, lines: Callable[[], Sequence[str]]) -> None:
        if self._broken:
            return
        began = time.monotonic()
        try:
            self._draw("\n".join(lines()))
        except Exception as error:
            self._broken = True
            self._stop()
            warnings.warn(f"the live display ends, and the tracker goes on: {error!r}", RuntimeWarning, stacklevel=2)
        now = time.monotonic()
        self._not_before = now + max(_PAUSE_SECONDS, _REST * (now - began))

    def _stop(self) -> None:
        if self._live is not None:
            # Whatever becomes of its last lines, streams are then again what they were.
            with suppress(Exception):
                self._live.stop()
                if not self._console.is_terminal:
                    self._console.line()
        self._live = None

    def _draw(self, text: str) -> None:
        if (shown := _notebook()) is not None:
            page = shown.HTML(f"<pre>{escape(text)}</pre>")
            if self._handle is None:
                self._handle = shown.display(page, display_id=True)
            else:
                self._handle.update(page)
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)


def _notebook() -> Any:
    """What shows things in the notebook that runs this code; None where none does."""
    interactive = sys.modules.get("IPython")
    shell = interactive.get_ipython() if interactive else None
    return sys.modules["IPython.display"] if shell is not None and hasattr(shell, "kernel") else None
