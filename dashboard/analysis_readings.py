"""Which readings count and what state they belong to: from the timeline to sums by participant and state."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from dashboard.analysis_schema import AnalysisQuery, StateBy
from dashboard.states import STATES, state_of
from edge_agent.domain import UNUSABLE, Emotion, VitalFlag, VitalKind
from edge_agent.errors import StatisticsError
from edge_agent.store.reader import Reader
from edge_agent.store.results import MatchCounts, StateReading
from edge_agent.store.stimuli import Stimulus

_LARGEST = 1e60


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
    """

    participant: str
    kind: VitalKind
    state: Emotion
    mean: float
    readings: int
    simulated: bool


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

    @property
    def doubtful(self) -> bool:
        """Whether the readings are flagged as out of range, without contact, or of doubtful time."""
        return bool(self.flags & UNUSABLE)


@dataclass(frozen=True, slots=True)
class Found:
    """The readings of a question.

    Attributes:
        groups: those with a state, tested or not.
        matching: with observed emotions, how the readings were matched.
        unreported: with self-report, the stimuli of which nothing was reported.
    """

    groups: tuple[ReadingGroup, ...]
    matching: MatchCounts | None = None
    unreported: int = 0


def find_readings(reader: Reader, query: AnalysisQuery, ids: Collection[int], stimuli: Sequence[Stimulus]) -> Found:
    """Read the vital signs of sessions with their states.

    Raises:
        StoreError: the database cannot be read.
    """
    if query.state is StateBy.OBSERVED:
        readings, matching = reader.vitals_by_observed_emotion(
            ids, query.vital, window_s=query.window, lag_s=lags_of(query), share=query.share
        )
        return Found(tuple(group_readings(readings)), matching)
    labels = [_label(stimulus, query.state) for stimulus in stimuli]
    named = {stimulus: label for stimulus, label in zip(stimuli, labels, strict=True) if label}
    return Found(
        tuple(
            ReadingGroup(
                participant=stimulus.participant,
                session=stimulus.session,
                state=named[stimulus],
                kind=sums.kind,
                flags=(flags := frozenset(VitalFlag(flag) for flag in sums.flags.split())),
                simulated=stimulus.simulated or VitalFlag.SIMULATED in flags,
                n=sums.n,
                total=sums.total,
                largest=sums.largest,
            )
            for stimulus, sums in reader.vital_sums(tuple(named), query.vital)
        ),
        unreported=labels.count("") if query.state is StateBy.REPORTED else 0,
    )


def beats_by_state(
    reader: Reader, query: AnalysisQuery, ids: Collection[int], stimuli: Sequence[Stimulus]
) -> list[StateReading]:
    """Return the intervals between beats with their states, in order of session and time."""
    kinds = (VitalKind.RR_INTERVAL,)
    if query.state is StateBy.OBSERVED:
        lags = {VitalKind.RR_INTERVAL: query.lag_heart_rate}
        return reader.vitals_by_observed_emotion(ids, kinds, window_s=query.window, lag_s=lags, share=query.share)[0]
    readings = reader.vitals_by_condition(ids, kinds)
    return readings if query.state is StateBy.CONDITION else _relabelled(readings, stimuli)


def lags_of(query: AnalysisQuery) -> Mapping[VitalKind, float]:
    """Return by how many seconds each vital follows the face."""
    return {kind: query.lag_heart_rate if kind is VitalKind.HEART_RATE else query.lag_pressure for kind in query.vital}


def group_readings(readings: Iterable[StateReading]) -> list[ReadingGroup]:
    """Sum single readings, so that readings from any source are averaged the same way."""
    values: defaultdict[tuple[str, int, str, VitalKind, frozenset[VitalFlag], bool], list[float]] = defaultdict(list)
    for one in readings:
        values[one.participant, one.session, one.state, one.kind, one.flags, one.simulated].append(one.value)
    return [ReadingGroup(*key, len(group), _sum(group), _largest(group)) for key, group in values.items()]


def state_means(readings: Iterable[StateReading]) -> tuple[StateMean, ...]:
    """Average single readings of each participant in each of the three states; as ``means_of``."""
    return means_of(group_readings(readings))


def means_of(groups: Iterable[ReadingGroup]) -> tuple[StateMean, ...]:
    """Average the readings of each participant in each of the three states.

    The state must be the name of the emotion, in any case; other states are passed over.

    Raises:
        StatisticsError: a value is not finite; the text names participant and vital.
    """
    grouped: defaultdict[tuple[VitalKind, Emotion, str], list[ReadingGroup]] = defaultdict(list)
    for group in groups:
        state = state_of(group.state)
        if state is not None:
            grouped[group.kind, state, group.participant].append(group)
    return tuple(
        StateMean(code, kind, state, _mean(parts), sum(part.n for part in parts), any(part.simulated for part in parts))
        for (kind, state, code), parts in sorted(grouped.items(), key=lambda item: _place(*item[0]))
    )


def count_states(groups: Iterable[ReadingGroup]) -> dict[str, int]:
    """Count the readings in states that no test uses, by label."""
    counts: Counter[str] = Counter()
    for group in groups:
        if state_of(group.state) is None:
            counts[group.state] += group.n
    return dict(sorted(counts.items()))


def _label(stimulus: Stimulus, by: StateBy) -> str:
    return stimulus.condition if by is StateBy.CONDITION else stimulus.reported or ""


def _relabelled(readings: Iterable[StateReading], stimuli: Sequence[Stimulus]) -> list[StateReading]:
    """Give readings taken during stimuli the emotion that was reported of the stimulus; others are left out."""
    starts = [(stimulus.session, stimulus.start_ms) for stimulus in stimuli]
    placed = ((one, stimuli[bisect_right(starts, (one.session, one.at_ms)) - 1]) for one in readings)
    return [replace(one, state=stimulus.reported) for one, stimulus in placed if stimulus.reported]


def _sum(values: Sequence[float]) -> float:
    """Return the sum with one rounding; NaN where a value cannot be computed with, which the mean refuses."""
    return math.fsum(values) if all(abs(value) <= _LARGEST for value in values) else math.nan


def _largest(values: Sequence[float]) -> float:
    """Return the largest absolute value, or the first that is not finite."""
    return next((value for value in values if not math.isfinite(value)), max(map(abs, values)))


def _mean(parts: Sequence[ReadingGroup]) -> float:
    for part in parts:
        if not math.isfinite(part.largest):
            raise StatisticsError(
                f"Participant {part.participant} has a {part.kind} reading of {part.largest} in session "
                f"{part.session}, which is not a finite number. Mend the reading or leave the session out."
            )
        if part.largest > _LARGEST:
            raise StatisticsError(f"Participant {part.participant} has a {part.kind} reading beyond 1e60.")
    return math.fsum(part.total for part in parts) / sum(part.n for part in parts)


def _place(kind: VitalKind, state: Emotion, code: str) -> tuple[int, int, str]:
    """Sort as the tables do: vitals and states in their order, then codes."""
    return tuple(VitalKind).index(kind), STATES.index(state), code
