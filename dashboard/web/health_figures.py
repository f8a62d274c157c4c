"""The last day of the appliance as four lines, each over a strip whose colour says how bad it was.

>>> figures = health_figures(health_minutes(path, end - DAY_MS, end), end)
>>> [(one.title, one.latest) for one in figures]
[('Frames per second', '15.0'), ('Processor', '52 °C'), …]

Heat and disk are doubtful or bad from the figures of the agent's alarms on (``AlertLimits``).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dashboard.languages.current import N_, gettext
from dashboard.languages.figures import between, decimal, duration, percent
from dashboard.languages.names import translate
from edge_agent.timeline.upkeep.health_history import DAY_MS, HealthMinute

HOT_CELSIUS = 78.0
WARM_CELSIUS = 70.0
FULL_BYTES = 500_000_000
LITTLE_BYTES = 1_000_000_000
"""The same as on Live, before a session."""
SLOW_SHARE = 0.75
"""Of the day's usual frame rate; a camera with less does not give what it gave."""
STUCK_SHARE = 0.25
LOST_SHARE = 0.1
"""Of the frames of a minute, skipped because the one before was still being read."""
MANY_LOST_SHARE = 0.5


BUCKET_MS = 600_000
BUCKETS = DAY_MS // BUCKET_MS
HEIGHT = 40
_TOP = 4
_FOOT = 30
_STRIP = (33, 7)  # top and height of the coloured strip
_MINUTE = 60


class FigureState(IntEnum):
    """The state of a figure: good, doubtful or bad; the larger, the worse."""

    GOOD = 0
    DOUBTFUL = 1
    BAD = 2


