"""Sources of readings, each a worker that sends them to a sink: simulated, replayed and received.

A simulated person reacts to the condition; each reading has the flag ``simulated``. Readings of an
earlier recording are played at their own pace, with the flags ``replayed`` and ``simulated``.
Messages of other devices are accepted, or refused with the reason, and counted. ``Radio`` and
``Link`` are the interfaces to Bluetooth sensors.
"""

from __future__ import annotations

import hashlib
import logging
import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import (
    ArrivalTimes,
    Origin,
    VitalFlag,
    VitalReading,
    has_time,
    id_of,
    parse_payload,
    read_given,
)
from edge_agent.core.threads import Worker
from edge_agent.core.vitals import VitalKind

log = logging.getLogger(__name__)

Sink = Callable[[VitalReading], None]
SOURCE = "simulated"
_HEART_SECONDS = 6.0  # time constant with which heart rate follows a condition
_PRESSURE_SECONDS = 15.0
# 15 breaths a minute (respiratory sinus arrhythmia), and the waves that Mayer described at 0.1 Hz.
_BREATHS_HZ = 0.25
_MAYER_HZ = 0.1  # slow waves of blood pressure and heart rate
MARKS = frozenset({VitalFlag.REPLAYED, VitalFlag.SIMULATED})
"""Also simulated: no person who is present now had this heart rate, and no test may use it so."""
_RETAINED = ReadingError(
    "at", "", "is missing in a retained message. Add the time of measurement, or do not retain it."
)


class Link(Protocol):
    """One connection to a sensor; a characteristic is named by its UUID.

    Everything may raise ``VitalsError``.
    """

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        """Call ``on_value`` with each notification or indication."""

    async def read(self, characteristic: str) -> bytes:
        """Return the present value."""

    async def closed_within(self, seconds: float) -> bool:
        """Wait at most so long for the end of the connection; return whether it has ended."""


class Radio(Protocol):
    """A radio that makes connections."""

    def connect(self, address: str) -> AbstractAsyncContextManager[Link]:
        """Find a sensor and connect; the end of the block disconnects.

        Raises:
            VitalsError: on entering, if the sensor is not found or cannot be connected.
        """


class VitalSource(Worker):
    """A thread that reads one device, or simulates readings, until it is stopped.

    A source whose device is missing tries again by itself, after growing pauses; it ends only by
    its own faults.

    Args:
        name: for ``VitalReading.source`` and the name of the thread.
        sink: called in this thread with every reading, implausible ones flagged; it must not block.
        on_death: as in ``Worker``.
    """

    def __init__(
        self, name: str, sink: Sink, on_death: Callable[[Worker, Exception], None] | None = None
    ) -> None:
        super().__init__(f"vitals-{name}", on_death)
        self.source = name
        self._sink = sink

    def emit(self, reading: VitalReading) -> None:
        """Send a reading to the sink, flagged ``out_of_range`` if it is implausible."""
        self._sink(reading.checked())


class Pressure(NamedTuple):
    """A blood-pressure reading in mmHg."""

    systolic: float
    diastolic: float
    mean: float


class Change(NamedTuple):
    """The effect of a condition on a person: heart rate in 1/min, pressures in mmHg."""

    heart_rate: float
    systolic: float
    diastolic: float


@dataclass(frozen=True, slots=True)
class Reaction:
    """Mean and spread of a change between people.

    The values are invented, of the size that laboratory studies of anger report.
    """

    mean: Change
    spread: Change


REACTIONS: Mapping[str, Reaction] = {
    Emotion.ANGER: Reaction(Change(6, 8, 5), Change(5, 5, 4)),
    Emotion.FEAR: Reaction(Change(7, 7, 4), Change(5, 5, 4)),
    Emotion.SADNESS: Reaction(Change(-1, 3, 2), Change(3, 4, 3)),
    Emotion.HAPPINESS: Reaction(Change(1, 2, 1), Change(3, 4, 3)),
    Emotion.SURPRISE: Reaction(Change(2, 2, 1), Change(3, 4, 3)),
}
_REST = Change(0, 0, 0)


