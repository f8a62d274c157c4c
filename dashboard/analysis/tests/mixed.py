"""The mixed model of each vital, and whether it is the main analysis. Pure.

The unit is one mean of one person in one state of one session, as in the t-tests. Several sessions
and missing states are no reason to average or to leave out: every such mean counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median

import numpy as np

from dashboard.analysis.question import TESTED_STATES, AnalysisQuery, Design, pairs_of
from dashboard.analysis.readings.means import SessionMean
from dashboard.analysis.tests.comparison import Comparison
from dashboard.analysis.tests.family import adjusted_by
from dashboard.statistics.mixed_model import FixedEffect, MixedModel, mixed_model
from dashboard.statistics.period import is_told_apart
from dashboard.statistics.samples import MINIMUM
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_, Message, text_of

TIME = "minutes"
"""Name of the effect of time in the session."""

UNEVEN = 3
"""From means of so many times as many readings in one state as in another on, the model, which has
one residual variance, is not the main analysis.
"""


class Main(StrEnum):
    """The main analysis: the t-tests or the mixed model."""

    T_TESTS = "t_tests"
    MIXED_MODEL = "mixed_model"


@dataclass(frozen=True, slots=True)
class VitalDesign:
    """The design of the data of one vital: its participants, sessions and means.

    Attributes:
        participants: who has a mean in one of the states.
        sessions: with such a mean.
        means: of a state in a session.
        repeated: participants with several sessions.
        incomplete: sessions that lack a state that somebody met; what nobody met, nobody lacks.
        uneven: whether the means of one state are of many more readings than those of another.
    """

    participants: int
    sessions: int
    means: int
    repeated: int
    incomplete: int
    uneven: bool = False


@dataclass(frozen=True, slots=True)
class ModelTest:
    """Two states of one vital by the model, first minus second.

    Attributes:
        kind: what was measured.
        first: first state.
        second: second state.
        effect: difference with error, degrees of freedom, t, p and interval.
        adjusted_p: p adjusted over the tests of all models, or of its declared family.
    """

    kind: Measure
    first: str
    second: str
    effect: FixedEffect
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class VitalModel:
    """The model of one vital.

    Attributes:
        kind: what was measured.
        design: who has what.
        model: as fitted; ``None`` with the reason where it could not be.
        reason: why there is none.
        time: the effect of a minute in the session; ``None`` where all met the states at nearly the
            same times, so that time and state cannot be told apart.
        tests: of each pair of states that enough people have in one session.
        sites: where people were measured at several sites, how each but the first lies from that.
        first_site: the one that the others are compared with; empty where there is one only.
        made_up: whether times of sessions are made up, so that the order of the states is unknown.
    """

    kind: Measure
    design: VitalDesign
    model: MixedModel | None
    reason: str
    time: FixedEffect | None = None
    tests: tuple[ModelTest, ...] = ()
    sites: tuple[FixedEffect, ...] = ()
    first_site: str = ""
    made_up: bool = False

    def test_of(self, first: str, second: str) -> ModelTest | None:
        """Return the test of two states; ``None`` where the model has none."""
        return next((one for one in self.tests if (one.first, one.second) == (first, second)), None)


def models_of(
    means: Sequence[SessionMean],
    family: Sequence[Comparison],
    query: AnalysisQuery,
    sites: Mapping[str, str] | None = None,
) -> tuple[VitalModel, ...]:
    """Fit the model of each vital asked for, with p adjusted over the tests of each family.

    Args:
        means: of each session and state.
        family: the t-tests, in order of the vitals asked for and the pairs of states; a pair that
            fewer than three people have in one session gets no test here either.
        query: the question.
        sites: of each participant, where there are several: a fixed effect of the model then.
    """
    of_kind: defaultdict[Measure, list[SessionMean]] = defaultdict(list)
    for mean in means:
        of_kind[mean.kind].append(mean)
    # The family is in order of vitals and then of pairs, so one iterator goes through all of them.
    tested = iter(family)
    models = [
        _model_of(
            kind,
            of_kind[kind],
            [next(tested).n_both >= MINIMUM for _ in query.pairs],
            query.states,
            sites or {},
        )
        for kind in query.vital
    ]
    return _adjusted(models, query)


def main_analysis(
    models: Sequence[VitalModel],
    family: Sequence[Comparison],
    design: Design,
    states: Sequence[str] = TESTED_STATES,
) -> Main:
    """Say which analysis is the main one: the model where people have several sessions or missing
    states, and it answers all that the t-tests answer.

    Who was measured decides, and what was asked; the values do so only where no variance of people,
    sessions or reactions is left in a model, which takes its values for independent then. Who asks
    for paired or independent groups has declared the t-tests. The model takes all means for equally
    steady, which those of few readings in one state and many in another are not.
    """
    if any(one.design.uneven for one in models):
        return Main.T_TESTS
    calls = any(one.design.repeated or one.design.incomplete for one in models)
    # Such a model takes the values of one person for those
    # of several, and its p would be too small.
    if any(one.model is not None and takes_for_independent(one.model) for one in models):
        return Main.T_TESTS
    pairs = [(kind.kind, *pair) for kind in models for pair in pairs_of(states)]
    answered = {(test.kind, test.first, test.second) for one in models for test in one.tests}
    for place, comparison in zip(pairs, family, strict=True):
        if comparison.tests is None:
            continue
        if comparison.method is not Method.PAIRED or place not in answered:
            return Main.T_TESTS
    return Main.MIXED_MODEL if calls and answered and design is Design.AUTO else Main.T_TESTS


def takes_for_independent(model: MixedModel) -> bool:
    """Tell whether nothing of a model says that values of one person resemble each other."""
    return not (model.participant_variance or model.session_variance or model.reaction_variance)


def design_of(means: Sequence[SessionMean], states: Sequence[str] = TESTED_STATES) -> VitalDesign:
    """Count who has what of one vital."""
    met = Counter((mean.participant, mean.session) for mean in means)
    visits = Counter(code for code, _ in met)
    seen = {mean.state for mean in means}
    readings = [median(one.readings for one in means if one.state == state) for state in seen]
    return VitalDesign(
        participants=len(visits),
        sessions=len(met),
        means=len(means),
        repeated=sum(count > 1 for count in visits.values()),
        incomplete=sum(count < len(seen.intersection(states)) for count in met.values()),
        uneven=bool(readings) and max(readings) >= UNEVEN * min(readings),
    )


def _model_of(
    kind: Measure,
    means: Sequence[SessionMean],
    wanted: Sequence[bool],
    every: Sequence[str],
    sites: Mapping[str, str],
) -> VitalModel:
    blank = VitalModel(kind, design_of(means, every), None, "")
    if not any(wanted):
        return replace(
            blank,
            reason=Message(
                N_("it needs at least {minimum} people with two states in one session"),
                minimum=MINIMUM,
            ),
        )
    states = [state for state in every if any(mean.state == state for mean in means)]
    # The first state is the one that the others are compared with.
    effects = {str(state): [float(mean.state == state) for mean in means] for state in states[1:]}
    timed = _time_of(means, effects)
    first_site, *other_sites = sorted({sites.get(mean.participant, "") for mean in means})
    sited = {
        # The prefix keeps a site called like a state, or "minutes", apart from that effect.
        f"site {name}": [float(sites[mean.participant] == name) for mean in means]
        for name in other_sites
    }
    try:
        model = mixed_model(
            [mean.mean for mean in means],
            effects | timed | sited,
            [mean.participant for mean in means],
            [mean.session for mean in means],
            _reactions(means),
        )
        time = model.effect(TIME) if timed else None
        tests = tuple(
            ModelTest(kind, *pair, _difference(model, *pair), 1.0)
            for pair, has_enough in zip(pairs_of(every), wanted, strict=True)
            if has_enough
        )
    except StatisticsError as error:
        return replace(blank, reason=text_of(error))
    return replace(
        blank,
        model=model,
        time=time,
        tests=tests,
        sites=tuple(replace(model.effect(f"site {name}"), name=name) for name in other_sites),
        first_site=first_site if other_sites else "",
    )


def _time_of(
    means: Sequence[SessionMean], states: Mapping[str, Sequence[float]]
) -> dict[str, list[float]]:
    """Return minutes in the session as an effect, where they are not given by the states."""
    numbers: dict[tuple[str, int], int] = {}
    place = [numbers.setdefault((one.participant, one.session), len(numbers)) for one in means]
    minutes = [mean.minutes for mean in means]
    # Else the model could hardly tell a change with time from one between states.
    if is_told_apart(place, np.column_stack(list(states.values())), np.array(minutes)):
        return {TIME: minutes}
    return {}


def _reactions(means: Sequence[SessionMean]) -> list[str] | None:
    """Return the state of each mean where somebody met one in several sessions."""
    again = Counter((mean.participant, mean.state) for mean in means)
    if max(again.values()) == 1:
        return None
    return [str(mean.state) for mean in means]


def _difference(model: MixedModel, first: str, second: str) -> FixedEffect:
    """Return first minus second; the state that others are compared with has no effect itself."""
    known = {effect.name for effect in model.effects}
    weights = {str(first): 1.0, str(second): -1.0}
    return model.contrast(
        f"{first} - {second}", {name: one for name, one in weights.items() if name in known}
    )


def _adjusted(models: Sequence[VitalModel], query: AnalysisQuery) -> tuple[VitalModel, ...]:
    tests = [test for one in models for test in one.tests]
    families = tuple(query.family_of(test.kind, test.first, test.second) for test in tests)
    adjusted = iter(adjusted_by(query.correction, [test.effect.p for test in tests], families))
    return tuple(
        replace(one, tests=tuple(replace(test, adjusted_p=next(adjusted)) for test in one.tests))
        for one in models
    )
