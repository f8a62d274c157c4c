"""Sessions with their readings, markers, conditions, baselines and summaries.

Beside them what is noted about a session (consent, protocol, operator, answers), means of sessions
side by side, and who was recruited: where the flow of a study begins.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.measures import Measure
from edge_agent.core.study import Marker, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import NAMES, SPANS
from edge_agent.timeline.read.base import ConditionInterval, DatabaseReader, StateReading, flags_of
from edge_agent.timeline.read.faces_in_view import FacesInView, read_faces_in_view
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.read.sessions import (
    MeanReading,
    NeutralBaseline,
    SessionSummary,
    find_rest,
    last_baseline_markers,
    mean_readings,
    read_baseline,
    read_face,
    read_movements,
    summarise_condition,
    summarise_rest,
)
from edge_agent.timeline.read.stimuli import SessionStimulus
from edge_agent.timeline.read.trials import ShownTrial, answers_of
from edge_agent.timeline.study.rows import marker_of, select_sessions

_MEAN_FACES = f"""{SPANS}
    SELECT number, {", ".join(f"avg({name}) AS {name}" for name in NAMES)} FROM span
    CROSS JOIN expression ON expression.at >= span.first AND expression.at < span.last
    WHERE is_primary = 1 GROUP BY number"""
_NEAR_MS = 60_000
"""An audited start this near the session's is its own: numbers are used again after an erasure."""


def select_session_readings(
    connection: sqlite3.Connection,
    session_ids: Collection[int] | None,
    kinds: Collection[VitalKind],
) -> list[StateReading]:
    """Return the readings within sessions, in order of session and time.

    The state is the condition, empty where none was open.

    Args:
        connection: to read from; its rows are ``sqlite3.Row``.
        session_ids: sessions to look at; ``None`` is all.
        kinds: which kinds of reading.
    """
    rows = connection.execute(
        "SELECT at_ms, session, participant, condition, kind, value, flags, simulated FROM "
        "session_vital WHERE (:sessions IS NULL OR session IN (SELECT value FROM "
        "json_each(:sessions))) AND kind IN (SELECT value FROM json_each(:kinds)) ORDER BY "
        "session, at_ms, kind, source",
        {
            "sessions": None if session_ids is None else json.dumps(list(session_ids)),
            "kinds": json.dumps([kind.value for kind in kinds]),
        },
    )
    return [
        StateReading(
            participant=row["participant"],
            session=row["session"],
            state=row["condition"] or "",
            kind=VitalKind(row["kind"]),
            value=row["value"],
            at_ms=row["at_ms"],
            flags=flags_of(row["flags"]),
            simulated=bool(row["simulated"]),
        )
        for row in rows
    ]


def end_of(session: Session) -> int:
    """Return the end of a session in UTC milliseconds, or the present while it is open."""
    return session.end_ms or max(session.start_ms, clock.now().wall_ms)


def select_conditions(
    connection: sqlite3.Connection, sessions: Collection[Session]
) -> dict[int, list[ConditionInterval]]:
    """Return the conditions that lie in each session, by its id, in order of time."""
    numbers = [session.id for session in sessions]
    # The view looks up one session, but reads all of them for a list.
    which, value = (
        ("= ?", numbers[0])
        if len(numbers) == 1
        else ("IN (SELECT value FROM json_each(?))", json.dumps(numbers))
    )
    rows = connection.execute(
        "SELECT session, participant, label, started, ended FROM condition WHERE session "
        f"{which} ORDER BY started",
        (value,),
    )
    conditions: dict[int, list[ConditionInterval]] = {session.id: [] for session in sessions}
    spans = {session.id: (session.start_ms, end_of(session)) for session in sessions}
    for one in (ConditionInterval(*row) for row in rows):
        start, end = spans[one.session]
        # A session that is cut to a range has only the conditions that reach into it.
        if one.start_ms <= end and (one.end_ms is None or one.end_ms > start):
            conditions[one.session].append(one)
    return conditions


