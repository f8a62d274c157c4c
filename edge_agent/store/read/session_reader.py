"""Reading the study: sessions, markers, conditions, baselines, summaries of a session."""

from __future__ import annotations

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Marker, Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.database_reader import DatabaseReader
from edge_agent.store.read.results import (
    ConditionInterval,
)
from edge_agent.store.read.sessions.baseline import Baseline, CorrectedRow
from edge_agent.store.read.sessions.baseline_rows import read_baseline, read_corrected_rows
from edge_agent.store.read.sessions.summary import (
    Resting,
    SessionSummary,
    find_resting,
    summarise_condition,
)
from edge_agent.store.read.sessions.summary_rows import last_baseline_marker, read_face
from edge_agent.store.read.state_readings import select_session_readings
from edge_agent.store.study.marker_rows import marker_of
from edge_agent.store.study.study_rows import (
    select_sessions,
)


class SessionReader(DatabaseReader):
    """Answers questions about sessions and what was marked in them.

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
            raise StudyError(f"There is no session {number}.")
        return recorded, recorded.end_ms or max(recorded.start_ms, clock.now().wall_ms)

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

    def baseline(self, session: int) -> Baseline | None:
        """Return what the participant's neutral face makes the classifier over-read.

        It comes from the session's last baseline marker; ``None`` when it has none. Nothing
        recorded is changed.

        Raises:
            StudyError: there is no such session, or too little of the face was read after the
                marker.
        """
        with self.connect() as connection:
            return read_baseline(connection, session)

    def corrected_rows(self, session: int) -> list[CorrectedRow]:
        """Return the rows of the participant's face in a session, corrected by its baseline.

        They are in order of time.

        Raises:
            StudyError: there is no such session, it has no baseline, or too little of the face was
                read for one.
        """
        with self.connect() as connection:
            return read_corrected_rows(connection, session)

    def resting_time(self, session: Session) -> tuple[int, int] | None:
        """Return start and end of a session's baseline, as its summary takes it; ``None`` where it
        has none.
        """
        end = session.end_ms or max(session.start_ms, clock.now().wall_ms)
        with self.connect() as connection:
            marker = last_baseline_marker(connection, session.id)
        conditions = [
            one for one in self.conditions(session.start_ms, end + 1) if one.session == session.id
        ]
        resting = find_resting(marker, conditions, [], end)
        if resting is None:
            return None
        return resting.start_ms, resting.end_ms

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
            marker = last_baseline_marker(connection, session)
            readings = select_session_readings(connection, [session], tuple(VitalKind))
        conditions = [
            one for one in self.conditions(recorded.start_ms, end + 1) if one.session == session
        ]
        resting = find_resting(marker, conditions, readings, end)
        # As recorded: nothing is corrected and nothing is taken away.
        corrections: tuple[Baseline | None, Resting | None] = (None, None)
        if relative:
            corrections = (baseline, resting)
        summaries = tuple(
            summarise_condition(condition, end, face, readings, *corrections)
            for condition in conditions
        )
        return SessionSummary(session, relative, baseline, problem, resting, summaries)