class SimulatedPerson:
    """A simulated person with a resting state, breathing and reactions that depend on a seed.

    Heart rate follows a condition with a time constant of 6 s, blood pressure with 15 s; breathing
    and slow waves are added to the heart rate, and noise to both. *Neutral*, and conditions that
    are not names of emotions, change nothing.

    Example:
        >>> person = SimulatedPerson(seed=1)
        >>> person.advance(60.0, "anger")
        >>> person.heart_rate() > SimulatedPerson(seed=1).heart_rate()
        True
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a made-up person needs no secrecy
        gauss = self._random.gauss
        self._rest = Change(
            min(90.0, max(52.0, gauss(68, 7))),
            min(140.0, max(98.0, gauss(118, 9))),
            min(90.0, max(58.0, gauss(75, 6))),
        )
        self._reactions = {
            name: Change(*map(gauss, reaction.mean, reaction.spread))
            for name, reaction in REACTIONS.items()
        }
        self._breathing = self._random.uniform(0.5, 2.5)
        self._phase = self._random.uniform(0, 2 * math.pi)
        self._seconds = 0.0
        self._now = _REST

    def advance(self, seconds: float, condition: str | None) -> None:
        """Let time pass under a condition; ``None`` is none."""
        target = self._reactions.get((condition or "").strip().casefold(), _REST)
        heart = 1 - math.exp(-seconds / _HEART_SECONDS)
        pressure = 1 - math.exp(-seconds / _PRESSURE_SECONDS)
        steps = zip(self._now, target, (heart, pressure, pressure), strict=True)
        self._now = Change(*(now + (to - now) * step for now, to, step in steps))
        self._seconds += seconds

    def heart_rate(self) -> float:
        """Return the present heart rate in 1/min, one decimal."""
        breath = self._breathing * math.sin(2 * math.pi * _BREATHS_HZ * self._seconds + self._phase)
        wave = math.sin(2 * math.pi * _MAYER_HZ * self._seconds)
        noise = self._random.gauss(0, 0.7)
        return round(self._rest.heart_rate + self._now.heart_rate + breath + wave + noise, 1)

    def pressure(self) -> Pressure:
        """Return a cuff's reading in mmHg: whole numbers, mean pressure by the rule of thirds."""
        systolic = self._rest.systolic + self._now.systolic + self._random.gauss(0, 2.0)
        low = self._rest.diastolic + self._now.diastolic + self._random.gauss(0, 1.5)
        # Kept apart: pressures that are too near to each other are flagged as implausible.
        diastolic = min(systolic - 15, low)
        # Mean pressure is nearer to the diastolic one, in which the heart spends two thirds of its
        # time.
        mean = (systolic + 2 * diastolic) / 3
        return Pressure(*(float(round(value)) for value in (systolic, diastolic, mean)))

    def readings(self, at: Instant, *, heart_rate: bool, pressure: bool) -> list[VitalReading]:
        """Return readings of this moment, flagged ``simulated``."""
        simulated = frozenset({VitalFlag.SIMULATED})
        told: list[tuple[VitalKind, float]] = []
        if heart_rate:
            told.append((VitalKind.HEART_RATE, self.heart_rate()))
        if pressure:
            kinds = (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC, VitalKind.MEAN_ARTERIAL)
            told += zip(kinds, self.pressure(), strict=True)
        return [VitalReading(at, kind, value, SOURCE, simulated) for kind, value in told]


