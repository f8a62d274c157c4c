"""What stands beside the comparisons, as models that programs get."""

from __future__ import annotations

from dashboard.analysis.agreement import SourceAgreement
from dashboard.analysis.heart.text import heart_sentence
from dashboard.analysis.heart.variability import StateVariability
from dashboard.analysis.period import VitalDrift, disagrees
from dashboard.analysis.present.parts.heart_schemas import HeartTestModel
from dashboard.analysis.present.parts.period_schemas import DriftModel, PeriodModel
from dashboard.analysis.present.parts.sensitivity_schemas import (
    IntervalModel,
    SensitivityModel,
    SettlingSensitivityModel,
    SettlingVariantModel,
    VariantModel,
)
from dashboard.analysis.present.period_text import drift_sentence, period_sentence
from dashboard.analysis.present.schemas import (
    AgreementModel,
    VariabilityModel,
)
from dashboard.analysis.present.supplement_text import agreement_sentence, sensitivity_sentence
from dashboard.analysis.results import Analysis
from dashboard.analysis.sensitivity import MatchingChoice, SettlingChoice, Variant
from dashboard.languages.written import said


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
