"""From the timeline to a family of tests and all that stands beside it: what page, API and command
show.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from dashboard.analysis.choices import (
    MatchingChoice,
    SettlingChoice,
    choices_around,
    matchings_of,
    settling_choices,
    settlings_of,
)
from dashboard.analysis.decision import TwoStates, comparison_model, decide_measures
from dashboard.analysis.inference.agreement import compare_sources
from dashboard.analysis.inference.checks import (
    FaceReading,
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
from dashboard.analysis.inference.comparison import (
    Comparison,
    Decision,
    decision_of,
    equivalence_of,
)
from dashboard.analysis.inference.family import (
    adjusted_by,
    compare_all_states,
    compare_visits,
    decide_groups,
    in_family,
)
from dashboard.analysis.inference.flow import flow_of
from dashboard.analysis.inference.groups import (
    MissingState,
    attribute_of,
    compare_groups,
    compare_missing,
    in_group_tests,
)
from dashboard.analysis.inference.heart import recordings_of, variability_by_state
from dashboard.analysis.inference.loss import (
    Seconds,
    losses_in_states,
    losses_of_beats,
    losses_of_skin,
    seconds_of,
    with_losses,
)
from dashboard.analysis.inference.measures import MeasuredValue, compare_measures, measured_values
from dashboard.analysis.inference.mixed import Main, VitalPair, main_analysis, mixed_models_of
from dashboard.analysis.inference.neighbours import neighbours
from dashboard.analysis.inference.sensitivity import C, S, sensitivity, without_own_neutral
from dashboard.analysis.inference.skin import skin_by_state, skin_times
from dashboard.analysis.inference.spread import Spread, spread_of
from dashboard.analysis.query import (
    AnalysisQuery,
    HeartMeasure,
    Outcome,
    Sample,
    SkinMeasure,
    StateBy,
    answer_of_sample,
    emotions_of,
    same_label,
)
from dashboard.analysis.readings.means import (
    Place,
    SessionMean,
    StateMean,
    Visits,
    at_equal_times,
    find_baselines,
    less_baseline,
    place_visits_of,
    session_means,
    state_means,
    times_of,
    visits_of,
    without_baseline,
)
from dashboard.analysis.readings.places import places_of, with_places
from dashboard.analysis.readings.recorded import read_recorded
from dashboard.analysis.readings.sites import sites_of
from dashboard.analysis.readings.states import (
    ReadingGroup,
    StateReadings,
    count_states,
    find_beats,
    find_observed,
    find_readings,
    find_shown,
    find_skin_conductance,
)
from dashboard.analysis.results import (
    AllStatesModel,
    AnalysisModel,
    ComparisonModel,
    DriftModel,
    FlowModel,
    HeartTestModel,
    MatchModel,
    MeanModel,
    ModelTestModel,
    NeighboursModel,
    PeriodModel,
    PlainLabelsModel,
    SensitivityModel,
    SettlingSensitivityModel,
    SkinTestModel,
    StateModel,
    VitalGroupsModel,
    VitalModelModel,
    WithAllModel,
)
from dashboard.statistics.t_tests import summarize
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.measures import ExpressionKind, Measure, MovementKind, probability_of
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.matching import FaceLabels, Mixture, mixture
from edge_agent.timeline.read.measured import FOREVER_MS
from edge_agent.timeline.read.observed import emotions_in, shown_in
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.read.session_reader import ReadingCount
from edge_agent.timeline.read.stimuli import PieceSums, Stimulus
from edge_agent.timeline.study.exclusions import Exclusion
from edge_agent.timeline.study.own_neutral import OwnNeutral

if TYPE_CHECKING:
    from edge_agent.timeline.read.matching import Integers

_OWN = "own"
"""Stands, in a check of the stimuli, for the one that is called after the measure's emotion."""


AnyTest = ComparisonModel | HeartTestModel | SkinTestModel


@dataclass(frozen=True, slots=True)
class Family:
    """Tests whose p values are adjusted together; ``name`` is empty where none is declared."""

    name: str
    tests: tuple[AnyTest, ...]

    @property
    def computed(self) -> int:
        """Number of tests that have numbers."""
        return sum(test.adjusted_p is not None for test in self.tests)


