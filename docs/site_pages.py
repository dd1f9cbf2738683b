"""Pages of the site that are not files of docs/: made from the repository's own pages, notebooks and code."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "spectraledge"

MOVED = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages of the repository's root by their names on the site."""

KEPT = ("LICENSE", "CITATION.cff")
"""Files of the root that pages link to."""

MODULES = (
    "analyses.functional_modes",
    "analyses.spectra",
    "analyses.settings",
    "analyses.run_result",
    "display",
    "errors",
)
"""Modules of packages without public names of their own that have a page."""

_PICTURE = re.compile(r'<img src="data:image/png;base64,[^>]*>')
_FOUND = re.compile("<p><strong>(.*?)</strong></p>", flags=re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_FENCE = re.compile(r"^```(\w+) (\S.*)$", flags=re.MULTILINE)


def moved(text: str) -> str:
    """A page of the repository's root with links as they are from inside of docs/."""
    return _LINK.sub(lambda link: f"]({_place(link[1])}", text)


def _place(target: str) -> str:
    inside = MOVED.get(target, target.removeprefix("docs/"))
    return inside.removesuffix(".ipynb") + ".md" if inside.endswith(".ipynb") else inside


def fenced(text: str) -> str:
    """A page whose blocks of code have the words behind their language as a title."""
    return _FENCE.sub(lambda fence: f'```{fence[1]} title="{fence[2]}"', text)


def notebook(content: str) -> str:
    """A notebook that was run, as Markdown: its text, its code, and what that showed."""
    parts = []
    for cell in json.loads(content)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_output(output) for output in cell.get("outputs", ())]
    return "\n\n".join(parts) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "text/html" in data:
        # An empty line would end a block of HTML.
        lines = [line for line in "".join(data["text/html"]).splitlines() if line.strip()]
        if lines[0].startswith("<pre>"):
            return "<div class='notebook'>" + "\n".join(lines) + "</div>"
        return "<div class='notebook'>\n" + "\n".join(line.strip() for line in lines) + "\n</div>"
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```"


STUDY_PICTURES = {
    "score.webp": "A network learns to add, beside a control that never does: its answers over all pairs, and the "
    "functions that they are made of.",
    "wave.png": "The response of one direction of training, for every input: as it is, and re-ordered.",
    "shares.png": "How much of each direction's effect is a function of the task's own variable, beside nulls.",
    "selection.png": "Selection ratio of the task's own functions and of all others, for learned tasks and controls.",
}
"""Pictures of the study `quick` in docs/images, and what they show."""


def gallery(notebooks: Mapping[str, str]) -> str:
    """The page of pictures: those that notebooks show, with the lines that made each, and those of a whole study.

    Args:
        notebooks: Notebooks that were run, by their names.

    Returns:
        Markdown.
    """
    parts = ["# Gallery", "Every picture is made by code that runs: below it stand the lines, or the command."]
    for name, content in notebooks.items():
        cells = json.loads(content)["cells"]
        title = "".join(cells[0]["source"]).splitlines()[0].removeprefix("# ")
        parts.append(f"## [{title}](notebooks/{name}.md)")
        for cell in cells:
            for output in cell.get("outputs", ()):
                html = "".join(output.get("data", {}).get("text/html", ""))
                if (picture := _PICTURE.search(html)) and (found := _FOUND.search(html)):
                    lines = "".join(cell["source"]).rsplit("\n\n", 1)[-1]
                    parts += [f"<figure>{picture[0]}<figcaption>{found[1]}</figcaption></figure>"]
                    parts += [f"```python\n{lines}\n```"]
    parts.append("## A study of three tasks and two controls")
    for name, words in STUDY_PICTURES.items():
        parts.append(f"![{words}](images/{name})\n\n*{words}*")
    parts.append("```console\n$ spectraledge study run quick\n```")
    return "\n\n".join(parts) + "\n"


def packages() -> list[str]:
    """Packages with public names, and `MODULES`, in order."""
    found = {path.parent.name for path in SOURCE.glob("*/__init__.py") if _public(path)}
    # What the command line says has a page of its own.
    return sorted([*found - {"cli"}, *MODULES])


def _public(path: Path) -> list[str]:
    """The names in a module's `__all__`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def reference(name: str) -> str:
    """The page of a package or module, which its docstrings fill."""
    return f"# spectraledge.{name}\n\n::: spectraledge.{name}\n"


def reference_index() -> str:
    """The page of the names that a user needs first, each with a link to where it is described."""
    homes = {
        alias.name: str(node.module)
        for node in ast.walk(ast.parse((SOURCE / "__init__.py").read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spectraledge.")
        for alias in node.names
    }
    rows = [f"| [`{name}`][{homes[name]}.{name}] | `{homes[name]}` |" for name in _public(SOURCE / "__init__.py")]
    text = [
        "# Python",
        "Names of `spectraledge` itself; each is imported when it is first used.",
        "| name | of |\n|---|---|",
    ]
    return "\n\n".join(text) + "\n" + "\n".join(rows) + "\n"


def commands() -> str:
    """The page of every command, from what `--help` says."""
    import typer.main

    from spectraledge.cli.app import app

    parts = ["# Commands", "What `spectraledge COMMAND --help` says, of all commands."]
    parts += _commands(typer.main.get_command(app), "spectraledge")
    return "\n\n".join(parts) + "\n"


def _commands(command: Any, name: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        for one in command.commands:
            yield from _commands(command.commands[one], f"{name} {one}")
        return
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    yield f"## {name}"
    yield _words(command.help)
    places = "".join(f" {one.name.upper()}{'...' if one.nargs < 0 else ''}" for one in arguments)
    yield f"```console\n$ {name}{places} [OPTIONS]\n```"
    rows = [f"| `{one.name.upper()}` | {_words(one.help)} | |" for one in arguments]
    for one in command.params:
        if one not in arguments:
            flags = ", ".join(f"`{flag}`" for flag in (*one.opts, *one.secondary_opts))
            rows.append(f"| {flags} | {_words(one.help)} | {_default(one)} |")
    yield "| | | default |\n|---|---|---|\n" + "\n".join(rows)
    if command.epilog:
        yield f"```console\n$ {command.epilog.removeprefix('Example:').strip().replace(chr(92), '')}\n```"


def _words(text: str | None) -> str:
    return escape(" ".join((text or "").split()), quote=False).replace("|", "\\|")


def _default(option: Any) -> str:
    default = option.default
    # Not `default in (...)`: 0, which equals False, is said.
    unsaid = default is None or default is False or default in ("", ()) or callable(default)
    return "" if unsaid else f"`{getattr(default, 'value', default)}`"
