"""Write the pages of the site into build/docs, from which mkdocs builds it: python docs/make_site.py.

They are those of docs/ and of the repository's root, notebooks that were run, and pages that are made from the code; no
generator has to know how. Notebooks of this build, in build/made, stand in the place of those that are kept in docs/.
"""

import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
BUILD = HERE.parent / "build"
KINDS = (".md", ".png", ".svg", ".webp", ".csv", ".css", ".js")

pages = SimpleNamespace(**runpy.run_path(str(HERE / "site_pages.py")))


def written() -> dict[str, str | Path]:
    """Every page and file of the site by its place: its content, or the file that it is a copy of."""
    files: dict[str, str | Path] = {}
    notebooks: dict[str, str] = {}
    for root in (HERE, BUILD / "made"):
        found = [path for path in sorted(root.rglob("*")) if path.suffix in KINDS]
        files |= {path.relative_to(root).as_posix(): path for path in found}
        notebooks |= {path.stem: path.read_text() for path in sorted((root / "notebooks").glob("*.ipynb"))}
    files |= {f"notebooks/{name}.md": pages.notebook(content) for name, content in notebooks.items()}
    files["gallery.md"] = pages.gallery(notebooks)
    for source, name in pages.MOVED.items():
        files[name] = pages.moved((HERE.parent / source).read_text())
    files |= {name: HERE.parent / name for name in pages.KEPT}
    files["reference/commands.md"] = pages.commands()
    files["reference/index.md"] = pages.reference_index()
    return files | {f"reference/{name}.md": pages.reference(name) for name in pages.packages()}


def main() -> None:
    """Write all of them anew."""
    shutil.rmtree(BUILD / "docs", ignore_errors=True)
    for name, content in written().items():
        place = BUILD / "docs" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path) and content.suffix != ".md":
            shutil.copyfile(content, place)
        else:
            text = content.read_text() if isinstance(content, Path) else content
            place.write_text(pages.fenced(text))


if __name__ == "__main__":
    main()
