"""Rows of the timeline: recorded ones, readings that come from elsewhere, and outages.

Rows are written with their minutes and hours inside a transaction that the caller holds. The time
in which the agent did not run is a gap, which is written when it starts again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import EcgStretch, pack
from edge_agent.core.expression import Attribution, ExpressionRow, RejectedFrames
from edge_agent.core.movements import NAMES as MOVED
from edge_agent.core.movements import MovementRow
from edge_agent.core.readings import Gap, VitalReading, place_in_time
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.database.schema import (
    DECLARED_STRETCHES,
    MOVEMENT_STEPS,
    NAMES,
    NO_PRIOR,
    SMOOTHED,
    UNKNOWN_PRIOR,
)
from edge_agent.timeline.database.tables import RECORDED
from edge_agent.timeline.write import audit
from edge_agent.timeline.write.artefact_flags import flag_artefacts
from edge_agent.timeline.write.boots import BootRows, stamp
from edge_agent.timeline.write.open_minutes import OpenMinutes
from edge_agent.timeline.write.rollups import (
    Tombstones,
    per_mille,
    roll_up_anew,
    roll_up_expressions,
    roll_up_vitals,
)

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_EXPRESSION = (
    "at", "boot_ms", "boot", "interval_ms", "track", "frames", *NAMES, *SMOOTHED,
    "emotion", "face_size", "quality", "is_primary", "simulated", "attribution", "import",
)  # fmt: skip


_MOVEMENT = (
    "at", "boot_ms", "boot", "interval_ms", "track", "frames", *MOVED, "is_primary", "simulated",
    "source", "attribution", "import",
)  # fmt: skip
SOURCE = "agent"
SHORTEST_MS = 3_000
"""A shorter time without rows is none: at ``record.interval`` they come once a second."""


def movement_steps(mean: Sequence[float | None]) -> list[int | None]:
    """Return movements and look in per mille, angles in tenths of a degree, all in order."""
    pairs = zip(MOVEMENT_STEPS.values(), mean, strict=True)
    return [None if value is None else round(steps * value) for steps, value in pairs]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A model file that is used from an instant on, a classifier with its prior.

    Attributes:
        kind: what it does.
        name: on its card.
        version: on its card.
        sha256: of its file.
        since_ms: UTC.
        since_boot_ms: the same instant by the boot clock.
        prior: as used (``data``, ``balanced``, ``fitted``), ``NO_PRIOR`` or ``UNKNOWN_PRIOR``.
    """

    kind: str
    name: str
    version: str
    sha256: str
    since_ms: int
    since_boot_ms: int = 0
    prior: str = UNKNOWN_PRIOR


def write_expressions(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[ExpressionRow, int | None]],
    interval_ms: int,
    simulated: bool,
    import_number: int | None = None,
    open_minutes: OpenMinutes | None = None,
) -> None:
    """Insert expression rows with the id of their boot row.

    Those of primary faces are added to the rollups: at once, or to ``open_minutes``, which rolls
    them up later.

    Rows, here and below, of a time that was erased are left out. ``import_number`` is the row of
    ``import`` that brings them; ``None``: they were recorded here.
    """
    tombstones = Tombstones(connection)
    rows = [
        (row, boot)
        for row, boot in rows
        # The row is stamped with the end of its interval: its start counts, too.
        if not tombstones.cover(row.at.wall_ms - interval_ms, row.at.wall_ms)
    ]
    if not rows:
        return
    connection.executemany(
        f"INSERT INTO expression ({', '.join(_EXPRESSION)}) "
        f"VALUES ({', '.join('?' * len(_EXPRESSION))})",
        [
            (*_expression_values(row, boot, interval_ms, simulated), import_number)
            for row, boot in rows
        ],
    )
    primary = _of_participant(connection, [row for row, _ in rows])
    if open_minutes is None:
        roll_up_expressions(connection, primary, simulated)
    else:
        open_minutes.add(connection, primary, simulated)


