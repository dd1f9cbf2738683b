"""The pages that show code are run."""

import math
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

from spectraledge.interventions.intervention import SETTINGS, SUBSPACES

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def test_python_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks("docs/python.md", "python")
    assert len(code) == 6
    exec(compile("\n".join(code), "docs/python.md", "exec"), {})
    assert "Peak(" in (printed := capsys.readouterr().out)
    assert printed.splitlines()[-1].startswith("forward ")


def test_groups_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("docs/groups.md", "python")
    exec(compile(code, "docs/groups.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed[-3:] == ["11 classes of subgroups", "S4 0.0", "S4 True"]


def test_attach_page_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks("docs/attach.md", "python")
    assert len(code) == 5
    exec(compile("\n".join(code), "docs/attach.md", "exec"), {})
    assert (tmp_path / "tracked" / "edge.parquet").is_file()
    assert capsys.readouterr().out.rstrip().endswith("100")


def test_interventions_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks("docs/interventions.md", "python")
    assert len(code) == 3
    exec(compile("\n".join(code), "docs/interventions.md", "exec"), {})
    assert "remove:edge:3,params=*weight" in (printed := capsys.readouterr().out)
    assert printed.rstrip().endswith("True")


def test_interventions_page_lists_every_subspace_and_setting() -> None:
    text = (ROOT / "docs/interventions.md").read_text()
    named = {words.split(",")[0] for name, words in SUBSPACES.items() if name != "given"}
    assert named <= set(re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE))
    settings = " ".join(re.findall(r"^\| (`[^|]+) \|", text, flags=re.MULTILINE))
    assert {name for name in SETTINGS if f"`{name}`" not in settings} == set()


def test_alerts_page_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = blocks("docs/alerts.md", "python")
    assert len(code) == 4
    exec(compile("\n".join(code), "docs/alerts.md", "exec"), {})
    assert "a spike stands" in (printed := capsys.readouterr().out)
    assert printed.rstrip().endswith("[400]")


def test_alerts_page_shows_the_measured_lead_times() -> None:
    """The rows on the page are those of the table with alarms in at least half of the grokking runs."""
    table = pd.read_csv(ROOT / "docs/results/lead-times.csv")
    shown = re.findall(
        r"^\| (\w+ \| \w+ \| \d+ \| .*%?.*) \|$", (ROOT / "docs/alerts.md").read_text(), flags=re.MULTILINE
    )
    chosen = table[table["ever"] >= 0.5].sort_values("lead", ascending=False, kind="stable")

    def between(row: pd.Series, name: str, low: str, high: str, scale: float) -> str:
        value, *ends = ("none" if row[c] == -math.inf else f"{scale * row[c]:.0f}" for c in (name, low, high))
        return f"{value} ({' to '.join(ends)})"

    expected = [
        " | ".join(
            [
                row["quantity"],
                row["change"],
                str(row["window"]),
                between(row, "before", "before_low", "before_high", 100),
                f"{100 * row['ever']:.0f}",
                between(row, "false_alarms", "false_low", "false_high", 100),
                between(row, "lead", "lead_low", "lead_high", 1),
                "" if math.isnan(row["follows"]) else f"{row['follows']:.2f}",
            ]
        )
        for _, row in chosen.iterrows()
    ]
    assert shown == expected


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


def test_every_local_link_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_page_of_files_has_every_table_as_the_code_declares_it() -> None:
    text = (ROOT / "docs/files.md").read_text()
    assert runpy.run_path(str(ROOT / "docs/make_tables.py"))["page"](text) == text
