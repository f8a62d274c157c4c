"""Erasing a participant from the copies that lie beside the database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.store.database.schema import (
    connect,
    copy_database,
    migrate,
    transaction,
    write_transaction,
)
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.erasure import erase_participant
from tests.support.erasure import CODE, NOTE, bytes_of, everything, hold
from tests.support.timeline import database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


COPY = "affect-edge.db.before-v2"


def with_copy(folder: Path) -> Path:
    """A database with somebody in it, and a copy beside it."""
    path = database(folder)
    with closing(connect(path, readonly=False)) as connection:
        with transaction(connection):
            connection.execute(
                "INSERT INTO participant (code, created) VALUES (?, 1), ('P02', 1)", (CODE,)
            )
            connection.execute(
                "INSERT INTO session (participant, purpose, name, started, ended) VALUES (1, "
                "'research', '', 0, 9), (2, 'research', 'kept', 10, 19), (1, 'research', '', 20, "
                "NULL)"
            )
            connection.executemany(
                "INSERT INTO vital (at, kind, source, value) VALUES (?, 'heart_rate', 'strap', 60)",
                [(5,), (15,), (25,)],
            )
            connection.execute(
                "INSERT INTO marker (session, at, kind, label) VALUES (1, 5, 'note', ?), (2, 15, "
                "'note', 'kept')",
                (NOTE,),
            )
        copy_database(connection, folder / COPY)
    Study(path).end_session()
    return path


def test_a_copy_is_rewritten_without_them(tmp_path: Path) -> None:
    path = with_copy(tmp_path)
    done = erase_participant(path, CODE, actor="ada")
    assert done.copies == (COPY,)
    found = bytes_of(tmp_path)
    assert CODE.lower().encode() not in found
    assert NOTE.lower().encode() not in found
    with closing(sqlite3.connect(tmp_path / COPY)) as connection:
        assert connection.execute(
            "SELECT code, name FROM session JOIN participant USING (id)"
        ).fetchall() == [("P02", "kept")]
        assert connection.execute("SELECT at FROM vital").fetchall() == [(15,)]


def test_a_copy_in_which_they_are_not_stays_and_one_that_cannot_be_read_is_deleted(
    tmp_path: Path, path: Path
) -> None:
    before = tmp_path / "affect-edge.db.before-v2"
    broken = tmp_path / "affect-edge.db.before-v1"
    migrate(before)
    broken.write_bytes(b"no database, but " + CODE.encode())
    content = everything(before)
    hold(path, CODE, 0)
    done = erase_participant(path, CODE, actor="ada")
    assert (done.copies, done.copies_deleted) == ((), (broken.name,))
    assert not broken.exists()
    assert everything(before) == content
    assert CODE.lower().encode() not in bytes_of(tmp_path)


def test_erasing_again_finishes_with_the_copies_where_it_was_cut_short(tmp_path: Path) -> None:
    path = with_copy(tmp_path)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM participant WHERE code = ?", (CODE,))
    assert erase_participant(path, CODE, actor="ada").copies == (COPY,)
    with pytest.raises(StudyError, match="There is no participant"):
        erase_participant(path, CODE, actor="ada")


def test_a_mistyped_code_deletes_nothing(path: Path) -> None:
    beside = [
        path.with_name(f"{path.name}.backup-2026-01-02"),
        path.with_name(f"{path.name}.damaged.20260102T030405Z"),
    ]
    for file in beside:
        file.write_bytes(b"nobody can read this")
    with pytest.raises(StudyError, match="There is no participant 'P99'"):
        erase_participant(path, "P99", actor="command line", outbox_rows=10)
    assert all(file.exists() for file in beside)
