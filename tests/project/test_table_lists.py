"""No list of tables is kept by hand beside the register: a new table would be forgotten there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.timeline.database.tables import DASHBOARD, TIMELINE

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = ("affect_edge", "collector", "dashboard", "edge_agent")
TABLES = {table.name for table in (*TIMELINE, *DASHBOARD)}
FEWEST = 3
_COMPARED = "tests/contracts/test_tables_carried.py compares its keys with the register"
_OTHER_FORM = "what files of another form hold; no new table comes into them by itself"
ALLOWED = {
    "collector/database/schema.py: DEVICES": "a migration",
    "dashboard/commands/analyse_bundle.py: _NEEDED": "columns that bundles of all releases have",
    "edge_agent/timeline/database/schema.py: ATTRIBUTED": "tables with a column of attribution",
    "edge_agent/timeline/database/import_step.py: *": "a migration",
    "edge_agent/timeline/database/upgrade_steps.py: _add_attribution": "a migration",
    "edge_agent/timeline/export/table_schemas.py: FILES": f"columns of each table; {_COMPARED}",
    "edge_agent/timeline/export/rows.py: _LINES": f"SQL of each; {_COMPARED}",
    "edge_agent/timeline/export/rows.py: _STUDY": f"SQL of each; {_COMPARED}",
    "edge_agent/timeline/export/source.py: _WEIGHTS": "measured shares of an export's time",
    "edge_agent/timeline/intake/bids.py: __init__": _OTHER_FORM,
    "edge_agent/timeline/intake/staged_rows.py: ABSENT": "what an absent column stands for",
    "edge_agent/timeline/intake/staged_rows.py: _readers": f"columns of each; {_COMPARED}",
    "edge_agent/timeline/intake/recorded.py: _COLUMNS": _OTHER_FORM,
    "edge_agent/timeline/intake/recorded.py: _COUNTED": _OTHER_FORM,
    "edge_agent/timeline/intake/wide.py: COUNTED": _OTHER_FORM,
    "edge_agent/timeline/read/timeline_reader.py: counts": "public: the counts of a status",
    "edge_agent/timeline/salvage/rescue.py: _OF_US": "tells our file from another program's",
}
"""File and name of the constant or function with such a list → why it is one."""


def texts_in(node: ast.expr) -> Iterator[str]:
    """Yield the texts of a literal: its elements, the first of each tuple in it, or its keys."""
    match node:
        case ast.Constant(str(text)):
            yield text
        case ast.Starred(value):
            yield from texts_in(value)
        case ast.Tuple(elements) | ast.List(elements) | ast.Set(elements):
            for one in elements:
                first = one.elts[:1] if isinstance(one, ast.Tuple) else [one]
                for element in first:
                    yield from texts_in(element)
        case ast.Dict(keys):
            for key in keys:
                yield from texts_in(key) if key is not None else ()


def is_list_of_tables(node: ast.AST) -> bool:
    """Tell whether a literal names tables: three or more, and half of its texts or more."""
    if not isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
        return False
    texts = set(texts_in(node))
    return len(texts & TABLES) >= max(FEWEST, len(texts) / 2)


def lists_in(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the constants and functions of a module that list tables."""
    for node in tree.body:
        parts = node.body if isinstance(node, ast.ClassDef) else [node]
        for part in parts:
            if any(is_list_of_tables(one) for one in ast.walk(part)):
                targets = getattr(part, "targets", [getattr(part, "target", part)])
                yield getattr(targets[0], "id", getattr(targets[0], "name", ""))


def lists_of_products() -> set[str]:
    """Return file and name of every list of tables."""
    files = [path for product in PRODUCTS for path in sorted((ROOT / product).rglob("*.py"))]
    return {
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in lists_in(ast.parse(path.read_text("utf-8")))
    }


def test_lists_of_tables_stand_in_the_register_alone() -> None:
    there = lists_of_products()
    migrations = {one for one in there if f"{one.partition(':')[0]}: *" in ALLOWED}
    assert there - migrations == {one for one in ALLOWED if not one.endswith("*")}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A = ('marker', 'session', 'gap')", ["A"]),
        ("A = frozenset({*('marker', 'session'), 'gap'})", ["A"]),
        ("A: dict = {'marker': 1, 'session': 2, 'gap': 3, 'other': 4}", ["A"]),
        ("A = (('marker', 'at'), ('session', 'started'), ('gap', 'ended'))", ["A"]),
        ("class B:\n    def c(self): return ['marker', 'session', 'gap']", ["c"]),
        ("A = ('marker', 'session')", []),
        ("A = {'session': 1, 'participant': 2, 'marker': 3, 'a': 0, 'b': 0, 'c': 0, 'd': 0}", []),
    ],
)
def test_list_of_tables_is_found_by_the_names_in_it(source: str, expected: list[str]) -> None:
    assert list(lists_in(ast.parse(source))) == expected
