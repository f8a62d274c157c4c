"""Readings of a made-up person, of a recording that is played again, and of messages."""

from __future__ import annotations

import json
import statistics
import threading
import time
from pathlib import Path

import pytest

from edge_agent.agent.loop import Agent
from edge_agent.config.loading import load_settings
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, StoreError
from edge_agent.core.given_readings import MAX_BYTES, MAX_READINGS, ReadingOrigin
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.vitals import VitalKind
from edge_agent.mqtt.incoming import rejected_payload
from edge_agent.timeline.export.text_formats import CSV
from edge_agent.timeline.read.reader import recorded_vitals
from edge_agent.vitals.csv_readings import read_readings
from edge_agent.vitals.ingest import IngestVerdict, VitalIngest
from edge_agent.vitals.replay import ReplayVitals
from edge_agent.vitals.simulated import SimulatedPerson, SimulatedVitals
from edge_agent.vitals.sources import VitalSource
from tests.support.timeline import reading, timeline, wait_for

# A made-up person


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


@pytest.mark.parametrize("seed", range(10))
def test_everybody_is_alive_and_plausible_whatever_happens(seed: int) -> None:
    person = SimulatedPerson(seed)
    for condition in (None, "anger", "fear", "sadness", "happiness", "surprise", "a film"):
        assert all(40 <= value <= 120 for value in heart_rates(person, condition, 60))
        systolic, diastolic, mean = person.pressure()
        assert 80 <= systolic <= 180
        assert 40 <= diastolic <= systolic - 14
        assert diastolic < mean < systolic


def test_anger_raises_heart_rate_and_pressure_of_most_people() -> None:
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


def test_slow_waves_of_people_are_not_in_step_so_their_mean_is_level() -> None:
    people: list[list[float]] = [[] for _ in range(10)]
    for seed in range(60):
        for place, value in enumerate(heart_rates(SimulatedPerson(seed), None)):
            people[place % 10].append(value)
    means = [statistics.mean(values) for values in people]
    assert max(means) - min(means) < 0.8, "two waves high where all are in step"


def test_heart_rate_follows_a_condition_within_seconds_and_not_at_once() -> None:
    person = SimulatedPerson(3)
    rest = statistics.mean(heart_rates(person, None))
    person.advance(0.1, "anger")
    at_once = person.heart_rate()
    settled = statistics.mean(heart_rates(person, "anger"))
    assert abs(at_once - rest) < 4
    assert settled - rest > 2


def test_the_source_emits_readings_of_every_kind_until_it_is_stopped() -> None:
    heard: list[VitalReading] = []
    asked: list[bool] = []
    enough = threading.Event()

    def sink(reading: VitalReading) -> None:
        heard.append(reading)
        if len(heard) >= 20:
            enough.set()

    def condition() -> str:
        asked.append(True)
        return "anger"

    source = SimulatedVitals(
        sink, seed=2, heart_rate_seconds=0.005, pressure_seconds=0.01, condition=condition
    )
    source.start()
    assert enough.wait(60)
    source.stop()
    assert source.join(60)
    assert source.error is None
    assert {r.kind for r in heard} == {kind for kind in VitalKind if kind.spec.simulated}
    assert all(VitalFlag.SIMULATED in r.flags and r.source == "simulated" for r in heard)
    assert [r.at for r in heard] == sorted(r.at for r in heard)
    assert len(asked) >= len({r.at for r in heard}), "for the condition before each"


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


# A recording whose readings are played again


RECORDED = [
    reading(0.2, 71.0),
    reading(0.0, 120.0, VitalKind.SYSTOLIC, "cuff"),
    reading(0.0, 80.0, VitalKind.DIASTOLIC, "cuff"),
    reading(0.4, 999.0, flags=[VitalFlag.OUT_OF_RANGE]),
]


def play() -> tuple[list[VitalReading], list[float]]:
    """Play the recording to its end; return what was heard, and when after the start in seconds."""
    heard: list[VitalReading] = []
    at: list[float] = []

    def sink(given: VitalReading) -> None:
        heard.append(given)
        at.append(time.monotonic() - begun)

    source = ReplayVitals(sink, RECORDED, "vital.csv")
    begun = time.monotonic()
    source.start()
    assert source.join(60)
    return heard, at


def test_readings_come_in_order_at_pace_and_say_that_they_are_played_again() -> None:
    before = clock.now().wall_ms
    heard, at = play()
    assert [(r.value, r.source) for r in heard] == [
        (120.0, "replay:vital.csv:cuff"),
        (80.0, "replay:vital.csv:cuff"),
        (71.0, "replay:vital.csv:strap"),
        (999.0, "replay:vital.csv:strap"),
    ]
    assert all({VitalFlag.REPLAYED, VitalFlag.SIMULATED} <= r.flags for r in heard)
    assert VitalFlag.OUT_OF_RANGE in heard[3].flags
    assert all(before <= r.at.wall_ms <= clock.now().wall_ms for r in heard), "they are of now"
    assert at[2] >= 0.19
    assert at[3] >= 0.39


def test_a_recording_can_be_played_faster() -> None:
    heard: list[VitalReading] = []
    source = ReplayVitals(heard.append, [reading(0.0), reading(60.0)], "vital.csv", speed=100.0)
    source.start()
    assert source.join(60)
    assert len(heard) == 2


