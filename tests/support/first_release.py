"""Databases as release 0.1.0 made them, from its own scripts, kept as they were."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_agent.timeline.database.dashboard_file import dashboard_file
from edge_agent.timeline.database.schema import APPLICATION_ID, PAGE_BYTES

_LATER_KINDS = [
    *(("skin_conductance", "uS"), ("blink_rate", "/min"), ("blink_duration", "ms")),
    ("body_motion", "m[g]"),
]
SCRIPTS = Path(__file__).resolve().parents[1] / "unit/timeline/database/schema_34"


def first_database(path: Path) -> Path:
    """Make a database of schema 34 with at least one row in each table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        for name in ("schema.sql", "views.sql", "rows.sql"):
            connection.executescript((SCRIPTS / name).read_text(encoding="utf-8"))
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("PRAGMA user_version=34")
    path.chmod(0o640)
    return path


def first_dashboard(database: Path) -> Path:
    """Make the dashboard's database of schema 1 with an account that is logged in."""
    path = dashboard_file(database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript((SCRIPTS / "dashboard.sql").read_text(encoding="utf-8"))
        connection.executescript(
            "INSERT INTO account (id, name, password_hash, created) VALUES (1, 'ada', '!', 1);"
            "INSERT INTO login (token_hash, account, created, expires) VALUES ('h', 1, 1, 2);"
        )
        connection.execute("PRAGMA application_id=0x41464442")
        connection.execute("PRAGMA user_version=1")
    path.chmod(0o600)
    return path


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Return the rows of a database of any schema."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def rows_in(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows by table, without what an upgrade adds: columns, tables, kinds, its own
    record.
    """
    with closing(sqlite3.connect(":memory:")) as first:
        first.executescript((SCRIPTS / "schema.sql").read_text(encoding="utf-8"))
        known = {name: len(_columns(first, name)) for name in _tables(first)}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = {
            name: [row[: known.get(name)] for row in connection.execute(f"SELECT * FROM {name}")]
            for name in _tables(connection)
        }
    for added in ("own_neutral", "standing_session", "trial", "ecg"):
        assert not rows.pop(added, [])
    rows["vital_kind"] = [row for row in rows.get("vital_kind", []) if row not in _LATER_KINDS]
    rows["migration"] = rows.get("migration", [])[:1]
    return rows


def _tables(connection: sqlite3.Connection) -> list[str]:
    named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [name for (name,) in connection.execute(named)]


def _columns(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"PRAGMA table_info({table})").fetchall()
