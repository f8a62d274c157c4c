"""What is said about an erasure, and what is left alone by it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.core.study import Purpose
from edge_agent.store.database import schema
from edge_agent.store.database.schema import migrate, write_transaction
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep import erasure
from edge_agent.store.upkeep.erasure import Erasure, erase_participant
from edge_agent.store.write.outbox import OutboxMessage, enqueue, set_aside
from tests.support.timeline import START_MS, add, database, instant, query, reading, row


def hold(path: Path, code: str, start: float, end: float, name: str = "films") -> None:
    """Hold a session; nothing is recorded in it."""
    study = Study(path)
    if not query(path, "SELECT 1 FROM participant WHERE code = ?", code):
        study.create_participant(code)
        study.give_consent(code, "1")
    study.start_session(code, Purpose.RESEARCH, name, instant(start))
    study.end_session(instant(end))


def test_the_sentence_counts_every_table_and_names_the_copies() -> None:
    rows = {"session": 1, "expression": 1234, "unfit": 2, "vital": 3, "marker": 4}
    rows |= {"self_report": 5, "protocol_run": 6, "consent": 7, "gap": 8, "outbox": 9}
    done = Erasure(rows, 12, 11, ("db.before-v2", "db.before-v3"), ("db.before-v1",), False)
    assert done.sentence == (
        "Erased: 1 sessions, 1,234 expression rows, 2 counts of unreadable frames, 3 readings, "
        "4 markers and notes, 5 self-reports, 6 protocols that were run, 7 consents, 8 gaps, "
        "9 waiting messages. Rollups: 12 minutes computed anew, 11 of them removed. "
        "Copies rewritten: db.before-v2, db.before-v3. "
        "Copies deleted, for they could not be read: db.before-v1. "
        "The broker clears the last messages, and what waits for the subscribers that "
        "mqtt.durable_subscribers names, as soon as the agent is connected to it. Not reached from "
        "here: what waits for other subscribers that are away, what subscribers have already, and "
        "other brokers to which it was passed on. The broker's own file keeps the old bytes until "
        "it saves: the one that was installed here within five minutes, others when they do so; at "
        "once, with Mosquitto on this device: sudo systemctl kill --signal=SIGUSR1 mosquitto"
    )
    empty = Erasure({}, 0, 0, (), (), False).sentence
    assert "0 sessions, 0 expression rows" in empty
    assert "Copies" not in empty


def test_rows_beside_a_session_stay_and_those_at_its_first_moment_go(tmp_path: Path) -> None:
    path = database(tmp_path)
    hold(path, "P-1", 10, 20)
    seconds = (9, 9.999, 10, 19.999, 20, 21)
    add(path, [row(second) for second in seconds], [reading(second) for second in seconds])
    with write_transaction(path) as connection:
        gaps = [(8, 10), (10, 20), (9, 11), (19, 21), (20, 22)]
        connection.executemany(
            "INSERT INTO gap (source, started, ended, reason) VALUES ('camera', ?, ?, 'no_face')",
            [(START_MS + 1000 * one, START_MS + 1000 * other) for one, other in gaps],
        )
    done = erase_participant(path, "P-1", actor="ada")
    assert (done.rows["expression"], done.rows["vital"], done.rows["gap"]) == (3, 2, 1)
    # A row of a second reaches back by that second: that of 20 s is of the session, too.
    assert query(path, "SELECT at - ? FROM expression", START_MS) == [(9_000,), (9_999,), (21_000,)]
    assert query(path, "SELECT at - ? FROM vital", START_MS) == [
        (9_000,), (9_999,), (20_000,), (21_000,),
    ]  # fmt: skip
    assert query(path, "SELECT count(*) FROM gap") == [(4,)]


def test_only_summaries_that_touch_the_session_are_taken_from_the_outbox(tmp_path: Path) -> None:
    path = database(tmp_path)
    hold(path, "P-1", 10, 20)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM outbox")
        for start, end in ((0, 10), (9, 11), (12, 13), (19, 21), (20, 30)):
            window = {"start": instant(start), "end": instant(end)}
            told = {name: iso_utc(at.wall_ms) for name, at in window.items()}
            enqueue(connection, OutboxMessage("summary", {"window": told, "n": start}), 100)
        enqueue(connection, OutboxMessage("session", {"participant": "p-1"}), 100)
        enqueue(connection, OutboxMessage("session", {"participant": "P-10"}), 100)
    assert erase_participant(path, "P-1", actor="ada").rows["outbox"] == 4
    left = "SELECT json_extract(payload, '$.n') FROM outbox WHERE topic = 'summary'"
    assert query(path, left) == [(0,), (20,)]
    left = "SELECT json_extract(payload, '$.participant') FROM outbox WHERE topic = 'session'"
    assert query(path, left) == [("P-10",), (None,)]


def test_the_outbox_keeps_its_bound_when_topics_are_cleared(tmp_path: Path) -> None:
    path = database(tmp_path)
    hold(path, "P-1", 10, 20)
    with write_transaction(path) as connection:
        for number in range(5):
            enqueue(connection, OutboxMessage("status", {"n": number}), 100)
    erase_participant(path, "P-1", actor="ada", outbox_rows=3)
    kept = query(path, "SELECT topic, seq, payload FROM outbox ORDER BY id")
    assert [topic for topic, _, _ in kept] == ["status", "session", "emotion"]
    assert kept[1:] == [("session", None, "null"), ("emotion", None, "null")]


def test_a_word_of_two_letters_that_others_use_too_is_not_searched_for(tmp_path: Path) -> None:
    path = database(tmp_path)
    hold(path, "P-1", 10, 20, name="of")
    hold(path, "P-2", 30, 40, name="films")
    hold(path, "P-1", 50, 60, name="films")
    assert not erase_participant(path, "P-1", actor="ada").compacted
    assert query(path, "SELECT name FROM session") == [("films",)]


def test_a_copy_that_is_locked_is_said_and_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.1)
    path = database(tmp_path)
    copy = tmp_path / "affect-edge.db.before-v2"
    migrate(copy)
    hold(path, "P-1", 10, 20)
    with write_transaction(copy), pytest.raises(StoreError, match="before-v2"):
        erase_participant(path, "P-1", actor="ada", patience_s=0.1)
    assert copy.exists()


def test_an_open_session_in_a_copy_ends_with_its_last_row(tmp_path: Path) -> None:
    path = database(tmp_path)
    copy = database(tmp_path / "older")
    study = Study(copy)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    study.start_session("P-1", Purpose.RESEARCH, "", instant(10))
    add(copy, [row(9), row(30)], [reading(9), reading(31)])
    beside = tmp_path / "affect-edge.db.before-v2"
    beside.write_bytes(copy.read_bytes())
    wal = copy.with_name(f"{copy.name}-wal")
    if wal.exists():
        beside.with_name(f"{beside.name}-wal").write_bytes(wal.read_bytes())
    assert erase_participant(path, "P-1", actor="ada").copies == (beside.name,)
    assert query(beside, "SELECT at - ? FROM expression", START_MS) == [(9_000,)]
    assert query(beside, "SELECT at - ? FROM vital", START_MS) == [(9_000,)]
    assert query(beside, "SELECT count(*) FROM participant") == [(0,)]


def test_hours_on_both_sides_of_a_full_hour_are_computed_anew(tmp_path: Path) -> None:
    path = database(tmp_path)
    full = 3600 - START_MS // 1000 % 3600
    seconds = range(full - 200, full + 200)
    hold(path, "P-1", full - 50, full + 50)
    add(path, [row(second) for second in seconds], [reading(second) for second in seconds])
    erase_participant(path, "P-1", actor="ada")
    for kind, count in (("expression", "rows"), ("vital", "n")):
        hours = query(path, f"SELECT at, {count} FROM {kind}_hour ORDER BY at")
        assert hours == query(
            path, f"SELECT at / 3600000 * 3600000, count(*) FROM {kind} GROUP BY 1 ORDER BY 1"
        )
        assert len(hours) == 2


@pytest.mark.parametrize("chunk", [5, 6, 7, 4096])
def test_old_bytes_are_found_wherever_they_lie_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(erasure, "_CHUNK", chunk)
    path = database(tmp_path)
    hold(path, "Zq-Wombat7", 10, 20)
    other = tmp_path / "clean"
    clean = database(other)
    hold(clean, "Zq-Wombat7", 10, 20)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        wanted = "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'a', 'b', ?)"
        connection.execute(wanted, ("ZQ-WOMBAT7 " * 40,))
        connection.commit()
        connection.execute("DELETE FROM audit")
        connection.commit()
    assert erase_participant(path, "Zq-Wombat7", actor="ada").compacted
    assert b"wombat7" not in path.read_bytes().lower()
    assert not erase_participant(clean, "Zq-Wombat7", actor="ada").compacted


def test_of_what_the_audit_says_only_the_code_goes(tmp_path: Path) -> None:
    path = database(tmp_path)
    hold(path, "P-1", 10, 20)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM audit")
        connection.executemany(
            "INSERT INTO audit (at, actor, action, detail) VALUES (?, 'ada', 'export', ?)",
            [(1, "sessions of p-1 and P-10 as csv"), (2, "P-10 alone"), (3, "xP-1")],
        )
    erase_participant(path, "P-1", actor="eve")
    assert query(path, "SELECT actor, action, detail FROM audit ORDER BY id") == [
        ("ada", "export", "sessions of (erased) and P-10 as csv"),
        ("ada", "export", "P-10 alone"),
        ("ada", "export", "xP-1"),
        ("eve", "participant_erase", "1 sessions"),
    ]


def test_messages_that_cannot_be_read_or_were_set_aside_go_too_and_leave_their_numbers(
    tmp_path: Path,
) -> None:
    path = database(tmp_path)
    hold(path, "QZX-17", 10, 20)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM outbox")
        ids = [
            enqueue(connection, OutboxMessage("session", {"participant": code}), 100)
            for code in ("QZX-17", "QZX-17", "QZX-17", "P-2", "P-2")
        ]
        spoiled = "UPDATE outbox SET payload = replace(payload, '}', '') WHERE id = ?"
        connection.execute(spoiled, (ids[0],))
        set_aside(connection, {ids[1]: "too_large", ids[4]: "too_large"})
    erase_participant(path, "QZX-17", actor="ada")
    left = query(path, "SELECT id FROM outbox WHERE topic = 'session' AND seq IS NOT NULL")
    assert left == [(ids[3],)]
    assert query(path, "SELECT id FROM outbox_set_aside") == [(ids[4],)]
    holes = "SELECT last_seq - first_seq + 1, reason FROM outbox_hole ORDER BY id"
    assert query(path, holes) == [
        (1, "too_large"), (1, "too_large"), (1, "erased"), (1, "erased"),
    ]  # fmt: skip
    assert b"QZX-17" not in path.read_bytes()
