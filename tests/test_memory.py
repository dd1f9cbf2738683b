"""What cannot fit is refused with the estimate."""

from pathlib import Path

import pytest

from spectraledge import named_task
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.spectra import analyze_folder
from spectraledge.analyses.step import analyze_step
from spectraledge.errors import InputError
from spectraledge.memory import check_memory, free_memory


def test_there_is_memory_and_not_without_end() -> None:
    assert 1 << 20 < free_memory() < 1 << 50
    check_memory(1, "a byte", "nothing")
    with pytest.raises(InputError, match=r"a byte needs at least [\d,.]+ GB of memory, and .* free: buy more"):
        check_memory(1 << 60, "a byte", "buy more")


def test_a_task_that_is_too_large_is_refused_before_it_is_made() -> None:
    with pytest.raises(InputError, match=r"the pairs of 10,000,000 residues needs at least 3,200,000\.0 GB"):
        named_task("add", modulus=10_000_000)


def test_estimates_hold_beside_what_is_taken(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = AnalysisConfig(window=5, nulls=4)
    analyze_step(run, settings)
    monkeypatch.setattr("spectraledge.memory.free_memory", lambda: 10_000)
    with pytest.raises(InputError, match=r"measuring 9 directions on \d+ pairs needs at least .*fewer null directions"):
        analyze_step(run, settings)
    with pytest.raises(InputError, match=r"a window of 5 updates needs at least .*analyze --block"):
        analyze_folder(run, window=5)
    assert len(analyze_folder(run, window=5, block=100).edge) == 6
