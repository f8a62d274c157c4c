"""PostgreSQL of a fleet: connections that can only read, and a page of all devices.

Only this module, the copy of a study and the timeline of a fleet import ``psycopg``; nobody imports
them without ``dashboard.source``. PostgreSQL computes everything of a page by its own clock, so
that thousands of devices are sorted and cut into pages there.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dashboard.fleet import known
from edge_agent.core.addresses import Address
from edge_agent.core.errors import StoreError

CONNECT_S = 5
LONGEST_QUESTION_S = 20
KEPT = 4
"""Connections that stay open while nobody asks."""
_SETTINGS = (
    "SET default_transaction_read_only = on",
    f"SET statement_timeout = '{LONGEST_QUESTION_S}s'",
    "SET jit = off",  # for answers within a second, to compile costs more than it saves
)
# ``DISTINCT ON`` with the ids falling takes the newest open stream of each device.
_STREAMS = """
    SELECT DISTINCT ON (device) stream.device, applied, copied, clock.doubt_ms AS clock_doubt_ms,
        CASE WHEN clock.doubt_ms IS NULL THEN clock_ahead_ms ELSE clock.ahead_ms
            END AS clock_ahead_ms,
        stream.heard, coalesce(lost.changes, 0)::int8 AS lost,
        NOT isempty(ahead) OR EXISTS (
            SELECT 1 FROM fleet.waiting WHERE waiting.stream = stream.id) AS holes
    FROM fleet.stream LEFT JOIN (
        SELECT stream, sum(last - first + 1) AS changes FROM fleet.lost GROUP BY stream
    ) AS lost ON lost.stream = stream.id
    LEFT JOIN LATERAL (
        SELECT ahead_ms, doubt_ms FROM fleet.clock WHERE clock.device = stream.device
        ORDER BY since DESC LIMIT 1
    ) AS clock ON true
    WHERE NOT closed ORDER BY device, id DESC
"""
# A full join: some devices send only their health, others only their timeline.
_KNOWN = f"""
    SELECT coalesce(one.name, stream.device) AS name,
        one.since, one.version, one.health,
        one.health_kept, stream.applied, stream.copied, coalesce(stream.holes, false) AS holes,
        coalesce(stream.lost, 0) AS lost, stream.clock_ahead_ms,
        stream.clock_doubt_ms, stream.heard AS timeline_heard,
        (one.health->'fleet'->>'waiting')::int8 AS waiting,
        greatest(one.heard, stream.heard) AS heard,
        CASE WHEN one.health_kept THEN to_timestamp(one.health_at / 1000.0)
            ELSE one.health_heard END AS health_heard,
        CASE
            WHEN one.state = 'offline' AND one.state_heard >= coalesce(one.heard, '-infinity')
                THEN 'offline'
            WHEN greatest(one.heard, stream.heard) > now() - interval '{known.SILENT_S} s'
                THEN 'online'
            ELSE 'silent'
        END AS state
    FROM fleet.device AS one FULL JOIN ({_STREAMS}) AS stream ON stream.device = one.name
"""
_SENSORS = "coalesce(health->'sensors', '[]')"
_WAITS = f"coalesce(waiting, 0) > {known.BEHIND_CHANGES}"
_MATCHES = (
    "(%(name)s = '' OR strpos(lower(name), lower(%(name)s)) > 0) AND CASE %(shown)s "
    "WHEN 'all' THEN true WHEN 'attention' THEN reasons <> '{}' ELSE state = %(shown)s END"
)
# ``&&`` asks whether two arrays overlap: devices with a bad reason come first.
_ORDER = f"""
    (reasons && ARRAY[{", ".join(f"'{reason}'" for reason in known.BAD)}]) DESC,
    reasons <> '{{}}' DESC, cardinality(reasons) DESC, name
