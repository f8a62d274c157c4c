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


def drift_sentence(change: VitalDrift) -> str:
    """Say how a vital changes while a session lasts."""
    name = vital_name(change.kind)
    if change.drift is None:
        return f"{name}: a change over the session cannot be told from the states: {change.reason}."
    unit = unit_of(change.kind)
    ends = change.drift.interval
    return (
        f"{name} changed by {number(change.drift.slope, 2)} {unit} with each minute of a session, "
        f"the states aside (95 % CI {interval_text(ends.low, ends.high, 2)}; "
        f"{people(change.drift.people)}, p {p_equals(change.drift.p)})."
    )


def period_sentence(test: VitalComparison) -> str:
    """Say what is left of a paired difference at equal times in the session; empty without one."""
    effect = test.period
    tests = test.comparison.tests
    if effect is None or tests is None:
        return ""
    start = f"{vital_name(test.kind)}, {test.first} − {test.second}:"
    if effect.one_way:
        return (
            f"{start} everybody met {test.first} {_later(effect)} {test.second}, by "
            f"{number(abs(effect.gap))} min on average. Nothing can be adjusted, and a difference "
            "must not be called an effect of the state."
        )
    if effect.adjusted is None:
        return f"{start} too few people, or too little spread, for an estimate at equal times."
    unit = unit_of(test.kind)
    ends = effect.adjusted.interval
    estimates = (
        f"{start} {number(tests.t.difference)} {unit} as measured, "
        f"{number(effect.adjusted.difference)} {unit} at equal times in the session (95 % CI "
        f"{interval_text(ends.low, ends.high)}; t({effect.adjusted.df:g}) = "
        f"{number(effect.adjusted.t, 2)}, {correction_name(test.correction)} p "
        f"{p_equals(effect.adjusted_p or 0.0)})."
    )
    if not disagrees(effect, test.adjusted_p or 0.0):
        return f"{estimates} Both say the same."
    return (
        f"{estimates} The two disagree: {test.first} was met {number(abs(effect.gap))} min "
        f"{_later(effect)} {test.second} on average, and with each minute between them the "
        f"difference changed by {number(effect.adjusted.slope, 2)} {unit}."
    )


def _later(effect: PeriodEffect) -> str:
    return "after" if effect.gap > 0 else "before"


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
        return f"Time in the session. {period_sentence(test)}"
    unit = unit_of(test.kind)
    by_drift = effect.by_drift or 0.0
    share = percent(abs(by_drift / difference)) if difference else "all"
    return (
        f"Time in the session. {vital_name(test.kind)}, {test.first} − {test.second}: "
        f"{test.first} was met {number(abs(effect.gap))} min {_later(effect)} {test.second} on "
        f"average; the change over the session alone would make {number(by_drift)} {unit} of that, "
        f"in size {share} of the difference. Read the estimate at equal times, and balance the "
        "order."
    )
