"""Markers that are corrected or left out; their old values are kept in ``marker_change``.

Conditions are read from the markers, so a correction holds for every mean, test and export from
then on. The audit trail names the session and the kind; a label may be about a person, and is
erased with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Marker, MarkerKind, Session
from edge_agent.core.texts import N_, utc_text
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.study import rows
from edge_agent.timeline.study.past import PastMarker

REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class MarkerChange:
    """A marker as it was before a correction.

    Attributes:
        marker: its number.
        at_ms: its time then, UTC milliseconds.
        kind: its kind then.
        label: its label then.
        removed: whether it was left out, and not changed.
        reason: the reason that was given; may be empty for a change.
        changed_ms: when it was corrected, UTC milliseconds.
        actor: who corrected it.
    """

    marker: int
    at_ms: int
    kind: MarkerKind
    label: str
    removed: bool
    reason: str
    changed_ms: int
    actor: str


class Because(NamedTuple):
    """Why a marker is corrected.

    Attributes:
        reason: in words.
        actor: who corrects it.
        at: when; the line of the audit trail has the same time.
    """

    reason: str
    actor: str
    at: Instant


def marker_changes(path: Path, session: int) -> list[MarkerChange]:
    """Return the corrections of a session's markers, the first one first.

    Raises:
        StudyError: unknown session.
    """
    with read_transaction(path) as connection:
        rows.session_numbered(connection, session)
        changes = connection.execute(
            "SELECT * FROM marker_change WHERE session = ? ORDER BY id", (session,)
        ).fetchall()
    return [
        MarkerChange(
            row["marker"],
            row["at"],
            MarkerKind(row["kind"]),
            row["label"],
            bool(row["removed"]),
            row["reason"],
            row["changed"],
            row["actor"],
        )
        for row in changes
    ]


def correct_marker(
    path: Path, marker: int, new: PastMarker, *, reason: str = "", actor: str
) -> Marker:
    """Change the time, kind or label of a marker, and keep what it was.

    A new label of a stimulus start goes to its end and to the self-reports of that condition, too.

    Args:
        path: the database.
        marker: its number.
        new: what it shall be, with the session in which it lies.
        reason: why, at most ``REASON_LENGTH`` characters.
        actor: who corrects it, for the audit trail.

    Returns:
        The marker as it is now.

    Raises:
        StudyError: no such marker, its time lies outside the session or in the future, a label or
            reason is too long, or a stimulus end would end nothing. Nothing was changed then.
    """
    why = checked_reason(reason)
    moment = clock.now()
    with write_transaction(path) as connection:
        session, before = _find_marker(connection, new.session, marker)
        old = _correctable(before, marker)
        if new.at_ms != old.at.wall_ms:
            check_inside(session, new.at_ms, moment.wall_ms)
        label = new.label
        # Only ``declare`` adds markers of a declaration: rollups count what they say.
        if rows.is_of_declaration(new.kind, label.strip()):
            label = rows.declared_label(session, label)
        label = rows.checked_label(
            label, rows.marker_kind(new.kind), field="label", empty_allowed=False
        )
        # Moved by the difference, so that the boot clock moves along.
        at = old.at.shift((new.at_ms - old.at.wall_ms) / 1000)
        now = replace(old, at=at, kind=new.kind, label=label)
        if now == old:
            return old
        _write(connection, old, now, Because(why, actor, moment))
        # Only where it was and is a start: else it has no condition of its own.
        if old.kind is now.kind is MarkerKind.STIMULUS_START:
            _rename_condition(connection, before, now, Because(why, actor, moment))
        # Checked behind the change, in the transaction: an error takes it back.
        _check_order(rows.select_markers(connection, session.id))
        rows.insert_audit(
            connection, actor, "marker_correct", f"session {session.id}: {old.kind}", moment
        )
    return now


def remove_marker(path: Path, session: int, marker: int, *, reason: str, actor: str) -> None:
    """Leave a marker out, and keep what it was with the reason.

    Args:
        path: the database.
        session: in which the marker lies.
        marker: its number.
        reason: why, 1 to ``REASON_LENGTH`` characters.
        actor: who leaves it out, for the audit trail.

    Raises:
        StudyError: no such marker, no reason, or a stimulus end would end nothing without it.
            Nothing was changed then.
    """
    why = checked_reason(reason)
    if not why:
        raise StudyError(N_("Give a reason for leaving the marker out."), field="reason")
    moment = clock.now()
    with write_transaction(path) as connection:
        _, before = _find_marker(connection, session, marker)
        old = _correctable(before, marker)
        note_change(connection, old, Because(why, actor, moment), removed=True)
        connection.execute("DELETE FROM marker WHERE id = ?", (marker,))
        _check_order(rows.select_markers(connection, session))
        rows.insert_audit(
            connection, actor, "marker_remove", f"session {session}: {old.kind}", moment
        )


def _correctable(markers: Sequence[Marker], number: int) -> Marker:
    """Return a marker; refuse one of a declaration, which only both of its markers tell."""
    marker = next(one for one in markers if one.id == number)
    if rows.is_of_declaration(marker.kind, marker.label):
        raise StudyError(
            N_(
                "The marker {label!r} is of a declaration. Take the declaration back on the page "
                "of the session, and declare it anew."
            ),
            label=marker.label,
        )
    return marker


def _find_marker(
    connection: sqlite3.Connection, session: int | None, marker: int
) -> tuple[Session, list[Marker]]:
    """Return the session and its markers, one of which has the number."""
    number = session or 0
    of = rows.session_numbered(connection, number)
    markers = rows.select_markers(connection, number)
    if not any(one.id == marker for one in markers):
        raise StudyError(
            N_("There is no marker {marker} in session {session}. Reload the page."),
            marker=marker,
            session=number,
        )
    return of, markers


def checked_reason(reason: str) -> str:
    """Return a reason without blanks around it, which may be empty.

    Raises:
        StudyError: it is too long, or not printable on one line.
    """
    text = reason.strip()
    if len(text) > REASON_LENGTH or not text.isprintable():
        raise StudyError(
            N_("Give a reason of at most {most} printable characters on one line."),
            most=REASON_LENGTH,
            field="reason",
        )
    return text


def check_inside(
    session: Session,
    at_ms: int,
    now_ms: int,
    *,
    field: str = "after",
    written: Callable[[int], str] = iso_utc,
) -> None:
    """Refuse a time outside the session; its end is inclusive, as for markers that are added.

    Args:
        session: it ends now where it is open.
        at_ms: the time, UTC milliseconds.
        now_ms: the present.
        field: of the form, in which it was typed.
        written: writes UTC milliseconds as the person who typed the time writes them.

    Raises:
        StudyError: it is so.
    """
    end_ms = now_ms if session.end_ms is None else session.end_ms
    if not session.start_ms <= at_ms <= end_ms:
        raise StudyError(
            N_("{at} lies outside session {session}, which lasts from {start} to {end}."),
            at=written(at_ms),
            session=session.id,
            start=written(session.start_ms),
            end=written(end_ms),
            field=field,
        )


def _check_order(markers: Sequence[Marker]) -> None:
    """Refuse markers of which a stimulus end ends nothing: the condition would be lost unseen."""
    is_open = False
    for one in markers:
        if one.kind is MarkerKind.STIMULUS_START:
            is_open = True
        elif one.kind is MarkerKind.STIMULUS_END:
            if not is_open:
                raise StudyError(
                    N_(
                        "The stimulus_end {label} at {at} would end nothing. Correct it first, or "
                        "leave it out first."
                    ),
                    label=one.label,
                    at=utc_text(one.at.wall_ms),
                )
            is_open = False


def _write(connection: sqlite3.Connection, old: Marker, new: Marker, because: Because) -> None:
    """Change a row."""
    note_change(connection, old, because, removed=False)
    # The boot clock moves along, and stays unknown where it was.
    connection.execute(
        "UPDATE marker SET at = ?, boot_ms = boot_ms + ?, kind = ?, label = ? WHERE id = ?",
        (new.at.wall_ms, new.at.wall_ms - old.at.wall_ms, new.kind, new.label, old.id),
    )


def _rename_condition(
    connection: sqlite3.Connection, before: Sequence[Marker], start: Marker, because: Because
) -> None:
    """Give the end and the self-reports of a condition the new label of its start."""
    place = next(number for number, one in enumerate(before) if one.id == start.id)
    was = before[place].label
    if was == start.label:
        return
    later = [one for one in before[place + 1 :] if one.kind in rows.STIMULI]
    if later and later[0].kind is MarkerKind.STIMULUS_END and later[0].label == was:
        _write(connection, later[0], replace(later[0], label=start.label), because)
    starts = (one.at.wall_ms for one in later if one.kind is MarkerKind.STIMULUS_START)
    place_ms = (before[place].at.wall_ms, next(starts, 2**62))
    for table in ("self_report", "trial"):
        connection.execute(
            f"UPDATE {table} SET condition = ? WHERE session = ? AND condition = ? AND at >= ? "  # noqa: S608 - our own names
            "AND at < ?",
            (start.label, start.session, was, *place_ms),
        )


def note_change(
    connection: sqlite3.Connection, old: Marker, because: Because, *, removed: bool
) -> None:
    """Keep a marker as it was before its correction."""
    connection.execute(
        "INSERT INTO marker_change (session, marker, at, kind, label, removed, reason, changed, "
        "actor, boot) SELECT session, id, at, kind, label, ?, ?, ?, ?, boot FROM marker WHERE "
        "id = ?",
        (int(removed), because.reason, because.at.wall_ms, because.actor, old.id),
    )