def _of_participant(
    connection: sqlite3.Connection, rows: Sequence[ExpressionRow]
) -> list[ExpressionRow]:
    """Return the rows that rollups tell of; the others in the picture are in the rows.

    A batch may come after its stretch was declared, in a session that is open.
    """
    unknown = [row.at.wall_ms for row in rows if row.attribution is Attribution.UNKNOWN]
    if not unknown:
        return [row for row in rows if row.primary]
    declared = connection.execute(
        f"SELECT first, last FROM ({DECLARED_STRETCHES}) WHERE last >= ? AND first < ?",
        (min(unknown), max(unknown)),
    ).fetchall()

    def is_declared(row: ExpressionRow) -> bool:
        is_unknown = row.attribution is Attribution.UNKNOWN
        return is_unknown and any(first < row.at.wall_ms <= last for first, last in declared)

    return [row for row in rows if row.primary or is_declared(row)]


def write_movements(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[MovementRow, int | None]],
    interval_ms: int,
    simulated: bool,
    import_number: int | None = None,
) -> None:
    """Insert rows of movements with the id of their boot row."""
    tombstones = Tombstones(connection)
    connection.executemany(
        f"INSERT INTO movement ({', '.join(_MOVEMENT)}) VALUES ({', '.join('?' * len(_MOVEMENT))})",
        [
            (
                row.at.wall_ms,
                None if boot is None else row.at.boot_ms,
                boot,
                interval_ms,
                row.track,
                row.frames,
                *movement_steps(row.mean),
                int(row.primary),
                int(simulated),
                row.source,
                row.attribution or "",
                import_number,
            )
            for row, boot in rows
            if not tombstones.cover(row.at.wall_ms - interval_ms, row.at.wall_ms)
        ],
    )


def write_rejected_frames(
    connection: sqlite3.Connection,
    rows: Sequence[tuple[RejectedFrames, int | None]],
    interval_ms: int,
    simulated: bool,
    import_number: int | None = None,
) -> None:
    """Insert counts of frames that could not be read, with the id of their boot row."""
    tombstones = Tombstones(connection)
    connection.executemany(
        "INSERT INTO unfit (at, boot_ms, boot, interval_ms, track, reason, frames, is_primary, "
        "simulated, attribution, import) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                row.attribution or "",
                import_number,
            )
            for row, boot in rows
            if not tombstones.cover(row.at.wall_ms - interval_ms, row.at.wall_ms)
        ],
    )


def write_ecg(
    connection: sqlite3.Connection, rows: Sequence[tuple[EcgStretch, int | None]]
) -> None:
    """Insert stretches of electrocardiograms with the id of their boot row."""
    tombstones = Tombstones(connection)
    connection.executemany(
        "INSERT INTO ecg (at, boot_ms, boot, interval_ms, source, samples, packed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                row.at.wall_ms,
                None if boot is None else row.at.boot_ms,
                boot,
                max(1, round(1000 * row.seconds)),
                row.source,
                len(row.samples),
                pack(row.samples),
            )
            for row, boot in rows
            if not tombstones.cover(row.at.wall_ms - round(1000 * row.seconds), row.at.wall_ms)
        ],
    )


