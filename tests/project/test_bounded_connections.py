"""What opens a database bounds what a file of another user may make it read, or says why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("affect_edge", "edge_agent", "dashboard", "collector")
UNBOUNDED = {
    "edge_agent/timeline/database/dashboard_file.py:open_accounts": "its owner alone opens it so",
    "edge_agent/timeline/database/copy.py:copy_database": "a file that this function makes",
    "edge_agent/timeline/database/copy.py:_open_copy": "a copy that an upgrade has made",
    "edge_agent/timeline/database/secure_open.py:_open": "its caller sets the bounds",
    "edge_agent/timeline/export/sqlite.py:_write": "a file that this function makes",
    "edge_agent/timeline/intake/bids.py:_in_order": "an unnamed file that this function makes",
    "edge_agent/timeline/salvage/rescue.py:find_damage": "as the owner it reads every page, "
    "for hours if need be",
}


def functions_that_open(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each function that opens a file of SQLite, and whether it sets bounds."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef):
            continue
        calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        opened = [
            ast.unparse(call)
            for call in calls
            if ast.unparse(call.func) == "sqlite3.connect" and ":memory:" not in ast.unparse(call)
        ]
        if opened:
            is_bounded = any(ast.unparse(call.func) == "set_bounds" for call in calls)
            yield f"{path.relative_to(ROOT)}:{function.name}", is_bounded


def test_database_is_opened_with_bounds_or_a_reason() -> None:
    found = [
        one
        for package in PRODUCT
        for path in sorted((ROOT / package).rglob("*.py"))
        for one in functions_that_open(path)
    ]
    assert any(is_bounded for _, is_bounded in found)
    assert {name for name, is_bounded in found if not is_bounded} == UNBOUNDED.keys()
