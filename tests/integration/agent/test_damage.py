"""An agent whose database is damaged before it starts, or gone while it runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.store.database.files import set_aside_beside
from edge_agent.store.study.study import Study
from tests.support.agent import Tables, running_agent
from tests.support.broker import wait_until
from tests.support.timeline import database

TABLES: Tables = {"record": {"batch_seconds": 0.5, "interval": 0.0}}


def newest(path: Path) -> int:
    """The time of the newest row that a reader finds at the path; 0: none."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT max(at) FROM expression").fetchone()[0] or 0
    except sqlite3.Error:
        return 0


def wait_for_new_rows(path: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    wait_until(lambda: newest(path) > now_ms, "a row of after the damage")


def codes(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT code FROM participant")]


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
    path = database(tmp_path)
    Study(path).create_participant("P01")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        damaged = places(connection)
    with path.open("r+b") as file:
        for offset, size in damaged:
            file.seek(offset)
            file.write(b"\xa5" * size)
    with running_agent(tmp_path, TABLES) as run:
        wait_for_new_rows(path)
        assert codes(path) == ["P01"]
        run.finish()
    assert len(set_aside_beside(path)) == 1
    assert "Traceback" not in caplog.text


def test_a_database_that_is_deleted_under_the_agent_is_there_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = database(tmp_path)
    Study(path).create_participant("P01")
    with running_agent(tmp_path, TABLES) as run:
        wait_for_new_rows(path)
        before = newest(path)
        for part in ("", "-wal", "-shm"):
            path.with_name(path.name + part).unlink()
        wait_for_new_rows(path)
        assert codes(path) == ["P01"]
        wait_until(lambda: "is done" in caplog.text, "the rows of before the deletion carried over")
        run.finish()
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT count(*) FROM expression WHERE at <= ?", (before,))
        assert rows.fetchone()[0] > 0
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "Traceback" not in caplog.text
