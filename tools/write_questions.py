"""``python -m tools.write_questions``: write what follows from the register of questions.

Commands that are listed without loading the register, and columns of tables in a bundle for
``edge_agent``, which knows no dashboard. A test says when it is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from edge_agent.timeline.export.column import Column

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ROOT / "dashboard" / "commands" / "questions.json"
TABLES = ROOT / "edge_agent" / "timeline" / "export" / "questions.json"


def written() -> Iterator[tuple[Path, str]]:
    """Yield each file with the text that it should have."""
    yield COMMANDS, _json(commands())
    yield TABLES, _json(tables())


def commands() -> dict[str, tuple[str, str]]:
    """Return each command of a question → ``module:name``, and its line in the list."""
    return {
        one.command_name: (f"dashboard.commands.answers:{one.name}", one.listed)
        for one in QUESTIONS
        if one.has(Way.COMMAND)
    }


def tables() -> dict[str, Any]:
    """Return each table that a question adds to a bundle: its title and its columns."""
    return {
        table.name: {"title": table.title, "columns": [_of_column(one) for one in table.columns]}
        for question in QUESTIONS
        for table in question.tables
    }


def _of_column(column: Column) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(column).items() if value}


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in written():
        path.write_text(text, encoding="utf-8")
