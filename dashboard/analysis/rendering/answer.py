"""An analysis as the model that programs get: every number unrounded, each result in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dashboard.analysis import results
from dashboard.analysis.analyse import Analysis, VitalComparison, VitalStates
from dashboard.analysis.choices import MatchingChoice, SettlingChoice
from dashboard.analysis.planning import PreregisteredModel
from dashboard.analysis.question import AnalysisQuery
from dashboard.analysis.rendering import cautions, findings, method, models, people, tests
from dashboard.analysis.results import AnalysisModel, gathered
from dashboard.analysis.tests.comparison import Tests
from dashboard.analysis.tests.heart import HeartTest, StateVariability
from dashboard.analysis.tests.sensitivity import Sensitivity, Variant
from dashboard.languages.names import said
from edge_agent.core.measures import Measure


def response_of(
    analysis: Analysis, preregistered: PreregisteredModel | None = None
) -> AnalysisModel:
    """Return the same numbers and sentences as the page, as a model with every number unrounded."""
    query = analysis.query
    mixed = analysis.mixture
    by_vital = {one.vital: one for one in analysis.models}
    return gathered(
        AnalysisModel,
        analysis,
        question=query,
        sessions=[session.id for session in analysis.sessions],
        participants=len(analysis.participants),
        orders={"-".join(order): count for order, count in analysis.orders.items()},
        comparisons=[_comparison(test, by_vital[test.kind]) for test in analysis.family],
        all_states=[_all_states(states) for states in analysis.all_states],
        states=[
            gathered(
                results.StateModel,
                state.summary,
                state,
                vital=state.kind,
                n=state.summary.n if state.summary else 0,
            )
            for state in analysis.summaries
        ],
        agreements=[
            one.model_copy(update={"sentence": method.agreement_sentence(one)})
            for one in analysis.agreements
        ],
        variability=[_variability(state) for state in analysis.variability],
        heart_tests=[_heart_test(test, query) for test in analysis.heart_tests],
        families=tests.family_models(analysis),
        groups=[people.group_model(one, query) for one in analysis.groups],
        sensitivity=_sensitivities(analysis.family, analysis.sensitivity),
        settling_sensitivity=_sensitivities(analysis.family, analysis.settling_sensitivity),
        drifts=[
            one.model_copy(
                update={"reason": said(one.reason), "sentence": cautions.drift_sentence(one)}
            )
            for one in analysis.drifts
        ],
        periods=[
            test.period.model_copy(update={"sentence": cautions.period_sentence(test)})
            for test in analysis.family
            if test.period is not None
        ],
        preregistration=preregistered,
        mixed_windows=mixed.mixed / mixed.windows if mixed and mixed.windows else None,
        main_reason=models.main_reason(analysis),
        models=[
            one.model_copy(
                update={"reason": said(one.reason), "sentence": models.model_sentence(one)}
            )
            for one in analysis.models
        ],
        flow=analysis.flow and people.told_flow(analysis.flow, query, analysis.groups),
        warnings=cautions.warnings_of(analysis),
        cautions=cautions.cautions_of(analysis),
        assumptions=method.assumptions_of(analysis),
        method=method.method_of(analysis),
    )


def _comparison(test: VitalComparison, model: results.VitalModelModel) -> results.ComparisonModel:
    c = test.comparison
    numbers = c.tests
    own = test.in_family
    lost = test.misreading and test.misreading.attenuation
    needed = own and own.required_sample
    return gathered(
        results.ComparisonModel,
        numbers and numbers.t,
        numbers,
        c,
        test,
        vital=test.kind,
        unit=test.kind.unit,
        first=test.first,
        second=test.second,
        n_first=len(c.first),
        n_second=len(c.second),
        difference=c.difference,
        at_equal_times=test.period is not None and test.period.at_equal_times,
        g=numbers and numbers.effect.g,
        g_interval=numbers and numbers.effect.interval,
        shapiro=_shapiro(test, numbers) if numbers else (),
        needed=test.required_sample,
        rank_adjusted_p=own and own.rank_p,
        equivalence_adjusted_p=own and own.equivalence_p,
        equivalent=own and own.equivalent,
        attenuation=lost and lost.factor,
        attenuation_interval=lost and lost.interval,
        needed_in_family=needed and gathered(results.NeededInFamilyModel, needed.size, needed, own),
        result=test.result,
        claim=findings.claim(test, test.result),
        remarks=findings.remarks(test),
        sentence=findings.sentence(test),
        beside=findings.beside(test, model),
        apa=findings.apa_sentence(test, test.result, model),
        bayes_factor=_bayes_factor(test),
        by_model=_model_test(test, model),
    )


def _shapiro(test: VitalComparison, numbers: Tests) -> list[results.ShapiroModel]:
    # Two tests of normality belong to two groups; a paired test has one, of the differences.
    names = (test.first, test.second) if len(numbers.normality) == 2 else ("differences",)
    return [
        gathered(results.ShapiroModel, normality, of=name)
        for name, normality in zip(names, numbers.normality, strict=True)
        if normality
    ]


def _bayes_factor(test: VitalComparison) -> results.BayesFactorModel | None:
    factor = test.evidence
    if factor is None:
        return None
    return gathered(
        results.BayesFactorModel,
        factor,
        # JSON has no infinity; the logarithm beside it is always finite.
        for_difference=None if math.isinf(factor.for_difference) else factor.for_difference,
        log_for_difference=factor.log_factor,
        sentence=models.evidence_sentence(test, factor),
    )


def _model_test(
    test: VitalComparison, model: results.VitalModelModel
) -> results.ModelTestModel | None:
    """Return two states by the mixed model; ``None`` where there is none."""
    tested = test.by_model
    result = test.model_result
    if tested is None or result is None:
        return None
    return tested.model_copy(
        update={
            "claim": findings.claim(test, result),
            "sentence": findings.by_model_sentence(test, model),
            "apa": findings.apa_sentence(test, result, model),
        }
    )


def _all_states(states: VitalStates) -> results.AllStatesModel:
    anova = states.comparison.anova
    return gathered(
        results.AllStatesModel,
        states.comparison,
        anova,
        vital=states.kind,
        df=anova and anova.corrected_df,
        p=anova and anova.corrected_p,
        sentence=method.all_states_sentence(states),
    )


def _variability(state: StateVariability) -> results.VariabilityModel:
    v = state.variability
    return gathered(
        results.VariabilityModel,
        v and v.corrections,
        state,
        rmssd_ms=v and v.rmssd_ms,
        # Without any change from beat to beat RMSSD is 0 and has no logarithm.
        ln_rmssd=v.ln_rmssd if v and v.rmssd_ms else None,
        sdnn_ms=v and v.sdnn_ms,
        beats=v and v.n,
        seconds=v and v.seconds,
        rejected=v and v.share_corrected,
        reason=said(state.reason),
    )


def _heart_test(test: HeartTest, query: AnalysisQuery) -> results.HeartTestModel:
    t = test.comparison.tests and test.comparison.tests.t
    return gathered(
        results.HeartTestModel,
        test,
        t,
        t and t.interval,
        n_both=test.comparison.n_both,
        difference=test.comparison.difference,
        sentence=tests.heart_sentence(test, query),
    )


def _sensitivities(
    family: Sequence[VitalComparison],
    tables: Sequence[Sensitivity[MatchingChoice] | Sensitivity[SettlingChoice]],
) -> list[dict[str, object]]:
    """Return what each test comes to under other choices; nothing where none were tried."""
    return [
        {
            "vital": test.kind,
            "first": test.first,
            "second": test.second,
            "changed": one.changed,
            "sentence": method.sensitivity_sentence(test, one),
            "variants": [_variant(variant, test.kind) for variant in one.variants],
        }
        # Not strict: there are no tables where the question did not ask for them.
        for test, one in zip(family, tables, strict=False)
    ]


def _variant(
    variant: Variant[MatchingChoice] | Variant[SettlingChoice], kind: Measure
) -> results.DecisionModel:
    choice = variant.choice
    if isinstance(choice, SettlingChoice):
        settling = choice.settling_s(kind)
        return gathered(results.SettlingVariantModel, variant, variant.decision, settling=settling)
    return gathered(
        results.VariantModel,
        variant,
        variant.decision,
        window=choice.window_s,
        lag=choice.lag_s(kind),
        lag_heart_rate=choice.lag_heart_rate_s,
        lag_pressure=choice.lag_pressure_s,
    )