def test_a_loop_goes_on_until_it_is_stopped_and_stops_at_once() -> None:
    heard: list[VitalReading] = []
    source = ReplayVitals(heard.append, RECORDED, "vital.csv", speed=100.0, loop=True)
    source.start()
    wait_for(lambda: len(heard) > 2 * len(RECORDED), 20)
    source.stop()
    assert source.join(60)
    assert source.error is None
    assert len({(r.at.wall_ms, r.kind, r.source) for r in heard}) == len(heard), (
        "none is taken for another"
    )


def test_a_long_pause_in_the_recording_does_not_hold_up_the_end() -> None:
    heard = threading.Event()
    source = ReplayVitals(lambda _: heard.set(), [reading(0), reading(3600)], "vital.csv")
    source.start()
    assert heard.wait(60)
    source.stop()
    assert source.join(60)


def test_an_export_and_the_database_itself_play_the_same(tmp_path: Path) -> None:
    path = timeline(tmp_path, vital=RECORDED)
    CSV.export(path, tmp_path / "out")
    read = read_readings(tmp_path / "out" / "vital.csv")
    told = [(r.at, r.kind, r.value, r.source) for r in read]
    assert told == [(r.at, r.kind, r.value, r.source) for r in recorded_vitals(path)]


def test_a_recording_without_readings_is_refused() -> None:
    with pytest.raises(
        DataFileError, match=r"vitals.replay.file: vital.csv has no readings to play. Name another"
    ):
        ReplayVitals(lambda _: None, [], "vital.csv")


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("nowhere.csv", DataFileError, "nowhere.csv: no such file"),
        ("nowhere.db", StoreError, "nowhere.db: there is no database"),
        ("bad.csv", DataFileError, "bad.csv, row 2, column value: 'fast' is not a number"),
    ],
)
def test_an_agent_whose_recording_cannot_be_read_does_not_start(
    tmp_path: Path, name: str, error: type[Exception], said: str
) -> None:
    (tmp_path / "bad.csv").write_text("at,kind,value\n1790000400,heart_rate,fast\n")
    settings = load_settings(
        None, {"vitals": {"replay": {"file": str(tmp_path / name)}}, "mqtt": {"enabled": False}}
    )
    for _ in range(2):  # and the database is free for the next attempt
        with pytest.raises(error, match=said):
            Agent(settings, tmp_path / "data", {})


# Readings handed in as messages: what is taken, what is refused, and how each is told


NOW = Instant(boot_ms=5_000_000, wall_ms=1_790_000_400_000)


class Sender:
    """A device that sends messages to an appliance in whose clock no time passes."""

    def __init__(self) -> None:
        self.taken: list[VitalReading] = []
        self.ingest = VitalIngest(
            self.taken.append, ReadingOrigin("mqtt", prefix="mqtt:"), lambda: NOW
        )

    def send(self, message: object, *, retained: bool = False) -> IngestVerdict:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.ingest.accept(payload, retained=retained)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_one_reading_or_a_list_of_them_is_taken(sender: Sender) -> None:
    assert sender.send({"schema": 1, "kind": "heart_rate", "value": 72}).taken == 1
    two = [{"kind": "systolic", "value": 120}, {"kind": "diastolic", "value": 80}]
    assert sender.send(two).taken == 2
    assert [(r.kind, r.value, r.source, r.at) for r in sender.taken] == [
        ("heart_rate", 72.0, "mqtt", NOW),
        ("systolic", 120.0, "mqtt", NOW),
        ("diastolic", 80.0, "mqtt", NOW),
    ]


def test_a_bad_reading_is_reported_by_its_place_and_the_others_are_taken(sender: Sender) -> None:
    good = {"kind": "heart_rate", "value": 72}
    bad = {"kind": "pulse", "value": 1, "id": "a-17"}
    verdict = sender.send([good, bad, {**good, "source": "b"}])
    assert (verdict.taken, sender.ingest.taken, sender.ingest.refused) == (2, 2, 1)
    refused = [(r.index, r.id, r.error) for r in verdict.refusals]
    assert [(index, name, error.field) for index, name, error in refused] == [(1, "a-17", "kind")]
    answer = json.loads(rejected_payload(NOW.wall_ms, verdict.digest, 2, refused).encode())
    reason = f"kind: 'pulse' is not one of {', '.join(VitalKind)}."
    assert answer["readings"] == [{"index": 1, "id": "a-17", "field": "kind", "reason": reason}]


def test_a_message_as_a_whole_is_refused_and_reported_by_its_digest(sender: Sender) -> None:
    verdict = sender.send(b"test")
    assert verdict.digest == "9f86d081884c7d65"  # of `test`, FIPS 180-4
    assert [(r.index, r.id, r.error.field) for r in verdict.refusals] == [(None, None, "payload")]
    reading = {"kind": "heart_rate", "value": 72}
    for message in (b"[" + b" " * MAX_BYTES + b"]", [reading] * (MAX_READINGS + 1), []):
        assert sender.send(message).refusals[0].index is None
    assert not sender.taken


def test_retained_reading_is_accepted_only_with_its_time(sender: Sender) -> None:
    timed = {"kind": "heart_rate", "value": 72, "at": NOW.wall_ms - 5000}
    verdict = sender.send([timed, {"kind": "heart_rate", "value": 73}], retained=True)
    assert [r.value for r in sender.taken] == [72.0]
    assert "is missing in a retained message" in str(verdict.refusals[0].error)
