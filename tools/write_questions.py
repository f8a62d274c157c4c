"""``python -m tools.write_questions``: write what follows from the register of questions.

Commands that are listed without loading the register, columns of tables in a bundle for
``edge_agent``, which knows no dashboard, and rows of ``docs/``. A test says when it is due.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dashboard.questions.entry import Question, Way
from dashboard.questions.register import QUESTIONS
from edge_agent.timeline.export.column import Column

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = ROOT / "dashboard" / "commands" / "questions.json"
TABLES = ROOT / "edge_agent" / "timeline" / "export" / "questions.json"
DOCS = ROOT / "docs"


def written() -> Iterator[tuple[Path, str]]:
    """Yield each file with the text that it should have."""
    yield COMMANDS, _json(commands())
    yield TABLES, _json(tables())
    for name, rows in (
        ("commands.md", [_command_rows(one) for one in QUESTIONS]),
        ("dashboard.md", [_page_rows(one) for one in QUESTIONS]),
        ("export.md", [_table_rows(one) for one in QUESTIONS]),
    ):
        path = DOCS / name
        yield path, with_rows(path.read_text(encoding="utf-8"), [row for of in rows for row in of])


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


def with_rows(text: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return a document in which each row stands: where one with its beginning was, else below the
    one before it.

    Args:
        text: of the document.
        rows: beginning of each, and the whole row.

    Raises:
        ValueError: the first of the rows stands nowhere.
    """
    lines = text.splitlines()
    place = -1
    for start, row in rows:
        at = next((n for n, line in enumerate(lines) if line.startswith(start)), -1)
        if at >= 0:
            place = at
            lines[place] = row
        elif place >= 0:
            place += 1
            lines.insert(place, row)
        else:
            raise ValueError(f"no row begins with {start}")
    return "\n".join(lines) + "\n"


def _command_rows(one: Question) -> Iterator[tuple[str, str]]:
    if one.has(Way.COMMAND):
        start = f"| `affect-edge {one.command_name}"
        usage = f" {one.documented.usage}" if one.documented.usage else ""
        yield start, f"{start}{usage}` | {one.documented.answers or one.documented.shows} |"


def _page_rows(one: Question) -> Iterator[tuple[str, str]]:
    if one.has(Way.PAGE):
        start = f"| {one.documented.page} |"
        yield start, f"{start} {one.documented.shows} |"


def _table_rows(one: Question) -> Iterator[tuple[str, str]]:
    for table in one.tables:
        if table.about:
            start = f"| `{table.name}.csv` |"
            yield start, f"{start} {table.about} |"


def _of_column(column: Column) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(column).items() if value}


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in written():
        path.write_text(text, encoding="utf-8")
