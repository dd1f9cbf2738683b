"""Pages of the site that are made: links, notebooks, commands; the site itself is built by `make docs`."""

import json
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
PAGES = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "site_pages.py")))


def test_links_of_the_root_lead_to_pages_of_the_site() -> None:
    text = "[a](docs/files.md#columns) ![b](docs/images/b.png) [c](CONTRIBUTING.md) [d](docs/notebooks/d.ipynb) [e](https://e.org/docs/)"
    assert PAGES.moved(text) == (
        "[a](files.md#columns) ![b](images/b.png) [c](contributing.md) [d](notebooks/d.md) [e](https://e.org/docs/)"
    )


def test_words_behind_a_language_are_a_title() -> None:
    assert PAGES.fenced("```python net.py\nx\n```") == '```python title="net.py"\nx\n```'
    assert PAGES.fenced("```text\ny\n```") == "```text\ny\n```"


@pytest.fixture
def book() -> str:
    html = '<div><p><strong>Found &lt;it&gt;.</strong></p><img src="data:image/png;base64,AA=="></div>'
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Words."]},
        {"cell_type": "code", "source": "x = 1\n\nresult", "outputs": [{"data": {"text/html": ["\n", html, "\n\n"]}}]},
        {"cell_type": "code", "source": "print(2)", "outputs": [{"name": "stdout", "text": ["2\n"]}]},
        {"cell_type": "code", "source": "live", "outputs": [{"data": {"text/html": "<pre>a\n  b</pre>"}}]},
    ]
    return json.dumps({"cells": cells})


def test_a_notebook_is_text_code_and_what_it_showed(book: str) -> None:
    page = PAGES.notebook(book)
    assert page.startswith("# Title\n\nWords.\n\n```python\nx = 1\n\nresult\n```\n\n<div class='notebook'>\n<div><p>")
    assert "```text\n2\n```" in page
    # Lines that are drawn keep their places.
    assert "<div class='notebook'><pre>a\n  b</pre></div>" in page


def test_the_gallery_has_each_picture_with_its_finding_and_its_lines(book: str) -> None:
    page = PAGES.gallery({"one": book})
    assert "## [Title](notebooks/one.md)" in page
    assert page.count("<figure>") == 1
    assert "<figcaption>Found &lt;it&gt;.</figcaption></figure>\n\n```python\nresult\n```" in page
    for name in PAGES.STUDY_PICTURES:
        assert (ROOT / "docs" / "images" / name).is_file()


def test_every_command_has_its_options_and_what_they_say() -> None:
    page = PAGES.commands()
    for name in ("train", "analyze", "modes", "score", "report", "doctor", "study run", "checkpoints list"):
        assert f"## spectraledge {name}\n" in page
    section = page.split("## spectraledge modes\n")[1].split("\n## ")[0]
    assert "$ spectraledge modes FOLDER [OPTIONS]" in section
    assert "| `--window` | Updates per window (Xu 2026: 20). | `20` |" in section
    assert "`--center`, `--no-center`" in section
    assert re.search(r"\| `--surrogates` \|.*\| `0` \|\n", page)
    assert "| `` |" not in page


def test_every_page_of_the_reference_is_listed() -> None:
    listed = re.findall(r"reference/(\S+)\.md", (ROOT / "mkdocs.yml").read_text())
    assert sorted(listed) == sorted([*PAGES.packages(), "index", "commands"])
    assert "[`functional_modes`][spectraledge.analyses.functional_modes.functional_modes]" in PAGES.reference_index()
