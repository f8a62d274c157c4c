"""The result of two states in words: the claim, the whole sentence and the sentence for a report.
Pure.

All of them are views of the one decided result, or of another analysis that stands beside it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from dashboard.analysis.analyse import VitalComparison
from dashboard.analysis.inference.comparison import Obstacle, Tests
from dashboard.analysis.inference.groups import GroupContrast
from dashboard.analysis.question import Correction, Design
from dashboard.analysis.rendering.models import LARGE_FACTOR, factor_text
from dashboard.analysis.rendering.numbers import (
    correction_name,
    df_text,
    interval_text,
    names_of,
    number,
    p_equals,
    pair_text,
    people,
    percent,
    sessions_text,
    unit_of,
)
from dashboard.analysis.results import (
    ALPHA,
    By,
    Caution,
    Conclusion,
    IntervalModel,
    ResultModel,
    VitalModelModel,
)
from dashboard.languages.current import gettext, ngettext, pgettext
from dashboard.languages.figures import by_locale, decimal, general, thousands
from dashboard.languages.names import as_association, state_name, vital_in_text
from dashboard.statistics.samples import MINIMUM
from dashboard.statistics.t_tests import Method
from edge_agent.core.measures import Measure

_MATTERS = 0.25  # what time makes of a difference is told from this share of it on
_OTHER_ERROR = 0.1  # another standard error is told from this relative difference on


def claim(test: VitalComparison, result: ResultModel) -> str:
    """Say one result with the p that decides and no other figure."""
    if result.adjusted_p is None or result.difference is None:
        return _no_result(test)
    figures = gettext("{method} p {p}").format(
        method=correction_name(test.correction), p=p_equals(result.adjusted_p)
    )
    return _finding(test, result, result.difference, figures)


def sentence(test: VitalComparison) -> str:
    """Say what is told of two states, with as much certainty as it has."""
    result = test.result
    if result.by is None:
        return _no_result(test)
    texts = [result_sentence(test, result)]
    if result.by is By.EQUAL_TIMES:
        texts.append(_as_measured(test))
    if result.by is not By.MIXED_MODEL:
        texts.append(remarks(test))
    return _sentences(*texts)


def beside(test: VitalComparison, model: VitalModelModel) -> tuple[str, ...]:
    """Say what the analyses find that are not told first: the t-test beside the mixed model, and
    the mixed model where it concludes otherwise.
    """
    if test.result.by is By.MIXED_MODEL:
        return tuple(result_sentence(test, one) for one in test.results[1:2])
    return (by_model_sentence(test, model),) if model_differs(test) else ()


def result_sentence(test: VitalComparison, result: ResultModel) -> str:
    """Say what one analysis makes of two states, with its figures."""
    if result.difference is None or result.interval is None:
        return _no_result(test)
    figures = _figures(test, result)
    shown = result.shows_difference
    # A fall is told without its sign, which its interval has.
    if not shown or result.difference < 0:
        figures = gettext("difference {difference} {unit}, {figures}").format(
            difference=number(result.difference), unit=unit_of(test.kind), figures=figures
        )
    text = _finding(test, result, result.difference, figures)
    if shown:
        return text
    compatible = gettext("The data are compatible with anything from {low} to {high} in {first}.")
    return _sentences(
        text,
        compatible.format(
            low=shift_text(result.interval.low, unit_of(test.kind)),
            high=shift_text(result.interval.high, unit_of(test.kind)),
            first=state_name(test.first),
        ),
    )


def _finding(test: VitalComparison, result: ResultModel, difference: float, figures: str) -> str:
    """Say that two states differ, or were not shown to, with the cautions of that."""
    timed = result.at_equal_times
    if not result.shows_difference:
        text = gettext(
            "{vital} did not differ significantly between {first} and {second} ({figures})."
        )
        if timed:
            text = gettext(
                "{vital} did not differ significantly between {first} and {second} at equal times "
                "in the session ({figures})."
            )
    elif timed:
        text = gettext(
            "{vital} was {value} {unit} {direction} in {first} than in {second} at equal times in "
            "the session ({figures})."
        )
    else:
        text = gettext(
            "{vital} was {value} {unit} {direction} in {first} than in {second} ({figures})."
        )
    told = text.format(
        **names_of(test.kind, test.first, test.second),
        value=number(abs(difference)),
        direction=_direction(result),
        figures=figures,
    )
    return with_cautions(told, test, result)


def _direction(result: ResultModel) -> str:
    if result.conclusion is Conclusion.LOWER:
        return pgettext("difference", "lower")
    return pgettext("difference", "higher")


def remarks(test: VitalComparison) -> str:
    """Say what the equivalence test excludes, and whether the rank test agrees with the t-test;
    empty without a test.
    """
    tests = test.comparison.tests
    if tests is None:
        return ""
    timed = test.comparison_result.by is By.EQUAL_TIMES
    shown = test.comparison_result.shows_difference
    if timed:
        return "" if shown else _as_good_as_none(test)
    if shown or tests.t.p < ALPHA:
        size = _real_but_small(test)
    else:
        size = _as_good_as_none(test)
    return _sentences(size, _doubt(test, tests))


def with_cautions(finding: str, test: VitalComparison, result: ResultModel) -> str:
    """Say in the sentence of a finding, or directly behind it, what else may explain it."""
    for caution in result.caution_codes:
        finding = _WITH_CAUTION[caution](finding, test)
    return finding


def _with_association(finding: str, test: VitalComparison) -> str:
    del test
    return as_association(finding, observed=True)


def _with_order(finding: str, test: VitalComparison) -> str:
    text = gettext(
        "{finding}, but the order may explain it: {n} of {people} had {first} {when} {second}."
    )
    return text.format(finding=finding.removesuffix("."), **_met(test))


def _with_time(finding: str, test: VitalComparison) -> str:
    text = gettext(
        "{finding} Time in the session may explain it: in {n} of {people}, {first} was seen mostly "
        "{when} {second}."
    )
    return text.format(finding=finding, **_met(test))


def _with_disagreement(finding: str, test: VitalComparison) -> str:
    period = test.period
    if period is None or period.difference is None:
        raise ValueError("no estimate at equal times disagrees")
    return gettext(
        "{finding} At equal times in the session it is {difference} {unit} ({method} p {p}), which "
        "is another conclusion."
    ).format(
        finding=finding,
        difference=number(period.difference),
        unit=unit_of(test.kind),
        method=correction_name(test.correction),
        p=p_equals(period.adjusted_p or 0.0),
    )


def _with_misreading(finding: str, test: VitalComparison) -> str:
    lost = None if test.misreading is None else test.misreading.attenuation
    if lost is None:
        return gettext(
            "{finding} Misread faces may have hidden a difference: no model card says how much of "
            "it is left."
        ).format(finding=finding)
    return gettext(
        "{finding} Misread faces may have hidden a difference: as little as {share} of it may be "
        "left."
    ).format(finding=finding, share=percent(lost.interval.low))


_WITH_CAUTION = {
    Caution.ASSOCIATION: _with_association,
    Caution.ORDER: _with_order,
    Caution.TIME: _with_time,
    Caution.DISAGREES: _with_disagreement,
    Caution.MISREAD: _with_misreading,
}


def _met(test: VitalComparison) -> dict[str, object]:
    """Return how many met the two states which way round."""
    period = test.period
    if period is None:
        raise ValueError("a caution about time needs the times")
    return {
        "n": period.same_way,
        "people": people(period.people),
        "first": state_name(test.first),
        "second": state_name(test.second),
        "when": pgettext("time", "after") if period.gap_minutes > 0 else pgettext("time", "before"),
    }


def _as_measured(test: VitalComparison) -> str:
    """Say what the t-test finds, which ignores time in the session."""
    tests = test.comparison.tests
    if tests is None:
        return ""
    return gettext("As measured, ignoring time: {difference} {unit}, {method} p {p}.").format(
        difference=number(tests.t.difference),
        unit=unit_of(test.kind),
        method=correction_name(test.correction),
        p=p_equals(test.adjusted_p or 0.0),
    )


def _figures(test: VitalComparison, result: ResultModel) -> str:
    """Write what stands in the brackets of a sentence."""
    figures = gettext("95 % CI {interval}; {who}, {test}({df}) = {t}, {method} p {p}").format(
        interval=_ends(result.interval, 1),
        who=_who(result),
        test=_statistic(result),
        df=df_text(round(result.df or 0.0, 1)),
        t=number(result.t or 0.0, 2),
        method=correction_name(test.correction),
        p=p_equals(result.adjusted_p or 0.0),
    )
    if result.g is not None and result.by in (By.PAIRED, By.WELCH):
        figures = f"{figures}, g = {number(result.g, 2)}"
    # Significant before the adjustment only: both are told, or the reader would wonder.
    if (result.p or 0.0) < ALPHA <= (result.adjusted_p or 0.0):
        text = gettext("{figures}; p before adjustment {p}")
        return text.format(figures=figures, p=p_equals(result.p or 0.0))
    return figures


def _ends(interval: IntervalModel | None, digits: int) -> str:
    return "" if interval is None else interval_text(interval.low, interval.high, digits)


def _who(result: ResultModel) -> str:
    if result.by is By.WELCH:
        return gettext("{n} and {people}").format(n=result.n_first, people=people(result.n_second))
    if result.sessions is None:
        return people(result.n_first)
    return gettext("{people} in {sessions}").format(
        people=people(result.n_first), sessions=sessions_text(result.sessions)
    )


def _statistic(result: ResultModel) -> str:
    match result.by:
        case By.PAIRED:
            return pgettext("statistic", "paired t")
        case By.WELCH:
            return pgettext("statistic", "Welch t")
        case By.MIXED_MODEL:
            return pgettext("statistic", "mixed model t")
    return "t"


def model_differs(test: VitalComparison) -> bool:
    """Tell whether the mixed model and what is told without it come to another conclusion."""
    return test.by_model is not None and test.by_model.differs


def by_model_sentence(test: VitalComparison, model: VitalModelModel) -> str:
    """Say what the mixed model makes of two states; where the other result is another, why."""
    by_model = test.model_result
    if by_model is None:
        return ""
    text = result_sentence(test, by_model)
    if model_differs(test):
        return f"{text} {_why_other(test, by_model, model)}"
    return text


def _why_other(test: VitalComparison, by_model: ResultModel, model: VitalModelModel) -> str:
    other = test.comparison_result
    unit = unit_of(test.kind)
    difference = other.difference or 0.0
    reasons = []
    more = by_model.n_first - other.n_first
    if more > 0:
        text = gettext("uses {people} whom the t-test leaves out")
        reasons.append(text.format(people=people(more)))
    gap = 0.0 if test.period is None else test.period.gap_minutes
    by_time = (model.minute or 0.0) * gap
    if other.by is not By.EQUAL_TIMES and abs(by_time) >= _MATTERS * abs(difference):
        text = gettext("removes {value} {unit} due to time in the session")
        reasons.append(text.format(value=number(abs(by_time)), unit=unit))
    error = by_model.error or 0.0
    own = other.error or 0.0
    if abs(error - own) >= _OTHER_ERROR * own:
        text = gettext(
            "uses the spread of all states and sessions together (standard error {error} "
            "instead of {other})"
        )
        reasons.append(text.format(error=number(error, 2), other=number(own, 2)))
    if not reasons:
        reasons.append(gettext("weights people and sessions by how much information they give"))
    text = gettext(
        "The t-test reaches another conclusion (difference {difference} {unit}, {method} p "
        "{p}): the model {reasons}."
    )
    if other.by is By.EQUAL_TIMES:
        text = gettext(
            "The estimate at equal times reaches another conclusion (difference {difference} "
            "{unit}, {method} p {p}): the model {reasons}."
        )
    return text.format(
        difference=number(difference),
        unit=unit,
        method=correction_name(test.correction),
        p=p_equals(other.adjusted_p or 0.0),
        reasons=_reasons(reasons),
    )


def _reasons(reasons: list[str]) -> str:
    text = reasons[0]
    for reason in reasons[1:]:
        text = gettext("{reasons}, and {reason}").format(reasons=text, reason=reason)
    return text


def apa_sentence(test: VitalComparison, result: ResultModel, model: VitalModelModel) -> str:
    """Return a result as a sentence for a report, in the style of the APA's Publication Manual: p
    without a zero before its point, intervals in brackets, degrees of freedom behind t. Empty
    without a test.
    """
    if result.difference is None:
        return ""
    text = gettext(
        "{method} showed no significant difference in {vital} between {first} and {second}, "
        "{figures}."
    )
    if result.shows_difference:
        text = gettext(
            "{method} showed that {vital} was {direction} in {first} than in {second}, {figures}."
        )
    direction = pgettext("report", "higher")
    if result.conclusion is Conclusion.LOWER:
        direction = pgettext("report", "lower")
    first = state_name(test.first)
    second = state_name(test.second)
    if result.by is not By.MIXED_MODEL:
        first = f"{first} ({_spread(test.comparison.first)})"
        second = f"{second} ({_spread(test.comparison.second)})"
    told = text.format(
        method=_report_method(
            result, model, within=test.period is not None and test.period.within_sessions
        ),
        vital=vital_in_text(test.kind),
        direction=direction,
        first=first,
        second=second,
        figures=_report_figures(test, result),
    )
    return with_cautions(told, test, result)


def _report_method(result: ResultModel, model: VitalModelModel, *, within: bool) -> str:
    if within:
        method = _report_method(result, model, within=False)
        return gettext("{method} of means at equal times in each session").format(method=method)
    match result.by:
        case By.PAIRED:
            return gettext("A paired-samples t test")
        case By.WELCH:
            return gettext("Welch’s t test of independent groups")
        case By.EQUAL_TIMES:
            return gettext(
                "A paired comparison at equal times in the session (differences regressed on the "
                "minutes between the states)"
            )
    random = [gettext("participants")]
    if model.session_variance is not None:
        random.append(gettext("sessions within participants"))
    if model.reaction_variance is not None:
        random.append(gettext("participants’ reactions to each state"))
    fixed = gettext("state and minutes in the session")
    if model.minute is None:
        fixed = gettext("state")
    return gettext(
        "A linear mixed model (fixed effects of {fixed}; random intercepts for {random}; "
        "restricted maximum likelihood; Satterthwaite’s degrees of freedom)"
    ).format(fixed=fixed, random=", ".join(random))


def _report_figures(test: VitalComparison, result: ResultModel) -> str:
    """Write estimate, test, effect size and number of people as a report has them."""
    difference = f"{number(result.difference or 0.0, 2)} {unit_of(test.kind)}"
    parts = [f"b = {difference}"]
    if result.by in (By.PAIRED, By.WELCH):
        parts = [gettext("mean difference {difference}").format(difference=difference)]
    if result.by is By.MIXED_MODEL:
        parts.append(gettext("SE = {error}").format(error=number(result.error or 0.0, 2)))
    df = result.df or 0.0
    parts += [
        gettext("95% CI {interval}").format(interval=_brackets(result.interval)),
        f"t({f'{df:.0f}' if df == round(df) else decimal(df, 2)}) = {number(result.t or 0.0, 2)}",
        f"p {apa_p(result.p or 0.0)}",
        gettext("{method}-adjusted p {p}").format(
            method=correction_name(test.correction), p=apa_p(result.adjusted_p or 0.0)
        ),
    ]
    if result.by in (By.PAIRED, By.WELCH):
        parts += [
            gettext("Hedges’ g = {g}").format(g=number(result.g or 0.0, 2)),
            gettext("95% CI {interval}").format(interval=_brackets(result.g_interval)),
            *_evidence(test),
        ]
    if result.by is By.WELCH:
        n = gettext("n = {first} and {second}")
        parts.append(n.format(first=result.n_first, second=result.n_second))
    elif result.sessions is None:
        parts.append(f"N = {result.n_first}")
    else:
        text = gettext("{participants} participants, {sessions} sessions")
        parts.append(
            text.format(participants=thousands(result.n_first), sessions=thousands(result.sessions))
        )
    return ", ".join(parts)


def _evidence(test: VitalComparison) -> list[str]:
    """Write the Bayes factor, where there is one."""
    factor = test.evidence
    if factor is None:
        return []
    equals = f"= {factor_text(factor.for_difference)}"
    # The same limit as in ``factor_text``, in the signs of a report.
    if factor.for_difference >= LARGE_FACTOR:
        equals = f"> {thousands(100_000)}"
    return [f"BF10 {equals} (JZS, r = {decimal(factor.scale, 3)})"]


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
        interval=_brackets(IntervalModel(low=t.interval.low, high=t.interval.high)),
        df=decimal(t.df, 2),
        t=number(t.t, 2),
        p=apa_p(t.p),
        adjusted=gettext("{method}-adjusted p {p}").format(
            method=correction_name(correction), p=apa_p(contrast.adjusted_p)
        ),
        n_first=t.n_first,
        n_second=t.n_second,
    )


def _spread(values: Sequence[float]) -> str:
    mean = math.fsum(values) / len(values)
    return f"M = {number(mean, 2)}, SD = {number(statistics.stdev(values), 2)}"


def _brackets(interval: IntervalModel | None) -> str:
    if interval is None:
        return ""
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


def shift_text(value: float, unit: str) -> str:
    """Write by how much and which way something differs, as in ``5.0 /min higher``."""
    shown = number(abs(value))
    if value < 0:
        return gettext("{value} {unit} lower").format(value=shown, unit=unit)
    return gettext("{value} {unit} higher").format(value=shown, unit=unit)


def _sentences(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _no_result(test: VitalComparison) -> str:
    """Say why there is no test."""
    if test.comparison.obstacle is Obstacle.TOO_FEW:
        return _too_few(test)
    return _no_variation(test)


def _real_but_small(test: VitalComparison) -> str:
    """Say of a difference that it lies within the bounds that were declared to count as none."""
    if test.in_family is None or not test.in_family.equivalent:
        return ""
    text = gettext("It is small: within ± {bound} (equivalence test, {p}).")
    return text.format(bound=_bound(test), p=_equivalence_p(test))


def _equivalence_p(test: VitalComparison) -> str:
    """Write the p of the equivalence test that decides, as in ``Holm p = 0.012``."""
    p = 1.0 if test.in_family is None else test.in_family.equivalence_p
    return gettext("{method} p {p}").format(method=correction_name(test.correction), p=p_equals(p))


def _as_good_as_none(test: VitalComparison) -> str:
    """Say whether it is shown that there is no difference worth mentioning, and else what that
    would take.
    """
    equivalence = test.equivalence
    if equivalence is None:
        return ""
    named = {
        "bound": _bound(test),
        "p": _equivalence_p(test),
        "interval": interval_text(equivalence.interval.low, equivalence.interval.high),
    }
    if test.in_family is not None and test.in_family.doubt and test.in_family.equivalence_p < ALPHA:
        return gettext(
            "A difference of {bound} or more in either direction is not called excluded, "
            "because {doubt}."
        ).format(bound=named["bound"], doubt=gettext(test.in_family.doubt))
    if test.in_family is not None and test.in_family.equivalent:
        return gettext(
            "A difference of {bound} or more in either direction is excluded (equivalence test, "
            "{p}, 90 % CI {interval})."
        ).format(**named)
    text = gettext(
        "A difference of {bound} or more in either direction is not excluded (equivalence "
        "test, {p}, 90 % CI {interval})."
    )
    return _sentences(text.format(**named), _needed(test))


def _needed(test: VitalComparison) -> str:
    required = None if test.in_family is None else test.in_family.required_sample
    if required is None:
        return gettext(
            "With people as different as these, no study could be large enough to find {bound}."
        ).format(bound=_bound(test))
    takes = people(required.size.n)
    if test.comparison.method is Method.WELCH:
        takes = gettext("{people} in each group").format(people=takes)
    takes = _sentences(takes, _at_level(test))
    # Of the two sides of groups the one that lacks more; pairs lack equally many.
    more = max(required.more_first, required.more_second)
    text = gettext(
        "To find a difference of {bound} in four of five studies, you need {takes}; there are "
        "enough."
    )
    if more:
        text = gettext(
            "To find a difference of {bound} in four of five studies, you need {takes}: {more} "
            "more than there are."
        )
    return text.format(bound=_bound(test), takes=takes, more=more)


def _at_level(test: VitalComparison) -> str:
    """Say at which level people are counted, where several tests share the 5 %."""
    if test.in_family is None or test.in_family.tests == 1:
        return ""
    return gettext(
        "(at {alpha} / {tests}, which the smallest p of {tests} tests must reach)"
    ).format(alpha=by_locale(str(ALPHA)), tests=test.in_family.tests)


def _bound(test: VitalComparison) -> str:
    high = 0.0
    if test.equivalence is not None:
        high = test.equivalence.bounds.high
    return f"{general(high)} {unit_of(test.kind)}"


def _doubt(test: VitalComparison, tests: Tests) -> str:
    """Point to the rank test where the values are hardly normal, and say when it disagrees."""
    smallest = min((one.p for one in tests.normality if one is not None), default=1.0)
    if smallest >= ALPHA:
        return ""
    rank_p = tests.rank.p if test.in_family is None else test.in_family.rank_p
    agrees = (rank_p < ALPHA) == ((test.adjusted_p or 0.0) < ALPHA)
    return _departs(paired=tests.t.method is Method.PAIRED, agrees=agrees).format(
        p=p_equals(smallest), method=correction_name(test.correction), rank_p=p_equals(rank_p)
    )


def _departs(*, paired: bool, agrees: bool) -> str:
    if paired and agrees:
        return gettext(
            "The differences depart from normality (Shapiro–Wilk p {p}); the rank test, which does "
            "not need that, agrees ({method} p {rank_p})."
        )
    if paired:
        return gettext(
            "The differences depart from normality (Shapiro–Wilk p {p}); the rank test, which does "
            "not need that, does not agree ({method} p {rank_p})."
        )
    if agrees:
        return gettext(
            "The values depart from normality (Shapiro–Wilk p {p}); the rank test, which does not "
            "need that, agrees ({method} p {rank_p})."
        )
    return gettext(
        "The values depart from normality (Shapiro–Wilk p {p}); the rank test, which does not need "
        "that, does not agree ({method} p {rank_p})."
    )


def _no_test(test: VitalComparison) -> str:
    return gettext("{vital}, {first} and {second}: no test.").format(
        **names_of(test.kind, test.first, test.second)
    )


def _too_few(test: VitalComparison) -> str:
    c = test.comparison
    start = _no_test(test)
    if test.design is Design.INDEPENDENT:
        both = ""
        if c.n_both:
            both = gettext("{people} had both: a paired design may fit.").format(
                people=people(c.n_both)
            )
        text = ngettext(
            "Welch’s test needs at least {minimum} people on each side with readings in only that "
            "state; there is {n} for {first} and {n_second} for {second}.",
            "Welch’s test needs at least {minimum} people on each side with readings in only that "
            "state; there are {n} for {first} and {n_second} for {second}.",
            c.n_first_only,
        )
        return _sentences(start, _of_sides(text, test), both)
    if test.design is Design.PAIRED or not (c.n_first_only or c.n_second_only):
        return _sentences(start, _pairs_need(test))
    text = ngettext(
        "Without them, Welch’s test needs at least {minimum} people on each side with readings in "
        "only that state; there is {n} for {first} and {n_second} for {second}.",
        "Without them, Welch’s test needs at least {minimum} people on each side with readings in "
        "only that state; there are {n} for {first} and {n_second} for {second}.",
        c.n_first_only,
    )
    return _sentences(start, _pairs_need(test), _of_sides(text, test))


def _pairs_need(test: VitalComparison) -> str:
    """Say how many people a paired test needs, and that people who have both states in different
    sessions do not count, where there are such.
    """
    c = test.comparison
    if c.n_apart:
        return ngettext(
            "It needs at least {minimum} people with readings in both states in one session "
            "({apart} had them in different sessions only); there is {n}.",
            "It needs at least {minimum} people with readings in both states in one session "
            "({apart} had them in different sessions only); there are {n}.",
            c.n_both,
        ).format(minimum=MINIMUM, apart=people(c.n_apart), n=c.n_both)
    return ngettext(
        "It needs at least {minimum} people with readings in both states; there is {n}.",
        "It needs at least {minimum} people with readings in both states; there are {n}.",
        c.n_both,
    ).format(minimum=MINIMUM, n=c.n_both)


def _of_sides(text: str, test: VitalComparison) -> str:
    c = test.comparison
    return text.format(
        minimum=MINIMUM,
        n=c.n_first_only,
        first=state_name(test.first),
        n_second=c.n_second_only,
        second=state_name(test.second),
    )


def _no_variation(test: VitalComparison) -> str:
    c = test.comparison
    shown = f"{number(c.difference or 0.0)} {unit_of(test.kind)}"
    if c.method is Method.PAIRED:
        why = gettext(
            "The difference is exactly {difference} for all {people}, so there is no variation "
            "to test against."
        ).format(difference=shown, people=people(c.n_both))
    else:
        why = gettext(
            "Within each state everybody has the same value (the states differ by "
            "{difference}), so there is no variation to test against."
        ).format(difference=shown)
    return _sentences(_no_test(test), why)
