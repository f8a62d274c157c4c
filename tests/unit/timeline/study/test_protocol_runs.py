"""Protocols in the database: where they stand, what they write, and which order comes next."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import Marker, MarkerKind, NewSession, Purpose
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.study import protocol_runs
from edge_agent.timeline.study.protocol_runs import (
    NewRun,
    ProtocolRuns,
    RefusedRecords,
    RunProgress,
    RunState,
    SavedRun,
    SelfReport,
    ShownTime,
    Trial,
)
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.batch import set_aside
from tests.support.timeline import instant, query, timeline

ORDERS = 6
EVENTS = "SELECT json_extract(payload, '$.event') FROM outbox"


def begun(path: Path, code: str = "P01", at: float = 0.0, name: str = "films") -> SavedRun:
    """A session of a participant who has consented, with a protocol in it."""
    study = Study(path)
    made = []
    if code not in {participant.code for participant in study.participants()}:
        timeline(path, participant=[{"code": code}], consent=[{"participant": code}])
    order = ProtocolRuns(path).next_order(code, name, ORDERS)
    new = NewRun(name, name.title(), "ab" * 32, order, json.dumps([order]))
    study.start_session(
        NewSession(code, Purpose.RESEARCH),
        instant(at),
        also=lambda connection, session: made.append(
            protocol_runs.insert_run(connection, session, new, instant(at))
        ),
    )
    return made[0]


def save(
    path: Path,
    run: SavedRun,
    at: float,
    *markers: Marker,
    state: RunState = RunState.RUNNING,
    reports: tuple[SelfReport, ...] = (),
) -> bool:
    progress = RunProgress(3, 1500, state, "why", instant(at), markers, reports)
    return ProtocolRuns(path).save(run.id, run.session.id, progress)


def note(at: float) -> Marker:
    return Marker(instant(at), MarkerKind.NOTE, "protocol: begins")


def test_save_of_a_run_that_is_not_in_its_session_is_refused(path: Path) -> None:
    run = begun(path)
    progress = RunProgress(3, 1500, RunState.RUNNING, "why", instant(1), (note(1),))
    for number, session in ((99, run.session.id), (run.id, 99)):
        with pytest.raises(StudyError, match=f"No protocol {number} runs in session {session}"):
            ProtocolRuns(path).save(number, session, progress)
    assert query(path, "SELECT 1 FROM marker") == []


def test_save_leaves_an_audit_line_where_more_than_time_has_passed(path: Path) -> None:
    run = begun(path)
    for markers in ((note(1),), ()):
        progress = RunProgress(3, 1500, RunState.RUNNING, "", instant(1), markers)
        ProtocolRuns(path).save(run.id, run.session.id, progress, actor="dashboard service")
    lines = query(path, "SELECT actor, detail FROM audit WHERE action = 'protocol_save'")
    assert lines == [("dashboard service", "session 1: running, markers added: 1")]


def test_a_run_is_found_again_where_it_was_left(path: Path) -> None:
    run = begun(path)
    assert (run.step, run.spent_ms, run.state) == (0, 0, RunState.PAUSED)
    assert len(run.token) >= 32
    assert save(path, run, 20, note(1))
    again = ProtocolRuns(path).open()
    assert again is not None
    assert (again.step, again.spent_ms, again.state) == (3, 1500, RunState.RUNNING)
    assert (again.saved, again.token, again.session) == (instant(20), run.token, run.session)
    assert (again.plan, again.title) == ("[0]", "Films")


def test_markers_and_answers_are_kept_with_their_own_times_and_announced(path: Path) -> None:
    reports = (
        SelfReport(instant(7), "anger", "valence", 2),
        SelfReport(instant(8), None, "emotion", "none"),
    )
    start = Marker(instant(5), MarkerKind.STIMULUS_START, "anger")
    save(path, begun(path), 9, start, reports=reports)
    markers = query(path, "SELECT at, kind, label FROM marker")
    assert markers == [(instant(5).wall_ms, "stimulus_start", "anger")]
    assert query(path, "SELECT at, condition, scale, value FROM self_report") == [
        (instant(7).wall_ms, "anger", "valence", 2),
        (instant(8).wall_ms, None, "emotion", "none"),
    ]
    assert query(path, EVENTS) == [("started",), ("marker",)]


@pytest.mark.parametrize(
    ("scale", "value"),
    [("valence", 0), ("valence", 10), ("arousal", "5"), ("emotion", "joy"), ("x", 1)],
)
def test_answer_that_no_scale_allows_is_set_aside_and_the_rest_stored(
    path: Path, scale: str, value: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    run = begun(path)
    refused, good = (
        SelfReport(instant(7), None, scale, value),
        SelfReport(instant(8), None, "arousal", 5),
    )
    progress = RunProgress(3, 1500, RunState.RUNNING, "", instant(9), (note(8),), (refused, good))

    assert ProtocolRuns(path).save(run.id, run.session.id, progress, actor="dashboard service")

    assert query(path, "SELECT scale, value FROM self_report") == [("arousal", 5)]
    assert query(path, "SELECT count(*) FROM marker") == [(1,)]
    ((at, source, content, reason),) = query(
        path, "SELECT at, source, content, reason FROM set_aside"
    )
    assert (at, source) == (instant(7).wall_ms, "SelfReport")
    assert (json.loads(content)["value"], "CHECK" in reason) == (value, True)
    lines = query(path, "SELECT detail FROM audit WHERE action = 'protocol_save'")
    assert lines == [("session 1: running, markers added: 1, answers added: 1, set aside: 1",)]
    assert "1 record of session 1 was refused by the database and set aside" in caplog.text


def test_refused_records_of_before_are_not_counted_after_an_erasure(path: Path) -> None:
    with write_transaction(path) as connection:
        for number in range(3):
            set_aside(connection, number, "Marker", {}, "of an earlier start of the agent")
    refused_records = RefusedRecords(path)
    refused_records.look()
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM set_aside WHERE id = (SELECT max(id) FROM set_aside)")
    refused_records.look()
    assert refused_records.count == 0


def test_records_of_each_kind_that_no_table_takes_are_set_aside(path: Path) -> None:
    run = begun(path)
    with write_transaction(path) as connection:
        set_aside(connection, 0, "Marker", {}, "of an earlier start of the agent")
    refused_records = RefusedRecords(path)
    refused_records.look()
    shown = Trial(instant(3), 0, 1, "stimulus", None, False, None, 10)
    progress = RunProgress(
        3,
        1500,
        RunState.RUNNING,
        "",
        instant(9),
        (Marker(instant(8), MarkerKind.NOTE, "two\nlines"),),
        trials=(shown, replace(shown, turn=1), replace(shown, turn=2)),
        times=(ShownTime(1, 0.0, 0.0, 5.0, -1.0), ShownTime(2, 0.0, 0.0, 5.0, None)),
        practice=((instant(4), instant(5)),),
    )
    with write_transaction(path) as connection:
        connection.execute(
            "CREATE TRIGGER no BEFORE INSERT ON exclusion BEGIN SELECT RAISE(ABORT, 'no'); END"
        )

    assert ProtocolRuns(path).save(run.id, run.session.id, progress)

    assert query(path, "SELECT turn, shown_ms FROM trial ORDER BY turn") == [(1, None), (2, 5.0)]
    with write_transaction(path) as connection:
        set_aside(connection, 0, "VitalReading", {}, "of the recorder, which counts it itself")
    assert refused_records.count == 0
    refused_records.look()
    assert refused_records.count == 4
    sql = "SELECT at, source FROM set_aside WHERE at > 0 ORDER BY id"
    assert query(path, sql) == [
        (instant(8).wall_ms, "Marker"),
        (instant(3).wall_ms, "Trial"),
        (instant(9).wall_ms, "ShownTime"),
        (instant(4).wall_ms, "practice"),
    ]


@pytest.mark.parametrize("wrong_s", [0, -3600], ids=["at the end", "by another clock"])
def test_erasure_reaches_what_was_set_aside_of_a_protocol(path: Path, wrong_s: int) -> None:
    run = begun(path)
    at = instant(9)
    answer = SelfReport(
        Instant(at.boot_ms, at.wall_ms + 1000 * wrong_s), None, "emotion", "private"
    )
    save(path, run, 9, state=RunState.FINISHED, reports=(answer,))
    other = begun(path, "P02", at=20)
    save(path, other, 29, reports=(replace(answer, at=instant(28)),))

    erase_participant(path, "P01", actor="ada")

    (content,) = query(path, "SELECT content FROM set_aside")
    assert json.loads(content[0])["session"] == other.session.id


def test_save_to_a_full_disk_stores_and_sets_aside_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(path)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(protocol_runs, "_insert_report", full)
    with pytest.raises(StoreError):
        save(path, run, 9, note(8), reports=(SelfReport(instant(7), None, "valence", 3),))
    assert query(path, "SELECT count(*) FROM marker") == [(0,)]
    assert query(path, "SELECT count(*) FROM set_aside") == [(0,)]


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.ENDED])
def test_the_end_of_a_protocol_ends_the_session_and_its_address(
    path: Path, state: RunState
) -> None:
    assert not save(path, begun(path), 30, note(30), state=state)
    assert ProtocolRuns(path).open() is None
    runs = query(path, "SELECT state, reason, token FROM protocol_run")
    assert runs == [(state.value, "why", None)]
    assert query(path, "SELECT ended FROM session") == [(instant(30).wall_ms,)]
    assert query(path, EVENTS) == [("started",), ("marker",), ("ended",)]


def test_what_somebody_ended_by_hand_is_not_ended_twice(path: Path) -> None:
    run = begun(path)
    assert save(path, run, 9, Marker(instant(5), MarkerKind.STIMULUS_END, "anger"))
    Study(path).end_session(instant(10))
    assert not save(path, run, 20, note(20))
    assert query(path, "SELECT count(*) FROM marker") == [(0,)]
    runs = query(path, "SELECT state, reason FROM protocol_run")
    assert runs == [("ended", "the session was ended")]


def test_orders_are_used_equally_often_and_a_participant_keeps_theirs(path: Path) -> None:
    had = []
    for number, code in enumerate(["P1", "P2", "P1", "P3", "P4", "P5", "P6", "P7"]):
        run = begun(path, code, 100.0 * number)
        had.append(json.loads(run.plan)[0])
        save(path, run, 100.0 * number + 9, state=RunState.FINISHED)
    assert had == [0, 1, 0, 2, 3, 4, 5, 0]
    assert json.loads(begun(path, "P2", 900.0, "sounds").plan) == [0]


def test_a_session_and_its_protocol_begin_together_or_not_at_all(path: Path) -> None:
    with write_transaction(path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON protocol_run BEGIN "
            "SELECT raise(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(StoreError, match="the disk is full"):
        begun(path)
    assert query(path, "SELECT count(*) FROM session") == [(0,)]


def test_only_a_participants_own_withdrawal_ends_the_session_at_once(path: Path) -> None:
    begun(path)
    study = Study(path)
    study.create_participant("P02")
    study.give_consent("P02", "1")
    study.withdraw_consent("P02")
    assert study.open_session() is not None
    study.withdraw_consent("p01")
    assert study.open_session() is None
    assert query(path, EVENTS) == [("started",), ("ended",)]
