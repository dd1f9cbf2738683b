"""The command line, run in this process."""

import sys
from pathlib import Path

import pytest
from cli_support import TINY, Command, Outcome

from spectraledge.cli import main


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `spectraledge` with arguments; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["spectraledge", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def tiny_run(command: Command, tmp_path: Path) -> Path:
    """Train a tiny run in a folder of its own."""
    folder = tmp_path / "run"
    assert command("train", "add", *TINY, "--out", folder).code == 0
    return folder