class SessionReader(DatabaseReader):
    """Answers queries about sessions and their markers.

    Ranges are half-open, ``start_ms`` ≤ time < ``end_ms``, in UTC epoch milliseconds.

    Example:
        >>> reader = SessionReader(path)
        >>> session, end_ms = reader.session(3)
        >>> summary = reader.session_summary(3, relative=True)
        >>> [(condition.label, condition.vitals) for condition in summary.conditions]
    """

    def session_list(self) -> list[Session]:
        """Return all sessions, newest first."""
        with self.connect() as connection:
            return select_sessions(connection)

    def session(self, number: int) -> tuple[Session, int]:
        """Return a session and its end in UTC milliseconds, or the present while it is open.

        Raises:
            StudyError: there is no such session.
        """
        recorded = next((one for one in self.session_list() if one.id == number), None)
        if recorded is None:
            raise StudyError(f"There is no session {number}. The Study page lists them.")
        return recorded, end_of(recorded)

    def markers(self, start_ms: int | None = None, end_ms: int | None = None) -> list[Marker]:
        """Return the markers of all sessions in a range, in order of time."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT id, session, at, boot_ms, kind, label FROM marker WHERE at >= "
                "coalesce(:start, at) AND (:end IS NULL OR at < :end) ORDER BY at, id",
                {"start": start_ms, "end": end_ms},
            )
            return [marker_of(row) for row in rows]

    def conditions(self, start_ms: int, end_ms: int) -> list[ConditionInterval]:
        """Return the conditions that overlap a range, in order of time."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT session, participant, label, started, ended FROM condition "
                "WHERE started < ? AND (ended IS NULL OR ended > ?) ORDER BY started",
                (end_ms, start_ms),
            )
            return [ConditionInterval(*row) for row in rows]

    def conditions_of(self, session: Session) -> list[ConditionInterval]:
        """Return the conditions of a session, in order of time."""
        with self.connect() as connection:
            return select_conditions(connection, [session])[session.id]

    def baseline(self, session: int) -> NeutralBaseline | None:
        """Return the bias of the classifier on the participant's neutral face.

        It comes from the session's last baseline marker; ``None`` when it has none. Nothing
        recorded is changed.

        Raises:
            StudyError: there is no such session, or too little of the face was read after the
                marker.
        """
        with self.connect() as connection:
            return read_baseline(connection, session)

    def resting_times(self, sessions: Collection[Session]) -> dict[int, tuple[int, int]]:
        """Return start and end of the baseline of each session that has one, by the session's id.

        It is the one that a session's summary takes.
        """
        with self.connect() as connection:
            markers = last_baseline_markers(connection, [session.id for session in sessions])
            conditions = select_conditions(connection, sessions)
        times = {}
        for one in sessions:
            rest = find_rest(markers.get(one.id), conditions[one.id], end_of(one))
            if rest is not None:
                times[one.id] = rest[:2]
        return times

    def session_summary(self, session: int, *, relative: bool = False) -> SessionSummary:
        """Return a session by condition, as recorded or relative to the participant's baseline.

        Raises:
            StudyError: there is no such session.
        """
        recorded, end = self.session(session)
        baseline = None
        problem = ""
        try:
            baseline = self.baseline(session)
        except StudyError as error:
            # a marker, but too little of the face: the readings can still be shown
            problem = str(error)
        with self.connect() as connection:
            face = read_face(connection, recorded.start_ms, end)
            moves = read_movements(connection, recorded.start_ms, end)
            marker = last_baseline_markers(connection, [session]).get(session)
            conditions = select_conditions(connection, [recorded])[session]
            readings = select_session_readings(connection, [session], tuple(VitalKind))
        rest = find_rest(marker, conditions, end)
        resting = None if rest is None else summarise_rest(rest, readings, moves)
        if relative and baseline is not None:
            face = [(at, baseline.correct(row)) for at, row in face]
        subtracted = resting if relative else None
        faces = self.faces_in_view([recorded])[session]
        summaries = tuple(
            summarise_condition(one, end, face, moves, readings, subtracted) for one in conditions
        )
        return SessionSummary(session, relative, baseline, problem, resting, summaries, faces)

    def faces_in_view(self, sessions: Collection[Session]) -> dict[int, FacesInView]:
        """Return how often the followed face of each session was out of view, and who else was in
        view, by the session's id.
        """
        with self.connect() as connection:
            return read_faces_in_view(connection, sessions, clock.now().wall_ms)


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


@dataclass(frozen=True, slots=True)
class SessionMeans:
    """Means over a whole session.

    Attributes:
        expression: mean probabilities of the participant's face; ``None`` where no row is kept.
        vitals: means of the usable readings by kind.
    """

    expression: dict[Emotion, float] | None
    vitals: dict[VitalKind, MeanReading]


