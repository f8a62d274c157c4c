"""Analyse, then say, for page, API and command.

An analysis as the model that programs get.

What stands beside the comparisons, as models that programs get.

Mixed model and evidence as models that programs get.
"""

from __future__ import annotations

import math

from dashboard.analysis.agreement import SourceAgreement
from dashboard.analysis.checks import VitalDrift, disagrees
from dashboard.analysis.comparison import Tests
from dashboard.analysis.heart import StateVariability
from dashboard.analysis.mixed import VitalModel
from dashboard.analysis.planning import PreregisteredModel
from dashboard.analysis.results import (
    AgreementModel,
    AllStatesModel,
    Analysis,
    AnalysisModel,
    BayesFactorModel,
    ComparisonModel,
    DriftModel,
    EquivalenceModel,
    HeartTestModel,
    IntervalModel,
    LeftOutModel,
    MatchModel,
    MeanModel,
    ModelTestModel,
    NeededInFamilyModel,
    NeededModel,
    PeriodModel,
    RankModel,
    SensitivityModel,
    SettlingModel,
    SettlingSensitivityModel,
    SettlingVariantModel,
    ShapiroModel,
    SiteModel,
    StateModel,
    StateSummary,
    VariabilityModel,
    VariantModel,
    VitalComparison,
    VitalModelModel,
    VitalStates,
    WithAllModel,
)
from dashboard.analysis.say.apa import apa_of_model, apa_sentence
from dashboard.analysis.say.cautions import (
    cautions_of,
    drift_sentence,
    period_sentence,
    warnings_of,
)
from dashboard.analysis.say.method import (
    agreement_sentence,
    all_states_sentence,
    assumptions_of,
    method_of,
    sensitivity_sentence,
)
from dashboard.analysis.say.models import (
    differs,
    evidence_sentence,
    main_reason,
    model_sentence,
    tested_sentence,
)
from dashboard.analysis.say.people import flow_model, group_models
from dashboard.analysis.say.tests import family_models, heart_sentence, sentence
from dashboard.analysis.sensitivity import MatchingChoice, SettlingChoice, Variant
from dashboard.languages.names import said
from dashboard.statistics.t_tests import Method


def bayes_model(test: VitalComparison) -> BayesFactorModel | None:
    """Return the evidence of a t-test; ``None`` without one."""
    factor = test.evidence
    if factor is None:
        return None
    large = math.isinf(factor.for_difference)
    return BayesFactorModel(
        for_difference=None if large else factor.for_difference,
        for_none=factor.for_none,
        log_for_difference=factor.log_factor,
        scale=factor.scale,
        sentence=evidence_sentence(test, factor),
    )


def model_test_model(test: VitalComparison, model: VitalModel) -> ModelTestModel | None:
    """Return two states by the mixed model; ``None`` where there is none."""
    tested = test.by_model
    if tested is None:
        return None
    effect = tested.effect
    return ModelTestModel(
        difference=effect.estimate,
        interval=IntervalModel.model_validate(effect.interval),
        error=effect.error,
        t=effect.t,
        df=effect.df,
        p=effect.p,
        adjusted_p=tested.adjusted_p,
        differs=differs(test),
        sentence=tested_sentence(test, model),
        apa=apa_of_model(test, model),
    )


def vital_model(one: VitalModel) -> VitalModelModel:
    """Return what went into the model of a vital."""
    fit = one.model
    return VitalModelModel(
        vital=one.kind,
        participants=one.design.participants,
        sessions=one.design.sessions,
        means=one.design.means,
        repeated=one.design.repeated,
        incomplete=one.design.incomplete,
        minute=one.time and one.time.estimate,
        minute_p=one.time and one.time.p,
        participant_variance=fit and fit.participant_variance,
        session_variance=fit and fit.session_variance,
        reaction_variance=fit and fit.reaction_variance,
        residual_variance=fit and fit.residual_variance,
        singular=fit and fit.singular,
        first_site=one.first_site,
        sites=tuple(
            SiteModel(
                site=site.name,
                difference=site.estimate,
                interval=IntervalModel.model_validate(site.interval),
                error=site.error,
                t=site.t,
                df=site.df,
                p=site.p,
            )
            for site in one.sites
        ),
        reason=said(one.reason),
        sentence=model_sentence(one),
    )


