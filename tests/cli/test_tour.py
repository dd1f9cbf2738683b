"""The commands of the tour, in the order in which it gives them."""

import re
import shlex
from pathlib import Path

import pytest
from cli_support import Command

TOUR = Path(__file__).parents[2] / "docs" / "tour.md"


@pytest.mark.usefixtures("unrastered")
def test_its_commands_run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```console\n(.*?)^```", TOUR.read_text(), flags=re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    assert lines
    for line in lines:
        name, *arguments = shlex.split(line.removeprefix("$ "))
        assert name == "spectraledge"
        outcome = command(*arguments)
        assert outcome.code == 0, f"{line}\n{outcome}"
