"""Heart rates that are far from their neighbours: twice or half as high, or a jump and back.

Straps and optical sensors now and then count a wave twice or miss every second beat, and say so in
a reading or a few. Such a reading gets the flag ``artefact``: it is kept, and enters no mean.

A reading is far from a neighbour if one is more than a factor times the other. The factor is 1.2 at
once, as between beats (Xu & Schuckers 2001), and rises to 1.63 within 4 s: by so much deep breath
and sudden exercise shorten single intervals in that time in the most agile group of people, those
of 18 to 30 years (median; Araújo et al. 2015), while a reading is a mean over several beats.

Neighbours vote, as in the box filter for heart rates (Signer et al. 2010): more than half of the
seven next ones on each side, within 15 s, must find the reading too high, or on each side too low.
So a rise, however steep, and a change of level are no artefacts. At the ends of a stretch, and
live, there is one side alone: it decides from three neighbours on.

Sources: Xu & Schuckers 2001, Journal of Electrocardiology 34 Suppl.:205-210; Araújo, Castro, Franca
& Ramos 2015, 4-Second Exercise Test: Reference Values for Ages 18-81 Years, Arquivos Brasileiros de
Cardiologia; Signer, Ruf, Schober, Fluch, Paumann & Arnold 2010, Methods in Ecology and Evolution
1:75-85.

Example:
    >>> list(artefacts((1000 * second, 120 if second == 5 else 60) for second in range(10)))
    [5000]
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from edge_agent.core.readings import DOUBTFUL, VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind

KIND = VitalKind.HEART_RATE
REACH_MS = 15_000
"""Readings farther apart in time say nothing of each other."""
_NEIGHBOURS = 7  # at 1 Hz a wrong stretch of up to four readings is outvoted
_ALONE = 3  # fewest neighbours that decide where the other side has none
_AT_ONCE = 1.2
_LATER = 1.63
_LATER_MS = 4_000
_BLOCK = 64
_OTHER_DOUBTS = DOUBTFUL - {VitalFlag.ARTEFACT}

TimedValue = tuple[int, float]
"""Time in UTC milliseconds, and heart rate in 1/min."""


def is_judged(kind: VitalKind, flags: frozenset[VitalFlag]) -> bool:
    """Tell whether a reading is judged and judges others: a heart rate without another doubt."""
    return kind is KIND and not flags & _OTHER_DOUBTS


def artefacts(readings: Iterable[TimedValue]) -> Iterator[int]:
    """Yield the times of the readings that are far from their neighbours.

    Args:
        readings: of one source, in the order of time; any number, some at a time are in memory.
    """
    rows = iter(readings)
    window: list[TimedValue] = []
    first = 0  # the place in the window of the first reading that is not judged yet
    is_end = False
    while not is_end:
        more = list(islice(rows, _BLOCK))
        window += more
        is_end = len(more) < _BLOCK
        end = len(window) if is_end else len(window) - _NEIGHBOURS
        values = [value for _, value in window]
        # Nearly all of the time all readings of a minute are close to each other.
        if window and max(values) > _AT_ONCE * min(values):
            yield from (window[place][0] for place in range(first, end) if _is_far(window, place))
        kept = max(0, end - _NEIGHBOURS)
        window = window[kept:]
        first = end - kept


def _is_far(window: Sequence[TimedValue], place: int) -> bool:
    before, says = _verdict(window[max(0, place - _NEIGHBOURS) : place], window[place])
    if before and not says:
        return False
    after, says_too = _verdict(window[place + 1 : place + 1 + _NEIGHBOURS], window[place])
    if before and after:
        return says == says_too
    return before + after >= _ALONE and says + says_too != 0


def _verdict(neighbours: Iterable[TimedValue], reading: TimedValue) -> tuple[int, int]:
    """Return the number of neighbours within reach, and what more than half of them say.

    1: the reading is too high; -1: too low; 0: neither.
    """
    at, value = reading
    count = high = low = 0
    for time, other in neighbours:
        apart = abs(at - time)
        if apart <= REACH_MS:
            factor = _AT_ONCE + (_LATER - _AT_ONCE) * min(1.0, apart / _LATER_MS)
            count += 1
            high += value > factor * other
            low += other > factor * value
    return count, (2 * high > count) - (2 * low > count)


class LiveArtefacts:
    """Flags readings as they come, by those before them; may be called from several threads.

    What will follow is not known, so that the first four or so readings after a sudden change of
    level are flagged. The timeline judges them anew with what followed.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: dict[str, deque[TimedValue]] = {}

    def flag(self, reading: VitalReading) -> VitalReading:
        """Return a reading, flagged ``artefact`` if it is far from those before it."""
        if not is_judged(reading.kind, reading.flags):
            return reading
        now = (reading.at.wall_ms, reading.value)
        with self._lock:
            if reading.source not in self._recent:
                self._forget(now[0])
            recent = self._recent.setdefault(reading.source, deque(maxlen=_NEIGHBOURS))
            count, says = _verdict(recent, now)
            recent.append(now)
        is_far = count >= _ALONE and says != 0
        return reading.with_flag(VitalFlag.ARTEFACT) if is_far else reading

    def _forget(self, now_ms: int) -> None:
        """Forget sources that have fallen silent: a sender may name ever new ones."""
        self._recent = {
            source: recent
            for source, recent in self._recent.items()
            if abs(recent[-1][0] - now_ms) <= REACH_MS
        }
