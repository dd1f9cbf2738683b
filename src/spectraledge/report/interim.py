"""The report of a study while it runs: written as soon as a run has a score, and again as others have, but rarely."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

_PAUSE_SECONDS = 30.0
_REST = 20
"""Least time between two reports, over the time that the one before took: at most a twentieth goes into them."""

_MARK = 'id="progress"'
"""What the template gives a page that says how far its study is."""


class InterimReport:
    """Writes a report in a thread of its own whenever there is more to show; told why where it could not be written."""

    def __init__(self, write: Callable[[str], object], failed: Callable[[Exception], None]) -> None:
        self._write, self._failed = write, failed
        self._shown, self._not_before = 0, 0.0
        self._thread: threading.Thread | None = None

    def update(self, shown: int, of: int) -> None:
        """Begin to write the report if it is time."""
        at_work = self._thread is not None and self._thread.is_alive()
        if at_work or shown <= self._shown or time.monotonic() < self._not_before:
            return
        self._shown = shown
        self._thread = threading.Thread(target=self._try, args=(progress_words(shown, of),))
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._thread is not None:
            self._thread.join()

    def _try(self, words: str) -> None:
        began = time.monotonic()
        try:
            self._write(words)
        except Exception as error:
            self._failed(error)
        now = time.monotonic()
        self._not_before = now + max(_PAUSE_SECONDS, _REST * (now - began))


def progress_words(shown: int, of: int) -> str:
    """Say how far a study is, and how a reader sees more."""
    return (
        f"{shown} of {of} runs: this page was written at {time.strftime('%H:%M')} while the study was running. It is "
        "written again as more runs are done; to see them, reload it (F5, or ⌘R)."
    )


def is_interim(page: Path) -> bool:
    """Tell whether a page is a report that was written before its study was done."""
    return _MARK in page.read_text(errors="replace")
