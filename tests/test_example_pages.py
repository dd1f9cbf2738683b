"""The worked examples are run as they are written, and find what the pages say."""

import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


def run(page: str) -> dict[str, object]:
    code = re.findall(r"```python\n(.*?)```", (EXAMPLES / page).read_text(), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile("\n".join(code), page, "exec"), names)
    return names


def printed(page: str) -> list[str]:
    """Lines of the page's output."""
    return "".join(re.findall(r"```text\n(.*?)```", (EXAMPLES / page).read_text(), flags=re.DOTALL)).splitlines()


def test_sparse_parity_is_selected_and_shuffled_answers_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    table = run("sparse-parity.md")["table"]
    parity, control = table[table["run"] == "parity"], table[table["run"] == "control"]
    assert (parity["leader"] == "1,4,8").all()
    assert (parity.loc[parity["step"] == 400, "ratio"] > 15).all()
    assert (parity.loc[parity["step"] == 400, "unseen"] > 0.95).all()
    assert control["ratio"].max() < 0.5
    assert control["of leader"].max() < 6
    assert control["unseen"].max() < 0.6
    found, expected = capsys.readouterr().out.splitlines(), printed("sparse-parity.md")
    assert found[0].split() == expected[0].split()
    assert len(found) == len(expected)


def test_language_model_moves_what_random_directions_move(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("char-lm.md")
    selection, leading = names["selection"], names["leading"]
    alone = selection[selection["basis"] == "alone"]
    assert (alone["random_share"] > 2 * alone["chance"]).all()
    assert (alone["window_share"] > 2 * alone["chance"]).all()
    assert selection["ratio"].between(0.5, 1.6).all()
    assert leading["p_ratio"].min() > 0.05
    found, expected = capsys.readouterr().out.splitlines(), printed("char-lm.md")
    assert found[0] == expected[0]
    assert len(found) == len(expected)


@pytest.mark.parametrize("page", sorted(page.name for page in EXAMPLES.glob("*.md")))
def test_links_of_examples_lead_somewhere(page: str) -> None:
    prose = re.sub(r"```.*?```", "", (EXAMPLES / page).read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
        assert (EXAMPLES / target).exists(), f"{page} links to {target}"