@dataclass(frozen=True, slots=True)
class StimuliCheck:
    """The tests whether each stimulus that is called after an emotion raised its probability.

    Attributes:
        query: what they ask; its second state stands for the emotion of each measure.
        family: of each emotion its stimulus against neutral.
        models: the mixed model of each probability.
        periods: of each paired test what time in the session may have to do with it.
        main: which analysis is the main one.
    """

    query: AnalysisQuery
    family: tuple[ComparisonModel, ...]
    models: tuple[VitalModelModel, ...]
    periods: tuple[PeriodModel, ...]
    main: Main


@dataclass(frozen=True, slots=True)
class Analysis:
    """The answer before it is put into words, and what it was computed from, as far as pictures,
    tables and cautions need it.

    Attributes:
        answer: every number that programs get; its texts are empty.
        sessions: those that were looked at.
        means: what the values that were tested come to for each participant and state.
        orders: how many participants saw the tested states in which order, the commonest first.
        mixture: with observed emotions, how far the windows hold more than one state.
        missing: in what those who lack a state differ from the others.
        passed_over: readings in the three states whose source is not the one of the session.
        without_baseline: sessions without a baseline of a vital, where a change is asked for.
        heart_values: what the tests of the beats compare.
        skin_values: what the tests of the responses of skin conductance compare.
        session_means: of each session and state, which models and tests start from.
        baselines: mean at rest, where a change is asked for.
        sites: where each participant was measured; empty where that is one site.
        programs: of the movements in the means, how many people each program's are of.
        reading_changed_ms: when the model that reads faces, or its prior, changed last between
            these sessions, where the result depends on faces; ``None``: it did not.
        stimuli_check: by condition, whether the stimuli raised their own emotion on the face.
    """

    answer: AnalysisModel
    sessions: tuple[Session, ...]
    means: tuple[StateMean, ...]
    orders: Mapping[tuple[str, ...], int]
    mixture: Mixture | None
    missing: tuple[MissingState, ...]
    passed_over: tuple[ReadingGroup, ...]
    without_baseline: int
    heart_values: tuple[MeasuredValue[HeartMeasure], ...]
    skin_values: tuple[MeasuredValue[SkinMeasure], ...]
    session_means: tuple[SessionMean, ...]
    baselines: Mapping[Place, float]
    sites: Mapping[str, str]
    programs: Mapping[str, int]
    reading_changed_ms: int | None
    stimuli_check: StimuliCheck | None

    @property
    def participants(self) -> tuple[str, ...]:
        """Codes of the participants who have a mean, sorted."""
        return tuple(sorted({mean.participant for mean in self.means}))

    def spreads(self, kind: Measure) -> dict[str, Spread | None]:
        """Return how the means of the participants are spread in each state."""
        own = [mean for mean in self.means if mean.kind is kind]
        return {
            state: spread_of(mean.mean for mean in own if mean.state == state)
            for state in self.answer.question.states
        }

    @property
    def families(self) -> tuple[Family, ...]:
        """The declared families and what is left; nothing where none is declared."""
        query = self.answer.question
        declared = query.family
        if not declared:
            return ()
        members: defaultdict[tuple[bool, int], list[AnyTest]] = defaultdict(list)
        # What no family names is three families: vitals, heartbeat, skin conductance.
        kinds: tuple[Sequence[AnyTest], ...] = (
            self.answer.comparisons,
            self.answer.heart_tests,
            self.answer.skin_tests,
        )
        for kind, tests in enumerate(kinds):
            for test in tests:
                what = test.vital if isinstance(test, ComparisonModel) else test.measure
                place = query.family_of(what, test.first, test.second)
                members[place < 0, kind if place < 0 else place].append(test)
        return tuple(
            Family("" if undeclared else declared[place], tuple(members[undeclared, place]))
            for undeclared, place in sorted(members)
        )


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
    query = query.preferring(prefer_sources)

    def answer(sample: Sample, sessions: tuple[Session, ...]) -> Analysis:
        return _analyse_sessions(reader, query, sample, sessions, face)

    with reader.at_one_moment():
        return answer_of_sample(query, reader.session_list(), answer, lambda one: bool(one.means))


