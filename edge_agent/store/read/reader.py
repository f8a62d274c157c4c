"""Reading the timeline beside a running agent: read-only connections, one for each call."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS, Emotion, RejectReason
from edge_agent.core.study import Marker, Session
from edge_agent.core.vitals import VitalKind, VitalReading
from edge_agent.store.database.schema import BUSY_SECONDS, reading
from edge_agent.store.database.tables import HOUR_MS
from edge_agent.store.database.views import EPISODES
from edge_agent.store.read.baseline import Baseline, CorrectedRow
from edge_agent.store.read.baseline_rows import read_baseline, read_corrected_rows
from edge_agent.store.read.beats import Beats, StateSpan, read_beats
from edge_agent.store.read.matching import (
    DEFAULT_LAG_S,
    DEFAULT_SHARE,
    DEFAULT_WINDOW_S,
    Matching,
    Shown,
)
from edge_agent.store.read.observed import ObservedSums, match, read_shown, sum_observed
from edge_agent.store.read.results import (
    ConditionInterval,
    Episode,
    FaceFrames,
    MatchCounts,
    RecordedGap,
    Row,
    StateReading,
    Trend,
    VitalTrend,
    flags_of,
)
from edge_agent.store.read.session_summary import SessionCourse, course_of, find_resting
from edge_agent.store.read.session_summary_rows import last_baseline_marker, read_face
from edge_agent.store.read.stimuli import ReadingSum, Stimulus, select_stimuli, sum_readings
from edge_agent.store.read.trends import read_trend, read_vital_trend
from edge_agent.store.study.study_rows import marker_of, select_sessions

DEFAULT_BUCKETS = 200


class Reader:
    """Answers questions about the timeline; safe to share between threads.

    Ranges are half-open, ``start_ms`` ≤ time < ``end_ms``, in UTC epoch milliseconds. Every method
    raises ``StoreError`` when the database is missing, foreign, of another version, locked or not
    permitted.

    Args:
        path: the database.
        busy_seconds: how long to wait for a lock.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy_seconds = busy_seconds

    def connect(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a read-only connection, for the modules of this room and those above it that bring
        their own SQL.
        """
        return reading(self._path, self._busy_seconds)

    def trend(self, start_ms: int, end_ms: int, buckets: int = DEFAULT_BUCKETS) -> Trend:
        """Return the shares of expressions over a range in at most ``buckets`` + 1 buckets of a
        round length.

        Long ranges are answered from the rollups by minute or hour, so that a year takes no longer
        than a day.

        Raises:
            ValueError: the range is empty or ``buckets`` is not positive.
        """
        with self.connect() as connection:
            return read_trend(connection, start_ms, end_ms, buckets)

    def vital_trend(
        self, kind: VitalKind, start_ms: int, end_ms: int, buckets: int = DEFAULT_BUCKETS
    ) -> VitalTrend:
        """Return mean, least, most and number of readings over a range, as ``trend`` does.

        Raises:
            ValueError: the range is empty or ``buckets`` is not positive.
        """
        with self.connect() as connection:
            return read_vital_trend(connection, kind, start_ms, end_ms, buckets)

    def latest_vitals(self) -> dict[VitalKind, VitalReading]:
        """Return the newest reading of each kind that was ever recorded."""
        with self.connect() as connection:
            found = (_latest_vital(connection, kind) for kind in VitalKind)
            return {vital.kind: vital for vital in found if vital is not None}

    def span(self) -> tuple[int, int] | None:
        """Return the times of the first and last thing on the timeline, or ``None`` when it is
        empty.
        """
        with self.connect() as connection:
            first, last = connection.execute(
                "SELECT min(first), max(last) FROM (SELECT (SELECT min(at) FROM expression) AS "
                "first, (SELECT max(at) FROM expression) AS last UNION ALL SELECT (SELECT min(at) "
                "FROM expression_hour), (SELECT max(at) FROM expression_hour) UNION ALL SELECT "
                "(SELECT min(at) FROM vital), (SELECT max(at) FROM vital))"
            ).fetchone()
        if first is None:
            return None
        return (first, last)

    def episodes(self, start_ms: int, end_ms: int) -> list[Episode]:
        """Return the runs of one smoothed emotion of the primary face, in order of time."""
        sql = EPISODES.format(and_where="AND at >= ? AND at < ?")
        with self.connect() as connection:
            rows = connection.execute(
                f"SELECT * FROM ({sql}) ORDER BY start_ms", (start_ms, end_ms)
            )
            return [
                Episode(
                    start_ms=row["start_ms"],
                    end_ms=row["end_ms"],
                    emotion=_emotion(row["emotion"]),
                    rows=row["rows"],
                    frames=row["frames"],
                    simulated=bool(row["simulated"]),
                )
                for row in rows
            ]

    def expression_rows(self, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Yield the rows of ``expression_view`` in order of time.

        The columns are those of ``expression.csv``.
        """
        return self._rows(
            "SELECT * FROM expression_view WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms",
            start_ms,
            end_ms,
        )

    def vital_rows(self, start_ms: int, end_ms: int) -> Iterator[Row]:
        """Yield the rows of ``vital_view`` in order of time.

        The columns are those of ``vital.csv``.
        """
        return self._rows(
            "SELECT * FROM vital_view WHERE at_ms >= ? AND at_ms < ? ORDER BY at_ms",
            start_ms,
            end_ms,
        )

    def session_list(self) -> list[Session]:
        """Return all sessions, newest first."""
        with self.connect() as connection:
            return select_sessions(connection)

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

    def gaps(self, start_ms: int, end_ms: int) -> list[RecordedGap]:
        """Return the gaps that overlap a range, in order of time."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT source, started, ended, reason FROM gap WHERE started < ? AND ended > ? "
                "ORDER BY started, id",
                (end_ms, start_ms),
            )
            return [RecordedGap(*row) for row in rows]

    def face_frames(self, start_ms: int, end_ms: int) -> FaceFrames:
        """Return how many frames of the participant's face were read in a range, and why others
        were not.
        """
        span = (start_ms, end_ms)
        with self.connect() as connection:
            read, quality = connection.execute(
                "SELECT coalesce(sum(frames), 0), sum(frames * quality) / sum(frames) FROM "
                "expression WHERE is_primary = 1 AND at >= ? AND at < ?",
                span,
            ).fetchone()
            unfit = connection.execute(
                "SELECT reason, sum(frames) AS frames FROM unfit WHERE is_primary = 1 AND at >= ? "
                "AND at < ? GROUP BY reason ORDER BY frames DESC, reason",
                span,
            )
            return FaceFrames(
                read, {RejectReason(row["reason"]): row["frames"] for row in unfit}, quality
            )

    def baseline(self, session: int) -> Baseline | None:
        """Return what the participant's neutral face makes the classifier over-read.

        See ``store.baseline``.

        It comes from the session's last baseline marker; ``None`` when it has none. Nothing
        recorded is changed.

        Raises:
            StudyError: there is no such session, or too little of the face was read after the
                marker.
        """
        with self.connect() as connection:
            return read_baseline(connection, session)

    def corrected_rows(self, session: int) -> list[CorrectedRow]:
        """Return the rows of the participant's face in a session, corrected by its baseline, in
        order of time.

        Raises:
            StudyError: there is no such session, it has no baseline, or too little of the face was
                read for one.
        """
        with self.connect() as connection:
            return read_corrected_rows(connection, session)

    def course(self, session: int, *, relative: bool = False) -> SessionCourse:
        """Return a session by condition, as recorded or relative to the participant's baseline.

        See ``store.course``.

        Raises:
            StudyError: there is no such session.
        """
        found, end = self.session(session)
        baseline = None
        problem = ""
        try:
            baseline = self.baseline(session)
        except StudyError as error:
            # a marker, but too little of the face: the readings can still be shown
            problem = str(error)
        with self.connect() as connection:
            face = read_face(connection, found.start_ms, end)
            marker = last_baseline_marker(connection, session)
        readings = self.session_readings([session], tuple(VitalKind))
        conditions = [
            one for one in self.conditions(found.start_ms, end + 1) if one.session == session
        ]
        resting = find_resting(marker, conditions, readings, end)
        of = (baseline, resting) if relative else (None, None)
        courses = tuple(course_of(condition, end, face, readings, *of) for condition in conditions)
        return SessionCourse(session, relative, baseline, problem, resting, courses)

    def session(self, number: int) -> tuple[Session, int]:
        """Return a session and its end in UTC milliseconds, or the present while it is open.

        Raises:
            StudyError: there is no such session.
        """
        found = next((one for one in self.session_list() if one.id == number), None)
        if found is None:
            raise StudyError(f"There is no session {number}.")
        return found, found.end_ms or max(found.start_ms, clock.now().wall_ms)

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of expressions, vitals, gaps, participants, sessions,
        markers and messages.
        """
        with self.connect() as connection:
            # Expression rows come and go in order of their ids, and vitals are summed from their
            # rollup: counting millions of rows would take seconds on a card.
            expressions = connection.execute(
                "SELECT coalesce(max(id) - min(id) + 1, 0) FROM expression"
            ).fetchone()[0]
            vitals = connection.execute(
                "SELECT coalesce(sum(n + flagged), 0) FROM vital_hour"
            ).fetchone()[0]
            small = ("gap", "participant", "session", "marker", "outbox")
            return {"expression": expressions, "vital": vitals} | {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in small
            }

    def recorded_kinds(self) -> frozenset[VitalKind]:
        """Return the kinds of reading of which there is any.

        From the rollup, whose index begins with the kind.
        """
        query = "SELECT EXISTS (SELECT 1 FROM vital_hour WHERE kind = ?)"
        with self.connect() as connection:
            return frozenset(
                kind for kind in VitalKind if connection.execute(query, (kind.value,)).fetchone()[0]
            )

    def vitals_by_condition(
        self,
        session_ids: Collection[int] | None = None,
        kinds: Collection[VitalKind] = tuple(VitalKind),
    ) -> list[StateReading]:
        """Return the readings taken while a stimulus went on.

        Their state is the label of that condition.

        Args:
            session_ids: sessions to look at; ``None`` is all.
            kinds: which kinds of reading.
        """
        return [found for found in self.session_readings(session_ids, kinds) if found.state]

    def vitals_by_observed_emotion(
        self,
        session_ids: Collection[int] | None = None,
        kinds: Collection[VitalKind] = tuple(VitalKind),
        *,
        window_s: float = DEFAULT_WINDOW_S,
        lag_s: Mapping[VitalKind, float] = DEFAULT_LAG_S,
        share: float = DEFAULT_SHARE,
    ) -> tuple[list[StateReading], MatchCounts]:
        """Return the readings before which one emotion was observed; their state is its name.

        The primary face's smoothed labels in (t − lag − window, t − lag] are looked at, within the
        same session; one category must hold at least ``share`` of the rows.

        Args:
            session_ids: sessions to look at; ``None`` is all.
            kinds: which kinds of reading.
            window_s: length of the window in seconds, above 0.
            lag_s: for each kind how many seconds the body follows the face; kinds left out have the
                default.
            share: the least share of rows, above 0 and at most 1.

        Raises:
            ValueError: a window or share that is not allowed.
        """
        by = Matching(window_s, lag_s, share)
        readings = self.session_readings(session_ids, kinds)
        ids = {found.session for found in readings}
        shown = self.shown([session for session in self.session_list() if session.id in ids])
        return match(readings, shown, by)

    def shown(self, sessions: Iterable[Session]) -> dict[int, Shown]:
        """Return for each session, by its id, what the participant's face showed in it, row by
        row.
        """
        with self.connect() as connection:
            return {session.id: read_shown(connection, session) for session in sessions}

    def observed_sums(
        self,
        sessions: Collection[Session],
        shown: Mapping[int, Shown],
        kinds: Collection[VitalKind],
        matchings: Sequence[Matching],
    ) -> list[ObservedSums]:
        """Return the sums of the readings by the emotion observed before them, for each way of
        matching.

        What means are made of, as ``vital_sums`` is for stimuli; arguments as in
        ``observed.sum_observed``.
        """
        with self.connect() as connection:
            return sum_observed(connection, sessions, shown, kinds, matchings)

    def stimuli(self, session_ids: Collection[int]) -> list[Stimulus]:
        """Return the stimuli of sessions, with what was reported of each, in order of session and
        time.
        """
        with self.connect() as connection:
            return select_stimuli(connection, session_ids)

    def vital_sums(
        self, stimuli: Collection[Stimulus], kinds: Collection[VitalKind]
    ) -> list[tuple[Stimulus, ReadingSum]]:
        """Return the sums of the readings in each stimulus by kind and flags: what means are made
        of.
        """
        with self.connect() as connection:
            return sum_readings(connection, stimuli, kinds)

    def beats(self, spans: Iterable[StateSpan]) -> list[Beats]:
        """Return the intervals between beats in the given times of one state.

        A time without any is left out.
        """
        with self.connect() as connection:
            return list(read_beats(connection, spans))

    def session_readings(
        self, session_ids: Collection[int] | None, kinds: Collection[VitalKind]
    ) -> list[StateReading]:
        """Return the readings within sessions.

        The state is the condition, empty where none was open.
        """
        with self.connect() as connection:
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

    def _rows(self, sql: str, *parameters: int) -> Iterator[Row]:
        with self.connect() as connection:
            for row in connection.execute(sql, parameters):
                yield dict(row)


def _latest_vital(connection: sqlite3.Connection, kind: VitalKind) -> VitalReading | None:
    """Find the newest reading of a kind by way of the rollup, whose index begins with the kind."""
    row = connection.execute(
        "SELECT at, value, source, flags, boot_ms FROM vital WHERE kind = :kind AND at >= (SELECT "
        "max(at) FROM vital_hour WHERE kind = :kind) AND at < (SELECT max(at) FROM vital_hour "
        "WHERE kind = :kind) + :hour ORDER BY at DESC LIMIT 1",
        {"kind": kind.value, "hour": HOUR_MS},
    ).fetchone()
    if row is None:
        return None
    return VitalReading(
        Instant(boot_ms=row["boot_ms"] or 0, wall_ms=row["at"]),
        kind,
        row["value"],
        row["source"],
        flags_of(row["flags"]),
    )


def _emotion(text: str | None) -> Emotion | None:
    if text in EMOTIONS:
        return Emotion(text)
    return None
