"""The time in which the agent did not run, and what found no room in the queue, are gaps."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.core.readings import Gap, VitalReading
from edge_agent.core.study import NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write import batch
from edge_agent.timeline.write import recorder as module
from edge_agent.timeline.write.boots import ClockCheck
from edge_agent.timeline.write.recorder import Recorder
from tests.support.clocks.machine import DAY_S, Machine
from tests.support.timeline import START_MS, instant, query, reading


def gaps(path: Path) -> list[tuple[object, ...]]:
    """Gaps in seconds after the first start of the machine by the true time."""
    return query(
        path,
        "SELECT source, (started - ?) / 1000.0, (ended - ?) / 1000.0, reason FROM gap ORDER BY id",
        START_MS,
        START_MS,
    )


def test_an_agent_that_begins_anew_tells_its_outage_once(path: Path, machine: Machine) -> None:
    first = machine.agent(path)
    assert gaps(path) == []
    first.record_all(range(101, 111))
    for second in (150.0, 151.0, 180.0):  # the one in the middle was too short
        machine.seconds = second
        again = machine.agent(path)
        again.check_clock()
    assert gaps(path) == [
        ("agent", 110.0, 150.0, "agent_stopped"),
        ("agent", 150.0, 180.0, "agent_stopped"),
    ]


def test_an_outage_is_reported_before_the_salvage_is_done(path: Path, machine: Machine) -> None:
    first = machine.agent(path)
    machine.seconds = 110.0
    first.write(VitalReading(machine.now(), VitalKind.HEART_RATE, 60.0, "strap"))
    machine.seconds = 150.0
    Rescue(path).replace("a test")
    machine.agent(path)
    assert gaps(path) == [("agent", 110.0, 150.0, "agent_stopped")]


def test_over_a_start_of_the_machine_both_sides_are_known(path: Path, machine: Machine) -> None:
    first = machine.agent(path)
    first.record_all(range(101, 111))
    machine.starts_again(3600.0, 0.0)
    machine.agent(path)
    assert gaps(path) == [("agent", 110.0, 110.0 + 3600.0 + 20.0, "agent_stopped")]
    assert query(path, "SELECT started_boot, boot FROM gap") == [(1, 2)]


@pytest.mark.parametrize("wrong_s", [-DAY_S, 5 * DAY_S])
def test_the_gap_ends_right_once_the_clock_is_set(
    path: Path, machine: Machine, wrong_s: float
) -> None:
    first = machine.agent(path)
    first.record_all(range(101, 111))
    machine.starts_again(3600.0, wrong_s)
    again = machine.agent(path)
    again.record_all(range(21, 31))
    assert (gaps(path) == []) is (wrong_s < 0), "an end before its start was written"
    machine.seconds = 40.0
    machine.network_sets_clock()
    again.check_clock()
    again.check_clock()
    assert gaps(path) == [("agent", 110.0, 3730.0, "agent_stopped")]


def test_between_sessions_that_are_asked_for_nothing_is_lost(path: Path, machine: Machine) -> None:
    first = machine.agent(path, only_in_sessions=True)
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    study.start_session(NewSession("P-1", Purpose.RESEARCH))
    first.record_all(range(101, 111))
    machine.seconds = 120.0
    study.end_session()
    machine.seconds = 200.0
    study.start_session(NewSession("P-1", Purpose.RESEARCH))
    machine.seconds = 210.0
    machine.agent(path, only_in_sessions=True)
    study.end_session()
    assert gaps(path) == [
        ("agent", 110.0, 120.0, "agent_stopped"),
        ("agent", 200.0, 210.0, "agent_stopped"),
    ]
    machine.seconds = 300.0
    machine.agent(path, only_in_sessions=True)
    assert len(gaps(path)) == 2


def test_a_standstill_is_a_gap_as_long_as_the_boot_clock_says(path: Path, machine: Machine) -> None:
    agent = machine.agent(path)
    since = machine.now()
    machine.seconds += 60.0
    machine.somebody_sets_clock(3_600.0)
    agent.write(Gap("camera", since, machine.now(), "stopped"))
    assert query(path, "SELECT source, reason, ended - started FROM gap") == [
        ("camera", "stopped", 60_000)
    ]


def test_standstill_is_a_gap_only_in_sessions_in_mode_sessions(
    path: Path, machine: Machine
) -> None:
    agent = machine.agent(path, only_in_sessions=True)
    since = machine.now()
    study = Study(path)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    machine.seconds = 120.0
    study.start_session(NewSession("P-1", Purpose.RESEARCH))
    machine.seconds = 150.0
    study.end_session()
    machine.seconds = 160.0
    agent.write(Gap("camera", since, machine.now(), "stopped"))
    agent.write(Gap("camera", machine.now(), machine.at(200.0), "stopped"))
    assert gaps(path) == [("camera", 120.0, 150.0, "stopped")]


def test_a_gap_that_was_rolled_back_is_written_by_the_next(path: Path, machine: Machine) -> None:
    first = machine.agent(path)
    first.record_all(range(101, 111))
    machine.starts_again(3600.0, -DAY_S)
    again = machine.agent(path)
    machine.network_sets_clock()
    with closing(connect(path, readonly=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        again.writer.write(connection, [ClockCheck(machine.now())])
        connection.execute("ROLLBACK")
    again.writer.forget()
    assert gaps(path) == []
    again.check_clock()
    assert [one[3] for one in gaps(path)] == ["agent_stopped"]


def test_readings_that_do_not_fit_into_the_queue_are_a_gap(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUEUE_ITEMS", 3)
    moments = map(instant, range(3, 10))
    monkeypatch.setattr(batch, "now", lambda: next(moments))
    recorder = Recorder(path)
    # nobody takes them: the thread has not begun; their own times go back and forth by minutes
    for second in (0, 1, 2, 700, -700, 4, 5, 6, 600, -600):
        recorder.submit(reading(second))
    assert recorder.dropped == 7
    recorder.start()
    recorder.stop()
    assert recorder.join(60)
    assert query(
        path, "SELECT source, started - ?, ended - ?, reason FROM gap", START_MS, START_MS
    ) == [("recorder", 3_000, 9_000, "not_written")]


@pytest.mark.parametrize("wrong_s", [-3600.0, 3600.0, 5 * DAY_S])
def test_a_clock_set_while_it_is_down_moves_the_start_of_the_gap(
    path: Path, machine: Machine, wrong_s: float
) -> None:
    first = machine.agent(path)
    first.record_all(range(101, 111))
    machine.somebody_sets_clock(wrong_s)
    first.record_all(range(111, 121))
    machine.seconds = 150.0
    machine.network_sets_clock()
    machine.agent(path)
    assert gaps(path) == [("agent", 120.0, 150.0, "agent_stopped")]
