"""From the timeline to a family of tests and all that stands beside it: what page, API and command
show.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dashboard.analysis.agreement import SourceAgreement, compare_sources
from dashboard.analysis.comparison import Comparison, Decision, StatesComparison
from dashboard.analysis.families import compare_all_states, compare_visits, decide_groups
from dashboard.analysis.heart_variability import StateVariability, variability_by_state
from dashboard.analysis.left_out import LeftOut, WithAll, count_left_out, tests_with_all
from dashboard.analysis.means import StateMean, session_means, state_means, visits_of
from dashboard.analysis.readings import (
    Settling,
    StateReadings,
    count_states,
    find_beats,
    find_observed,
    find_readings,
)
from dashboard.analysis.request import AnalysisQuery, Correction, Sample, StateBy
from dashboard.analysis.sensitivity import (
    MatchingChoice,
    Sensitivity,
    SettlingChoice,
    choices_around,
    sensitivity,
    settling_choices,
)
from dashboard.analysis.states import PAIRS, TESTED_STATES, Design, tested_state
from dashboard.statistics import (
    Bounds,
    Equivalence,
    RequiredSample,
    Summary,
    equivalence,
    still_needed,
    summarize,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.observed import shown_in
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import MatchCounts
from edge_agent.store.read.stimuli import Stimulus

C = TypeVar("C", MatchingChoice, SettlingChoice)


@dataclass(frozen=True, slots=True)
class StateSummary:
    """One vital in one state over participants; ``summary`` is ``None`` where nobody has it."""

    kind: VitalKind
    state: Emotion
    summary: Summary | None
    readings: int


@dataclass(frozen=True, slots=True)
class VitalComparison:
    """One test of the family, ``first`` minus ``second``.

    Attributes:
        kind: what was measured.
        first: first state.
        second: second state.
        comparison: the tests and who went into them.
        correction: which adjusted p decides.
        design: which participants were to be compared.
        equivalence: whether a difference beyond the declared bounds is excluded; ``None`` without a
            test.
        required_sample: how many people a difference of the size of the bound needs; ``None``
            without a test, or where no study could have so many.
        with_all: what it would come to if every reading counted, whatever its flags; ``None`` where
            none is left out.
    """

    kind: VitalKind
    first: Emotion
    second: Emotion
    comparison: Comparison
    correction: Correction = Correction.HOLM
    design: Design = Design.AUTO
    equivalence: Equivalence | None = None
    required_sample: RequiredSample | None = None
    with_all: WithAll | None = None

    @property
    def adjusted_p(self) -> float | None:
        """The p that decides, by the correction that was asked for."""
        tests = self.comparison.tests
        if tests is None:
            return None
        if self.correction is Correction.HOLM:
            return tests.holm_p
        return tests.bh_p


@dataclass(frozen=True, slots=True)
class VitalStates:
    """One vital over all three states at once."""

    kind: VitalKind
    comparison: StatesComparison


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that page, API and command show.

    Attributes:
        query: what was asked.
        sample: which sessions were looked at, never ``auto``.
        sessions: those sessions.
        means: what the values that were tested come to for each participant and state.
        summaries: every vital in every state, in order of the query’s vitals and ``TESTED_STATES``.
        family: the comparisons, in order of the vitals asked for and ``PAIRS``.
        all_states: for each vital the test over all states at once.
        readings: how many readings went into the means.
        simulated_readings: how many of those are simulated.
        estimated_readings: how many of those are estimated and not measured.
        estimated_left_out: how many estimated ones did not, because nobody asked for them.
        flagged: readings in the three states that are flagged as in doubt, counted or not.
        flagged_left_out: how many of those are in no mean.
        left_out: the readings that are in no mean, by flag and state.
        settling: by condition or self-report, for each vital what the beginnings of the stimuli
            held, which are left out.
        other_states: readings in states that no test uses, by their label.
        matching: with observed emotions, how the readings were matched.
        unreported: with self-report, stimuli of which nothing was reported.
        orders: how many participants saw the tested states in which order, the commonest first.
        agreements: how far condition, face and self-report agree about the stimuli.
        variability: of the heart rate by participant and state, where there are intervals between
            beats.
        sensitivity: for each comparison of the family the results under other windows and lags,
            where asked for by observed emotion.
        settling_sensitivity: the same under other settling times, by condition or self-report.
    """

    query: AnalysisQuery
    sample: Sample
    sessions: tuple[Session, ...]
    means: tuple[StateMean, ...]
    summaries: tuple[StateSummary, ...]
    family: tuple[VitalComparison, ...]
    all_states: tuple[VitalStates, ...]
    readings: int
    simulated_readings: int
    estimated_readings: int
    estimated_left_out: int
    flagged: int
    flagged_left_out: int
    left_out: tuple[LeftOut, ...]
    settling: tuple[Settling, ...]
    other_states: Mapping[str, int]
    matching: MatchCounts | None
    unreported: int
    orders: Mapping[tuple[Emotion, ...], int]
    agreements: tuple[SourceAgreement, ...]
    variability: tuple[StateVariability, ...]
    sensitivity: tuple[Sensitivity[MatchingChoice], ...]
    settling_sensitivity: tuple[Sensitivity[SettlingChoice], ...]

    @property
    def participants(self) -> tuple[str, ...]:
        """Codes of the participants who have a mean, sorted."""
        return tuple(sorted({mean.participant for mean in self.means}))

    @property
    def tests_computed(self) -> int:
        """How many tests have numbers: the family that p is adjusted for."""
        return sum(test.comparison.tests is not None for test in self.family)


