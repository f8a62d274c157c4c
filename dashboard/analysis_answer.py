"""An analysis as the model that programs get."""

from __future__ import annotations

from dashboard.analysis import Analysis, StateMean, StateSummary, VitalComparison
from dashboard.analysis_schema import (
    AnalysisModel,
    ComparisonModel,
    IntervalModel,
    MatchModel,
    MeanModel,
    RankModel,
    ShapiroModel,
    StateModel,
)
from dashboard.analysis_text import method_of, sentence, warnings_of
from dashboard.comparison import Tests
from dashboard.statistics import Interval, Method


def answer_of(analysis: Analysis) -> AnalysisModel:
    """Return the same numbers and sentences as the page, as a model with every number unrounded."""
    matching = analysis.matching
    return AnalysisModel(
        question=analysis.query,
        sample=analysis.sample,
        sessions=tuple(session.id for session in analysis.sessions),
        participants=len(analysis.participants),
        readings=analysis.readings,
        simulated_readings=analysis.simulated_readings,
        flagged=analysis.flagged,
        other_states=dict(analysis.other_states),
        matching=None
        if matching is None
        else MatchModel(matched=matching.matched, unmatched=matching.unmatched, ambiguous=matching.ambiguous),
        tests_computed=analysis.tests_computed,
        comparisons=tuple(_comparison(test) for test in analysis.family),
        states=tuple(_state(state) for state in analysis.summaries),
        means=tuple(_mean(mean) for mean in analysis.means),
        warnings=warnings_of(analysis),
        method=method_of(analysis),
    )


def _comparison(test: VitalComparison) -> ComparisonModel:
    c, tests = test.comparison, test.comparison.tests
    paired = c.method is Method.PAIRED
    used = (c.n_both, c.n_both) if paired else (c.n_first_only, c.n_second_only) if c.method else (0, 0)
    return ComparisonModel(
        vital=test.kind,
        unit=test.kind.unit,
        first=test.first.value,
        second=test.second.value,
        method=None if c.method is None else c.method.value,
        n_first=used[0],
        n_second=used[1],
        n_both=c.n_both,
        n_first_only=c.n_first_only,
        n_second_only=c.n_second_only,
        left_out=c.left_out,
        difference=c.difference,
        interval=tests and _interval(tests.t.interval),
        t=tests and tests.t.t,
        df=tests and tests.t.df,
        p=tests and tests.t.p,
        holm_p=tests and tests.holm_p,
        g=tests and tests.effect.g,
        g_interval=tests and _interval(tests.effect.interval),
        shapiro=_shapiro(test, tests) if tests else (),
        rank=tests and _rank(tests),
        obstacle=None if c.obstacle is None else c.obstacle.value,
        sentence=sentence(test),
    )


def _interval(interval: Interval | None) -> IntervalModel | None:
    return None if interval is None else IntervalModel(low=interval.low, high=interval.high)


def _shapiro(test: VitalComparison, tests: Tests) -> tuple[ShapiroModel, ...]:
    names = ("differences",) if len(tests.normality) == 1 else (test.first.value, test.second.value)
    found = zip(names, tests.normality, strict=True)
    return tuple(ShapiroModel(of=name, w=normality.w, p=normality.p) for name, normality in found if normality)


def _rank(tests: Tests) -> RankModel:
    rank = tests.rank
    return RankModel(name=rank.name, statistic=rank.statistic, p=rank.p, exact=rank.exact)


def _state(state: StateSummary) -> StateModel:
    s = state.summary
    return StateModel(
        vital=state.kind,
        state=state.state.value,
        n=0 if s is None else s.n,
        readings=state.readings,
        mean=None if s is None else s.mean,
        sd=None if s is None else s.sd,
        interval=None if s is None else _interval(s.interval),
    )


def _mean(mean: StateMean) -> MeanModel:
    return MeanModel(
        participant=mean.participant,
        vital=mean.kind,
        state=mean.state.value,
        mean=mean.mean,
        readings=mean.readings,
        simulated=mean.simulated,
    )