@dataclass(frozen=True, slots=True)
class Choices:
    """The readings under the declared choice, which comes first, and under those around it.

    Attributes:
        matched: by observed emotion; empty otherwise.
        settled: by condition or self-report; empty otherwise.
        mixture: how far windows hold several states; ``None`` without windows.
        without_baseline: sessions without a baseline, where a change is asked for.
        baselines: means at rest, where a change is asked for.
        levels: the readings before a baseline was taken away, in the same order.
    """

    matched: dict[MatchingChoice, StateReadings]
    settled: dict[SettlingChoice, StateReadings]
    mixture: Mixture | None
    without_baseline: int
    baselines: Mapping[Place, float] = field(default_factory=dict)
    levels: tuple[StateReadings, ...] = ()

    @property
    def declared(self) -> StateReadings:
        # Dicts keep their order, and the declared choice was put in first.
        return next(iter((self.matched or self.settled).values()))

    def neighbours(
        self, query: AnalysisQuery, sessions: Iterable[Session]
    ) -> tuple[NeighboursModel, ...]:
        """Return each comparison under all choices and sources, not tested.

        Where all times are made up, nothing settles: only sources differ.
        """
        choices: tuple[MatchingChoice | SettlingChoice, ...] = (*self.matched, *self.settled)
        tried = list(zip(choices, self.levels, strict=True))
        if all(one.has_made_up_times for one in sessions):
            tried = tried[:1]
        return neighbours(query, tried, self.baselines)


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
        # The first of them is the declared one, here and in ``settlings_of``.
        matchings = matchings_of(query)
        every = find_observed(reader, query, sessions, shown, matchings)
        matched = dict(zip(matchings, every, strict=True))
        mixed = mixture(shown.values(), round(1000 * query.window), query.share)
    else:
        settlings = settlings_of(query)
        every = find_readings(reader, query, sessions, stimuli, settlings)
        settled = dict(zip(settlings, every, strict=True))
    if query.outcome is not Outcome.CHANGE:
        return Choices(matched, settled, mixed, 0, levels=tuple(every))
    baselines = find_baselines(reader, query, sessions)
    return Choices(
        {choice: less_baseline(one, baselines) for choice, one in matched.items()},
        {choice: less_baseline(one, baselines) for choice, one in settled.items()},
        mixed,
        # Of the declared choice, which comes first: the others only stand beside it.
        without_baseline(every[0], baselines),
        baselines,
        tuple(every),
    )


