"""Consents, sessions and markers with past times, of a study that was run elsewhere.

The rules are those of a session that is run here: consent stands while it lasts, its purpose is
allowed, and no two sessions overlap, for rows are joined by time and would belong to both. What
the appliance recorded in that time belongs to the session from then on. Nothing is queued for the
broker: nothing of it happens now.

A reading that lies in no session is in no test: people are told how far it is from the nearest.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import (
    ENTERED,
    Marker,
    MarkerKind,
    NewSession,
    Participant,
    Purpose,
    Session,
)
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.database.dashboard_file import refuse_account_name
from edge_agent.timeline.database.schema import DAY_MS
from edge_agent.timeline.study import rows

LONGEST_MS = DAY_MS
"""Longest session that is added after its time."""
_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSession:
    """A session that has taken place.

    Attributes:
        about: what is said of it; its own neutral is left open, for its faces were read already.
        start_ms: its start, UTC milliseconds.
        end_ms: its end.
        simulated: whether it is made up.
        origin: where it comes from; ``ENTERED``: it was added after it took place.
    """

    about: NewSession
    start_ms: int
    end_ms: int
    simulated: bool = False
    origin: str = ENTERED


@dataclass(frozen=True, slots=True)
class PastMarker:
    """A marker that was set at a time that has passed.

    Attributes:
        at_ms: when, UTC milliseconds.
        kind: what happened.
        label: as of ``Study.add_marker``.
        session: number of the session in which it lies; ``None``: its time says it.
        typed: the time as a person typed it, for messages; empty: nobody did.
    """

    at_ms: int
    kind: MarkerKind
    label: str = ""
    session: int | None = None
    typed: str = field(default="", compare=False)


def add_simulated_participant(path: Path, code: str | None, *, actor: str) -> Participant:
    """Add a simulated participant under the given code, or a random one.

    Raises:
        StudyError: the code is taken, is that of an account, or is no code.
    """
    moment = clock.now()
    refuse_account_name(path, code)
    with write_transaction(path) as connection:
        participant = rows.insert_participant(connection, code, moment, simulated=True)
        rows.insert_audit(connection, actor, "participant_create", participant.code, moment)
    return participant


def give_past_consent(
    path: Path, code: str, text_version: str, given_ms: int, *, actor: str
) -> None:
    """Record that a participant agreed to a version of the text at a time that has passed.

    A consent that was valid at that time ends there; a later consent ends this one.

    Raises:
        StudyError: unknown participant, no version named, or a time to come.
    """
    moment = clock.now()
    rows.check_time("Consent", given_ms, moment.wall_ms)
    with write_transaction(path) as connection:
        insert_past_consent(connection, code, text_version, given_ms)
        rows.insert_audit(connection, actor, "consent_give", code, moment)


def insert_past_consent(
    connection: sqlite3.Connection, code: str, text_version: str, given_ms: int
) -> None:
    """Record a consent of a time that has passed, in a transaction of the caller."""
    if not text_version.strip():
        raise StudyError("Consent: name the version of the text that the participant agreed to.")
    participant = rows.find_participant(connection, code)
    # A later consent ends this one when it was given.
    later = connection.execute(
        "SELECT min(given) FROM consent WHERE participant = ? AND given > ?",
        (participant, given_ms),
    ).fetchone()[0]
    # What was agreed to about attributes does not change with a version of the text.
    use = rows.attribute_use(connection, participant)
    connection.execute(
        "UPDATE consent SET withdrawn = ?, withdrawn_boot = NULL WHERE participant = ? AND given "
        "<= ? AND (withdrawn IS NULL OR withdrawn > ?)",
        (given_ms, participant, given_ms, given_ms),
    )
    connection.execute(
        "INSERT INTO consent (participant, text_version, given, withdrawn, attributes) VALUES (?, "
        "?, ?, ?, ?)",
        (participant, text_version.strip(), given_ms, later, use.value),
    )


def add_session(
    path: Path, new: PastSession, *, purposes: Collection[Purpose], actor: str
) -> Session:
    """Add a session that has taken place, and return it.

    Args:
        path: the database, already migrated.
        new: the session.
        purposes: which purposes a session may have here.
        actor: who did it, for the audit trail.

    Raises:
        StudyError: unknown participant, no consent at that time or any more, purpose not allowed
            here or forbidden in this setting, its end does not follow its start, it is longer than
            a day, lies in the future or before the year 2000, or another session lies in its time.
    """
    with write_transaction(path) as connection:
        return insert_past_session(connection, new, purposes=purposes, actor=actor)


def rows_taken(path: Path, session: Session) -> int:
    """Return how many rows of the timeline belong to a session because they lie in its time.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        span = (session.start_ms, session.end_ms or 1 << 60)
        return rows.count_recorded(connection, [span])[0]


