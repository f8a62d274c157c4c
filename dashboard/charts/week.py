"""A person's week as shapes: a row a day over the recorded hours, the heart rate as a line on each.

Page, paper and letters draw the same shapes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo
from enum import StrEnum

from dashboard.charts.session import ChartBox, paths_of, share_bars
from edge_agent.timeline.read.base import Trend, VitalTrend

HEIGHT = 40.0
"""Height of a row. Its width is a unit a minute."""
STEP_MS = 15 * 60_000  # every zone's midnight is a multiple of it
_WAKING_H = (7, 22)
_LEAST_H = 4
_MINUTE_MS = 60_000
_HOUR = 60.0
_EDGE = 4.0
_LEAST_RATES = 20.0
_ROUND_RATE = 10.0
_COLUMN = 20.0
_GAP = 2.0
SPARKLINE_HEIGHT = 28.0

Point = tuple[float, float]


class DayKind(StrEnum):
    """Kinds of days: a day without a face is not one without a recording."""

    FACE = "face"
    NO_FACE = "no_face"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class DayInWords:
    """Words at a day.

    Attributes:
        day: which.
        start_ms: its first midnight, UTC milliseconds.
        end_ms: its last one.
        recorded: what there is of it.
        name: such as ``Sat 2026-11-21``.
        facts: how long the face was read, and the mean heart rate.
        sentence: the day in words, for who does not see its picture.
    """

    day: date
    start_ms: int
    end_ms: int
    recorded: DayKind
    name: str
    facts: str
    sentence: str


@dataclass(frozen=True, slots=True)
class DayShapes:
    """The picture of one day, of the picture's width and ``HEIGHT``.

    Attributes:
        words: what is written at it.
        bars: shares of expression, by step; ``name`` is that of the emotion, or ``uncertain``.
        open: times in sessions, which are hatched where no bar covers them.
        lines: pieces of the line of the heart rate.
    """

    words: DayInWords
    bars: tuple[ChartBox, ...] = ()
    open: tuple[ChartBox, ...] = ()
    lines: tuple[tuple[Point, ...], ...] = ()

    def shapes(self) -> dict[str, str]:
        """Return one SVG path for all bars of each name."""
        return paths_of(self.bars)

    def line(self) -> str:
        """Return the SVG path of the heart rate; empty without readings."""
        return line_path(self.lines)


@dataclass(frozen=True, slots=True)
class WeekPicture:
    """Seven days below one another.

    Attributes:
        hours: the first and the last hour of the day, such as 7 and 22.
        rates: heart rates near the foot and the top of a row, 1/min; ``None``: none was measured.
        days: in order.
    """

    hours: tuple[int, int]
    rates: tuple[float, float] | None
    days: tuple[DayShapes, ...]

    @property
    def width(self) -> float:
        """Width of a row: a unit a minute."""
        return (self.hours[1] - self.hours[0]) * _HOUR

    @property
    def names(self) -> set[str]:
        """The emotions that are drawn."""
        return {bar.name for one in self.days for bar in one.bars}

    def ticks(self) -> list[tuple[int, float]]:
        """Return hours from the first one on, with their places: every third, or more in a short
        day.
        """
        first, last = self.hours
        step = min(3, math.ceil((last - first) / 6))
        return [(hour, (hour - first) * _HOUR) for hour in range(first, last + 1, step)]


@dataclass(frozen=True, slots=True)
class _Place:
    """Turns times into places of rows."""

    zone: tzinfo | None
    hours: tuple[int, int] = (0, 24)

    def day(self, at_ms: float) -> date:
        return self._clock(at_ms).date()

    def x(self, at_ms: float) -> float:
        """Return the place in the row of a day, whatever lies outside of it."""
        at = self._clock(at_ms)
        return at.hour * _HOUR + at.minute + at.second / 60 - self.hours[0] * _HOUR

    def holds(self, at_ms: float) -> bool:
        """Tell whether a time lies in the row of its day."""
        return 0 <= self.x(at_ms) < (self.hours[1] - self.hours[0]) * _HOUR

    def cut(self, left: float, right: float) -> Point | None:
        """Return from where to where in the row; ``None``: nowhere."""
        width = (self.hours[1] - self.hours[0]) * _HOUR
        first, last = max(0.0, left), min(width, right)
        return (round(first, 1), round(last, 1)) if first < last else None

    def _clock(self, at_ms: float) -> datetime:
        # Without a zone, that of this machine.
        return datetime.fromtimestamp(at_ms / 1000, self.zone)


def line_path(pieces: Sequence[Sequence[Point]]) -> str:
    """Return the SVG path of the pieces of a line."""
    # A piece of one point has no length; with round ends it is drawn as a dot.
    return "".join(
        f"M{piece[0][0]:g} {piece[0][1]:g}"
        + "".join(f"L{x:g} {y:g}" for x, y in piece[1:] or piece)
        for piece in pieces
    )


def week_picture(
    days: Sequence[DayInWords],
    trend: Trend,
    rate: VitalTrend | None,
    spans: Sequence[tuple[int, int]],
    zone: tzinfo | None,
    hours: tuple[int, int] | None = None,
) -> WeekPicture:
    """Return the picture of some days.

    Args:
        days: in order.
        trend: expressions over them, in buckets of a quarter of an hour.
        rate: heart rate over them, in the same; ``None``: not measured.
        spans: times in sessions.
        zone: whose clock divides the days; ``None``: that of this machine.
        hours: the first and the last of the day; ``None``: those of ``drawn_hours``.
    """
    hours = hours or drawn_hours([(trend, spans)], zone)
    place = _Place(zone, hours)
    rates = None if rate is None else _rates(rate, place)
    bars = list(_bars(trend, place))
    lines = [] if rate is None or rates is None else list(_lines(rate, place, rates))
    return WeekPicture(
        hours,
        rates,
        tuple(
            DayShapes(
                one,
                bars=tuple(bar for on, bar in bars if on == one.day),
                open=tuple(_open(place, spans, one.start_ms, one.end_ms)),
                lines=tuple(piece for on, piece in lines if on == one.day),
            )
            for one in days
        ),
    )


def drawn_hours(
    weeks: Iterable[tuple[Trend, Sequence[tuple[int, int]]]], zone: tzinfo | None
) -> tuple[int, int]:
    """Return the first and the last hour of the day that pictures of weeks draw: all with a face,
    and those by day that lie in a session; the usual ones where there is neither.

    Args:
        weeks: of each its expressions, in buckets, and its times in sessions.
        zone: whose clock divides the days; ``None``: that of this machine.
    """
    place = _Place(zone)
    recorded = [
        (place.x(start) / _HOUR, trend.bucket_ms / _MINUTE_MS / _HOUR)
        for trend, spans in weeks
        for start, rows in zip(trend.starts, trend.rows, strict=True)
        if rows
        or (
            _WAKING_H[0] <= place.x(start) / _HOUR < _WAKING_H[1]
            and any(first < start + trend.bucket_ms and last > start for first, last in spans)
        )
    ]
    if not recorded:
        return _WAKING_H
    first = math.floor(min(hour for hour, _ in recorded))
    last = min(24, math.ceil(max(hour + length for hour, length in recorded)))
    # A single hour over the whole width would look like a day.
    missing = max(0, _LEAST_H - (last - first))
    first = max(0, min(first - missing // 2, 24 - _LEAST_H))
    return first, max(last, first + _LEAST_H)


def _bars(trend: Trend, place: _Place) -> Iterator[tuple[date, ChartBox]]:
    """Yield the shares of each bucket with its day."""
    for bar in share_bars(trend, lambda at_ms: at_ms, 0.0, HEIGHT):
        left = place.x(bar.x)
        cut = place.cut(left, left + trend.bucket_ms / _MINUTE_MS)
        if cut is not None:
            yield place.day(bar.x), replace(bar, x=cut[0], width=round(cut[1] - cut[0], 1))


def _rates(rate: VitalTrend, place: _Place) -> tuple[float, float] | None:
    """Return round heart rates below and above all that are drawn, not too close to each other."""
    known = [
        value
        for start, value in zip(rate.starts, rate.mean, strict=True)
        if value is not None and place.holds(start + rate.bucket_ms / 2)
    ]
    if not known:
        return None
    low = math.floor(min(known) / _ROUND_RATE) * _ROUND_RATE
    high = math.ceil(max(known) / _ROUND_RATE) * _ROUND_RATE
    return low, max(high, low + _LEAST_RATES)


def _lines(
    rate: VitalTrend, place: _Place, rates: tuple[float, float]
) -> Iterator[tuple[date, tuple[Point, ...]]]:
    """Yield the pieces of the line with their day; it breaks where nothing was measured."""
    low, high = rates
    piece: list[Point] = []
    before, on = -math.inf, None
    for start, value in zip(rate.starts, rate.mean, strict=True):
        middle = start + rate.bucket_ms / 2
        if value is None or not place.holds(middle):
            continue
        if (
            piece
            and on is not None
            and (place.day(middle) != on or start - before > 2 * rate.bucket_ms)
        ):
            yield on, tuple(piece)
            piece = []
        y = HEIGHT - _EDGE - (HEIGHT - 2 * _EDGE) * (value - low) / (high - low)
        piece.append((round(place.x(middle), 1), round(y, 1)))
        before, on = start, place.day(middle)
    if piece and on is not None:
        yield on, tuple(piece)


def _open(
    place: _Place, spans: Sequence[tuple[int, int]], start: int, end: int
) -> Iterator[ChartBox]:
    """Yield the times of a day in sessions."""
    for first, last in spans:
        if first < end and last > start:
            left = place.x(max(first, start))
            # By its length: the end of a day is midnight, and the next day's beginning.
            cut = place.cut(left, left + (min(last, end) - max(first, start)) / _MINUTE_MS)
            if cut is not None:
                yield ChartBox(cut[0], 0.0, round(cut[1] - cut[0], 1), HEIGHT, "open")


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A week in a line of text: a column a day, and the heart rate from day to day.

    Attributes:
        width: of the picture.
        bars: shares of expression by day.
        open: columns of days in sessions without a face.
        lines: the means of the heart rate, in pieces.
    """

    width: float
    bars: tuple[ChartBox, ...]
    open: tuple[ChartBox, ...]
    lines: tuple[tuple[Point, ...], ...]

    def shapes(self) -> dict[str, str]:
        """Return one SVG path for all bars of each name."""
        return paths_of(self.bars)

    def line(self) -> str:
        """Return the SVG path of the heart rate; empty without readings."""
        return line_path(self.lines)