def _analyse_sessions(
    reader: Reader,
    query: AnalysisQuery,
    sample: Sample,
    sessions: tuple[Session, ...],
    face: FaceReading | None,
) -> Analysis:
    """Test the readings of the given sessions, but those that somebody left out."""
    numbers = {session.id for session in sessions}
    excluded = [one for one in reader.exclusions() if one.session in numbers]
    sessions = tuple(session for session in sessions if session.left_out != "whole")
    stimuli = reader.stimuli([session.id for session in sessions])
    by_face = query.state is StateBy.OBSERVED
    shown = reader.face_labels(sessions) if by_face else {}
    choices = read_choices(reader, query, sessions, stimuli, shown)
    readings = choices.declared
    matched = readings.matching
    beats = recordings_of(find_beats(reader, query, sessions, stimuli, shown), query.states)
    starts = {session.id: session.start_ms for session in sessions}
    of_hearts = measured_values(beats, query.heart_measure, starts)
    skin = skin_times(find_skin_conductance(reader, query, sessions, stimuli, shown), query)
    of_skin = measured_values(skin, query.skin_measure, starts)
    counted = readings.counting(query.counted)
    used = [group for group in counted if query.state_of(group.state) is not None]
    in_doubt = [group for group in readings.in_states() if group.doubtful]
    made_up = {session.id for session in sessions if session.has_made_up_times}
    # Nothing is read from times that were never measured: no course, no order, no settling.
    is_timed = len(made_up) < len(sessions)
    sites = sites_of(reader)
    check = _question_of_check(query, stimuli)
    faces = None if by_face else _read_shown(reader, check, stimuli)
    met = reader.stimuli([session.id for session in sessions], with_left_out=True)
    places = places_of(met, query.states, query.state, made_up=made_up)
    measured = with_places(session_means(counted, query.states), places)
    tested = _test(query, measured, sites, is_timed=is_timed)
    of_sessions, means, visits = tested.of_sessions, tested.means, tested.visits
    compared = tested.compared
    own = reader.own_neutrals()
    calibrated = tuple(
        one.id for one in sessions if one.id in own and own[one.id].applied is not None
    )
    with_all = tests_with_all(readings, query, compared)
    lasted: Seconds = {}
    untested = _untested_stretches(excluded, own)
    if not by_face:
        timed = (*query.vital, VitalKind.RR_INTERVAL)
        at_known_times = [one for one in stimuli if one.session not in made_up]
        lasted = seconds_of(at_known_times, query, timed, untested, FOREVER_MS)
    lost = losses_in_states(readings.groups, query, lasted)
    family = with_losses(
        _decide_family(query, tested, with_all, face, choices.mixture),
        lambda one: lost.get(one.vital, {}),
    )
    lost_beats = losses_of_beats(beats, query, lasted)
    lost_skin = losses_of_skin(skin, query)
    left_out = count_left_out(readings, query)
    recorded = read_recorded(reader, query, sessions, stimuli, readings, excluded)
    groups = _groups(reader, visits, query)
    flow = flow_of(recorded, query, readings, of_sessions, left_out, compared).model_copy(
        update={"groups": tuple(map(in_group_tests, groups))}
    )
    orders = orders_of((one for one in stimuli if one.session not in made_up), query.states)
    mixed = choices.mixture
    answer = AnalysisModel(
        question=query,
        sample=sample,
        sessions=tuple(session.id for session in sessions),
        participants=len({mean.participant for mean in means}),
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
        matching=None if matched is None else MatchModel.model_validate(matched),
        unreported=readings.unreported,
        orders={"-".join(order): count for order, count in orders.items()},
        tests_computed=sum(test.adjusted_p is not None for test in family),
        comparisons=family,
        not_measured=_vitals_without_readings(query, recorded.counts),
        all_states=all_states_of(visits, tested.effects, query),
        states=tuple(
            _summary(means, kind, state) for kind in query.vital for state in query.states
        ),
        means=tuple(map(MeanModel.model_validate, means)),
        agreements=compare_sources(
            stimuli,
            emotions_in(faces[1], query.share) if faces else shown_in(stimuli, shown, query.share),
            emotions_of(query.states),
        ),
        variability=variability_by_state(beats, query.states),
        heart_tests=with_losses(
            decide_measures(
                HeartTestModel,
                compare_measures(of_hearts, query, places, is_timed=is_timed),
                query,
                face,
            ),
            lambda _: lost_beats,
        ),
        skin=skin_by_state(skin, query.states),
        skin_tests=with_losses(
            decide_measures(
                SkinTestModel,
                compare_measures(of_skin, query, places, is_timed=is_timed),
                query,
                face,
            ),
            lambda _: lost_skin,
        ),
        sensitivity=_sensitivity(
            SensitivityModel, query, compared, choices.matched, choices_around
        ),
        settling_sensitivity=_sensitivity(
            SettlingSensitivityModel,
            query,
            compared,
            choices.settled if is_timed else {},
            settling_choices,
        ),
        neighbours=choices.neighbours(query, sessions) if query.sensitivity else (),
        own_neutral_sessions=calibrated,
        without_own_neutral=_without_own_neutral(
            reader, query, sessions if calibrated else (), compared, choices.baselines
        ),
        families=(),
        groups=groups,
        preregistration=None,
        mixed_windows=mixed.mixed / mixed.windows if mixed and mixed.windows else None,
        drifts=tested.drifts if is_timed else (),
        periods=tested.periods,
        main=tested.main.value,
        main_reason="",
        models=tested.models,
        flow=flow,
        warnings=(),
        warning_codes=(),
        cautions=(),
        caution_codes=(),
        assumptions=(),
        method=(),
    )
    return Analysis(
        answer=answer,
        sessions=sessions,
        means=means,
        orders=orders,
        mixture=mixed,
        missing=_missing(reader, query, sessions, means, flow, choices.baselines),
        passed_over=readings.passed_over,
        without_baseline=choices.without_baseline,
        heart_values=of_hearts.values,
        skin_values=of_skin.values,
        session_means=of_sessions,
        baselines=choices.baselines,
        sites=sites,
        programs=_programs(used),
        reading_changed_ms=_reading_changed(reader, query, sessions),
        stimuli_check=_check_stimuli(
            check, faces[0], _Met(sessions, stimuli, met, sites, untested, is_timed)
        )
        if check and faces
        else None,
    )


