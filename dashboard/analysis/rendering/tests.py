"""The sentence of each family of tests, and of each test of the heart's variability."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

from dashboard.analysis.analyse import Analysis
from dashboard.analysis.inference.heart import HeartTest
from dashboard.analysis.question import (
    HEART_NAMES,
    AnalysisQuery,
    Correction,
    HeartMeasure,
    StateBy,
)
from dashboard.analysis.rendering.numbers import p_equals, pair_text
from dashboard.analysis.results import ALPHA, FamilyModel
from dashboard.languages.current import gettext
from dashboard.languages.figures import by_locale, decimal
from dashboard.languages.names import as_association, state_name, vital_in_text
from dashboard.statistics.samples import Interval
from dashboard.statistics.t_tests import Method

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
