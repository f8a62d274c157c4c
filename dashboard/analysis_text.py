"""An analysis in words: the sentence of each comparison, the warnings, how it was computed. Pure."""

from __future__ import annotations

from dashboard.analysis import Analysis, VitalComparison
from dashboard.analysis_schema import Sample, StateBy
from dashboard.comparison import Obstacle, Tests
from dashboard.statistics import MINIMUM, Method
from edge_agent.domain import VitalKind

ALPHA = 0.05
_NAMES = {
    VitalKind.HEART_RATE: "Heart rate",
    VitalKind.SYSTOLIC: "Systolic pressure",
    VitalKind.DIASTOLIC: "Diastolic pressure",
}
_UNITS = {"mm[Hg]": "mmHg"}
_MINUS = "−"
_MANY_READINGS = 10


def vital_name(kind: VitalKind) -> str:
    """Return the name of a vital at the start of a sentence."""
    return _NAMES[kind]


def unit_of(kind: VitalKind) -> str:
    """Return the unit of a vital as people write it."""
    return _UNITS.get(kind.unit, kind.unit)


def number(value: float, digits: int = 1) -> str:
    """Write a number with a true minus sign and no negative zero.

    Small ones get up to two more decimals than ``digits``; what is still smaller, or very large, powers of ten.
    """
    places = next((places for places in range(digits, digits + 3) if abs(value) >= 0.5 * 10.0**-places), digits)
    if value and not 0.5 * 10.0**-places <= abs(value) < 1e6:
        return f"{value:.1e}".replace("-", _MINUS)
    return f"{value:.{places}f}".replace("-", _MINUS) if value else f"{0:.{places}f}"


def p_text(p: float) -> str:
    """Write a p value to three decimals, to more where rounding would carry it across 0.05, small ones by powers."""
    if p < 0.001:
        return f"{p:.1e}".replace("e-0", "e-").replace("-", _MINUS)
    text = f"{p:.3f}"
    return text if float(text) != ALPHA else f"{p:.6f}".rstrip("0")


def p_equals(p: float) -> str:
    """Write ``= 0.021``, or ``< 0.001`` where the digits no longer matter."""
    return "< 0.001" if p < 0.001 else f"= {p_text(p)}"


def interval_text(low: float, high: float, digits: int = 1) -> str:
    """Write ``2.0 to 10.2``."""
    return f"{number(low, digits)} to {number(high, digits)}"


def people(count: int) -> str:
    """Write ``1 person`` or ``12 people``."""
    return f"{count} person" if count == 1 else f"{count} people"


def df_text(df: float) -> str:
    """Write degrees of freedom: whole ones without decimals, Welch's with one."""
    return f"{df:.0f}" if df == round(df) else f"{df:.1f}"


def sentence(test: VitalComparison) -> str:
    """Say one result, with as much certainty as it has."""
    comparison = test.comparison
    if comparison.obstacle is Obstacle.TOO_FEW:
        return _too_few(test)
    if comparison.tests is None:
        return _no_variation(test)
    return _result(test, comparison.tests) + _doubt(comparison.tests)


def _result(test: VitalComparison, tests: Tests) -> str:
    unit, t = unit_of(test.kind), tests.t
    name, figures = vital_name(test.kind), _figures(tests)
    difference = f"difference {number(t.difference)} {unit}, "
    shift = f"{name} was {_shift(t.difference, unit)} in {test.first} than in {test.second}"
    aside = difference if t.difference < 0 else ""  # the interval of a fall needs its sign explained
    if tests.holm_p < ALPHA:
        return f"{shift} ({aside}{figures})."
    if t.p < ALPHA:
        return (
            f"{shift} in this sample, but that does not hold up when several tests are made at once ({aside}{figures}; "
            f"p before Holm’s adjustment {p_equals(t.p)})."
        )
    return (
        f"{name} was not shown to differ between {test.first} and {test.second} ({difference}{figures}). The data fit "
        f"anything from {_shift(t.interval.low, unit)} to {_shift(t.interval.high, unit)} in {test.first}."
    )


