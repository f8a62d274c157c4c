"""The examples in docstrings run, and print what they show."""

from __future__ import annotations

import ast
import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("core", "config", "camera", "vision", "mqtt", "appliance")


def has_example(path: Path) -> bool:
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        ">>> " in (ast.get_docstring(node) or "")
        for node in ast.walk(tree)
        if isinstance(node, nodes)
    )


MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in (ROOT / "affect_edge", *(ROOT / "edge_agent" / room for room in ROOMS))
    for path in sorted(folder.rglob("*.py"))
    if has_example(path)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), raise_on_error=False)
    assert result.attempted > 0
    assert result.failed == 0
