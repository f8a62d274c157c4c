"""Numbers as people read them, and the sentence of each comparison. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.analysis.comparison import Obstacle, Tests
from dashboard.analysis.request import AnalysisQuery, Correction
from dashboard.analysis.results import VitalComparison
from dashboard.analysis.states import Design
from dashboard.statistics import MINIMUM, Method
from edge_agent.core.vitals import VitalKind

ALPHA = 0.05
_CORRECTIONS = {Correction.HOLM: "Holm", Correction.BENJAMINI_HOCHBERG: "Benjamini–Hochberg"}
_MINUS = "−"


def vital_name(kind: VitalKind) -> str:
    """Return the name of a vital at the start of a sentence."""
    return kind.spec.label


def unit_of(kind: VitalKind) -> str:
    """Return the unit of a vital as people write it."""
    return kind.spec.unit_shown


def bounds_text(query: AnalysisQuery, word: str = "and") -> str:
    """Return the bounds of what is tested, such as ``± 5 /min and ± 5 mmHg``."""
    bounds = [f"± {query.bound(kind):g} {unit_of(kind)}" for kind in query.vital]
    return _joined(list(dict.fromkeys(bounds)), word)


def lags_text(query: AnalysisQuery) -> str:
    """Return by how long readings follow the face, as in ``5 s before a heart-rate reading``."""
    parts = [
        f"{query.lag_heart_rate:g} s before a heart-rate reading",
        f"{query.lag_pressure:g} s before a blood-pressure reading",
    ]
    parts += [
        f"{query.lag_s(kind):g} s before a reading of {kind.spec.name_in_text}"
        for kind in query.vital
        if kind.spec.option is None
    ]
    return _joined(parts, "and")


def settling_text(query: AnalysisQuery) -> str:
    """Say how much of the beginning of a stimulus is left out, of what is tested."""
    named: dict[float, list[str]] = {}
    for kind in query.vital:
        named.setdefault(query.settling_s(kind), []).append(kind.spec.name_in_text)
    parts = [f"{seconds:g} s of {_joined(kinds, 'and')}" for seconds, kinds in named.items()]
    return f"Left out at the start of each stimulus: {_joined(parts, 'and')}."


def states_text(query: AnalysisQuery, word: str = "or") -> str:
    """Name the states that are compared, as the tests do: the one compared with comes last."""
    return _joined([str(state) for state in reversed(query.states)], word)


def how_many(states: int) -> str:
    """Return a number of states as a word."""
    return ("no", "one", "two", "three", "four", "five", "six")[states]


def _joined(parts: Sequence[str], word: str) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    *first, last = parts
    if first:
        return f"{', '.join(first)} {word} {last}"
    return last


def number(value: float, digits: int = 1) -> str:
    """Write a number with a true minus sign and no negative zero.

    Small ones get up to two more decimals than ``digits``; what is still smaller, or very large,
    powers of ten. Twelve digits count: the last bits differ between programs that compute the same,
    and must not decide how a tie is rounded.
    """
    value = _without_last_bits(value)
    places = next(
        (places for places in range(digits, digits + 3) if abs(value) >= 0.5 * 10.0**-places),
        digits,
    )
    if value and not 0.5 * 10.0**-places <= abs(value) < 1e6:
        return f"{value:.1e}".replace("-", _MINUS)
    if value:
        return f"{value:.{places}f}".replace("-", _MINUS)
    return f"{0:.{places}f}"


def p_text(p: float) -> str:
    """Write a p value to three decimals, to more where rounding would carry it across 0.05, small
    ones by powers.
    """
    p = _without_last_bits(p)
    if p < 0.001:
        return f"{p:.1e}".replace("e-0", "e-").replace("-", _MINUS)
    text = f"{p:.3f}"
    if float(text) != ALPHA:
        return text
    return f"{p:.6f}".rstrip("0")


def _without_last_bits(value: float) -> float:
    return float(f"{value:.12g}")


def p_equals(p: float) -> str:
    """Write ``= 0.021``, or ``< 0.001`` where the digits no longer matter."""
    if p < 0.001:
        return "< 0.001"
    return f"= {p_text(p)}"


def interval_text(low: float, high: float, digits: int = 1) -> str:
    """Write ``2.0 to 10.2``."""
    return f"{number(low, digits)} to {number(high, digits)}"


def people(count: int) -> str:
    """Write ``1 person`` or ``12 people``."""
    if count == 1:
        return f"{count} person"
    return f"{count} people"


def df_text(df: float) -> str:
    """Write degrees of freedom: whole ones without decimals, Welch's with one."""
    if df == round(df):
        return f"{df:.0f}"
    return f"{df:.1f}"


