"""The mixed model of each vital, and whether it is the main analysis. Pure.

The unit is one mean of one person in one state of one session, as in the t-tests. Several sessions
and missing states are no reason to average or to leave out: every such mean counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from statistics import median

import numpy as np

from dashboard.analysis.inference.comparison import Comparison
from dashboard.analysis.inference.family import adjusted_by
from dashboard.analysis.query import TESTED_STATES, AnalysisQuery, Design, pairs_of
from dashboard.analysis.readings.means import SessionMean
from dashboard.analysis.results import ModelTestModel, SiteModel, VitalModelModel
from dashboard.statistics import MINIMUM
from dashboard.statistics.mixed_model import FixedEffect, MixedModel, mixed_model
from dashboard.statistics.period import is_told_apart
from dashboard.statistics.t_tests import Method
from edge_agent.core.errors import StatisticsError
from edge_agent.core.measures import Measure
from edge_agent.core.texts import N_, Message, text_of

TIME = "minutes"
"""Name of the effect of time in the session."""
_PLACE = " place "  # before its number; the blank keeps it apart from a state called so

UNEVEN = 3
"""From means of so many times as many readings in one state as in another on, the model, which has
one residual variance, is not the main analysis.
"""


class Main(StrEnum):
    """The main analysis: the t-tests or the mixed model."""

    T_TESTS = "t_tests"
    MIXED_MODEL = "mixed_model"


VitalPair = tuple[Measure, str, str]
"""A vital and two states, the first minus the second."""


def mixed_models_of(
    means: Sequence[SessionMean],
    family: Sequence[Comparison],
    query: AnalysisQuery,
    sites: Mapping[str, str] | None = None,
    *,
    only_main: bool = False,
) -> tuple[tuple[VitalModelModel, ...], dict[VitalPair, ModelTestModel]]:
    """Fit the model of each vital asked for; without sentences.

    Args:
        means: of each session and state.
        family: the t-tests, in order of the vitals asked for and the pairs of states; a pair that
            fewer than three people have in one session gets no test here either.
        query: the question.
        sites: of each participant, where there are several: a fixed effect of the model then.
        only_main: whether no model is fitted, which takes most of an analysis, where none can be
            the main analysis.

    Returns:
        The models, and the tests of all of them, with p adjusted over those of each family.
    """
    of_kind: defaultdict[Measure, list[SessionMean]] = defaultdict(list)
    for mean in means:
        of_kind[mean.kind].append(mean)
    if only_main:
        counted = [_count(kind, of_kind[kind], query.states) for kind in query.vital]
        if query.design is not Design.AUTO or not any(map(_calls_for_it, counted)):
            return tuple(counted), {}
    # The family is in order of vitals and then of pairs, so one iterator goes through all of them.
    tested = iter(family)
    models = []
    tests: dict[VitalPair, ModelTestModel] = {}
    for kind in query.vital:
        wanted = [next(tested).n_both >= MINIMUM for _ in query.pairs]
        model, own = _model_of(kind, of_kind[kind], wanted, query.states, sites or {})
        models.append(model)
        tests |= own
    return tuple(models), _adjust(tests, query)


def main_analysis(
    models: Sequence[VitalModelModel],
    answered: Collection[VitalPair],
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
    if any(one.uneven for one in models):
        return Main.T_TESTS
    calls = any(map(_calls_for_it, models))
    # Such a model takes the values of one person for those
    # of several, and its p would be too small.
    if any(not one.reason and takes_for_independent(one) for one in models):
        return Main.T_TESTS
    pairs = [(one.vital, *pair) for one in models for pair in pairs_of(states)]
    for place, comparison in zip(pairs, family, strict=True):
        if comparison.tests is None:
            continue
        if comparison.method is not Method.PAIRED or place not in answered:
            return Main.T_TESTS
    return Main.MIXED_MODEL if calls and answered and design is Design.AUTO else Main.T_TESTS


def _calls_for_it(model: VitalModelModel) -> bool:
    """Tell whether people have several sessions or missing states."""
    return bool(model.repeated or model.incomplete)


def takes_for_independent(model: VitalModelModel) -> bool:
    """Tell whether nothing of a model says that values of one person resemble each other."""
    return not (model.participant_variance or model.session_variance or model.reaction_variance)


def _model_of(
    kind: Measure,
    means: Sequence[SessionMean],
    wanted: Sequence[bool],
    every: Sequence[str],
    sites: Mapping[str, str],
) -> tuple[VitalModelModel, dict[VitalPair, ModelTestModel]]:
    counted = _count(kind, means, every)
    if not any(wanted):
        reason = Message(
            N_("it needs at least {minimum} people with two states in one session"), minimum=MINIMUM
        )
        return counted.model_copy(update={"reason": reason}), {}
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
        tests = {
            (kind, *pair): _difference(model, *pair)
            for pair, has_enough in zip(pairs_of(every), wanted, strict=True)
            if has_enough
        }
    except StatisticsError as error:
        return counted.model_copy(update={"reason": text_of(error)}), {}
    time = model.effect(TIME) if TIME in timed else None
    fitted = {
        "minute": time and time.estimate,
        "minute_p": time and time.p,
        "places": _count_places(means) if timed and TIME not in timed else 0,
        "inseparable": not timed and any(mean.place for mean in means),
        "participant_variance": model.participant_variance,
        "session_variance": model.session_variance,
        "reaction_variance": model.reaction_variance,
        "residual_variance": model.residual_variance,
        "singular": model.singular,
        "first_site": first_site if other_sites else "",
        "sites": tuple(_site(name, model.effect(f"site {name}")) for name in other_sites),
    }
    return counted.model_copy(update=fitted), tests


def _count(kind: Measure, means: Sequence[SessionMean], states: Sequence[str]) -> VitalModelModel:
    """Count who has what of one vital; nothing is fitted."""
    met = Counter((mean.participant, mean.session) for mean in means)
    visits = Counter(code for code, _ in met)
    seen = {mean.state for mean in means}
    readings = [median(one.readings for one in means if one.state == state) for state in seen]
    return VitalModelModel(
        vital=kind,
        participants=len(visits),
        sessions=len(met),
        means=len(means),
        repeated=sum(count > 1 for count in visits.values()),
        incomplete=sum(count < len(seen.intersection(states)) for count in met.values()),
        uneven=bool(readings) and max(readings) >= UNEVEN * min(readings),
        minute=None,
        minute_p=None,
        places=0,
        inseparable=False,
        participant_variance=None,
        session_variance=None,
        reaction_variance=None,
        residual_variance=None,
        singular=None,
        first_site="",
        sites=(),
        reason="",
        sentence="",
    )


def _site(name: str, effect: FixedEffect) -> SiteModel:
    return SiteModel(
        site=name,
        difference=effect.estimate,
        interval=effect.interval,
        error=effect.error,
        t=effect.t,
        df=effect.df,
        p=effect.p,
    )


def _time_of(
    means: Sequence[SessionMean], states: Mapping[str, Sequence[float]]
) -> dict[str, list[float]]:
    """Return time in the session as effects, where the states do not give it: the places in the
    order but one, or minutes where there are no places.
    """
    numbers: dict[tuple[str, int], int] = {}
    visit = [numbers.setdefault((one.participant, one.session), len(numbers)) for one in means]
    # Compared with the first; a session without places says nothing of them.
    _, *others = sorted({mean.place for mean in means if mean.place}) or [0]
    times = {f"{_PLACE}{one}": [float(mean.place == one) for mean in means] for one in others}
    times = times or {TIME: [mean.minutes for mean in means]}
    # Else the model could hardly tell a change with time from one between states.
    columns = np.column_stack(list(times.values()))
    return times if is_told_apart(visit, np.column_stack(list(states.values())), columns) else {}


def _count_places(means: Sequence[SessionMean]) -> int:
    return len({mean.place for mean in means if mean.place})


def _reactions(means: Sequence[SessionMean]) -> list[str] | None:
    """Return the state of each mean where somebody met one in several sessions."""
    again = Counter((mean.participant, mean.state) for mean in means)
    if max(again.values()) == 1:
        return None
    return [str(mean.state) for mean in means]


def _difference(model: MixedModel, first: str, second: str) -> ModelTestModel:
    """Return first minus second; the state that others are compared with has no effect itself."""
    known = {effect.name for effect in model.effects}
    weights = {str(first): 1.0, str(second): -1.0}
    effect = model.contrast(
        f"{first} - {second}", {name: one for name, one in weights.items() if name in known}
    )
    return ModelTestModel(
        difference=effect.estimate,
        interval=effect.interval,
        error=effect.error,
        t=effect.t,
        df=effect.df,
        p=effect.p,
        adjusted_p=1.0,
        differs=False,
        claim="",
        sentence="",
        apa="",
    )


def _adjust(
    tests: Mapping[VitalPair, ModelTestModel], query: AnalysisQuery
) -> dict[VitalPair, ModelTestModel]:
    families = tuple(query.family_of(*place) for place in tests)
    adjusted = adjusted_by(query.correction, [test.p for test in tests.values()], families)
    return {
        place: test.model_copy(update={"adjusted_p": p})
        for (place, test), p in zip(tests.items(), adjusted, strict=True)
    }