def read_neighbours(
    reader: Reader, query: AnalysisQuery, sessions: tuple[Session, ...]
) -> tuple[NeighboursModel, ...]:
    """Read what the difference of each comparison comes to under other choices, and nothing else.

    Args:
        reader: the timeline.
        query: the question, with the sources that count.
        sessions: those that are analysed.

    Raises:
        StatisticsError: a reading cannot be computed with.
        StoreError: the database cannot be read.
    """
    query = query.model_copy(update={"sensitivity": True})
    with reader.at_one_moment():
        stimuli = reader.stimuli([session.id for session in sessions])
        shown = reader.face_labels(sessions) if query.state is StateBy.OBSERVED else {}
        return read_choices(reader, query, sessions, stimuli, shown).neighbours(query, sessions)


@dataclass(frozen=True, slots=True)
class _Tested:
    """The analyses of the means of a question, before anything is decided of them.

    Attributes:
        of_sessions: the means that were tested, by observed emotion at one time in each session.
        means: the same of each participant.
        visits: the same of each session of each participant.
        compared: the t-tests.
        drifts: how each vital changes while a session lasts.
        effects: what time in the session has to do with each test.
        models: the mixed model of each vital.
        by_model: its tests.
        main: which analysis is the main one.
    """

    of_sessions: tuple[SessionMean, ...]
    means: tuple[StateMean, ...]
    visits: Visits
    compared: tuple[Comparison, ...]
    drifts: tuple[DriftModel, ...]
    effects: tuple[PeriodModel | None, ...]
    models: tuple[VitalModelModel, ...]
    by_model: Mapping[VitalPair, ModelTestModel]
    main: Main

    @property
    def periods(self) -> tuple[PeriodModel, ...]:
        """Effects of time on those tests that there are."""
        return tuple(effect for effect in self.effects if effect is not None)


@dataclass(frozen=True, slots=True)
class _Met:
    """The sessions that are looked at, and the stimuli in them.

    Attributes:
        sessions: those sessions.
        stimuli: those that count.
        every: with those that somebody left out.
        sites: where each participant was measured.
        untested: by session the stretches that are in no test.
        is_timed: whether any time was measured.
    """

    sessions: Sequence[Session]
    stimuli: Sequence[Stimulus]
    every: Sequence[Stimulus]
    sites: Mapping[str, str]
    untested: Mapping[int, Sequence[tuple[int, int]]]
    is_timed: bool

    @property
    def made_up(self) -> set[int]:
        """Sessions whose times nobody measured."""
        return {one.id for one in self.sessions if one.has_made_up_times}


def _vitals_without_readings(
    query: AnalysisQuery, counts: Iterable[ReadingCount]
) -> tuple[Measure, ...]:
    """Return the vitals without any reading, none of them where there is no reading at all; those
    that a declared family names are tests that somebody decided on.
    """
    recorded = {one.kind for one in counts}
    declared = {
        kind for kind in query.vital for pair in query.pairs if query.family_of(kind, *pair) >= 0
    }
    absent = tuple(
        kind
        for kind in query.vital
        if isinstance(kind, VitalKind) and kind not in recorded and kind not in declared
    )
    return absent if len(absent) < len(query.vital) else ()