def agreement_model(sources: SourceAgreement) -> AgreementModel:
    """Return table and kappa of two sources."""
    agreement = sources.agreement
    return AgreementModel(
        first=sources.first.value,
        second=sources.second.value,
        labels=() if agreement is None else agreement.labels,
        table=() if agreement is None else agreement.table,
        n=0 if agreement is None else agreement.n,
        participants=0 if agreement is None else agreement.participants,
        left_out=sources.left_out,
        observed=None if agreement is None else agreement.observed,
        kappa=None if agreement is None else agreement.kappa,
        interval=IntervalModel.of(agreement.interval if agreement else None),
        no_interval=agreement.no_interval.value if agreement and agreement.no_interval else None,
        sentence=agreement_sentence(sources),
    )


def variability_model(state: StateVariability) -> VariabilityModel:
    """Return the variability of one participant in one state."""
    v = state.variability
    return VariabilityModel(
        participant=state.participant,
        state=str(state.state),
        rmssd_ms=None if v is None else v.rmssd_ms,
        ln_rmssd=None if v is None or v.rmssd_ms == 0 else v.ln_rmssd,
        sdnn_ms=None if v is None else v.sdnn_ms,
        beats=None if v is None else v.n,
        seconds=None if v is None else v.seconds,
        rejected=None if v is None else v.share_corrected,
        ectopic=None if v is None else v.corrections.ectopic,
        missed=None if v is None else v.corrections.missed,
        extra=None if v is None else v.corrections.extra,
        misplaced=None if v is None else v.corrections.misplaced,
        contact_lost=state.contact_lost,
        simulated=state.simulated,
        reason=said(state.reason),
    )


def heart_test_models(analysis: Analysis) -> tuple[HeartTestModel, ...]:
    """Return the tests of variability."""
    models = []
    for test in analysis.heart_tests:
        tests = test.comparison.tests
        models.append(
            HeartTestModel(
                measure=test.measure,
                first=str(test.first),
                second=str(test.second),
                n_both=test.comparison.n_both,
                difference=test.comparison.difference,
                low=tests and tests.t.interval.low,
                high=tests and tests.t.interval.high,
                t=tests and tests.t.t,
                df=tests and tests.t.df,
                p=tests and tests.t.p,
                adjusted_p=test.adjusted_p,
                left_out=dict(test.left_out),
                sentence=heart_sentence(test, analysis.query),
            )
        )
    return tuple(models)


def sensitivity_models(analysis: Analysis) -> tuple[SensitivityModel, ...]:
    """Return for each comparison its results under other windows and lags.

    None where that was not asked for.
    """
    if not analysis.sensitivity:
        return ()
    return tuple(
        SensitivityModel(
            vital=test.kind,
            first=str(test.first),
            second=str(test.second),
            changed=sensitivity.changed,
            variants=tuple(
                VariantModel.model_validate(_OfVital(one, lag=one.choice.lag_s(test.kind)))
                for one in sensitivity.variants
            ),
            sentence=sensitivity_sentence(test, sensitivity),
        )
        for test, sensitivity in zip(analysis.family, analysis.sensitivity, strict=True)
    )


def drift_model(change: VitalDrift) -> DriftModel:
    """Return the change of a vital over the session."""
    drift = change.drift
    return DriftModel(
        vital=change.kind,
        slope=drift and drift.slope,
        interval=IntervalModel.of(drift.interval if drift else None),
        p=drift and drift.p,
        people=0 if drift is None else drift.people,
        sentence=drift_sentence(change),
    )


