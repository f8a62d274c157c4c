"""Correct the times of rows dated by an unset clock, in the caller's transaction.

A machine without a clock module starts with the time of its last end, or an older one, until the
network tells it the real time. Rows of before get it here: their times, those of sessions and
whatever else was stamped meanwhile move by the same step, their minutes and hours with them.
``boot.moved_ms`` keeps by how much, so that what was believed at first is known.

The time of an act, such as a correction, that points to no row of ``boot`` moves with its line in
the audit trail. What came with a time of its own (the rows of an import, a reading with ``at``)
points to none and stays where it is.

What the moved rows added to their old minutes and hours is taken away there, and added to the new
ones. Nothing is made anew: of minutes whose rows were deleted for their age, the rollup is all that
is left. What the broker has acknowledged keeps the time with which it was sent.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from edge_agent.core.clock import CLOCK_JUMP_MS, iso_utc
from edge_agent.core.readings import UNUSABLE, VitalFlag
from edge_agent.timeline.database.schema import DAY_MS
from edge_agent.timeline.database.tables import TIMELINE, Move, Table
from edge_agent.timeline.write import audit
from edge_agent.timeline.write.boots import BootRow, BootRows, other_boots
from edge_agent.timeline.write.open_minutes import find_open_minutes, roll_up_minute
from edge_agent.timeline.write.rollups import (
    ADD_VITALS,
    ROLLUPS,
    Span,
    add_expressions,
    add_tombstones,
    read_tombstones,
)

log = logging.getLogger(__name__)
# Without least and most: a minimum cannot be subtracted, it is measured anew.
_VITAL_ADDED = ("n", "total", "flagged", "simulated")
_OVERDRAWN = "(n < 0 OR flagged < 0)"
_OF_STRETCH = "boot = ? AND at BETWEEN ? AND ?"
PORTION_MS = 3 * 3600 * 1000
"""Longest stretch of time that is moved in one transaction, so that nobody waits for long."""
_AUDIT = next(table for table in TIMELINE if table.name == "audit")
_STAMPED = tuple(table for table in TIMELINE if table.move is Move.STAMPS and table is not _AUDIT)
# Of a gap either end may be of another clock: it has a rule of its own.
_WITH_ENDS = tuple(table for table in TIMELINE if table.move is Move.ENDS and table.name != "gap")
_NOTED = tuple(
    (table.name, time.column) for table in TIMELINE for time in table.times if time.noted
)
_ROWS = tuple(table.name for table in TIMELINE if table.move is Move.ROWS)


def move_messages(connection: sqlite3.Connection, boot: int, by_ms: int) -> None:
    """Move the times in the waiting messages of a row of ``boot``."""
    rows = connection.execute("SELECT id, payload FROM outbox WHERE boot = ?", (boot,)).fetchall()
    for number, text in rows:
        moved = _move_payload(text, by_ms)
        if moved is not None:
            connection.execute("UPDATE outbox SET payload = ? WHERE id = ?", (moved, number))


def _move_payload(text: str, by_ms: int) -> str | None:
    """Return a payload with its times moved; ``None`` where it has none, or cannot be read."""
    try:
        payload = json.loads(text)
        if not isinstance(payload, dict):
            return None
        _move_times(payload, ("at",), by_ms)
        if isinstance(payload.get("window"), dict):
            _move_times(payload["window"], ("start", "end"), by_ms)
    except (ValueError, TypeError):
        return None
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def _move_times(fields: dict[str, Any], names: tuple[str, ...], by_ms: int) -> None:
    for name in names:
        if name in fields:
            moment = datetime.fromisoformat(fields[name]) + timedelta(milliseconds=by_ms)
            fields[name] = iso_utc(round(moment.timestamp() * 1000))


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


def is_flagged(flag: VitalFlag) -> str:
    """Return an SQL condition that is true for readings with a flag."""
    # The spaces around keep a flag from matching within a longer one.
    return f"instr(' ' || flags || ' ', ' {flag} ') > 0"


IS_UNUSABLE = " OR ".join(is_flagged(flag) for flag in sorted(UNUSABLE))


@dataclass(frozen=True, slots=True)
class BootStretch:
    """Rows of one row of ``boot`` in a span of time.

    Attributes:
        boot: number of the row.
        start_ms: of the span, as the rows are dated.
        end_ms: of the span; a row at this moment belongs to it.
    """

    boot: int
    start_ms: int
    end_ms: int

    @property
    def values(self) -> tuple[int, int, int]:
        """Values of ``boot = ? AND at BETWEEN ? AND ?``."""
        return self.boot, self.start_ms, self.end_ms

    def move(self, boot: int, by_ms: int) -> BootStretch:
        """Return the stretch after its rows were moved and given to another row of ``boot``."""
        return BootStretch(boot, self.start_ms + by_ms, self.end_ms + by_ms)


def take_away(connection: sqlite3.Connection, rows: BootStretch) -> None:
    """Subtract rows from their minutes and hours; call it before the rows are moved."""
    for name, length in ROLLUPS:
        add_expressions(connection, name, length, _OF_STRETCH, rows.values, sign=-1)
        add_vitals(connection, name, length, _OF_STRETCH, rows.values, sign=-1)
        hours = _whole(rows, length)
        # Zero rows are left where all rows of a minute moved away.
        connection.execute(
            f"DELETE FROM expression_{name} WHERE rows <= 0 AND at BETWEEN ? AND ?", hours
        )
        connection.execute(
            f"DELETE FROM vital_{name} WHERE n <= 0 AND flagged <= 0 AND at BETWEEN ? AND ?", hours
        )


def add_again(connection: sqlite3.Connection, rows: BootStretch, before: BootStretch) -> None:
    """Add rows to their new minutes and hours; call it after the rows were moved.

    Args:
        connection: of the transaction.
        rows: where they are now.
        before: where they were. What is left there has another least and most.
    """
    for name, length in ROLLUPS:
        add_expressions(connection, name, length, _OF_STRETCH, rows.values)
        add_vitals(connection, name, length, _OF_STRETCH, rows.values)
        _measure_vitals(connection, name, length, _whole(before, length))


def delete_import(connection: sqlite3.Connection, number: int, within: Span | None = None) -> int:
    """Delete the readings of an import and what they added to rollups; return how many there were.

    What hours that were folded away cannot give back is taken out of their day.

    Args:
        connection: of the transaction.
        number: of the import.
        within: delete those of this time; ``None``: all.
    """
    which = "import = ?"
    values: tuple[int, ...] = (number,)
    if within is not None:
        which = f"at >= ? AND at < ? AND {which}"
        values = (*within, number)
    span = connection.execute(f"SELECT min(at), max(at) FROM vital WHERE {which}", values)
    first, last = span.fetchone()
    if first is None:
        return 0
    for name, length in ROLLUPS:
        add_vitals(connection, name, length, which, values, sign=-1)
    # Hours that were folded into days are gone: what was subtracted stands below zero in new rows,
    # and the day pays it.
    sums = ", ".join(f"sum({column})" for column in _VITAL_ADDED)
    connection.execute(
        f"INSERT INTO vital_day (kind, at, {', '.join(_VITAL_ADDED)}) SELECT kind, at / {DAY_MS} * "
        f"{DAY_MS}, {sums} FROM vital_hour WHERE {_OVERDRAWN} GROUP BY 1, 2 ON CONFLICT (kind, at) "
        f"DO UPDATE SET {', '.join(f'{c} = {c} + excluded.{c}' for c in _VITAL_ADDED)}"
    )
    removed = connection.execute(f"DELETE FROM vital WHERE {which}", values).rowcount
    for name, length in (*ROLLUPS, ("day", DAY_MS)):
        connection.execute(f"DELETE FROM vital_{name} WHERE n + flagged = 0 OR {_OVERDRAWN}")
        touched = (first // length * length, last // length * length + length - 1)
        _measure_vitals(connection, name, length, touched)
    return removed


def _whole(rows: BootStretch, length: int) -> tuple[int, int]:
    """Return the first and the last millisecond of the minutes (hours) that a span touches."""
    return rows.start_ms // length * length, rows.end_ms // length * length + length - 1


def add_vitals(
    connection: sqlite3.Connection,
    name: str,
    length: int,
    which: str,
    values: tuple[int, ...],
    *,
    sign: int = 1,
) -> None:
    """Add the readings that match an SQL condition to a rollup, or subtract them."""
    # A sum can be subtracted, a minimum cannot: ``_measure_vitals`` computes it of the rows left.
    least = "min(value) FILTER (WHERE usable)" if sign > 0 else "NULL"
    most = "max(value) FILTER (WHERE usable)" if sign > 0 else "NULL"
    connection.execute(
        f"INSERT INTO vital_{name} (kind, at, n, total, flagged, simulated, least, most) SELECT "
        f"kind, at / {length} * {length}, {sign} * sum(usable), {sign} * coalesce(sum(value) "
        f"FILTER (WHERE usable), 0.0), {sign} * sum(NOT usable), {sign} * "
        f"sum({is_flagged(VitalFlag.SIMULATED)}), {least}, {most} FROM (SELECT *, NOT "
        f"({IS_UNUSABLE}) AS usable FROM vital WHERE {which}) GROUP BY 1, 2 ON CONFLICT (kind, at) "
        f"DO {ADD_VITALS}",
        values,
    )


def _measure_vitals(
    connection: sqlite3.Connection, name: str, length: int, span: tuple[int, int]
) -> None:
    """Recompute minimum and maximum of minutes (hours) whose remaining rows all still exist."""
    # Only where as many rows are there as were counted: of older minutes the rollup is all that is
    # left.
    connection.execute(
        f"UPDATE vital_{name} SET least = found.least, most = found.most, total = found.total "
        f"FROM (SELECT kind AS of_kind, at / {length} * {length} AS since, count(*) AS there, "
        "coalesce(sum(value) FILTER (WHERE usable), 0.0) AS total, min(value) FILTER (WHERE "
        "usable) AS least, max(value) FILTER (WHERE usable) AS most FROM (SELECT *, NOT "
        f"({IS_UNUSABLE}) AS usable FROM vital WHERE at BETWEEN ? AND ?) GROUP BY 1, 2) AS "
        "found WHERE kind = of_kind AND at = since AND n + flagged = there",
        span,
    )


def redate(connection: sqlite3.Connection) -> bool:
    """Move the newest rows that have a wrong time, as far as the right one is known.

    Earlier starts of the machine are looked at, too: the program may have ended before it had moved
    what it knew to be wrong.

    Returns:
        Whether there is more to move, in another transaction.
    """
    for boot_id in (None, *other_boots(connection)):
        boots = BootRows(connection, boot_id)
        boots.confirm()
        wrong = boots.wrong()
        if wrong is not None:
            _move(connection, *wrong)
            return True
    return False


def _move(
    connection: sqlite3.Connection, wrong: BootRow, right: BootRow, end_ms: int | None
) -> None:
    """Move the last hours of a stretch, or all of it where it is not longer."""
    by_ms = right.offset_ms - wrong.offset_ms
    rows = _portion(connection, wrong, end_ms)
    target = wrong.id
    # Rows stay behind: those that move need a row of ``boot`` of their own.
    if rows.start_ms > wrong.offset_ms:
        target = _split(connection, wrong, rows.start_ms)
    # What is in no rollup yet cannot be subtracted from one.
    for start in find_open_minutes(connection):
        roll_up_minute(connection, start)
    # In this order: subtracted at the old times, moved, added at the new ones.
    take_away(connection, rows)
    moved = _move_timeline(connection, rows, target, by_ms)
    # Whether rows count depends on the stretches that were declared, which are markers.
    for table in _STAMPED:
        _move_stamps(connection, table, _values(rows, target, by_ms))
    add_again(connection, rows.move(target, by_ms), rows)
    _move_gaps(connection, rows, target, by_ms)
    for table in _WITH_ENDS:
        _move_ends(connection, table, _values(rows, target, by_ms))
    _move_noted(connection, _values(rows, target, by_ms))
    # The times are part of the sealed lines.
    with audit.sealed_anew(connection, "clock_set"):
        _move_stamps(connection, _AUDIT, _values(rows, target, by_ms))
    move_messages(connection, target, by_ms)
    _move_tombstones(connection, rows, by_ms)
    connection.execute(
        "UPDATE boot SET started_ms = started_ms + ?1, wall_minus_boot_ms = wall_minus_boot_ms + "
        "?1, moved_ms = moved_ms + ?1, synchronised = ?2 WHERE id = ?3",
        (by_ms, int(right.synchronised), target),
    )
    told = f"{moved} rows moved by {by_ms / 1000:+.1f} s"
    audit.write_line(connection, "appliance", "clock_set", told)
    log.info("the clock was set: %d rows moved by %+.1f s", moved, by_ms / 1000)


def _portion(connection: sqlite3.Connection, wrong: BootRow, end_ms: int | None) -> BootStretch:
    """Return the last hours of a stretch; no session is cut in two, and no standing hours are."""
    last = _newest(connection, wrong) if end_ms is None else end_ms
    start = last - PORTION_MS
    whole = connection.execute(
        # None must have one end at the old time and one at the new.
        "SELECT started FROM session WHERE boot = ?1 AND started < ?2 AND (ended IS NULL OR ended "
        ">= ?2) UNION SELECT since FROM standing_session WHERE since_boot = ?1 AND since < ?2 AND "
        "until_boot = ?1 AND until >= ?2",
        (wrong.id, start),
    ).fetchall()
    start = min((row[0] for row in whole), default=start)
    # No more than this portion is left: take all of it, from the start of the machine on.
    if start <= wrong.offset_ms + wrong.start_ms:
        start = wrong.offset_ms - CLOCK_JUMP_MS
    return BootStretch(wrong.id, start, last + CLOCK_JUMP_MS)


def _newest(connection: sqlite3.Connection, wrong: BootRow) -> int:
    """Return the time of the newest row of the last stretch."""
    newest = [
        connection.execute(
            f"SELECT max({time.column}) FROM {table.name} WHERE {time.boot} = ?", (wrong.id,)
        ).fetchone()[0]
        for table in TIMELINE
        for time in table.moved
    ]
    return max((at for at in newest if at is not None), default=wrong.offset_ms + wrong.start_ms)


def _split(connection: sqlite3.Connection, wrong: BootRow, start_ms: int) -> int:
    """Begin another row of ``boot`` inside a stretch, and return its number."""
    cursor = connection.execute(
        "INSERT INTO boot (boot_id, started_ms, wall_minus_boot_ms, synchronised, moved_ms) SELECT "
        "boot_id, ?, wall_minus_boot_ms, synchronised, moved_ms FROM boot WHERE id = ?",
        (start_ms, wrong.id),
    )
    return int(cursor.lastrowid or 0)


def _move_timeline(
    connection: sqlite3.Connection, rows: BootStretch, target: int, by_ms: int
) -> int:
    """Move rows of faces and readings; return how many they were."""
    moved = _move_vitals(connection, rows, target, by_ms)
    for table in _ROWS:
        if table == "vital":  # whose time is part of the key
            continue
        text = f"UPDATE {table} SET at = at + ?, boot = ? WHERE {_OF_STRETCH}"
        moved += connection.execute(text, (by_ms, target, *rows.values)).rowcount
    return moved


def _move_vitals(connection: sqlite3.Connection, rows: BootStretch, target: int, by_ms: int) -> int:
    """Move readings; the time is part of their key, and two must never meet on the way.

    The foremost goes first. Where a reading of the same kind and source is there already, for it
    came with its own time, the moved one takes the next free millisecond: both are kept.
    """
    # In the direction of the move, so that a reading finds the place of the next one empty.
    order = "DESC" if by_ms > 0 else "ASC"
    keys = connection.execute(
        f"SELECT at, kind, source FROM vital WHERE {_OF_STRETCH} ORDER BY at {order}", rows.values
    ).fetchall()
    for at, kind, source in keys:
        late_ms = 0
        while not _move_reading(connection, (target, at + by_ms + late_ms), (at, kind, source)):
            late_ms += 1
    return len(keys)


def _move_reading(
    connection: sqlite3.Connection, there: tuple[int, int], reading: tuple[int, str, str]
) -> bool:
    """Move a reading to a row of ``boot`` and a time; return whether that was free."""
    cursor = connection.execute(
        "UPDATE OR IGNORE vital SET boot = ?, at = ? WHERE at = ? AND kind = ? AND source = ?",
        (*there, *reading),
    )
    return cursor.rowcount == 1


def _move_gaps(connection: sqlite3.Connection, rows: BootStretch, target: int, by_ms: int) -> None:
    """Move gaps; where only one end was read from the wrong clock, that one."""
    values = _values(rows, target, by_ms)
    for change, where in (
        (
            "started = started + :by, ended = ended + :by, started_boot = :target, boot = :target",
            "boot = :boot AND started_boot = :boot AND ended BETWEEN :start AND :end",
        ),
        # A gap never ends before it begins.
        (
            "started = min(ended, started + :by), started_boot = :target",
            "started_boot = :boot AND boot IS NOT :boot AND started BETWEEN :start AND :end",
        ),
        (
            "ended = max(started, ended + :by), boot = :target",
            "boot = :boot AND started_boot IS NOT :boot AND ended BETWEEN :start AND :end",
        ),
    ):
        connection.execute(f"UPDATE gap SET {change} WHERE {where}", values)


def _move_stamps(connection: sqlite3.Connection, table: Table, values: dict[str, int]) -> None:
    """Move each time of rows by itself."""
    for time in table.moved:
        connection.execute(
            f"UPDATE {table.name} SET {time.column} = {time.column} + :by, {time.boot} = :target "
            f"WHERE {time.boot} = :boot AND {time.column} BETWEEN :start AND :end",
            values,
        )


def _move_noted(connection: sqlite3.Connection, values: dict[str, int]) -> None:
    """Move times that have no row of ``boot``, with the line of the audit trail of their act."""
    for table, column in _NOTED:
        connection.execute(
            f"UPDATE {table} SET {column} = {column} + :by WHERE {column} IN "
            "(SELECT at FROM audit WHERE boot = :boot AND at BETWEEN :start AND :end)",
            values,
        )


def _move_ends(connection: sqlite3.Connection, table: Table, values: dict[str, int]) -> None:
    """Move start and end of rows in one statement: no end may lie before its start."""
    (start, start_boot), (end, end_boot) = ((time.column, time.boot) for time in table.times)
    starts = f"({table.name}.{start_boot} = :boot AND {start} BETWEEN :start AND :end)"
    stops = f"({table.name}.{end_boot} = :boot AND {end} BETWEEN :start AND :end)"
    moved = f"{start} + :by * coalesce({starts}, 0)"
    # An end that moves alone stops at its start.
    connection.execute(
        f"UPDATE {table.name} SET {start} = {moved}, "
        f"{end} = max({end} + :by * coalesce({stops}, 0), {moved}), "
        f"{start_boot} = CASE WHEN {starts} THEN :target ELSE {start_boot} END, "
        f"{end_boot} = CASE WHEN {stops} THEN :target ELSE {end_boot} END "
        f"WHERE {starts} OR {stops}",
        values,
    )


def _values(rows: BootStretch, target: int, by_ms: int) -> dict[str, int]:
    span = {"boot": rows.boot, "start": rows.start_ms, "end": rows.end_ms}
    return span | {"by": by_ms, "target": target}


def _move_tombstones(connection: sqlite3.Connection, rows: BootStretch, by_ms: int) -> None:
    """Add tombstones at the moved times, so that rows waiting in memory still count as erased."""
    known = read_tombstones(connection)
    moved = [
        (start + by_ms, end + by_ms)
        for start, end in known
        if start <= rows.end_ms and end >= rows.start_ms
    ]
    # The old spans stay: what waits with an uncorrected time is still covered by them.
    add_tombstones(connection, [span for span in moved if span not in known])