@dataclass(frozen=True, slots=True)
class HealthFigure:
    """One figure over the last day, in a picture of ``BUCKETS`` by ``HEIGHT``.

    Attributes:
        title: what it is.
        latest: the newest value with its unit; a dash where there is none.
        range: least and most of the day in words; empty where nothing is known.
        trouble: for how long it was not good, in words; empty where it always was.
        line: the ``d`` of an SVG path through the means of ten minutes each.
        strips: state → the ``d`` of an SVG path over the times that were so.
        worst: the worst state of the day.
    """

    title: str
    latest: str
    range: str
    trouble: str
    line: str
    strips: dict[str, str]
    worst: FigureState


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of figure: how its value is read, written and judged."""

    title: str
    value: Callable[[HealthMinute], float | None]
    text: Callable[[float], str]
    state: Callable[[float, float], FigureState]
    """Judge a value beside the usual one of the day (its median)."""
    words: tuple[str, str]
    """What it is while it is doubtful, and while it is bad."""


def health_figures(minutes: Sequence[HealthMinute], end_ms: int) -> list[HealthFigure]:
    """Return the figures of the day before ``end_ms``, from its reports of each minute.

    A figure of which nothing is known is left out.
    """
    figures = (_figure(kind, minutes, end_ms) for kind in _KINDS)
    return [figure for figure in figures if figure is not None]


def _figure(kind: _Kind, minutes: Sequence[HealthMinute], end_ms: int) -> HealthFigure | None:
    known = [(one.at_ms, value) for one in minutes if (value := kind.value(one)) is not None]
    if not known:
        return None
    values = [value for _, value in known]
    # The median: hours of trouble must not make the trouble the usual.
    usual = statistics.median(values)
    buckets: dict[int, list[float]] = {}
    for at_ms, value in known:
        # Counted back from the end, so that the newest bucket is a whole one.
        buckets.setdefault(BUCKETS - 1 - (end_ms - 1 - at_ms) // BUCKET_MS, []).append(value)
    means = {place: statistics.fmean(of) for place, of in buckets.items() if place >= 0}
    # The worst minute colours a bucket; a mean would hide a short spell.
    states = {place: max(kind.state(value, usual) for value in buckets[place]) for place in means}
    judged = [kind.state(value, usual) for value in values]
    latest = kind.value(minutes[-1])
    return HealthFigure(
        title=translate(kind.title),
        latest="–" if latest is None else kind.text(latest),
        range=between(kind.text(min(values)), kind.text(max(values))),
        trouble=_trouble(kind, judged),
        line=_line(means),
        strips={
            state.name.lower(): _strip([place for place in states if states[place] is state])
            for state in FigureState
            if state in states.values()
        },
        worst=max(judged),
    )


def _trouble(kind: _Kind, judged: Sequence[FigureState]) -> str:
    """Say for how many minutes the figure was not good."""
    parts = []
    # The worse state first; ``words`` has them the other way round.
    for state, words in zip(
        (FigureState.BAD, FigureState.DOUBTFUL), reversed(kind.words), strict=True
    ):
        minutes = judged.count(state)
        if minutes:
            time = duration(1000 * _MINUTE * minutes)
            text = gettext("{trouble} for {time}")
            parts.append(text.format(trouble=translate(words), time=time))
    return ", ".join(parts)


def _line(means: dict[int, float]) -> str:
    """Draw a line through the means; it breaks where nothing is known."""
    least = min(means.values())
    room = max(means.values()) - least
    parts = []
    for run in _runs(sorted(means)):
        points = []
        for place in run:
            # All values are equal: a line in the middle, neither at the top nor at the foot.
            share = 0.5 if room == 0 else (means[place] - least) / room
            points.append(f"{place + 0.5:g} {_FOOT - share * (_FOOT - _TOP):.1f}")
        parts.append("M" + "L".join(points))
        # A path of one point draws nothing, a tiny stroke draws a dot.
        if len(run) == 1:
            parts.append("h.01")
    return "".join(parts)


def _strip(places: Sequence[int]) -> str:
    top, height = _STRIP
    return "".join(
        f"M{run[0]} {top}h{len(run)}v{height}h-{len(run)}z" for run in _runs(sorted(places))
    )


def _runs(places: Sequence[int]) -> Iterator[list[int]]:
    """Yield runs of places that follow each other."""
    run: list[int] = []
    for place in places:
        if run and place != run[-1] + 1:
            yield run
            run = []
        run.append(place)
    if run:
        yield run


def _state(doubtful: bool, bad: bool) -> FigureState:
    if bad:
        return FigureState.BAD
    if doubtful:
        return FigureState.DOUBTFUL
    return FigureState.GOOD


def _lost_share(minute: HealthMinute) -> float | None:
    """Return which share of the frames of a minute was lost."""
    if minute.fps is None:
        return None
    taken = minute.fps * _MINUTE
    if not taken + minute.frames_dropped:
        return 0.0
    return minute.frames_dropped / (taken + minute.frames_dropped)


def _free(minute: HealthMinute) -> float | None:
    if minute.disk_free is None:
        return None
    return float(minute.disk_free)


_KINDS = (
    _Kind(
        N_("Frames per second"),
        lambda minute: minute.fps,
        lambda value: decimal(value, 1),
        lambda value, usual: _state(value < SLOW_SHARE * usual, value <= STUCK_SHARE * usual),
        (N_("below three quarters of the usual"), N_("below a quarter of the usual")),
    ),
    _Kind(
        N_("Frames lost"),
        _lost_share,
        percent,
        lambda value, _usual: _state(value >= LOST_SHARE, value >= MANY_LOST_SHARE),
        (N_("a tenth or more lost"), N_("half or more lost")),
    ),
    _Kind(
        N_("Processor"),
        lambda minute: minute.celsius,
        lambda value: f"{decimal(value, 0)} °C",
        lambda value, _usual: _state(value >= WARM_CELSIUS, value >= HOT_CELSIUS),
        (N_("warm"), N_("too hot")),
    ),
    _Kind(
        N_("Disk free"),
        _free,
        lambda value: f"{decimal(value / 1e9, 1)} GB",
        lambda value, _usual: _state(value < LITTLE_BYTES, value < FULL_BYTES),
        (N_("little space left"), N_("nearly full")),
    ),
)