def insert_past_session(
    connection: sqlite3.Connection,
    new: PastSession,
    *,
    purposes: Collection[Purpose],
    actor: str | None,
    import_number: int | None = None,
) -> Session:
    """Add a session as `add_session` does, in a transaction of the caller.

    Without an actor, no line of the audit trail is written. ``import_number`` is the row of
    ``import`` that brings it.
    """
    moment = clock.now()
    about = new.about
    rows.check_purpose(about.purpose, about.setting, purposes)
    if about.own_neutral is not None:
        raise StudyError(
            f"own_neutral: {about.own_neutral} is for a session that begins now, before its faces "
            "are read. Leave it out."
        )
    rows.check_span(connection, new.start_ms, new.end_ms, moment.wall_ms)
    # All that was recorded in it becomes the participant's, and goes when they are erased.
    if new.end_ms - new.start_ms > LONGEST_MS:
        raise StudyError(
            f"{iso_utc(new.start_ms)} to {iso_utc(new.end_ms)} is more than a day, and a session "
            "that is added afterwards lasts a day at most. Correct the times, or add several."
        )
    participant = rows.find_participant(connection, about.participant)
    rows.check_consent(connection, participant, about.participant, (new.start_ms, new.end_ms))
    session = rows.write_session(
        connection,
        about,
        started=new.start_ms,
        ended=new.end_ms,
        simulated=int(new.simulated),
        origin=new.origin,
        **{"import": import_number},
    )
    (taken,) = rows.count_recorded(connection, [(new.start_ms, new.end_ms)])
    told = f"{session.id}, with {taken} rows recorded before" if taken else str(session.id)
    rows.insert_audit(connection, actor, "session_add", told, moment)
    return session


