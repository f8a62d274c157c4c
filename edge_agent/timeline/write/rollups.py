"""Minutes and hours, added to while rows are written, and tombstones: times that were erased.

Rows of an erased time that still wait in memory, or come again from a file, are not written.

Only times are kept, without a code: of the sessions, and of when a participant was made, by which a
copy that still holds them is recognised. Where a later session lies over them (a clock that was set
back), its rows are written.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.core.expression import EMOTIONS, Expression, ExpressionRow
from edge_agent.core.readings import UNUSABLE, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import (
    ADDED,
    DAY_MS,
    HOUR_MS,
    IS_OF_PARTICIPANT,
    MINUTE_MS,
    NAMES,
)
from edge_agent.timeline.database.setting import read_setting, write_setting

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


ROLLUPS = (("minute", MINUTE_MS), ("hour", HOUR_MS))
ADD_EXPRESSIONS = f"UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in ADDED)}"
"""Add to a row of a rollup of expressions that is there already."""
# ``min`` and ``max`` of two values are NULL if one is, as in a minute without a usable reading.
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


def which_faces(connection: sqlite3.Connection) -> str:
    """Return SQL that is true of the participant's rows of ``expression``; a copy of an older
    schema does not say by which evidence a face counts.
    """
    rows = connection.execute("SELECT name FROM pragma_table_info('expression')")
    return IS_OF_PARTICIPANT if "attribution" in {row[0] for row in rows} else "is_primary = 1"


def add_expressions(
    connection: sqlite3.Connection,
    name: str,
    length: int,
    which: str,
    values: tuple[int, ...],
    *,
    sign: int = 1,
) -> None:
    """Add the participant's rows that match an SQL condition to a rollup, or subtract them."""
    sums = (
        "count(*)", "sum(frames)", "sum(emotion IS NULL)", "sum(simulated)",
        *(f"sum({emotion})" for emotion in NAMES),
        *(f"count(*) FILTER (WHERE emotion = '{emotion}')" for emotion in NAMES),
    )  # fmt: skip
    connection.execute(
        f"INSERT INTO expression_{name} (at, {', '.join(ADDED)}) SELECT at / {length} * {length}, "
        f"{', '.join(f'{sign} * {added}' for added in sums)} FROM expression WHERE "
        f"{which_faces(connection)} AND {which} GROUP BY 1 ON CONFLICT (at) DO {ADD_EXPRESSIONS}",
        values,
    )


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
        uncertain = int(row.emotion is None)
        values = (1, row.frames, uncertain, int(simulated), *per_mille(row.mean), *labels)
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
    """Return number, sum, minimum and maximum of the usable readings.

    The numbers of unusable and of simulated ones follow.
    """
    values = [reading.value for reading in readings if not reading.flags & UNUSABLE]
    simulated = sum(VitalFlag.SIMULATED in reading.flags for reading in readings)
    least, most = (min(values), max(values)) if values else (None, None)
    return len(values), sum(values), least, most, len(readings) - len(values), simulated


def roll_up_anew(
    connection: sqlite3.Connection, old: VitalReading, new: VitalReading | None
) -> None:
    """Replace a reading by another in its minute, and in its hour or, where it was folded, day."""
    took = _share(old)
    gave = _share(new) if new is not None else dict.fromkeys(took, 0.0)
    # Sums are changed by the difference, for older rows of the same day may be gone.
    change = {name: gave[name] - took[name] for name in took}
    for name, length in (*ROLLUPS, ("day", DAY_MS)):
        start = old.at.wall_ms // length * length
        place = {"kind": old.kind.value, "start": start, "end": start + length}
        table = f"vital_{name}"
        rolled = connection.execute(
            f"UPDATE {table} SET n = n + :n, total = total + :total, flagged = flagged + :flagged, "
            "simulated = simulated + :simulated WHERE kind = :kind AND at = :start "
            # Of rows that came after a fold there is a minute and an hour that count no others.
            "AND (:is_day OR n + flagged >= (SELECT count(*) FROM vital WHERE kind = :kind AND at "
            ">= :start AND at < :end))",
            change | place | {"is_day": name == "day"},
        )
        if not rolled.rowcount:
            continue
        # The extremes cannot be changed by a difference.
        _extremes(connection, table, place)
        connection.execute(
            f"DELETE FROM {table} WHERE kind = :kind AND at = :start AND n + flagged = 0", place
        )
        if name == "hour":  # a day holds the hours that were folded into it, and no others
            return


def _extremes(connection: sqlite3.Connection, table: str, place: Mapping[str, Any]) -> None:
    """Set minimum and maximum from the rows, if none of them was deleted yet."""
    rows = connection.execute(
        "SELECT * FROM vital WHERE kind = :kind AND at >= :start AND at < :end", place
    ).fetchall()
    values = [row["value"] for row in rows if UNUSABLE.isdisjoint(row["flags"].split())]
    least = min(values, default=None)
    connection.execute(
        f"UPDATE {table} SET least = :least, most = :most WHERE kind = :kind AND at = :start "
        # Only if all rows that it counts are still there.
        "AND n + flagged = :number",
        {**place, "number": len(rows), "least": least, "most": max(values, default=None)},
    )


def _share(reading: VitalReading) -> dict[str, float]:
    """Return the sums that one reading adds to a rollup."""
    is_usable = not reading.flags & UNUSABLE
    return {
        "n": int(is_usable),
        "total": reading.value if is_usable else 0.0,
        "flagged": int(not is_usable),
        "simulated": int(VitalFlag.SIMULATED in reading.flags),
    }


Span = tuple[int, int]


class Tombstones:
    """The erased times, as one transaction sees them.

    Args:
        connection: of the transaction.

    Attributes:
        spans: the erased times, in the order of erasing.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.spans = read_tombstones(connection)

    def cover(self, start_ms: int, end_ms: int) -> bool:
        """Tell whether the span from ``start_ms`` to ``end_ms`` belongs to an erased one."""
        # A span may be an instant, which must still overlap the span that holds it.
        met = (start < max(end_ms, start_ms + 1) and start_ms < end for start, end in self.spans)
        if not any(met):
            return False
        session = self._connection.execute(
            "SELECT 1 FROM session WHERE started <= ? AND (ended IS NULL OR ended > ?)",
            (end_ms, start_ms),
        )
        return session.fetchone() is None


def read_tombstones(connection: sqlite3.Connection) -> list[Span]:
    """Return the erased times in the order of erasing; none where a damaged file garbled them."""
    try:
        erased = json.loads(read_setting(connection, "erased") or "[]")
        return [(int(start), int(end)) for start, end in erased]
    except (ValueError, TypeError):
        return []


def read_erased_participants(connection: sqlite3.Connection) -> list[int]:
    """Return the creation times (UTC milliseconds) of erased participants, in order of erasure."""
    try:
        erased = json.loads(read_setting(connection, "erased_participants") or "[]")
        return [int(created) for created in erased]
    except (ValueError, TypeError):
        return []


def add_tombstones(
    connection: sqlite3.Connection, spans: Sequence[Span], participants: Sequence[int] = ()
) -> None:
    """Store the erased spans, and the creation time of the erased participant."""
    if spans:
        _write(connection, "erased", [*read_tombstones(connection), *spans])
    if participants:
        known = read_erased_participants(connection)
        _write(connection, "erased_participants", [*known, *participants])


def _write(connection: sqlite3.Connection, key: str, values: Sequence[object]) -> None:
    write_setting(connection, key, json.dumps(values, separators=(",", ":")))
