"""The outbox: numbers, order, its bound, two connections at once, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.write import outbox as module
from edge_agent.timeline.write.outbox import (
    Outbox,
    OutboxMessage,
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


def test_messages_come_out_in_order_until_they_are_deleted(path: Path, outbox: Outbox) -> None:
    begun = clock.now()
    put(
        path,
        OutboxMessage("summary", {"n": 1}, made=Instant(boot_ms=4_711, wall_ms=0)),
        OutboxMessage("session", {"name": "Grüße “日本” 🙂"}),
        OutboxMessage("status", {"state": "online"}, sequenced=False),
        OutboxMessage("summary", {"n": 3}),
    )
    waiting = outbox.pending(10)
    epoch = (waiting[0].payload or {})["epoch"]
    assert [(row.topic, row.seq, row.payload) for row in waiting] == [
        ("summary", 1, {"n": 1, "seq": 1, "epoch": epoch}),
        ("session", 1, {"name": "Grüße “日本” 🙂", "seq": 1, "epoch": epoch}),
        ("status", None, {"state": "online"}),
        ("summary", 2, {"n": 3, "seq": 2, "epoch": epoch}),
    ]
    assert waiting[0].boot_ms == 4_711
    assert waiting[0].boot_id == clock.boot_id()
    assert begun.wall_ms <= waiting[0].created_ms <= clock.now().wall_ms
    assert begun.boot_ms <= (waiting[1].boot_ms or 0) <= clock.now().boot_ms
    assert outbox.pending(1) == waiting[:1]
    outbox.delete([waiting[0].id, waiting[1].id, waiting[0].id, 4711])
    assert outbox.pending(10) == waiting[2:]
    outbox.close()
    assert outbox.count() == 2
    outbox.delete([row.id for row in waiting])
    put(path, OutboxMessage("summary", {}))
    assert [row.seq for row in outbox.pending(10)] == [3], "numbers go on after the rows are gone"


def test_a_change_by_another_connection_is_reported_once(path: Path, outbox: Outbox) -> None:
    outbox.has_changed()
    assert not outbox.has_changed()
    put(path, OutboxMessage("session", {"event": "marker"}))
    assert outbox.has_changed()
    assert not outbox.has_changed()
    outbox.delete([row.id for row in outbox.pending(1)])
    assert not outbox.has_changed(), "what it deletes itself is no news"


def test_deleting_waits_for_a_writer_and_then_says_that_it_is_locked(path: Path) -> None:
    put(path, OutboxMessage("summary", {}))
    errors: list[StoreError] = []
    with (
        closing(connect(path, readonly=False)) as recorder,
        closing(Outbox(path, busy_seconds=0.05, on_error=errors.append)) as impatient,
    ):
        waiting = impatient.pending(1)
        recorder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another program"):
            impatient.delete([waiting[0].id])
        recorder.execute("ROLLBACK")
        impatient.delete([waiting[0].id])
    assert query(path, "SELECT count(*) FROM outbox") == [(0,)]
    assert len(errors) == 1


HOLES = "SELECT topic, first_seq, last_seq, reason FROM outbox_hole ORDER BY id"


DAMAGES = {
    "nothing": b"",
    "torn": b'{"schema":1,"seq":2',
    "a zero byte inside": b'{"seq":2,"a":"x\0y"}',
    "no UTF-8": b'{"seq":2,"name":"\xff\xfe"}',
    "half a character": b'{"seq":2,"name":"\\ud83d"}',
    "a list": b"[2]",
    "no number": b'{"seq":2,"mean":NaN}',
    "nested without end": b"[" * 100_000,
    "a digit too many": b'{"seq":' + b"2" * 5000 + b"}",
    "another number": b'{"seq":3}',
}


def spoil(path: Path, seq: int, content: bytes, column: str = "payload") -> None:
    with write_transaction(path) as connection:
        change = f"UPDATE outbox SET {column} = CAST(? AS TEXT) WHERE seq = ?"
        connection.execute(change, (content, seq))


@pytest.mark.parametrize("payload", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_message_is_set_aside_alone(path: Path, outbox: Outbox, payload: bytes) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(3)))
    spoil(path, 2, payload)
    kept = "SELECT topic, seq, payload, reason, at >= created AND created FROM outbox_set_aside"
    for _ in range(2):
        assert [row.seq for row in outbox.pending(10)] == [1, 3]
        assert outbox.set_aside_counts == {"damaged": 1}
    assert query(path, kept) == [("summary", 2, payload, "damaged", 1)]
    assert query(path, HOLES) == [("summary", 2, 2, "damaged")]


@pytest.mark.parametrize("topic", [b"", b"sum#", b"sum\0mary", b"\xff\xff"])
def test_a_damaged_topic_is_no_reason_to_stop_either(
    path: Path, outbox: Outbox, topic: bytes
) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(3)))
    spoil(path, 1, topic, "topic")
    assert [row.seq for row in outbox.pending(10)] == [2, 3]
    assert outbox.set_aside_counts == {"damaged": 1}


def test_damaged_messages_do_not_hide_a_sound_one(path: Path, outbox: Outbox) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(400)))
    with write_transaction(path) as connection:
        connection.execute("UPDATE outbox SET payload = '{' WHERE seq < 398")
    assert [row.seq for row in outbox.pending(2)] == [398, 399]
    assert query(path, "SELECT count(*), min(seq) FROM outbox_set_aside") == [(300, 98)]
    assert query(path, HOLES) == [("summary", 1, 397, "damaged")]


def test_message_that_cannot_be_set_aside_does_not_hold_up_others(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(3)))
    spoil(path, 1, b"{")
    with (
        closing(connect(path, readonly=False)) as other,
        closing(Outbox(path, busy_seconds=0.05)) as outbox,
    ):
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            assert [row.seq for row in outbox.pending(10)] == [2, 3]
        assert outbox.set_aside_counts == {}
        assert caplog.text.count("could not be set aside") == 1
        other.execute("ROLLBACK")
        assert [row.seq for row in outbox.pending(10)] == [2, 3]
        assert outbox.set_aside_counts == {"damaged": 1}


def test_a_damaged_message_goes_over_the_bound_like_any_other(path: Path, outbox: Outbox) -> None:
    put(path, OutboxMessage("summary", {}))
    spoil(path, 1, b"\xff\0")
    put(path, OutboxMessage("summary", {}), limit=1)
    assert [row.seq for row in outbox.pending(9)] == [2]
    assert query(path, HOLES) == [("summary", 1, 1, "outbox_full")]


def test_what_the_bound_drops_is_one_hole_a_topic(path: Path, outbox: Outbox) -> None:
    for _ in range(6):
        put(path, OutboxMessage("summary", {}), OutboxMessage("session", {}), limit=4)
    assert query(path, HOLES) == [
        ("summary", 1, 4, "outbox_full"),
        ("session", 1, 4, "outbox_full"),
    ]
    assert outbox.count_dropped() == 8
    newest = outbox.holes(1)[0]
    assert (newest.topic, newest.first, newest.last) == ("session", 1, 4)
    assert {row.payload["epoch"] for row in outbox.pending(9) if row.payload} == {newest.epoch}


def test_numbers_rise_and_those_passed_over_are_holes(path: Path) -> None:
    put(path, *(OutboxMessage("session", {"seq": seq}) for seq in (5000, 5000, 2, 5002)))
    assert query(path, "SELECT seq FROM outbox ORDER BY id") == [(n,) for n in range(5000, 5004)]
    assert query(path, HOLES) == [], "a topic without a past misses nothing"
    assert last_seq(path, "summary") == 0
    put(path, *(OutboxMessage("summary", {"seq": seq}) for seq in (3, 5)))
    with write_transaction(path) as connection:
        leave_out(connection, OutboxMessage("summary", {"seq": 6}), "erased")
    put(path, OutboxMessage("summary", {"seq": 7}))
    numbers = "SELECT seq, json_extract(payload, '$.seq') FROM outbox WHERE topic = 'summary'"
    assert query(path, numbers) == [(seq, seq) for seq in (3, 5, 7)]
    assert query(path, HOLES) == [
        ("summary", 1, 2, "not_written"),
        ("summary", 4, 4, "not_written"),
        ("summary", 6, 6, "erased"),
    ]
    assert last_seq(path, "summary") == 7


def test_message_that_is_never_sent_is_a_hole(path: Path, outbox: Outbox) -> None:
    put(path, *(OutboxMessage("summary", {}) for _ in range(5)), OutboxMessage("session", None))
    outbox.delete([1])
    with write_transaction(path) as connection:
        before = "UPDATE outbox SET payload = json_replace(payload, '$.epoch', 'before')"
        connection.execute(f"{before} WHERE seq = 2")
    assert outbox.clear() == 5
    assert query(path, HOLES) == [("summary", 2, 2, "mqtt_off"), ("summary", 3, 5, "mqtt_off")]
    assert [hole.epoch == "before" for hole in outbox.holes(9)] == [False, True]


def test_holes_are_kept_up_to_a_bound(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLES_KEPT", 3)
    with write_transaction(path) as connection:
        for seq in range(1, 11, 2):
            note_hole(connection, "summary", seq, seq, "erased")
    assert [first for _, first, _, _ in query(path, HOLES)] == [5, 7, 9]
