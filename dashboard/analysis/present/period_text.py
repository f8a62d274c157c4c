"""Time in the session, in words: how vitals drift, what is left at equal times, when to beware.

Pure.
"""

from __future__ import annotations

from dashboard.analysis.period import PeriodEffect, VitalDrift, disagrees, matters
from dashboard.analysis.present.text import (
    correction_name,
    interval_text,
    number,
    p_equals,
    people,
    percent,
    unit_of,
    vital_name,
)
from dashboard.analysis.results import Analysis, VitalComparison
from dashboard.languages.current import gettext
from dashboard.languages.figures import general
from dashboard.languages.names import state_name
from dashboard.languages.written import said


def drift_sentence(change: VitalDrift) -> str:
    """Say how a vital changes while a session lasts."""
    name = vital_name(change.kind)
    if change.drift is None:
        return gettext(
            "{vital}: a change over the session cannot be told from the states: {reason}."
        ).format(vital=name, reason=said(change.reason))
    ends = change.drift.interval
    return gettext(
        "{vital} changed by {slope} {unit} with each minute of a session, the states aside (95 % "
        "CI {interval}; {people}, p {p})."
    ).format(
        vital=name,
        slope=number(change.drift.slope, 2),
        unit=unit_of(change.kind),
        interval=interval_text(ends.low, ends.high, 2),
        people=people(change.drift.people),
        p=p_equals(change.drift.p),
    )


def period_sentence(test: VitalComparison) -> str:
    """Say what is left of a paired difference at equal times in the session; empty without one."""
    effect = test.period
    tests = test.comparison.tests
    if effect is None or tests is None:
        return ""
    named = _named(test, effect)
    if effect.one_way:
        return _one_way(effect).format(**named)
    if effect.adjusted is None:
        return gettext(
            "{vital}, {first} − {second}: too few people, or too little spread, for an estimate at "
            "equal times."
        ).format(vital=named["vital"], first=named["first"], second=named["second"])
    ends = effect.adjusted.interval
    estimates = gettext(
        "{vital}, {first} − {second}: {difference} {unit} as measured, {adjusted} {unit} at equal "
        "times in the session (95 % CI {interval}; t({df}) = {t}, {method} p {p})."
    ).format(
        vital=named["vital"],
        first=named["first"],
        second=named["second"],
        difference=number(tests.t.difference),
        unit=named["unit"],
        adjusted=number(effect.adjusted.difference),
        interval=interval_text(ends.low, ends.high),
        df=general(effect.adjusted.df),
        t=number(effect.adjusted.t, 2),
        method=correction_name(test.correction),
        p=p_equals(effect.adjusted_p or 0.0),
    )
    if not disagrees(effect, test.adjusted_p or 0.0):
        return f"{estimates} {gettext('Both say the same.')}"
    slope = number(effect.adjusted.slope, 2)
    return f"{estimates} {_disagreement(effect).format(**named, slope=slope)}"


def _named(test: VitalComparison, effect: PeriodEffect) -> dict[str, str]:
    """Return what the sentences about time in the session name."""
    return {
        "vital": vital_name(test.kind),
        "first": state_name(test.first),
        "second": state_name(test.second),
        "minutes": number(abs(effect.gap)),
        "unit": unit_of(test.kind),
    }


def _one_way(effect: PeriodEffect) -> str:
    if effect.gap > 0:
        return gettext(
            "{vital}, {first} − {second}: everybody met {first} after {second}, by {minutes} min "
            "on average. Nothing can be adjusted, and a difference must not be called an effect of "
            "the state."
        )
    return gettext(
        "{vital}, {first} − {second}: everybody met {first} before {second}, by {minutes} min on "
        "average. Nothing can be adjusted, and a difference must not be called an effect of the "
        "state."
    )


def _disagreement(effect: PeriodEffect) -> str:
    if effect.gap > 0:
        return gettext(
            "The two disagree: {first} was met {minutes} min after {second} on average, and with "
            "each minute between them the difference changed by {slope} {unit}."
        )
    return gettext(
        "The two disagree: {first} was met {minutes} min before {second} on average, and with each "
        "minute between them the difference changed by {slope} {unit}."
    )


def period_cautions(analysis: Analysis) -> tuple[str, ...]:
    """Return a caution for each difference that time in the session may explain, or hide."""
    texts = []
    for test in analysis.family:
        tests = test.comparison.tests
        if tests is None or test.period is None:
            continue
        if not matters(test.period, tests.t.difference, test.adjusted_p or 0.0, tests.t.p):
            continue
        texts.append(_caution(test, test.period, tests.t.difference))
    return tuple(texts)


def _caution(test: VitalComparison, effect: PeriodEffect, difference: float) -> str:
    if effect.one_way or disagrees(effect, test.adjusted_p or 0.0):
        return gettext("Time in the session. {sentence}").format(sentence=period_sentence(test))
    by_drift = effect.by_drift or 0.0
    share = gettext("all")
    if difference:
        share = percent(abs(by_drift / difference))
    text = gettext(
        "Time in the session. {vital}, {first} − {second}: {first} was met {minutes} min before "
        "{second} on average; the change over the session alone would make {by_drift} {unit} of "
        "that, in size {share} of the difference. Read the estimate at equal times, and balance "
        "the order."
    )
    if effect.gap > 0:
        text = gettext(
            "Time in the session. {vital}, {first} − {second}: {first} was met {minutes} min after "
            "{second} on average; the change over the session alone would make {by_drift} {unit} "
            "of that, in size {share} of the difference. Read the estimate at equal times, and "
            "balance the order."
        )
    return text.format(**_named(test, effect), by_drift=number(by_drift), share=share)
