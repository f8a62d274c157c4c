"""Writing rows of the timeline and their rollups inside a transaction that the caller holds."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from edge_agent.core.clock import Instant
from edge_agent.core.expression import ExpressionRow, RejectedFrames
from edge_agent.core.gaps import Gap
from edge_agent.core.readings import VitalReading
from edge_agent.core.shared_times import placed
from edge_agent.store.database.tables import NAMES, SMOOTHED
from edge_agent.store.write.clocks.boots import stamp
from edge_agent.store.write.rollups import per_mille, roll_up_expressions, roll_up_vitals
from edge_agent.store.write.tombstones import Tombstones

_EXPRESSION = (
    "at", "boot_ms", "boot", "interval_ms", "track", "frames", *NAMES, *SMOOTHED,
    "emotion", "face_size", "quality", "is_primary", "simulated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model file that is used from an instant on."""

    kind: str
    name: str
    version: str
    sha256: str
    since_ms: int
    since_boot_ms: int = 0


def write_expressions(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[ExpressionRow, int | None]],
    interval_ms: int,
    simulated: bool,
) -> None:
    """Insert expression rows with the id of their boot row.

    Those of primary faces are added to the rollups.

    Rows, here and below, of a time that was erased are left out.
    """
    tombstones = Tombstones(connection)
    rows = [
        (row, boot)
        for row, boot in rows
        if not tombstones.cover(row.at.wall_ms - interval_ms, row.at.wall_ms)
    ]
    if not rows:
        return
    connection.executemany(
        f"INSERT INTO expression ({', '.join(_EXPRESSION)}) "
        f"VALUES ({', '.join('?' * len(_EXPRESSION))})",
        [_expression_values(row, boot, interval_ms, simulated) for row, boot in rows],
    )
    primary = [row for row, _ in rows if row.primary]
    roll_up_expressions(connection, primary, simulated)


def write_rejected_frames(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[RejectedFrames, int | None]],
    interval_ms: int,
    simulated: bool,
) -> None:
    """Insert counts of frames that could not be read, with the id of their boot row."""
    tombstones = Tombstones(connection)
    connection.executemany(
        "INSERT INTO unfit (at, boot_ms, boot, interval_ms, track, reason, frames, is_primary, "
        "simulated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.at.wall_ms,
                None if boot is None else row.at.boot_ms,
                boot,
                interval_ms,
                row.track,
                row.reject_reason.value,
                row.frames,
                int(row.primary),
                int(simulated),
            )
            for row, boot in rows
            if not tombstones.cover(row.at.wall_ms - interval_ms, row.at.wall_ms)
        ],
    )


def recorded_value(connection: sqlite3.Connection, reading: VitalReading) -> float | None:
    """Return the value that is recorded of a reading's kind, source and time, if there is one."""
    row = connection.execute(
        "SELECT value FROM vital WHERE at = ? AND kind = ? AND source = ?",
        (reading.at.wall_ms, reading.kind.value, reading.source),
    ).fetchone()
    return None if row is None else float(row[0])


def write_vitals(
    connection: sqlite3.Connection,
    readings: Sequence[tuple[VitalReading, int | None]],
    import_number: int | None = None,
) -> list[bool | None]:
    """Insert readings with the id of their boot row, and roll up the new ones.

    The id is ``None`` for imported readings, which have no boot clock; ``import_number`` is the row
    of ``import`` of these. A reading that differs from one of the same kind, source and time is
    kept beside it, a millisecond later.

    Returns:
        Of each reading whether it was new: else it was there already (same kind, source, time and
        value) and left alone. ``None``: its time was erased.
    """
    inserted: list[VitalReading] = []
    written: list[bool | None] = []
    tombstones = Tombstones(connection)
    given = placed((reading for reading, _ in readings), partial(recorded_value, connection))
    for (reading, is_new), (_, boot) in zip(given, readings, strict=True):
        is_erased = tombstones.cover(reading.at.wall_ms, reading.at.wall_ms)
        written.append(None if is_erased else is_new)
        if not written[-1]:
            continue
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags, boot_ms, boot, device_time, "
            "import) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                reading.at.wall_ms,
                reading.kind.value,
                reading.source,
                reading.value,
                " ".join(sorted(reading.flags)),
                None if boot is None else reading.at.boot_ms,
                boot,
                reading.device_time,
                import_number,
            ),
        )
        inserted.append(reading)
    roll_up_vitals(connection, inserted)
    return written


def write_gap(
    connection: sqlite3.Connection, gap: Gap, boot: int | None, started_boot: int | None = None
) -> None:
    """Insert an interval in which a source did not speak.

    Args:
        connection: of the transaction.
        gap: the interval. Its length is that of the boot clock, should the wall clock have stepped
            meanwhile.
        boot: row of ``boot`` of its end.
        started_boot: row of ``boot`` of its start, where that is another start of the machine.
    """
    started_ms = gap.start.wall_ms
    if started_boot is None and gap.start.boot_ms:
        started_ms = gap.end.wall_ms - (gap.end.boot_ms - gap.start.boot_ms)
    connection.execute(
        "INSERT INTO gap (source, started, ended, reason, boot, started_boot) VALUES (?, ?, ?, ?, "
        "?, ?)",
        (gap.source, started_ms, gap.end.wall_ms, gap.reason, boot, started_boot or boot),
    )


def write_model(connection: sqlite3.Connection, use: ModelUse) -> None:
    """Insert a model unless it is the one already in use for its kind."""
    last = connection.execute(
        "SELECT sha256 FROM model WHERE kind = ? ORDER BY id DESC LIMIT 1", (use.kind,)
    ).fetchone()
    if last is None or last[0] != use.sha256:
        boot, since = stamp(connection, Instant(use.since_boot_ms, use.since_ms))
        connection.execute(
            "INSERT INTO model (kind, name, version, sha256, since, boot) VALUES (?, ?, ?, ?, ?, "
            "?)",
            (use.kind, use.name, use.version, use.sha256, since.wall_ms, boot),
        )


def _expression_values(
    row: ExpressionRow, boot: int | None, interval_ms: int, simulated: bool
) -> tuple[object, ...]:
    """Return the values of ``_EXPRESSION``."""
    return (
        row.at.wall_ms,
        None if boot is None else row.at.boot_ms,
        boot,
        interval_ms,
        row.track,
        row.frames,
        *per_mille(row.mean),
        *per_mille(row.smoothed),
        None if row.emotion is None else row.emotion.value,
        round(row.face_size, 1),
        round(row.quality, 3),
        int(row.primary),
        int(simulated),
    )
