"""Preregistrations in a bundle: what was decided, with the proof of when.

Of each there is a JSON file for programs and a text for people. ``frozen`` of the JSON file is the
text whose SHA-256 was written down when it was frozen: the time in milliseconds, a line feed, and
the document as it is stored.
"""

from __future__ import annotations

import json
import sqlite3
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from edge_agent.core.clock import iso_utc
from edge_agent.timeline.export.table_schemas import json_file
from edge_agent.timeline.study.preregistrations import Preregistration

FOLDER = "preregistrations"
_WIDTH = 100
_TEXTS = {
    "people": "People who will take part",
    "exclusions": "Who and what will be left out",
    "stopping": "Stopping rule",
    "expectation": "Expected",
    "registered_address": "Preregistered elsewhere, too, as typed",
    "registered_on": "On the day",
}
"""Titles of what is decided beside the question, in this order."""
_CHECK = """To check the SHA-256 where jq is installed:

    jq -j .frozen {path} | sha256sum
"""


def preregistration_files(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Yield path, title and content of the files of all preregistrations, the oldest first."""
    for one in frozen_in(connection):
        path = f"{FOLDER}/{one.id}.json"
        title = f"Preregistration {one.id}, frozen {iso_utc(one.at_ms)}"
        document = _document_of(one)
        yield path, title, json_file(_fields(one, document))
        yield f"{FOLDER}/{one.id}.txt", f"{title}, to read", _text(one, document, title, path)


def frozen_in(connection: sqlite3.Connection) -> Iterator[Preregistration]:
    """Yield the preregistrations, the oldest first."""
    rows = connection.execute("SELECT id, at, document, sha256 FROM preregistration ORDER BY id")
    for row in rows:
        yield Preregistration(*row)


def _document_of(one: Preregistration) -> Any:
    """Return the document as values; ``None`` for one that is no JSON, or no text in UTF-8."""
    try:
        document = json.loads(one.document)
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return document


def _fields(one: Preregistration, document: Any) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": iso_utc(one.at_ms),
        "at_ms": one.at_ms,
        "sha256": one.sha256,
        "intact": one.intact,
        "document": document,
        "frozen": one.frozen,
    }


def _text(one: Preregistration, document: Any, title: str, path: str) -> str:
    """Return a preregistration for people."""
    lines = [title, f"SHA-256 {one.sha256}", ""]
    if not one.intact:
        lines += ["The text does not match its SHA-256: the database was changed after freezing."]
    if isinstance(document, Mapping):
        lines += _lines(document)
    lines += ["", _CHECK.format(path=path), "The frozen text:", "", one.frozen, ""]
    return "\n".join(lines)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    for name, title in _TEXTS.items():
        if document.get(name) not in (None, ""):
            yield _entry(title, str(document[name]))
    question = document.get("question")
    if isinstance(question, Mapping):
        yield "Question:"
        yield from (_entry(f"  {name}", _value(value)) for name, value in question.items())
    windows = document.get("windows") or []
    if windows:
        yield "Windows of response curves:"
        yield from (f"  {json.dumps(one, ensure_ascii=False)}" for one in windows)


def _entry(title: str, text: str) -> str:
    """Lay out a title and its text, wrapped; lines that somebody typed stay lines."""
    first, *more = text.splitlines() or [""]
    wrapped = [
        textwrap.fill(f"{title}: {first}", _WIDTH, subsequent_indent="    "),
        *(textwrap.fill(f"    {line}", _WIDTH, subsequent_indent="    ") for line in more),
    ]
    return "\n".join(wrapped)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not set" if value is None else str(value)
