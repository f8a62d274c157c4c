"""Counts beyond the readings of a question: people, sessions, and how many readings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.analysis.query import AnalysisQuery, StateBy
from dashboard.analysis.readings.states import StateReadings
from edge_agent.core.study import Session
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.session_reader import ReadingCount, Recruited, outside
from edge_agent.timeline.read.stimuli import SessionStimulus
from edge_agent.timeline.study.exclusions import Exclusion


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recorded people, the sessions that are looked at, all sessions, and reading counts; and
    what somebody left out of the sessions that were asked for.
    """

    people: Sequence[Recruited]
    sessions: Sequence[Session]
    every_session: Sequence[Session]
    counts: Sequence[ReadingCount]
    excluded: Sequence[Exclusion]


def read_recorded(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[SessionStimulus],
    readings: StateReadings,
    excluded: Sequence[Exclusion],
) -> Recorded:
    """Read what the flow needs beyond the readings of the question.

    Those in stimuli are summed already, with the beginnings, and by observed emotion all of them;
    only the others are counted here.

    Raises:
        StoreError: the database cannot be read.
    """
    counts = list(readings.recorded)
    if query.state is not StateBy.OBSERVED:
        of_session: defaultdict[int, list[SessionStimulus]] = defaultdict(list)
        for one in stimuli:
            if query.state is StateBy.CONDITION or one.reported:
                of_session[one.session].append(one)
        spans = [span for one in sessions for span in outside(one, of_session[one.id])]
        counts += reader.reading_counts(spans, query.vital)
        counts += [
            ReadingCount(group.session, group.kind, " ".join(sorted(group.flags)), group.n)
            for group in (*readings.groups, *readings.beginnings)
        ]
    return Recorded(reader.read_recruited(), sessions, reader.session_list(), counts, excluded)
