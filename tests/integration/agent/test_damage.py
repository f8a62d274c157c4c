"""The agent as a process: its database is damaged before it starts, or gone while it runs."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.store.database.schema import migrate
from edge_agent.store.database.set_aside_files import set_aside_beside
from edge_agent.store.study.study import Study
from tests.support.appliance import Appliance
from tests.support.broker import wait_until

SETTINGS: dict[str, dict[str, Any]] = {
    "camera": {"source": "demo"},
    "mqtt": {"enabled": False},
    "record": {"batch_seconds": 0.5, "interval": 0.0},
}


def newest(database: Path) -> int:
    """The time of the newest row that a reader finds at the path; 0: none."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT max(at) FROM expression").fetchone()[0] or 0
    except sqlite3.Error:
        return 0


def wait_for_new_rows(database: Path) -> None:
    now_ms = time.time_ns() // 1_000_000
    wait_until(lambda: newest(database) > now_ms, "a row of after the damage")


def codes(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT code FROM participant")]


def test_a_damaged_header_ends_no_agent_and_costs_no_participant(tmp_path: Path) -> None:
    agent = Appliance(tmp_path, SETTINGS)
    migrate(agent.database)
    Study(agent.database).create_participant("P01")
    with closing(sqlite3.connect(agent.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with agent.database.open("r+b") as file:
        file.write(bytes(64))
    with agent:
        wait_for_new_rows(agent.database)
        assert codes(agent.database) == ["P01"]
        assert agent.stop() == 0, agent.said
    assert len(set_aside_beside(agent.database)) == 1
    assert "Traceback" not in agent.said


def test_a_damaged_page_where_the_agent_writes_ends_no_agent(tmp_path: Path) -> None:
    agent = Appliance(tmp_path, SETTINGS)
    migrate(agent.database)
    Study(agent.database).create_participant("P01")
    with closing(sqlite3.connect(agent.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        roots = "SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'expression' AND rootpage > 0"
        pages = [page for (page,) in connection.execute(roots)]
    content = bytearray(agent.database.read_bytes())
    for page in pages:
        content[(page - 1) * size : page * size] = b"\xa5" * size
    agent.database.write_bytes(content)
    with agent:
        wait_for_new_rows(agent.database)
        assert codes(agent.database) == ["P01"]
        assert agent.stop() == 0, agent.said
    assert "Traceback" not in agent.said


def test_a_database_that_is_deleted_under_the_agent_is_there_again(tmp_path: Path) -> None:
    agent = Appliance(tmp_path, SETTINGS)
    migrate(agent.database)
    Study(agent.database).create_participant("P01")
    with agent:
        wait_for_new_rows(agent.database)
        before = newest(agent.database)
        for part in ("", "-wal", "-shm"):
            agent.database.with_name(agent.database.name + part).unlink()
        wait_for_new_rows(agent.database)
        assert codes(agent.database) == ["P01"]
        wait_until(
            lambda: "is done" in agent.said,
            "the rows of before the deletion carried over",
        )
        assert agent.stop() == 0, agent.said
    with closing(sqlite3.connect(agent.database)) as connection:
        rows = connection.execute("SELECT count(*) FROM expression WHERE at <= ?", (before,))
        assert rows.fetchone()[0] > 0
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "Traceback" not in agent.said
