"""What stands beside the comparisons, as models that programs get."""

from __future__ import annotations

from dashboard.analysis.agreement import SourceAgreement
from dashboard.analysis.analyse import Analysis
from dashboard.analysis.heart_variability import StateVariability
from dashboard.analysis.present.schemas import (
    AgreementModel,
    IntervalModel,
    SensitivityModel,
    VariabilityModel,
    VariantModel,
)
from dashboard.analysis.present.supplement_text import agreement_sentence, sensitivity_sentence
from dashboard.analysis.sensitivity import Variant
from dashboard.statistics import Interval
from edge_agent.core.vitals import VitalKind


def agreement_model(found: SourceAgreement) -> AgreementModel:
    """Return table and kappa of two sources."""
    agreement = found.agreement
    return AgreementModel(
        first=found.first.value,
        second=found.second.value,
        labels=() if agreement is None else agreement.labels,
        table=() if agreement is None else agreement.table,
        n=0 if agreement is None else agreement.n,
        participants=0 if agreement is None else agreement.participants,
        left_out=found.left_out,
        observed=None if agreement is None else agreement.observed,
        kappa=None if agreement is None else agreement.kappa,
        interval=None if agreement is None else _interval(agreement.interval),
        sentence=agreement_sentence(found),
    )


def variability_model(found: StateVariability) -> VariabilityModel:
    """Return the variability of one participant in one state."""
    v = found.variability
    return VariabilityModel(
        participant=found.participant,
        state=found.state.value,
        rmssd_ms=None if v is None else v.rmssd_ms,
        ln_rmssd=None if v is None or v.rmssd_ms == 0 else v.ln_rmssd,
        sdnn_ms=None if v is None else v.sdnn_ms,
        beats=None if v is None else v.n,
        seconds=None if v is None else v.seconds,
        rejected=None if v is None else v.share_rejected,
        contact_lost=found.contact_lost,
        simulated=found.simulated,
        reason=found.reason,
    )


def sensitivity_models(analysis: Analysis) -> tuple[SensitivityModel, ...]:
    """Return for each comparison its results under other windows and lags.

    None where that was not asked for.
    """
    if not analysis.sensitivity:
        return ()
    return tuple(
        SensitivityModel(
            vital=test.kind,
            first=test.first.value,
            second=test.second.value,
            changed=found.changed,
            variants=tuple(_variant(test.kind, variant) for variant in found.variants),
            sentence=sensitivity_sentence(test, found),
        )
        for test, found in zip(analysis.family, analysis.sensitivity, strict=True)
    )


def _variant(kind: VitalKind, variant: Variant) -> VariantModel:
    return VariantModel(
        window=variant.setting.window_s,
        lag=variant.setting.lag_s(kind),
        lag_heart_rate=variant.setting.lag_heart_rate_s,
        lag_pressure=variant.setting.lag_pressure_s,
        n_first=variant.decision.n_first,
        n_second=variant.decision.n_second,
        difference=variant.decision.difference,
        interval=_interval(variant.decision.interval),
        p=variant.decision.p,
        holm_p=variant.decision.holm_p,
        conclusion=variant.conclusion.value,
        changes=variant.changes,
    )


def _interval(interval: Interval | None) -> IntervalModel | None:
    if interval is None:
        return None
    return IntervalModel(low=interval.low, high=interval.high)
