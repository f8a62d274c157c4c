"""A made-up person whose heart rate and blood pressure react to what is shown.

Every reading says ``simulated``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.core.worker import Worker
from edge_agent.vitals.base import Sink, VitalSource

SOURCE = "simulated"
_HEART_SECONDS = 6.0  # time constant with which heart rate follows a condition
_PRESSURE_SECONDS = 15.0
_BREATHS_HZ = 0.25
_MAYER_HZ = 0.1  # slow waves of blood pressure and heart rate


class Pressure(NamedTuple):
    """A blood-pressure reading in mmHg."""

    systolic: float
    diastolic: float
    mean: float


class Change(NamedTuple):
    """By how much a condition moves a person: heart rate in 1/min, pressures in mmHg."""

    heart_rate: float
    systolic: float
    diastolic: float


@dataclass(frozen=True, slots=True)
class Reaction:
    """Mean and spread of the change between people.

    Made up, of the size that laboratory studies of anger report.
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
    """Somebody with a resting state, a way of breathing and reactions of their own, all from one
    seed.

    Heart rate follows a condition with a time constant of 6 s, blood pressure with 15 s; breathing
    and slow waves ride on the heart rate, and both are noisy. Conditions that are not names of
    emotions, and *neutral*, change nothing.

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
            name: Change(
                *(
                    gauss(mean, spread)
                    for mean, spread in zip(reaction.mean, reaction.spread, strict=True)
                )
            )
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
        self._now = Change(
            *(
                now + (to - now) * step
                for now, to, step in zip(
                    self._now, target, (heart, pressure, pressure), strict=True
                )
            )
        )
        self._seconds += seconds

    def heart_rate(self) -> float:
        """Return the present heart rate in 1/min, one decimal."""
        breath = self._breathing * math.sin(2 * math.pi * _BREATHS_HZ * self._seconds + self._phase)
        wave = math.sin(2 * math.pi * _MAYER_HZ * self._seconds)
        return round(
            self._rest.heart_rate
            + self._now.heart_rate
            + breath
            + wave
            + self._random.gauss(0, 0.7),
            1,
        )

    def pressure(self) -> Pressure:
        """Return a cuff's reading in mmHg: whole numbers, mean pressure by the rule of thirds."""
        systolic = self._rest.systolic + self._now.systolic + self._random.gauss(0, 2.0)
        diastolic = min(
            systolic - 15, self._rest.diastolic + self._now.diastolic + self._random.gauss(0, 1.5)
        )
        return Pressure(
            float(round(systolic)),
            float(round(diastolic)),
            float(round((systolic + 2 * diastolic) / 3)),
        )

    def readings(self, at: Instant, *, heart_rate: bool, pressure: bool) -> list[VitalReading]:
        """Return readings of this moment, flagged as what they are."""
        simulated = frozenset({VitalFlag.SIMULATED})
        readings = []
        if heart_rate:
            readings.append(
                VitalReading(at, VitalKind.HEART_RATE, self.heart_rate(), SOURCE, simulated)
            )
        if pressure:
            cuff = self.pressure()
            readings += [
                VitalReading(at, VitalKind.SYSTOLIC, cuff.systolic, SOURCE, simulated),
                VitalReading(at, VitalKind.DIASTOLIC, cuff.diastolic, SOURCE, simulated),
                VitalReading(at, VitalKind.MEAN_ARTERIAL, cuff.mean, SOURCE, simulated),
            ]
        return readings


class SimulatedVitals(VitalSource):
    """Readings of a ``SimulatedPerson`` in real time.

    Args:
        sink: as in ``VitalSource``.
        seed: of the person.
        heart_rate_seconds: seconds between readings of the heart rate.
        pressure_seconds: seconds between readings of the blood pressure.
        condition: asked before each reading for the condition that is open now, ``None`` for none.
        on_death: as in ``Worker``.

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
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__(SOURCE, sink, on_death)
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
            for reading in self._person.readings(
                clock.now(), heart_rate=ready[0], pressure=ready[1]
            ):
                self.emit(reading)
