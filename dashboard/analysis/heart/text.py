"""Tests of the heart's variability in words. Pure."""

from __future__ import annotations

import math

from dashboard.analysis.heart.outcomes import HeartTest
from dashboard.analysis.request import (
    HEART_NAMES,
    AnalysisQuery,
    Correction,
    HeartMeasure,
    StateBy,
)
from dashboard.languages.current import gettext
from dashboard.languages.figures import by_locale, decimal
from dashboard.languages.names import state_name
from dashboard.languages.written import as_association
from dashboard.statistics import Interval, Method

_UNITS = {HeartMeasure.SDNN: "ms", HeartMeasure.RESPIRATION: "/min"}
_ALPHA = 0.05


def heart_sentence(test: HeartTest, query: AnalysisQuery) -> str:
    """Say what a test of variability found; a logarithm is told as a ratio."""
    named = {
        "measure": gettext(HEART_NAMES[test.measure]),
        "first": state_name(test.first),
        "second": state_name(test.second),
    }
    left_out = ", ".join(f"{n} {gettext(reason)}" for reason, n in test.left_out.items())
    without = ""
    if left_out:
        without = " " + gettext("Without a number: {reasons}.").format(reasons=left_out)
    tests = test.comparison.tests
    if tests is None or test.adjusted_p is None or test.comparison.difference is None:
        text = gettext(
            "{measure}, {first} and {second}: no test, too few people have a number in both states."
        )
        return text.format(**named) + without
    verdict = _verdict(test, test.adjusted_p).format(
        **named,
        size=_size(test.measure, test.comparison.difference, tests.t.interval),
        df=by_locale(f"{tests.t.df:.4g}"),
        t=_minus(f"{tests.t.t:.2f}"),
        method="Holm" if query.correction is Correction.HOLM else "Benjamini–Hochberg",
        p=_p(test.adjusted_p),
        n=_people(test),
    )
    shown = test.adjusted_p < _ALPHA
    observed = shown and query.state is StateBy.OBSERVED
    return as_association(verdict, observed=observed) + without


def _verdict(test: HeartTest, adjusted_p: float) -> str:
    paired = test.comparison.method is Method.PAIRED
    if adjusted_p < _ALPHA and paired:
        return gettext(
            "{measure}, {first} and {second}: a difference, {size}; paired t({df}) = {t}, {method} "
            "p {p}, n = {n}."
        )
    if adjusted_p < _ALPHA:
        return gettext(
            "{measure}, {first} and {second}: a difference, {size}; Welch t({df}) = {t}, {method} "
            "p {p}, n = {n}."
        )
    if paired:
        return gettext(
            "{measure}, {first} and {second}: no difference shown, {size}; paired t({df}) = {t}, "
            "{method} p {p}, n = {n}."
        )
    return gettext(
        "{measure}, {first} and {second}: no difference shown, {size}; Welch t({df}) = {t}, "
        "{method} p {p}, n = {n}."
    )


def _size(measure: HeartMeasure, difference: float, interval: Interval) -> str:
    """Write a difference with its interval, that of a logarithm as a ratio."""
    shown = [difference, interval.low, interval.high]
    if measure in _UNITS:
        value, low, high = (_minus(f"{one:+.1f}") for one in shown)
        return gettext("{value} {unit} (95 % CI {low} to {high})").format(
            value=value, unit=_UNITS[measure], low=low, high=high
        )
    ratio, low, high = (decimal(math.exp(one), 2) for one in shown)
    return gettext("{ratio} times (95 % CI {low} to {high})").format(
        ratio=ratio, low=low, high=high
    )


def _minus(number: str) -> str:
    """Write a number with a true minus sign, as all other sentences do."""
    return by_locale(number.replace("-", "−"))


def _p(p: float) -> str:
    if p < 0.001:
        return by_locale("< 0.001")
    return by_locale(f"= {p:.3f}")


def _people(test: HeartTest) -> int:
    if test.comparison.method is Method.PAIRED:
        return test.comparison.n_both
    return test.comparison.n_first_only + test.comparison.n_second_only
