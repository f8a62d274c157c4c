"""Erasing a participant: what goes, what stays as it was, and that no byte of theirs is found
afterwards.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.config.data import RecorderOptions
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.expression import RejectedFrames, RejectReason
from edge_agent.core.readings import Gap
from edge_agent.core.study import Purpose
from edge_agent.store.database.schema import connect, write_transaction
from edge_agent.store.read.reader import Reader
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.aging import prune
from edge_agent.store.upkeep.erasure import erase_participant
from edge_agent.store.upkeep.fold import fold_rollups
from edge_agent.store.write.outbox import Outbox, OutboxMessage, enqueue
from edge_agent.store.write.recorder import Recorder
from edge_agent.store.write.rollups import read_tombstones
from edge_agent.store.write.timeline import write_rejected_frames
from tests.support.erasure import CODE, NAME, NOTE, bytes_of, everything, hold, opened, record
from tests.support.timeline import (
    START_MS,
    add,
    database,
    instant,
    observation,
    query,
    reading,
    recognition,
    row,
)

ROLLUPS = (
    "expression_minute", "expression_hour", "expression_day",
    "vital_minute", "vital_hour", "vital_day",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


def test_somebody_who_is_not_there_is_named_and_nothing_is_erased(path: Path) -> None:
    hold(path, CODE, 0)
    before = everything(path)
    with pytest.raises(StudyError, match="There is no participant 'Zq-Wombat'; nothing was erased"):
        erase_participant(path, "Zq-Wombat", actor="ada")
    assert everything(path) == before


def test_a_participant_whose_session_is_open_is_not_erased_and_the_way_out_is_said(
    path: Path,
) -> None:
    hold(path, CODE, 0)
    Study(path).start_session(CODE, Purpose.RESEARCH, "", instant(100))
    before = everything(path)
    with pytest.raises(
        StudyError, match="Session 2 of Zq-Wombat7 is open. End it, or withdraw the consent"
    ):
        erase_participant(path, CODE, actor="ada")
    assert everything(path) == before


def test_a_database_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        erase_participant(tmp_path / "affect-edge.db", CODE, actor="ada")


@pytest.mark.parametrize("others", [0, 30])
def test_no_byte_of_them_is_found_in_the_database_its_log_and_its_index(
    tmp_path: Path, path: Path, others: int
) -> None:
    for number in range(others):
        Study(path).create_participant(f"before-{number}")
    hold(path, CODE, 0, NAME, NOTE)
    for number in range(others):
        Study(path).create_participant(f"after-{number}")
        if number % 3 == 0:
            erase_participant(path, f"before-{number}", actor="ada")
    with opened(path):
        assert all(text.lower().encode() in bytes_of(tmp_path) for text in (CODE, NOTE, NAME))
        erase_participant(path, CODE.lower(), actor="ada")
        assert (tmp_path / "affect-edge.db-wal").exists()
        found = bytes_of(tmp_path)
    assert not [
        text
        for text in (CODE, NOTE, NAME, "Wombat", "Xylophone", "Quokka")
        if text.lower().encode() in found
    ]


def test_old_bytes_that_another_program_left_in_the_file_go_too(tmp_path: Path, path: Path) -> None:
    hold(path, CODE, 0)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'ada', 'seen', ?)",
            (f"{CODE} " * 40,),
        )
        connection.commit()
        connection.execute("DELETE FROM audit WHERE action = 'seen'")
        connection.commit()
    assert erase_participant(path, CODE, actor="ada").compacted
    assert CODE.lower().encode() not in bytes_of(tmp_path)
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_everything_of_theirs_goes_and_the_report_counts_it(path: Path) -> None:
    hold(path, CODE, 0)
    done = erase_participant(path, CODE, actor="ada")
    assert done.rows == {
        "session": 1, "marker": 2, "self_report": 1, "protocol_run": 1, "consent": 1,
        "expression": 89, "unfit": 8, "vital": 89, "gap": 1, "outbox": 5,
    }  # fmt: skip
    assert (done.minutes, done.minutes_removed, done.copies, done.copies_deleted) == (2, 2, (), ())
    assert done.sentence.startswith(
        "Erased: 1 sessions, 89 expression rows, 8 counts of unreadable frames, 89 readings,"
    )
    tables = ("participant", "session", "consent", "marker", "self_report", "protocol_run")
    for table in (*tables, "expression", "unfit", "vital", "gap", *ROLLUPS):
        assert query(path, f"SELECT count(*) FROM {table}") == [(0,)], table


def test_the_audit_says_that_somebody_was_erased_but_not_who(path: Path) -> None:
    hold(path, CODE, 0)
    with write_transaction(path) as connection:
        connection.execute(
            "INSERT INTO audit (at, actor, action, detail) VALUES (2, 'ada', "
            "'export', 'sessions=all')"
        )
    erase_participant(path, CODE, actor="ada")
    assert query(path, "SELECT actor, action, detail FROM audit ORDER BY id") == [
        ("ada", "consent_give", "(erased)"),
        ("ada", "export", "sessions=all"),
        ("ada", "participant_erase", "1 sessions"),
    ]


def test_the_rollups_are_those_of_a_timeline_on_which_they_never_were(
    tmp_path: Path, path: Path
) -> None:
    record(path, -100, 0)
    hold(path, CODE, 20)
    record(path, 115, 200)
    hold(path, "P02", 210)
    never = database(tmp_path / "never")
    record(never, -100, 0)
    record(never, 115, 200)
    hold(never, "P02", 210)
    done = erase_participant(path, CODE, actor="ada")
    assert (done.minutes, done.minutes_removed) == (2, 1)
    for table in (*ROLLUPS, "vital"):
        assert query(path, f"SELECT * FROM {table}") == query(never, f"SELECT * FROM {table}"), (
            table
        )
    assert query(path, "SELECT at, emotion FROM expression") == query(
        never, "SELECT at, emotion FROM expression"
    )


def test_a_minute_whose_rows_are_too_old_to_be_there_is_removed_whole(path: Path) -> None:
    hold(path, CODE, 0)
    record(path, 100, 180)
    days = 24 * 3_600_000
    prune(path, 90, now_ms=START_MS + 90 * days + 100_000)
    done = erase_participant(path, CODE, actor="ada")
    assert (done.minutes, done.minutes_removed) == (2, 2)
    assert query(path, "SELECT at - ? FROM expression_minute", START_MS) == [(120_000,)]
    assert query(path, "SELECT rows FROM expression_hour") == query(
        path, "SELECT rows FROM expression_minute"
    )


def test_a_day_of_which_only_the_sum_is_left_is_removed_whole_and_told(path: Path) -> None:
    days = 24 * 3600
    hold(path, CODE, 0)
    record(path, 100, 180)
    record(path, 2 * days, 2 * days + 60)
    record(path, 9 * days, 9 * days + 60)
    fold_rollups(path, 1, 3, now_ms=START_MS + 10 * days * 1000)
    assert query(path, "SELECT count(*) FROM expression_day") == [(2,)]
    done = erase_participant(path, CODE, actor="ada")
    assert done.days_removed == 1
    assert "Whole days removed, for only their sums were kept: 1." in done.sentence
    for kind in ("expression", "vital"):
        assert query(path, f"SELECT at > ? FROM {kind}_day", START_MS) == [(1,)]
    touched = (START_MS, START_MS + 120_000)
    for kind, rolled in (("expression", "rows"), ("vital", "n + flagged")):
        which = "is_primary AND" * (kind == "expression")
        left = query(
            path, f"SELECT count(*) FROM {kind} WHERE {which} at >= ? AND at < ?", *touched
        )
        hour = query(path, f"SELECT sum({rolled}) FROM {kind}_hour WHERE at < ?", touched[1])
        assert hour == left, "what others left in the two minutes that were touched"


def test_two_sessions_of_one_participant_go_and_those_of_others_stay(path: Path) -> None:
    hold(path, CODE, 0)
    hold(path, "P02", 100)
    second = Study(path).start_session(CODE, Purpose.RESEARCH, "", instant(200))
    Study(path).end_session(instant(290))
    record(path, 200, 290)
    kept = query(path, "SELECT * FROM session_vital WHERE participant = 'P02'")
    assert erase_participant(path, CODE, actor="ada").rows["session"] == second.id - 1
    assert query(path, "SELECT participant, count(*) FROM expression_view GROUP BY 1") == [
        ("P02", 89)
    ]
    assert query(path, "SELECT * FROM session_vital") == kept


def test_what_waits_for_the_broker_goes_and_retained_topics_are_cleared(path: Path) -> None:
    hold(path, CODE, 0)
    hold(path, "P02", 100)
    erase_participant(path, CODE, actor="ada")
    with closing(Outbox(path)) as outbox:
        waiting = [
            (row.topic, row.payload and row.payload.get("participant"))
            for row in outbox.pending(100)
        ]
    expected = [*[("session", "P02")] * 4, ("summary", None), ("session", None), ("emotion", None)]
    assert waiting == expected
    assert query(path, "SELECT payload FROM outbox ORDER BY id DESC LIMIT 2") == [
        ("null",),
        ("null",),
    ]


def test_what_cannot_be_reached_at_the_broker_is_said(path: Path) -> None:
    hold(path, CODE, 0)
    told = erase_participant(path, CODE, actor="ada").sentence
    assert "Not reached from here: what waits for other subscribers that are away" in told
    assert "other brokers to which it was passed on" in told
    assert "systemctl kill --signal=SIGUSR1 mosquitto" in told


def test_what_an_agent_still_holds_in_memory_is_not_written_afterwards(path: Path) -> None:
    hold(path, CODE, 0)
    recorder = Recorder(
        path, RecorderOptions.model_construct(batch_seconds=3600, batch_rows=10_000)
    )
    recorder.start()
    for second in (10, 11, 12):
        recorder.submit(recognition(second, observation()))
        recorder.submit(reading(second + 0.5, source="late"))
    recorder.submit(recognition(300, observation()))
    recorder.submit(reading(300, source="later"))
    erase_participant(path, CODE, actor="ada")
    window = {"start": iso_utc(instant(85).wall_ms), "end": iso_utc(instant(95).wall_ms)}
    recorder.submit(OutboxMessage("summary", {"window": window}))
    recorder.stop()
    assert recorder.join(60)
    assert query(path, "SELECT source FROM vital") == [("later",)]
    assert query(path, "SELECT at - ? FROM expression", START_MS) == [(300_000,)]
    assert query(path, "SELECT count(*) FROM outbox WHERE topic = 'summary'") == [(0,)]
    assert sum(rows for (rows,) in query(path, "SELECT rows FROM expression_minute")) == 1


def test_a_later_session_over_the_same_time_is_recorded_for_a_clock_can_be_set_back(
    path: Path,
) -> None:
    hold(path, CODE, 0)
    erase_participant(path, CODE, actor="ada")
    hold(path, "P02", 30)
    assert query(path, "SELECT count(*) FROM expression") == [(89,)]
    with closing(connect(path, readonly=True)) as connection:
        assert read_tombstones(connection) == [(START_MS, START_MS + 90_000)]


def test_a_reader_that_does_not_end_is_said_with_the_cure(path: Path) -> None:
    hold(path, CODE, 0)
    with opened(path) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM marker").fetchone()
        with pytest.raises(
            StoreError, match="the rows are erased, but another program keeps the file open"
        ):
            erase_participant(path, CODE, actor="ada", patience_s=0.1)
        connection.rollback()
    assert Reader(path).session_list() == []


def test_only_sessions_are_recorded_where_that_is_asked_for_and_nothing_after_a_withdrawal(
    path: Path,
) -> None:
    study = Study(path)
    study.create_participant(CODE)
    study.give_consent(CODE, "1")
    recorder = Recorder(
        path,
        RecorderOptions.model_construct(
            batch_seconds=3600, batch_rows=10_000, only_in_sessions=True
        ),
    )
    recorder.start()
    recorder.submit(reading(-5))
    study.start_session(CODE, Purpose.RESEARCH, "", instant(0))
    for second in (1, 2, 3, 4):
        recorder.submit(recognition(second - 0.5, observation()))
        recorder.submit(reading(second))
    study.end_session(instant(2))
    recorder.submit(Gap("camera", instant(5), instant(9), "no_face"))
    recorder.stop()
    assert recorder.join(60)
    assert query(path, "SELECT at - ? FROM vital", START_MS) == [(1000,), (2000,)]
    assert query(path, "SELECT at - ? FROM expression", START_MS) == [(1000,), (2000,)]
    assert query(path, "SELECT count(*) FROM gap") == [(1,)]


def test_messages_that_clear_a_topic_are_kept_as_json_null(path: Path) -> None:
    with write_transaction(path) as connection:
        enqueue(connection, OutboxMessage("session", None), 10)
    assert [json.loads(payload) for (payload,) in query(path, "SELECT payload FROM outbox")] == [
        None
    ]


def test_a_row_that_reaches_over_the_end_of_a_session_goes_the_next_one_stays(path: Path) -> None:
    hold(path, CODE, 0)
    add(path, [row(90.999), row(91)])
    blurred = [
        RejectedFrames(instant(second), 1, RejectReason.BLURRED, 1, True) for second in (90.999, 91)
    ]
    with write_transaction(path) as connection:
        write_rejected_frames(connection, [(one, None) for one in blurred], 1000, simulated=False)
    erase_participant(path, CODE, actor="ada")
    for table in ("expression", "unfit"):
        assert query(path, f"SELECT at - ? FROM {table}", START_MS) == [(91_000,)], table
