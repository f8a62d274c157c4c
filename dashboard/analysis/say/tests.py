"""The sentence of each comparison, of each family of tests, and of each test of the heart's
variability, in the language in use.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from dashboard.analysis.analyse import Analysis, VitalComparison
from dashboard.analysis.comparison import Obstacle, Tests
from dashboard.analysis.heart import HeartTest
from dashboard.analysis.request import (
    HEART_NAMES,
    AnalysisQuery,
    Correction,
    Design,
    HeartMeasure,
    StateBy,
)
from dashboard.analysis.results import FamilyModel
from dashboard.analysis.say.numbers import (
    ALPHA,
    correction_name,
    df_text,
    interval_text,
    names_of,
    number,
    p_equals,
    pair_text,
    people,
    unit_of,
)
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import by_locale, decimal, general
from dashboard.languages.names import as_association, state_name, vital_in_text
from dashboard.statistics.period import TimeAdjusted
from dashboard.statistics.samples import MINIMUM, Interval
from dashboard.statistics.t_tests import Method


def sentence(test: VitalComparison) -> str:
    """Say one result, with as much certainty as it has."""
    tests = test.comparison.tests
    if test.comparison.obstacle is Obstacle.TOO_FEW:
        return _too_few(test)
    if tests is None:
        return _no_variation(test)
    adjusted = test.at_equal_times
    if adjusted is not None:
        return _sentences(_result_at_equal_times(test, tests, adjusted), remarks(test))
    return _sentences(_result(test, tests), remarks(test))


def claim(test: VitalComparison) -> str:
    """Say one result with the p that decides and no other figure."""
    tests = test.comparison.tests
    if tests is None:
        return sentence(test)
    adjusted = test.at_equal_times
    estimate = tests.t.difference if adjusted is None else adjusted.difference
    return brief_claim(test, estimate, _deciding_p(test), timed=adjusted is not None)


def brief_claim(test: VitalComparison, estimate: float, p: float, *, timed: bool) -> str:
    """Say that two states differ, or were not shown to, with the p that decides."""
    named = names_of(test.kind, test.first, test.second)
    method = correction_name(test.correction)
    figures = gettext("{method} p {p}").format(method=method, p=p_equals(p))
    if p >= ALPHA:
        return _not_shown(timed=timed).format(**named, figures=figures)
    finding = _differed(estimate, timed=timed)
    value = number(abs(estimate))
    return with_doubts(finding.format(**named, figures=figures, value=value), test)


def remarks(test: VitalComparison) -> str:
    """Say what the equivalence test excludes, and whether the rank test agrees; empty without a
    test.
    """
    tests = test.comparison.tests
    if tests is None:
        return ""
    timed = test.at_equal_times is not None
    if _deciding_p(test) < ALPHA or (tests.t.p < ALPHA and not timed):
        size = "" if timed else _real_but_small(test)
    else:
        size = _as_good_as_none(test)
    return _sentences(size, _doubt(test, tests))


def _deciding_p(test: VitalComparison) -> float:
    """Return the adjusted p of what is told first: the estimate at equal times, or the t-test."""
    if test.at_equal_times is None:
        return test.adjusted_p or 0.0
    return 1.0 if test.period is None else test.period.adjusted_p or 0.0


def shift_text(value: float, unit: str) -> str:
    """Write by how much and which way something differs, as in ``5.0 /min higher``."""
    shown = number(abs(value))
    if value < 0:
        return gettext("{value} {unit} lower").format(value=shown, unit=unit)
    return gettext("{value} {unit} higher").format(value=shown, unit=unit)


def _sentences(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _result(test: VitalComparison, tests: Tests) -> str:
    t = tests.t
    figures = _figures(test, tests)
    shown = (test.adjusted_p or 0.0) < ALPHA
    if shown or t.p >= ALPHA:
        return claimed(test, t.difference, t.interval, figures, shown=shown, timed=False)
    # Here p was below the level before the adjustment, and is not after it.
    figures = _with_unadjusted(test, figures, t.p)
    text = gettext(
        "{vital} was {value} {unit} higher in {first} than in {second} in this sample, but not "
        "significantly after adjustment for several tests ({figures})."
    )
    if t.difference < 0:
        figures = _with_difference(test, t.difference, figures)
        text = gettext(
            "{vital} was {value} {unit} lower in {first} than in {second} in this sample, but "
            "not significantly after adjustment for several tests ({figures})."
        )
    named = names_of(test.kind, test.first, test.second)
    return with_doubts(text.format(**named, figures=figures, value=number(abs(t.difference))), test)


def _result_at_equal_times(test: VitalComparison, tests: Tests, adjusted: TimeAdjusted) -> str:
    """Tell the estimate at equal times in the session, and then the difference as measured."""
    p = _deciding_p(test)
    figures = gettext("95 % CI {interval}; {people}, t({df}) = {t}, {method} p {p}").format(
        interval=interval_text(adjusted.interval.low, adjusted.interval.high),
        people=people(test.comparison.n_both),
        df=df_text(adjusted.df),
        t=number(adjusted.t, 2),
        method=correction_name(test.correction),
        p=p_equals(p),
    )
    if adjusted.p < ALPHA <= p:
        figures = _with_unadjusted(test, figures, adjusted.p)
    shown = p < ALPHA
    measured = gettext("As measured, ignoring time: {difference} {unit}, {method} p {p}.")
    return _sentences(
        claimed(test, adjusted.difference, adjusted.interval, figures, shown=shown, timed=True),
        measured.format(
            difference=number(tests.t.difference),
            unit=unit_of(test.kind),
            method=correction_name(test.correction),
            p=p_equals(test.adjusted_p or 0.0),
        ),
    )


def claimed(
    test: VitalComparison,
    estimate: float,
    interval: Interval,
    figures: str,
    *,
    shown: bool,
    timed: bool,
) -> str:
    """Say that two states differ, or were not shown to.

    Args:
        test: which states of which vital.
        estimate: the difference, of whichever analysis.
        interval: of that difference.
        figures: what stands in brackets; a fall needs the sign of its interval explained.
        shown: whether the analysis says that there is a difference.
        timed: whether it is the one at equal times in the session.
    """
    named = names_of(test.kind, test.first, test.second)
    if estimate < 0 or not shown:
        figures = _with_difference(test, estimate, figures)
    if shown:
        claim = _differed(estimate, timed=timed).format(
            **named, figures=figures, value=number(abs(estimate))
        )
        return with_doubts(claim, test)
    compatible = gettext(
        "The data are compatible with anything from {low} to {high} in {first}."
    ).format(
        low=shift_text(interval.low, named["unit"]),
        high=shift_text(interval.high, named["unit"]),
        first=named["first"],
    )
    return _sentences(_not_shown(timed=timed).format(**named, figures=figures), compatible)


def _with_difference(test: VitalComparison, difference: float, figures: str) -> str:
    return gettext("difference {difference} {unit}, {figures}").format(
        difference=number(difference), unit=unit_of(test.kind), figures=figures
    )


def with_doubts(finding: str, test: VitalComparison) -> str:
    """Say in the sentence of a difference what else may explain it: the order, or that the states
    were observed.
    """
    period = test.period
    # Observed emotions come and go, so that there is no order to blame.
    if test.observed or period is None or not period.uneven:
        return as_association(finding, observed=test.observed)
    text = gettext(
        "{finding}, but the order may explain it: {n} of {people} had {first} before {second}."
    )
    if period.gap > 0:
        text = gettext(
            "{finding}, but the order may explain it: {n} of {people} had {first} after {second}."
        )
    return text.format(
        finding=finding.removesuffix("."),
        n=period.same_way,
        people=people(period.people),
        first=state_name(test.first),
        second=state_name(test.second),
    )


def _differed(estimate: float, *, timed: bool) -> str:
    """Return the sentence of a difference with its places."""
    if not timed and estimate < 0:
        return gettext("{vital} was {value} {unit} lower in {first} than in {second} ({figures}).")
    if not timed:
        return gettext("{vital} was {value} {unit} higher in {first} than in {second} ({figures}).")
    if estimate < 0:
        return gettext(
            "{vital} was {value} {unit} lower in {first} than in {second} at equal times in the "
            "session ({figures})."
        )
    return gettext(
        "{vital} was {value} {unit} higher in {first} than in {second} at equal times in the "
        "session ({figures})."
    )


def _not_shown(*, timed: bool) -> str:
    """Return the sentence of a difference that was not shown, with its places."""
    if timed:
        return gettext(
            "{vital} did not differ significantly between {first} and {second} at equal times "
            "in the session ({figures})."
        )
    return gettext("{vital} did not differ significantly between {first} and {second} ({figures}).")


def _with_unadjusted(test: VitalComparison, figures: str, p: float) -> str:
    text = gettext("{figures}; p before adjustment {p}")
    if test.correction is Correction.HOLM:
        text = gettext("{figures}; p before Holm’s adjustment {p}")
    return text.format(figures=figures, p=p_equals(p))


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
        "But a difference of {bound} or more in either direction is not excluded (equivalence "
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


def _figures(test: VitalComparison, tests: Tests) -> str:
    t = tests.t
    named = {
        "interval": interval_text(t.interval.low, t.interval.high),
        "df": df_text(t.df),
        "t": number(t.t, 2),
        "method": correction_name(test.correction),
        "p": p_equals(test.adjusted_p or 0.0),
        "g": number(tests.effect.g, 2),
    }
    if t.method is Method.PAIRED:
        return gettext(
            "95 % CI {interval}; {people}, paired t({df}) = {t}, {method} p {p}, g = {g}"
        ).format(people=people(t.n_first), **named)
    return gettext(
        "95 % CI {interval}; {n} and {people}, Welch t({df}) = {t}, {method} p {p}, g = {g}"
    ).format(n=t.n_first, people=people(t.n_second), **named)


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


Member = tuple[str, bool]
"""A test in words, and whether it has numbers."""


def family_models(analysis: Analysis) -> tuple[FamilyModel, ...]:
    """Return the declared families and what is left; nothing where none is declared."""
    if not analysis.query.family:
        return ()
    members: defaultdict[tuple[int, str], list[Member]] = defaultdict(list)
    for place, kind, member in _members(analysis):
        # what no family names is two families: those of the vitals, and of the heartbeat
        members[place, "" if place >= 0 else kind].append(member)
    # Declared families first, what none of them names last.
    order = sorted(members, key=lambda key: (key[0] < 0, key))
    return tuple(_model(analysis, place, members[place, kind]) for place, kind in order)


def family_rule(analysis: Analysis) -> str:
    """Say for a methods section which p values are adjusted together, and how."""
    method = gettext("Benjamini and Hochberg’s method")
    if analysis.query.correction is Correction.HOLM:
        method = gettext("Holm’s method")
    verdict = gettext("A difference is significant if its adjusted p is below {alpha}.").format(
        alpha=by_locale(str(ALPHA))
    )
    families = family_models(analysis)
    if families:
        listed = " ".join(one.sentence for one in families)
        text = gettext("p values are adjusted by {method} within each family of tests.")
        return f"{text.format(method=method)} {listed} {verdict}"
    text = gettext(
        "p values are adjusted by {method} for what could be computed ({n} of the {total} tests of "
        "the family)."
    ).format(method=method, n=analysis.tests_computed, total=len(analysis.family))
    return f"{text} {verdict}"


def _members(analysis: Analysis) -> Iterator[tuple[int, str, Member]]:
    """Yield for each test its family, what kind of test it is, and itself."""
    query = analysis.query
    for test in analysis.family:
        place = query.family_of(test.kind, test.first, test.second)
        pair = pair_text(test.first, test.second)
        computed = test.comparison.tests is not None
        yield place, "vital", (f"{vital_in_text(test.kind)}, {pair}", computed)
    for one in analysis.heart_tests:
        place = query.family_of(one.measure, one.first, one.second)
        name = gettext(HEART_NAMES[one.measure])
        computed = one.comparison.tests is not None
        pair = pair_text(one.first, one.second)
        yield place, "heart", (f"{name}, {pair}", computed)


def _model(analysis: Analysis, place: int, members: list[Member]) -> FamilyModel:
    written = "" if place < 0 else analysis.query.family[place]
    computed = sum(has_numbers for _, has_numbers in members)
    tests = tuple(name for name, _ in members)
    text = gettext("In no declared family: {tests} ({n} of {total} computed).")
    if written:
        text = gettext("Family “{family}”: {tests} ({n} of {total} computed).")
    return FamilyModel(
        family=written,
        tests=tests,
        computed=computed,
        sentence=text.format(
            family=written, tests="; ".join(tests), n=computed, total=len(members)
        ),
    )


_UNITS = {HeartMeasure.SDNN: "ms", HeartMeasure.RESPIRATION: "/min"}


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
        p=p_equals(test.adjusted_p),
        n=_people(test),
    )
    shown = test.adjusted_p < ALPHA
    observed = shown and query.state is StateBy.OBSERVED
    return as_association(verdict, observed=observed) + without


def _verdict(test: HeartTest, adjusted_p: float) -> str:
    paired = test.comparison.method is Method.PAIRED
    if adjusted_p < ALPHA and paired:
        return gettext(
            "{measure}, {first} and {second}: a difference, {size}; paired t({df}) = {t}, {method} "
            "p {p}, n = {n}."
        )
    if adjusted_p < ALPHA:
        return gettext(
            "{measure}, {first} and {second}: a difference, {size}; Welch t({df}) = {t}, {method} "
            "p {p}, n = {n}."
        )
    if paired:
        return gettext(
            "{measure}, {first} and {second}: no significant difference, {size}; paired t({df}) "
            "= {t}, {method} p {p}, n = {n}."
        )
    return gettext(
        "{measure}, {first} and {second}: no significant difference, {size}; Welch t({df}) = "
        "{t}, {method} p {p}, n = {n}."
    )


def _size(measure: HeartMeasure, difference: float, interval: Interval) -> str:
    """Write a difference with its interval, that of a logarithm as a ratio."""
    shown = [difference, interval.low, interval.high]
    if measure in _UNITS:
        value, low, high = (_minus(f"{one:+.1f}") for one in shown)
        return gettext("{value} {unit} (95 % CI {low} to {high})").format(
            value=value, unit=_UNITS[measure], low=low, high=high
        )
    # A difference of logarithms is the logarithm of a ratio.
    ratio, low, high = (decimal(math.exp(one), 2) for one in shown)
    return gettext("{ratio} times (95 % CI {low} to {high})").format(
        ratio=ratio, low=low, high=high
    )


def _minus(number: str) -> str:
    """Write a number with a true minus sign, as all other sentences do."""
    return by_locale(number.replace("-", "−"))


def _people(test: HeartTest) -> int:
    if test.comparison.method is Method.PAIRED:
        return test.comparison.n_both
    return test.comparison.n_first_only + test.comparison.n_second_only