def _figures(tests: Tests) -> str:
    t = tests.t
    paired = t.method is Method.PAIRED
    return (
        f"95 % CI {interval_text(t.interval.low, t.interval.high)}; "
        f"{people(t.n_first) if paired else f'{t.n_first} and {people(t.n_second)}'}, "
        f"{'paired' if paired else 'Welch'} t({df_text(t.df)}) = {number(t.t, 2)}, Holm p {p_equals(tests.holm_p)}, "
        f"g = {number(tests.effect.g, 2)}"
    )


def _shift(value: float, unit: str) -> str:
    shown = number(abs(value))
    return f"{shown} {unit} {'lower' if value < 0 else 'higher'}"


def _doubt(tests: Tests) -> str:
    """Point to the rank test where the values are hardly normal, and say when it disagrees."""
    if not any(normality is not None and normality.p < ALPHA for normality in tests.normality):
        return ""
    what = "The differences" if tests.t.method is Method.PAIRED else "The values"
    agrees = (tests.rank.p < ALPHA) == (tests.t.p < ALPHA)
    return (
        f" {what} are hardly from a normal distribution (Shapiro–Wilk p {_smallest(tests)}); the rank test, which does "
        f"not need that, {'agrees' if agrees else 'does not agree'} (p {p_equals(tests.rank.p)})."
    )


def _smallest(tests: Tests) -> str:
    return p_equals(min(normality.p for normality in tests.normality if normality is not None))


def _too_few(test: VitalComparison) -> str:
    c = test.comparison
    text = (
        f"{vital_name(test.kind)}, {test.first} and {test.second}: no test. It needs at least {MINIMUM} people with "
        f"readings in both states; there {_are(c.n_both)}."
    )
    if not (c.n_first_only or c.n_second_only):
        return text
    return (
        f"{text} Without them, Welch’s test needs at least {MINIMUM} people on each side with readings in only that "
        f"state; there {_are(c.n_first_only)} for {test.first} and {c.n_second_only} for {test.second}."
    )


def _are(count: int) -> str:
    return f"is {count}" if count == 1 else f"are {count}"


def _no_variation(test: VitalComparison) -> str:
    c = test.comparison
    shown = f"{number(c.difference or 0.0)} {unit_of(test.kind)}"
    start = f"{vital_name(test.kind)}, {test.first} and {test.second}: no test."
    if c.method is Method.PAIRED:
        return (
            f"{start} The difference is exactly {shown} for all {people(c.n_both)}, so there is no spread to judge it "
            "by."
        )
    return (
        f"{start} Nobody differs from anybody else within either state (the states differ by {shown}), so there is no "
        "spread to judge it by."
    )


def warnings_of(analysis: Analysis) -> tuple[str, ...]:
    """Return what a reader must know before believing the numbers, gravest first."""
    found = (_about_simulation(analysis), _about_sessions(analysis), _about_flags(analysis), _about_repeats(analysis))
    return tuple(text for text in (*found, _about_left_out(analysis), *_about_states(analysis)) if text)


def _about_simulation(analysis: Analysis) -> str:
    simulated, readings = analysis.simulated_readings, analysis.readings
    if not simulated:
        return ""
    if simulated < readings:
        return (
            f"Simulated and measured readings are mixed: {simulated:,} of {readings:,} are simulated. "
            "These numbers say nothing about people; select sessions of one kind."
        )
    return "All of these readings are simulated. They show how the page works and say nothing about people."


def _about_sessions(analysis: Analysis) -> str:
    if not analysis.sessions:
        wanted = {Sample.MEASURED: "no measured session", Sample.EXAMPLE: "no example study"}
        return f"There is {wanted.get(analysis.sample, 'no session selected')}, so there is nothing to compare."
    if analysis.query.sample is Sample.AUTO and analysis.sample is Sample.EXAMPLE:
        return (
            "No measured session has readings in anger, happiness or neutral yet; the example study is shown instead."
        )
    return ""


