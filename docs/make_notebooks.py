"""Run docs/notebooks/*.ipynb from the first cell to the last and write them with what they show.

python docs/make_notebooks.py docs/notebooks     # as they are kept
python docs/make_notebooks.py build/made/notebooks
"""

import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

NOTEBOOKS = Path(__file__).parent / "notebooks"
MOST_BYTES = 300_000


def run(path: Path) -> nbformat.NotebookNode:
    """One notebook with its outputs, run in an empty folder; nothing in it tells when or where that was."""
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": folder}}).execute()
    book.metadata = {name: book.metadata[name] for name in ("kernelspec", "language_info")}
    book.metadata["language_info"] = {"name": "python"}
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [plain(output) for output in cell.outputs]
    return book


def plain(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """An output without what differs from run to run, and as text only where there is nothing better."""
    output.pop("transient", None)
    if "text/html" in output.get("data", {}):
        output["data"] = {"text/html": output["data"]["text/html"]}
    return output


def main() -> None:
    """Write all notebooks into a folder."""
    os.environ["PYTHONWARNINGS"] = "ignore"
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        content = nbformat.writes(run(path)) + "\n"
        assert len(content) < MOST_BYTES, f"{path.name} has {len(content):,} bytes: show less"
        (into / path.name).write_text(content)


if __name__ == "__main__":
    main()