def read_session_means(
    connection: sqlite3.Connection, sessions: Sequence[Session]
) -> dict[int, SessionMeans]:
    """Return the means of each session, by its number, inside a transaction of the caller."""
    readings: defaultdict[int, list[StateReading]] = defaultdict(list)
    for one in select_session_readings(
        connection, [session.id for session in sessions], tuple(VitalKind)
    ):
        readings[one.session].append(one)
    ends = {one.id: one.end_ms or clock.now().wall_ms for one in sessions}
    spans = [(one.start_ms, ends[one.id], one.id) for one in sessions]
    faces = {
        row["number"]: {emotion: row[emotion.value] / 1000 for emotion in EMOTIONS}
        for row in connection.execute(_MEAN_FACES, (json.dumps(spans),))
    }
    return {
        one.id: SessionMeans(
            faces.get(one.id), mean_readings(readings[one.id], one.start_ms, ends[one.id] + 1)
        )
        for one in sessions
    }


@dataclass(frozen=True, slots=True)
class Answers:
    """The self-reports that a participant gave at one time.

    Attributes:
        at_ms: of the first answer.
        condition: the last stimulus before; ``None``: there was none.
        values: by scale: ``valence`` and ``arousal`` (1 to 9), ``emotion``.
    """

    at_ms: int
    condition: str | None
    values: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The record of a session: consent, protocol, operator and self-reports.

    Attributes:
        consent: version of the text that was agreed to when it began; ``None``: none is kept.
        protocol: title of its protocol; ``None``: markers were set by hand.
        operator: account or program that started it; ``None``: the audit trail names none.
        answers: self-reports in order of time.
        own_answers: screens with a question of the protocol's own that was answered, in order.
        withdrawn_ms: when the participant's newest consent was withdrawn; ``None``: it was not.
    """

    consent: str | None
    protocol: str | None
    operator: str | None
    answers: tuple[Answers, ...]
    own_answers: tuple[ShownTrial, ...]
    withdrawn_ms: int | None


def read_record(connection: sqlite3.Connection, session: Session) -> SessionRecord:
    """Return the record of a session, inside a transaction of the caller."""
    consent = connection.execute(
        "SELECT text_version FROM consent JOIN participant ON participant.id = participant WHERE "
        "code = ? AND given <= ? ORDER BY given DESC, consent.id DESC LIMIT 1",
        (session.participant, session.start_ms),
    ).fetchone()
    newest = connection.execute(
        "SELECT withdrawn FROM consent JOIN participant ON participant.id = participant WHERE "
        "code = ? ORDER BY consent.id DESC LIMIT 1",
        (session.participant,),
    ).fetchone()
    protocol = connection.execute(
        "SELECT title FROM protocol_run WHERE session = ?", (session.id,)
    ).fetchone()
    operator = connection.execute(
        "SELECT actor FROM audit WHERE action = 'session_start' AND detail = ? AND at BETWEEN ? "
        "AND ? ORDER BY id DESC LIMIT 1",
        (str(session.id), session.start_ms - _NEAR_MS, session.start_ms + _NEAR_MS),
    ).fetchone()
    return SessionRecord(
        consent=consent and consent[0],
        protocol=protocol and protocol[0],
        operator=operator and operator[0],
        answers=_answers(connection, session.id),
        own_answers=answers_of(connection, session.id),
        withdrawn_ms=newest and newest[0],
    )


def _answers(connection: sqlite3.Connection, session: int) -> tuple[Answers, ...]:
    """Return the answers, those of one condition together until a scale is answered again."""
    answers: list[Answers] = []
    rows = connection.execute(
        "SELECT at, condition, scale, value FROM self_report WHERE session = ? ORDER BY at, id",
        (session,),
    )
    for row in rows:
        last = answers[-1] if answers else None
        if last is None or last.condition != row["condition"] or row["scale"] in last.values:
            last = Answers(row["at"], row["condition"], {})
            answers.append(last)
        last.values[row["scale"]] = row["value"]
    return tuple(answers)


Span = tuple[int, int, int]
"""From and to, UTC epoch milliseconds, half-open, and the id of the session."""


@dataclass(frozen=True, slots=True)
class Recruited:
    """A participant as recruited.

    Attributes:
        code: the participant's code.
        simulated: whether it is one of a demonstration.
        consented: whether a consent was ever recorded.
        withdrawn: whether none of the consents holds any more.
    """

    code: str
    simulated: bool
    consented: bool
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class ReadingCount:
    """The number of readings of one measure in a session that have the same flags."""

    session: int
    kind: Measure
    flags: str
    n: int


def outside(session: Session, stimuli: Iterable[SessionStimulus]) -> list[Span]:
    """Return the spans of a session that lie in none of its stimuli, which are in order of time."""
    spans = []
    at = session.start_ms
    end = FOREVER_MS if session.end_ms is None else session.end_ms
    for one in stimuli:
        spans.append((at, one.start_ms, session.id))
        at = max(at, one.end_ms)
    spans.append((at, end, session.id))
    return [span for span in spans if span[0] < span[1]]