def _about_flags(analysis: Analysis) -> str:
    if not analysis.flagged:
        return ""
    readings = f"{analysis.flagged:,} reading{'s' if analysis.flagged > 1 else ''}"
    what = f"{readings} out of range, without sensor contact or of doubtful time"
    if analysis.query.leave_out_flagged:
        return f"{what} left out of the means, as asked."
    return f"{what} counted in the means. Leave them out above to see whether they matter."


def _about_repeats(analysis: Analysis) -> str:
    means = len(analysis.means)
    if not means or analysis.readings < _MANY_READINGS * means:
        return ""
    return (
        f"The {analysis.readings:,} readings come from {people(len(analysis.participants))}. However many readings a "
        "person gives, that person counts once in each state (n = 1): more readings make a mean steadier, not n larger."
    )


def _about_left_out(analysis: Analysis) -> str:
    most = max((test.comparison.left_out for test in analysis.family), default=0)
    if not most:
        return ""
    return (
        f"Some tests leave out up to {people(most)}: a paired test uses only people with both states, Welch’s only "
        "people with one of them. The table says how many each."
    )


def _about_states(analysis: Analysis) -> list[str]:
    """Say which readings belong to no tested state, and how observed emotions were matched."""
    texts = []
    if analysis.matching is not None and (analysis.matching.unmatched or analysis.matching.ambiguous):
        m = analysis.matching
        texts.append(
            f"Of the readings, {m.matched:,} could be matched to an observed emotion; {m.unmatched:,} could not "
            f"because no face was recorded in the window, and {m.ambiguous:,} because no emotion held "
            f"{_percent(analysis)} of it."
        )
    if analysis.other_states:
        listed = ", ".join(f"{label} ({count:,})" for label, count in list(analysis.other_states.items())[:12])
        more = ", …" if len(analysis.other_states) > 12 else ""
        texts.append(f"Readings in other states are not tested: {listed}{more}.")
    return texts


def method_of(analysis: Analysis) -> tuple[str, ...]:
    """Say how the numbers were computed, fit for the methods section of a paper."""
    family = (
        f"p values are adjusted by Holm’s method for what could be computed ({analysis.tests_computed} of the "
        f"{len(analysis.family)} tests of the family). A difference is called one where the adjusted p is below "
        f"{ALPHA}."
    )
    return (_state_rule(analysis), _UNIT_RULE, _TEST_RULE, family, _EFFECT_RULE, _BESIDE_RULE)


_UNIT_RULE = (
    "The unit is one participant’s mean in one state, over all readings and sessions of that participant. "
    "Differences are first state minus second."
)
_TEST_RULE = (
    f"Where at least {MINIMUM} participants have both states, Student’s paired t-test of their differences; otherwise, "
    f"where at least {MINIMUM} on each side have only that state, Welch’s t-test of two groups. All tests are "
    "two-sided. Intervals are 95 % and not adjusted for the number of tests."
)
_EFFECT_RULE = (
    "Effect size: Hedges’ g = J · difference / √((s₁² + s₂²) / 2), g_av for pairs, with the exact small-sample "
    "correction J; its interval is from the noncentral t distribution (Algina & Keselman 2003 for pairs, Delacre et "
    "al. 2021 for groups)."
)
_BESIDE_RULE = (
    "Beside the t-test: Shapiro–Wilk of the differences (of both groups with Welch), and the Wilcoxon signed-rank or "
    "Mann–Whitney test, exact up to 50 values. Neither decides which t-test is used."
)


def _percent(analysis: Analysis) -> str:
    return f"{100 * analysis.query.share:g} %"


def _state_rule(analysis: Analysis) -> str:
    query = analysis.query
    if query.state is StateBy.CONDITION:
        return (
            "The state of a reading is the condition (stimulus) that went on when it was taken, if its label is anger, "
            "happiness or neutral."
        )
    return (
        "The state of a reading is the emotion observed on the participant’s face before it: the smoothed label that "
        f"holds at least {_percent(analysis)} of the {query.window:g} s which end {query.lag_heart_rate:g} s before a "
        f"heart-rate reading and {query.lag_pressure:g} s before a blood-pressure reading."
    )