def percent(share: float) -> str:
    """Write a share as ``12 %``."""
    return f"{100 * share:.0f} %"


def correction_name(correction: Correction) -> str:
    """Return whose method adjusts p."""
    return _CORRECTIONS[correction]


def sentence(test: VitalComparison) -> str:
    """Say one result, with as much certainty as it has."""
    comparison = test.comparison
    if comparison.obstacle is Obstacle.TOO_FEW:
        return _too_few(test)
    if comparison.tests is None:
        return _no_variation(test)
    return _result(test, comparison.tests) + _doubt(test, comparison.tests)


def _result(test: VitalComparison, tests: Tests) -> str:
    unit = unit_of(test.kind)
    t = tests.t
    adjusted = test.adjusted_p or 0.0
    name = vital_name(test.kind)
    figures = _figures(test, tests)
    difference = f"difference {number(t.difference)} {unit}, "
    shift = f"{name} was {_shift(t.difference, unit)} in {test.first} than in {test.second}"
    # the interval of a fall needs its sign explained
    aside = difference if t.difference < 0 else ""
    if adjusted < ALPHA:
        return f"{shift} ({aside}{figures}).{_real_but_small(test)}"
    if t.p < ALPHA:
        if test.correction is Correction.HOLM:
            adjustment = "Holm’s adjustment"
        else:
            adjustment = "adjustment"
        return (
            f"{shift} in this sample, but not significantly after adjustment for several tests "
            f"({aside}{figures}; p before {adjustment} "
            f"{p_equals(t.p)}).{_real_but_small(test)}"
        )
    return (
        f"{name} was not shown to differ between {test.first} and {test.second} "
        f"({difference}{figures}). The data fit anything from {_shift(t.interval.low, unit)} to "
        f"{_shift(t.interval.high, unit)} in {test.first}.{_as_good_as_none(test)}"
    )


def _real_but_small(test: VitalComparison) -> str:
    """Say of a difference that it lies within the bounds that were declared to count as none."""
    if test.in_family is None or not test.in_family.equivalent:
        return ""
    return f" It is small: within ± {_bound(test)} (equivalence test, {_equivalence_p(test)})."


def _equivalence_p(test: VitalComparison) -> str:
    """Write the p of the equivalence test that decides, as in ``Holm p = 0.012``."""
    p = 1.0 if test.in_family is None else test.in_family.equivalence_p
    return f"{correction_name(test.correction)} p {p_equals(p)}"


def _as_good_as_none(test: VitalComparison) -> str:
    """Say whether it is shown that there is no difference worth mentioning, and else what that
    would take.
    """
    equivalence = test.equivalence
    if equivalence is None:
        return ""
    interval = interval_text(equivalence.interval.low, equivalence.interval.high)
    figures = f"{_equivalence_p(test)}, 90 % CI {interval}"
    what = f"A difference of {_bound(test)} or more either way is"
    if test.in_family is not None and test.in_family.doubt and test.in_family.equivalence_p < ALPHA:
        return f" {what} not called excluded, because {test.in_family.doubt}."
    if test.in_family is not None and test.in_family.equivalent:
        return f" {what} excluded (equivalence test, {figures})."
    return f" {what} not excluded, though (equivalence test, {figures}).{_needed(test)}"


def _needed(test: VitalComparison) -> str:
    required = None if test.in_family is None else test.in_family.required_sample
    if required is None:
        return (
            " With people as different as these, no study could be large enough to find "
            f"{_bound(test)}."
        )
    if test.comparison.method is Method.WELCH:
        group = " in each group"
    else:
        group = ""
    takes = (
        f" To find a difference of {_bound(test)} in four of five studies takes "
        f"{people(required.size.n)}{group}{_at_level(test)}"
    )
    more = max(required.more_first, required.more_second)
    if more:
        return f"{takes}: {more} more than there are."
    return f"{takes}; there are enough."


