"""Which readings count and what state they belong to: from the timeline to sums by participant and
state.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dashboard.analysis.request import AnalysisQuery, StateBy
from dashboard.analysis.sensitivity import MatchingChoice
from dashboard.analysis.states import TESTED_STATES, tested_state
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import DOUBTFUL, VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.beats import Beats, StateSpan, spans_observed
from edge_agent.store.read.matching import FaceLabels, Matching
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import MatchCounts, flags_of
from edge_agent.store.read.stimuli import ReadingSum, Stimulus

_LARGEST = 1e60
_KINDS = tuple(VitalKind)


@dataclass(frozen=True, slots=True)
class StateMean:
    """The unit of every test: one participant's mean in one state.

    Attributes:
        participant: pseudonymous code.
        kind: what was measured; the mean is in its unit.
        state: anger, happiness or neutral.
        mean: over all readings of the participant in that state, sessions taken together.
        readings: how many there are.
        simulated: whether any of them is simulated.
        minutes: mean time of the readings, in minutes since the start of their session.
    """

    participant: str
    kind: VitalKind
    state: Emotion
    mean: float
    readings: int
    simulated: bool
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class ReadingGroup:
    """Readings of one participant in one session that share kind, state and flags, summed.

    Attributes:
        participant: pseudonymous code.
        session: id of the session.
        state: label of the state, any.
        kind: what was measured.
        flags: of every one of them.
        simulated: whether they are simulated.
        n: how many they are.
        total: sum of the values.
        largest: largest absolute value.
        minutes: mean time of the readings, in minutes since the start of the session.
    """

    participant: str
    session: int
    state: str
    kind: VitalKind
    flags: frozenset[VitalFlag]
    simulated: bool
    n: int
    total: float
    largest: float
    minutes: float = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether the readings are flagged as out of range, without contact, or of doubtful
        time.
        """
        return bool(self.flags & DOUBTFUL)

    @property
    def estimated(self) -> bool:
        """Whether the readings are no measurement."""
        return VitalFlag.ESTIMATED in self.flags


@dataclass(frozen=True, slots=True)
class StateReadings:
    """The readings of a question.

    Attributes:
        groups: those with a state, tested or not.
        matching: with observed emotions, how the readings were matched.
        unreported: with self-report, the stimuli of which nothing was reported.
        estimated_left_out: estimated readings in the three states that are not among the groups.
    """

    groups: tuple[ReadingGroup, ...]
    matching: MatchCounts | None = None
    unreported: int = 0
    estimated_left_out: int = 0

    def measured(self) -> StateReadings:
        """Return the same without the estimated readings."""
        left_out = sum(
            group.n
            for group in self.groups
            if group.estimated and tested_state(group.state) is not None
        )
        return replace(
            self,
            groups=tuple(group for group in self.groups if not group.estimated),
            estimated_left_out=left_out,
        )


def find_readings(
    reader: Reader, query: AnalysisQuery, sessions: Sequence[Session], stimuli: Sequence[Stimulus]
) -> StateReadings:
    """Read the vital signs in stimuli, by condition or by what was reported.

    Estimated ones only where asked for.

    Raises:
        StoreError: the database cannot be read.
    """
    by_id = {session.id: session for session in sessions}
    labels = [_label(stimulus, query.state) for stimulus in stimuli]
    named = {stimulus: label for stimulus, label in zip(stimuli, labels, strict=True) if label}
    groups = tuple(
        _group(by_id[stimulus.session], named[stimulus], sums)
        for stimulus, sums in reader.vital_sums(tuple(named), query.vital)
    )
    readings = StateReadings(
        groups, unreported=labels.count("") if query.state is StateBy.REPORTED else 0
    )
    if query.estimated:
        return readings
    return readings.measured()


def find_observed(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    shown: Mapping[int, FaceLabels],
    choices: Sequence[MatchingChoice],
) -> list[StateReadings]:
    """Read the vital signs of sessions by the emotion observed before them, under each choice of
    window and lags.

    However many choices there are, every reading is read once. Estimated readings count only where
    asked for.

    Raises:
        StoreError: the database cannot be read.
    """
    by_id = {session.id: session for session in sessions}
    matchings = [
        Matching(choice.window_s, lags_of(query, choice), query.share) for choice in choices
    ]
    every = [
        StateReadings(
            tuple(_group(by_id[number], state, sums) for number, state, sums in one.sums),
            one.counts,
        )
        for one in reader.observed_sums(sessions, shown, query.vital, matchings)
    ]
    if query.estimated:
        return every
    return [readings.measured() for readings in every]