def recorded_value(connection: sqlite3.Connection, reading: VitalReading) -> float | None:
    """Return the recorded value for a reading's kind, source and time, if there is one."""
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

    The id is ``None`` for given and imported readings, which have no boot clock; those of the
    future are flagged ``clock_differs`` here, whichever way they came. ``import_number`` is the row
    of ``import`` of imported ones. A reading that differs from one of the same kind, source and
    time is kept beside it, a millisecond later. Heart rates far from their neighbours are flagged
    ``artefact``, and stored neighbours are judged anew.

    Returns:
        Of each reading whether it was new: else it was there already (same kind, source, time and
        value) and left alone. ``None``: its time was erased.
    """
    inserted: list[VitalReading] = []
    written: list[bool | None] = []
    tombstones = Tombstones(connection)
    now_ms = clock.now().wall_ms
    flagged = (
        reading if boot is not None else reading.flag_ahead(now_ms) for reading, boot in readings
    )
    # The placed readings include those written a moment ago in this loop, for it is a generator.
    given = place_in_time(flagged, partial(recorded_value, connection))
    for (reading, is_new), (_, boot) in zip(given, readings, strict=True):
        is_erased = tombstones.cover(reading.at.wall_ms, reading.at.wall_ms)
        written.append(None if is_erased else is_new)
        if not written[-1]:
            continue
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags, boot_ms, boot, device_time, "
            "import, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                reading.error,
            ),
        )
        inserted.append(reading)
    judged, changed = flag_artefacts(connection, inserted)
    roll_up_vitals(connection, judged)
    # Only now: extremes are measured where a rollup has counted each row that there is.
    for before, after in changed:
        roll_up_anew(connection, before, after)
    return written


def write_gap(
    connection: sqlite3.Connection,
    gap: Gap,
    boot: int | None,
    started_boot: int | None = None,
    *,
    import_number: int | None = None,
) -> None:
    """Insert an interval in which a source sent nothing.

    Args:
        connection: of the transaction.
        gap: the interval. Its length is that of the boot clock, should the wall clock have stepped
            meanwhile.
        boot: row of ``boot`` of its end.
        started_boot: row of ``boot`` of its start, where that is another start of the machine.
        import_number: row of ``import`` that brings it.
    """
    started_ms = gap.start.wall_ms if started_boot else _started_ms(gap)
    # Of two starts of the machine, the clock of the earlier one may have been ahead.
    span = {"started": min(started_ms, gap.end.wall_ms), "ended": gap.end.wall_ms}
    rows = {"boot": boot, "started_boot": started_boot or boot, "import": import_number}
    insert(connection, "gap", source=gap.source, reason=gap.reason, **span, **rows)


def write_standstill(
    connection: sqlite3.Connection,
    gap: Gap,
    boot: int | None,
    started_boot: int | None = None,
    *,
    only_in_sessions: bool,
) -> None:
    """Insert a time in which the agent stood still or did not run, from three seconds on.

    Args:
        connection: of the transaction.
        gap: the interval.
        boot: row of ``boot`` of its end.
        started_boot: as for ``write_gap``.
        only_in_sessions: whether the camera looks in sessions only: nothing was lost between them.
            Sessions may have begun and ended meanwhile.
    """
    started = gap.start.wall_ms if started_boot else _started_ms(gap)
    spans = [(started, gap.end.wall_ms)]
    if only_in_sessions:
        spans = _within_sessions(connection, *spans[0])
    for begin, end in spans:
        if end - begin >= SHORTEST_MS:
            part = replace(gap, start=Instant(0, begin), end=Instant(0, end))
            write_gap(connection, part, boot, started_boot)


def _started_ms(gap: Gap) -> int:
    """Return the wall clock at which a gap of one start of the machine began, by that of its end.

    The boot clock knows how long it was, even where the wall clock was set meanwhile.
    """
    if not gap.start.boot_ms:
        return gap.start.wall_ms
    return gap.end.wall_ms - (gap.end.boot_ms - gap.start.boot_ms)


def write_model(connection: sqlite3.Connection, use: ModelUse) -> None:
    """Insert a model unless it is the one already in use for its kind, with the same prior."""
    last = connection.execute(
        "SELECT sha256, version, prior FROM model WHERE kind = ? ORDER BY id DESC LIMIT 1",
        (use.kind,),
    ).fetchone()
    # Only a change is a row: the same model is reported at every start. Of a model without a prior
    # an upgraded database says that its prior is unknown, which is no change. Another version of
    # the card may read the same file in another crop or with other biases.
    same_prior = last is not None and (use.prior == NO_PRIOR or last["prior"] == use.prior)
    if last is None or tuple(last[:2]) != (use.sha256, use.version) or not same_prior:
        boot, since = stamp(connection, Instant(use.since_boot_ms, use.since_ms))
        named = {"kind": use.kind, "name": use.name, "version": use.version, "sha256": use.sha256}
        insert(connection, "model", **named, since=since.wall_ms, boot=boot, prior=use.prior)


def _expression_values(
    row: ExpressionRow, boot: int | None, interval_ms: int, simulated: bool
) -> tuple[object, ...]:
    """Return the values of ``_EXPRESSION`` but the last."""
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
        row.attribution or "",
    )


def import_each(
    path: Path, readings: Sequence[VitalReading], *, entered_by: str | None = None
) -> list[bool]:
    """Write readings in one transaction; return for each whether it was new.

    Args:
        path: the database.
        readings: at most some hundred.
        entered_by: who entered them by hand, for the audit trail; ``None`` writes no line.

    Raises:
        StoreError: as ``connection.connect``; disk full. Nothing was written then.
    """
    if not readings:
        return []
    with write_transaction(path) as connection:
        stamped = []
        for reading in readings:
            boot, at = stamp(connection, reading.at)  # of its arrival, where it came without a time
            stamped.append((replace(reading.flag_implausible(), at=at), boot))
        new = [bool(is_new) for is_new in write_vitals(connection, stamped)]
        if entered_by is not None:
            audit.write_line(connection, entered_by, "readings_by_hand", str(sum(new)))
    return new


@dataclass(frozen=True, slots=True)
class LastRow:
    """The last row of the timeline before the agent ended.

    Attributes:
        boot: row of ``boot`` that it points to.
        boot_id: start of the machine in which it was recorded.
        at_ms: wall clock.
        offset_ms: wall clock minus boot clock then.
    """

    boot: int
    boot_id: str
    at_ms: int
    offset_ms: int

    @property
    def boot_ms(self) -> int:
        """Boot clock of that start of the machine."""
        return self.at_ms - self.offset_ms


def last_row(connection: sqlite3.Connection) -> LastRow | None:
    """Return the last row that an agent recorded; ``None`` before the first.

    What came with a time of its own (an import) does not count: it says nothing of the agent.
    """
    boots = {
        row["id"]: row
        for row in connection.execute("SELECT id, boot_id, wall_minus_boot_ms AS offset FROM boot")
    }
    # The order of the starts of the machine is that of their first rows.
    first: dict[str, int] = {}
    for number, row in sorted(boots.items()):
        first.setdefault(row["boot_id"], number)
    newest = [
        LastRow(at["boot"], boots[at["boot"]]["boot_id"], at["at"], boots[at["boot"]]["offset"])
        for at in _newest(connection)
    ]
    # By start of the machine first: boot clocks of two starts cannot be compared.
    return max(newest, key=lambda row: (first[row.boot_id], row.boot_ms), default=None)


def write_outage(
    connection: sqlite3.Connection, last: LastRow, start: Instant, *, only_in_sessions: bool
) -> bool:
    """Write the time from the last row to a start of the agent as a gap.

    Args:
        connection: of the transaction.
        last: the last row of before; it may have been moved since it was read.
        start: when the agent started, by the clock of then.
        only_in_sessions: whether the camera looks in sessions only: nothing was lost between them.

    Returns:
        Whether this is done. Not while the start seems to lie before the last row, for the clock
            was not set yet: ask again when it was.
    """
    boot, at = BootRows(connection).place(start)
    last = _as_known_today(connection, last)
    if last.boot_id == clock.boot_id():  # then the boot clock knows, whatever the wall clock says
        boot = last.boot
        at = Instant(start.boot_ms, last.at_ms + start.boot_ms - last.boot_ms)
    # The clock was not set at this start: a gap of negative length would be a lie.
    if at.wall_ms < last.at_ms:
        return False
    gap = Gap(SOURCE, Instant(0, last.at_ms), Instant(0, at.wall_ms), "agent_stopped")
    write_standstill(connection, gap, boot, last.boot, only_in_sessions=only_in_sessions)
    return True


def _as_known_today(connection: sqlite3.Connection, last: LastRow) -> LastRow:
    """Return the last row as it is dated now: a clock that was set may have moved it."""
    before = [row for row in BootRows(connection, last.boot_id) if row.start_ms <= last.boot_ms]
    if not before:
        return last
    offset_ms = before[-1].offset_ms
    at_ms = last.boot_ms + offset_ms
    return replace(last, boot=before[-1].id, at_ms=at_ms, offset_ms=offset_ms)


def _newest(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Return the newest row of each table of the timeline, as ``boot`` and ``at``."""
    rows = (
        connection.execute(
            f"SELECT boot, {table.times[-1].column} AS at FROM {table.name} WHERE boot IS NOT NULL "
            f"ORDER BY {table.key[0]} DESC LIMIT 1"
        ).fetchone()
        for table in RECORDED
    )
    return [row for row in rows if row is not None]


def _within_sessions(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    """Return the parts of a time that lie in sessions."""
    rows = connection.execute(
        "SELECT max(started, :start), min(coalesce(ended, :end), :end) FROM session WHERE started "
        "< :end AND coalesce(ended, :end) > :start ORDER BY started",
        {"start": start_ms, "end": end_ms},
    )
    return [(row[0], row[1]) for row in rows]
