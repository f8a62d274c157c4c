"""From the timeline to the family of nine tests: which readings count, whose they are, and what was compared."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.analysis_schema import AnalysisQuery, Sample, StateBy
from dashboard.comparison import Comparison, compare_family
from dashboard.statistics import Summary, summarize
from edge_agent.domain import UNUSABLE, Emotion, Session, VitalKind
from edge_agent.errors import StatisticsError
from edge_agent.store.reader import Reader
from edge_agent.store.results import MatchCounts, StateReading

STATES = (Emotion.NEUTRAL, Emotion.HAPPINESS, Emotion.ANGER)
PAIRS = (
    (Emotion.ANGER, Emotion.NEUTRAL),
    (Emotion.HAPPINESS, Emotion.NEUTRAL),
    (Emotion.ANGER, Emotion.HAPPINESS),
)
VITALS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)


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
class StateSummary:
    """One vital in one state over participants; ``summary`` is ``None`` where nobody has it."""

    kind: VitalKind
    state: Emotion
    summary: Summary | None
    readings: int


@dataclass(frozen=True, slots=True)
class VitalComparison:
    """One test of the family, ``first`` minus ``second``."""

    kind: VitalKind
    first: Emotion
    second: Emotion
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that page, API and command show.

    Attributes:
        query: what was asked.
        sample: which sessions were looked at, never ``auto``.
        sessions: those sessions.
        means: the values that were tested.
        summaries: every vital in every state, in order of ``VITALS`` and ``STATES``.
        family: the nine comparisons, in order of ``VITALS`` and ``PAIRS``.
        readings: how many readings went into the means.
        simulated_readings: how many of those are simulated.
        flagged: readings in the three states that are flagged out of range or without contact.
        other_states: readings in states that no test uses, by their label.
        matching: with observed emotions, how the readings were matched.
    """

    query: AnalysisQuery
    sample: Sample
    sessions: tuple[Session, ...]
    means: tuple[StateMean, ...]
    summaries: tuple[StateSummary, ...]
    family: tuple[VitalComparison, ...]
    readings: int
    simulated_readings: int
    flagged: int
    other_states: Mapping[str, int]
    matching: MatchCounts | None

    @property
    def participants(self) -> tuple[str, ...]:
        """Codes of the participants who have a mean, sorted."""
        return tuple(sorted({mean.participant for mean in self.means}))

    @property
    def tests_computed(self) -> int:
        """How many of the nine tests have numbers: the family that Holm's method adjusts for."""
        return sum(test.comparison.tests is not None for test in self.family)