def find_beats(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    stimuli: Sequence[Stimulus],
    shown: Mapping[int, FaceLabels],
) -> list[Beats]:
    """Read the intervals between beats in anger, happiness and neutral, one entry for each time of
    one state.

    Raises:
        StoreError: the database cannot be read.
    """
    if VitalKind.RR_INTERVAL not in reader.recorded_kinds():
        return []
    if query.state is StateBy.OBSERVED:
        lags = {VitalKind.RR_INTERVAL: query.lag_s(VitalKind.RR_INTERVAL)}
        by = Matching(query.window, lags, query.share)
        spans = (
            span for session in sessions for span in spans_observed(session, shown[session.id], by)
        )
    else:
        by_id = {session.id: session for session in sessions}
        spans = (
            StateSpan(by_id[one.session], _label(one, query.state), one.start_ms, one.end_ms)
            for one in stimuli
        )
    return reader.beats(span for span in spans if tested_state(span.state) is not None)


def lags_of(query: AnalysisQuery, choice: MatchingChoice) -> Mapping[VitalKind, float]:
    """Return by how many seconds each vital follows the face."""
    return {kind: choice.lag_s(kind) for kind in query.vital}


def means_of(groups: Iterable[ReadingGroup]) -> tuple[StateMean, ...]:
    """Average the readings of each participant in each of the three states.

    The state must be the name of the emotion, in any case; other states are passed over.

    Raises:
        StatisticsError: a value is not finite; the text names participant and vital.
    """
    grouped: defaultdict[tuple[VitalKind, Emotion, str], list[ReadingGroup]] = defaultdict(list)
    for group in groups:
        state = tested_state(group.state)
        if state is not None:
            grouped[group.kind, state, group.participant].append(group)
    return tuple(
        StateMean(
            code,
            kind,
            state,
            _mean(parts),
            sum(part.n for part in parts),
            any(part.simulated for part in parts),
            sum(part.n * part.minutes for part in parts) / sum(part.n for part in parts),
        )
        for (kind, state, code), parts in sorted(grouped.items(), key=lambda item: _place(*item[0]))
    )


def count_states(groups: Iterable[ReadingGroup]) -> dict[str, int]:
    """Count the readings in states that no test uses, by label."""
    counts: Counter[str] = Counter()
    for group in groups:
        if tested_state(group.state) is None:
            counts[group.state] += group.n
    return dict(sorted(counts.items()))


def _label(stimulus: Stimulus, by: StateBy) -> str:
    if by is StateBy.CONDITION:
        return stimulus.condition
    return stimulus.reported or ""


def _group(session: Session, state: str, sums: ReadingSum) -> ReadingGroup:
    flags = flags_of(sums.flags)
    return ReadingGroup(
        participant=session.participant,
        session=session.id,
        state=state,
        kind=sums.kind,
        flags=flags,
        simulated=session.simulated or VitalFlag.SIMULATED in flags,
        n=sums.n,
        total=sums.total,
        largest=sums.largest,
        minutes=(sums.mean_at_ms - session.start_ms) / 60_000,
    )


def _mean(parts: Sequence[ReadingGroup]) -> float:
    for part in parts:
        if not math.isfinite(part.largest):
            raise StatisticsError(
                f"Participant {part.participant} has a {part.kind} reading of {part.largest} in "
                f"session {part.session}, which is not a finite number. Mend the reading or leave "
                "the session out."
            )
        if part.largest > _LARGEST:
            raise StatisticsError(
                f"Participant {part.participant} has a {part.kind} reading beyond 1e60."
            )
    return math.fsum(part.total for part in parts) / sum(part.n for part in parts)


def _place(kind: VitalKind, state: Emotion, code: str) -> tuple[int, int, str]:
    """Sort as the tables do: vitals and states in their order, then codes."""
    return _KINDS.index(kind), TESTED_STATES.index(state), code
