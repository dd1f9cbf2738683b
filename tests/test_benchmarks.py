"""Benchmarks, which no other test runs, ask the package for nothing that it has not."""

import ast
import importlib
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_benchmarks_import_is_there(path: Path) -> None:
    asked = [
        (node.module, name.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spectraledge")
        for name in node.names
    ]
    missing = [f"{module}.{name}" for module, name in asked if not hasattr(importlib.import_module(module), name)]
    assert not missing
