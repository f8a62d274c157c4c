"""What reaches the database after its clock was set, or a further start, is dated right too."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.store.database.schema import Salvage, write_salvages, write_transaction
from edge_agent.store.write.boots import ClockCheck
from tests.support.clocks.dated import study_with_session, wrong_rows
from tests.support.clocks.machine import DAY_S, Machine, Writing, rows_at
from tests.support.timeline import START_MS, query

YEAR_S = 365 * DAY_S


def test_what_an_earlier_start_of_the_machine_knew_to_be_wrong_is_moved_at_the_next(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    machine.network_sets_clock()
    agent = Writing(path, machine)
    agent.start()
    agent.record_all(range(101, 111))
    machine.seconds = 200.0
    machine.somebody_sets_clock(YEAR_S)
    agent.record_all(range(201, 211))
    assert wrong_rows(path)
    machine.starts_again(60.0, 0.0)
    again = Writing(path, machine)
    again.start()
    assert wrong_rows(path) == {}


def test_a_start_of_the_machine_without_any_step_keeps_its_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, -DAY_S)
    agent = Writing(path, machine)
    agent.start()
    agent.record_all(range(101, 111))
    before = query(path, "SELECT at, boot FROM expression")
    machine.starts_again(3600.0, -DAY_S)
    again = Writing(path, machine)
    again.start()
    machine.network_sets_clock()
    again.check_clock()
    assert query(path, "SELECT at, boot FROM expression") == before
    assert query(path, "SELECT synchronised FROM boot ORDER BY id") == [(0,), (1,), (1,)]


def test_a_step_that_nobody_has_seen_yet_shortens_or_lengthens_no_session(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, YEAR_S)
    agent = Writing(path, machine)
    agent.start()
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
def test_rows_that_were_committed_only_after_the_network_set_the_clock_are_moved_too(
    path: Path, monkeypatch: pytest.MonkeyPatch, wrong_s: float, before: bool
) -> None:
    machine = Machine(monkeypatch)
    writing = Writing(path, machine)
    if before:
        machine.network_sets_clock()
        writing.start()
        writing.record(101.0)
    machine.somebody_sets_clock(wrong_s)
    machine.seconds = 102.0
    late = [ClockCheck(machine.now(), is_start=not before), *rows_at(machine.now())]
    machine.seconds = 105.0
    machine.network_sets_clock()
    writing.write(*late)
    machine.seconds = 110.0
    writing.check_clock()
    at = query(path, "SELECT (max(at) - ?) / 1000.0, min(at) >= ? FROM vital", START_MS, START_MS)
    assert at == [(102.0, 1)]


def test_rows_that_a_salvage_still_brings_are_moved_with_the_others(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    writing = Writing(path, machine)
    writing.start()
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
