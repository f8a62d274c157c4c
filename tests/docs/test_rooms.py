"""The rooms of docs/architecture.md: each has a row, whose arrows are those of the source."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import text_of
from tools import write_rooms
from tools.rooms import SOURCES
from tools.write_rooms import BY_HAND, cells_of, imports, room_in, room_of, rooms, with_arrows

TEXT = text_of("docs/architecture.md")
ROWS = {room: line.split(" | ") for line in TEXT.split("\n") if (room := room_in(line))}
WRITES = re.compile(r"\b(?:INSERT (?:OR \w+ )?INTO|REPLACE INTO|UPDATE [a-z]|DELETE FROM)")
DATABASES = ("timeline:", "accounts", "PostgreSQL", "SQLite")


def test_each_room_has_one_row_with_what_it_reads_and_writes() -> None:
    assert sorted(ROWS) == sorted(rooms())
    assert [room for room, cells in ROWS.items() if not all(cells[:BY_HAND])] == []


def test_arrows_of_the_page_are_those_of_the_source() -> None:
    assert with_arrows(TEXT) == TEXT, "run: make write"


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


def test_arrow_that_is_new_in_the_source_makes_the_page_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more = {**imports(), "edge_agent.camera": frozenset({"edge_agent.live"})}
    monkeypatch.setattr(write_rooms, "imports", lambda: more)
    assert with_arrows(TEXT) != TEXT
    assert cells_of("edge_agent.camera")[0] == "live"
    assert "camera" in cells_of("edge_agent.live")[1]