"""


class FleetDatabase:
    """Answers questions to the database of a fleet; safe to share between threads.

    Args:
        source: where it is.
    """

    def __init__(self, source: known.FleetAddress) -> None:
        self.source = source
        self._idle: queue.LifoQueue[psycopg.Connection] = queue.LifoQueue(KEPT)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        """Lend a connection for the length of a ``with`` block; what is asked is of one moment.

        Raises:
            StoreError: the server cannot be reached or refuses, has no tables of a fleet, or takes
                too long.
        """
        try:
            connection = self._take_connection()
            try:
                with connection.transaction():
                    yield connection
            # After an error nobody knows in what state a connection is, so it is not lent again.
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise StoreError(
                f"{self.source.shown} lacks tables of a fleet, or columns. Start affect-edge "
                "collect of this version once with that database: it makes them."
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoreError(
                f"{self.source.shown}: the account may not read the tables "
                f"({first_line(error, self.source.address)}). "
                "GRANT USAGE ON SCHEMA fleet and SELECT ON ALL TABLES IN SCHEMA fleet to it."
            ) from error
        except psycopg.errors.QueryCanceled as error:
            raise StoreError(
                f"{self.source.shown} took longer than {LONGEST_QUESTION_S} s for this. Ask for "
                "less, or try again when it has less to do."
            ) from error
        except psycopg.Error as error:
            reason = first_line(error, self.source.address)
            raise StoreError(f"PostgreSQL: {reason}") from error

    def close(self) -> None:
        """Close what is kept."""
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _take_connection(self) -> psycopg.Connection:
        """Return a connection that answers: one that was kept, or a new one."""
        with suppress(queue.Empty):
            while True:
                kept = self._idle.get_nowait()
                try:
                    # The server may have been restarted since: a kept connection is tried first.
                    kept.execute("SELECT 1")
                except psycopg.OperationalError:  # the server was away meanwhile
                    kept.close()
                else:
                    return kept
        connection = psycopg.connect(
            self.source.address.reveal(),
            password=self.source.password(),
            autocommit=True,
            connect_timeout=CONNECT_S,
            application_name="affect-edge dashboard",
        )
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        for setting in _SETTINGS:
            connection.execute(setting.encode())
        return connection

    def _give_back(self, connection: psycopg.Connection) -> None:
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()


def first_line(error: psycopg.Error, address: Address) -> str:
    """Return the first line of what PostgreSQL says, without the secrets of its address."""
    return address.hide_in((str(error).strip() or type(error).__name__).splitlines()[0])


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


def _reason(name: str, condition: str) -> str:
    return f"CASE WHEN {condition} THEN '{name}' END"


_REASONS = ", ".join(
    (
        _reason("offline", "state = 'offline'"),
        _reason("silent", "state = 'silent'"),
        _reason("alarms", "jsonb_array_length(coalesce(health->'alarms', '[]')) > 0"),
        _reason("lost", "lost > 0"),
        _reason("not_copied", "NOT copied"),
        _reason("behind", _WAITS),
        _reason("holes", f"holes AND timeline_heard < now() - interval '{known.BEHIND_S} s'"),
        _reason("clock", f"abs(clock_ahead_ms) > {known.CLOCK_MS}"),
        _reason("disk", f"(health->'disk'->>'free_percent')::float8 < {known.DISK_PERCENT}"),
        _reason("sensors", f"{_SENSORS} @> '[{{\"connected\": false}}]'"),
        _reason("camera", "(health->'camera'->>'fps')::float8 = 0"),
        _reason(
            "health_old",
            f"state = 'online' AND health_heard < now() - interval '{known.SILENT_S} s'",
        ),
    )
)
_JUDGED = f"""
    WITH known AS ({_KNOWN}), judged AS (
        SELECT *, array_remove(ARRAY[{_REASONS}], NULL) AS reasons FROM known
    )
"""
_PAGE = f"""
    {_JUDGED} SELECT name, state, reasons, version, health, health_kept, applied, copied, holes,
        waiting, lost, clock_ahead_ms, clock_doubt_ms,
        (extract(epoch FROM since) * 1000)::int8 AS since_ms,
        extract(epoch FROM now() - heard)::float8 AS heard_s,
        extract(epoch FROM now() - health_heard)::float8 AS health_s,
        extract(epoch FROM now() - timeline_heard)::float8 AS timeline_s
    FROM judged WHERE {_MATCHES} ORDER BY {_ORDER} LIMIT %(most)s OFFSET %(after)s
"""
_NUMBERS = f"""
    {_JUDGED} SELECT count(*) FILTER (WHERE {_MATCHES}), count(*),
        count(*) FILTER (WHERE state = 'online'), count(*) FILTER (WHERE reasons <> '{{}}')
    FROM judged
"""


def read_devices(
    database: FleetDatabase, name: str = "", shown: known.Shown = "all", page: int = 1
) -> known.FleetPage:
    """Return a page of devices, those that need attention first.

    Args:
        database: that collectors write to.
        name: part of the names that are wanted.
        shown: which of them.
        page: from 1.

    Raises:
        StoreError: the database cannot be read.
    """
    wanted = {
        "name": name,
        "shown": shown,
        "most": known.PAGE_DEVICES,
        "after": (page - 1) * known.PAGE_DEVICES,
    }
    with database.connection() as connection:
        numbers = connection.execute(_NUMBERS.encode(), wanted).fetchone()
        rows = connection.cursor(row_factory=dict_row).execute(_PAGE.encode(), wanted).fetchall()
    assert numbers is not None
    return known.FleetPage(tuple(_device(row) for row in rows), *numbers)


def device_names(database: FleetDatabase) -> list[str]:
    """Return the names of all devices that have sent a timeline, in order.

    Raises:
        StoreError: the database cannot be read.
    """
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT DISTINCT device FROM fleet.stream WHERE NOT closed ORDER BY device"
        ).fetchall()
    return [row[0] for row in rows]


def _device(row: dict[str, Any]) -> known.FleetDevice:
    row["health"] = row["health"] or {}
    row["reasons"] = tuple(row["reasons"])
    row["health_by_device"] = bool(row.pop("health_kept"))
    return known.FleetDevice(**row)
