"""The part of the step to schema 35 that flags the artefacts among stored heart rates.

It goes through the readings hour by hour, with a few in memory, and takes the flagged ones out of
the sums of minutes, hours and days. It has its own SQL, for the tables of then.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict

from edge_agent.core.artefacts import REACH_MS, TimedValue, artefacts

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_HOUR_MS = 3_600_000
_LENGTHS = {"minute": 60_000, "hour": _HOUR_MS, "day": 24 * _HOUR_MS}
_DOUBTS = ("out_of_range", "contact_lost", "clock_differs", "poor_signal")


def _has(*flags: str) -> str:
    return " OR ".join(f"instr(' ' || flags || ' ', ' {flag} ') > 0" for flag in flags)


def flag_stored_artefacts(connection: sqlite3.Connection) -> None:
    """Flag heart rates that are far from their neighbours, inside the caller's transaction."""
    connection.execute(
        "CREATE TEMP TABLE artefact (at INTEGER, source TEXT, value REAL, PRIMARY KEY (at, source))"
    )
    first, last = connection.execute("SELECT min(at), max(at) FROM vital").fetchone()
    while first is not None and first <= last:
        _flag(connection, first, first + _HOUR_MS)
        following = "SELECT min(at) FROM vital WHERE at >= ?"
        first = connection.execute(following, (first + _HOUR_MS,)).fetchone()[0]
    if connection.execute("SELECT count(*) FROM artefact").fetchone()[0]:
        _roll_up_anew(connection)
    connection.execute("DROP TABLE artefact")


def _flag(connection: sqlite3.Connection, start: int, end: int) -> None:
    """Flag the artefacts of a span of time, and note them."""
    readings: defaultdict[str, list[TimedValue]] = defaultdict(list)
    rows = connection.execute(
        f"SELECT source, at, value FROM vital WHERE at >= ? AND at < ? AND kind = 'heart_rate' AND "
        f"NOT ({_has(*_DOUBTS)}) ORDER BY at",
        (start - REACH_MS, end + REACH_MS),
    )
    for source, at, value in rows:
        readings[source].append((at, value))
    for source, series in readings.items():
        values = dict(series)
        far = [at for at in artefacts(series) if start <= at < end]
        connection.executemany(
            "INSERT INTO artefact (at, source, value) VALUES (?, ?, ?)",
            [(at, source, values[at]) for at in far],
        )
        connection.executemany(
            # In the order of the words, as they are stored: no other flag comes before this one.
            # One by one, for SQLite keeps what a statement changes in another file until it ends.
            "UPDATE vital SET flags = trim('artefact ' || flags) WHERE at = ? AND kind = "
            "'heart_rate' AND source = ?",
            [(at, source) for at in far],
        )


def _roll_up_anew(connection: sqlite3.Connection) -> None:
    """Take the artefacts out of means; they were usable, unless they were estimates."""
    connection.execute(
        "DELETE FROM artefact WHERE EXISTS (SELECT 1 FROM vital WHERE vital.at = artefact.at AND "
        f"kind = 'heart_rate' AND vital.source = artefact.source AND {_has('estimated')})"
    )
    # An hour that was folded is a part of its day, and a day holds only such hours.
    folded = (
        "NOT EXISTS (SELECT 1 FROM vital_hour WHERE kind = 'heart_rate' AND vital_hour.at = "
        f"artefact.at / {_HOUR_MS} * {_HOUR_MS})"
    )
    for name, length in _LENGTHS.items():
        which = folded if name == "day" else "true"
        connection.execute(
            f"UPDATE vital_{name} SET n = n - found.far, total = total - found.value, flagged = "
            f"flagged + found.far FROM (SELECT at / {length} * {length} AS start, count(*) AS far, "
            f"sum(value) AS value FROM artefact WHERE {which} GROUP BY 1) AS found WHERE kind = "
            "'heart_rate' AND at = start"
        )
        # Only where all rows are left: of others the extremes stay, which may be artefacts.
        usable = f"NOT ({_has('artefact', *_DOUBTS, 'estimated')})"
        connection.execute(
            f"UPDATE vital_{name} SET least = found.least, most = found.most FROM (SELECT at / "
            f"{length} * {length} AS start, count(*) AS there, min(value) FILTER (WHERE {usable}) "
            f"AS least, max(value) FILTER (WHERE {usable}) AS most FROM vital WHERE kind = "
            f"'heart_rate' AND at / {length} IN (SELECT at / {length} FROM artefact) GROUP BY 1) "
            "AS found WHERE kind = 'heart_rate' AND at = start AND n + flagged = there"
        )
