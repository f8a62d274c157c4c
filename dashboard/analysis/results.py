"""What an analysis comes to: everything that page, API and command show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dashboard.analysis.agreement import SourceAgreement
from dashboard.analysis.baseline import Place
from dashboard.analysis.comparison import Comparison, StatesComparison
from dashboard.analysis.family import InFamily
from dashboard.analysis.heart.outcomes import HeartTest, HeartValue
from dashboard.analysis.heart.variability import StateVariability
from dashboard.analysis.left_out import LeftOut, WithAll
from dashboard.analysis.means import SessionMean, StateMean
from dashboard.analysis.misreading import Misreading
from dashboard.analysis.period import PeriodEffect, VitalDrift
from dashboard.analysis.readings import ReadingGroup, Settling
from dashboard.analysis.request import AnalysisQuery, Correction, Sample
from dashboard.analysis.sensitivity import MatchingChoice, Sensitivity, SettlingChoice
from dashboard.analysis.states import Design
from dashboard.analysis.study.flow import Flow
from dashboard.analysis.study.groups import VitalGroups
from dashboard.analysis.study.missing import MissingState
from dashboard.analysis.study.mixed import Main, ModelTest, VitalModel
from dashboard.statistics import BayesFactor, Equivalence, RequiredSample, Summary, TimeAdjusted
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.matching import Mixture
from edge_agent.store.read.results import MatchCounts


@dataclass(frozen=True, slots=True)
class StateSummary:
    """One vital in one state over participants; ``summary`` is ``None`` where nobody has it."""

    kind: VitalKind
    state: str
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
        with_all: what it would come to if every reading counted, whatever its flags; ``None`` where
            none is left out.
        by_model: the same two states by the mixed model; ``None`` where it could not be fitted.
        evidence: the Bayes factor of the t-test; ``None`` without a test.
    """

    kind: VitalKind
    first: str
    second: str
    comparison: Comparison
    correction: Correction = Correction.HOLM
    design: Design = Design.AUTO
    equivalence: Equivalence | None = None
    required_sample: RequiredSample | None = None
    in_family: InFamily | None = None
    period: PeriodEffect | None = None
    misreading: Misreading | None = None
    with_all: WithAll | None = None
    by_model: ModelTest | None = None
    evidence: BayesFactor | None = None

    @property
    def adjusted_p(self) -> float | None:
        """The p that decides, by the correction that was asked for."""
        tests = self.comparison.tests
        if tests is None:
            return None
        if self.correction is Correction.HOLM:
            return tests.holm_p
        return tests.bh_p

    @property
    def observed(self) -> bool:
        """True if the states are read from the face instead of set by the study."""
        return self.misreading is not None

    @property
    def at_equal_times(self) -> TimeAdjusted | None:
        """The estimate that is told first where order and state hang together; observed emotions
        come and go, and have no order.
        """
        if self.observed or self.period is None or not self.period.uneven:
            return None
        return self.period.adjusted


@dataclass(frozen=True, slots=True)
class VitalStates:
    """One vital over all states at once, and how many they are."""

    kind: VitalKind
    comparison: StatesComparison
    states: int = 3


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
        drifts: how each vital changes while a session lasts.
        mixture: with observed emotions, how far the windows hold more than one state.
        models: the mixed model of each vital.
        main: which analysis is the main one.
        flow: where people and readings were lost; ``None`` where nobody followed them.
        missing: in what those who lack a state differ from the others.
        passed_over: readings in the three states whose source is not the one of the session.
        heart_tests: tests of the intervals between beats, a family of its own.
        without_baseline: sessions without a baseline of a vital, where a change is asked for.
        groups: of each vital the groups of people, where an attribute is asked for.
        heart_values: what the tests of the beats compare.
        session_means: of each session and state, which models and tests start from.
        baselines: mean at rest, where a change is asked for.
        sites: where each participant was measured; empty where that is one site.
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
    orders: Mapping[tuple[str, ...], int]
    agreements: tuple[SourceAgreement, ...]
    variability: tuple[StateVariability, ...]
    sensitivity: tuple[Sensitivity[MatchingChoice], ...]
    settling_sensitivity: tuple[Sensitivity[SettlingChoice], ...]
    drifts: tuple[VitalDrift, ...] = ()
    mixture: Mixture | None = None
    models: tuple[VitalModel, ...] = ()
    main: Main = Main.T_TESTS
    flow: Flow | None = None
    missing: tuple[MissingState, ...] = ()
    passed_over: tuple[ReadingGroup, ...] = ()
    heart_tests: tuple[HeartTest, ...] = ()
    without_baseline: int = 0
    groups: tuple[VitalGroups, ...] = ()
    heart_values: tuple[HeartValue, ...] = ()
    session_means: tuple[SessionMean, ...] = ()
    baselines: Mapping[Place, float] = field(default_factory=dict)
    sites: Mapping[str, str] = field(default_factory=dict)

    @property
    def participants(self) -> tuple[str, ...]:
        """Codes of the participants who have a mean, sorted."""
        return tuple(sorted({mean.participant for mean in self.means}))

    @property
    def tests_computed(self) -> int:
        """How many tests have numbers: the family that p is adjusted for."""
        return sum(test.comparison.tests is not None for test in self.family)