def _untested_stretches(
    excluded: Iterable[Exclusion], own: Mapping[int, OwnNeutral]
) -> dict[int, list[tuple[int, int]]]:
    """Return by session the stretches that are in no test, in order."""
    spans: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for exclusion in excluded:
        if exclusion.span is not None:
            spans[exclusion.session].append(exclusion.span)
    for number, one in own.items():
        if one.applied is not None and one.baseline is not None:
            spans[number].append(one.baseline)
    return {number: sorted(own_spans) for number, own_spans in spans.items()}


def _test(
    query: AnalysisQuery,
    measured: tuple[SessionMean, ...],
    sites: Mapping[str, str],
    *,
    is_timed: bool,
    only_main: bool = False,
) -> _Tested:
    """Test the means of sessions by each analysis; ``only_main`` as in ``mixed_models_of``."""
    of_sessions = at_equal_times(measured)
    means = state_means(of_sessions)
    visits = visits_of(of_sessions)
    # The drift is what was measured: of means at one time none is left.
    course = means if of_sessions == measured else state_means(measured)
    drifts = tuple(drift_of(kind, course) for kind in query.vital)
    compared = compare_visits(visits, query)
    models, by_model = mixed_models_of(of_sessions, compared, query, sites, only_main=only_main)
    places = place_visits_of(of_sessions)
    effects = periods_of(compared, times_of(of_sessions), places, drifts, query)
    if not is_timed:
        effects = (None,) * len(effects)
    main = main_analysis(models, by_model, compared, query.design, query.states)
    return _Tested(of_sessions, means, visits, compared, drifts, effects, models, by_model, main)


def _question_of_check(query: AnalysisQuery, stimuli: Sequence[Stimulus]) -> AnalysisQuery | None:
    """Return what the check of the stimuli asks; ``None`` by other states than conditions, or
    where no stimulus is called after an emotion, or none neutral.
    """
    labels = {same_label(one.condition) for one in stimuli}
    emotions = [one for one in EMOTIONS if one in labels and one is not Emotion.NEUTRAL]
    if query.state is not StateBy.CONDITION or not emotions or Emotion.NEUTRAL not in labels:
        return None
    return query.model_copy(
        update={
            "vital": tuple(probability_of(one) for one in emotions),
            "states": (Emotion.NEUTRAL, _OWN),
            "family": (),
            "sensitivity": False,
            "outcome": Outcome.LEVEL,
            "settling_other": None,
        }
    )


def _read_shown(
    reader: Reader, check: AnalysisQuery | None, stimuli: Sequence[Stimulus]
) -> tuple[PieceSums, Integers]:
    """Return what the faces in the stimuli showed, with the sums that a check of them asks for."""
    if check is None:
        return reader.shown_sums(stimuli)
    kinds = [kind for kind in check.vital if isinstance(kind, ExpressionKind)]
    (choice,) = settlings_of(check)
    return reader.shown_sums(stimuli, kinds, {choice.settling_ms(kind) for kind in kinds})


def _check_stimuli(question: AnalysisQuery, faces: PieceSums, met: _Met) -> StimuliCheck | None:
    """Test whether each stimulus that is called after an emotion raised its probability on the
    face above that in neutral; ``None`` without faces.

    Of each such probability the stimulus is called alike here, so that these tests are the ones of
    two states of as many measures: a family of their own, decided as every family is.
    """
    (choice,) = settlings_of(question)
    readings = find_shown(faces, question, met.sessions, met.stimuli, choice)
    groups = [
        replace(group, state=_OWN if label == group.kind else Emotion.NEUTRAL)
        for group in readings.groups
        if (label := same_label(group.state)) in (group.kind, Emotion.NEUTRAL)
    ]
    labels = tuple(str(one) for one in (Emotion.NEUTRAL, *question.vital))
    means = with_places(
        session_means(groups, question.states),
        places_of(met.every, labels, made_up=met.made_up),
        lambda mean: str(mean.kind) if mean.state == _OWN else mean.state,
    )
    tested = _test(question, means, met.sites, is_timed=met.is_timed, only_main=True)
    if all(comparison.tests is None for comparison in tested.compared):
        return None
    lost = losses_in_states(groups, question, _lasting(question, met))
    family = with_losses(_decide_family(question, tested, ()), lambda one: lost.get(one.vital, {}))
    named = [{"first": str(kind), "second": str(Emotion.NEUTRAL)} for kind in question.vital]
    return StimuliCheck(
        query=question,
        family=tuple(
            test.model_copy(update=names) for test, names in zip(family, named, strict=True)
        ),
        models=tested.models,
        periods=tuple(
            effect.model_copy(update=names)
            for effect, names in zip(tested.effects, named, strict=True)
            if effect is not None
        ),
        main=tested.main,
    )


