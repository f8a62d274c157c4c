"""The tables that are sent, in version 2 of the stream, and the triggers that log each change.

The numbers and the order of the columns are part of what is sent. What they say is never changed;
a newer version of the stream may add to them. A change is logged in the transaction that makes it,
whoever makes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.core.movements import NAMES as MOVED
from edge_agent.timeline.database.schema import NAMES, SMOOTHED, UNKNOWN_PRIOR

SCHEMA = 3
"""Version of the stream: 1 is that of 0.1.0, 2 adds ``prior`` to ``model``, ``own_neutral``,
``trial`` and the attribution of faces, 3 ``error`` to ``vital`` and ``instruments`` to
``session``."""
_ATTRIBUTION = (("attribution", 2, ""),)
BOOT_CHARACTERS = 8
"""Of the kernel's name of a start: enough to tell the starts of one machine apart. All 36 would
make a message of ten rows an eighth longer."""
ROW = 0
"""A row as it is when it is sent, or rows: ``a`` to ``b``."""
GONE = 1
"""A row that was deleted or moved; its key."""
_PREFIX = "fleet_log_"


@dataclass(frozen=True, slots=True)
class SentTable:
    """A table that is sent.

    Attributes:
        code: its number in the log of changes.
        name: of the table.
        columns: what is sent of a row, in this order.
        time: column of the time that places a row on the timeline; ``None``: it is part of the
            study.
        key: columns that name a row.
        added: the last columns that version 1 of the stream does not have: name, version of the
            stream that added it, value where it is not sent.
        is_new: whether version 1 of the stream does not have the table.
    """

    code: int
    name: str
    columns: tuple[str, ...]
    time: str | None = None
    key: tuple[str, ...] = ("id",)
    added: tuple[tuple[str, int, str | None], ...] = ()
    is_new: bool = False

    def values_after(self, schema: int) -> list[str | None]:
        """Return the values of the columns that a version of the stream does not have."""
        return [value for _, version, value in self.added if version > schema]

    def values_of(self, fields: Mapping[str, Any]) -> list[Any]:
        """Return the values of a stored row in the order of the columns, but its ``id``."""
        known = {column: value for column, _, value in self.added} | dict(fields)
        return [known[column] for column in self.columns[1:]]


EXPRESSION = SentTable(
    1,
    "expression",
    (
        *("id", "at", "boot_ms", "boot", "interval_ms", "track", "frames"),
        *NAMES,
        *SMOOTHED,
        *("emotion", "face_size", "quality", "is_primary", "simulated", "attribution"),
    ),
    "at",
    added=_ATTRIBUTION,
)
REJECTED = SentTable(
    2,
    "unfit",
    (
        *("id", "at", "boot_ms", "boot", "interval_ms", "track"),
        *("reason", "frames", "is_primary", "simulated", "attribution"),
    ),
    "at",
    added=_ATTRIBUTION,
)
MOVEMENT = SentTable(
    16,
    "movement",
    (
        *("id", "at", "boot_ms", "boot", "interval_ms", "track", "frames"),
        *MOVED,
        *("is_primary", "simulated", "source", "attribution"),
    ),
    "at",
    added=_ATTRIBUTION,
)
VITAL = SentTable(
    3,
    "vital",
    ("at", "kind", "source", "value", "flags", "boot_ms", "boot", "device_time", "error"),
    "at",
    ("at", "kind", "source"),
    added=(("error", 3, None),),
)
GAP = SentTable(
    4, "gap", ("id", "started", "ended", "source", "reason", "boot", "started_boot"), "started"
)
EXCLUSION = SentTable(
    17, "exclusion", ("id", "session", "from_ms", "to_ms", "reason", "made", "taken_back")
)
OWN_NEUTRAL = SentTable(
    18,
    "own_neutral",
    (
        *("id", "session", "state", "reason", "from_ms", "to_ms", "seconds"),
        *NAMES,
        *("shift", "applied_ms", "until_ms"),
        *("temperature", "uncertain_below", "sha256", "prior"),
    ),
    is_new=True,
)
TRIAL = SentTable(
    19,
    "trial",
    (
        *("id", "session", "at", "boot_ms", "turn", "step", "kind", "condition", "practice"),
        *("planned_ms", "stood_ms", "late_ms", "late_within_ms", "shown_ms", "frame_ms"),
        *("question", "wording", "value", "boot"),
    ),
    is_new=True,
)
TIMELINE = (EXPRESSION, MOVEMENT, REJECTED, VITAL, GAP)
STUDY = (
    SentTable(
        5, "boot", ("id", "boot_id", "started_ms", "wall_minus_boot_ms", "synchronised", "moved_ms")
    ),
    SentTable(6, "participant", ("id", "code", "created", "simulated", "boot")),
    SentTable(
        7, "consent", ("id", "participant", "text_version", "given", "withdrawn", "attributes")
    ),
    SentTable(
        8,
        "session",
        (
            *("id", "participant", "purpose", "name", "started", "ended", "simulated", "setting"),
            *("origin", "boot", "boot_ms", "ended_boot", "ended_boot_ms", "instruments"),
        ),
        added=(("instruments", 3, ""),),
    ),
    SentTable(9, "marker", ("id", "session", "at", "boot_ms", "kind", "label", "boot")),
    SentTable(
        10, "self_report", ("id", "session", "at", "boot_ms", "condition", "scale", "value", "boot")
    ),
    SentTable(
        11,
        "protocol_run",
        (
            *("id", "session", "name", "title", "sha256", "order_row", "plan", "step"),
            *("spent_ms", "state", "reason", "saved", "saved_boot_ms", "boot"),
        ),
    ),
    SentTable(12, "participant_attribute", ("id", "participant", "name", "value")),
    SentTable(
        13,
        "model",
        ("id", "kind", "name", "version", "sha256", "since", "boot", "prior"),
        added=(("prior", 2, UNKNOWN_PRIOR),),
    ),
    SentTable(14, "preregistration", ("id", "at", "document", "sha256")),
    SentTable(
        15,
        "vital_change",
        ("id", "at", "kind", "source", "value", "flags", "new_value", "changed", "boot"),
    ),
    EXCLUSION,
    OWN_NEUTRAL,
    TRIAL,
)
# Sessions and participants must be there when the first reading arrives.
TABLES = (*STUDY, *TIMELINE)
"""In the order in which a copy sends them: the study first."""
BY_CODE = {table.code: table for table in TABLES}
BY_NAME = {table.name: table for table in TABLES}


# ruff: noqa: S608 - only our own names are put into SQL text


def expected_triggers() -> dict[str, str]:
    """Return the statements that make the triggers, by name."""
    return {name: sql for table in TABLES for name, sql in _triggers_of(table)}


def present_triggers(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the statements of the triggers that a database has, by name."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name GLOB ?",
        (f"{_PREFIX}*",),
    )
    return {row[0]: row[1] for row in rows}


def log_new_tables(connection: sqlite3.Connection) -> None:
    """Make the triggers of tables that an upgrade made, in the caller's transaction.

    A table without any trigger and without a row has had no change that could be missing.
    """
    present = present_triggers(connection)
    for table in TABLES:
        triggers = dict(_triggers_of(table))
        if (
            table.is_new
            and present.keys().isdisjoint(triggers)
            and connection.execute(f"SELECT 1 FROM {table.name}").fetchone() is None
        ):
            for sql in triggers.values():
                connection.execute(sql)


def drop_triggers(connection: sqlite3.Connection) -> None:
    """Take the triggers away, in the caller's transaction."""
    for name in present_triggers(connection):
        connection.execute(f"DROP TRIGGER {name}")


