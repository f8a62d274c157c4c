"""A simulated person, who reacts to the condition; each reading has the flag ``simulated``."""

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
from edge_agent.vitals.sources import Sink, VitalSource

SOURCE = "simulated"
_HEART_SECONDS = 6.0  # time constant with which heart rate follows a condition
_PRESSURE_SECONDS = 15.0
# 15 breaths a minute (respiratory sinus arrhythmia), and the waves that Mayer described at 0.1 Hz.
_BREATHS_HZ = 0.25
_MAYER_HZ = 0.1  # slow waves of blood pressure and heart rate


class SimulatedPressure(NamedTuple):
    """A blood-pressure reading in mmHg."""

    systolic: float
    diastolic: float
    mean: float


class ConditionEffect(NamedTuple):
    """The effect of a condition on a person: heart rate in 1/min, pressures in mmHg."""

    heart_rate: float
    systolic: float
    diastolic: float


@dataclass(frozen=True, slots=True)
class Reaction:
    """Mean and spread of a change between people.

    The values are invented, of the size that laboratory studies of anger report.
    """

    mean: ConditionEffect
    spread: ConditionEffect


REACTIONS: Mapping[str, Reaction] = {
    Emotion.ANGER: Reaction(ConditionEffect(6, 8, 5), ConditionEffect(5, 5, 4)),
    Emotion.FEAR: Reaction(ConditionEffect(7, 7, 4), ConditionEffect(5, 5, 4)),
    Emotion.SADNESS: Reaction(ConditionEffect(-1, 3, 2), ConditionEffect(3, 4, 3)),
    Emotion.HAPPINESS: Reaction(ConditionEffect(1, 2, 1), ConditionEffect(3, 4, 3)),
    Emotion.SURPRISE: Reaction(ConditionEffect(2, 2, 1), ConditionEffect(3, 4, 3)),
}
_REST = ConditionEffect(0, 0, 0)


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
        self._rest = ConditionEffect(
            min(90.0, max(52.0, gauss(68, 7))),
            min(140.0, max(98.0, gauss(118, 9))),
            min(90.0, max(58.0, gauss(75, 6))),
        )
        self._reactions = {
            name: ConditionEffect(*map(gauss, reaction.mean, reaction.spread))
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
        self._now = ConditionEffect(*(now + (to - now) * step for now, to, step in steps))
        self._seconds += seconds

    def heart_rate(self) -> float:
        """Return the present heart rate in 1/min, one decimal."""
        breath = self._breathing * math.sin(2 * math.pi * _BREATHS_HZ * self._seconds + self._phase)
        # Of a phase of their own: in step, the waves of all would stand in a mean around events.
        wave = math.sin(2 * math.pi * _MAYER_HZ * self._seconds + 2 * self._phase)
        noise = self._random.gauss(0, 0.7)
        return round(self._rest.heart_rate + self._now.heart_rate + breath + wave + noise, 1)

    def pressure(self) -> SimulatedPressure:
        """Return a cuff's reading in mmHg: whole numbers, mean pressure by the rule of thirds."""
        systolic = self._rest.systolic + self._now.systolic + self._random.gauss(0, 2.0)
        low = self._rest.diastolic + self._now.diastolic + self._random.gauss(0, 1.5)
        # Kept apart: pressures that are too near to each other are flagged as implausible.
        diastolic = min(systolic - 15, low)
        # Mean pressure is nearer to the diastolic one, in which the heart spends two thirds of its
        # time.
        mean = (systolic + 2 * diastolic) / 3
        return SimulatedPressure(*(float(round(value)) for value in (systolic, diastolic, mean)))

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
