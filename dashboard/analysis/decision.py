"""The decision: of each comparison the one result that headline, table, pictures, sentences and
answers for programs show. Pure.

Three analyses stand beside each other: the t-test, its estimate at equal times in the session, and
the mixed model. By observed emotion the means themselves may be at equal times within each session,
and then every analysis is. Which one is told follows from who was measured and when, never from the
values: the mixed model where it is the main analysis, else the estimate at equal times where order
and state hang together, else the t-test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, NamedTuple, TypeVar

from dashboard.analysis.conclusions import (
    Beside,
    Caution,
    Concluded,
    Conclusion,
    UnlikeModel,
    cautions_of,
)
from dashboard.analysis.inference.checks import (
    ClassifierByCard,
    Misreading,
    misreading_of,
    with_all_of,
)
from dashboard.analysis.inference.comparison import Comparison, Tests, adjusted_p, evidence_of
from dashboard.analysis.inference.family import InFamily, required_sample
from dashboard.analysis.inference.measures import ComparedMeasure
from dashboard.analysis.inference.mixed import Main, VitalPair
from dashboard.analysis.query import AnalysisQuery, Correction, HeartMeasure, Model, SkinMeasure
from dashboard.analysis.results import (
    BayesFactorModel,
    By,
    ComparisonModel,
    MeasureTestModel,
    MisreadingModel,
    ModelTestModel,
    NeededInFamilyModel,
    PeriodModel,
    ResultModel,
    ShapiroModel,
    VitalModelModel,
)
from dashboard.statistics.samples import Interval
from dashboard.statistics.t_tests import EffectSize, Equivalence, Method, TTest

T = TypeVar("T", bound=MeasureTestModel)
R = TypeVar("R", bound=Model)
_MUCH = 0.25  # of a difference: what time makes of it is reported from here on
_OTHER_SPREAD = 0.1  # of a standard error: from here on it is another one
_LEFT = 0.5  # of a true difference; where less may be left, misread faces may have hidden it

NO_RESULT = ResultModel(
    by=None,
    difference=None,
    at_equal_times=False,
    interval=None,
    error=None,
    t=None,
    df=None,
    p=None,
    adjusted_p=None,
    n_first=0,
    n_second=0,
    sessions=None,
    g=None,
    g_interval=None,
    caution_codes=(),
)
"""Of two states that no analysis could compare."""


@dataclass(frozen=True, slots=True)
class TwoStates:
    """All that was computed of two states of a measure, before it is decided.

    Attributes:
        comparison: the t-test, and who is in it.
        misreading: by how much misread faces shrink a difference; ``None`` where the states were
            not read from the face.
        period: what time in the session has to do with it; ``None`` without a paired test.
        model: the mixed model of the vital; ``None`` where there is none of it.
        tested: the two states by it; ``None`` where it has no test of them.
        declared: the equivalence test against the declared bound; ``None`` without a test.
        own: what the family makes of the numbers beside the t-test; ``None`` without a test.
        every: the result if every reading counted, whatever its flags; ``None`` where none is left
            out.
    """

    comparison: Comparison
    misreading: Misreading | None
    period: PeriodModel | None
    model: VitalModelModel | None = None
    tested: ModelTestModel | None = None
    declared: Equivalence | None = None
    own: InFamily | None = None
    every: ResultModel | None = None


def decide(of: TwoStates, main: Main, correction: Correction) -> tuple[ResultModel, ...]:
    """Return what each analysis makes of two states: the result that is reported first, then those
    beside it; a single one without numbers where there is no analysis.

    Args:
        of: the two states.
        main: which analysis is the main one.
        correction: whose adjusted p decides.
    """
    comparison, period, model, tested = of.comparison, of.period, of.model, of.tested
    misreading = of.misreading
    observed = misreading is not None
    n = (len(comparison.first) or comparison.n_both, len(comparison.second) or comparison.n_both)
    tests = comparison.tests
    p = adjusted_p(tests, correction)
    within = period is not None and period.within_sessions
    unadjusted = _about_time(period, comparison, p, observed=observed)
    carried = _about_carry_over(period)
    effect = None if tests is None else tests.effect
    every = []
    if period is not None and period.at_equal_times and period.adjusted_p is not None:
        g = _standardise(period, effect)
        every.append(_result(By.EQUAL_TIMES, period, period.adjusted_p, n, g, carried))
    if tests is not None and p is not None:
        by = By.PAIRED if comparison.method is Method.PAIRED else By.WELCH
        tested_t = _result(by, tests.t, p, n, effect, (*unadjusted, *carried))
        every.append(tested_t.model_copy(update={"at_equal_times": within}))
    if tested is not None and model is not None:
        people = model.participants
        timed_model = within or model.is_timed
        by_model = _result(
            By.MIXED_MODEL,
            tested,
            tested.adjusted_p,
            (people, people),
            _standardise(tested, effect),
            carried if timed_model else (*unadjusted, *carried),
        ).model_copy(update={"at_equal_times": timed_model, "sessions": model.sessions})
        every.insert(0 if main is Main.MIXED_MODEL else len(every), by_model)
    if not every or (tests is None and main is not Main.MIXED_MODEL):
        every.insert(0, NO_RESULT.model_copy(update={"n_first": n[0], "n_second": n[1]}))
    return tuple(_keep_cautions_that_apply(one, misreading) for one in every)


class WhyOther(NamedTuple):
    """Why the mixed model concludes otherwise than the result without it.

    Attributes:
        has_more_people: whether it uses people whom the other leaves out.
        by_time: what time in the session makes of the other's difference; ``None`` where that is
            too little to explain it.
        has_other_spread: whether its standard error is another one.
    """

    has_more_people: bool
    by_time: float | None
    has_other_spread: bool


def why_model_differs(
    test: ComparisonModel, model: VitalModelModel, period: PeriodModel | None
) -> WhyOther:
    """Return what explains that the mixed model of two states concludes otherwise."""
    result, other = test.model_result, test.comparison_result
    assert result is not None
    assert other is not None
    by_time = 0.0
    if period is not None:
        by_line = (model.minute or 0.0) * period.gap_minutes
        by_time = abs((period.by_time or 0.0) if model.places else by_line)
    error, own = result.error or 0.0, other.error or 0.0
    explains = other.by is not By.EQUAL_TIMES and by_time >= _MUCH * abs(other.difference or 0.0)
    return WhyOther(
        result.n_first > other.n_first,
        by_time if explains else None,
        abs(error - own) >= _OTHER_SPREAD * own,
    )


def decide_measures(
    table: type[T],
    compared: Iterable[ComparedMeasure[HeartMeasure]] | Iterable[ComparedMeasure[SkinMeasure]],
    query: AnalysisQuery,
    face: ClassifierByCard | None,
) -> tuple[T, ...]:
    """Decide the tests of measures of the heart, or of the skin; without sentences.

    Args:
        table: the model of a test.
        compared: the measures between states.
        query: the question.
        face: how often the classifier reads each state rightly; ``None`` where that is not known.
    """
    return tuple(_measure_test(table, one, query, face) for one in compared)


def _measure_test(
    table: type[T],
    one: ComparedMeasure[HeartMeasure] | ComparedMeasure[SkinMeasure],
    query: AnalysisQuery,
    face: ClassifierByCard | None,
) -> T:
    c, correction = one.comparison, query.correction
    t = c.tests and c.tests.t
    misread = misreading_of(query, *one.pair, face)
    results = decide(TwoStates(c, misread, one.period), Main.T_TESTS, correction)
    lost = misread and misread.attenuation
    return table(
        measure=one.measure,
        first=one.pair[0],
        second=one.pair[1],
        n_both=c.n_both,
        method=c.method,
        n_first=len(c.first),
        n_second=len(c.second),
        difference=c.difference,
        low=t and t.interval.low,
        high=t and t.interval.high,
        t=t and t.t,
        df=t and t.df,
        p=t and t.p,
        adjusted_p=adjusted_p(c.tests, correction),
        g=c.tests and c.tests.effect.g,
        g_interval=c.tests and c.tests.effect.interval,
        left_out=dict(one.left_out),
        result=results[0],
        others=results[1:],
        period=one.period,
        attenuation_interval=lost and lost.interval,
        sentence="",
    )


def with_cautions(tests: Iterable[R], remarks: Mapping[str, Beside[R, Any]]) -> tuple[R, ...]:
    """Return tests with what is remarked on their readings, and with the cautions of that.

    Args:
        tests: decided, of one family.
        remarks: what compares each, by the field that it stands in.
    """
    every = list(tests)
    columns = [look(every) for look in remarks.values()]
    return tuple(
        _add_cautions(one, dict(zip(remarks, models, strict=True)))
        for one, *models in zip(every, *columns, strict=True)
    )


def _add_cautions(one: R, own: Mapping[str, UnlikeModel | None]) -> R:
    if isinstance(one, Concluded):
        is_tested = one.conclusion is not Conclusion.NO_TEST
        codes = cautions_of(own.values(), tells=one.shows_difference) if is_tested else ()
        return one.model_copy(update={**own, "caution_codes": codes})
    if not isinstance(one, ComparisonModel | MeasureTestModel):
        raise TypeError(type(one))
    update: dict[str, object] = {
        **own,
        "result": _with_codes(one.result, own),
        "others": tuple(_with_codes(result, own) for result in one.others),
    }
    if isinstance(one, ComparisonModel) and one.bayes_factor is not None:
        factor = one.bayes_factor
        tells = any(result.shows_difference for result in (one.result, *one.others))
        codes = cautions_of(own.values(), tells=tells, codes=factor.caution_codes)
        update["bayes_factor"] = factor.model_copy(update={"caution_codes": codes})
    return one.model_copy(update=update)


def _with_codes(result: ResultModel, own: Mapping[str, UnlikeModel | None]) -> ResultModel:
    if result.by is None:
        return result
    codes = cautions_of(own.values(), tells=result.shows_difference, codes=result.caution_codes)
    return result.model_copy(update={"caution_codes": codes})


def comparison_model(
    pair: VitalPair, of: TwoStates, query: AnalysisQuery, main: Main
) -> ComparisonModel:
    """Return all that is known of two states of a vital, decided; without sentences.

    Args:
        pair: vital and states.
        of: what was computed of them.
        query: the question, whose correction decides.
        main: which analysis is the main one.
    """
    correction = query.correction
    results = decide(of, main, correction)
    kind, first, second = pair
    c, own, misreading, period = of.comparison, of.own, of.misreading, of.period
    tests = c.tests
    t = tests and tests.t
    lost = misreading and misreading.attenuation
    return ComparisonModel(
        vital=kind,
        unit=kind.unit,
        first=first,
        second=second,
        result=results[0],
        others=results[1:],
        method=c.method,
        **_of_people(c),
        interval=t and t.interval,
        t=t and t.t,
        df=t and t.df,
        p=t and t.p,
        holm_p=tests and tests.holm_p,
        bh_p=tests and tests.bh_p,
        adjusted_p=adjusted_p(tests, correction),
        at_equal_times=bool(period and period.at_equal_times),
        g=tests and tests.effect.g,
        g_interval=tests and tests.effect.interval,
        shapiro=_shapiro(first, second, tests) if tests else (),
        rank=tests and tests.rank,
        equivalence=of.declared,
        needed=of.declared and required_sample(c, of.declared),
        rank_adjusted_p=own and own.rank_p,
        equivalence_adjusted_p=own and own.equivalence_p,
        equivalent=own and own.equivalent,
        doubt=(own and own.doubt) or "",
        misreading=misreading and _misreading(misreading),
        attenuation=lost and lost.factor,
        attenuation_interval=lost and lost.interval,
        needed_in_family=own and _needed_in_family(own),
        obstacle=c.obstacle,
        with_all=of.every and with_all_of(of.every, results[0]),
        claim="",
        remarks="",
        sentence="",
        bayes_factor=_bayes_factor(
            c, adjusted_p(tests, correction), results[0], period, misreading
        ),
        by_model=of.tested and _with_differs(of.tested, results),
    )


def _of_people(c: Comparison) -> dict[str, Any]:
    """Return how many people are on each side, and what their values come to."""
    return {
        "n_first": len(c.first),
        "n_second": len(c.second),
        "n_both": c.n_both,
        "n_apart": c.n_apart,
        "n_first_only": c.n_first_only,
        "n_second_only": c.n_second_only,
        "left_out": c.left_out,
        "mean_first": fmean(c.first) if c.first else None,
        "sd_first": stdev(c.first) if c.first else None,
        "mean_second": fmean(c.second) if c.second else None,
        "sd_second": stdev(c.second) if c.second else None,
        "difference": c.difference,
    }


def _shapiro(first: str, second: str, tests: Tests) -> list[ShapiroModel]:
    # Two tests of normality belong to two groups; a paired test has one, of the differences.
    names = (first, second) if len(tests.normality) == 2 else ("differences",)
    return [
        ShapiroModel(of=name, w=normality.w, p=normality.p)
        for name, normality in zip(names, tests.normality, strict=True)
        if normality
    ]


def _needed_in_family(own: InFamily) -> NeededInFamilyModel | None:
    needed = own.required_sample
    if needed is None:
        return None
    return NeededInFamilyModel(
        difference=needed.difference,
        sd=needed.sd,
        n=needed.size.n,
        power=needed.size.power,
        more_first=needed.more_first,
        more_second=needed.more_second,
        level=own.level,
        tests=own.tests,
    )


def _misreading(misreading: Misreading) -> MisreadingModel:
    lost = misreading.attenuation
    return MisreadingModel(
        model=misreading.model, first=lost and lost.first, second=lost and lost.second
    )


def _bayes_factor(
    comparison: Comparison,
    p: float | None,
    result: ResultModel,
    period: PeriodModel | None,
    misreading: Misreading | None,
) -> BayesFactorModel | None:
    """Return the Bayes factor of the t-test, with what must be said of it: what is said of the
    result, and what of a t-test that finds a difference where the factor speaks for one.
    """
    factor = evidence_of(comparison)
    if factor is None:
        return None
    cautions: list[Caution] = [*result.caution_codes]
    if factor.log_factor > 0:
        if misreading is not None:
            cautions.insert(0, Caution.ASSOCIATION)
        cautions += _about_time(period, comparison, p, observed=misreading is not None)
        cautions += _about_carry_over(period)
    return BayesFactorModel(
        # JSON has no infinity; the logarithm beside it is always finite.
        for_difference=None if math.isinf(factor.for_difference) else factor.for_difference,
        for_none=factor.for_none,
        log_for_difference=factor.log_factor,
        scale=factor.scale,
        caution_codes=tuple(dict.fromkeys(cautions)),
        sentence="",
    )


def _with_differs(tested: ModelTestModel, results: tuple[ResultModel, ...]) -> ModelTestModel:
    """Say of the mixed model whether what is reported without it is another conclusion."""
    model = next(one for one in results if one.by is By.MIXED_MODEL)
    other = next((one for one in results if one.by not in (None, By.MIXED_MODEL)), None)
    differs = other is not None and model.conclusion is not other.conclusion
    return tested.model_copy(update={"differs": differs})


def _result(
    by: By,
    test: TTest | PeriodModel | ModelTestModel,
    p: float | None,
    n: tuple[int, int],
    effect: EffectSize | None,
    cautions: tuple[Caution, ...],
) -> ResultModel:
    return ResultModel(
        by=by,
        difference=test.difference,
        at_equal_times=by is By.EQUAL_TIMES,
        interval=test.interval,
        error=test.error,
        t=test.t,
        df=test.df,
        p=test.p,
        adjusted_p=p,
        n_first=n[0],
        n_second=n[1],
        sessions=None,
        g=effect and effect.g,
        g_interval=effect and effect.interval,
        caution_codes=cautions,
    )


def _keep_cautions_that_apply(result: ResultModel, misreading: Misreading | None) -> ResultModel:
    """Leave to a result that tells no difference the cautions that it may hide one."""
    if not result.shows_difference:
        hidden: list[Caution] = [one for one in result.caution_codes if one is Caution.DISAGREES]
        if result.conclusion is Conclusion.NOT_SHOWN and _may_hide(misreading):
            hidden.append(Caution.MISREAD)
        return result.model_copy(update={"caution_codes": tuple(hidden)})
    if misreading is not None:
        return result.model_copy(
            update={"caution_codes": (Caution.ASSOCIATION, *result.caution_codes)}
        )
    return result


def _may_hide(misreading: Misreading | None) -> bool:
    """Tell whether misread faces may leave so little of a difference that none is found."""
    if misreading is None:
        return False
    lost = misreading.attenuation
    return lost is None or lost.interval.low < _LEFT


def _about_time(
    period: PeriodModel | None, comparison: Comparison, p: float | None, *, observed: bool
) -> tuple[Caution, ...]:
    """Return what must be said of a difference as measured, for which time was not adjusted."""
    tests = comparison.tests
    if period is None or tests is None or p is None:
        return ()
    if period.uneven:
        # Observed emotions come and go: they have a time, and no order.
        return (Caution.TIME,) if observed else (Caution.ORDER,)
    return (Caution.DISAGREES,) if period.disagrees else ()


def _about_carry_over(period: PeriodModel | None) -> tuple[Caution, ...]:
    """Return what must be said of a difference that the state right before may explain."""
    if period is None or period.carry_over is None or not period.carry_over.moves:
        return ()
    return (Caution.CARRY_OVER,)


def _standardise(
    test: PeriodModel | ModelTestModel, effect: EffectSize | None
) -> EffectSize | None:
    """Divide an estimate by what Hedges' g of the same two states is divided by."""
    if effect is None or test.difference is None or test.interval is None:
        return None
    by = effect.standardiser
    ends = Interval(test.interval.low / by, test.interval.high / by)
    return EffectSize(test.difference / by, ends, by)
