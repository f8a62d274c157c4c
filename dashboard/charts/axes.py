"""Axes of a picture: from values to places, and the round values that are written at them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.languages.figures import clock, day, general, percent
from edge_agent.core.clock import utc_at

DAY_MS = 86_400_000
_STEPS_S = (1, 2, 5, 10, 15, 30, *(60 * m for m in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720)))
_STEPS_D = (1, 2, 7, 14, 28, 91, 182, 365, 1825, 3650)
TIME_STEPS_MS = (*(1000 * s for s in _STEPS_S), *(DAY_MS * days for days in _STEPS_D))
"""Distances of times on an axis."""
_PADDING = 0.05  # beyond the least and the largest value, of the range
_USUAL_TICKS = 6


@dataclass(frozen=True, slots=True)
class Tick:
    """A value of an axis that is written.

    Attributes:
        value: where it is.
        lines: its text; a day below its time, or a name that is broken.
    """

    value: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """Turns the values of an axis into places.

    Attributes:
        low: value at the left or the foot.
        high: value at the right or the top.
        start: where ``low`` lies in the picture.
        end: where ``high`` lies.
        ticks: from the lowest.
        step: between ticks that were chosen here; 0 where they were given.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[Tick, ...] = ()
    step: float = 0.0

    def at(self, value: float) -> float:
        """Return the place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def within(self, value: float) -> float:
        """Return the place of a value, at an end of the axis where it lies beyond."""
        return self.at(min(self.high, max(self.low, value)))


def range_of(layout: Mapping[str, Any], values: Iterable[float]) -> tuple[float, float]:
    """Return the ends of an axis: those of its layout, else round about its values."""
    if "range" in layout:
        low, high = layout["range"]
        return float(low), float(high)
    known = [*values, *([0.0] if layout.get("rangemode") == "tozero" else [])] or [0.0, 1.0]
    low, high = min(known), max(known)
    room = _PADDING * (high - low) or 0.5
    return low - room, high + room


def with_minus(text: str) -> str:
    """Write a number with the true minus sign."""
    return text.replace("-", "−")


def ticks_of(
    layout: Mapping[str, Any], ends: tuple[float, float], most: float
) -> tuple[tuple[Tick, ...], float]:
    """Return what is written at an axis, and its step.

    Args:
        layout: of the axis: its own ticks, their number, or how they are written.
        ends: of the axis.
        most: how many have room.
    """
    if "tickvals" in layout:
        texts = (html.unescape(text) for text in layout["ticktext"])
        given = zip(layout["tickvals"], texts, strict=True)
        return tuple(Tick(value, tuple(text.split("<br>"))) for value, text in given), 0.0
    low, high = ends
    step = layout.get("dtick") or round_step(
        high - low, min(most, layout.get("nticks", _USUAL_TICKS))
    )
    write = percent if layout.get("tickformat") == ".0%" else general
    values = [
        round(number * step, 10)
        for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    return tuple(Tick(value, (with_minus(write(value)),)) for value in values), step


def round_step(span: float, most: float) -> float:
    """Return the least round distance that gives at most so many ticks."""
    wanted = span / max(2.0, most)
    power = 10.0 ** math.floor(math.log10(wanted))
    return float(next(power * f for f in (1, 2, 5, 10) if power * f >= wanted * (1 - 1e-9)))


def time_ticks(ends: tuple[float, float], most: float) -> tuple[tuple[Tick, ...], float]:
    """Return round times of an axis in UTC, and their step: days below the first time of each.

    A page's script puts those of the reader's zone in their place.
    """
    low, high = ends
    span = high - low
    step = next((one for one in TIME_STEPS_MS if span / one <= max(2.0, most)), TIME_STEPS_MS[-1])
    times = range(step * math.ceil(low / step), int(high) + 1, step)
    return tuple(_with_days(times, step)), float(step)


def _with_days(times: Sequence[int], step: int) -> Iterator[Tick]:
    before = ""
    for at_ms in times:
        at = utc_at(at_ms)
        on = day(at.date())
        time = () if step >= DAY_MS else (clock(at.time(), seconds=step < 60_000),)
        yield Tick(at_ms, (*time, *(() if on == before else (on,))))
        before = on