@dataclass(frozen=True, slots=True)
class SparklineDay:
    """A day of a sparkline.

    Attributes:
        shown_ms: how long the face showed each emotion, and ``uncertain``.
        is_recorded: whether anything was recorded.
        rate: mean heart rate, 1/min; ``None``: not measured.
    """

    shown_ms: Mapping[str, int]
    is_recorded: bool
    rate: float | None


def week_sparkline(days: Sequence[SparklineDay]) -> Sparkline:
    """Return the sparkline of some days, in order."""
    bars: list[ChartBox] = []
    unseen: list[ChartBox] = []
    for number, one in enumerate(days):
        left = _COLUMN * number + _GAP / 2
        foot = SPARKLINE_HEIGHT
        whole = sum(one.shown_ms.values())
        for name, ms in one.shown_ms.items():
            height = round(SPARKLINE_HEIGHT * ms / whole, 1) if whole else 0.0
            if height > 0:
                foot -= height
                bars.append(ChartBox(left, round(max(0.0, foot), 1), _COLUMN - _GAP, height, name))
        if not whole and one.is_recorded:
            unseen.append(ChartBox(left, 0.0, _COLUMN - _GAP, SPARKLINE_HEIGHT, "open"))
    return Sparkline(_COLUMN * len(days), tuple(bars), tuple(unseen), tuple(_day_means(days)))


def _day_means(days: Sequence[SparklineDay]) -> Iterator[tuple[Point, ...]]:
    """Yield the line of the heart rate; a day without one breaks it."""
    known = [one.rate for one in days if one.rate is not None]
    if not known:
        return
    middle = (min(known) + max(known)) / 2
    half = max(_LEAST_RATES, max(known) - min(known)) / 2
    piece: list[Point] = []
    for number, one in enumerate(days):
        if one.rate is not None:
            share = (one.rate - middle + half) / (2 * half)
            y = SPARKLINE_HEIGHT - _EDGE - (SPARKLINE_HEIGHT - 2 * _EDGE) * share
            piece.append((_COLUMN * (number + 0.5), round(y, 1)))
        elif piece:
            yield tuple(piece)
            piece = []
    if piece:
        yield tuple(piece)
