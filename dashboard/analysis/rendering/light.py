"""Parts of the page that load without SciPy: effect sizes as a picture for paper, which needs no
script, and the table of what was left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.analysis.rendering.numbers import (
    comparison_text,
    flag_name,
    interval_text,
    number,
    p_text,
)
from dashboard.analysis.results import (
    AnalysisModel,
    By,
    ComparisonModel,
    IntervalModel,
    WithAllModel,
)
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import general, thousands
from dashboard.languages.names import vital_label

if TYPE_CHECKING:
    from dashboard.analysis.analyse import Analysis


WIDTH = 680
LEFT = 220
"""Room for the names of the tests."""
RIGHT = 540
"""Where the figures begin."""
ROW = 13
TOP = 10
_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One test: its name, where its mark and the ends of its interval stand, and its figures."""

    name: str
    y: float
    x: float
    low: float
    high: float
    figures: str


@dataclass(frozen=True, slots=True)
class Forest:
    """The picture, in units of its own.

    Attributes:
        title: what it shows.
        note: what was standardised, where that is not the difference of the t-test.
        rows: one a test that has numbers.
        ticks: place and number of each line of the scale.
        zero: place of no difference.
        height: of the picture; its width is ``WIDTH``.
    """

    title: str
    note: str
    rows: tuple[ForestRow, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float
    height: int
    width: int = WIDTH
    left: int = LEFT
    right: int = RIGHT


def effects_title() -> str:
    """Return the title of the effect sizes."""
    return gettext("Effect sizes, Hedges’ g")


def effects_note(analysis: Analysis) -> str:
    """Say what was standardised, where that is not the difference of the t-test."""
    if all(test.result.by in (None, By.PAIRED, By.WELCH) for test in analysis.family):
        return ""
    return gettext(
        "Each is the difference that the results tell, divided by the average standard deviation "
        "of both states."
    )


def effects_of(analysis: Analysis) -> list[tuple[ComparisonModel, float, IntervalModel]]:
    """Return each test whose result has an effect size, with the size and its interval."""
    return [
        (test, test.result.g, test.result.g_interval)
        for test in analysis.family
        if test.result.g is not None and test.result.g_interval is not None
    ]


def forest_of(analysis: Analysis) -> Forest | None:
    """Draw the effect size of every result; ``None`` without any."""
    shown = effects_of(analysis)
    if not shown:
        return None
    # Zero is always in the picture: each interval is read against it.
    low = min(0.0, *(interval.low for _, _, interval in shown))
    high = max(0.0, *(interval.high for _, _, interval in shown))
    step = _step(high - low)
    first = math.floor(low / step)
    last = math.ceil(high / step)

    def place(g: float) -> float:
        share = (g / step - first) / (last - first)
        return round(LEFT + 10 + share * (RIGHT - LEFT - 30), 1)

    rows = tuple(
        ForestRow(
            name=comparison_text(test.vital, test.first, test.second),
            y=TOP + ROW * number_of,
            x=place(g),
            low=place(interval.low),
            high=place(interval.high),
            figures=f"{number(g, 2)} ({interval_text(interval.low, interval.high, 2)})",
        )
        for number_of, (test, g, interval) in enumerate(shown)
    )
    ticks = tuple((place(n * step), number(n * step, 1)) for n in range(first, last + 1))
    return Forest(
        title=gettext("{title} (95 % CI)").format(title=effects_title()),
        note=effects_note(analysis),
        rows=rows,
        ticks=ticks,
        zero=place(0.0),
        height=TOP + ROW * len(rows) + 14,
    )


def _step(span: float) -> float:
    """Return the grid spacing of the scale."""
    # Less two, for rounding outwards adds up to one line at each end.
    for step in _STEPS:
        if span / step <= _MOST_TICKS - 2:
            return step
    return 10.0 ** math.ceil(math.log10(span / (_MOST_TICKS - 2)))


@dataclass(frozen=True, slots=True)
class FlagRow:
    """Number of readings excluded for a flag; ``counts`` has one for each state, in order."""

    name: str
    counts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WithAllRow:
    """One test as it stands, and as it would be with every reading.

    Attributes:
        comparison: vital and states.
        difference: mean difference.
        adjusted_p: the p that decides.
        all_difference: mean difference with every reading.
        all_adjusted_p: the p that would decide then.
        changes: whether the conclusion would be another.
    """

    comparison: str
    difference: str
    adjusted_p: str
    all_difference: str
    all_adjusted_p: str
    changes: bool


@dataclass(frozen=True, slots=True)
class LeftOutTable:
    """The table of what was left out.

    Attributes:
        flags: by flag and state; empty where nothing is left out for its flags.
        tests: each test with and without those readings; empty as ``flags``.
        settling: a sentence for each vital of which the start of stimuli was left out.
    """

    flags: tuple[FlagRow, ...]
    tests: tuple[WithAllRow, ...]
    settling: tuple[str, ...]


def left_out_table(response: AnalysisModel) -> LeftOutTable:
    """Write what was left out."""
    counts = {(one.flag, one.state): one.readings for one in response.left_out}
    return LeftOutTable(
        flags=tuple(
            FlagRow(
                flag_name(flag),
                tuple(
                    thousands(counts.get((flag, state), 0)) for state in response.question.states
                ),
            )
            for flag in dict.fromkeys(one.flag for one in response.left_out)
        ),
        tests=tuple(
            _with_all(test, test.with_all)
            for test in response.comparisons
            if test.with_all is not None
        ),
        settling=tuple(
            ngettext(
                "{vital}: the first {seconds} s of each stimulus, {n} reading.",
                "{vital}: the first {seconds} s of each stimulus, {n} readings.",
                one.readings,
            ).format(
                vital=vital_label(one.vital),
                seconds=general(one.seconds),
                n=thousands(one.readings),
            )
            for one in response.settling
            if one.readings
        ),
    )


def _with_all(test: ComparisonModel, every: WithAllModel) -> WithAllRow:
    return WithAllRow(
        comparison_text(test.vital, test.first, test.second),
        _number(test.difference),
        _p(test.adjusted_p),
        _number(every.difference),
        _p(every.adjusted_p),
        every.changes,
    )


def _number(value: float | None) -> str:
    return "–" if value is None else number(value)


def _p(value: float | None) -> str:
    return "–" if value is None else p_text(value)
