"""What is known of the time of rows in a test, and the rollups that belong to them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.copy import copy_database
from edge_agent.timeline.database.schema import HOUR_MS
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.fold import make_anew
from edge_agent.timeline.write.open_minutes import find_open_minutes, roll_up_minute
from tests.support.clocks.machine import Machine
from tests.support.timeline import START_MS, query

TIMELINE = ("expression", "movement", "unfit", "vital")
STUDY = ("marker", "self_report")
ROLLUPS = ("expression_minute", "expression_hour", "vital_minute", "vital_hour")


def wrong_rows(path: Path) -> dict[str, list[tuple[int, ...]]]:
    """Rows whose time is not the true one of their boot clock, of the first start."""
    found = {
        table: query(path, f"SELECT at - ? - boot_ms FROM {table} WHERE at - boot_ms <> ?",
                     START_MS, START_MS)
        for table in (*TIMELINE, *STUDY)
    }  # fmt: skip
    found["session"] = query(
        path,
        "SELECT started - boot_ms, ended - ended_boot_ms FROM session WHERE started - boot_ms <> "
        "? OR ended - ended_boot_ms <> ?",
        START_MS,
        START_MS,
    )
    return {table: rows for table, rows in found.items() if rows}


def rollups(path: Path) -> dict[str, list[tuple[object, ...]]]:
    order = {table: "kind, at" if table.startswith("vital") else "at" for table in ROLLUPS}
    return {t: query(path, f"SELECT * FROM {t} ORDER BY {order[t]}") for t in ROLLUPS}


def assert_rollups_are_those_of_the_rows(path: Path) -> None:
    """Compare with what the rows of all times give when all is made anew, in a copy.

    First the minute that goes on is rolled up, as at the next start.
    """
    with write_transaction(path) as connection:
        for start in find_open_minutes(connection):
            roll_up_minute(connection, start)
    copy = path.with_name("anew.db")
    with closing(connect(path, readonly=True)) as connection:
        copy_database(connection, copy)
    with write_transaction(copy) as connection:
        for table in ROLLUPS:
            connection.execute(f"DELETE FROM {table}")
        hours = {
            at // HOUR_MS * HOUR_MS
            for table in ("expression", "vital")
            for (at,) in connection.execute(f"SELECT at FROM {table}")
        }
        for hour in hours:
            make_anew(connection, (hour, hour + HOUR_MS - 1), ())
    assert rollups(path) == rollups(copy)


def study_with_session(path: Path, machine: Machine, second: float = 110.0) -> Study:
    machine.seconds = second
    study = Study(path)
    study.create_participant("P-1", actor="me")
    study.give_consent("P-1", "1")
    study.start_session(NewSession("P-1", Purpose.RESEARCH, "films"))
    return study