def _lasting(question: AnalysisQuery, met: _Met) -> Seconds:
    """Return how long the stimuli of a check lasted, that of each probability and the neutral one.

    Of made-up times none is known.
    """
    of_labels = question.model_copy(update={"states": (Emotion.NEUTRAL, *question.vital)})
    made_up = met.made_up
    measured = [one for one in met.stimuli if one.session not in made_up]
    lasted = seconds_of(measured, of_labels, question.vital, met.untested, FOREVER_MS)
    return {
        (session, _OWN if label == kind else label, kind): seconds
        for (session, label, kind), seconds in lasted.items()
        if label in (kind, Emotion.NEUTRAL)
    }


def _without_own_neutral(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    compared: Sequence[Comparison],
    baselines: Mapping[Place, float],
) -> tuple[PlainLabelsModel, ...]:
    """Repeat the t-tests by observed emotions with the labels as they were read."""
    if query.state is not StateBy.OBSERVED or not sessions:
        return ()
    plain = reader.face_labels(sessions, plain=True)
    (readings,) = find_observed(reader, query, sessions, plain, matchings_of(query)[:1])
    if query.outcome is Outcome.CHANGE:
        readings = less_baseline(readings, baselines)
    return without_own_neutral(
        _compared_pairs(query),
        [decision_of(comparison) for comparison in compared],
        decide_groups(readings.counting(query.counted), query),
        query.correction,
    )


def _reading_changed(
    reader: Reader, query: AnalysisQuery, sessions: Sequence[Session]
) -> int | None:
    """Return when another model or prior began to read faces between sessions that need them."""
    is_shown = any(isinstance(kind, ExpressionKind) for kind in query.vital)
    kinds = ["expression"] if is_shown or query.state is StateBy.OBSERVED else []
    if any(isinstance(kind, MovementKind) for kind in query.vital):
        kinds.append("face-movements")
    if not kinds or not sessions:
        return None
    start = min(one.start_ms for one in sessions)
    ends = [FOREVER_MS if one.end_ms is None else one.end_ms for one in sessions]
    return reader.reading_changed(start, max(ends), kinds)


def all_states_of(
    visits: Visits, effects: Sequence[PeriodModel | None], query: AnalysisQuery
) -> tuple[AllStatesModel, ...]:
    """Compare all states of each vital at once, with p adjusted over the vitals.

    Args:
        visits: of each vital and participant the means of each session, by state.
        effects: of each vital and pair what time in the session may have to do with it.
        query: vitals, states and correction.
    """
    every = [compare_all_states(visits, kind, query.states) for kind in query.vital]
    adjusted = adjusted_by(query.correction, [one.p for one in every])
    pairs = len(query.pairs)
    return tuple(
        one.model_copy(
            update={
                "adjusted_p": p,
                # The test ignores time, so nothing is concluded where that may matter in any pair.
                "uneven": any(
                    effect is None or effect.uneven
                    for effect in effects[place * pairs : (place + 1) * pairs]
                ),
            }
        )
        for place, (one, p) in enumerate(zip(every, adjusted, strict=True))
    )


def _programs(used: Iterable[ReadingGroup]) -> dict[str, int]:
    """Count the people whose movements of the face each program read."""
    moved = {(one.source, one.participant) for one in used if isinstance(one.kind, MovementKind)}
    return dict(sorted(Counter(source for source, _ in moved).items()))


