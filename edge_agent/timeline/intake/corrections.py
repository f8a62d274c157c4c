"""Readings that a person entered: listing, correcting and removing them; old values are kept."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.given_readings import flag_near_pressures
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.read.base import flags_of
from edge_agent.timeline.study.rows import insert_audit
from edge_agent.timeline.write.rollups import roll_up_anew

BY_HAND = "manual:"
"""Beginning of the source of a reading that a person entered."""
_SESSION = (
    "LEFT JOIN session ON session.started <= {0}.at AND (session.ended IS NULL OR "
    "session.ended > {0}.at) LEFT JOIN participant ON participant.id = session.participant"
)
_WHOSE = "session.id AS session, session.name AS name, participant.code AS participant"


@dataclass(frozen=True, slots=True)
class ReadingKey:
    """The unique key of a reading: its time (UTC milliseconds), kind and source."""

    at_ms: int
    kind: VitalKind
    source: str


@dataclass(frozen=True, slots=True)
class EnteredReading:
    """A reading entered by hand, with its session and participant.

    Attributes:
        key: which one.
        value: in the unit of the kind.
        flags: as it is kept.
        was: what it was before it was corrected; ``None``: it was not.
        session: number of the session in which it lies; ``None``: in none.
        name: of that session.
        participant: code of its participant.
    """

    key: ReadingKey
    value: float
    flags: frozenset[str]
    was: float | None
    session: int | None
    name: str
    participant: str | None


@dataclass(frozen=True, slots=True)
class RemovedReading:
    """A reading entered by hand that was removed.

    Attributes:
        key: which one.
        value: what it was.
        changed_ms: when it was removed, UTC.
        actor: who removed it.
        participant: code of the participant in whose session it lay.
    """

    key: ReadingKey
    value: float
    changed_ms: int
    actor: str
    participant: str | None


def entered_readings(path: Path, at_most: int) -> list[EnteredReading]:
    """Return the newest readings that people entered, newest first."""
    with read_transaction(path) as connection:
        rows = connection.execute(
            f"SELECT vital.*, {_WHOSE}, (SELECT value FROM vital_change AS old WHERE old.at = "  # noqa: S608 - our own words
            "vital.at AND old.kind = vital.kind AND old.source = vital.source ORDER BY old.id "
            f"LIMIT 1) AS was FROM vital {_SESSION.format('vital')} WHERE source >= ? AND "
            "source < ? ORDER BY vital.at DESC, vital.kind DESC LIMIT ?",
            # ``;`` follows ``:`` in ASCII: all texts that begin with ``manual:`` lie between them,
            # and the index finds them.
            (BY_HAND, BY_HAND[:-1] + ";", at_most),
        ).fetchall()
    return [
        EnteredReading(
            _key_of(row),
            row["value"],
            frozenset(row["flags"].split()),
            row["was"],
            row["session"],
            row["name"] or "",
            row["participant"],
        )
        for row in rows
    ]


def removed_readings(path: Path, at_most: int) -> list[RemovedReading]:
    """Return the readings that were removed last, newest removal first."""
    with read_transaction(path) as connection:
        rows = connection.execute(
            f"SELECT vital_change.*, {_WHOSE} FROM vital_change "  # noqa: S608 - our own words
            f"{_SESSION.format('vital_change')} WHERE new_value IS NULL ORDER BY vital_change.id "
            "DESC LIMIT ?",
            (at_most,),
        ).fetchall()
    return [
        RemovedReading(_key_of(row), row["value"], row["changed"], row["actor"], row["participant"])
        for row in rows
    ]


def correct_reading(path: Path, key: ReadingKey, value: float, *, actor: str) -> None:
    """Change the value of a reading that a person entered; the old value is kept.

    Its flags, and those of the other pressure of the same measurement, are judged anew.

    Args:
        path: the database.
        key: which reading.
        value: in the unit of its kind.
        actor: who corrects it.

    Raises:
        StudyError: it is not there any more, or nobody entered it.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        before = _measurement(connection, key)
        after = [
            replace(
                reading,
                value=value if reading.kind is key.kind else reading.value,
                # Its range is judged anew below; what a person corrects is no artefact.
                flags=reading.flags - {VitalFlag.OUT_OF_RANGE, VitalFlag.ARTEFACT},
            ).flag_implausible()
            for reading in before
        ]
        # Both pressures may change their flags although one value was corrected.
        for old, new in zip(before, flag_near_pressures(after), strict=True):
            if old != new:
                _note(connection, old, new.value, (actor, moment.wall_ms))
                place = (new.at.wall_ms, new.kind.value, new.source)
                connection.execute(
                    "UPDATE vital SET value = ?, flags = ? WHERE at = ? AND kind = ? AND "
                    "source = ?",
                    (new.value, " ".join(sorted(new.flags)), *place),
                )
                roll_up_anew(connection, old, new)
        insert_audit(connection, actor, "reading_correct", key.kind.value, moment)


def remove_reading(path: Path, key: ReadingKey, *, actor: str) -> None:
    """Remove a reading that a person entered; the old value is kept beside the timeline.

    Args:
        path: the database.
        key: which reading.
        actor: who removes it.

    Raises:
        StudyError: it is not there any more, or nobody entered it.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        old = next(one for one in _measurement(connection, key) if one.kind is key.kind)
        # Before the change: the old value is read from the row itself.
        _note(connection, old, None, (actor, moment.wall_ms))
        connection.execute(
            "DELETE FROM vital WHERE at = ? AND kind = ? AND source = ?",
            (key.at_ms, key.kind.value, key.source),
        )
        roll_up_anew(connection, old, None)
        insert_audit(connection, actor, "reading_remove", key.kind.value, moment)


def _measurement(connection: sqlite3.Connection, key: ReadingKey) -> list[VitalReading]:
    """Return all readings of the time and source of a reading, itself included."""
    rows = connection.execute(
        "SELECT * FROM vital WHERE at = ? AND source = ? ORDER BY kind", (key.at_ms, key.source)
    ).fetchall()
    measured = [reading_of_row(row) for row in rows]
    is_there = any(reading.kind is key.kind for reading in measured)
    if not is_there or not key.source.startswith(BY_HAND):
        raise StudyError(
            f"There is no {key.kind.spec.name_in_text} of that time that was entered by "
            "hand: it was removed or erased meanwhile. Reload the page."
        )
    return measured


def _note(
    connection: sqlite3.Connection, old: VitalReading, new_value: float | None, by: tuple[str, int]
) -> None:
    """Keep a reading as it was; ``by``: who corrects it and when, UTC milliseconds."""
    actor, at_ms = by
    connection.execute(
        "INSERT INTO vital_change (at, kind, source, value, flags, new_value, changed, actor, boot)"
        " SELECT at, kind, source, value, flags, ?, ?, ?, boot FROM vital WHERE at = ? AND kind = "
        "? AND source = ?",
        (new_value, at_ms, actor, old.at.wall_ms, old.kind.value, old.source),
    )


def reading_of_row(row: sqlite3.Row) -> VitalReading:
    """Return a row of ``vital`` as a value; its boot clock is 0 where it was not recorded."""
    at = Instant(boot_ms=row["boot_ms"] or 0, wall_ms=row["at"])
    flags = flags_of(row["flags"])
    return VitalReading(at, VitalKind(row["kind"]), row["value"], row["source"], flags)


def _key_of(row: sqlite3.Row) -> ReadingKey:
    return ReadingKey(row["at"], VitalKind(row["kind"]), row["source"])
