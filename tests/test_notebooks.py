"""The notebooks' cells run as plain Python, without Jupyter, and what they end in shows itself."""

import ast
import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))


def shown(cell: str, names: dict[str, object]) -> object:
    """Run a cell; return what a notebook would show of it."""
    parsed = ast.parse(cell)
    last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
    exec(compile(parsed, "<cell>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names) if last else None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_run_and_end_in_a_picture(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert path.stat().st_size < 300_000
    names: dict[str, object] = {}
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    found = [shown("".join(cell["source"]), names) for cell in cells]
    pages = [one._repr_html_() for one in found if hasattr(one, "_repr_html_")]
    assert any('src="data:image/png;base64,' in page for page in pages)
    assert not any("nan" in page.lower().split("base64")[0] for page in pages)


def test_there_is_one_for_each_door() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["attach", "checkpoints", "study"]
