"""The tables in PostgreSQL, as SQL, and their migrations, which any of the collectors can run.

``docs/fleet.md`` says what each is for. Times are UTC epoch milliseconds, as on the devices. A row
belongs to a stream: a device, and the epoch of its database. The columns are those that
``edge_agent.fleet.tables`` sends. Partitions are by month, made before the first row of one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from collector.messages import CollectorError
from edge_agent.core.movements import NAMES as MOVED
from edge_agent.fleet.tables import (
    BY_NAME,
    EXCLUSION,
    EXPRESSION,
    MOVEMENT,
    OWN_NEUTRAL,
    REJECTED,
    STUDY,
    TABLES,
    TIMELINE,
    TRIAL,
    SentTable,
)
from edge_agent.timeline.database.schema import ADDED, NAMES, SMOOTHED

# ruff: noqa: S608 - only our own names are put into SQL text

log = logging.getLogger(__name__)

SCHEMA = "fleet"
ERRORS = (f"ALTER TABLE {SCHEMA}.vital ADD COLUMN IF NOT EXISTS error float8",)
OLDEST_SERVER = 150_000
_LOCK = 0x41464544
"""Key of ``pg_advisory_xact_lock``: one collector migrates, the others wait for it."""
_PARTITION_LOCK = 0x41464545
_FIRST_YEAR, _LAST_YEAR = 2015, 2099
"""Months outside of these years get no partition: such times are wrong, but their rows are kept."""
_TEXT = frozenset({"emotion", "reason", "kind", "source", "flags", "device_time", "attribution"})
_REAL = frozenset({"face_size", "quality", "value", "error"})
_NULLABLE = frozenset(
    {"boot_ms", "boot", "emotion", "device_time", "error", "started_boot", *MOVED}
)
_SMALL = frozenset({*NAMES, *SMOOTHED, *MOVED, "is_primary", "simulated"})
RESOLUTIONS = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
VITAL_SUMS = ("n", "total", "least", "most", "flagged", "simulated")
ROLLED_UP = ("expression", "vital")
"""Tables whose rows are added up by minute, hour and day."""
_MINUTES = tuple(f"{name}_minute" for name in ROLLED_UP)
PARTITIONED = (*(table.name for table in TIMELINE), *_MINUTES)
"""Tables that are partitioned by month."""
_OF_FIRST = frozenset(table.name for table in TABLES if table.code <= 15)
"""Tables of the first schema: later ones were numbered on, and each has a migration."""
_STREAMS = (
    f"""CREATE TABLE {SCHEMA}.stream (
        id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        device text NOT NULL,
        epoch text NOT NULL,
        applied int8 NOT NULL DEFAULT 0,
        copied boolean NOT NULL DEFAULT false,
        closed boolean NOT NULL DEFAULT false,
        absent int8 NOT NULL DEFAULT 0,
        clock_ahead_ms int8,
        synchronised boolean,
        heard timestamptz NOT NULL DEFAULT now(),
        UNIQUE (device, epoch)
    )""",
    f"""CREATE TABLE {SCHEMA}.waiting (
        stream int8 NOT NULL REFERENCES {SCHEMA}.stream(id),
        first int8 NOT NULL,
        last int8 NOT NULL,
        payload bytea NOT NULL,
        heard timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (stream, first, last)
    )""",
    f"""CREATE TABLE {SCHEMA}.lost (
        stream int8 NOT NULL REFERENCES {SCHEMA}.stream(id),
        first int8 NOT NULL,
        last int8 NOT NULL,
        reason text NOT NULL,
        noted timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (stream, first)
    )""",
    f"""CREATE TABLE {SCHEMA}.erasure (
        stream int8 NOT NULL REFERENCES {SCHEMA}.stream(id),
        position int8 NOT NULL,
        rows int8 NOT NULL,
        done timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (stream, position)
    )""",
    f"""CREATE TABLE {SCHEMA}.dead_letter (
        digest bytea PRIMARY KEY,
        device text NOT NULL,
        reason text NOT NULL,
        payload bytea NOT NULL,
        times int8 NOT NULL DEFAULT 1,
        first_seen timestamptz NOT NULL DEFAULT now(),
        last_seen timestamptz NOT NULL DEFAULT now()
    )""",
)
AHEAD = (
    # what is applied beyond the mark, with holes before it
    f"ALTER TABLE {SCHEMA}.stream ADD COLUMN ahead int8multirange NOT NULL DEFAULT '{{}}'",
    # these rows are written again and again: room beside them keeps their indexes small
    *(
        f"ALTER TABLE {SCHEMA}.{kind}_{resolution} SET (fillfactor = 70)"
        for kind in ("expression", "vital")
        for resolution in ("hour", "day")
    ),
)
OPEN_MINUTE = (
    # the newest minute of a stream, whose rollup is not computed before it is over
    f"ALTER TABLE {SCHEMA}.stream ADD COLUMN open_minute int8",
)
DEVICES = (
    # what a device says of itself; "at" is the time by its own clock, "heard" when it came here
    f"""CREATE TABLE {SCHEMA}.device (
        name text PRIMARY KEY,
        state text CHECK (state IN ('online', 'offline')),
        state_at int8,
        state_heard timestamptz,
        since timestamptz,
        version text,
        health jsonb,
        health_at int8,
        health_heard timestamptz,
        health_kept boolean,
        heard timestamptz
    )""",
    # written again and again: room beside each row, so that its index stays as it is
    f"ALTER TABLE {SCHEMA}.device SET (fillfactor = 50)",
    # for questions about all devices together; at most some 16 bytes a row, and no row moves in it
    *(
        f"CREATE INDEX ON {SCHEMA}.{name} ({columns})"
        for name, columns in (
            ("expression_hour", "at"),
            ("expression_day", "at"),
            ("vital_hour", "kind, at"),
            ("vital_day", "kind, at"),
        )
    ),
)
CLOCKS = (
    # how far the clock of a device was ahead, from when on; "since" to "until" by the clock of
    # PostgreSQL, "boot_ms" by the boot clock of the device
    f"""CREATE TABLE {SCHEMA}.clock (
        device text NOT NULL,
        since timestamptz NOT NULL,
        until timestamptz NOT NULL,
        reached timestamptz NOT NULL,
        boot text NOT NULL,
        boot_ms int8 NOT NULL,
        wall_minus_boot_ms int8 NOT NULL,
        ahead_ms int8 NOT NULL,
        doubt_ms int8 CHECK (doubt_ms > 0),
        synchronised boolean NOT NULL,
        PRIMARY KEY (device, since)
    )""",
    # written now and then: room beside each row, so that its indexes stay as they are
    f"ALTER TABLE {SCHEMA}.clock SET (fillfactor = 80)",
    # who is to be looked at when times of several devices are put together: few
    f"""CREATE INDEX clock_is_off ON {SCHEMA}.clock (device)
        WHERE doubt_ms IS NOT NULL AND NOT synchronised AND abs(ahead_ms) >= 30000""",
)
READERS = (
    # other programs read faces, too, and do not tell everything
    *(f"ALTER TABLE {SCHEMA}.movement ALTER COLUMN {name} DROP NOT NULL" for name in MOVED),
    f"ALTER TABLE {SCHEMA}.movement ADD COLUMN IF NOT EXISTS source text NOT NULL DEFAULT ''",
)
ATTRIBUTIONS = tuple(
    f"ALTER TABLE {SCHEMA}.{table.name} ADD COLUMN IF NOT EXISTS attribution text NOT NULL "
    "DEFAULT ''"
    for table in (EXPRESSION, REJECTED, MOVEMENT)
)


def column_type(column: str) -> str:
    """Return the type in PostgreSQL of a column of the timeline."""
    if column in _TEXT:
        return "text"
    if column in _REAL:
        return "float8"
    return "int2" if column in _SMALL else "int8"


def is_nullable(column: str) -> bool:
    """Return whether a column of the timeline may be NULL."""
    return column in _NULLABLE


def key_of(table: SentTable) -> tuple[str, ...]:
    """Return the columns that name a row of the timeline within its stream."""
    assert table.time is not None
    # PostgreSQL wants the column of the partitions in the primary key.
    return table.key if table.time in table.key else (table.time, *table.key)


def _timeline(table: SentTable) -> str:
    columns = ", ".join(
        f"{column} {column_type(column)}{'' if is_nullable(column) else ' NOT NULL'}"
        for column in table.columns
    )
    return (
        f"CREATE TABLE {SCHEMA}.{table.name} (stream int8 NOT NULL, {columns}, "
        f"PRIMARY KEY (stream, {', '.join(key_of(table))})) PARTITION BY RANGE ({table.time})"
    )


def _partition(name: str, column: str) -> str:
    return f" PARTITION BY RANGE ({column})" if name in PARTITIONED else ""


def _expressions_by(resolution: str) -> str:
    name = f"expression_{resolution}"
    columns = ", ".join(f"{column} int8 NOT NULL" for column in ADDED)
    return (
        f"CREATE TABLE {SCHEMA}.{name} (stream int8 NOT NULL, at int8 NOT NULL, {columns}, "
        f"PRIMARY KEY (stream, at)){_partition(name, 'at')}"
    )


def _vitals_by(resolution: str) -> str:
    name = f"vital_{resolution}"
    return (
        f"CREATE TABLE {SCHEMA}.{name} (stream int8 NOT NULL, kind text NOT NULL, at int8 NOT NULL,"
        " n int8 NOT NULL, total float8 NOT NULL, least float8, most float8, flagged int8 NOT NULL,"
        f" simulated int8 NOT NULL, PRIMARY KEY (stream, at, kind)){_partition(name, 'at')}"
    )


def _study_view(table: SentTable) -> str:
    # Rows of devices that do not send a column yet have the value that their database would get.
    values = {column: f"fields->>'{column}'" for column in table.columns[1:]}
    values |= {column: f"coalesce({values[column]}, '{value}')" for column, _, value in table.added}
    columns = ", ".join(f"{value} AS {column}" for column, value in values.items())
    return (
        f"CREATE OR REPLACE VIEW {SCHEMA}.{table.name} AS SELECT stream, id, {columns} "
        f"FROM {SCHEMA}.study_row WHERE kind = '{table.name}'"
    )


_STUDY = (
    f"""CREATE TABLE {SCHEMA}.study_row (
        stream int8 NOT NULL REFERENCES {SCHEMA}.stream(id),
        kind text NOT NULL,
        id int8 NOT NULL,
        fields jsonb NOT NULL,
        PRIMARY KEY (stream, kind, id)
    )""",
    *(_study_view(table) for table in STUDY if table.name in _OF_FIRST),
)
FIRST = (
    *_STREAMS,
    *_STUDY,
    *(_timeline(table) for table in TIMELINE if table.name in _OF_FIRST),
    *(_expressions_by(resolution) for resolution in RESOLUTIONS),
    *(_vitals_by(resolution) for resolution in RESOLUTIONS),
    # times that no month is made for: a clock that was never set, or a lie
    *(
        f"CREATE TABLE {SCHEMA}.{name}_elsewhen PARTITION OF {SCHEMA}.{name} DEFAULT"
        for name in PARTITIONED
        if name in _OF_FIRST or name in _MINUTES
    ),
)
MOVEMENTS = (
    _timeline(MOVEMENT),
    f"CREATE TABLE {SCHEMA}.movement_elsewhen PARTITION OF {SCHEMA}.movement DEFAULT",
)
EXCLUSIONS = (_study_view(EXCLUSION),)
PRIORS = (_study_view(BY_NAME["model"]),)
OWN_NEUTRALS = (_study_view(OWN_NEUTRAL),)
TRIALS = (_study_view(TRIAL),)
INSTRUMENTS = (_study_view(BY_NAME["session"]),)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; it runs in one transaction with its record."""

    name: str
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration("first version", FIRST),
    Migration("positions beyond the mark", AHEAD),
    Migration("minutes that are not over", OPEN_MINUTE),
    Migration("what devices say of themselves", DEVICES),
    Migration("how far clocks of devices are ahead", CLOCKS),
    Migration("movements of faces", MOVEMENTS),
    Migration("movements from other programs", READERS),
    Migration("what is left out of analyses", EXCLUSIONS),
    Migration("priors of classifiers", PRIORS),
    Migration("own neutral of sessions", OWN_NEUTRALS),
    Migration("screens that protocols showed", TRIALS),
    Migration("whose a face is", ATTRIBUTIONS),
    Migration("errors of readings", ERRORS),
    Migration("instruments of sessions", INSTRUMENTS),
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
            f"This server is PostgreSQL {version // 10_000}; version 15 or newer is needed. "
            "Upgrade it, or name another server with --database."
        )
    with connection.transaction():
        # An advisory lock, since at the first start there is no table that could be locked.
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
        # A newer collector has been here: its tables must not be written by rules of before.
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


