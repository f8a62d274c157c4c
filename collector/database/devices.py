"""Writing what is said of devices: the newest of each, and never backwards.

Times of hearing are by the clock of PostgreSQL, whichever collector heard. A message that the
broker had kept may be old, so the time in it counts too.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from collector.database.dead_letters import keep
from collector.database.tables import SCHEMA
from collector.device_state import Said, StateMessage, Status, read_state
from edge_agent.core import clock
from edge_agent.fleet.message import MessageError

_HEARD = "clock_timestamp() - new.ago_s * interval '1 s'"
_AT = "to_timestamp(new.at / 1000.0)"
_SAME_STATE = "old.state = excluded.state AND old.state_at IS NOT DISTINCT FROM excluded.state_at"
_NEWER_STATE = "(old.state_heard IS NULL OR excluded.state_heard >= old.state_heard)"
_NEWER_HEALTH = "(old.health_heard IS NULL OR excluded.health_heard >= old.health_heard)"


def _status(heard: str, since: str, newer: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}.device AS old (name, state, state_at, state_heard, since, heard) "
        f"SELECT name, state, at, {_HEARD}, {since}, {heard} FROM unnest(%s::text[], %s::text[], "
        "%s::int8[], %s::float8[]) AS new (name, state, at, ago_s) ORDER BY name "
        "ON CONFLICT (name) DO UPDATE SET state = excluded.state, state_at = excluded.state_at, "
        "state_heard = excluded.state_heard, "
        f"since = CASE WHEN {_SAME_STATE} THEN old.since ELSE excluded.since END, "
        f"heard = greatest(old.heard, excluded.heard) WHERE {newer}"
    )


def _health(heard: str, kept: str, newer: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}.device AS old "
        "(name, health_at, version, health, health_heard, health_kept, heard) "
        f"SELECT name, at, version, health::jsonb, {_HEARD}, {kept}, {heard} FROM "
        "unnest(%s::text[], %s::int8[], %s::text[], %s::text[], %s::float8[]) "
        "AS new (name, at, version, health, ago_s) ORDER BY name "
        "ON CONFLICT (name) DO UPDATE SET health_at = excluded.health_at, "
        "version = excluded.version, health = excluded.health, "
        "health_heard = excluded.health_heard, health_kept = excluded.health_kept, "
        f"heard = greatest(old.heard, excluded.heard) WHERE {newer}"
    )


_STATUS = {
    # a last will is sent by the broker: the device itself was not heard
    False: _status(f"CASE WHEN new.at IS NOT NULL THEN {_HEARD} END", _HEARD, _NEWER_STATE),
    True: _status(
        "NULL::timestamptz",
        f"CASE WHEN new.at IS NOT NULL THEN least({_AT}, {_HEARD}) END",
        f"{_NEWER_STATE} AND (excluded.state_at IS NULL OR old.state_at IS NULL OR "
        "excluded.state_at >= old.state_at)",
    ),
}
"""By whether the broker had kept the message."""
_HEALTH = {
    False: _health(_HEARD, "false", _NEWER_HEALTH),
    True: _health(
        "NULL::timestamptz",
        "true",
        f"{_NEWER_HEALTH} AND (old.health_at IS NULL OR excluded.health_at > old.health_at)",
    ),
}


def note_states(connection: psycopg.Connection, messages: Iterable[StateMessage]) -> None:
    """Write the newest of each device; what is no state becomes a dead letter.

    Each table is written by a statement of its own, in order of the names: no two collectors wait
    for each other.

    Args:
        connection: in autocommit mode, to a database of the present schema.
        messages: of each device at most one status and one health.

    Raises:
        psycopg.Error: not everything was written; the same messages may be given again.
    """
    read: list[tuple[StateMessage, Said]] = []
    for message in messages:
        try:
            read.append((message, read_state(message)))
        except MessageError as error:
            refuse_state(connection, message, str(error))
    now_s = clock.boot_seconds()
    for kept in (True, False):
        statuses, healths = [], []
        for message, said in read:
            ago_s = max(0.0, now_s - message.received_s)
            if message.kept != kept:
                continue
            if isinstance(said, Status):
                statuses.append((message.device, said.state, said.at_ms, ago_s))
            else:
                healths.append((message.device, said.at_ms, said.version, said.text, ago_s))
        _write(connection, _STATUS[kept], statuses)
        _write(connection, _HEALTH[kept], healths)


def refuse_state(connection: psycopg.Connection, message: StateMessage, reason: str) -> None:
    """Keep one dead letter of each mistake that a device makes: it makes it every minute."""
    same = f"{message.device}\0{message.suffix}\0{reason}".encode(errors="replace")
    keep(connection, message.device, reason, message.payload, same)


def _write(connection: psycopg.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        connection.execute(statement.encode(), [list(column) for column in zip(*rows, strict=True)])
