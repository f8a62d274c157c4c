"""The rooms of docs/architecture.md: each has a row, whose arrows are those of the source."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT
from tools.documents import arrows
from tools.documents.arrows import HEAD, room_in, room_of, rooms, with_arrows
from tools.rooms import SOURCES

TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
BY_HAND = 4
ROWS = {room: line.split(" | ") for line in TEXT.split("\n") if (room := room_in(line))}
WRITES = re.compile(r"\b(?:INSERT (?:OR \w+ )?INTO|REPLACE INTO|UPDATE [a-z]|DELETE FROM)")
DATABASES = ("timeline:", "accounts", "PostgreSQL", "SQLite")


def test_each_room_has_one_row_with_what_it_reads_and_writes() -> None:
    assert sorted(ROWS) == sorted(rooms())
    assert [room for room, cells in ROWS.items() if not all(cells[:BY_HAND])] == []


def test_arrows_of_the_page_are_those_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    row = "| `edge_agent/camera/` | frames | camera | frames |"
    monkeypatch.setattr(arrows, "imports", lambda: {"edge_agent.camera": {"edge_agent.live"}})
    shown = with_arrows(f"{HEAD}\n|---|---|---|---|\n{row}")
    assert shown.endswith(f"{row} live | none |")


def test_rooms_that_write_a_database_by_sql_say_so() -> None:
    writing = {
        room
        for module, path in SOURCES.items()
        if (room := room_of(module)) and WRITES.search(path.read_text(encoding="utf-8"))
    }
    named = {
        room for room, cells in ROWS.items() if any(one in cells[BY_HAND - 1] for one in DATABASES)
    }
    assert named == writing
