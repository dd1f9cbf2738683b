"""The command line, run in this process, and a tiny run that it trained."""

import shutil
import sys
from pathlib import Path

import pytest
from cli_support import TINY, Command, Outcome

from spectraledge.cli import main


def code_of(*arguments: object) -> int:
    """Run `spectraledge` with arguments; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["spectraledge", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return int(stop.code or 0)
    return 0


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run `spectraledge` with arguments; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> Outcome:
        code = code_of(*arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny run once."""
    folder = tmp_path_factory.mktemp("tiny") / "run"
    assert code_of("train", "add", *TINY, "--out", folder) == 0
    return folder


@pytest.fixture
def tiny_run(trained_run: Path, tmp_path: Path) -> Path:
    """A tiny run in a folder of its own."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))
