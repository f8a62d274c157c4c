"""Beats of a Polar sensor, from one source at each time: its measurement protocol where that gives
good ones, else the intervals of its heart-rate service.

A strap that sends an electrocardiogram also sends intervals that it has found itself. An interval
of the service waits until the electrocardiogram has had the time to find the same beats. It is
dropped if a good one covers its middle, else recorded. So no beat is there twice, and none is lost
while the electrocardiogram cannot be read. Where the strap's own intervals are half or twice those
found here, one of the two misses beats or counts others: those found here are in doubt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from statistics import median

from edge_agent.core.clock import Instant
from edge_agent.core.electrocardiogram import ECG_ERROR_S, ECG_HZ, EcgStretch
from edge_agent.core.readings import VitalFlag
from edge_agent.vitals import polar
from edge_agent.vitals.ecg import BeatDetector
from edge_agent.vitals.polar import PolarFrame, PolarMeasurement, PulseInterval

WAIT_S = 4.0
"""Seconds for which an interval of the service waits: the detector decides after 0.9 s, the frames
of an electrocardiogram last 0.6 s, and Bluetooth may be late."""
LONGEST_S = 2.4
"""Between two beats that are further apart, one is missing (the longest plausible interval)."""
KEPT_SAMPLES = 1300
"""Samples of a stretch of a kept electrocardiogram: ten seconds. A power cut costs so much."""
_LATENCY_S = 60.0
"""Time over which the least delay of a frame tells how the sensor's clock stands with ours."""
_COMPARED = 5
"""Latest intervals of each way whose medians are compared."""
_LEAST_COMPARED = 3
_UNLIKE = 1.5
"""Ratio of two medians from which on they do not count the same beats."""
_RECENT_S = 15.0
"""Intervals of the service from earlier say nothing of those now."""
_RATE_TOLERANCE = 0.05
"""A frame whose samples last longer than nominal by this share, and by a sample, follows a loss."""


@dataclass(frozen=True, slots=True)
class BeatInterval:
    """An interval between two beats.

    Attributes:
        ended: when it ended.
        seconds: its length.
        error_s: expected absolute error; ``None``: the sensor states none.
        flags: of the reading.
    """

    ended: Instant
    seconds: float
    error_s: float | None = None
    flags: frozenset[VitalFlag] = frozenset()

    @property
    def middle_ms(self) -> float:
        """Its middle, by the boot clock."""
        return self.ended.boot_ms - 500 * self.seconds

    def covers(self, boot_ms: float) -> bool:
        """Tell whether a moment lies within it."""
        return self.ended.boot_ms - 1000 * self.seconds <= boot_ms < self.ended.boot_ms


class SensorClock:
    """Places times of a sensor's clock on ours, by the frame that was least late."""

    def __init__(self) -> None:
        self._delays: deque[tuple[int, float]] = deque()

    def hear(self, time_s: float, arrived: Instant) -> None:
        """Record that a frame whose last sample was at ``time_s`` arrived."""
        delay = arrived.boot_ms / 1000 - time_s
        # Only what can still become the least of the last minute is kept, the least one first.
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((arrived.boot_ms, delay))
        while arrived.boot_ms - self._delays[0][0] > 1000 * _LATENCY_S:
            self._delays.popleft()

    def instant(self, time_s: float, arrived: Instant) -> Instant:
        """Return a time of the sensor on our clocks, never later than ``arrived``."""
        boot_s = time_s + self._delays[0][1]
        return arrived.shift(min(0.0, boot_s - arrived.boot_ms / 1000))