def analyse(reader: Reader, query: AnalysisQuery) -> Analysis:
    """Read what the question asks for and test it.

    Raises:
        StatisticsError: a session is asked for that does not exist, or a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    if query.sample is not Sample.AUTO:
        return _analysis_of(reader, query, query.sample, _chosen(sessions, query.sample, query.session))
    measured = _analysis_of(reader, query, Sample.MEASURED, _chosen(sessions, Sample.MEASURED, ()))
    example = _chosen(sessions, Sample.EXAMPLE, ())
    if measured.means or not example:
        return measured
    return _analysis_of(reader, query, Sample.EXAMPLE, example)


def state_means(readings: Iterable[StateReading]) -> tuple[StateMean, ...]:
    """Average the readings of each participant in each of the three states.

    The state of a reading must be the name of the emotion, in any case; other states are passed over.

    Raises:
        StatisticsError: a value is not finite; the text names participant and vital.
    """
    grouped: defaultdict[tuple[VitalKind, Emotion, str], list[StateReading]] = defaultdict(list)
    for reading in readings:
        state = state_of(reading.state)
        if state is not None:
            grouped[reading.kind, state, reading.participant].append(reading)
    return tuple(
        StateMean(code, kind, state, _mean(group), len(group), any(reading.simulated for reading in group))
        for (kind, state, code), group in sorted(grouped.items(), key=lambda item: _place(*item[0]))
    )


def state_of(label: str) -> Emotion | None:
    """Return which of the three states a label names, whatever its case, or ``None``."""
    name = label.strip().casefold()
    return next((state for state in STATES if state.value == name), None)


def _chosen(sessions: Sequence[Session], sample: Sample, ids: Sequence[int]) -> tuple[Session, ...]:
    """Return the sessions of a sample, oldest first."""
    ordered = sorted(sessions, key=lambda session: (session.start_ms, session.id))
    if sample is not Sample.SELECTED:
        return tuple(session for session in ordered if session.simulated is (sample is Sample.EXAMPLE))
    missing = sorted(set(ids) - {session.id for session in sessions})
    if missing:
        known = ", ".join(str(session.id) for session in ordered[:20]) or "none"
        raise StatisticsError(
            f"There is no session {missing[0]}. Sessions: {known}{', …' if len(ordered) > 20 else ''}."
        )
    return tuple(session for session in ordered if session.id in ids)


def _analysis_of(reader: Reader, query: AnalysisQuery, sample: Sample, sessions: tuple[Session, ...]) -> Analysis:
    """Test the readings of the given sessions."""
    found, matching = _read(reader, query, [session.id for session in sessions])
    in_states = [reading for reading in found if state_of(reading.state) is not None]
    doubtful = sum(bool(reading.flags & UNUSABLE) for reading in in_states)
    used = [r for r in in_states if not r.flags & UNUSABLE] if query.leave_out_flagged else in_states
    means = state_means(used)
    return Analysis(
        query=query,
        sample=sample,
        sessions=sessions,
        means=means,
        summaries=tuple(_summary(means, kind, state) for kind in VITALS for state in STATES),
        family=_family(means),
        readings=len(used),
        simulated_readings=sum(reading.simulated for reading in used),
        flagged=doubtful,
        other_states=dict(sorted(Counter(r.state for r in found if state_of(r.state) is None).items())),
        matching=matching,
    )


def _read(reader: Reader, query: AnalysisQuery, ids: list[int]) -> tuple[list[StateReading], MatchCounts | None]:
    """Read the vital signs with their states."""
    if query.state is StateBy.CONDITION:
        return reader.vitals_by_condition(ids, VITALS), None
    lags = {kind: query.lag_heart_rate if kind is VitalKind.HEART_RATE else query.lag_pressure for kind in VITALS}
    return reader.vitals_by_observed_emotion(ids, VITALS, window_s=query.window, lag_s=lags, share=query.share)


def _place(kind: VitalKind, state: Emotion, code: str) -> tuple[int, int, str]:
    """Sort as the tables do: vitals and states in their order, then codes."""
    return tuple(VitalKind).index(kind), STATES.index(state), code


def _mean(group: Sequence[StateReading]) -> float:
    """Return the mean of a participant's readings, without overflow and with one rounding."""
    for reading in group:
        if not math.isfinite(reading.value):
            raise StatisticsError(
                f"Participant {reading.participant} has a {reading.kind} reading of {reading.value} in session "
                f"{reading.session}, which is not a finite number. Mend the reading or leave the session out."
            )
    if max(abs(reading.value) for reading in group) > 1e60:
        raise StatisticsError(f"Participant {group[0].participant} has a {group[0].kind} reading beyond 1e60.")
    return math.fsum(reading.value for reading in group) / len(group)


def _summary(means: Sequence[StateMean], kind: VitalKind, state: Emotion) -> StateSummary:
    """Describe one vital in one state over participants."""
    own = [mean for mean in means if mean.kind is kind and mean.state is state]
    summary = summarize([mean.mean for mean in own]) if own else None
    return StateSummary(kind, state, summary, sum(mean.readings for mean in own))


def _family(means: Sequence[StateMean]) -> tuple[VitalComparison, ...]:
    """Compare the three pairs of states for the three vitals, as one family."""
    by_state: defaultdict[tuple[VitalKind, Emotion], dict[str, float]] = defaultdict(dict)
    for mean in means:
        by_state[mean.kind, mean.state][mean.participant] = mean.mean
    asked = [(kind, first, second) for kind in VITALS for first, second in PAIRS]
    compared = compare_family((by_state[kind, first], by_state[kind, second]) for kind, first, second in asked)
    return tuple(VitalComparison(*names, comparison) for names, comparison in zip(asked, compared, strict=True))