def add_past_markers(path: Path, markers: Sequence[PastMarker], *, actor: str) -> tuple[int, int]:
    """Add markers to the sessions in which they lie: all of them, or none.

    Returns:
        How many were new, and how many were there already (same session, time, kind and label).

    Raises:
        StudyError: a marker lies in no session or in another than it names, has no label, or ends
            a condition that none has opened; or a new stimulus overlaps one that was there.
            Nothing was written then.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        # Sessions are read once: markers may be thousands.
        sessions = rows.select_sessions(connection)
        given = sorted(markers, key=lambda marker: marker.at_ms)
        _refuse_overlaps(connection, sessions, given)
        new = [insert_past_marker(connection, sessions, marker) for marker in given]
        rows.insert_audit(connection, actor, "markers_add", str(sum(new)), moment)
    return sum(new), len(new) - sum(new)


def _refuse_overlaps(
    connection: sqlite3.Connection, sessions: Sequence[Session], given: Sequence[PastMarker]
) -> None:
    """Refuse new stimuli, with start and end, that overlap stimuli of their session.

    Their starts and ends would mix: a condition would end with another's end.
    """
    stimuli: dict[int, list[PastMarker]] = {}
    for marker in given:
        if marker.kind in rows.STIMULI:
            stimuli.setdefault(_session_of(sessions, marker).id, []).append(marker)
    for session, ours in stimuli.items():
        there = [
            one for one in rows.select_markers(connection, session) if one.kind in rows.STIMULI
        ]
        known = {(one.at.wall_ms, one.kind, one.label) for one in there}
        for start, end in pairwise(ours):
            is_stimulus = (start.kind, end.kind) == rows.STIMULI
            if not is_stimulus or (start.at_ms, start.kind, start.label.strip()) in known:
                continue
            met = _find_overlapped(there, start.at_ms, end.at_ms)
            if met:
                numbers = "–".join(str(one.id) for one in dict.fromkeys((met[0], met[-1])))
                raise StudyError(
                    f"{_marker_named(start)}, with its end at {end.typed or iso_utc(end.at_ms)}, "
                    f"overlaps marker{'s' if len(met) > 1 else ''} {numbers} of session {session}, "
                    "which exists already. Leave it out of the file, or remove the latter, its end "
                    "first: "
                    f"affect-edge session correct-marker {session} {met[-1].id} --remove --reason "
                    "WHY."
                )


def _find_overlapped(there: Sequence[Marker], start_ms: int, end_ms: int) -> list[Marker]:
    """Return the first stimulus of a session that meets a time: its start, and its end if any."""
    for place, one in enumerate(there):
        if one.kind is not MarkerKind.STIMULUS_START:
            continue
        after = there[place + 1 : place + 2]
        ends = [end for end in after if end.kind is MarkerKind.STIMULUS_END]
        # Of a start without an end only its moment counts: the new one may end it.
        last_ms = ends[0].at.wall_ms if ends else one.at.wall_ms + 1
        if one.at.wall_ms < end_ms and start_ms < last_ms:
            return [one, *ends]
    return []


def insert_past_marker(
    connection: sqlite3.Connection,
    sessions: Sequence[Session],
    new: PastMarker,
    import_number: int | None = None,
) -> bool:
    """Insert a marker, which an import may bring; return whether it was new."""
    session = _session_of(sessions, new)
    label = new.label.strip()
    # An end without a label ends what is open.
    if not label and new.kind is MarkerKind.STIMULUS_END:
        # of two at one moment the second would name what the next start opened
        if rows.marker_is_there(connection, session.id, new.kind, "", new.at_ms):
            return False
        label = _open_condition(connection, session, new)
    # A baseline is a condition of rest, for which the tests have a name.
    if not label and new.kind is MarkerKind.BASELINE:
        label = "neutral"
    # An import brings declarations whose rows say already whose face they are.
    is_brought = import_number is not None and rows.is_of_declaration(new.kind, label)
    if new.kind is MarkerKind.DECLARED and not is_brought:
        label = rows.declared_label(session, label)
    label = rows.checked_label(
        label, rows.marker_kind(new.kind), field="label", empty_allowed=False
    )
    if rows.marker_is_there(connection, session.id, new.kind, label, new.at_ms):
        return False
    if new.kind is MarkerKind.STIMULUS_END:
        _open_condition(connection, session, new)
    values = {"session": session.id, "at": new.at_ms, "kind": new.kind.value, "label": label}
    insert(connection, "marker", **values, **{"import": import_number})
    return True


def _open_condition(connection: sqlite3.Connection, session: Session, new: PastMarker) -> str:
    """Return the condition that an end can end at its time, or refuse."""
    condition = rows.find_open_condition(connection, session.id, new.at_ms)
    if condition is None:
        raise StudyError(
            f"{_marker_named(new)}: no stimulus was going on in session {session.id} that "
            "could end. Add its stimulus_start, too."
        )
    following = connection.execute(
        "SELECT id, at, kind FROM marker WHERE session = ? AND kind IN (?, ?) AND at > ? ORDER BY "
        "at, id LIMIT 1",
        (session.id, *rows.STIMULI, new.at_ms),
    ).fetchone()
    if following is not None and following["kind"] == MarkerKind.STIMULUS_END:
        raise StudyError(
            f"{_marker_named(new)}: the stimulus {condition!r}, which goes on then, ends at "
            f"{iso_utc(following['at'])} already, so one of the two ends would be superfluous. "
            "Correct that end: affect-edge session correct-marker "
            f"{session.id} {following['id']} --at TIME."
        )
    return condition


def _session_of(sessions: Sequence[Session], new: PastMarker) -> Session:
    """Return the session that contains a marker; the end of a session is inclusive."""
    met = [
        session
        for session in sessions
        if session.start_ms <= new.at_ms
        and (session.end_ms is None or new.at_ms <= session.end_ms)
        and new.session in {None, session.id}
    ]
    if met and new.at_ms <= clock.now().wall_ms:
        return met[0]
    if met:
        where = "lies in the future. Give a time that has passed."
    elif new.session is not None and new.session in {session.id for session in sessions}:
        where = f"lies outside session {new.session}. Correct one of them."
    else:
        placement = Placement(sessions)
        placement.look(new.at_ms)
        near = f"; the nearest is {placement.nearest.words}" if placement.nearest else ""
        where = f"lies in no session{near}. Add the session first, or correct the time."
    raise StudyError(f"{_marker_named(new)} {where}")


def _marker_named(new: PastMarker) -> str:
    utc = iso_utc(new.at_ms)
    # A number, or a time of a zone, does not show where it lies.
    typed = new.typed if new.typed in {"", utc} else f"{new.typed} ({utc})"
    return f"Marker {new.kind} at {typed or utc}"


@dataclass(frozen=True, slots=True)
class Nearest:
    """The session that lies nearest to readings outside all of them.

    Attributes:
        session: its number.
        participant: whose it is.
        later_s: how much later than the readings it begins; negative where it ended before them.
    """

    session: int
    participant: str
    later_s: float

    @property
    def words(self) -> str:
        """The session and its distance, as part of a sentence."""
        side = "later" if self.later_s > 0 else "earlier"
        return f"session {self.session} ({self.participant}), {_lasting(self.later_s)} {side}"


class Placement:
    """Counts readings that pass through it, and those of them outside all sessions.

    Args:
        sessions: those that there are.

    Attributes:
        readings: how many have passed.
        outside: how many of them lie in no session.
        nearest: the session that is nearest to any of these; ``None`` without one.

    Example:
        >>> placement = Placement(Study(path).sessions())
        >>> import_readings(path, placement.watch(readings))
        >>> placement.sentence
        '60 of 60 lie in no session; the nearest is session 3 (P01), 2 h 10 min later.'
    """

    def __init__(self, sessions: Iterable[Session]) -> None:
        self._sessions = sorted(sessions, key=lambda session: session.start_ms)
        self._starts = [session.start_ms for session in self._sessions]
        self._apart_ms = 2**62
        self.readings = 0
        self.outside = 0
        self.nearest: Nearest | None = None

    @classmethod
    def of_database(cls, path: Path) -> Placement:
        """Return the placement among the sessions of a database.

        Raises:
            StoreError: the database cannot be read.
        """
        with read_transaction(path) as connection:
            return cls(rows.select_sessions(connection))

    def watch(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Yield readings unchanged, and count them."""
        for reading in readings:
            self.look(reading.at.wall_ms)
            yield reading

    def look(self, at_ms: int) -> Session | None:
        """Count a reading at an instant (UTC milliseconds); return the session that contains it."""
        self.readings += 1
        place, before = self._before(at_ms)
        if before is not None and (before.end_ms is None or at_ms < before.end_ms):
            return before
        self.outside += 1
        # Both neighbours are candidates: the gap before may be longer than the one behind.
        if before is not None and before.end_ms is not None:
            self._note_audit(before, before.end_ms - at_ms)
        if place < len(self._sessions):
            self._note_audit(self._sessions[place], self._starts[place] - at_ms)
        return None

    def is_inside(self, at_ms: int) -> bool:
        """Return whether an instant lies in a session, without counting it."""
        _, before = self._before(at_ms)
        return before is not None and (before.end_ms is None or at_ms < before.end_ms)

    def _before(self, at_ms: int) -> tuple[int, Session | None]:
        """Return how many sessions began at or before an instant, and the last of them."""
        place = bisect_right(self._starts, at_ms)
        return place, self._sessions[place - 1] if place else None

    def _note_audit(self, session: Session, later_ms: int) -> None:
        if abs(later_ms) < self._apart_ms:
            self._apart_ms = abs(later_ms)
            self.nearest = Nearest(session.id, session.participant, later_ms / 1000)

    @property
    def sentence(self) -> str:
        """A sentence on the readings outside all sessions; empty if there are none."""
        return outside_sentence(self.outside, self.readings, self.nearest)


def outside_sentence(outside: int, readings: int, nearest: Nearest | None) -> str:
    """Return a sentence on the readings outside all sessions; empty if there are none."""
    if not outside:
        return ""
    lie = f"{outside} of {readings} {'lies' if outside == 1 else 'lie'} in no session"
    if nearest is None:
        return f"{lie}; there is none yet."
    return f"{lie}; the nearest is {nearest.words}."


def _lasting(seconds: float) -> str:
    """Return a length of time in its two largest units: ``2 h 10 min``, ``3 days 4 h``, ``0 s``."""
    left = round(abs(seconds))
    words: list[str] = []
    for name, length in _UNITS:
        count = left // length
        left -= count * length
        if count:
            words.append(f"{count} {name}{'s' if name == 'day' and count > 1 else ''}")
        elif words:
            break
    return " ".join(words[:2]) or "0 s"