class EcgKeeper:
    """Gathers the frames of an electrocardiogram into stretches that are recorded as they came.

    Args:
        source: of the sensor.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._clock = SensorClock()
        self._samples: list[int] = []
        self._began_s = self._ended_s = 0.0

    def add(self, frame: PolarFrame, at: Instant) -> list[EcgStretch]:
        """Add a frame that arrived now; return what is whole with it."""
        samples = polar.decode_ecg(frame)
        if not samples:
            return []
        nominal_s = len(samples) / ECG_HZ
        end_s = self._ended_s + nominal_s if frame.time_s is None else frame.time_s
        late_s = end_s - self._ended_s - nominal_s
        done: list[EcgStretch] = []
        if not self._samples or abs(late_s) > most_late_s(nominal_s):
            done = self.rest(at)
            if late_s < -nominal_s:  # the sensor's clock was set back
                self._clock = SensorClock()
            self._began_s = end_s - nominal_s
        self._clock.hear(end_s, at)
        self._samples += samples
        self._ended_s = end_s
        if len(self._samples) >= KEPT_SAMPLES:
            done += self.rest(at)
        return done

    def rest(self, at: Instant) -> list[EcgStretch]:
        """Return the samples that wait for others; ``at`` is now."""
        if not self._samples:
            return []
        ended = self._clock.instant(self._ended_s, at)
        lasted_s = self._ended_s - self._began_s
        stretch = EcgStretch(ended, self._source, lasted_s, tuple(self._samples))
        self._samples, self._began_s = [], self._ended_s
        return [stretch]


def most_late_s(nominal_s: float, hz: float = ECG_HZ) -> float:
    """Return by how much more than nominal a frame lasts at most if no sample is lost before it."""
    return _RATE_TOLERANCE * nominal_s + 1 / hz


class EcgBeats:
    """Makes intervals of the frames of an electrocardiogram."""

    def __init__(self) -> None:
        self._detector = BeatDetector(ECG_HZ)
        self._clock = SensorClock()
        self._last_s: float | None = None
        self._beat: tuple[float, bool] | None = None

    def add(self, frame: PolarFrame, at: Instant) -> list[BeatInterval]:
        """Return the good intervals that are decided with a frame that arrived now."""
        samples = polar.decode_ecg(frame)
        if not samples:
            return []
        times = self._times(frame, len(samples))
        self._last_s = times[-1]
        self._clock.hear(self._last_s, at)
        intervals: list[BeatInterval] = []
        for beat in self._detector.add(samples, times):
            before, self._beat = self._beat, (beat.at_s, beat.good)
            if before is None or not (before[1] and beat.good):
                continue
            seconds = beat.at_s - before[0]
            if seconds <= LONGEST_S:
                ended = self._clock.instant(beat.at_s, at)
                intervals.append(BeatInterval(ended, seconds, ECG_ERROR_S))
        return intervals

    def _times(self, frame: PolarFrame, count: int) -> list[float]:
        """Return the times of the samples; begin anew if some are missing before them."""
        nominal_s = count / ECG_HZ
        last_s, step_s = self._last_s, 1 / ECG_HZ
        if frame.time_s is None:
            end_s = (last_s or 0.0) + nominal_s
        else:
            end_s = frame.time_s
            lasted_s = nominal_s if last_s is None else end_s - last_s
            if abs(lasted_s - nominal_s) > most_late_s(nominal_s):
                self._detector.begin_anew()
                self._beat = None
                if lasted_s < 0:  # the sensor's clock was set back
                    self._detector, self._clock = BeatDetector(ECG_HZ), SensorClock()
            elif last_s is not None:
                step_s = lasted_s / count
        return [end_s - step_s * left for left in range(count - 1, -1, -1)]


class BeatChoice:
    """Chooses which intervals of a sensor with Polar's protocol are recorded in one connection.

    Attributes:
        contact: whether the sensor touches the skin, as it said last; ``None``: it did not.
    """

    def __init__(self) -> None:
        self._ecg = EcgBeats()
        self._waiting: deque[BeatInterval] = deque()
        self._covered: deque[BeatInterval] = deque(maxlen=32)
        self._served: deque[BeatInterval] = deque(maxlen=_COMPARED)
        self._lengths: deque[float] = deque(maxlen=_COMPARED)
        self.contact: bool | None = None

    def hear_contact(self, contact: bool | None) -> None:
        """Record what a message says of the contact; ``None``: nothing."""
        self.contact = self.contact if contact is None else contact

    def of_service(self, given: Iterable[BeatInterval], at: Instant) -> list[BeatInterval]:
        """Add intervals of the heart-rate service; return those that need not wait any more."""
        for one in given:
            self._waiting.append(one)
            self._served.append(one)
        return self._release(at.boot_ms - 1000 * WAIT_S)

    def of_frame(self, frame: PolarFrame, at: Instant) -> list[BeatInterval]:
        """Add a frame of the protocol; return the intervals to be recorded, in order."""
        if frame.stream is PolarMeasurement.PPI:
            pulses = polar.decode_ppi(frame)
            self.hear_contact(pulses[-1].contact if pulses else None)
            intervals = _pulses(pulses, at)
        else:
            lost = {VitalFlag.CONTACT_LOST} if self.contact is False else set()
            intervals = [self._with_doubts(one, lost) for one in self._ecg.add(frame, at)]
        recorded: list[BeatInterval] = []
        for interval in intervals:
            self._covered.append(interval)
            # What ended before this beat was sent earlier, and nothing good will cover it.
            recorded += self._release(interval.ended.boot_ms - 1000 * interval.seconds)
            recorded.append(interval)
        return recorded

    def _with_doubts(self, interval: BeatInterval, flags: Set[VitalFlag]) -> BeatInterval:
        """Return an interval of the electrocardiogram with its flags: in doubt, where the latest
        are not those of the sensor itself, by a factor.
        """
        self._lengths.append(interval.seconds)
        served = [
            one.seconds
            for one in self._served
            if abs(one.ended.seconds_since(interval.ended)) <= _RECENT_S
        ]
        if min(len(served), len(self._lengths)) >= _LEAST_COMPARED:
            factor = median(self._lengths) / median(served)
            if not 1 / _UNLIKE < factor < _UNLIKE:
                flags = flags | {VitalFlag.POOR_SIGNAL}
        return replace(interval, flags=frozenset(flags))

    def rest(self) -> list[BeatInterval]:
        """Return the intervals that still wait, at the end of the connection."""
        return self._release(float("inf"))

    def _release(self, until_ms: float) -> list[BeatInterval]:
        """Take the waiting intervals whose middle is before a moment; return the uncovered ones."""
        released: list[BeatInterval] = []
        while self._waiting and self._waiting[0].middle_ms < until_ms:
            one = self._waiting.popleft()
            if not any(good.covers(one.middle_ms) for good in self._covered):
                released.append(one)
        return released


def _pulses(given: Sequence[PulseInterval], at: Instant) -> list[BeatInterval]:
    """Return the intervals of an armband; the last one ended on arrival, as no time is sent."""
    left = sum(one.seconds for one in given)
    intervals: list[BeatInterval] = []
    for one in given:
        left -= one.seconds
        intervals.append(BeatInterval(at.shift(-left), one.seconds, one.error_s, one.flags))
    return intervals
