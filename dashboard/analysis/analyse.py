"""From the timeline to a family of tests and all that stands beside it: what page, API and command
show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from dashboard.analysis.agreement import SourceAgreement, compare_sources
from dashboard.analysis.comparison import (
    Comparison,
    Decision,
    StatesComparison,
    compare_family,
    compare_states,
    decide_family,
)
from dashboard.analysis.family import InFamily, in_family
from dashboard.analysis.heart_variability import StateVariability, variability_by_state
from dashboard.analysis.misreading import (
    FaceReading,
    Misreading,
    bounds_of,
    doubt_of,
    misreading_of,
)
from dashboard.analysis.period import PeriodEffect, VitalDrift, drift_of, orders_of, periods_of
from dashboard.analysis.readings import (
    StateMean,
    StateReadings,
    count_states,
    find_beats,
    find_observed,
    find_readings,
    means_of,
)
from dashboard.analysis.request import AnalysisQuery, Correction, Sample, StateBy
from dashboard.analysis.sensitivity import MatchingChoice, Sensitivity, choices_around, sensitivity
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
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.matching import Mixture, mixture
from edge_agent.store.read.observed import shown_in
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.results import MatchCounts


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
        in_family: what the correction of the family makes of rank test, equivalence test and people
            needed: what the sentences speak of; ``None`` without a test.
        period: what time in the session may have to do with it; ``None`` without a paired test.
        misreading: by how much misread faces shrink it; ``None`` where states are not observed.
    """

    kind: VitalKind
    first: Emotion
    second: Emotion
    comparison: Comparison
    correction: Correction = Correction.HOLM
    design: Design = Design.AUTO
    equivalence: Equivalence | None = None
    required_sample: RequiredSample | None = None
    in_family: InFamily | None = None
    period: PeriodEffect | None = None
    misreading: Misreading | None = None

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
        means: the values that were tested.
        summaries: every vital in every state, in order of the query’s vitals and ``TESTED_STATES``.
        family: the comparisons, in order of the vitals asked for and ``PAIRS``.
        all_states: for each vital the test over all states at once.
        readings: how many readings went into the means.
        simulated_readings: how many of those are simulated.
        estimated_readings: how many of those are estimated and not measured.
        estimated_left_out: how many estimated ones did not, because nobody asked for them.
        flagged: readings in the three states that are flagged as in doubt or estimated.
        other_states: readings in states that no test uses, by their label.
        matching: with observed emotions, how the readings were matched.
        unreported: with self-report, stimuli of which nothing was reported.
        orders: how many participants saw the tested states in which order, the commonest first.
        agreements: how far condition, face and self-report agree about the stimuli.
        variability: of the heart rate by participant and state, where there are intervals between
            beats.
        sensitivity: for each comparison of the family the results under other windows and lags,
            where asked for.
        drifts: how each vital changes while a session lasts.
        mixture: with observed emotions, how far the windows hold more than one state.
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
    other_states: Mapping[str, int]
    matching: MatchCounts | None
    unreported: int
    orders: Mapping[tuple[Emotion, ...], int]
    agreements: tuple[SourceAgreement, ...]
    variability: tuple[StateVariability, ...]
    sensitivity: tuple[Sensitivity, ...]
    drifts: tuple[VitalDrift, ...] = ()
    mixture: Mixture | None = None

    @property
    def participants(self) -> tuple[str, ...]:
        """Codes of the participants who have a mean, sorted."""
        return tuple(sorted({mean.participant for mean in self.means}))

    @property
    def tests_computed(self) -> int:
        """How many tests have numbers: the family that p is adjusted for."""
        return sum(test.comparison.tests is not None for test in self.family)