class Partitions:
    """Creates missing partitions, and remembers the existing ones."""

    def __init__(self) -> None:
        self._known: set[tuple[int, int]] = set()

    def prepare(self, connection: psycopg.Connection, times: Iterable[int]) -> None:
        """Create partitions for all months of the times, ms since 1970.

        It uses a separate transaction, since it briefly locks tables that others write to.
        """
        missing = {month for month in map(_month, times) if month is not None} - self._known
        if not missing:
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_PARTITION_LOCK,))
            for month in sorted(missing):
                for table in PARTITIONED:
                    _make(connection, table, month)
        self._known |= missing


def _make(connection: psycopg.Connection, table: str, month: tuple[int, int]) -> None:
    year, number = month
    name = f"{SCHEMA}.{table}_{year}_{number:02}"
    there = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    if there is not None and there[0] is not None:
        return
    start = _start(year, number)
    # December is followed by January of the next year.
    end = _start(year + number // 12, number % 12 + 1)
    connection.execute(
        f"CREATE TABLE {name} PARTITION OF {SCHEMA}.{table} "
        f"FOR VALUES FROM ({start}) TO ({end})".encode()
    )


def _start(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * 1000


_EARLIEST, _LATEST = _start(_FIRST_YEAR, 1), _start(_LAST_YEAR + 1, 1)


def _month(at: int) -> tuple[int, int] | None:
    """Return year and month of a time; ``None`` for one that gets no partition."""
    if not _EARLIEST <= at < _LATEST:
        return None
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.year, moment.month