class SimulatedVitals(VitalSource):
    """Readings of a ``SimulatedPerson`` in real time.

    Args:
        sink: as in ``VitalSource``.
        seed: of the person.
        heart_rate_seconds: seconds between readings of the heart rate.
        pressure_seconds: seconds between readings of the blood pressure.
        condition: called before each reading; returns the present condition, or ``None``.

    Example:
        >>> source = SimulatedVitals(recorder.submit, seed=3, condition=lambda: "anger")
        >>> source.start()
    """

    def __init__(
        self,
        sink: Sink,
        *,
        seed: int = 1,
        heart_rate_seconds: float = 1.0,
        pressure_seconds: float = 30.0,
        condition: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(SOURCE, sink)
        self._person = SimulatedPerson(seed)
        self._every = (heart_rate_seconds, pressure_seconds)
        self._condition = condition

    def work(self) -> None:
        """Emit readings until stopped."""
        last = clock.boot_seconds()
        due = [last, last]
        while not self.stopping.wait(max(0.0, min(due) - clock.boot_seconds())):
            now = clock.boot_seconds()
            self._person.advance(now - last, self._condition())
            last = now
            ready = [now >= moment for moment in due]
            # After a pause of the machine the readings that were missed are not made up.
            due = [
                now + every if is_due else moment
                for moment, every, is_due in zip(due, self._every, ready, strict=True)
            ]
            heart_rate, pressure = ready
            at = clock.now()
            for reading in self._person.readings(at, heart_rate=heart_rate, pressure=pressure):
                self.emit(reading)


class ReplayVitals(VitalSource):
    """Plays readings in the order of their times, with the original intervals.

    Args:
        sink: as in ``VitalSource``.
        readings: of the recording.
        name: of the recording, which precedes the source of each reading.
        speed: seconds of the recording for each second.
        loop: whether to start again at the end.

    Raises:
        DataFileError: there is nothing to play.

    Example:
        >>> replay = ReplayVitals(recorder.submit, readings, "morning", speed=10.0)
        >>> replay.start()
    """

    def __init__(
        self,
        sink: Sink,
        readings: Sequence[VitalReading],
        name: str,
        *,
        speed: float = 1.0,
        loop: bool = False,
    ) -> None:
        super().__init__(f"replay:{name}", sink)
        if not readings:
            raise DataFileError(
                f"vitals.replay.file: {name} has no readings to play. Name another recording."
            )
        # By the wall clock: readings of an earlier boot have boot times that cannot be compared.
        self._readings = sorted(readings, key=lambda reading: reading.at.wall_ms)
        self._speed = speed
        self._loop = loop
        self._arrivals = ArrivalTimes()

    def work(self) -> None:
        """Play until stopped, or to the end."""
        while True:
            begun_s = clock.boot_seconds()
            first_ms = self._readings[0].at.wall_ms
            for reading in self._readings:
                due_s = begun_s + (reading.at.wall_ms - first_ms) / 1000 / self._speed
                if self.stopping.wait(max(0.0, due_s - clock.boot_seconds())):
                    return
                self.emit(self._played(reading))
            # A second of pause: a recording of a single instant would otherwise loop at full speed.
            if not self._loop or self.stopping.wait(1.0 / self._speed):
                return

    def _played(self, reading: VitalReading) -> VitalReading:
        source = f"{self.source}:{reading.source}"
        at = self._arrivals.stamp(source, reading.kind, clock.now())
        # They come from here now, and not from a file.
        flags = (reading.flags - {VitalFlag.IMPORTED}) | MARKS
        return replace(reading, at=at, source=source, flags=flags)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reading that was not taken.

    Attributes:
        index: its place in the list; ``None`` if the message as a whole was refused.
        id: the sender's name for it, if any.
        error: the reason.
    """

    index: int | None
    id: str | int | None
    error: ReadingError


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one message: readings taken, and refusals.

    Attributes:
        taken: number of accepted readings; only the database knows which of them are duplicates.
        refusals: the refused ones.
        digest: first 16 digits of the payload's SHA-256, by which the sender can identify it.
    """

    taken: int
    refusals: tuple[Refusal, ...]
    digest: str


class VitalIngest:
    """Validates messages and sends their readings to the sink.

    Args:
        sink: called with every accepted reading.
        origin: the sender.
        now: returns the time.

    Example:
        >>> ingest = VitalIngest(recorder.submit, origin)
        >>> ingest.take(b'{"kind": "heart_rate", "value": 72, "source": "watch"}').taken
        1
    """

    def __init__(self, sink: Sink, origin: Origin, now: Callable[[], Instant] = clock.now) -> None:
        self._sink = sink
        self._origin = origin
        self._now = now
        self._arrivals = ArrivalTimes()
        self.taken = 0
        self.refused = 0

    def take(self, payload: bytes, *, retained: bool = False) -> Verdict:
        """Accept the readings of a message, one or a list; a bad one does not affect the others.

        A retained message must contain the time of its measurement. Otherwise it is refused: the
        broker sends it again with every connection, and it would be a new reading each time.
        """
        digest = hashlib.sha256(payload).hexdigest()[:16]
        try:
            items = parse_payload(payload)
        except ReadingError as error:
            return self._count(Verdict(0, (Refusal(None, None, error),), digest))
        taken: list[VitalReading] = []
        refusals: list[Refusal] = []
        answers = read_given(items, self._now(), self._origin, self._arrivals)
        for index, (item, answer) in enumerate(zip(items, answers, strict=True)):
            # Judged after the reading itself, so that a faulty one is told of its fault.
            judged = answer
            if retained and not has_time(item) and isinstance(answer, VitalReading):
                judged = _RETAINED
            if isinstance(judged, VitalReading):
                taken.append(judged)
            else:
                refusals.append(Refusal(index, id_of(item), judged))
        # After all of them were judged: the sink may take its time.
        for reading in taken:
            self._sink(reading)
        return self._count(Verdict(len(taken), tuple(refusals), digest))

    def _count(self, verdict: Verdict) -> Verdict:
        # Once: a sender with a fault repeats it with every message.
        if verdict.refusals and not self.refused:
            text = "readings from %s are refused, the first for its %s"
            log.warning(text, self._origin.source, verdict.refusals[0].error.field)
        self.taken += verdict.taken
        self.refused += len(verdict.refusals)
        return verdict
