"""Numbers and names as people read them, in the language in use. Quick to load."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.question import AnalysisQuery, Correction
from dashboard.analysis.results import IntervalModel, Source
from dashboard.languages import figures
from dashboard.languages.current import N_, gettext, ngettext, pgettext
from dashboard.languages.figures import by_locale, general, thousands
from dashboard.languages.names import list_with_or, state_name, vital_in_text, vital_label, with_and
from dashboard.statistics import ALPHA
from edge_agent.core.measures import Measure
from edge_agent.core.readings import VitalFlag

_CORRECTIONS = {Correction.HOLM: "Holm", Correction.BENJAMINI_HOCHBERG: "Benjamini–Hochberg"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGE_FACTOR = 1e5
"""From here on a Bayes factor is only said to be larger."""
_FLAGS = {
    VitalFlag.OUT_OF_RANGE: N_("out of range"),
    VitalFlag.CONTACT_LOST: N_("without sensor contact"),
    VitalFlag.ESTIMATED: N_("estimated, such as the camera’s pulse"),
    VitalFlag.CLOCK_DIFFERS: N_("of doubtful time"),
    VitalFlag.POOR_SIGNAL: N_("with a poor signal"),
    VitalFlag.ARTEFACT: N_("far from their neighbours (artefacts)"),
}
_SOURCES = {"condition": N_("condition"), "observed": N_("face"), "reported": N_("self-report")}
_CONCLUSIONS = {
    Conclusion.HIGHER: N_("a rise"),
    Conclusion.LOWER: N_("a fall"),
    Conclusion.NOT_SHOWN: N_("no significant difference"),
    Conclusion.NO_TEST: N_("no test"),
}


def unit_of(kind: Measure) -> str:
    """Return the unit of a vital or movement as people write it."""
    return gettext(kind.spec.unit_shown)


def names_of(kind: Measure, first: str, second: str) -> dict[str, str]:
    """Return what most sentences about two states of a vital name."""
    return {
        "vital": vital_label(kind),
        "first": state_name(first),
        "second": state_name(second),
        "unit": unit_of(kind),
    }


def pair_text(first: str, second: str) -> str:
    """Name a difference of two states, as in ``anger − neutral``."""
    return f"{state_name(first)} − {state_name(second)}"


def comparison_text(kind: Measure, first: str, second: str) -> str:
    """Name a test, as in ``Heart rate: anger − neutral``."""
    return f"{vital_label(kind)}: {pair_text(first, second)}"


def bounds_text(query: AnalysisQuery, word: str = "and") -> str:
    """Return the bounds of what is tested, such as ``± 5 /min and ± 5 mmHg``.

    Args:
        query: what is asked.
        word: ``and`` or ``or``, which stands before the last.
    """
    bounds = [f"± {general(query.bound(kind))} {unit_of(kind)}" for kind in query.vital]
    return _join(list(dict.fromkeys(bounds)), word)


def lags_text(query: AnalysisQuery) -> str:
    """Return by how long readings follow the face, as in ``5 s before a heart-rate reading``."""
    parts = [
        gettext("{seconds} s before a heart-rate reading").format(
            seconds=general(query.lag_heart_rate)
        ),
        gettext("{seconds} s before a blood-pressure reading").format(
            seconds=general(query.lag_pressure)
        ),
    ]
    parts += [
        gettext("{seconds} s before a reading of {vital}").format(
            seconds=general(query.lag_s(kind)), vital=vital_in_text(kind)
        )
        for kind in query.vital
        if kind.spec.option is None
    ]
    return with_and(parts)


def settling_text(query: AnalysisQuery) -> str:
    """Say how much of the beginning of a stimulus is left out, of what is tested."""
    named: dict[float, list[str]] = {}
    for kind in query.vital:
        named.setdefault(query.settling_s(kind), []).append(vital_in_text(kind))
    parts = [
        gettext("{seconds} s of {vitals}").format(seconds=general(seconds), vitals=with_and(kinds))
        for seconds, kinds in named.items()
    ]
    return gettext("Left out at the start of each stimulus: {parts}.").format(parts=with_and(parts))


def states_text(query: AnalysisQuery) -> str:
    """Name the states that are compared, as the tests do: the one compared with comes last."""
    return _join([state_name(state) for state in reversed(query.states)], "or")


def how_many(states: int) -> str:
    """Return a number of states as a word."""
    # Each literal stands in its own call, or the tool that collects texts would not find it.
    words = (
        pgettext("number of states", "no"),
        pgettext("number of states", "one"),
        pgettext("number of states", "two"),
        pgettext("number of states", "three"),
        pgettext("number of states", "four"),
        pgettext("number of states", "five"),
        pgettext("number of states", "six"),
    )
    # States are at most six (``MOST_STATES``).
    return words[states]


def _join(parts: list[str], word: str) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    if word == "or":
        return list_with_or(parts)
    return with_and(parts)


def number(value: float, digits: int = 1) -> str:
    """Write a number of a result.

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
        mantissa, power = f"{value:.1e}".split("e")
        raised = str(int(power)).translate(_RAISED)
        return by_locale(f"{mantissa} × 10{raised}")
    return by_locale(f"{value:.{places}f}")