def analyse(reader: Reader, query: AnalysisQuery, face: FaceReading | None = None) -> Analysis:
    """Read what the question asks for and test it.

    Args:
        reader: the timeline.
        query: the question.
        face: how often the classifier reads each state rightly, by its card; ``None`` where that is
            not known.

    Raises:
        StatisticsError: a session is asked for that does not exist, or a reading cannot be computed
            with.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    if query.sample is not Sample.AUTO:
        return _analysis_of(
            reader, query, query.sample, _chosen(sessions, query.sample, query.session), face
        )
    chosen = _chosen(sessions, Sample.MEASURED, ())
    measured = _analysis_of(reader, query, Sample.MEASURED, chosen, face)
    example = _chosen(sessions, Sample.EXAMPLE, ())
    if measured.means or not example:
        return measured
    return _analysis_of(reader, query, Sample.EXAMPLE, example, face)


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
    reader: Reader,
    query: AnalysisQuery,
    sample: Sample,
    sessions: tuple[Session, ...],
    face: FaceReading | None,
) -> Analysis:
    """Test the readings of the given sessions."""
    ids = [session.id for session in sessions]
    stimuli = reader.stimuli(ids)
    shown = reader.face_labels(sessions)
    choices = _settings(query)
    if query.state is StateBy.OBSERVED:
        readings, *other_choices = find_observed(reader, query, sessions, shown, choices)
        mixed = mixture(shown.values(), round(1000 * query.window), query.share)
    else:
        readings = find_readings(reader, query, sessions, stimuli)
        other_choices = []
        mixed = None
    means = _means(readings, query)
    in_states = [group for group in readings.groups if tested_state(group.state) is not None]
    used = [group for group in in_states if not (query.leave_out_flagged and group.doubtful)]
    by_state = _by_state(means)
    drifts = tuple(drift_of(kind, means) for kind in query.vital)
    return Analysis(
        query=query,
        sample=sample,
        sessions=sessions,
        means=means,
        summaries=tuple(
            _summary(means, kind, state) for kind in query.vital for state in TESTED_STATES
        ),
        family=_with_periods(_family(by_state, query, face, mixed), means, drifts),
        all_states=tuple(
            VitalStates(kind, compare_states([by_state[kind, state] for state in TESTED_STATES]))
            for kind in query.vital
        ),
        readings=sum(group.n for group in used),
        simulated_readings=sum(group.n for group in used if group.simulated),
        estimated_readings=sum(group.n for group in used if group.estimated),
        estimated_left_out=readings.estimated_left_out,
        flagged=sum(group.n for group in in_states if group.doubtful),
        other_states=count_states(readings.groups),
        matching=readings.matching,
        unreported=readings.unreported,
        orders=orders_of(stimuli),
        agreements=compare_sources(stimuli, shown_in(stimuli, shown, query.share)),
        variability=variability_by_state(find_beats(reader, query, sessions, stimuli, shown)),
        sensitivity=_sensitivity(query, dict(zip(choices, [readings, *other_choices], strict=True)))
        if other_choices
        else (),
        drifts=drifts,
        mixture=mixed,
    )


def _means(readings: StateReadings, query: AnalysisQuery) -> tuple[StateMean, ...]:
    return means_of(
        group for group in readings.groups if not (query.leave_out_flagged and group.doubtful)
    )


def _summary(means: Sequence[StateMean], kind: VitalKind, state: Emotion) -> StateSummary:
    """Describe one vital in one state over participants."""
    own = [mean for mean in means if mean.kind is kind and mean.state is state]
    summary = summarize([mean.mean for mean in own]) if own else None
    return StateSummary(kind, state, summary, sum(mean.readings for mean in own))


def _by_state(
    means: Iterable[StateMean],
) -> defaultdict[tuple[VitalKind, Emotion], dict[str, float]]:
    """Return for each vital and state participant → mean."""
    by_state: defaultdict[tuple[VitalKind, Emotion], dict[str, float]] = defaultdict(dict)
    for mean in means:
        by_state[mean.kind, mean.state][mean.participant] = mean.mean
    return by_state


def _sides(
    by_state: Mapping[tuple[VitalKind, Emotion], Mapping[str, float]], query: AnalysisQuery
) -> Iterator[tuple[Mapping[str, float], Mapping[str, float]]]:
    """Return for every vital the three pairs of states that are compared."""
    for kind in query.vital:
        for first, second in PAIRS:
            yield by_state.get((kind, first), {}), by_state.get((kind, second), {})


def _family(
    by_state: Mapping[tuple[VitalKind, Emotion], Mapping[str, float]],
    query: AnalysisQuery,
    face: FaceReading | None,
    mixed: Mixture | None,
) -> tuple[VitalComparison, ...]:
    wanted = [(kind, first, second) for kind in query.vital for first, second in PAIRS]
    pairs = zip(wanted, compare_family(_sides(by_state, query), query.design), strict=True)
    judged = [
        _judged(kind, first, second, comparison, query)
        for (kind, first, second), comparison in pairs
    ]
    lost = [misreading_of(query, one.first, one.second, face) for one in judged]
    strict = [
        (one.comparison, bounds_of(one.comparison, one.equivalence, misread))
        for one, misread in zip(judged, lost, strict=True)
    ]
    return tuple(
        replace(
            one, in_family=own and replace(own, doubt=doubt_of(misread, mixed)), misreading=misread
        )
        for one, own, misread in zip(judged, in_family(strict, query.correction), lost, strict=True)
    )


def _with_periods(
    family: Sequence[VitalComparison], means: Sequence[StateMean], drifts: Sequence[VitalDrift]
) -> tuple[VitalComparison, ...]:
    """Add what time in the session may have to do with each paired difference."""
    asked = [(test.kind, test.first, test.second, test.comparison) for test in family]
    effects = periods_of(asked, means, drifts, family[0].correction)
    return tuple(replace(test, period=own) for test, own in zip(family, effects, strict=True))


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


def _declared_choice(query: AnalysisQuery) -> MatchingChoice:
    """Return the window and the lags that were declared."""
    others = tuple((kind, query.lag_s(kind)) for kind in query.vital if kind.spec.option is None)
    return MatchingChoice(query.window, query.lag_heart_rate, query.lag_pressure, others)


def _settings(query: AnalysisQuery) -> tuple[MatchingChoice, ...]:
    """Return the declared setting and, for observed emotions where asked for, those around it."""
    chosen = _declared_choice(query)
    if not query.sensitivity or query.state is not StateBy.OBSERVED:
        return (chosen,)
    return tuple(dict.fromkeys((chosen, *choices_around(chosen))))


def _sensitivity(
    query: AnalysisQuery, readings: Mapping[MatchingChoice, StateReadings]
) -> tuple[Sensitivity, ...]:
    """Repeat the family under other windows and lags."""
    chosen = _declared_choice(query)

    def family(choice: MatchingChoice) -> tuple[Decision, ...]:
        return decide_family(
            _sides(_by_state(_means(readings[choice], query)), query), query.design
        )

    return sensitivity(chosen, choices_around(chosen), family)
