"""The tests of the means, before anything is decided of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboard.analysis.inference.checks import drift_of, periods_of
from dashboard.analysis.inference.comparison import Comparison
from dashboard.analysis.inference.family import compare_visits
from dashboard.analysis.inference.mixed import Main, VitalPair, main_analysis, mixed_models_of
from dashboard.analysis.query import AnalysisQuery
from dashboard.analysis.readings.means import (
    SessionMean,
    StateMean,
    Visits,
    after_visits_of,
    at_equal_times,
    place_visits_of,
    session_means,
    state_means,
    times_of,
    visits_of,
)
from dashboard.analysis.readings.places import Predecessors, with_places
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import DriftModel, ModelTestModel, PeriodModel, VitalModelModel
from dashboard.analysis.steps.material import Material


@dataclass(frozen=True, slots=True)
class Tested:
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


def run_tests(material: Material) -> Tested:
    """Test the means of the readings that count."""
    return run_tests_of(material, material.counted)


def run_tests_of(
    material: Material, groups: Iterable[ReadingGroup], *, only_main: bool = False
) -> Tested:
    """Test the means of given readings of the same sessions; ``only_main`` as in
    ``mixed_models_of``.
    """
    after = material.after
    measured = with_places(
        session_means(groups, material.query.states), material.places, after=after.numbers
    )
    return compare_means(
        material.query,
        measured,
        material.sites,
        after,
        is_timed=material.is_timed,
        only_main=only_main,
    )


def compare_means(
    query: AnalysisQuery,
    measured: tuple[SessionMean, ...],
    sites: Mapping[str, str],
    after: Predecessors | None = None,
    *,
    is_timed: bool,
    only_main: bool = False,
) -> Tested:
    """Test the means of sessions by each analysis; ``only_main`` as in ``mixed_models_of``, and
    ``after`` has the names of what came right before their states.
    """
    of_sessions = at_equal_times(measured)
    means = state_means(of_sessions)
    visits = visits_of(of_sessions)
    # The drift is what was measured: of means at one time none is left.
    course = means if of_sessions == measured else state_means(measured)
    drifts = tuple(drift_of(kind, course) for kind in query.vital)
    compared = compare_visits(visits, query)
    models, by_model = mixed_models_of(of_sessions, compared, query, sites, only_main=only_main)
    places = place_visits_of(of_sessions)
    before = after and (after_visits_of(of_sessions), after)
    effects = periods_of(compared, times_of(of_sessions), places, drifts, query, before)
    if not is_timed:
        effects = (None,) * len(effects)
    main = main_analysis(models, by_model, compared, query.design, query.states)
    return Tested(of_sessions, means, visits, compared, drifts, effects, models, by_model, main)