def p_text(p: float) -> str:
    """Write a p value to three decimals, to more where rounding would carry it across 0.05;
    ``< 0.001`` where the digits no longer matter.
    """
    p = _without_last_bits(p)
    if p < 0.001:
        return by_locale("< 0.001")
    text = f"{p:.3f}"
    if float(text) != ALPHA:
        return by_locale(text)
    return by_locale(f"{p:.6f}".rstrip("0"))


def _without_last_bits(value: float) -> float:
    return float(f"{value:.12g}")


def p_equals(p: float) -> str:
    """Write ``= 0.021`` or ``< 0.001``: ``p_text`` within a sentence."""
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def interval_text(low: float, high: float, digits: int = 1) -> str:
    """Write ``2.0 to 10.2``."""
    return pgettext("interval", "{low} to {high}").format(
        low=number(low, digits), high=number(high, digits)
    )


def ends_text(interval: IntervalModel, digits: int = 1) -> str:
    """Write the ends of an interval, as ``interval_text`` does."""
    return interval_text(interval.low, interval.high, digits)


def brackets(interval: IntervalModel) -> str:
    """Write ``[2.01, 10.20]``, as a report has it."""
    return pgettext("interval", "[{low}, {high}]").format(
        low=number(interval.low, 2), high=number(interval.high, 2)
    )


def shift_text(value: float, kind: Measure) -> str:
    """Write by how much and which way something differs, as in ``5.0 /min higher``."""
    text = gettext("{value} {unit} lower") if value < 0 else gettext("{value} {unit} higher")
    return text.format(value=number(abs(value)), unit=unit_of(kind))


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
    return text.replace(" 0.", " .") if shown == text else shown


def factor_text(factor: float) -> str:
    """Write a Bayes factor: three digits, large ones by powers of ten."""
    if factor >= LARGE_FACTOR:
        return gettext("over {factor}").format(factor=thousands(100_000))
    if factor >= 100:
        return thousands(round(factor))
    return number(factor, 1 if factor >= 10 else 2)


def people(count: int) -> str:
    """Write ``1 person`` or ``12 people``."""
    return ngettext("{n} person", "{n} people", count).format(n=count)


def sessions_text(count: int) -> str:
    """Write ``1 session`` or ``1,200 sessions``."""
    return ngettext("{n} session", "{n} sessions", count).format(n=thousands(count))


def spans_text(numbers: Iterable[int]) -> str:
    """Write whole numbers, three and more in a row as ``13–183``.

    >>> spans_text([1, 3, 4, 7, 8, 9])
    '1, 3, 4, 7–9'
    """
    parts: list[str] = []
    # In a row, number and place grow alike.
    for _, group in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        row = [number for _, number in group]
        parts += [f"{row[0]}–{row[-1]}"] if len(row) > 2 else map(str, row)
    return ", ".join(parts)


def df_text(df: float) -> str:
    """Write degrees of freedom: whole ones without decimals, Welch's with one."""
    if df == round(df):
        return f"{df:.0f}"
    return by_locale(f"{df:.1f}")


def exact_df(df: float) -> str:
    """Write degrees of freedom: whole ones without decimals, others with two."""
    told = float(f"{df:.12g}")  # the last bits of a sum are none
    return df_text(told) if told == round(told) else figures.decimal(told, 2)


def percent(share: float) -> str:
    """Write a share as ``12 %``."""
    return figures.percent(share)


def correction_name(correction: Correction) -> str:
    """Return whose method adjusts p."""
    return _CORRECTIONS[correction]


def flag_name(flag: VitalFlag) -> str:
    """Return what people call the readings with a flag of doubt."""
    return gettext(_FLAGS[flag])


def source_name(source: Source) -> str:
    """Return what people call a source of states."""
    return gettext(_SOURCES[source])


def conclusion_name(conclusion: Conclusion) -> str:
    """Return what people call a conclusion."""
    return gettext(_CONCLUSIONS[conclusion])
