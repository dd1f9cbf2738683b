"""The report of a study that is running: when it is written, what it says, and that it stops nothing."""

import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from report_support import Reader, make_run, make_study

from spectraledge.claims.questions import QUESTIONS
from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.claims.verdicts import Verdicts
from spectraledge.pages.document import Page
from spectraledge.pages.page_writer import page_html
from spectraledge.report import interim, report_files, write_report
from spectraledge.report.interim import InterimReport, is_interim, progress_words

NOTHING = Verdicts(pd.DataFrame(), pd.DataFrame(), MeasuredEffects({}, pd.DataFrame()), ())


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def strftime(self, form: str) -> str:
        return "14:05"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(interim, "time", clock)
    return clock


def test_it_is_written_with_the_first_run_and_then_rarely(clock: Clock) -> None:
    written = []

    def write(words: str) -> None:
        written.append(words.partition(":")[0])
        clock.now += 5.0

    report = InterimReport(write, lambda error: pytest.fail(str(error)))

    def update(over: int) -> list[str]:
        report.update(over, 5)
        report.wait()
        return written

    assert update(0) == []
    assert update(1) == ["1 of 5 runs"]
    assert update(1) == ["1 of 5 runs"]
    # Five seconds for one: the next no sooner than a hundred later.
    clock.now += 99.0
    assert update(3) == ["1 of 5 runs"]
    clock.now += 2.0
    assert update(3) == ["1 of 5 runs", "3 of 5 runs"]
    clock.now += 1000.0
    assert update(3) == ["1 of 5 runs", "3 of 5 runs"]
    # All have a score, and other analyses are at work.
    assert update(5) == ["1 of 5 runs", "3 of 5 runs", "5 of 5 runs"]


def test_one_is_written_at_a_time_and_nobody_waits_for_it(clock: Clock) -> None:
    begun, go, written = threading.Event(), threading.Event(), []

    def write(words: str) -> None:
        begun.set()
        assert go.wait(10)
        written.append(words)

    report = InterimReport(write, lambda error: pytest.fail(str(error)))
    report.update(1, 5)
    assert begun.wait(10)
    clock.now += 1000.0
    report.update(2, 5)
    go.set()
    report.wait()
    assert [words.partition(" ")[0] for words in written] == ["1"]


def test_a_failure_is_told_and_tried_again_with_more_runs(clock: Clock) -> None:
    told, tries = [], []

    def write(words: str) -> None:
        tries.append(words)
        raise OSError("no space left")

    report = InterimReport(write, lambda error: told.append(str(error)))
    report.update(1, 5)
    report.wait()
    clock.now += 29.0
    report.update(2, 5)
    report.wait()
    assert len(tries) == 1
    clock.now += 2.0
    report.update(2, 5)
    report.wait()
    assert (len(tries), told) == (2, ["no space left"] * 2)


def test_the_page_says_how_far_the_study_is(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[Page] = []
    study = make_study(tmp_path, make_run("add", effect=0.4))
    claims = QUESTIONS["runs"](study.runs)
    monkeypatch.setattr(report_files, "write_page", lambda page, folder: pages.append(page))
    write_report(study, claims, progress=progress_words(1, 5))
    write_report(study, claims)
    monkeypatch.setattr(report_files, "write_page_and_text", lambda page, folder: pages.append(page))
    monkeypatch.setitem(report_files.COMPOSERS, "runs", lambda study, verdicts: pages[1])
    write_report(study, NOTHING, progress=progress_words(1, 5))
    written = []
    for number, page in enumerate(pages):
        written.append(tmp_path / f"{number}.html")
        written[-1].write_text(page_html(replace(page, sections=(), stage=None), {}))
    assert [is_interim(page) for page in written] == [True, False, True]
    words = Reader(written[0].read_text()).text
    assert "1 of 5 runs: this page was written at 14:05 while the study was running." in words


def test_a_page_of_a_running_study_has_its_figures_in_itself_alone(tmp_path: Path, clock: Clock) -> None:
    study = make_study(tmp_path, make_run("add", effect=0.4))
    claims = QUESTIONS["runs"](study.runs)
    page = write_report(study, claims, progress=progress_words(1, 5))
    assert "<svg" in page.read_text()
    assert "figures/" not in page.read_text()
    assert not (tmp_path / "figures").exists()
    assert "figures/" in write_report(study, claims).read_text()
    assert list((tmp_path / "figures").glob("*.pdf"))
