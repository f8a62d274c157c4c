"""Parts of the page that load without SciPy: means and effect sizes as pictures for paper, which
need no script, the table of descriptives, and that of what was left out.
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
from dashboard.languages.names import state_name, vital_label, with_unit
from edge_agent.core.measures import Measure

if TYPE_CHECKING:
    from dashboard.analysis.analyse import Analysis


WIDTH = 680
LEFT = 220
"""Room for the names of the tests."""
RIGHT = 540
"""Where the figures begin."""
ROW = 13
TOP = 10
PANEL_WIDTH = 220
PANEL_HEIGHT = 150
PANEL_LEFT = 30
_PANEL_TOP = 8
_PANEL_FOOT = 20
_PANEL_TICKS = 6
_STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
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


def _step(span: float, most: int = _MOST_TICKS) -> float:
    """Return the grid spacing of a scale with at most so many lines."""
    # Less two, for rounding outwards adds up to one line at each end.
    for step in _STEPS:
        if span / step <= most - 2:
            return step
    return 10.0 ** math.ceil(math.log10(span / (most - 2)))


@dataclass(frozen=True, slots=True)
class MeanMark:
    """The mean over participants in one state, and the ends of its interval, where it has one."""

    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class MeansPanel:
    """One measure by state: a line for each participant, and the means beside them.

    Attributes:
        title: the measure and its unit.
        people: the points of each participant's line, as SVG writes them; those of a state that
            somebody lacks are left out.
        marks: the means.
        states: place and name of each state.
        ticks: place and number of each line of the scale.
    """

    title: str
    people: tuple[str, ...]
    marks: tuple[MeanMark, ...]
    states: tuple[tuple[float, str], ...]
    ticks: tuple[tuple[float, str], ...]
    width: int = PANEL_WIDTH
    height: int = PANEL_HEIGHT
    left: int = PANEL_LEFT


def means_panels(analysis: Analysis) -> tuple[MeansPanel, ...]:
    """Draw the means of every measure that has values, in order of the question."""
    measured = {mean.kind for mean in analysis.means}
    return tuple(_means_panel(analysis, kind) for kind in analysis.query.vital if kind in measured)


def _means_panel(analysis: Analysis, kind: Measure) -> MeansPanel:
    own = [mean for mean in analysis.means if mean.kind is kind]
    order = analysis.query.states
    summaries = [one for one in analysis.summaries if one.vital is kind]
    ends = [end for one in summaries if (end := one.interval) is not None]
    values = [mean.mean for mean in own]
    low = min(*values, *(end.low for end in ends), values[0])
    high = max(*values, *(end.high for end in ends), values[0])
    step = _step(high - low, _PANEL_TICKS) if high > low else 1.0
    first, last = math.floor(low / step), math.ceil(high / step)
    last = max(last, first + 1)
    room = (PANEL_WIDTH - PANEL_LEFT) / len(order)
    foot = PANEL_HEIGHT - _PANEL_FOOT

    def up(value: float) -> float:
        share = (value / step - first) / (last - first)
        return round(foot - share * (foot - _PANEL_TOP), 1)

    def across(place: float) -> float:
        return round(PANEL_LEFT + (place + 0.4) * room, 1)

    by_person: dict[str, dict[str, float]] = {}
    for mean in own:
        by_person.setdefault(mean.participant, {})[mean.state] = mean.mean
    return MeansPanel(
        title=with_unit(vital_label(kind), kind.spec.unit_shown),
        people=tuple(
            " ".join(
                f"{across(place):g},{up(states[state]):g}"
                for place, state in enumerate(order)
                if state in states
            )
            for states in by_person.values()
        ),
        marks=tuple(
            MeanMark(
                x=across(place + 0.22),
                y=up(one.mean),
                low=None if one.interval is None else up(one.interval.low),
                high=None if one.interval is None else up(one.interval.high),
            )
            for place, one in enumerate(summaries)
            if one.mean is not None
        ),
        states=tuple((across(place), state_name(state)) for place, state in enumerate(order)),
        ticks=tuple(
            (up(n * step), number(n * step, _digits(step))) for n in range(first, last + 1)
        ),
    )


def _digits(step: float) -> int:
    return 0 if step >= 1 else 1 if step >= 0.1 else 2


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
