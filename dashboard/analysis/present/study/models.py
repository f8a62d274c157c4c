"""Mixed model and evidence as models that programs get."""

from __future__ import annotations

import math

from dashboard.analysis.present.parts.sensitivity_schemas import IntervalModel
from dashboard.analysis.present.parts.study_schemas import (
    BayesFactorModel,
    ModelTestModel,
    SiteModel,
    VitalModelModel,
)
from dashboard.analysis.present.study.apa import apa_of_model
from dashboard.analysis.present.study.model_text import (
    differs,
    evidence_sentence,
    model_sentence,
    tested_sentence,
)
from dashboard.analysis.results import VitalComparison
from dashboard.analysis.study.mixed import VitalModel
from dashboard.languages.written import said


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
