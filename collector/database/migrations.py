"""Bringing a PostgreSQL database to the present schema, whoever of many collectors is first."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import logging
from dataclasses import dataclass

import psycopg

from collector.database.tables import (
    AHEAD,
    CLOCKS,
    DEVICES,
    FIRST,
    OPEN_MINUTE,
    SCHEMA,
)
from collector.errors import CollectorError

log = logging.getLogger(__name__)

OLDEST_SERVER = 150_000
_LOCK = 0x41464544
"""Of ``pg_advisory_xact_lock``: one collector upgrades, the others wait for it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; it runs in one transaction with the record of it."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration("first version", FIRST),
    Migration("positions beyond the mark", AHEAD),
    Migration("minutes that are not over", OPEN_MINUTE),
    Migration("what devices say of themselves", DEVICES),
    Migration("how far clocks of devices are ahead", CLOCKS),
)


def migrate(connection: psycopg.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
    """Create the tables, or bring older ones to the present schema.

    Raises:
        CollectorError: the server is too old, or the database is of a newer collector.
        psycopg.Error: the server refuses, such as for missing rights.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise CollectorError(
            f"This server is PostgreSQL {version // 10_000}; version 15 or newer is needed."
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {SCHEMA}.migration (version int PRIMARY KEY, "
            "name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
        )
        row = connection.execute(
            f"SELECT coalesce(max(version), 0) FROM {SCHEMA}.migration"
        ).fetchone()
        done = row[0] if row else 0
        if done > len(migrations):
            raise CollectorError(
                f"The database has the schema {done}, this collector knows {len(migrations)}: "
                "update this collector. Nothing was changed."
            )
        for number, migration in enumerate(migrations[done:], start=done + 1):
            for statement in migration.statements:
                connection.execute(statement.encode())
            connection.execute(
                f"INSERT INTO {SCHEMA}.migration (version, name) VALUES (%s, %s)",
                (number, migration.name),
            )
            log.info("schema %d: %s", number, migration.name)
