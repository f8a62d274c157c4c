"""The family of tests, and what is decided of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median

from dashboard.analysis.decision import TwoStates, comparison_model, decide, with_cautions
from dashboard.analysis.inference.checks import (
    ClassifierByCard,
    bounds_of,
    doubt_of,
    hides,
    misreading_of,
    reaches,
)
from dashboard.analysis.inference.comparison import equivalence_of
from dashboard.analysis.inference.family import adjusted_by, compare_all_states, in_family
from dashboard.analysis.inference.loss import beside_by_measure, compare_doubts, compare_losses
from dashboard.analysis.inference.motion import motion_beside
from dashboard.analysis.inference.sensitivity import ChosenResult
from dashboard.analysis.query import AnalysisQuery, Correction
from dashboard.analysis.readings.means import StateMean, Visits, sides_of
from dashboard.analysis.readings.states import ReadingGroup
from dashboard.analysis.results import (
    AllStatesModel,
    By,
    ComparisonModel,
    DecidedModel,
    MeanModel,
    PeriodModel,
    ResultModel,
    StateModel,
)
from dashboard.analysis.steps.material import Material
from dashboard.analysis.steps.tested import Tested, run_tests_of
from dashboard.statistics.t_tests import summarize
from edge_agent.core.measures import Measure
from edge_agent.timeline.read.matching import Mixture


def decided_of(material: Material, tested: Tested, face: ClassifierByCard | None) -> DecidedModel:
    """Decide each comparison, and describe what stands beside them.

    Args:
        material: what was read.
        tested: its tests.
        face: how often the classifier reads each state rightly; ``None`` where that is not known.
    """
    query, means = material.query, tested.means
    lost, doubted = material.lost, material.doubted
    family = with_cautions(
        decide_family(query, tested, face, material.choices.mixture, _if_all_counted(material)),
        {
            "loss": beside_by_measure(lambda one: lost.get(one.vital, {}), compare_losses),
            "doubted": beside_by_measure(lambda one: doubted.get(one.vital, {}), compare_doubts),
            "motion": motion_beside(
                material.moved,
                lambda one: sides_of(tested.visits, one.vital, one.first, one.second),
            ),
        },
    )
    return DecidedModel(
        tests_computed=sum(test.adjusted_p is not None for test in family),
        comparisons=family,
        all_states=all_states_of(tested.visits, tested.effects, query),
        states=tuple(
            _summary(means, kind, state) for kind in query.vital for state in query.states
        ),
        means=tuple(map(MeanModel.model_validate, means)),
        drifts=tested.drifts if material.is_timed else (),
        periods=tested.periods,
        main=tested.main.value,
        models=tested.models,
    )


def decide_family(
    query: AnalysisQuery,
    tests: Tested,
    face: ClassifierByCard | None = None,
    mixed: Mixture | None = None,
    every: Sequence[ResultModel] = (),
) -> Iterator[ComparisonModel]:
    """Yield each comparison of the family with its results; without sentences.

    No difference is called excluded that misread faces, mixed windows or time in the session may
    hide. ``every`` are the results if every reading counted; nothing where none is left out.
    """
    pairs = query.tested_pairs
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
        of = TwoStates(
            comparison,
            misread[place],
            effect,
            model_of[pair[0]],
            tests.by_model.get(pair),
            declared[place],
            every=every[place] if every else None,
        )
        # One doubt is enough; time is asked only where faces leave none.
        if not doubt and bounds is not None:
            result, *_ = decide(of, tests.main, query.correction)
            bound = bounds.bounds.high
            doubt = hides(effect, bound) or reaches(result, bound)
        own = of_family[place]
        decided = replace(of, own=own and replace(own, doubt=doubt))
        yield comparison_model(pair, decided, query, tests.main)


def decide_readings(material: Material, groups: Iterable[ReadingGroup]) -> tuple[ChosenResult, ...]:
    """Return the result of each comparison as if these readings were all that counts."""
    tests = run_tests_of(material, groups, only_main=True)
    return with_holm(material.query, tests, decide_results(material.query, tests))


def decide_results(query: AnalysisQuery, tests: Tested) -> Iterator[ResultModel]:
    """Yield the result of each comparison of the family, and nothing that stands beside it."""
    model_of = {model.vital: model for model in tests.models}
    every = zip(query.tested_pairs, tests.compared, tests.effects, strict=True)
    for (kind, first, second), comparison, effect in every:
        of = TwoStates(
            comparison,
            # Whatever a card says of the states: it adds cautions, and changes no number.
            misreading_of(query, first, second, None),
            effect,
            model_of[kind],
            tests.by_model.get((kind, first, second)),
        )
        yield decide(of, tests.main, query.correction)[0]


def with_holm(
    query: AnalysisQuery, tests: Tested, results: Iterable[ResultModel]
) -> tuple[ChosenResult, ...]:
    """Return results beside their p adjusted by Holm's method, over the tests of the same analysis
    in its family, whichever correction was asked for.
    """
    families = query.families
    models = [tests.by_model.get(pair) for pair in query.tested_pairs]
    timed = adjusted_by(
        Correction.HOLM, [None if one is None else one.p for one in tests.effects], families
    )
    modelled = adjusted_by(
        Correction.HOLM, [None if one is None else one.p for one in models], families
    )
    usual = tuple(None if one.tests is None else one.tests.holm_p for one in tests.compared)
    of = {By.EQUAL_TIMES: timed, By.MIXED_MODEL: modelled, By.PAIRED: usual, By.WELCH: usual}
    return tuple(
        ChosenResult(result, None if result.by is None else of[result.by][place])
        for place, result in enumerate(results)
    )


def _if_all_counted(material: Material) -> tuple[ResultModel, ...]:
    """Return the results if every reading counted; nothing where none is left out for its flags."""
    readings = material.readings
    if not any(group.doubts(material.query.counted) for group in readings.in_states()):
        return ()
    return tuple(one.result for one in decide_readings(material, readings.groups))


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
