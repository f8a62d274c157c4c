"""The made-up person, and the source that reads it in real time."""

from __future__ import annotations

import statistics
import threading

import pytest

from edge_agent.core import clock
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.sources import SimulatedPerson, SimulatedVitals, VitalSource


def heart_rates(person: SimulatedPerson, condition: str | None, seconds: int = 120) -> list[float]:
    """Readings of one a second, the first half minute of a condition left out."""
    values = []
    for _ in range(seconds):
        person.advance(1.0, condition)
        values.append(person.heart_rate())
    return values[30:]


def test_the_same_seed_is_the_same_person_and_another_seed_another() -> None:
    first, again, other = (heart_rates(SimulatedPerson(seed), None) for seed in (7, 7, 8))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(20))
def test_everybody_is_alive_and_plausible_whatever_happens(seed: int) -> None:
    person = SimulatedPerson(seed)
    for condition in (
        None,
        "anger",
        "fear",
        "sadness",
        "happiness",
        "surprise",
        "neutral",
        "a film",
    ):
        for value in heart_rates(person, condition, 60):
            assert 40 <= value <= 120
        systolic, diastolic, mean = person.pressure()
        assert 80 <= systolic <= 180
        assert 40 <= diastolic <= systolic - 14
        assert diastolic < mean < systolic


def test_anger_raises_heart_rate_and_pressure_of_most_people_and_neutral_does_not() -> None:
    changes = []
    pressures = []
    neutral = []
    for seed in range(60):
        person = SimulatedPerson(seed)
        rest = statistics.mean(heart_rates(person, None))
        rest_pressure = person.pressure().systolic
        neutral.append(statistics.mean(heart_rates(person, "neutral")) - rest)
        changes.append(statistics.mean(heart_rates(person, "Anger ")) - rest)
        pressures.append(person.pressure().systolic - rest_pressure)
    assert 4 < statistics.mean(changes) < 8
    assert 5 < statistics.mean(pressures) < 11
    assert abs(statistics.mean(neutral)) < 0.5


def test_heart_rate_follows_a_condition_within_seconds_and_not_at_once() -> None:
    person = SimulatedPerson(3)
    rest = statistics.mean(heart_rates(person, None))
    person.advance(0.1, "anger")
    at_once = person.heart_rate()
    settled = statistics.mean(heart_rates(person, "anger"))
    assert abs(at_once - rest) < 4
    assert settled - rest > 2


def test_the_source_emits_simulated_readings_of_every_kind_until_it_is_stopped() -> None:
    heard: list[VitalReading] = []
    enough = threading.Event()

    def sink(reading: VitalReading) -> None:
        heard.append(reading)
        if len(heard) >= 20:
            enough.set()

    source = SimulatedVitals(sink, seed=2, heart_rate_seconds=0.005, pressure_seconds=0.01)
    source.start()
    assert enough.wait(60)
    source.stop()
    assert source.join(60)
    assert source.error is None
    assert {reading.kind for reading in heard} == {
        kind for kind in VitalKind if kind.spec.simulated
    }
    assert all(
        VitalFlag.SIMULATED in reading.flags and reading.source == "simulated" for reading in heard
    )
    assert [r.at for r in heard] == sorted(r.at for r in heard)


def test_the_source_asks_for_the_condition_before_each_reading() -> None:
    asked = threading.Semaphore(0)

    def condition() -> str | None:
        asked.release()
        return "anger"

    source = SimulatedVitals(lambda reading: None, heart_rate_seconds=0.005, condition=condition)
    source.start()
    assert asked.acquire(timeout=60)
    assert asked.acquire(timeout=60)
    source.stop()
    assert source.join(60)


def test_whatever_a_source_emits_is_flagged_when_it_is_implausible() -> None:
    class Broken(VitalSource):
        """A device that gives nonsense once."""

        def work(self) -> None:
            self.emit(VitalReading(clock.now(), VitalKind.HEART_RATE, 0.0, self.source))

    heard: list[VitalReading] = []
    source = Broken("broken", heard.append)
    source.start()
    assert source.join(60)
    assert [reading.flags for reading in heard] == [{VitalFlag.OUT_OF_RANGE}]
