"""Reading vital readings by state: the open condition, or the observed emotion."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from edge_agent.core.measures import ExpressionKind, Measure
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read import observed, session_reader
from edge_agent.timeline.read.base import StateReading
from edge_agent.timeline.read.events import Event, EventKind, select_events
from edge_agent.timeline.read.matching import FaceLabels, Matching
from edge_agent.timeline.read.measured import MeasureSeries, read_series
from edge_agent.timeline.read.stimuli import (
    PieceSums,
    ReadingSum,
    SessionStimulus,
    count_readings,
    select_stimuli,
    sum_pieces,
    sum_readings,
    sum_shown,
)
from edge_agent.timeline.study.exclusions import Exclusion, standing_exclusions
from edge_agent.timeline.study.own_neutral import OwnNeutral, own_neutrals, untested_stretches
from edge_agent.timeline.study.people import select_attributes

if TYPE_CHECKING:
    from edge_agent.timeline.read.matching import Integers


class StateReader(session_reader.SessionReader):
    """Answers queries about readings by the participant's state; the tests are computed from these.

    A state is the condition that was open, or the emotion that was observed before the reading.
    Stretches that are left out of the analysis, and baselines that calibrated an own neutral, have
    no stimulus, no face and no reading in sums of tests.

    Example:
        >>> reader = StateReader(path)
        >>> labels = reader.face_labels(reader.session_list())
        >>> (found,) = reader.observed_sums(sessions, labels, [VitalKind.HEART_RATE], [Matching()])
        >>> found.counts.unmatched
    """

    def session_readings(
        self, session_ids: Collection[int] | None, kinds: Collection[VitalKind]
    ) -> list[StateReading]:
        """Return the readings within sessions.

        The state is the condition, empty where none was open.
        """
        with self.connect() as connection:
            return session_reader.select_session_readings(connection, session_ids, kinds)

    def face_labels(
        self, sessions: Iterable[Session], *, plain: bool = False
    ) -> dict[int, FaceLabels]:
        """Return the labels of the participant's face in each session, by the session's id.

        There is one for each recorded row that is not left out and calibrated no session.

        Args:
            sessions: which.
            plain: without the shift by the participant's own neutral.
        """
        read = observed.read_plain_labels if plain else observed.read_face_labels
        with self.connect() as connection:
            stretches = untested_stretches(connection)
            shown = read(connection, sessions)
        return {number: labels.without(stretches) for number, labels in shown.items()}

    def observed_sums(
        self,
        sessions: Collection[Session],
        shown: Mapping[int, FaceLabels],
        kinds: Collection[Measure],
        matchings: Sequence[Matching],
    ) -> list[observed.ObservedSums]:
        """Return the sums of readings by the observed emotion, for each way of matching.

        Means are computed from them, as from ``vital_sums`` for stimuli; arguments as in
        ``observed.sum_observed``.
        """
        with self.connect() as connection:
            return observed.sum_observed(connection, sessions, shown, kinds, matchings)

    def stimuli(
        self, session_ids: Collection[int], *, with_left_out: bool = False
    ) -> list[SessionStimulus]:
        """Return the stimuli of sessions, with the self-reports of each.

        They are in order of session and time.

        Args:
            session_ids: which sessions.
            with_left_out: whether those count that are left out entirely.
        """
        with self.connect() as connection:
            return select_stimuli(connection, session_ids, with_left_out=with_left_out)

    def own_neutrals(self) -> dict[int, OwnNeutral]:
        """Return what is kept of the own neutral of sessions, by the session's id."""
        with self.connect() as connection:
            return own_neutrals(connection)

    def reading_changed(
        self, start_ms: int, end_ms: int, kinds: Collection[str] = ("expression",)
    ) -> int | None:
        """Return when a model that reads faces, or its prior, changed last within a range.

        ``None``: never. What was recorded before such a change says another thing by the same name.

        Args:
            start_ms: start of the range, UTC milliseconds.
            end_ms: its end.
            kinds: kinds of models.
        """
        with self.connect() as connection:
            changed: int | None = connection.execute(
                "SELECT max(since) FROM (SELECT since, (sha256, version, prior) <> (lag(sha256) "
                "OVER own, lag(version) OVER own, lag(prior) OVER own) AS has_changed FROM model "
                "WHERE kind IN (SELECT value FROM json_each(?)) WINDOW own AS (PARTITION BY kind "
                "ORDER BY since, id)) WHERE since > ? AND since < ? AND has_changed",
                (json.dumps(list(kinds)), start_ms, end_ms),
            ).fetchone()[0]
        return changed

    def models_between(self, start_ms: int, end_ms: int) -> list[tuple[str, str, str]]:
        """Return name, version and prior of the models that classified faces within a range.

        Args:
            start_ms: start of the range, UTC milliseconds.
            end_ms: its end.
        """
        return self.models_in([(start_ms, end_ms)])

    def models_in(self, spans: Collection[tuple[int, int]]) -> list[tuple[str, str, str]]:
        """Return name, version and prior of the models that classified faces within some ranges."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT name, version, prior, since, lead(since) OVER (ORDER BY since, id) FROM "
                "model WHERE kind = 'expression' ORDER BY since, id"
            ).fetchall()
        used = (
            (name, version, prior)
            for name, version, prior, since, until in rows
            if any(since < end and (until is None or until > start) for start, end in spans)
        )
        return list(dict.fromkeys(used))

    def exclusions(self) -> list[Exclusion]:
        """Return the sessions, and the stretches of them, that are left out of the analysis."""
        with self.connect() as connection:
            return standing_exclusions(connection)

    def vital_sums(
        self,
        stimuli: Sequence[SessionStimulus],
        kinds: Collection[Measure],
        cuts_ms: Collection[int] = (),
    ) -> list[tuple[SessionStimulus, ReadingSum]]:
        """Return the sums of the readings in each stimulus by kind and flags.

        Means are made of them; arguments as in ``stimuli.sum_readings``.
        """
        with self.connect() as connection:
            return sum_readings(connection, stimuli, kinds, cuts_ms)

    def piece_sums(
        self,
        stimuli: Sequence[SessionStimulus],
        kinds: Collection[Measure],
        cuts_ms: Collection[int] = (),
    ) -> PieceSums:
        """Return the same sums as columns, for studies with many stimuli."""
        with self.connect() as connection:
            return sum_pieces(connection, stimuli, kinds, cuts_ms)

    def shown_sums(
        self,
        stimuli: Sequence[SessionStimulus],
        kinds: Sequence[ExpressionKind] = (),
        cuts_ms: Collection[int] = (),
    ) -> tuple[PieceSums, Integers]:
        """Return the same of measures of the expression, and how many rows have each label.

        Arguments and counts are those of ``stimuli.sum_shown``.
        """
        with self.connect() as connection:
            return sum_shown(connection, stimuli, kinds, cuts_ms)

    def measure_series(
        self,
        sessions: Iterable[Session],
        kinds: Collection[Measure],
        counted: Collection[VitalFlag] = (),
    ) -> list[MeasureSeries]:
        """Return the values of measures over time, of many sessions at once.

        Each table is read once; arguments as in ``measured.read_series``.
        """
        with self.connect() as connection:
            return read_series(connection, sessions, kinds, counted)

    def events(self, sessions: Iterable[Session], kind: EventKind) -> list[Event]:
        """Return the events of a kind in sessions, in order of session and time."""
        with self.connect() as connection:
            return select_events(connection, sessions, kind)

    def read_recruited(self) -> list[session_reader.Recruited]:
        """Return all participants in order of their codes, with whether they consented."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT code, simulated, count(consent.id) AS consents, "
                "count(consent.id) > 0 AND count(consent.id) = count(consent.withdrawn) AS gone "
                "FROM participant LEFT JOIN consent ON consent.participant = participant.id "
                "GROUP BY participant.id ORDER BY code"
            )
            return [
                session_reader.Recruited(code, bool(simulated), consents > 0, bool(gone))
                for code, simulated, consents, gone in rows
            ]

    def attributes(self) -> dict[str, dict[str, str]]:
        """Return the attributes of each participant whose consent allows their use."""
        with self.connect() as connection:
            return select_attributes(connection)

    def reading_counts(
        self, spans: Collection[session_reader.Span], kinds: Collection[Measure]
    ) -> list[session_reader.ReadingCount]:
        """Count the readings in spans of sessions by vital and flags, whatever the state."""
        with self.connect() as connection:
            counts = count_readings(connection, spans, kinds)
        return [session_reader.ReadingCount(*one) for one in counts]

    def beats(self, spans: Iterable[observed.StateSpan]) -> list[observed.Beats]:
        """Return the RR intervals in the given spans of one state.

        A time without any is left out.
        """
        with self.connect() as connection:
            return list(observed.read_beats(connection, spans))

    def skin_conductance(
        self, spans: Iterable[observed.StateSpan]
    ) -> list[observed.SkinConductance]:
        """Return the skin conductance of the sessions of the given spans, by session and source.

        A session without any is left out.
        """
        return list(self.each_skin_conductance(spans))

    def each_skin_conductance(
        self, spans: Iterable[observed.StateSpan]
    ) -> Iterator[observed.SkinConductance]:
        """Yield the same one by one, so that one session of one source is in memory."""
        with self.connect() as connection:
            yield from observed.read_skin_conductance(connection, spans)