def period_models(analysis: Analysis) -> tuple[PeriodModel, ...]:
    """Return each paired comparison at equal times in the session."""
    models = []
    for test in analysis.family:
        effect = test.period
        if effect is None:
            continue
        adjusted = effect.adjusted
        models.append(
            PeriodModel(
                vital=test.kind,
                first=str(test.first),
                second=str(test.second),
                gap_minutes=effect.gap,
                one_way=effect.one_way,
                by_drift=effect.by_drift,
                difference=adjusted and adjusted.difference,
                interval=IntervalModel.of(adjusted.interval if adjusted else None),
                t=adjusted and adjusted.t,
                df=adjusted and adjusted.df,
                p=adjusted and adjusted.p,
                adjusted_p=effect.adjusted_p,
                disagrees=disagrees(effect, test.adjusted_p or 0.0),
                sentence=period_sentence(test),
            )
        )
    return tuple(models)


def settling_models(analysis: Analysis) -> tuple[SettlingSensitivityModel, ...]:
    """Return for each comparison its results under other settling times.

    None where that was not asked for.
    """
    if not analysis.settling_sensitivity:
        return ()
    return tuple(
        SettlingSensitivityModel(
            vital=test.kind,
            first=str(test.first),
            second=str(test.second),
            changed=sensitivity.changed,
            variants=tuple(
                SettlingVariantModel.model_validate(
                    _OfVital(one, settling=one.choice.settling_s(test.kind))
                )
                for one in sensitivity.variants
            ),
            sentence=sensitivity_sentence(test, sensitivity),
        )
        for test, sensitivity in zip(analysis.family, analysis.settling_sensitivity, strict=True)
    )


class _OfVital:
    """A variant as its model reads it, with the lag or settling time of the vital compared."""

    def __init__(
        self,
        variant: Variant[MatchingChoice] | Variant[SettlingChoice],
        *,
        lag: float = 0.0,
        settling: float = 0.0,
    ) -> None:
        self.choice = variant.choice
        self.decision = variant.decision
        self.conclusion = variant.conclusion
        self.changes = variant.changes
        self.lag = lag
        self.settling = settling


def response_of(
    analysis: Analysis, preregistered: PreregisteredModel | None = None
) -> AnalysisModel:
    """Return the same numbers and sentences as the page, as a model with every number unrounded."""
    matching = analysis.matching
    mixed = analysis.mixture
    models = {one.kind: one for one in analysis.models}
    return AnalysisModel(
        question=analysis.query,
        sample=analysis.sample,
        sessions=tuple(session.id for session in analysis.sessions),
        participants=len(analysis.participants),
        readings=analysis.readings,
        simulated_readings=analysis.simulated_readings,
        estimated_readings=analysis.estimated_readings,
        estimated_left_out=analysis.estimated_left_out,
        flagged=analysis.flagged,
        flagged_left_out=analysis.flagged_left_out,
        left_out=tuple(LeftOutModel.model_validate(one) for one in analysis.left_out),
        settling=tuple(SettlingModel.model_validate(one) for one in analysis.settling),
        other_states=dict(analysis.other_states),
        matching=None if matching is None else MatchModel.model_validate(matching),
        unreported=analysis.unreported,
        orders={"-".join(order): people for order, people in analysis.orders.items()},
        tests_computed=analysis.tests_computed,
        comparisons=tuple(_comparison(test, models[test.kind]) for test in analysis.family),
        all_states=tuple(_all_states(states) for states in analysis.all_states),
        states=tuple(_state(state) for state in analysis.summaries),
        means=tuple(MeanModel.model_validate(mean) for mean in analysis.means),
        agreements=tuple(agreement_model(agreement) for agreement in analysis.agreements),
        variability=tuple(variability_model(variability) for variability in analysis.variability),
        heart_tests=heart_test_models(analysis),
        families=family_models(analysis),
        groups=group_models(analysis),
        sensitivity=sensitivity_models(analysis),
        settling_sensitivity=settling_models(analysis),
        drifts=tuple(drift_model(change) for change in analysis.drifts),
        periods=period_models(analysis),
        preregistration=preregistered,
        mixed_windows=mixed.mixed / mixed.windows if mixed and mixed.windows else None,
        main=analysis.main.value,
        main_reason=main_reason(analysis),
        models=tuple(vital_model(one) for one in analysis.models),
        flow=analysis.flow and flow_model(analysis.flow, analysis.query, analysis.groups),
        warnings=warnings_of(analysis),
        cautions=cautions_of(analysis),
        assumptions=assumptions_of(analysis),
        method=method_of(analysis),
    )


