"""The ranges of time around one that is shown, and how two ranges differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dashboard.charts.trends import TrendData, named_shares, weighted_mean
from dashboard.languages.current import N_, gettext
from dashboard.languages.figures import decimal, with_sign
from dashboard.languages.names import translate, unit_of, vital_short
from edge_agent.core.expression import EMOTIONS
from edge_agent.timeline.read.base import VitalTrend

_DAY_MS = 24 * 3_600_000
_SHORTEST_MS = 60_000
_LONGEST_MS = 100 * 366 * _DAY_MS


@dataclass(frozen=True, slots=True)
class RangeStep:
    """Another range.

    Attributes:
        title: what it is called.
        start_ms: its start, UTC.
        end_ms: its end.
    """

    title: str
    start_ms: int
    end_ms: int


def steps_from(start_ms: int, end_ms: int, now_ms: int) -> tuple[RangeStep, ...]:
    """Return the ranges before and after, half as long and twice as long.

    None begins before 1970 or after now, and none grows beyond now.
    """
    length = end_ms - start_ms
    steps = [
        RangeStep(N_("Earlier"), start_ms - length, start_ms),
        RangeStep(N_("Later"), end_ms, end_ms + length),
    ]
    if length >= 2 * _SHORTEST_MS:
        steps.append(RangeStep(N_("Zoom in"), start_ms + length // 4, end_ms - length // 4))
    if 2 * length <= _LONGEST_MS:
        # It grows to both sides, but not beyond now; what is cut off there is added before.
        end = max(end_ms, min(end_ms + length // 2, now_ms))
        steps.append(RangeStep(N_("Zoom out"), end - 2 * length, end))
    return tuple(step for step in steps if 0 <= step.start_ms < min(step.end_ms, now_ms))


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One figure in two ranges, as text; empty where there is nothing.

    Attributes:
        name: what it is, with its unit.
        here: in the range that is shown.
        there: in the one beside it.
        difference: the first minus the second.
    """

    name: str
    here: str
    there: str
    difference: str


def compared_rows(here: TrendData, there: TrendData) -> tuple[ComparedRow, ...]:
    """Return shares of expressions and means of vitals in both ranges, where either has any."""
    return (*_shares(here, there), *_vitals(here, there))


def _shares(here: TrendData, there: TrendData) -> Iterator[ComparedRow]:
    for name in (*(emotion.value for emotion in EMOTIONS), "uncertain"):
        first = _share(here, name)
        second = _share(there, name)
        if first or second:
            scaled = [None if share is None else 100 * share for share in (first, second)]
            label = gettext("{emotion}, share of face readings").format(emotion=translate(name))
            yield _row(f"{label}, %", scaled[0], scaled[1], 0)


def _vitals(here: TrendData, there: TrendData) -> Iterator[ComparedRow]:
    drawn = dict.fromkeys((*here.drawn_kinds(), *there.drawn_kinds()))
    for kind in drawn:
        first = _mean(here.vitals.get(kind))
        second = _mean(there.vitals.get(kind))
        if first is not None or second is not None:
            name = f"{vital_short(kind)}, {unit_of(kind)}"
            yield _row(name, first, second, max(1, kind.spec.decimals))


def _row(name: str, here: float | None, there: float | None, digits: int) -> ComparedRow:
    difference = ""
    if here is not None and there is not None:
        difference = with_sign(here - there, digits)
    return ComparedRow(name, _text(here, digits), _text(there, digits), difference)


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else decimal(value, digits)


def _share(data: TrendData, name: str) -> float | None:
    """Return the share of all rows of the range; ``None`` without any."""
    return weighted_mean(named_shares(data.trend)[name], data.trend.rows)


def _mean(vital: VitalTrend | None) -> float | None:
    """Return the mean of all usable readings of the range."""
    return None if vital is None else weighted_mean(vital.mean, vital.n)
