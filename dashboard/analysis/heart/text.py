"""Tests of the heart's variability in words. Pure."""

from __future__ import annotations

import math

from dashboard.analysis.heart.outcomes import HeartTest
from dashboard.analysis.request import HEART_NAMES, AnalysisQuery, Correction, HeartMeasure
from dashboard.statistics import Method

_UNITS = {HeartMeasure.SDNN: "ms", HeartMeasure.RESPIRATION: "/min"}
_ALPHA = 0.05


def heart_sentence(test: HeartTest, query: AnalysisQuery) -> str:
    """Say what a test of variability found; a logarithm is told as a ratio."""
    start = f"{HEART_NAMES[test.measure]}, {test.first} and {test.second}"
    tests = test.comparison.tests
    left_out = ", ".join(f"{n} {reason}" for reason, n in test.left_out.items())
    without = f" Without a number: {left_out}." if left_out else ""
    if tests is None or test.adjusted_p is None or test.comparison.difference is None:
        return f"{start}: no test, too few people have a number in both states.{without}"
    method = "Holm" if query.correction is Correction.HOLM else "Benjamini–Hochberg"
    design = "paired" if test.comparison.method is Method.PAIRED else "Welch"
    verdict = "a difference" if test.adjusted_p < _ALPHA else "no difference shown"
    shown = [test.comparison.difference, tests.t.interval.low, tests.t.interval.high]
    if test.measure in _UNITS:
        unit = _UNITS[test.measure]
        ends = f"{_minus(f'{shown[1]:+.1f}')} to {_minus(f'{shown[2]:+.1f}')}"
        size = f"{_minus(f'{shown[0]:+.1f}')} {unit} (95 % CI {ends})"
    else:
        ratio = [math.exp(value) for value in shown]
        size = f"{ratio[0]:.2f} times (95 % CI {ratio[1]:.2f} to {ratio[2]:.2f})"
    return (
        f"{start}: {verdict}, {size}; {design} t({tests.t.df:.4g}) = {_minus(f'{tests.t.t:.2f}')}, "
        f"{method} p {_p(test.adjusted_p)}, n = {_people(test)}.{without}"
    )


def _minus(number: str) -> str:
    """Write a number with a true minus sign, as all other sentences do."""
    return number.replace("-", "−")


def _p(p: float) -> str:
    if p < 0.001:
        return "< 0.001"
    return f"= {p:.3f}"


def _people(test: HeartTest) -> int:
    if test.comparison.method is Method.PAIRED:
        return test.comparison.n_both
    return test.comparison.n_first_only + test.comparison.n_second_only