def analyse(reader: Reader, query: AnalysisQuery) -> Analysis:
    """Read what the question asks for and test it.

    Raises:
        StatisticsError: a session is asked for that does not exist, or a reading cannot be computed
            with.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    if query.sample is not Sample.AUTO:
        return _analysis_of(
            reader, query, query.sample, _chosen(sessions, query.sample, query.session)
        )
    measured = _analysis_of(reader, query, Sample.MEASURED, _chosen(sessions, Sample.MEASURED, ()))
    example = _chosen(sessions, Sample.EXAMPLE, ())
    if measured.means or not example:
        return measured
    return _analysis_of(reader, query, Sample.EXAMPLE, example)


def _chosen(sessions: Sequence[Session], sample: Sample, ids: Sequence[int]) -> tuple[Session, ...]:
    """Return the sessions of a sample, oldest first."""
    ordered = sorted(sessions, key=lambda session: (session.start_ms, session.id))
    if sample is not Sample.SELECTED:
        return tuple(
            session for session in ordered if session.simulated is (sample is Sample.EXAMPLE)
        )
    missing = sorted(set(ids) - {session.id for session in sessions})
    if missing:
        known = ", ".join(str(session.id) for session in ordered[:20]) or "none"
        raise StatisticsError(
            f"There is no session {missing[0]}. Sessions: "
            f"{known}{', …' if len(ordered) > 20 else ''}."
        )
    return tuple(session for session in ordered if session.id in ids)


def _analysis_of(
    reader: Reader, query: AnalysisQuery, sample: Sample, sessions: tuple[Session, ...]
) -> Analysis:
    """Test the readings of the given sessions."""
    stimuli = reader.stimuli([session.id for session in sessions])
    shown = reader.face_labels(sessions)
    matched: dict[MatchingChoice, StateReadings] = {}
    settled: dict[SettlingChoice, StateReadings] = {}
    if query.state is StateBy.OBSERVED:
        matchings = _settings(query)
        every = find_observed(reader, query, sessions, shown, matchings)
        matched = dict(zip(matchings, every, strict=True))
    else:
        settlings = _settlings(query)
        every = find_readings(reader, query, sessions, stimuli, settlings)
        settled = dict(zip(settlings, every, strict=True))
    readings = every[0]
    counted = readings.counting(query.counted)
    used = [group for group in counted if tested_state(group.state) is not None]
    in_doubt = [group for group in readings.in_states() if group.doubtful]
    of_sessions = session_means(counted)
    means = state_means(of_sessions)
    visits = visits_of(of_sessions)
    return Analysis(
        query=query,
        sample=sample,
        sessions=sessions,
        means=means,
        summaries=tuple(
            _summary(means, kind, state) for kind in query.vital for state in TESTED_STATES
        ),
        family=_family(compare_visits(visits, query), readings, query),
        all_states=tuple(
            VitalStates(kind, compare_all_states(visits, kind)) for kind in query.vital
        ),
        readings=sum(group.n for group in used),
        simulated_readings=sum(group.n for group in used if group.simulated),
        estimated_readings=sum(group.n for group in used if group.estimated),
        estimated_left_out=sum(
            group.n
            for group in readings.in_states()
            if VitalFlag.ESTIMATED in group.doubts(query.counted)
        ),
        flagged=sum(group.n for group in in_doubt),
        flagged_left_out=sum(group.n for group in in_doubt if group.doubts(query.counted)),
        left_out=count_left_out(readings, query),
        settling=readings.settling,
        other_states=count_states(counted),
        matching=readings.matching,
        unreported=readings.unreported,
        orders=_orders(stimuli),
        agreements=compare_sources(stimuli, shown_in(stimuli, shown, query.share)),
        variability=variability_by_state(find_beats(reader, query, sessions, stimuli, shown)),
        sensitivity=_sensitivity(query, matched, choices_around),
        settling_sensitivity=_sensitivity(query, settled, settling_choices),
    )


def _summary(means: Sequence[StateMean], kind: VitalKind, state: Emotion) -> StateSummary:
    """Describe one vital in one state over participants."""
    own = [mean for mean in means if mean.kind is kind and mean.state is state]
    summary = summarize([mean.mean for mean in own]) if own else None
    return StateSummary(kind, state, summary, sum(mean.readings for mean in own))


def _family(
    family: Sequence[Comparison], readings: StateReadings, query: AnalysisQuery
) -> tuple[VitalComparison, ...]:
    wanted = [(kind, first, second) for kind in query.vital for first, second in PAIRS]
    with_all = tests_with_all(readings, query, family) or [None] * len(wanted)
    return tuple(
        replace(_judged(*names, comparison, query), with_all=one)
        for names, comparison, one in zip(wanted, family, with_all, strict=True)
    )


def _judged(
    kind: VitalKind, first: Emotion, second: Emotion, comparison: Comparison, query: AnalysisQuery
) -> VitalComparison:
    """Add to a comparison what the declared bound says: is more excluded, and how many people would
    find it?
    """
    if comparison.tests is None or comparison.method is None:
        return VitalComparison(kind, first, second, comparison, query.correction, query.design)
    bound = query.bound(kind)
    try:
        required = still_needed(comparison.first, comparison.second, comparison.method, bound)
    except StatisticsError:  # the bound is so small beside the spread that no study could find it
        required = None
    excluded = equivalence(
        comparison.first, comparison.second, comparison.method, Bounds(-bound, bound)
    )
    return VitalComparison(
        kind, first, second, comparison, query.correction, query.design, excluded, required
    )


def _orders(stimuli: Iterable[Stimulus]) -> dict[tuple[Emotion, ...], int]:
    """Count the participants by the order in which they first met the tested states, in their first
    such session.
    """
    by_session: defaultdict[tuple[str, int], dict[Emotion, None]] = defaultdict(dict)
    for stimulus in stimuli:
        state = tested_state(stimulus.condition)
        if state is not None:
            by_session[stimulus.participant, stimulus.session].setdefault(state)
    first: dict[str, tuple[Emotion, ...]] = {}
    for (participant, _), states in by_session.items():
        if len(states) > 1:
            first.setdefault(participant, tuple(states))
    return dict(Counter(first.values()).most_common())


def _declared_choice(query: AnalysisQuery) -> MatchingChoice:
    """Return the window and the lags that were declared."""
    others = tuple((kind, query.lag_s(kind)) for kind in query.vital if kind.spec.option is None)
    return MatchingChoice(query.window, query.lag_heart_rate, query.lag_pressure, others)


def _settings(query: AnalysisQuery) -> tuple[MatchingChoice, ...]:
    """Return the window and lags that were declared and, where asked for, those around them."""
    chosen = _declared_choice(query)
    if not query.sensitivity:
        return (chosen,)
    return tuple(dict.fromkeys((chosen, *choices_around(chosen))))


def _settlings(query: AnalysisQuery) -> tuple[SettlingChoice, ...]:
    """Return the settling times that were declared and, where asked for, those around them."""
    chosen = SettlingChoice(tuple((kind, query.settling_s(kind)) for kind in query.vital))
    if not query.sensitivity:
        return (chosen,)
    return tuple(dict.fromkeys((chosen, *settling_choices(chosen))))


def _sensitivity(
    query: AnalysisQuery,
    readings: Mapping[C, StateReadings],
    around: Callable[[C], Iterable[C]],
) -> tuple[Sensitivity[C], ...]:
    """Repeat the family under the other choices; the first of the readings are the declared ones'.

    None where there are no others.
    """
    if not (query.sensitivity and readings):
        return ()
    chosen = next(iter(readings))

    def family(choice: C) -> tuple[Decision, ...]:
        return decide_groups(readings[choice].counting(query.counted), query)

    return sensitivity(chosen, around(chosen), family)
