"""A sentence for a report of each test, in the style of the APA's Publication Manual. Pure.

p has no zero before its point, intervals stand in brackets, and degrees of freedom behind t.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from dashboard.analysis.comparison import Tests
from dashboard.analysis.present.study.model_text import factor_text
from dashboard.analysis.present.text import (
    ALPHA,
    correction_name,
    number,
    unit_of,
)
from dashboard.analysis.results import VitalComparison
from dashboard.analysis.study.mixed import VitalModel
from dashboard.statistics import Interval, Method


def apa_sentence(test: VitalComparison) -> str:
    """Return the t-test as a sentence for a report; empty without a test."""
    tests = test.comparison.tests
    if tests is None:
        return ""
    t = tests.t
    paired = t.method is Method.PAIRED
    kind = "A paired-samples t test" if paired else "Welch’s t test of independent groups"
    df = f"{t.df:.0f}" if paired else f"{t.df:.2f}"
    n = f"N = {t.n_first}" if paired else f"n = {t.n_first} and {t.n_second}"
    factor = test.evidence
    evidence = ""
    if factor is not None:
        shown = factor_text(factor.for_difference)
        equals = "> 100,000" if shown.startswith("over") else f"= {shown}"
        evidence = f", BF10 {equals} (JZS, r = {factor.scale:.3f})"
    return (
        f"{kind} {_claim(test, tests)}, mean difference {number(t.difference, 2)} "
        f"{unit_of(test.kind)}, 95% CI {_brackets(t.interval)}, t({df}) = {number(t.t, 2)}, "
        f"p {apa_p(t.p)}, {correction_name(test.correction)}-adjusted p "
        f"{apa_p(test.adjusted_p or 0.0)}, "
        f"Hedges’ g = {number(tests.effect.g, 2)}, 95% CI {_brackets(tests.effect.interval)}"
        f"{evidence}, {n}."
    )


def apa_of_model(test: VitalComparison, model: VitalModel) -> str:
    """Return the same two states by the mixed model; empty where there is none."""
    tested = test.by_model
    fit = model.model
    if tested is None or fit is None:
        return ""
    effect = tested.effect
    random = ["participants"]
    if fit.session_variance is not None:
        random.append("sessions within participants")
    if fit.reaction_variance is not None:
        random.append("participants’ reactions to each state")
    fixed = "state" if model.time is None else "state and minutes in the session"
    shown = "showed" if tested.adjusted_p < ALPHA else "did not show"
    return (
        f"A linear mixed model (fixed effects of {fixed}; random intercepts for "
        f"{', '.join(random)}; restricted maximum likelihood; Satterthwaite’s degrees of freedom) "
        f"{shown} a difference in {test.kind.spec.name_in_text} between {test.first} and "
        f"{test.second}, b = {number(effect.estimate, 2)} {unit_of(test.kind)}, SE = "
        f"{number(effect.error, 2)}, 95% CI {_brackets(effect.interval)}, "
        f"t({effect.df:.2f}) = {number(effect.t, 2)}, p {apa_p(effect.p)}, "
        f"{correction_name(test.correction)}-adjusted p {apa_p(tested.adjusted_p)}, "
        f"{model.design.participants:,} participants, {model.design.sessions:,} sessions."
    )


def _claim(test: VitalComparison, tests: Tests) -> str:
    """Say which way it went, with mean and standard deviation of both states."""
    name = test.kind.spec.name_in_text
    first = f"{test.first} ({_spread(test.comparison.first)})"
    second = f"{test.second} ({_spread(test.comparison.second)})"
    if (test.adjusted_p or 0.0) >= ALPHA:
        return f"showed no significant difference in {name} between {first} and {second}"
    way = "lower" if tests.t.difference < 0 else "higher"
    return f"showed that {name} was {way} in {first} than in {second}"


def _spread(values: Sequence[float]) -> str:
    mean = math.fsum(values) / len(values)
    return f"M = {number(mean, 2)}, SD = {number(statistics.stdev(values), 2)}"


def _brackets(interval: Interval) -> str:
    return f"[{number(interval.low, 2)}, {number(interval.high, 2)}]"


def apa_p(p: float) -> str:
    """Write ``= .021`` or ``< .001``; more digits where rounding would carry it across .05."""
    if p < 0.001:
        return "< .001"
    text = f"{p:.3f}"
    if float(text) == ALPHA and p != ALPHA:
        text = f"{p:.5f}"
    return f"= {text.removeprefix('0')}"
