"""The database is deleted, moved or replaced while the recorder writes."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.batch import BatchWriter
from edge_agent.timeline.write.outbox import Outbox, OutboxMessage
from tests.support.recording import Recording
from tests.support.timeline import query, reading


def seconds_of(path: Path) -> list[int]:
    return [row[0] for row in query(path, "SELECT value FROM vital ORDER BY value")]


@pytest.fixture
def recording(path: Path, recordings: list[Recording]) -> Recording:
    """A recorder that has written a participant's first two readings."""
    Study(path).create_participant("P01")
    recording = Recording(path, safe=Rescue(path), batch_rows=2, retry_seconds=0.05)
    recordings.append(recording)
    recording.submit(reading(0, 60), reading(1, 61))
    recording.committed()
    return recording


def delete(path: Path) -> None:
    for part in ("", "-wal", "-shm"):
        path.with_name(path.name + part).unlink(missing_ok=True)


def wait_for_more(recording: Recording) -> None:
    recording.submit(reading(2, 62), reading(3, 63))
    recording.committed()


def test_deleting_it_during_a_look_costs_nothing(
    path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Rescue.find_damage
    write = BatchWriter.write

    def look_late(rescue: Rescue, *, quick: bool = False) -> str | None:
        delete(path)
        monkeypatch.setattr(Rescue, "find_damage", look)
        return rescue.find_damage(quick=quick)

    def fail_once(*_: object) -> int:
        monkeypatch.setattr(BatchWriter, "write", write)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Rescue, "find_damage", look_late)
    monkeypatch.setattr(BatchWriter, "write", fail_once)
    wait_for_more(recording)
    assert query(path, "SELECT code FROM participant") == [("P01",)]


def test_deleting_it_while_it_is_opened_costs_nothing(
    path: Path, recordings: list[Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    Study(path).create_participant("P01")
    usual = connect

    def connect_and_delete(path: Path, *, readonly: bool, busy_seconds: float) -> object:
        monkeypatch.setattr("edge_agent.timeline.database.followed_file.connect", usual)
        connection = usual(path, readonly=readonly, busy_seconds=busy_seconds)
        delete(path)
        return connection

    monkeypatch.setattr("edge_agent.timeline.database.followed_file.connect", connect_and_delete)
    recording = Recording(path, safe=Rescue(path), batch_rows=2)
    recordings.append(recording)
    wait_for_more(recording)
    assert {62, 63} <= set(seconds_of(path))
    assert query(path, "SELECT code FROM participant") == [("P01",)]


def test_moving_a_new_one_before_it_is_opened_costs_nothing(
    path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_and_move(path: Path, *, readonly: bool, busy_seconds: float) -> object:
        monkeypatch.setattr("edge_agent.timeline.database.followed_file.connect", connect)
        path.rename(path.with_name("elsewhere.db"))
        raise StoreError(f"{path}: cannot be read or written (input/output error).")

    replace = Rescue.replace

    def replace_and_refuse(rescue: Rescue, cause: str) -> None:
        replace(rescue, cause)
        monkeypatch.setattr("edge_agent.timeline.database.followed_file.connect", refuse_and_move)

    monkeypatch.setattr(Rescue, "replace", replace_and_refuse)
    os.truncate(path, 0)
    wait_for_more(recording)
    assert sorted(seconds_of(path)) == [60, 61, 62, 63]


def test_a_moved_database_keeps_what_was_in_its_log(path: Path, recording: Recording) -> None:
    archive = path.parent / "archive"
    archive.mkdir()
    path.rename(archive / "old.db")
    wait_for_more(recording)
    assert {62, 63} <= set(seconds_of(path))
    assert query(path, "SELECT code FROM participant") == [("P01",)]
    assert seconds_of(archive / "old.db") == [60, 61]


def test_a_database_that_is_put_in_the_place_is_gone_on_with(
    path: Path, recording: Recording
) -> None:
    other = path.parent / "other" / path.name
    migrate(other)
    with write_transaction(other) as connection:
        connection.execute("INSERT INTO participant (code, created) VALUES ('P02', 1)")
    other.replace(path)
    wait_for_more(recording)
    assert seconds_of(path) == [62, 63]
    assert query(path, "SELECT code FROM participant") == [("P02",)]
    (kept,) = path.parent.glob("*.damaged.*")
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM vital").fetchone() == (2,)


def test_a_deleted_database_and_its_outbox_go_on_in_a_new_file(
    path: Path, recording: Recording
) -> None:
    outbox = Outbox(path)
    recording.submit(OutboxMessage("summary", {"n": 1}))
    recording.committed()
    assert outbox.count() == 1
    delete(path)
    recording.submit(OutboxMessage("summary", {"n": 2}))
    recording.committed()
    assert query(path, "SELECT code FROM participant") == [("P01",)]
    waiting = outbox.pending(9)
    assert [row.payload and row.payload["n"] for row in waiting] == [1, 2]
    epochs = {row.payload and row.payload["epoch"] for row in waiting}
    assert len(epochs) == 2, "the numbers begin anew"
    outbox.close()
