"""Minutes, hours and days, computed anew from the rows wherever rows came or went."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from collector.database.tables import RESOLUTIONS, SCHEMA, VITAL_SUMS
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.store.database.tables import ADDED, NAMES

Place = tuple[int, int]
"""Number of a stream, and a time in ms."""


def _is_flagged(flag: VitalFlag) -> str:
    return f"strpos(' ' || flags || ' ', ' {flag} ') > 0"


_UNUSABLE = " OR ".join(_is_flagged(flag) for flag in sorted(UNUSABLE))
_MINUTE = RESOLUTIONS["minute"]
_ROWS = ", ".join(
    (
        "count(*) AS rows",
        "sum(frames) AS frames",
        "count(*) FILTER (WHERE emotion IS NULL) AS uncertain",
        "sum(simulated) AS simulated",
        *(f"sum({name}) AS sum_{name}" for name in NAMES),
        *(f"count(*) FILTER (WHERE emotion = '{name}') AS count_{name}" for name in NAMES),
    )
)
_READINGS = (
    "count(*) FILTER (WHERE usable) AS n, coalesce(sum(value) FILTER (WHERE usable), 0) AS total, "
    "min(value) FILTER (WHERE usable) AS least, max(value) FILTER (WHERE usable) AS most, "
    "count(*) FILTER (WHERE NOT usable) AS flagged, "
    f"count(*) FILTER (WHERE {_is_flagged(VitalFlag.SIMULATED)}) AS simulated"
)
_SUMS = ", ".join(f"sum({name})" for name in ADDED)
_VITAL_SUMS = "sum(n), sum(total), min(least), max(most), sum(flagged), sum(simulated)"


def prepare(connection: psycopg.Connection) -> None:
    """Make what a connection needs once: a list of the places where something has changed."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS touched (stream int8, at int8, step int8) "
        "ON COMMIT DELETE ROWS"
    )


def roll_up(connection: psycopg.Connection, places: Iterable[Place]) -> None:
    """Compute the rollups of all minutes in which a row came or went, in the caller's transaction.

    Sums of readings are added in order of time and kind: the same rows give the same sum.
    """
    minutes = {(stream, at // _MINUTE * _MINUTE) for stream, at in places}
    if not minutes:
        return
    connection.execute("DELETE FROM touched")
    with connection.cursor().copy("COPY touched (stream, at, step) FROM STDIN") as copy:
        for step in RESOLUTIONS.values():
            for stream, at in {(stream, at // step * step) for stream, at in minutes}:
                copy.write_row((stream, at, step))
    for kind in ("expression", "vital"):
        for name, step in RESOLUTIONS.items():
            connection.execute(
                f"DELETE FROM {SCHEMA}.{kind}_{name} AS old USING touched WHERE touched.step = "
                f"{step} AND old.stream = touched.stream AND old.at = touched.at".encode()
            )
    for statement in _STATEMENTS:
        connection.execute(statement.encode())


def _within(source: str, step: int) -> str:
    return (
        f"FROM {SCHEMA}.{source} AS source WHERE source.stream = touched.stream AND "
        f"source.at >= touched.at AND source.at < touched.at + {step}"
    )


def _insert(name: str, columns: str, part: str, step: int) -> str:
    return (
        f"INSERT INTO {SCHEMA}.{name} (stream, at, {columns}) SELECT touched.stream, touched.at, "
        f"part.* FROM touched CROSS JOIN LATERAL ({part}) AS part WHERE touched.step = {step}"
    )


def _statements() -> list[str]:
    """Return the statements: minutes from rows, hours from minutes, days from hours."""
    expressions = ", ".join(ADDED)
    vitals = ", ".join(("kind", *VITAL_SUMS))
    readings = f"SELECT *, NOT ({_UNUSABLE}) AS usable {_within('vital', _MINUTE)} ORDER BY at"
    statements = [
        _insert(
            "expression_minute",
            expressions,
            f"SELECT {_ROWS} {_within('expression', _MINUTE)} AND is_primary = 1 "
            "HAVING count(*) > 0",
            _MINUTE,
        ),
        _insert(
            "vital_minute",
            vitals,
            f"SELECT kind, {_READINGS} FROM ({readings}) AS reading GROUP BY kind",
            _MINUTE,
        ),
    ]
    for finer, name in (("minute", "hour"), ("hour", "day")):
        step = RESOLUTIONS[name]
        of_expressions = f"SELECT {_SUMS} {_within(f'expression_{finer}', step)}"
        of_vitals = f"SELECT kind, {_VITAL_SUMS} {_within(f'vital_{finer}', step)} GROUP BY kind"
        statements += [
            _insert(
                f"expression_{name}", expressions, f"{of_expressions} HAVING count(*) > 0", step
            ),
            _insert(f"vital_{name}", vitals, of_vitals, step),
        ]
    return statements


_STATEMENTS = tuple(_statements())