def _missing(
    reader: Reader,
    query: AnalysisQuery,
    sessions: Sequence[Session],
    means: Sequence[StateMean],
    flow: FlowModel,
    baselines: Mapping[Place, float],
) -> tuple[MissingState, ...]:
    """Compare who lacks a state with who has it; read what they were at rest where there are such
    people, unless a change from it was asked for and it is read already.
    """
    if not flow.missing:
        return ()
    if query.outcome is not Outcome.CHANGE:
        baselines = find_baselines(reader, query, sessions)
    person = {session.id: session.participant for session in sessions}
    at_rest: defaultdict[tuple[Measure, str], list[float]] = defaultdict(list)
    # Averaged over the sessions below: one value a person, as everywhere.
    for (session, kind, _), value in baselines.items():
        at_rest[kind, person[session]].append(value)
    return compare_missing(
        flow.missing,
        means,
        {place: fmean(values) for place, values in at_rest.items()},
        changes=query.outcome is Outcome.CHANGE,
    )


def _groups(reader: Reader, visits: Visits, query: AnalysisQuery) -> tuple[VitalGroupsModel, ...]:
    """Compare groups of people, where an attribute is asked for."""
    if query.group is None:
        return ()
    return compare_groups(visits, attribute_of(reader.attributes(), query.group), query)


def _summary(means: Sequence[StateMean], kind: Measure, state: str) -> StateModel:
    """Describe one vital in one state over participants."""
    own = [mean for mean in means if mean.kind is kind and mean.state == state]
    values = [mean.mean for mean in own]
    summary = summarize(values) if values else None
    return StateModel(
        vital=kind,
        state=state,
        n=len(own),
        readings=sum(mean.readings for mean in own),
        mean=summary and summary.mean,
        sd=summary and summary.sd,
        interval=summary and summary.interval,
        median=median(values) if values else None,
        minimum=min(values, default=None),
        maximum=max(values, default=None),
    )


def _compared_pairs(query: AnalysisQuery) -> list[VitalPair]:
    return [(kind, first, second) for kind in query.vital for first, second in query.pairs]


def _decide_family(
    query: AnalysisQuery,
    tests: _Tested,
    with_all: Sequence[WithAllModel],
    face: FaceReading | None = None,
    mixed: Mixture | None = None,
) -> Iterator[ComparisonModel]:
    """Yield each comparison of the family with its results; without sentences.

    No difference is called excluded that misread faces, mixed windows or time in the session may
    hide.
    """
    pairs = _compared_pairs(query)
    compared = tests.compared
    model_of = {model.vital: model for model in tests.models}
    misread = [misreading_of(query, first, second, face) for _, first, second in pairs]
    declared = [
        equivalence_of(comparison, query.bound(kind))
        for (kind, _, _), comparison in zip(pairs, compared, strict=True)
    ]
    strict = list(map(bounds_of, compared, declared, misread))
    of_family = in_family(zip(compared, strict, strict=True), query.correction, query.families)
    for place, (pair, comparison) in enumerate(zip(pairs, compared, strict=True)):
        bounds = strict[place]
        effect = tests.effects[place]
        doubt = doubt_of(misread[place], mixed)
        # One doubt is enough; time is asked only where faces leave none.
        if not doubt and bounds is not None:
            doubt = hides(effect, bounds.bounds.high)
        own = of_family[place]
        of = TwoStates(
            comparison,
            misread[place],
            effect,
            model_of[pair[0]],
            tests.by_model.get(pair),
            declared[place],
            own and replace(own, doubt=doubt),
            # Nothing stands beside the tests where no reading is in doubt.
            with_all[place] if with_all else None,
        )
        yield comparison_model(pair, of, query, tests.main)


def _sensitivity(
    table: type[S],
    query: AnalysisQuery,
    declared: Sequence[Comparison],
    readings: Mapping[C, StateReadings],
    around: Callable[[C], Iterable[C]],
) -> tuple[S, ...]:
    """Repeat the family under the other choices; the first of the readings are the declared ones'.

    None where there are no others.
    """
    if not (query.sensitivity and readings):
        return ()
    chosen = next(iter(readings))

    def family(choice: C) -> tuple[Decision, ...]:
        # The declared choice was tested in full already, with the same numbers.
        if choice == chosen:
            return tuple(decision_of(comparison) for comparison in declared)
        return decide_groups(readings[choice].counting(query.counted), query)

    pairs = _compared_pairs(query)
    return sensitivity(table, pairs, chosen, around(chosen), family, query.correction)
