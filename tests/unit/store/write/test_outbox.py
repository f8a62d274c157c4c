"""The outbox: numbers, order, its bound, and two connections at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect, write_transaction
from edge_agent.store.write.outbox import Outbox, OutboxMessage, OutboxRow, enqueue
from tests.support.timeline import database, query


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    with closing(Outbox(path)) as opened:
        yield opened


def put(path: Path, *messages: OutboxMessage, limit: int = 1000) -> None:
    with write_transaction(path) as connection:
        for message in messages:
            enqueue(connection, message, limit)


def without_epoch(row: OutboxRow) -> dict[str, Any] | None:
    """The payload without what differs from database to database."""
    return row.payload and {name: v for name, v in row.payload.items() if name != "epoch"}


def test_messages_come_out_in_the_order_they_went_in_until_they_are_deleted(
    path: Path, outbox: Outbox
) -> None:
    put(
        path,
        OutboxMessage("summary", {"n": 1}),
        OutboxMessage("session", {"n": 2}),
        OutboxMessage("summary", {"n": 3}),
    )
    waiting = outbox.pending(10)
    assert [(row.topic, row.seq, without_epoch(row)) for row in waiting] == [
        ("summary", 1, {"n": 1, "seq": 1}),
        ("session", 1, {"n": 2, "seq": 1}),
        ("summary", 2, {"n": 3, "seq": 2}),
    ]
    assert [row.id for row in outbox.pending(10, after=waiting[0].id)] == [
        row.id for row in waiting[1:]
    ]
    assert [row.id for row in outbox.pending(1)] == [waiting[0].id]
    outbox.delete([waiting[0].id, waiting[1].id, waiting[0].id, 4711])
    assert [without_epoch(row) for row in outbox.pending(10)] == [{"n": 3, "seq": 2}]
    assert outbox.count() == 1


def test_numbers_go_on_after_the_rows_are_gone(path: Path, outbox: Outbox) -> None:
    put(path, OutboxMessage("summary", {}))
    outbox.delete([row.id for row in outbox.pending(10)])
    put(path, OutboxMessage("summary", {}))
    assert [row.seq for row in outbox.pending(10)] == [2]


def test_a_message_that_is_not_sequenced_has_no_number(path: Path, outbox: Outbox) -> None:
    put(path, OutboxMessage("status", {"state": "online"}, sequenced=False))
    assert [(row.seq, row.payload) for row in outbox.pending(10)] == [(None, {"state": "online"})]


def test_text_of_every_alphabet_comes_back_as_it_was(path: Path, outbox: Outbox) -> None:
    put(path, OutboxMessage("session", {"name": "Grüße “日本” 🙂"}))
    assert without_epoch(outbox.pending(1)[0]) == {"name": "Grüße “日本” 🙂", "seq": 1}


def test_beyond_its_bound_the_oldest_messages_go_and_are_counted(
    path: Path, outbox: Outbox
) -> None:
    put(path, *(OutboxMessage("summary", {"n": n}) for n in range(25)), limit=10)
    assert [without_epoch(row) for row in outbox.pending(100)] == [
        {"n": n, "seq": n + 1} for n in range(15, 25)
    ]
    assert outbox.count() == 10
    assert outbox.dropped() == 15
    put(path, OutboxMessage("summary", {"n": 25}), limit=10)
    assert outbox.dropped() == 16


def test_a_transaction_that_is_undone_takes_message_and_number_with_it(
    path: Path, outbox: Outbox
) -> None:
    with pytest.raises(StoreError), write_transaction(path) as connection:
        _enqueue_and_fail(connection)
    assert outbox.count() == 0
    put(path, OutboxMessage("summary", {}))
    assert [row.seq for row in outbox.pending(1)] == [1]


def _enqueue_and_fail(connection: sqlite3.Connection) -> None:
    enqueue(connection, OutboxMessage("summary", {}), 10)
    connection.execute("INSERT INTO nowhere VALUES (1)")


def test_an_agent_without_a_broker_forgets_what_nobody_will_hear(
    path: Path, outbox: Outbox
) -> None:
    put(path, OutboxMessage("session", {}), OutboxMessage("session", {}))
    assert outbox.clear() == 2
    assert outbox.count() == 0


def test_what_another_connection_queues_is_seen_at_once(path: Path, outbox: Outbox) -> None:
    assert outbox.pending(10) == []
    put(path, OutboxMessage("session", {"event": "marker"}))
    assert len(outbox.pending(10)) == 1


def test_a_change_by_another_connection_is_told_once(path: Path, outbox: Outbox) -> None:
    outbox.has_changed()
    assert not outbox.has_changed()
    put(path, OutboxMessage("session", {"event": "marker"}))
    assert outbox.has_changed()
    assert not outbox.has_changed()
    outbox.delete([row.id for row in outbox.pending(1)])
    assert not outbox.has_changed(), "what it deletes itself is no news"


def test_a_closed_outbox_opens_again_when_it_is_asked(path: Path, outbox: Outbox) -> None:
    outbox.count()
    outbox.close()
    outbox.close()
    assert outbox.count() == 0


def test_deleting_waits_for_a_writer_and_then_says_that_it_is_locked(path: Path) -> None:
    put(path, OutboxMessage("summary", {}))
    with (
        closing(connect(path, readonly=False)) as recorder,
        closing(Outbox(path, busy_seconds=0.05)) as impatient,
    ):
        waiting = impatient.pending(1)
        recorder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another program"):
            impatient.delete([waiting[0].id])
        recorder.execute("ROLLBACK")
        impatient.delete([waiting[0].id])
    assert query(path, "SELECT count(*) FROM outbox") == [(0,)]
