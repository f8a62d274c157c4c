"""Daily copies of the database, the look at its soundness, and putting a copy back."""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.copy import copies_beside
from edge_agent.timeline.database.schema import VERSION
from edge_agent.timeline.upkeep.copies import make_daily_copy, restore_copy
from edge_agent.timeline.upkeep.soundness import verify
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue, last_seq
from tests.support.timeline import query

DAY_MS = 86_400_000
NOW_MS = 1_795_162_320_250  # 2026-11-20


def note(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'ada', 'test', ?)", (text,)
        )
        connection.commit()


def notes(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT detail FROM audit ORDER BY id")]


def test_a_copy_holds_what_another_process_has_just_written(path: Path) -> None:
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("SELECT * FROM audit").fetchall()  # it keeps the log
        note(path, "in the log only")
        copy = make_daily_copy(path, now_ms=NOW_MS)
    assert copy.name == "affect-edge.db.backup-2026-11-20"
    assert notes(copy) == ["in the log only"]
    assert sorted(file.name for file in copy.parent.glob("*.backup-*")) == [copy.name], (
        "a copy is one file"
    )


def test_a_copy_that_would_fill_the_disk_is_not_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_daily_copy(path, now_ms=NOW_MS)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(10**9, 6 * 10**8, 4 * 10**8))
    with pytest.raises(StoreError, match=r"was not copied aside: .* the 0 MB that may be"):
        make_daily_copy(path, keep=1, now_ms=NOW_MS + DAY_MS)
    assert list(path.parent.glob("*.backup-*")) == [first]


def test_a_sound_database_passes_and_a_damaged_one_is_named(path: Path) -> None:
    verify(path)
    copy = make_daily_copy(path, now_ms=NOW_MS)
    verify(copy)
    damaged = bytearray(copy.read_bytes())
    damaged[5 * 4096 : 9 * 4096] = b"\x5a" * 4 * 4096
    copy.write_bytes(damaged)
    with pytest.raises(StoreError, match=r"backup-2026-11-20: is damaged"):
        verify(copy)


def test_a_database_of_somebody_else_or_of_a_newer_version_is_no_good_copy(
    path: Path, tmp_path: Path
) -> None:
    for file, statement, said in (
        (path, f"PRAGMA user_version={VERSION + 1}", "update this program"),
        (tmp_path / "other.db", "CREATE TABLE thing (name TEXT)", "not one of Affect Edge"),
    ):
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)
        with pytest.raises(StoreError, match=said):
            verify(file)


def test_damage_that_sqlite_quotes_is_named_though_it_is_no_text(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_schema SET name = CAST(x'ff8000' AS TEXT) WHERE name = 'alert'"
        )
        connection.commit()
    with pytest.raises(StoreError, match=r"affect-edge\.db: "):
        verify(path)


def test_a_reference_to_nothing_is_damage_too(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO marker (session, at, kind, label) VALUES (99, 1, 'note', 'x')"
        )
        connection.commit()
    with pytest.raises(StoreError, match=r"a row of marker refers to none of session"):
        verify(path)


def waiting(path: Path) -> list[tuple[Any, ...]]:
    return query(path, "SELECT json_extract(payload, '$.epoch'), seq FROM outbox ORDER BY id")


def test_a_copy_put_back_counts_its_messages_anew_under_another_epoch(path: Path) -> None:
    send = OutboxMessage("summary", {})
    with write_transaction(path) as connection:
        for _ in range(3):
            enqueue(connection, send, 100)
    copy = make_daily_copy(path, now_ms=NOW_MS)
    with write_transaction(path) as connection:
        enqueue(connection, send, 100)
    before = {epoch for epoch, _ in waiting(path)}
    restore_copy(path, copy)
    assert last_seq(path, "summary") == 0
    with write_transaction(path) as connection:
        enqueue(connection, send, 100)
    assert {epoch for epoch, _ in waiting(path)[:3]} == before
    new = waiting(path)[3][0]
    assert new not in before
    assert [seq for _, seq in waiting(path)] == [1, 2, 3, 1]
    assert query(path, "SELECT * FROM outbox_hole") == []
    restore_copy(path, copy)
    assert {epoch for epoch, _ in waiting(path)} == before
    assert query(path, "SELECT value FROM setting WHERE key = 'stream_epoch'") != [(new,)]


def test_a_copy_is_put_back_and_something_else_is_not(path: Path, tmp_path: Path) -> None:
    note(path, "kept")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE thing (name TEXT)")
        connection.commit()
    with pytest.raises(StoreError, match="not one of Affect Edge"):
        restore_copy(path, other)
    other.write_text("no database at all, but a long enough text " * 30)
    with pytest.raises(StoreError, match="is not a database"):
        restore_copy(path, other)
    assert notes(path) == ["kept"]
    copy = make_daily_copy(path, now_ms=NOW_MS)
    note(path, "after")
    aside = restore_copy(path, copy)
    note(path, "again")
    assert notes(path) == ["kept", "again"]
    assert aside is not None and aside in copies_beside(path)
    assert notes(aside) == ["kept", "after"]