def _at_level(test: VitalComparison) -> str:
    """Say at which level people are counted, where several tests share the 5 %."""
    if test.in_family is None or test.in_family.tests == 1:
        return ""
    tests = test.in_family.tests
    return f" (at {ALPHA} / {tests}, which the smallest p of {tests} tests must reach)"


def _bound(test: VitalComparison) -> str:
    if test.equivalence is None:
        high = 0.0
    else:
        high = test.equivalence.bounds.high
    return f"{high:g} {unit_of(test.kind)}"


def _figures(test: VitalComparison, tests: Tests) -> str:
    t = tests.t
    paired = t.method is Method.PAIRED
    return (
        f"95 % CI {interval_text(t.interval.low, t.interval.high)}; "
        f"{people(t.n_first) if paired else f'{t.n_first} and {people(t.n_second)}'}, "
        f"{'paired' if paired else 'Welch'} t({df_text(t.df)}) = {number(t.t, 2)}, "
        f"{correction_name(test.correction)} p {p_equals(test.adjusted_p or 0.0)}, g = "
        f"{number(tests.effect.g, 2)}"
    )


def _shift(value: float, unit: str) -> str:
    shown = number(abs(value))
    return f"{shown} {unit} {'lower' if value < 0 else 'higher'}"


def _doubt(test: VitalComparison, tests: Tests) -> str:
    """Point to the rank test where the values are hardly normal, and say when it disagrees."""
    if not any(normality is not None and normality.p < ALPHA for normality in tests.normality):
        return ""
    if tests.t.method is Method.PAIRED:
        what = "The differences"
    else:
        what = "The values"
    rank_p = tests.rank.p if test.in_family is None else test.in_family.rank_p
    agrees = (rank_p < ALPHA) == ((test.adjusted_p or 0.0) < ALPHA)
    return (
        f" {what} depart from normality (Shapiro–Wilk p {_smallest(tests)}); the "
        f"rank test, which does not need that, {'agrees' if agrees else 'does not agree'} "
        f"({correction_name(test.correction)} p {p_equals(rank_p)})."
    )


def _smallest(tests: Tests) -> str:
    return p_equals(min(normality.p for normality in tests.normality if normality is not None))


def _too_few(test: VitalComparison) -> str:
    c = test.comparison
    start = f"{vital_name(test.kind)}, {test.first} and {test.second}: no test."
    paired = (
        f"It needs at least {MINIMUM} people with readings in both states{_together(c.n_apart)}; "
        f"there {_are(c.n_both)}."
    )
    welch = (
        f"Welch’s test needs at least {MINIMUM} people on each side with readings in only that "
        f"state; there {_are(c.n_first_only)} for {test.first} and {c.n_second_only} for "
        f"{test.second}."
    )
    if test.design is Design.INDEPENDENT:
        if c.n_both:
            return f"{start} {welch} {people(c.n_both)} had both: a paired design may fit."
        return f"{start} {welch}"
    if test.design is Design.PAIRED or not (c.n_first_only or c.n_second_only):
        return f"{start} {paired}"
    return f"{start} {paired} Without them, {welch}"


def _together(apart: int) -> str:
    """Say why people who have both states do not count, where there are such."""
    if not apart:
        return ""
    return f" in one session ({people(apart)} had them in different sessions only)"


def _are(count: int) -> str:
    if count == 1:
        return f"is {count}"
    return f"are {count}"


def _no_variation(test: VitalComparison) -> str:
    c = test.comparison
    shown = f"{number(c.difference or 0.0)} {unit_of(test.kind)}"
    start = f"{vital_name(test.kind)}, {test.first} and {test.second}: no test."
    if c.method is Method.PAIRED:
        return (
            f"{start} The difference is exactly {shown} for all {people(c.n_both)}, so there is no "
            "variation to test it against."
        )
    return (
        f"{start} Nobody differs from anybody else within either state (the states differ by "
        f"{shown}), so there is no variation to test it against."
    )
