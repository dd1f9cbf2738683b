"""What a tracker shows while it runs: lines against numbers, in a terminal, in a file and in a notebook."""

import sys
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tracking_support import Training

from spectraledge.integrations import live
from spectraledge.integrations.live import LINES, LineConsole, LiveDisplay, bar, live_lines, spark
from spectraledge.modes import feature_basis

INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(7))
SIGNS = feature_basis("signs", {"first": INPUTS[:, 0].numpy() > 0, "second": INPUTS[:, 1].numpy() > 0})


@pytest.fixture(autouse=True)
def _each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw every time that is asked for, not rarely."""
    monkeypatch.setattr(live, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(live, "_REST", 0)


SHARES = [(0, ""), (1, "█" * 20), (0.5, "█" * 10), (1 / 160, "▏"), (-0.1, ""), (2, "█" * 20)]


@pytest.mark.parametrize(("share", "drawn"), SHARES)
def test_bars_are_as_long_as_shares(share: float, drawn: str) -> None:
    assert bar(share) == drawn.ljust(20)


def test_sparks_have_the_last_step_and_are_no_longer_than_they_may() -> None:
    assert spark(np.array([0.0, 0.5, 1.0])) == "▁▅█"
    many = np.zeros(1000)
    many[-1] = 1.0
    assert spark(many) == "▁" * 23 + "█"


def test_every_function_has_a_line_with_its_share_and_its_null() -> None:
    training = Training()
    tracker = training.tracker()
    watched = tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
    with tracker:
        training.steps(30)
    first, *lines = live_lines(30, tracker.latest, watched.course)
    assert first == f"step 30: k* = {tracker.latest.k_star}"
    last = tracker.results().score.query("step == 30").set_index("subspace")
    assert {line.split()[0] for line in lines} == {"first", "second"}
    for line in lines:
        row = last.loc[line.split()[0]]
        assert f" {row['share']:.1%} (chance {row['chance']:.1%})" in line
        assert bar(row["share"]) in line


def test_without_a_function_eigenvalues_have_lines() -> None:
    training = Training()
    tracker = training.tracker(window=10, every=1)
    assert live_lines(0, None, None) == ["step 0: no window is full yet"]
    with tracker:
        training.steps(12)
    reading = tracker.latest
    lines = live_lines(12, reading, None)[1:]
    assert len(lines) == LINES
    for place, line in enumerate(lines):
        assert f"{float(reading.eigenvalues_W[place]) / reading.trace:.1%} of the trace" in line


def test_a_terminal_is_drawn_over_and_a_file_gets_the_last_lines() -> None:
    for terminal in (True, False):
        written = StringIO()
        display = LiveDisplay(LineConsole(file=written, force_terminal=terminal, width=60))
        for step in range(5):
            display.update(lambda: [f"step {step}", "first"])  # noqa: B023
        display.end()
        display.end()
        text = written.getvalue()
        assert "step 4" in text
        assert ("step 2" in text) == terminal
        assert terminal or text == "step 4\nfirst\n"


def test_a_moment_passes_between_two_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_PAUSE_SECONDS", 1000.0)
    made = []
    display = LiveDisplay(LineConsole(file=StringIO(), width=60))
    for step in range(5):
        display.update(lambda: made.append(step) or ["line"])  # noqa: B023
    assert made == [0]
    display.end()
    assert made == [0, 4]


def test_a_notebook_updates_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def display(page: str, display_id: bool) -> SimpleNamespace:
        shown.append(page)
        return SimpleNamespace(update=shown.append)

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=display))
    live_display = LiveDisplay()
    live_display.update(lambda: ["a < b"])
    live_display.update(lambda: ["second"])
    live_display.end()
    assert shown == ["<pre>a &lt; b</pre>", "<pre>second</pre>", "<pre>second</pre>"]


def test_what_cannot_be_shown_ends_the_display_and_not_the_training() -> None:
    class Closed(StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError("nobody reads")

    streams = sys.stdout, sys.stderr
    display = LiveDisplay(LineConsole(file=Closed(), force_terminal=True, width=60))
    with pytest.warns(RuntimeWarning, match="the live display ends, and the tracker goes on: BrokenPipeError"):
        display.update(lambda: ["line"])
    display.update(lambda: pytest.fail("shown again"))
    display.end()
    assert (sys.stdout, sys.stderr) == streams


def test_a_training_that_is_shown_is_bit_identical(capsys: pytest.CaptureFixture[str]) -> None:
    weights, edges = [], []
    for shown in (False, True):
        training = Training()
        tracker = training.tracker(live=shown)
        tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
        with tracker:
            training.steps(30)
        weights.append(training.watched())
        edges.append(tracker.results().edge)
    assert torch.equal(*weights)
    assert edges[0].equals(edges[1])
    assert capsys.readouterr().err.startswith("step 30: k* = ")
