"""The outbox: numbers, order, its bound, two connections at once, and what is lost on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect, write_transaction
from edge_agent.store.write import outbox as module
from edge_agent.store.write.outbox import (
    Outbox,
    OutboxMessage,
    OutboxRow,
    enqueue,
    last_seq,
    leave_out,
    note_hole,
)
from tests.support.timeline import query


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


HOLES = "SELECT topic, first_seq, last_seq, reason FROM outbox_hole ORDER BY id"


DAMAGES = {
    "nothing": b"",
    "torn": b'{"schema":1,"seq":2',
    "zeros": b"\0\0\0\0\0\0\0\0",
    "a zero byte inside": b'{"seq":2,"a":"x\0y"}',
    "a zero byte behind": b'{"seq":2}\0',
    "no UTF-8": b'{"seq":2,"name":"\xff\xfe"}',
    "half a character": b'{"seq":2,"name":"\\ud83d"}',
    "a list": b"[2]",
    "a text": b'"seq"',
    "no number": b'{"seq":2,"mean":NaN}',
    "nested without end": b"[" * 100_000,
    "a digit too many": b'{"seq":' + b"2" * 5000 + b"}",
    "another number": b'{"seq":3}',
}


def spoil(path: Path, seq: int, payload: bytes) -> None:
    with write_transaction(path) as connection:
        connection.execute(
            "UPDATE outbox SET payload = CAST(? AS TEXT) WHERE seq = ?", (payload, seq)
        )


@pytest.mark.parametrize("payload", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_message_is_set_aside_and_the_others_are_sent(
    path: Path, outbox: Outbox, payload: bytes
) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(3)))
    spoil(path, 2, payload)
    assert [row.seq for row in outbox.pending(10)] == [1, 3]
    assert outbox.count() == 2
    assert outbox.set_aside_counts == {"damaged": 1}
    kept = "SELECT topic, seq, payload, reason FROM outbox_set_aside"
    assert query(path, kept) == [("summary", 2, payload, "damaged")]
    assert query(path, HOLES) == [("summary", 2, 2, "damaged")]
    assert [row.seq for row in outbox.pending(10)] == [1, 3]
    assert outbox.set_aside_counts == {"damaged": 1}


@pytest.mark.parametrize("topic", [b"", b"sum#", b"sum\0mary", b"\xff\xff", b"+/summary"])
def test_a_damaged_topic_is_no_reason_to_stop_either(
    path: Path, outbox: Outbox, topic: bytes
) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(3)))
    with write_transaction(path) as connection:
        connection.execute("UPDATE outbox SET topic = CAST(? AS TEXT) WHERE seq = 1", (topic,))
    assert [row.seq for row in outbox.pending(10)] == [2, 3]
    assert outbox.set_aside_counts == {"damaged": 1}


def test_many_damaged_messages_do_not_hide_a_sound_one_behind_them(
    path: Path, outbox: Outbox
) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(400)))
    with write_transaction(path) as connection:
        connection.execute("UPDATE outbox SET payload = '{' WHERE seq < 398")
    assert [row.seq for row in outbox.pending(2)] == [398, 399]
    assert query(path, "SELECT count(*), min(seq) FROM outbox_set_aside") == [(300, 98)]
    assert query(path, HOLES) == [("summary", 1, 397, "damaged")]


def test_what_cannot_be_set_aside_now_does_not_hold_up_the_others(path: Path) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(3)))
    spoil(path, 1, b"{")
    with (
        closing(connect(path, readonly=False)) as other,
        closing(Outbox(path, busy_seconds=0.05)) as outbox,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert [row.seq for row in outbox.pending(10)] == [2, 3]
        assert outbox.set_aside_counts == {}
        other.execute("ROLLBACK")
        assert [row.seq for row in outbox.pending(10)] == [2, 3]
        assert outbox.set_aside_counts == {"damaged": 1}


def test_a_damaged_message_goes_over_the_bound_like_any_other(path: Path, outbox: Outbox) -> None:
    put(path, OutboxMessage("summary", {}))
    spoil(path, 1, b"\xff\0")
    put(path, OutboxMessage("summary", {}), limit=1)
    assert [row.seq for row in outbox.pending(9)] == [2]
    assert query(path, HOLES) == [("summary", 1, 1, "outbox_full")]


def test_what_the_bound_drops_is_one_hole_for_each_topic_that_grows(
    path: Path, outbox: Outbox
) -> None:
    for _ in range(6):
        put(path, OutboxMessage("summary", {}), OutboxMessage("session", {}), limit=4)
    assert query(path, HOLES) == [
        ("summary", 1, 4, "outbox_full"),
        ("session", 1, 4, "outbox_full"),
    ]
    assert outbox.dropped() == 8
    newest = outbox.holes(1)[0]
    assert (newest.topic, newest.first, newest.last) == ("session", 1, 4)
    assert {row.payload["epoch"] for row in outbox.pending(9) if row.payload} == {newest.epoch}


def test_a_number_that_was_given_and_never_arrived_is_a_hole(path: Path) -> None:
    assert last_seq(path, "summary") == 0
    put(path, *(OutboxMessage("summary", {"seq": seq}) for seq in (3, 4, 8)))
    assert query(path, "SELECT seq FROM outbox ORDER BY id") == [(3,), (4,), (8,)]
    assert query(path, HOLES) == [
        ("summary", 1, 2, "not_written"),
        ("summary", 5, 7, "not_written"),
    ]
    assert last_seq(path, "summary") == 8


def test_numbers_neither_go_back_nor_come_twice_whatever_they_were_given(path: Path) -> None:
    put(path, *(OutboxMessage("summary", {"seq": seq}) for seq in (5, 5, 2, 6, 9)))
    seqs = [seq for (seq,) in query(path, "SELECT seq FROM outbox ORDER BY id")]
    assert seqs == [5, 6, 7, 8, 9]
    assert query(path, "SELECT json_extract(payload, '$.seq') FROM outbox") == [(s,) for s in seqs]


def test_a_topic_without_a_past_misses_nothing(path: Path) -> None:
    put(path, OutboxMessage("summary", {"seq": 5000}))
    assert query(path, HOLES) == []


def test_what_is_left_out_leaves_its_number_and_why(path: Path) -> None:
    put(path, OutboxMessage("summary", {"seq": 1}))
    with write_transaction(path) as connection:
        leave_out(connection, OutboxMessage("summary", {"seq": 2}), "erased")
    put(path, OutboxMessage("summary", {"seq": 3}))
    assert query(path, HOLES) == [("summary", 2, 2, "erased")]


def test_what_nobody_is_told_any_more_is_a_hole(path: Path, outbox: Outbox) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(5)), OutboxMessage("session", None))
    outbox.delete([1])
    assert outbox.clear() == 5
    assert query(path, HOLES) == [("summary", 2, 5, "mqtt_off")]


def test_holes_are_kept_up_to_a_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLES_KEPT", 3)
    with write_transaction(path) as connection:
        for seq in range(1, 11, 2):
            note_hole(connection, "summary", seq, seq, "erased")
    assert [first for _, first, _, _ in query(path, HOLES)] == [5, 7, 9]


def test_a_message_remembers_when_it_was_made_by_the_boot_clock(path: Path, outbox: Outbox) -> None:
    put(path, OutboxMessage("summary", {}, made=Instant(boot_ms=4_711, wall_ms=0)))
    assert outbox.pending(1)[0].boot_ms == 4_711
