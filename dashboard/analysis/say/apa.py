"""A sentence for a report of each test, in the style of the APA's Publication Manual. Pure.

p has no zero before its point, intervals stand in brackets, and degrees of freedom behind t.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from dashboard.analysis.analyse import VitalComparison
from dashboard.analysis.comparison import Tests
from dashboard.analysis.groups import GroupContrast
from dashboard.analysis.mixed import VitalModel
from dashboard.analysis.request import Correction
from dashboard.analysis.say.models import LARGE_FACTOR, factor_text
from dashboard.analysis.say.numbers import ALPHA, correction_name, number, pair_text, unit_of
from dashboard.languages.current import gettext, pgettext
from dashboard.languages.figures import by_locale, decimal, thousands
from dashboard.languages.names import as_association, state_name, vital_in_text
from dashboard.statistics.samples import Interval
from dashboard.statistics.t_tests import Method
from edge_agent.core.measures import Measure


def apa_sentence(test: VitalComparison) -> str:
    """Return the t-test as a sentence for a report; empty without a test."""
    tests = test.comparison.tests
    if tests is None:
        return ""
    t = tests.t
    paired = t.method is Method.PAIRED
    claim = _claim(test, tests).format(
        vital=vital_in_text(test.kind),
        first=f"{state_name(test.first)} ({_spread(test.comparison.first)})",
        second=f"{state_name(test.second)} ({_spread(test.comparison.second)})",
        difference=number(t.difference, 2),
        unit=unit_of(test.kind),
        interval=_brackets(t.interval),
        df=f"{t.df:.0f}" if paired else decimal(t.df, 2),
        t=number(t.t, 2),
        p=apa_p(t.p),
        adjusted=_adjusted(test.correction, test.adjusted_p or 0.0),
        g=number(tests.effect.g, 2),
        g_interval=_brackets(tests.effect.interval),
        end=_end(test, tests),
    )
    shown = (test.adjusted_p or 0.0) < ALPHA
    return as_association(claim, observed=shown and test.observed)


def _claim(test: VitalComparison, tests: Tests) -> str:
    """Return the sentence with its places: which test, and which way it went."""
    shown = (test.adjusted_p or 0.0) < ALPHA
    if tests.t.method is Method.PAIRED:
        return _paired_claim(tests.t.difference, shown=shown)
    if not shown:
        return gettext(
            "Welch’s t test of independent groups showed no significant difference in {vital} "
            "between {first} and {second}, mean difference {difference} {unit}, 95% CI {interval}, "
            "t({df}) = {t}, p {p}, {adjusted}, Hedges’ g = {g}, 95% CI {g_interval}{end}."
        )
    if tests.t.difference < 0:
        return gettext(
            "Welch’s t test of independent groups showed that {vital} was lower in {first} than in "
            "{second}, mean difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, p "
            "{p}, {adjusted}, Hedges’ g = {g}, 95% CI {g_interval}{end}."
        )
    return gettext(
        "Welch’s t test of independent groups showed that {vital} was higher in {first} than in "
        "{second}, mean difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, p {p}, "
        "{adjusted}, Hedges’ g = {g}, 95% CI {g_interval}{end}."
    )


def _paired_claim(difference: float, *, shown: bool) -> str:
    if not shown:
        return gettext(
            "A paired-samples t test showed no significant difference in {vital} between {first} "
            "and {second}, mean difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, "
            "p {p}, {adjusted}, Hedges’ g = {g}, 95% CI {g_interval}{end}."
        )
    if difference < 0:
        return gettext(
            "A paired-samples t test showed that {vital} was lower in {first} than in {second}, "
            "mean difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, p {p}, "
            "{adjusted}, Hedges’ g = {g}, 95% CI {g_interval}{end}."
        )
    return gettext(
        "A paired-samples t test showed that {vital} was higher in {first} than in {second}, mean "
        "difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, p {p}, {adjusted}, "
        "Hedges’ g = {g}, 95% CI {g_interval}{end}."
    )


def _adjusted(correction: Correction, p: float) -> str:
    return gettext("{method}-adjusted p {p}").format(method=correction_name(correction), p=apa_p(p))


def _end(test: VitalComparison, tests: Tests) -> str:
    """Write the Bayes factor, where there is one, and how many people there are."""
    factor = test.evidence
    evidence = ""
    if factor is not None:
        equals = f"= {factor_text(factor.for_difference)}"
        # The same limit as in ``factor_text``, in the signs of a report.
        if factor.for_difference >= LARGE_FACTOR:
            equals = f"> {thousands(100_000)}"
        evidence = f", BF10 {equals} (JZS, r = {decimal(factor.scale, 3)})"
    if tests.t.method is Method.PAIRED:
        return f"{evidence}, N = {tests.t.n_first}"
    n = gettext("n = {first} and {second}").format(first=tests.t.n_first, second=tests.t.n_second)
    return f"{evidence}, {n}"


def apa_of_model(test: VitalComparison, model: VitalModel) -> str:
    """Return the same two states by the mixed model; empty where there is none."""
    tested = test.by_model
    fit = model.model
    if tested is None or fit is None:
        return ""
    effect = tested.effect
    random = [gettext("participants")]
    if fit.session_variance is not None:
        random.append(gettext("sessions within participants"))
    if fit.reaction_variance is not None:
        random.append(gettext("participants’ reactions to each state"))
    fixed = gettext("state and minutes in the session")
    if model.time is None:
        fixed = gettext("state")
    text = gettext(
        "A linear mixed model (fixed effects of {fixed}; random intercepts for {random}; "
        "restricted maximum likelihood; Satterthwaite’s degrees of freedom) showed no "
        "significant difference in {vital} between {first} and {second}, b = {estimate} {unit}, "
        "SE = {error}, 95% CI {interval}, t({df}) = {t}, p {p}, {adjusted}, {participants} "
        "participants, {sessions} sessions."
    )
    if tested.adjusted_p < ALPHA:
        text = gettext(
            "A linear mixed model (fixed effects of {fixed}; random intercepts for {random}; "
            "restricted maximum likelihood; Satterthwaite’s degrees of freedom) showed a "
            "difference in {vital} between {first} and {second}, b = {estimate} {unit}, SE = "
            "{error}, 95% CI {interval}, t({df}) = {t}, p {p}, {adjusted}, {participants} "
            "participants, {sessions} sessions."
        )
    claim = text.format(
        fixed=fixed,
        random=", ".join(random),
        vital=vital_in_text(test.kind),
        first=state_name(test.first),
        second=state_name(test.second),
        estimate=number(effect.estimate, 2),
        unit=unit_of(test.kind),
        error=number(effect.error, 2),
        interval=_brackets(effect.interval),
        df=decimal(effect.df, 2),
        t=number(effect.t, 2),
        p=apa_p(effect.p),
        adjusted=_adjusted(test.correction, tested.adjusted_p),
        participants=thousands(model.design.participants),
        sessions=thousands(model.design.sessions),
    )
    return as_association(claim, observed=tested.adjusted_p < ALPHA and test.observed)


def apa_of_contrast(kind: Measure, contrast: GroupContrast, correction: Correction) -> str:
    """Return the comparison of two groups as a sentence for a report."""
    t = contrast.test
    of = gettext("{vital} (all states)").format(vital=vital_in_text(kind))
    if contrast.pair is not None:
        of = f"{vital_in_text(kind)} ({pair_text(*contrast.pair)})"
    text = gettext(
        "Welch’s t test showed no significant difference in {what} between {first} and {second}, "
        "mean difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, p {p}, {adjusted}, "
        "n = {n_first} and {n_second}."
    )
    if contrast.adjusted_p < ALPHA:
        text = gettext(
            "Welch’s t test showed a difference in {what} between {first} and {second}, mean "
            "difference {difference} {unit}, 95% CI {interval}, t({df}) = {t}, p {p}, {adjusted}, "
            "n = {n_first} and {n_second}."
        )
    return text.format(
        what=of,
        first=contrast.first,
        second=contrast.second,
        difference=number(t.difference, 2),
        unit=unit_of(kind),
        interval=_brackets(t.interval),
        df=decimal(t.df, 2),
        t=number(t.t, 2),
        p=apa_p(t.p),
        adjusted=_adjusted(correction, contrast.adjusted_p),
        n_first=t.n_first,
        n_second=t.n_second,
    )


def _spread(values: Sequence[float]) -> str:
    mean = math.fsum(values) / len(values)
    return f"M = {number(mean, 2)}, SD = {number(statistics.stdev(values), 2)}"


def _brackets(interval: Interval) -> str:
    low = number(interval.low, 2)
    return pgettext("interval", "[{low}, {high}]").format(low=low, high=number(interval.high, 2))


def apa_p(p: float) -> str:
    """Write ``= .021`` or ``< .001``; more digits where rounding would carry it across .05. Where
    the language has a decimal comma, with the zero before it.
    """
    if p < 0.001:
        return _apa_number("< 0.001")
    text = f"{p:.3f}"
    if float(text) == ALPHA and p != ALPHA:
        text = f"{p:.5f}"
    return _apa_number(f"= {text}")


def _apa_number(text: str) -> str:
    # A text that did not change is one with a decimal point; only there the zero is left out.
    shown = by_locale(text)
    if shown == text:
        return text.replace(" 0.", " .")
    return shown
