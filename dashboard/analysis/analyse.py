"""From the timeline to a family of tests and all that stands beside it: what page, API and command
show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TypeVar

from dashboard.analysis.agreement import compare_sources
from dashboard.analysis.checks import (
    FaceReading,
    PeriodEffect,
    VitalDrift,
    adjust_periods,
    bounds_of,
    count_left_out,
    doubt_of,
    drift_of,
    hides,
    misreading_of,
    orders_of,
    periods_of,
    tests_with_all,
)
from dashboard.analysis.comparison import Comparison, Decision, decision_of, evidence_of
from dashboard.analysis.family import compare_all_states, compare_visits, decide_groups, in_family
from dashboard.analysis.flow import Flow, flow_of, recorded_of
from dashboard.analysis.groups import (
    MissingState,
    VitalGroups,
    attribute_of,
    compare_groups,
    compare_missing,
)
from dashboard.analysis.heart import compare_heart, heart_values, variability_by_state
from dashboard.analysis.means import (
    Place,
    StateMean,
    Visits,
    find_baselines,
    less_baseline,
    session_means,
    state_means,
    times_of,
    visits_of,
    without_baseline,
)
from dashboard.analysis.mixed import ModelTest, VitalModel, main_analysis, models_of
from dashboard.analysis.readings import (
    StateReadings,
    count_states,
    find_beats,
    find_observed,
    find_readings,
)
from dashboard.analysis.request import AnalysisQuery, Outcome, Sample, StateBy, emotions_of
from dashboard.analysis.results import Analysis, StateSummary, VitalComparison, VitalStates
from dashboard.analysis.sensitivity import (
    MatchingChoice,
    Sensitivity,
    SettlingChoice,
    choices_around,
    matchings_of,
    sensitivity,
    settling_choices,
    settlings_of,
)
from dashboard.analysis.sites import sites_of
from dashboard.statistics.planning import still_needed
from dashboard.statistics.t_tests import Bounds, equivalence, summarize
from edge_agent.core.errors import StatisticsError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.matching import FaceLabels, Mixture, mixture
from edge_agent.store.read.observed import shown_in
from edge_agent.store.read.reader import Reader
from edge_agent.store.read.stimuli import Stimulus

C = TypeVar("C", MatchingChoice, SettlingChoice)


def analyse(
    reader: Reader,
    query: AnalysisQuery,
    face: FaceReading | None = None,
    prefer_sources: Sequence[str] = (),
) -> Analysis:
    """Read what the question asks for and test it.

    Args:
        reader: the timeline.
        query: the question.
        face: how often the classifier reads each state rightly, by its card; ``None`` where that is
            not known.
        prefer_sources: which source counts where several measured the same, the best first, where
            the question names none.

    Raises:
        StatisticsError: a session is asked for that does not exist, or a reading cannot be computed
            with.
        StoreError: the database cannot be read.
    """
    sessions = reader.session_list()
    if not query.prefer_source:
        query = query.model_copy(update={"prefer_source": tuple(prefer_sources)})
    if query.sample is not Sample.AUTO:
        chosen = chosen_sessions(sessions, query.sample, query.session)
        return _analysis_of(reader, query, query.sample, chosen, face)
    chosen = chosen_sessions(sessions, Sample.MEASURED, ())
    measured = _analysis_of(reader, query, Sample.MEASURED, chosen, face)
    example = chosen_sessions(sessions, Sample.EXAMPLE, ())
    if measured.means or not example:
        return measured
    return _analysis_of(reader, query, Sample.EXAMPLE, example, face)


def chosen_sessions(
    sessions: Sequence[Session], sample: Sample, ids: Sequence[int]
) -> tuple[Session, ...]:
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
            Message(
                N_("There is no session {missing}. Sessions: {known}{value}."),
                missing=missing[0],
                known=known,
                value=", …" if len(ordered) > 20 else "",
            )
        )
    return tuple(session for session in ordered if session.id in ids)


@dataclass(frozen=True, slots=True)
class Choices:
    """The readings under the declared choice, which comes first, and under those around it.

    Attributes:
        matched: by observed emotion; empty otherwise.
        settled: by condition or self-report; empty otherwise.
        mixture: how far windows hold several states; ``None`` without windows.
        without_baseline: sessions without a baseline, where a change is asked for.
        baselines: means at rest, where a change is asked for.
    """

    matched: dict[MatchingChoice, StateReadings]
    settled: dict[SettlingChoice, StateReadings]
    mixture: Mixture | None
    without_baseline: int
    baselines: Mapping[Place, float] = field(default_factory=dict)

    @property
    def declared(self) -> StateReadings:
        return next(iter((self.matched or self.settled).values()))


def read_choices(
    reader: Reader,
    query: AnalysisQuery,
    sessions: tuple[Session, ...],
    stimuli: Sequence[Stimulus],
    shown: Mapping[int, FaceLabels],
) -> Choices:
    """Read the vital signs once, under each choice; as changes where these are asked for."""
    matched: dict[MatchingChoice, StateReadings] = {}
    settled: dict[SettlingChoice, StateReadings] = {}
    mixed = None
    if query.state is StateBy.OBSERVED:
        matchings = matchings_of(query)
        every = find_observed(reader, query, sessions, shown, matchings)
        matched = dict(zip(matchings, every, strict=True))
        mixed = mixture(shown.values(), round(1000 * query.window), query.share)
    else:
        settlings = settlings_of(query)
        every = find_readings(reader, query, sessions, stimuli, settlings)
        settled = dict(zip(settlings, every, strict=True))
    if query.outcome is not Outcome.CHANGE:
        return Choices(matched, settled, mixed, 0)
    baselines = find_baselines(reader, query, sessions)
    return Choices(
        {choice: less_baseline(one, baselines) for choice, one in matched.items()},
        {choice: less_baseline(one, baselines) for choice, one in settled.items()},
        mixed,
        without_baseline(every[0], baselines),
        baselines,
    )


def _analysis_of(
    reader: Reader,
    query: AnalysisQuery,
    sample: Sample,
    sessions: tuple[Session, ...],
    face: FaceReading | None,
) -> Analysis:
    """Test the readings of the given sessions."""
    stimuli = reader.stimuli([session.id for session in sessions])
    shown = reader.face_labels(sessions)
    choices = read_choices(reader, query, sessions, stimuli, shown)
    readings = choices.declared
    beats = find_beats(reader, query, sessions, stimuli, shown)
    of_hearts = heart_values(beats, query)
    counted = readings.counting(query.counted)
    used = [group for group in counted if query.state_of(group.state) is not None]
    in_doubt = [group for group in readings.in_states() if group.doubtful]
    of_sessions = session_means(counted, query.states)
    means = state_means(of_sessions)
    visits = visits_of(of_sessions)
    drifts = tuple(drift_of(kind, means) for kind in query.vital)
    compared = compare_visits(visits, query)
    family = _family(compared, readings, query)
    sites = sites_of(reader)
    models = models_of(of_sessions, compared, query, sites)
    judged = _with_models(_with_faces(family, query, face, choices.mixture), models)
    left_out = count_left_out(readings, query)
    recorded = recorded_of(reader, query, sessions, stimuli, readings)
    flow = flow_of(recorded, query, readings, of_sessions, left_out, compared)
    return Analysis(
        query=query,
        sample=sample,
        sessions=sessions,
        means=means,
        summaries=tuple(
            _summary(means, kind, state) for kind in query.vital for state in query.states
        ),
        family=_with_periods(judged, query, times_of(of_sessions), drifts),
        all_states=tuple(
            VitalStates(kind, compare_all_states(visits, kind, query.states), len(query.states))
            for kind in query.vital
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
        left_out=left_out,
        settling=readings.settling,
        other_states=count_states(counted, query.states),
        matching=readings.matching,
        unreported=readings.unreported,
        orders=orders_of(stimuli, query.states),
        agreements=compare_sources(
            stimuli, shown_in(stimuli, shown, query.share), emotions_of(query.states)
        ),
        variability=variability_by_state(beats, query.states),
        sensitivity=_sensitivity(query, compared, choices.matched, choices_around),
        settling_sensitivity=_sensitivity(query, compared, choices.settled, settling_choices),
        drifts=drifts,
        mixture=choices.mixture,
        models=models,
        main=main_analysis(models, compared, query.design, query.states),
        flow=flow,
        missing=_missing(reader, query, sessions, means, flow),
        passed_over=readings.passed_over,
        heart_tests=compare_heart(of_hearts, query),
        heart_values=of_hearts.values,
        session_means=tuple(of_sessions),
        baselines=choices.baselines,
        without_baseline=choices.without_baseline,
        groups=_groups(reader, visits, query),
        sites=sites,
    )


def _missing(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    means: Sequence[StateMean],
    flow: Flow,
) -> tuple[MissingState, ...]:
    """Compare who lacks a state with who has it; read what they were at rest where there are such
    people.
    """
    if not flow.missing:
        return ()
    person = {session.id: session.participant for session in sessions}
    at_rest: defaultdict[tuple[VitalKind, str], list[float]] = defaultdict(list)
    for (session, kind, _), value in find_baselines(reader, query, sessions).items():
        at_rest[kind, person[session]].append(value)
    return compare_missing(
        flow.missing,
        means,
        {place: fmean(values) for place, values in at_rest.items()},
        changes=query.outcome is Outcome.CHANGE,
    )


def _groups(reader: Reader, visits: Visits, query: AnalysisQuery) -> tuple[VitalGroups, ...]:
    """Compare groups of people, where an attribute is asked for."""
    if query.group is None:
        return ()
    return compare_groups(visits, attribute_of(reader.attributes(), query.group), query)


def _summary(means: Sequence[StateMean], kind: VitalKind, state: str) -> StateSummary:
    """Describe one vital in one state over participants."""
    own = [mean for mean in means if mean.kind is kind and mean.state == state]
    summary = summarize([mean.mean for mean in own]) if own else None
    return StateSummary(kind, state, summary, sum(mean.readings for mean in own))


def _family(
    family: Sequence[Comparison], readings: StateReadings, query: AnalysisQuery
) -> tuple[VitalComparison, ...]:
    wanted = [(kind, first, second) for kind in query.vital for first, second in query.pairs]
    with_all = tests_with_all(readings, query, family) or [None] * len(wanted)
    return tuple(
        replace(judged(*names, comparison, query), with_all=one)
        for names, comparison, one in zip(wanted, family, with_all, strict=True)
    )


def _with_faces(
    family: Sequence[VitalComparison],
    query: AnalysisQuery,
    face: FaceReading | None,
    mixed: Mixture | None,
) -> tuple[VitalComparison, ...]:
    """Add what the families make of the numbers beside the t-tests, and what misread faces do."""
    lost = [misreading_of(query, one.first, one.second, face) for one in family]
    strict = [
        (one.comparison, bounds_of(one.comparison, one.equivalence, misread))
        for one, misread in zip(family, lost, strict=True)
    ]
    decided = in_family(strict, query.correction, query.families)
    return tuple(
        replace(
            one, in_family=own and replace(own, doubt=doubt_of(misread, mixed)), misreading=misread
        )
        for one, own, misread in zip(family, decided, lost, strict=True)
    )


def _with_models(
    family: Sequence[VitalComparison], models: Sequence[VitalModel]
) -> tuple[VitalComparison, ...]:
    """Add what the model makes of each pair of states, and the evidence of the t-tests."""
    by_name: dict[tuple[VitalKind, str, str], ModelTest] = {
        (test.kind, test.first, test.second): test for model in models for test in model.tests
    }
    return tuple(
        replace(
            one,
            by_model=by_name.get((one.kind, one.first, one.second)),
            evidence=evidence_of(one.comparison),
        )
        for one in family
    )


def _with_periods(
    family: Sequence[VitalComparison],
    query: AnalysisQuery,
    times: Visits,
    drifts: Sequence[VitalDrift],
) -> tuple[VitalComparison, ...]:
    """Add what time in the session may have to do with each paired difference, and call none
    excluded that it may hide.
    """
    pairs = [(test.kind, test.first, test.second, test.comparison) for test in family]
    effects = adjust_periods(periods_of(pairs, times, drifts), query.correction, query.families)
    return tuple(_timed(test, own) for test, own in zip(family, effects, strict=True))


def _timed(test: VitalComparison, effect: PeriodEffect | None) -> VitalComparison:
    own = test.in_family
    bounds = bounds_of(test.comparison, test.equivalence, test.misreading)
    if own is not None and bounds is not None and not own.doubt:
        own = replace(own, doubt=hides(effect, bounds.bounds.high))
    return replace(test, period=effect, in_family=own)


def judged(
    kind: VitalKind, first: str, second: str, comparison: Comparison, query: AnalysisQuery
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


def _sensitivity(
    query: AnalysisQuery,
    declared: Sequence[Comparison],
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
        if choice == chosen:
            return tuple(decision_of(comparison) for comparison in declared)
        return decide_groups(readings[choice].counting(query.counted), query)

    return sensitivity(chosen, around(chosen), family)
