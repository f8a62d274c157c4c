"""Readings that share a time: beats that came in one packet, measurements of one minute. Pure.

A strap stamps a packet of intervals once, a cuff knows only the minute. The timeline keeps one
reading of a kind, source and millisecond; without a time of its own the second one would be lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from edge_agent.core.clock import Instant
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import PRESSURES, VitalKind

MOST_OF_ONE_TIME = 1000
"""Readings of a kind and source that can share a time; a sender with more has no clock."""


class BeatTimes:
    """Spreads the intervals between beats of one packet: the last ended at the time of the packet,
    each one before it by the following ones earlier.

    An interval never comes before one that stood above it: where a packet says more than passed
    since the one before, its intervals move together.

    Example:
        >>> at = Instant(0, 1_700_000_000_000)
        >>> packet = [VitalReading(at, VitalKind.RR_INTERVAL, s, "strap") for s in (0.9, 0.8)]
        >>> [beat.at.wall_ms - at.wall_ms for beat in BeatTimes().spread(packet)]
        [-800, 0]
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def spread(self, readings: Sequence[VitalReading]) -> list[VitalReading]:
        """Return readings of one time, all others than intervals as they are."""
        at_ms: dict[int, int] = {}
        next_of: dict[str, VitalReading] = {}
        for place in range(len(readings) - 1, -1, -1):
            reading = readings[place]
            if reading.kind is VitalKind.RR_INTERVAL:
                at_ms[place] = reading.at.wall_ms
                if later := next_of.get(reading.source):
                    at_ms[place] = later.at.wall_ms - _length_ms(later)
                next_of[reading.source] = _at(reading, at_ms[place])
        spread = list(readings)
        for place in sorted(at_ms):
            reading = readings[place]
            last = self._last.get(reading.source)
            if last is not None and last <= reading.at.wall_ms:  # else the newest come first
                at_ms[place] = max(at_ms[place], last + 1)
            spread[place] = _at(reading, at_ms[place])
            self._last[reading.source] = at_ms[place]
        return spread

    def spread_all(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Spread readings of many times; those of one packet follow each other."""
        for _, together in groupby(readings, key=lambda reading: reading.at.wall_ms):
            yield from self.spread(list(together))


def measurements(readings: Sequence[VitalReading]) -> list[list[int]]:
    """Return the places of the readings that were measured together, of readings of one time.

    The pressures of a source that a cuff gave at once belong together: the first systolic and the
    first diastolic, then the second ones. Any other reading stands for itself.
    """
    count: defaultdict[tuple[str, VitalKind], int] = defaultdict(int)
    together: dict[object, list[int]] = {}
    for place, reading in enumerate(readings):
        key: object = place
        if reading.kind in PRESSURES:
            key = (reading.source, count[reading.source, reading.kind])
            count[reading.source, reading.kind] += 1
        together.setdefault(key, []).append(place)
    return list(together.values())


def placed(
    readings: Iterable[VitalReading], there: Callable[[VitalReading], float | None]
) -> Iterator[tuple[VitalReading, bool]]:
    """Give a reading whose time another one of its kind and source has, with another value, the
    next free millisecond.

    Args:
        readings: those of one measurement follow each other.
        there: returns the value that is kept of a reading's kind, source and time; ``None``:
            there is none. Asked again after what was given before has been kept.

    Returns:
        Each reading and whether it is new: else it is kept already, with the same value.
    """
    for _, group in groupby(readings, key=lambda reading: reading.at.wall_ms):
        together = list(group)
        done: dict[int, tuple[VitalReading, bool]] = {}
        own: dict[tuple[str, VitalKind, int], float] = {}
        for places in measurements(together):
            for later_ms in range(MOST_OF_ONE_TIME):
                moved = [
                    _at(one, one.at.wall_ms + later_ms) for one in map(together.__getitem__, places)
                ]
                keys = [(one.source, one.kind, one.at.wall_ms) for one in moved]
                kept_values = [
                    own[key] if key in own else there(one)
                    for key, one in zip(keys, moved, strict=True)
                ]
                if all(
                    value in {None, one.value}
                    for value, one in zip(kept_values, moved, strict=True)
                ):
                    break
            own |= {key: one.value for key, one in zip(keys, moved, strict=True)}
            done |= {
                place: (one, value is None)
                for place, one, value in zip(places, moved, kept_values, strict=True)
            }
        yield from (done[place] for place in range(len(together)))


def _length_ms(interval: VitalReading) -> int:
    """Return how long an interval lasted; one that cannot be moves others by no more than one that
    can.
    """
    _, longest = interval.kind.plausible
    return max(1, round(1000 * min(max(interval.value, 0.0), longest)))


def _at(reading: VitalReading, wall_ms: int) -> VitalReading:
    """Return a reading with another time; a boot clock that is not known stays so."""
    moved_ms = wall_ms - reading.at.wall_ms
    if not moved_ms:
        return reading
    boot_ms = reading.at.boot_ms and reading.at.boot_ms + moved_ms
    return replace(reading, at=Instant(boot_ms, wall_ms))
