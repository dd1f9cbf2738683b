"""The pages that show code are run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def test_python_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks("docs/python.md", "python")
    assert len(code) == 5
    exec(compile("\n".join(code), "docs/python.md", "exec"), {})
    assert "Peak(" in capsys.readouterr().out


def test_attach_page_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks("docs/attach.md", "python")
    assert len(code) == 5
    exec(compile("\n".join(code), "docs/attach.md", "exec"), {})
    assert (tmp_path / "tracked" / "edge.parquet").is_file()
    assert capsys.readouterr().out.rstrip().endswith("100")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("library", "written"),
    [
        ("lightning", "tracked/edge.parquet"),
        ("transformers", "tracked/edge.parquet"),
        ("tensorboard", "events"),
        ("wandb", "wandb/latest-run"),
        ("trackio", "trackio/attached.db"),
    ],
)
def test_attach_page_runs_with_other_libraries(
    library: str, written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("docs/attach.md", f"python {library}")
    exec(compile(code, "docs/attach.md", "exec"), {})
    assert (tmp_path / written).exists()


def test_commands_of_the_tour_run(tmp_path: Path) -> None:
    commands = [line for block in blocks("docs/tour.md", "console") for line in block.splitlines()]
    assert commands
    for line in commands:
        arguments = shlex.split(line.removeprefix("$ "))
        assert arguments[0] == "spectraledge"
        code = "from spectraledge.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_every_local_link_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
