"""From the timeline to a family of tests and all that stands beside it: what page, API and command
show.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dashboard.analysis.inference.checks import ClassifierByCard, count_left_out
from dashboard.analysis.inference.groups import MissingState
from dashboard.analysis.inference.spread import Spread, spread_of
from dashboard.analysis.query import AnalysisQuery, Sample, StateBy, answer_of_sample
from dashboard.analysis.readings.marked import about_sessions
from dashboard.analysis.readings.means import Place, SessionMean, StateMean
from dashboard.analysis.readings.series import faces_changed
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import (
    ComparisonModel,
    ComputedModel,
    FlowModel,
    HeartTestModel,
    NeighboursModel,
    SkinTestModel,
)
from dashboard.analysis.steps.around import around_of, neighbours_of
from dashboard.analysis.steps.counted import counted_of
from dashboard.analysis.steps.decided import decided_of
from dashboard.analysis.steps.followed import followed_of
from dashboard.analysis.steps.hearts import HeartValues, hearts_of
from dashboard.analysis.steps.material import Material, read_material
from dashboard.analysis.steps.question import question_of
from dashboard.analysis.steps.skins import SkinValues, skins_of
from dashboard.analysis.steps.stimuli import StimuliCheck, check_stimuli
from dashboard.analysis.steps.tested import Tested, run_tests
from edge_agent.core.measures import Measure, MovementKind
from edge_agent.core.study import Session
from edge_agent.timeline.read.matching import Mixture
from edge_agent.timeline.read.reader import Reader

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
class Analysis:
    """The answer before it is put into words, and what it was computed from, as far as pictures,
    tables and cautions need it.

    Attributes:
        answer: every number that programs get.
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

    answer: ComputedModel
    sessions: tuple[Session, ...]
    means: tuple[StateMean, ...]
    orders: Mapping[tuple[str, ...], int]
    mixture: Mixture | None
    missing: tuple[MissingState, ...]
    passed_over: tuple[ReadingGroup, ...]
    without_baseline: int
    heart_values: HeartValues
    skin_values: SkinValues
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
    face: ClassifierByCard | None = None,
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
    with reader.at_one_moment():
        return _answer_of(reader, *_tested_sample(reader, query, prefer_sources), face)


def compare(
    reader: Reader,
    query: AnalysisQuery,
    face: ClassifierByCard | None = None,
    prefer_sources: Sequence[str] = (),
) -> tuple[ComparisonModel, ...]:
    """Return the comparisons of ``analyse`` and nothing that stands beside them, for whoever needs
    no more; arguments and errors are those of ``analyse``.
    """
    alone = query.model_copy(update={"sensitivity": False})
    with reader.at_one_moment():
        material, tested = _tested_sample(reader, alone, prefer_sources)
        return decided_of(material, tested, face).comparisons


def follow(
    reader: Reader, query: AnalysisQuery, prefer_sources: Sequence[str] = ()
) -> FlowModel | None:
    """Return the flow of people and readings of ``analyse`` alone; arguments and errors are those
    of ``analyse``.
    """
    alone = query.model_copy(update={"sensitivity": False})
    with reader.at_one_moment():
        material, tested = _tested_sample(reader, alone, prefer_sources)
        left_out = count_left_out(material.readings, material.query)
        followed, _ = followed_of(reader, material, tested, left_out)
        return followed.flow


def _tested_sample(
    reader: Reader, query: AnalysisQuery, prefer_sources: Sequence[str]
) -> tuple[Material, Tested]:
    """Read and test the sample that is asked for, which ``auto`` chooses by whether it has any
    mean; every other step follows for that one alone.
    """
    query = query.preferring(prefer_sources)

    def test(sample: Sample, sessions: tuple[Session, ...]) -> tuple[Material, Tested]:
        about = about_sessions(reader, query, sessions)
        material = read_material(reader, about, sample, sessions)
        return material, run_tests(material)

    return answer_of_sample(query, reader.session_list(), test, lambda one: bool(one[1].means))


def _answer_of(
    reader: Reader, material: Material, tested: Tested, face: ClassifierByCard | None
) -> Analysis:
    """Return the answer of all steps, each of which adds a part of it."""
    choices = material.choices
    counted = counted_of(material, tested)
    decided = decided_of(material, tested, face)
    hearts, heart_values = hearts_of(reader, material, face)
    skins, skin_values = skins_of(reader, material, face)
    followed, missing = followed_of(reader, material, tested, counted.left_out)
    return Analysis(
        answer=ComputedModel.of(
            question_of(material),
            counted,
            decided,
            hearts,
            skins,
            around_of(reader, material, tested, [one.result for one in decided.comparisons]),
            followed,
        ),
        sessions=material.sessions,
        means=tested.means,
        orders=material.orders,
        mixture=choices.mixture,
        missing=missing,
        passed_over=material.readings.passed_over,
        without_baseline=choices.without_baseline,
        heart_values=heart_values,
        skin_values=skin_values,
        session_means=tested.of_sessions,
        baselines=choices.baselines,
        sites=material.sites,
        programs=_programs(material.used),
        reading_changed_ms=faces_changed(
            reader,
            material.query.vital,
            material.sessions,
            by_face=material.query.state is StateBy.OBSERVED,
        ),
        stimuli_check=check_stimuli(material),
    )


def read_neighbours(
    reader: Reader, query: AnalysisQuery, sessions: tuple[Session, ...]
) -> tuple[NeighboursModel, ...]:
    """Decide each comparison under the choices that could have been declared, and nothing else.

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
        return neighbours_of(read_material(reader, query, query.sample, sessions))


def _programs(used: Iterable[ReadingGroup]) -> dict[str, int]:
    """Count the people whose movements of the face each program read."""
    moved = {(one.source, one.participant) for one in used if isinstance(one.kind, MovementKind)}
    return dict(sorted(Counter(source for source, _ in moved).items()))
