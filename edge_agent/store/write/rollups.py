"""Minutes and hours of expressions and vitals, added to while rows are written.

``store.upkeep.rollups_anew`` makes them anew after rows were deleted.
"""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Sequence

from edge_agent.core.expression import EMOTIONS, Expression, ExpressionRow
from edge_agent.core.readings import UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.tables import ADDED, HOUR_MS, MINUTE_MS

ROLLUPS = (("minute", MINUTE_MS), ("hour", HOUR_MS))
ADD_EXPRESSIONS = f"UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in ADDED)}"
"""What to do where a row of a rollup of expressions is there already: add to it."""
ADD_VITALS = (
    "UPDATE SET n = n + excluded.n, total = total + excluded.total, "
    "least = min(coalesce(least, excluded.least), coalesce(excluded.least, least)), "
    "most = max(coalesce(most, excluded.most), coalesce(excluded.most, most)), "
    "flagged = flagged + excluded.flagged, simulated = simulated + excluded.simulated"
)
"""The same for a rollup of vitals."""


def per_mille(expression: Expression) -> list[int]:
    """Return eight integers in per mille; rounding alone keeps their sum within 4 of 1000."""
    return [min(1000, max(0, round(1000 * p))) for p in expression.probabilities]


def roll_up_expressions(
    connection: sqlite3.Connection, rows: Sequence[ExpressionRow], simulated: bool
) -> None:
    """Add rows of primary faces to their minutes and hours."""
    for name, length in ROLLUPS:
        _add_expressions(connection, f"expression_{name}", length, rows, simulated)


def roll_up_vitals(connection: sqlite3.Connection, readings: Sequence[VitalReading]) -> None:
    """Add new readings to their minutes and hours; unusable ones are only counted."""
    for name, length in ROLLUPS:
        _add_vitals(connection, f"vital_{name}", length, readings)


def _add_expressions(
    connection: sqlite3.Connection,
    table: str,
    length: int,
    rows: Sequence[ExpressionRow],
    simulated: bool,
) -> None:
    """Add rows to the table whose rows are ``length`` milliseconds long."""
    sums: dict[int, list[int]] = defaultdict(lambda: [0] * len(ADDED))
    for row in rows:
        labels = [int(row.emotion is emotion) for emotion in EMOTIONS]
        values = (
            1,
            row.frames,
            int(row.emotion is None),
            int(simulated),
            *per_mille(row.mean),
            *labels,
        )
        into = sums[row.at.wall_ms // length * length]
        for index, value in enumerate(values):
            into[index] += value
    connection.executemany(
        f"INSERT INTO {table} (at, {', '.join(ADDED)}) "
        f"VALUES ({', '.join('?' * (len(ADDED) + 1))}) "
        f"ON CONFLICT (at) DO {ADD_EXPRESSIONS}",
        [(at, *values) for at, values in sums.items()],
    )


def _add_vitals(
    connection: sqlite3.Connection, table: str, length: int, readings: Sequence[VitalReading]
) -> None:
    """Add readings to the table whose rows are ``length`` milliseconds long."""
    grouped: dict[tuple[VitalKind, int], list[VitalReading]] = defaultdict(list)
    for reading in readings:
        grouped[reading.kind, reading.at.wall_ms // length * length].append(reading)
    connection.executemany(
        f"INSERT INTO {table} "
        "(kind, at, n, total, least, most, flagged, simulated) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        f"ON CONFLICT (kind, at) DO {ADD_VITALS}",
        [(kind.value, at, *_summarise(group)) for (kind, at), group in grouped.items()],
    )


def _summarise(
    readings: list[VitalReading],
) -> tuple[int, float, float | None, float | None, int, int]:
    """Return n, total, least and most of the usable readings.

    The numbers of unusable and of simulated ones follow.
    """
    values = [reading.value for reading in readings if not reading.flags & UNUSABLE]
    simulated = sum(VitalFlag.SIMULATED in reading.flags for reading in readings)
    least, most = (min(values), max(values)) if values else (None, None)
    return len(values), sum(values), least, most, len(readings) - len(values), simulated
