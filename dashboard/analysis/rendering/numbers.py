"""Numbers and names as people read them, in the language in use. Quick to load."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path

from dashboard.analysis.conclusions import Conclusion
from dashboard.analysis.query import (
    MEASURE_NAMES,
    AnalysisQuery,
    Correction,
    HeartMeasure,
    SkinMeasure,
)
from dashboard.analysis.results import IntervalModel, Source
from dashboard.languages.current import N_, gettext, pgettext
from dashboard.languages.figures import decimal, general, interval_text, number, thousands
from dashboard.languages.macros import Macros
from dashboard.languages.names import list_with_or, state_name, unit_of, vital_label, with_and
from edge_agent.core.measures import Measure, measure_of
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import exact_since_start

_CORRECTIONS = {Correction.HOLM: "Holm", Correction.BENJAMINI_HOCHBERG: "Benjamini–Hochberg"}
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


def pair_text(first: str, second: str) -> str:
    """Name a difference of two states, as in ``anger − neutral``."""
    return f"{state_name(first)} − {state_name(second)}"


def comparison_text(kind: Measure, first: str, second: str) -> str:
    """Name a test, as in ``Heart rate: anger − neutral``."""
    return f"{vital_label(kind)}: {pair_text(first, second)}"


def bounds_text(
    query: AnalysisQuery, word: str = "and", kinds: Sequence[Measure] | None = None
) -> str:
    """Return the bounds of what is tested, such as ``± 5 /min and ± 5 mmHg``.

    Args:
        query: what is asked.
        word: ``and`` or ``or``, which stands before the last.
        kinds: those whose bounds are meant; ``None``: all that are asked for.
    """
    own = query.vital if kinds is None else kinds
    bounds = [f"± {general(query.bound(kind))} {unit_of(kind)}" for kind in own]
    return _join(list(dict.fromkeys(bounds)), word)


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


def decimals_of(kind: Measure) -> int:
    """Return with how many decimals means of a measure are written."""
    return max(1, kind.spec.decimals)


def value_of(value: float, kind: Measure) -> str:
    """Write a mean of a measure."""
    return number(value, decimals_of(kind))


def ends_text(interval: IntervalModel, digits: int = 1) -> str:
    """Write the ends of an interval, as ``interval_text`` does."""
    return interval_text(interval.low, interval.high, digits)


def brackets(interval: IntervalModel) -> str:
    """Write ``[2.01, 10.20]``, as a report has it."""
    return pgettext("interval", "[{low}, {high}]").format(
        low=number(interval.low, 2), high=number(interval.high, 2)
    )


def factor_text(factor: float) -> str:
    """Write a Bayes factor: three digits, large ones by powers of ten."""
    if factor >= LARGE_FACTOR:
        return gettext("over {factor}").format(factor=thousands(100_000))
    if factor >= 100:
        return thousands(round(factor))
    return number(factor, 1 if factor >= 10 else 2)


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


def measure_name(measure: HeartMeasure | SkinMeasure) -> str:
    return gettext(MEASURE_NAMES[measure])


def ratio(difference: float) -> str:
    """Write a difference of logarithms as the ratio that it is the logarithm of."""
    return decimal(math.exp(difference), 2)


def since_start(seconds: float) -> str:
    return exact_since_start(round(1000 * seconds))


def macros_of(folder: Path, **known: object) -> Macros:
    """Return the macros of a folder, which write numbers of results as all do.

    Args:
        folder: of the files.
        known: what its macros know beside what they are given.
    """
    filters: dict[str, Callable[..., object]] = {
        "brackets": brackets,
        "conclusion": conclusion_name,
        "correction": correction_name,
        "decimals": decimals_of,
        "ends": ends_text,
        "factor": factor_text,
        "flag": flag_name,
        "how_many": how_many,
        "measure": measure_of,
        "measure_name": measure_name,
        "ratio": ratio,
        "since_start": since_start,
        "source": source_name,
        "spans": spans_text,
        "states": states_text,
        "value": value_of,
    }
    return Macros(
        folder, filters=filters, names={"pair": pair_text, "between": interval_text} | known
    )


def later(module: str, name: str) -> Callable[..., object]:
    """Return a function of an analysis, loaded when a text calls it: NumPy comes with it, and the
    process that serves pages writes sentences, too.
    """

    def call(*words: object) -> object:
        called: Callable[..., object] = getattr(import_module(f"dashboard.analysis.{module}"), name)
        return called(*words)

    return call
