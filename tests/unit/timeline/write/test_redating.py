"""Rows that were dated by a wrong clock have the right time once it is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.expression import (
    Attribution,
    Emotion,
    ExpressionRow,
    RejectedFrames,
    RejectReason,
)
from edge_agent.core.movements import MovementRow
from edge_agent.core.readings import VitalReading
from edge_agent.core.standing import Hours, Schedule
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.salvages import Salvage, write_salvages
from edge_agent.timeline.database.tables import TIMELINE as TABLES
from edge_agent.timeline.intake.corrections import BY_HAND, ReadingKey, correct_reading
from edge_agent.timeline.intake.imports import undo_import
from edge_agent.timeline.study.declarations import declarations, declare, take_declaration_back
from edge_agent.timeline.study.exclusions import leave_out, take_back
from edge_agent.timeline.study.marker_changes import remove_marker
from edge_agent.timeline.study.protocol_runs import NewRun, SelfReport, insert_reports, insert_run
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.study.standing import agree, end
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.upkeep.row_erasure import erase_rows
from edge_agent.timeline.write import redating
from edge_agent.timeline.write.boots import ClockCheck
from edge_agent.timeline.write.inserts import import_each
from edge_agent.timeline.write.outbox import OutboxMessage
from edge_agent.timeline.write.reading_imports import import_readings
from tests.support.clocks.dated import (
    assert_rollups_are_those_of_the_rows,
    study_with_session,
    wrong_rows,
)
from tests.support.clocks.machine import DAY_S, Machine, Writing, gap_of, rows_at
from tests.support.timeline import START_MS, movements, query, timeline

YEAR_S = 365 * DAY_S


@pytest.mark.parametrize("wrong_s", [-DAY_S, DAY_S, -YEAR_S, YEAR_S, -90.0, 3.0, -3.0])
@pytest.mark.parametrize("by_network", [True, False])
def test_once_the_clock_is_set_all_has_its_true_time(
    path: Path, machine: Machine, wrong_s: float, by_network: bool
) -> None:
    machine.wrong_s = wrong_s
    agent = machine.agent(path)
    study = study_with_session(path, machine)
    agent.record_all(range(101, 131))
    flaw = RejectedFrames(machine.at(131), 1, RejectReason.BLURRED, 3, True)
    moved = MovementRow(machine.at(130), 1, 5, movements(smile=0.5).values, True)
    agent.write(flaw, moved, gap_of(machine.at(120), machine.at(125)))
    study.add_marker(MarkerKind.STIMULUS_START, "anger")
    with write_transaction(path) as connection:
        session = study.open_session()
        assert session is not None
        insert_run(connection, session, NewRun("p", "P", "s", 0, "[]"), machine.now())
        insert_reports(connection, session.id, [SelfReport(machine.now(), "anger", "valence", 3)])
    assert wrong_rows(path)
    machine.seconds = 140.0
    if by_network:
        machine.network_sets_clock()
    else:
        machine.somebody_sets_clock(0.0)
    agent.check_clock()
    agent.record_all(range(141, 161))
    machine.seconds = 160.0
    study.end_session()
    agent.check_clock()

    assert wrong_rows(path) == {}
    assert_rollups_are_those_of_the_rows(path)
    assert query(path, "SELECT ended - started FROM session") == [(50_000,)]
    at_session = START_MS + 110_000
    assert query(path, "SELECT created FROM participant") == [(at_session,)]
    assert query(path, "SELECT given FROM consent") == [(at_session,)]
    assert query(path, "SELECT saved - saved_boot_ms FROM protocol_run") == [(START_MS,)]
    assert query(path, "SELECT started, ended FROM gap") == [
        (START_MS + 120_000, START_MS + 125_000)
    ]
    assert query(path, "SELECT at, action, actor FROM audit ORDER BY id") == [
        (at_session, "participant_create", "me"),
        (START_MS + 140_000, "audit_reseal", "appliance"),
        (START_MS + 140_000, "clock_set", "appliance"),
    ]
    ((resealed,),) = query(path, "SELECT detail FROM audit WHERE action = 'audit_reseal'")
    assert "after clock_set" in resealed
    boots = query(path, "SELECT wall_minus_boot_ms, moved_ms, synchronised FROM boot ORDER BY id")
    assert boots == [
        (START_MS, round(-1000 * wrong_s), int(by_network)),
        (START_MS, 0, int(by_network)),
    ]
    # 21 s before the step and 19 s after it (the end is outside) lie in the session, by one join
    for view in ("expression_view", "session_vital"):
        assert query(path, f"SELECT count(*) FROM {view} WHERE session = 1") == [(40,)]
    assert query(path, "SELECT count(*) FROM expression_view WHERE condition = 'anger'") == [(20,)]
    assert prune(path, 1, machine.now().wall_ms) == 0


@pytest.mark.parametrize("wrong_s", [-DAY_S, DAY_S, -90.0])
def test_declared_stretch_follows_a_clock_that_is_set(
    path: Path, machine: Machine, wrong_s: float
) -> None:
    machine.wrong_s = wrong_s
    agent = machine.agent(path)
    study = study_with_session(path, machine)
    agent.record_all(range(111, 121))
    for second in range(121, 131):
        machine.seconds = second
        face, _ = rows_at(machine.now(), Emotion.ANGER)
        assert isinstance(face, ExpressionRow)
        agent.write(replace(face, primary=False, attribution=Attribution.UNKNOWN))
    machine.seconds = 131.0
    study.end_session()
    span = machine.at(122).wall_ms, machine.at(128).wall_ms
    declare(path, 1, span, reason="her", actor="me")

    machine.seconds = 140.0
    machine.network_sets_clock()
    agent.check_clock()

    (moved,) = declarations(path, 1)
    assert (moved.start_ms, moved.end_ms) == (machine.true_ms(122), machine.true_ms(128))
    assert query(path, "SELECT sum(count_anger) FROM expression_hour") == [(6,)]
    assert_rollups_are_those_of_the_rows(path)
    take_declaration_back(path, 1, moved.id, actor="me")
    assert query(path, "SELECT sum(count_anger) FROM expression_hour") == [(0,)]


def test_without_a_time_service_the_last_step_is_believed(path: Path, machine: Machine) -> None:
    agent = machine.agent(path)
    agent.record_all(range(101, 111))
    machine.somebody_sets_clock(YEAR_S)
    agent.record_all(range(200, 211))
    assert query(path, "SELECT count(DISTINCT at - boot_ms) FROM vital") == [(1,)]
    machine.somebody_sets_clock(0.0)
    agent.record_all(range(300, 311))
    agent.check_clock()
    assert wrong_rows(path) == {}
    assert_rollups_are_those_of_the_rows(path)


def test_a_clock_wrong_between_two_looks_leaves_nothing_wrong(path: Path, machine: Machine) -> None:
    machine.network_sets_clock()
    writing = machine.agent(path)
    writing.record(101.0)
    machine.somebody_sets_clock(-DAY_S)
    writing.record(102.0)
    machine.seconds = 102.5
    machine.network_sets_clock()
    writing.record(103.0)
    at = query(path, "SELECT at FROM vital ORDER BY at")
    assert at == [(machine.true_ms(second),) for second in (101.0, 102.0, 103.0)]


@pytest.mark.parametrize("wrong_s", [-DAY_S, DAY_S, -YEAR_S, YEAR_S])
def test_the_network_is_believed_and_waited_for(
    path: Path, machine: Machine, wrong_s: float
) -> None:
    machine.network_sets_clock()
    agent = machine.agent(path, only_in_sessions=True)
    study = study_with_session(path, machine)
    agent.record_all(range(111, 121))
    machine.seconds = 200.0
    machine.somebody_sets_clock(wrong_s)
    agent.check_clock()
    agent.record_all(range(201, 211))
    assert query(path, "SELECT count(*) FROM expression WHERE at - boot_ms = ?", START_MS) == [
        (10,)
    ], "rows of a clock that the network had set were moved"
    assert query(path, "SELECT count(*) FROM expression") == [(20,)], "the session goes on"
    machine.seconds = 220.0
    study.add_marker(MarkerKind.NOTE, "here")
    study.end_session()
    machine.seconds = 230.0
    machine.network_sets_clock()
    agent.check_clock()
    assert wrong_rows(path) == {}
    assert query(path, "SELECT ended - started FROM session") == [(110_000,)]
    assert query(path, "SELECT DISTINCT synchronised FROM boot") == [(1,)]


def test_a_time_that_the_network_confirms_is_right(path: Path, machine: Machine) -> None:
    machine.wrong_s = -30.0
    machine.set_by_network = machine.now()
    agent = machine.agent(path)
    agent.record_all(range(101, 111))
    machine.seconds = 5000.0
    machine.network_sets_clock()
    agent.check_clock()
    agent.record_all(range(5001, 5011))
    agent.check_clock()
    assert query(path, "SELECT wall_minus_boot_ms, moved_ms, synchronised FROM boot") == [
        (START_MS - 30_000, 0, 1),
        (START_MS, 0, 1),
    ]


@pytest.mark.parametrize(("wrong_s", "rows"), [(8.0, 1), (12.0, 0)])
def test_a_cheap_clock_is_no_wrong_clock(
    path: Path, machine: Machine, wrong_s: float, rows: int
) -> None:
    machine.wrong_s = wrong_s
    agent = machine.agent(path)
    agent.record(110.0)
    machine.seconds = DAY_S  # 100 in a million: 8.6 s, and 2 s
    machine.network_sets_clock()
    agent.check_clock()
    agent.record(DAY_S + 1)
    assert len(wrong_rows(path).get("expression", [])) == rows


def test_an_import_and_a_reading_with_its_own_time_stay(path: Path, machine: Machine) -> None:
    machine.wrong_s = -DAY_S
    agent = machine.agent(path)
    own = VitalReading(Instant(0, START_MS + 5), VitalKind.HEART_RATE, 70.0, "csv:a.csv")
    import_readings(path, [own])
    given = replace(own, source="http:a")
    arrived = replace(own, source="http:b", at=machine.now())
    assert import_each(path, [given, arrived]) == [True, True]
    agent.write(replace(own, source="mqtt:a"))
    machine.network_sets_clock()
    agent.check_clock()
    assert query(path, "SELECT source, at FROM vital ORDER BY source") == [
        ("csv:a.csv", START_MS + 5),
        ("http:a", START_MS + 5),
        ("http:b", START_MS + 100_000),
        ("mqtt:a", START_MS + 5),
    ]
    assert_rollups_are_those_of_the_rows(path)


def test_a_reading_moves_to_a_free_millisecond(path: Path, machine: Machine) -> None:
    machine.wrong_s = -DAY_S
    agent = machine.agent(path)
    taken = VitalReading(Instant(0, machine.true_ms(105)), VitalKind.HEART_RATE, 99.0, "strap")
    agent.write(taken, replace(taken, at=Instant(0, machine.true_ms(105) + 1)))
    agent.record_all(range(101, 111))
    machine.network_sets_clock()
    agent.check_clock()
    assert query(
        path, "SELECT at - ?, value FROM vital WHERE at / 1000 = ?", START_MS,
        machine.true_ms(105) // 1000,
    ) == [(105_000, 99.0), (105_001, 99.0), (105_002, 75.0)]  # fmt: skip
    assert query(path, "SELECT count(*) FROM vital") == [(12,)]
    assert_rollups_are_those_of_the_rows(path)


def test_rows_that_waited_in_memory_are_dated_anew(path: Path, machine: Machine) -> None:
    machine.wrong_s = YEAR_S
    agent = machine.agent(path)
    waiting = [row for second in (101, 102, 103) for row in rows_at(machine.at(second))]
    began = machine.at(101)
    machine.network_sets_clock()
    machine.seconds = 103.5
    over_the_step = gap_of(began, machine.now())
    agent.write(ClockCheck(machine.now()))
    agent.write(*waiting, over_the_step)
    assert wrong_rows(path) == {}
    assert query(path, "SELECT started, ended FROM gap") == [
        (machine.true_ms(101), machine.true_ms(103.5))
    ]


def erasing(path: Path, machine: Machine) -> tuple[Writing, Study]:
    """Let an agent whose clock is a day behind record a session and sum it up."""
    machine.wrong_s = -DAY_S
    agent = machine.agent(path)
    study = study_with_session(path, machine)
    agent.record_all(range(111, 116))
    window = {"start": iso_utc(machine.at(110).wall_ms), "end": iso_utc(machine.at(120).wall_ms)}
    agent.write(OutboxMessage("summary", {"window": window}), OutboxMessage("status", None))
    machine.seconds = 120.0
    return agent, study


def erase(path: Path) -> None:
    with write_transaction(path) as connection:
        erase_rows(connection, "P-1")


def test_what_was_erased_does_not_come_back_by_the_clock(path: Path, machine: Machine) -> None:
    agent, study = erasing(path, machine)
    study.end_session()
    waiting = [row for second in (117, 118, 125) for row in rows_at(machine.at(second))]
    erase(path)
    machine.seconds = 130.0
    machine.network_sets_clock()
    agent.check_clock()
    agent.write(*waiting)
    for table in ("expression", "vital"):
        assert query(path, f"SELECT boot_ms FROM {table}") == [(125_000,)]
    assert query(path, "SELECT count(*) FROM outbox WHERE topic = 'summary'") == [(0,)]


def test_erasing_takes_what_the_clock_moved(path: Path, machine: Machine) -> None:
    agent, study = erasing(path, machine)
    machine.network_sets_clock()
    agent.check_clock()
    told = query(path, "SELECT payload FROM outbox WHERE topic IN ('summary', 'session')")
    moved = [json.loads(text) for (text,) in told]
    first, second = (iso_utc(machine.true_ms(at)) for at in (110, 120))
    assert [message["at"] for message in moved if "at" in message] == [first]
    windows = [message["window"] for message in moved if "window" in message]
    assert windows == [{"start": first, "end": second}]
    study.end_session()
    erase(path)
    left = "SELECT (SELECT count(*) FROM expression), (SELECT count(*) FROM vital), (SELECT "
    assert query(path, f"{left} count(*) FROM outbox WHERE topic = 'summary')") == [(0, 0, 0)]


def test_a_long_time_moves_in_portions(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.wrong_s = -120 * DAY_S
    agent = machine.agent(path)
    hours = [3600.0 * hour for hour in range(1, 20)]
    agent.record_all(hours)
    study_with_session(path, machine, 30_000.0)
    machine.seconds = 60_000.0
    Study(path).end_session()
    machine.seconds = 70_000.0
    machine.network_sets_clock()
    monkeypatch.setattr(redating, "PORTION_MS", 3 * 3_600_000)
    agent.write(ClockCheck(machine.now()))
    left = [len(wrong_rows(path)["expression"])]
    assert 0 < left[0] < len(hours)
    while left[-1]:
        again = Writing(path, machine)  # the agent ended, and begins anew
        again.start()
        assert_rollups_are_those_of_the_rows(path)
        left.append(len(wrong_rows(path).get("expression", [])))
        inside = query(path, "SELECT count(*) FROM expression_view WHERE session = 1")
        assert inside == [(8,)], "a session was cut in two"
    assert left == sorted(left, reverse=True)
    assert len(left) > 3
    again.check_clock()
    assert wrong_rows(path) == {}


def test_wrong_rows_of_an_earlier_start_are_moved(path: Path, machine: Machine) -> None:
    machine.network_sets_clock()
    agent = machine.agent(path)
    agent.record_all(range(101, 111))
    machine.seconds = 200.0
    machine.somebody_sets_clock(YEAR_S)
    agent.record_all(range(201, 211))
    assert wrong_rows(path)
    machine.starts_again(60.0, 0.0)
    machine.agent(path)
    assert wrong_rows(path) == {}


def test_a_start_without_any_step_keeps_its_time(path: Path, machine: Machine) -> None:
    machine.wrong_s = -DAY_S
    agent = machine.agent(path)
    agent.record_all(range(101, 111))
    before = query(path, "SELECT at, boot FROM expression")
    machine.starts_again(3600.0, -DAY_S)
    again = machine.agent(path)
    machine.network_sets_clock()
    again.check_clock()
    assert query(path, "SELECT at, boot FROM expression") == before
    assert query(path, "SELECT synchronised FROM boot ORDER BY id") == [(0,), (1,), (1,)]


def test_a_step_that_nobody_saw_changes_no_session(path: Path, machine: Machine) -> None:
    machine.wrong_s = YEAR_S
    agent = machine.agent(path)
    study = study_with_session(path, machine)
    machine.seconds = 150.0
    machine.network_sets_clock()
    agent.write(*rows_at(machine.now()))
    machine.seconds = 160.0
    study.end_session()
    agent.check_clock()
    assert query(path, "SELECT ended - started FROM session") == [(50_000,)]
    assert wrong_rows(path) == {}


@pytest.mark.parametrize("wrong_s", [-400 * DAY_S, -DAY_S, 3600.0, DAY_S])
@pytest.mark.parametrize("before", [False, True])
def test_rows_committed_after_the_clock_was_set_are_moved_too(
    path: Path, machine: Machine, wrong_s: float, before: bool
) -> None:
    writing = Writing(path, machine)
    if before:
        machine.network_sets_clock()
        writing.start()
        writing.record(101.0)
    machine.somebody_sets_clock(wrong_s)
    machine.seconds = 102.0
    moved = MovementRow(machine.now(), 1, 5, movements(smile=0.5).values, True)
    late = [ClockCheck(machine.now(), is_start=not before), *rows_at(machine.now()), moved]
    machine.seconds = 105.0
    machine.network_sets_clock()
    writing.write(*late)
    machine.seconds = 110.0
    writing.check_clock()
    for table in ("vital", "expression", "movement"):
        sql = f"SELECT (max(at) - ?) / 1000.0, min(at) >= ? FROM {table}"
        assert query(path, sql, START_MS, START_MS) == [(102.0, 1)]


def test_rows_that_a_salvage_brings_are_moved_too(path: Path, machine: Machine) -> None:
    writing = machine.agent(path)
    writing.record(101.0)
    machine.somebody_sets_clock(-DAY_S)
    writing.record(102.0)
    with write_transaction(path) as connection:
        row = connection.execute("SELECT * FROM vital ORDER BY at LIMIT 1").fetchone()
        connection.execute("DELETE FROM vital WHERE at = ?", (row["at"],))
        write_salvages(connection, [Salvage("old", 1, "its file was emptied", left=["vital"])])
    machine.seconds = 105.0
    machine.network_sets_clock()
    writing.check_clock()
    with write_transaction(path) as connection:
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO vital VALUES ({marks})", tuple(row))
        write_salvages(connection, [Salvage("old", 1, "its file was emptied")])
    writing.record(110.0)
    writing.check_clock()
    at = query(path, "SELECT (at - ?) / 1000.0 FROM vital ORDER BY at", START_MS)
    assert at == [(101.0,), (102.0,), (110.0,)]


@pytest.mark.parametrize("wrong_s", [-YEAR_S, YEAR_S])
@pytest.mark.parametrize("later_s", [10.0, 5 * 3600.0])
def test_hours_taken_back_before_the_clock_is_set_move_with_it(
    path: Path, machine: Machine, wrong_s: float, later_s: float
) -> None:
    machine.wrong_s = wrong_s
    agent = machine.agent(path)
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    hours = Schedule("1", (Hours(1, 480, 1260),), Purpose.PERSONAL, SessionSetting.HOME)
    with write_transaction(path) as connection:
        agree(connection, "P-1", hours, machine.now())
    machine.seconds += later_s
    with write_transaction(path) as connection:
        end(connection, "P-1", machine.now())
    agent.record(machine.seconds + 1)
    machine.network_sets_clock()
    agent.check_clock()
    spans = query(path, "SELECT since, until FROM standing_session")
    assert spans == [(machine.true_ms(100.0), machine.true_ms(100.0 + later_s))]
    assert wrong_rows(path) == {}
    assert query(path, "SELECT count(*) FROM set_aside") == [(0,)]


@pytest.mark.parametrize("wrong_s", [-DAY_S, DAY_S, -90.0])
def test_times_of_acts_move_with_their_lines_in_the_trail(
    path: Path, machine: Machine, wrong_s: float
) -> None:
    machine.wrong_s = wrong_s
    agent = machine.agent(path)
    study = study_with_session(path, machine)
    marker = study.add_marker(MarkerKind.NOTE, "a cough")
    typed = VitalReading(machine.now(), VitalKind.HEART_RATE, 61.0, f"{BY_HAND}ada")
    agent.write(typed)
    machine.seconds = 120.0
    left_out = leave_out(path, 1, None, reason="no contact", actor="me")
    machine.seconds = 121.0
    take_back(path, 1, left_out.id, actor="me")
    machine.seconds = 122.0
    assert marker.id is not None
    remove_marker(path, 1, marker.id, reason="no cough", actor="me")
    machine.seconds = 123.0
    key = ReadingKey(typed.at.wall_ms, typed.kind, typed.source)
    correct_reading(path, key, 62.0, actor="me")
    machine.seconds = 124.0
    given = [replace(typed, source="csv:a.csv")]
    import_readings(path, given, file="a.csv", actor="me")
    machine.seconds = 125.0
    undo_import(path, 1, actor="me")
    early = Instant(0, machine.true_ms(-DAY_S))
    timeline(path, exclusion=[{"session": 1, "made": early, "reason": "of another day"}])

    machine.seconds = 140.0
    machine.network_sets_clock()
    agent.check_clock()

    assert query(path, "SELECT made, taken_back FROM exclusion ORDER BY id") == [
        (machine.true_ms(120), machine.true_ms(121)),
        (early.wall_ms, None),
    ]
    assert query(path, "SELECT changed FROM marker_change") == [(machine.true_ms(122),)]
    assert query(path, "SELECT changed FROM vital_change") == [(machine.true_ms(123),)]
    assert query(path, "SELECT at, undone FROM import") == [
        (machine.true_ms(124), machine.true_ms(125))
    ]


STAYS = {
    ("migration", "applied"): "says which release opened the file first",
    ("boot", "started_ms"): "is moved with its stretch",
    ("alert_message", "sent"): "is that of a message that left",
    ("preregistration", "at"): "is part of the text that its hash seals",
    ("import", "started"): "is that of a file",
    ("import", "ended"): "is that of a file",
    ("outbox_set_aside", "created"): "is deleted after a while",
    ("outbox_set_aside", "at"): "is deleted after a while",
    ("outbox_hole", "at"): "is that of a message that was sent",
    ("health_minute", "at"): "is deleted after a while",
    ("set_aside", "at"): "is deleted after a while",
    **{
        (f"{name}_{length}", "at"): "is a sum, subtracted and added anew"
        for name in ("expression", "vital")
        for length in ("minute", "hour", "day")
    },
}
"""Times that do not follow a clock that is set late, and why."""


def test_each_time_follows_a_clock_that_is_set_or_says_why_not() -> None:
    times = {(table.name, time.column): time for table in TABLES for time in table.times}
    assert {place for place, time in times.items() if not (time.boot or time.noted)} == set(STAYS)