def _comparison(test: VitalComparison, model: VitalModel) -> ComparisonModel:
    c = test.comparison
    tests = test.comparison.tests
    lost = test.misreading.attenuation if test.misreading else None
    paired = c.method is Method.PAIRED
    if paired:
        used = (c.n_both, c.n_both)
    elif c.method:
        used = (c.n_first_only, c.n_second_only)
    else:
        used = (0, 0)
    return ComparisonModel(
        vital=test.kind,
        unit=test.kind.unit,
        first=str(test.first),
        second=str(test.second),
        method=None if c.method is None else c.method.value,
        n_first=used[0],
        n_second=used[1],
        n_both=c.n_both,
        n_apart=c.n_apart,
        n_first_only=c.n_first_only,
        n_second_only=c.n_second_only,
        left_out=c.left_out,
        difference=c.difference,
        interval=IntervalModel.of(tests.t.interval if tests else None),
        t=tests and tests.t.t,
        df=tests and tests.t.df,
        p=tests and tests.t.p,
        holm_p=tests and tests.holm_p,
        bh_p=tests and tests.bh_p,
        adjusted_p=test.adjusted_p,
        at_equal_times=test.at_equal_times is not None,
        g=tests and tests.effect.g,
        g_interval=IntervalModel.of(tests.effect.interval if tests else None),
        shapiro=_shapiro(test, tests) if tests else (),
        rank=tests and RankModel.model_validate(tests.rank),
        equivalence=test.equivalence and EquivalenceModel.model_validate(test.equivalence),
        needed=test.required_sample and NeededModel.model_validate(test.required_sample),
        rank_adjusted_p=test.in_family and test.in_family.rank_p,
        equivalence_adjusted_p=test.in_family and test.in_family.equivalence_p,
        equivalent=test.in_family and test.in_family.equivalent,
        needed_in_family=_needed_in_family(test),
        attenuation=lost and lost.factor,
        attenuation_interval=IntervalModel.of(lost.interval if lost else None),
        obstacle=None if c.obstacle is None else c.obstacle.value,
        with_all=test.with_all and WithAllModel.model_validate(test.with_all),
        sentence=sentence(test),
        apa=apa_sentence(test),
        bayes_factor=bayes_model(test),
        by_model=model_test_model(test, model),
    )


def _needed_in_family(test: VitalComparison) -> NeededInFamilyModel | None:
    own = test.in_family
    if own is None or own.required_sample is None:
        return None
    needed = NeededModel.model_validate(own.required_sample).model_dump()
    return NeededInFamilyModel.model_validate(needed | {"level": own.level, "tests": own.tests})


def _shapiro(test: VitalComparison, tests: Tests) -> tuple[ShapiroModel, ...]:
    names: tuple[str, ...] = (str(test.first), str(test.second))
    if len(tests.normality) == 1:
        names = ("differences",)
    named = zip(names, tests.normality, strict=True)
    return tuple(
        ShapiroModel(of=name, w=normality.w, p=normality.p)
        for name, normality in named
        if normality
    )


def _all_states(states: VitalStates) -> AllStatesModel:
    c = states.comparison
    anova = states.comparison.anova
    return AllStatesModel(
        vital=states.kind,
        n=c.n,
        left_out=c.left_out,
        f=anova and anova.f,
        epsilon=anova and anova.epsilon,
        df=anova and anova.corrected_df,
        p=anova and anova.corrected_p,
        partial_eta_squared=anova and anova.partial_eta_squared,
        generalized_eta_squared=anova and anova.generalized_eta_squared,
        obstacle=None if c.obstacle is None else c.obstacle.value,
        sentence=all_states_sentence(states),
    )


def _state(state: StateSummary) -> StateModel:
    s = state.summary
    return StateModel(
        vital=state.kind,
        state=str(state.state),
        n=0 if s is None else s.n,
        readings=state.readings,
        mean=None if s is None else s.mean,
        sd=None if s is None else s.sd,
        interval=IntervalModel.of(s.interval if s else None),
    )