def _triggers_of(table: SentTable) -> Iterator[tuple[str, str]]:
    name = f"{_PREFIX}{table.name}"
    row = _log(table, ROW, "new")
    yield _trigger(f"{name}_new", f"INSERT ON {table.name} BEGIN {row}")
    moved = ""
    # A row that moved in time stands elsewhere on the timeline: the old place must be cleared.
    if table.time is not None:
        # in one order: the text is compared at each start
        columns = sorted({*table.key, table.time})
        changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
        moved = f"{_log(table, GONE, 'old')} WHERE {changed}; "
    yield _trigger(f"{name}_changed", f"UPDATE ON {table.name} BEGIN {moved}{row}")
    # Quiet while rows go that only this device does not keep, or whose end is told in another way.
    gone = f"{_log(table, GONE, 'old')} WHERE (SELECT quiet FROM fleet_state) = 0"
    yield _trigger(f"{name}_gone", f"DELETE ON {table.name} BEGIN {gone}")


def _trigger(name: str, when_and_what: str) -> tuple[str, str]:
    return name, f"CREATE TRIGGER {name} AFTER {when_and_what}; END"


def _log(table: SentTable, what: int, row: str) -> str:
    """Return the statement that logs a change of ``row``, ``old`` or ``new``."""
    code = table.code * 10 + what
    if table.key == ("id",):
        is_placed = what == GONE and table.time is not None
        time = f"{row}.{table.time}" if is_placed else "NULL"
        values = f"{code}, {row}.id, {time}, NULL"
    else:
        values = f"{code}, {row}.at, NULL, json_array({row}.kind, {row}.source)"
    return f"INSERT INTO fleet_change (what, a, b, more) SELECT {values}"
