"""An agent that is killed, and one whose database is damaged or deleted."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError
from edge_agent.core.readings import VitalReading
from edge_agent.timeline.database.files import set_aside_beside
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.study.sessions import Study
from edge_agent.vitals.camera_blinks import CameraBlinks
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.agent import WITHOUT_BROKER, Tables, running_agent
from tests.support.appliance import Appliance
from tests.support.broker import wait_until
from tests.support.timeline import query, timeline


def test_agent_killed_records_the_gap_at_its_next_start(tmp_path: Path) -> None:
    settings = WITHOUT_BROKER | {"record": {"batch_seconds": 0.5}}
    with Appliance(tmp_path, settings) as agent:
        agent.wait_for("the agent runs")
        wait_until(
            lambda: query(agent.database, "SELECT count(*) >= 2 FROM expression") == [(1,)], "rows"
        )
        status = Path(f"/proc/{agent.pid}/status").read_text(encoding="ascii").splitlines()
        resident_kb = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        assert resident_kb < 250 * 1024
        assert agent.stop(signal.SIGKILL) == -signal.SIGKILL
        last = query(agent.database, "SELECT max(at) FROM expression")[0][0]
        wait_until(lambda: time.time() * 1000 > last + 3_000, "an outage that counts")
    begun_ms = time.time() * 1000
    with running_agent(agent.data, settings) as run:
        run.wait_for_rows("gap")
    columns = "source, started, reason, boot, started_boot, ended"
    (gap,) = query(agent.database, f"SELECT {columns} FROM gap WHERE source = 'agent'")
    assert gap[:-1] == ("agent", last, "agent_stopped", 1, 1)
    later = f"SELECT coalesce(min(at), {2**62}) FROM expression WHERE at > {last}"
    assert begun_ms < gap[-1] < query(agent.database, later)[0][0]


def test_an_agent_that_was_frozen_tells_since_when_nothing_was_recorded(tmp_path: Path) -> None:
    with Appliance(tmp_path, WITHOUT_BROKER | {"record": {"batch_seconds": 0.5}}) as agent:
        agent.wait_for("the agent runs")
        rows = "SELECT count(*) >= 2 FROM expression"
        wait_until(lambda: query(agent.database, rows) == [(1,)], "rows")
        agent.send(signal.SIGSTOP)
        begun_ms = time.time() * 1000
        wait_until(lambda: time.time() * 1000 > begun_ms + 5_000, "a freeze that counts")
        ended_ms = time.time() * 1000
        agent.send(signal.SIGCONT)
        span = f"started <= {begun_ms} AND ended >= {ended_ms}"
        frozen = f"SELECT source, boot, started_boot FROM gap WHERE reason = 'stopped' AND {span}"
        wait_until(lambda: query(agent.database, frozen) == [("camera", 1, 1)], "the gap")
        assert agent.stop() == 0
    assert re.search(r"no frames came for \d+\.\d s \(stopped\)", agent.said)


SLOWER: Tables = {"record": {"batch_seconds": 0.5, "interval": 0.0}}


def newest(path: Path) -> int:
    """Return the time of the newest row that a reader finds at the path; 0: none."""
    with suppress(StoreError, sqlite3.Error):
        return query(path, "SELECT max(at) FROM expression")[0][0] or 0
    return 0


def wait_for_new_rows(path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    wait_until(lambda: newest(path) > now_ms, "a row of after the damage")


def of_the_header(_connection: sqlite3.Connection) -> list[tuple[int, int]]:
    return [(0, 64)]


def of_the_pages_where_it_writes(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    roots = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'expression' AND rootpage > 0"
    return [((page - 1) * size, size) for (page,) in connection.execute(roots)]


@pytest.mark.parametrize("places", [of_the_header, of_the_pages_where_it_writes])
def test_damage_ends_no_agent_and_costs_no_participant(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    places: Callable[[sqlite3.Connection], list[tuple[int, int]]],
) -> None:
    caplog.set_level("INFO")
    path = timeline(tmp_path)
    Study(path).create_participant("P01")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        damaged = places(connection)
    with path.open("r+b") as file:
        for offset, size in damaged:
            file.seek(offset)
            file.write(b"\xa5" * size)
    with running_agent(tmp_path, SLOWER) as run:
        wait_for_new_rows(path)
        assert query(path, "SELECT code FROM participant") == [("P01",)]
        run.finish()
    assert len(set_aside_beside(path)) == 1
    assert "Traceback" not in caplog.text


def test_a_database_that_is_deleted_under_the_agent_is_there_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = timeline(tmp_path)
    Study(path).create_participant("P01")
    with running_agent(tmp_path, SLOWER) as run:
        wait_for_new_rows(path)
        before = newest(path)
        for part in ("", "-wal", "-shm"):
            path.with_name(path.name + part).unlink()
        wait_for_new_rows(path)
        assert query(path, "SELECT code FROM participant") == [("P01",)]
        wait_until(lambda: "is done" in caplog.text, "the rows of before the deletion carried over")
        run.finish()
    assert query(path, "SELECT count(*) > 0 FROM expression WHERE at <= ?", before) == [(1,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert "Traceback" not in caplog.text


def test_source_that_dies_leaves_a_gap_and_an_alarm_and_the_agent_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = SimulatedPerson.readings
    faults = iter([True])

    def readings(person: SimulatedPerson, at: Instant, **asked: bool) -> list[VitalReading]:
        if next(faults, False):
            raise ValueError("cannot convert float NaN to integer")
        return tell(person, at, **asked)

    monkeypatch.setattr(SimulatedPerson, "readings", readings)
    with running_agent(tmp_path, {"vitals": {"simulated": {"enabled": True}}}) as running:
        running.wait_for_rows("gap", "source = 'simulated' AND reason = 'failed'")
        running.wait_for_rows("vital", "source = 'simulated'")
        health = running.hear(lambda message: message["type"] == "health")
        running.finish()
    assert [(one["times"], one["running"]) for one in health["restarts"]] == [(1, True)]
    assert [alarm["name"] for alarm in health["alarms"]].count("source_failed") == 1


def test_blinks_that_throw_leave_an_alarm_and_a_gap_and_rows_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = CameraBlinks.add_frame
    frames = iter(range(1000))

    def add_frame(blinks: CameraBlinks, *given: Any) -> None:
        if next(frames) == 30:
            raise ZeroDivisionError("float division by zero")
        count(blinks, *given)

    monkeypatch.setattr(CameraBlinks, "add_frame", add_frame)
    with running_agent(tmp_path, SLOWER | {"vision": {"blinks": True}}) as running:
        running.wait_for_rows("gap", "source = 'camera_blinks' AND reason = 'failed'")
        health = running.hear(lambda message: message["type"] == "health" and message["alarms"])
        wait_for_new_rows(tmp_path / DATABASE_NAME)
        running.finish()
    assert [(one["name"], one["times"]) for one in health["restarts"]] == [("camera_blinks", 1)]
    assert "source_failed" in [alarm["name"] for alarm in health["alarms"]]
