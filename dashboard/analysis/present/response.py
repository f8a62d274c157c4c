"""An analysis as the model that programs get."""

from __future__ import annotations

from dashboard.analysis.comparison import Tests
from dashboard.analysis.planning.preregistration import PreregisteredModel
from dashboard.analysis.present.cautions import cautions_of, warnings_of
from dashboard.analysis.present.method_text import assumptions_of, method_of
from dashboard.analysis.present.parts.exclusion_schemas import (
    LeftOutModel,
    SettlingModel,
    WithAllModel,
)
from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.present.schemas import (
    AllStatesModel,
    AnalysisModel,
    ComparisonModel,
    EquivalenceModel,
    MatchModel,
    MeanModel,
    NeededInFamilyModel,
    NeededModel,
    RankModel,
    ShapiroModel,
    StateModel,
)
from dashboard.analysis.present.study.apa import apa_sentence
from dashboard.analysis.present.study.comparison_text import sentence
from dashboard.analysis.present.study.family_text import family_models
from dashboard.analysis.present.study.flow_text import flow_model
from dashboard.analysis.present.study.group_text import group_models
from dashboard.analysis.present.study.model_text import main_reason
from dashboard.analysis.present.study.models import bayes_model, model_test_model, vital_model
from dashboard.analysis.present.supplement import (
    agreement_model,
    drift_model,
    heart_test_models,
    period_models,
    sensitivity_models,
    settling_models,
    variability_model,
)
from dashboard.analysis.present.supplement_text import all_states_sentence
from dashboard.analysis.results import Analysis, StateSummary, VitalComparison, VitalStates
from dashboard.analysis.study.mixed import VitalModel
from dashboard.statistics import Method


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
