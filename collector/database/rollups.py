"""The rollups of the times where rows of many streams changed."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from collector.database.schema import RESOLUTIONS, SCHEMA, VITAL_SUMS
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.timeline.database.schema import ADDED, NAMES

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


Place = tuple[int, int]
"""Number of a stream, and a time in ms."""
MINUTE_MS = RESOLUTIONS["minute"]
_ROWS = ", ".join(
    (
        "count(*) AS rows",
        "sum(frames) AS frames",
        "count(*) FILTER (WHERE emotion IS NULL) AS uncertain",
        "sum(source.simulated) AS simulated",
        *(f"sum({name}) AS sum_{name}" for name in NAMES),
        *(f"count(*) FILTER (WHERE emotion = '{name}') AS count_{name}" for name in NAMES),
    )
)
_SUMS = ", ".join(f"sum({name})" for name in ADDED)
_VITAL_SUMS = "sum(n), sum(total), min(least), max(most), sum(flagged), sum(simulated)"
_DELETIONS = tuple(
    f"DELETE FROM {SCHEMA}.{kind}_{name} AS old USING touched WHERE touched.step = {step} "
    "AND touched.emptied AND old.stream = touched.stream AND old.at = touched.at"
    for kind in ("expression", "vital")
    for name, step in RESOLUTIONS.items()
)


def _is_flagged(flag: VitalFlag) -> str:
    return f"strpos(' ' || flags || ' ', ' {flag} ') > 0"


_UNUSABLE = " OR ".join(_is_flagged(flag) for flag in sorted(UNUSABLE))
_READINGS = (
    "count(*) FILTER (WHERE usable) AS n, coalesce(sum(value) FILTER (WHERE usable), 0) AS total, "
    "min(value) FILTER (WHERE usable) AS least, max(value) FILTER (WHERE usable) AS most, "
    "count(*) FILTER (WHERE NOT usable) AS flagged, "
    f"count(*) FILTER (WHERE flags <> '' AND {_is_flagged(VitalFlag.SIMULATED)}) AS simulated"
)


def prepare_rollups(connection: psycopg.Connection) -> None:
    """Create the temporary table of changed places, once for each connection."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS touched "
        "(stream int8, at int8, step int8, emptied boolean) ON COMMIT DELETE ROWS"
    )


def roll_up(
    connection: psycopg.Connection, places: Iterable[Place], emptied: Iterable[Place]
) -> None:
    """Compute the rollups of all minutes with changed rows, in the caller's transaction.

    Readings are summed in order of time and kind, so that the same rows give the same sum.

    Args:
        connection: in a transaction that holds the streams.
        places: places with added or removed rows.
        emptied: the places where perhaps no row is left.
    """
    minutes = begins(places, MINUTE_MS)
    if not minutes:
        return
    gone = begins(emptied, MINUTE_MS)
    with connection.cursor().copy("COPY touched (stream, at, step, emptied) FROM STDIN") as copy:
        for step in RESOLUTIONS.values():
            perhaps_nothing = begins(gone, step)
            for place in begins(minutes, step):
                copy.write_row((*place, step, place in perhaps_nothing))
    # An upsert of no rows would leave the old sums: places that may be empty are deleted first.
    if gone:
        for statement in _DELETIONS:
            connection.execute(statement.encode())
    # In this order: hours are summed from the minutes that were just written, days from hours.
    for statement in _STATEMENTS:
        connection.execute(statement.encode())
    connection.execute("DELETE FROM touched")


def begins(places: Iterable[Place], step: int) -> set[Place]:
    """Return the beginnings of the minutes, hours or days, of ``step`` ms, in which places lie."""
    return {(stream, at // step * step) for stream, at in places}


def _rows_of(source: str, step: int) -> str:
    # OFFSET 0 keeps the planner from turning the loop round: it would go through the whole table
    return (
        f"FROM touched CROSS JOIN LATERAL (SELECT * FROM {SCHEMA}.{source} AS one WHERE "
        f"one.stream = touched.stream AND one.at >= touched.at AND one.at < touched.at + {step} "
        f"OFFSET 0) AS source WHERE touched.step = {step}"
    )


def _upsert(name: str, columns: tuple[str, ...], select: str) -> str:
    key = ("stream", "at", "kind") if "kind" in columns else ("stream", "at")
    sets = ", ".join(f"{one} = excluded.{one}" for one in columns if one not in key)
    return (
        f"INSERT INTO {SCHEMA}.{name} (stream, at, {', '.join(columns)}) {select} "
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"
    )


def _statements() -> list[str]:
    """Return the statements: minutes from rows, hours from minutes, days from hours."""
    place = "touched.stream, touched.at"
    vitals = ("kind", *VITAL_SUMS)
    readings = (
        f"SELECT {place}, kind, value, flags, flags = '' OR NOT ({_UNUSABLE}) AS usable "
        f"{_rows_of('vital', MINUTE_MS)} ORDER BY {place}, source.at"
    )
    statements = [
        _upsert(
            "expression_minute",
            ADDED,
            f"SELECT {place}, {_ROWS} {_rows_of('expression', MINUTE_MS)} AND "
            f"source.is_primary = 1 GROUP BY {place}",
        ),
        _upsert(
            "vital_minute",
            vitals,
            f"SELECT stream, at, kind, {_READINGS} FROM ({readings}) AS reading "
            "GROUP BY stream, at, kind",
        ),
    ]
    for finer, name in (("minute", "hour"), ("hour", "day")):
        faces = _rows_of(f"expression_{finer}", RESOLUTIONS[name])
        beats = _rows_of(f"vital_{finer}", RESOLUTIONS[name])
        statements += [
            _upsert(
                f"expression_{name}", ADDED, f"SELECT {place}, {_SUMS} {faces} GROUP BY {place}"
            ),
            _upsert(
                f"vital_{name}",
                vitals,
                f"SELECT {place}, kind, {_VITAL_SUMS} {beats} GROUP BY {place}, kind",
            ),
        ]
    return statements


_STATEMENTS = tuple(_statements())
