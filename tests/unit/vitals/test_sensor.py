"""A sensor that comes and goes: nothing that it says is lost, and what it leaves unsaid is a gap.

In simulated time.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import threads
from edge_agent.core.electrocardiogram import EcgStretch
from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.core.readings import Gap, VitalFlag, VitalReading
from edge_agent.core.vitals import SensorKind, VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.write.inserts import write_gap, write_vitals
from edge_agent.vitals import polar
from edge_agent.vitals.sensor import BluetoothVitals, Sensor, SensorSession
from edge_agent.vitals.sources import Link
from tests.support.broker import wait_until
from tests.support.clocks.simulated_time import START, in_simulated_time, simulated_now
from tests.support.timeline import query, timeline
from tests.support.vitals.polar_frames import (
    ECG_HZ,
    FRAME,
    SETTINGS_OF_ARMBAND,
    SETTINGS_OF_H10,
    SINCE_2000_S,
    compressed_acceleration,
    ecg_of,
    frames_of,
    ppi_frame,
    raw_acceleration,
)
from tests.support.vitals.straps import AWAY, DroppingStrap, ScriptedRadio, heart_rate

DEADLINE_S = 60.0

STRAP = Sensor("A0:9E:1A:00:00:01", SensorKind.HEART_RATE)
CUFF = Sensor("A4:C1:38:00:00:02", SensorKind.BLOOD_PRESSURE)
HOUR_S = 3600.0


class Heard:
    """What a session said while a script ran."""

    def __init__(self, sensor: Sensor, radio: ScriptedRadio) -> None:
        self.readings: list[VitalReading] = []
        self.recorded: list[Gap | EcgStretch] = []
        self.session = SensorSession(
            sensor, radio, self.readings.append, self.recorded.append, simulated_now
        )

    @property
    def gaps(self) -> list[Gap]:
        return [one for one in self.recorded if isinstance(one, Gap)]

    def gaps_s(self) -> list[tuple[float, float, str]]:
        """The gaps in seconds since the start."""
        return [
            (g.start.seconds_since(START), g.end.seconds_since(START), g.reason) for g in self.gaps
        ]


def listening(
    radio: ScriptedRadio,
    script: Callable[[Heard], Coroutine[Any, Any, None]],
    sensor: Sensor = STRAP,
) -> Heard:
    """Run a session in simulated time for as long as a script runs."""

    async def main() -> Heard:
        heard = Heard(sensor, radio)
        session = asyncio.create_task(heard.session.run())
        await script(heard)
        session.cancel()
        await asyncio.wait({session})
        return heard

    return in_simulated_time(main())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_strap_that_drops_a_hundred_times_loses_nothing(tmp_path: Path, seed: int) -> None:
    radio = ScriptedRadio()
    strap = DroppingStrap(radio, seed)

    async def an_hour(_: Heard) -> None:
        tasks = [asyncio.create_task(strap.speak()), asyncio.create_task(strap.drop(100))]
        await asyncio.sleep(HOUR_S)
        for task in tasks:
            task.cancel()

    heard = listening(radio, an_hour)
    assert strap.drops == 100
    assert len(strap.said) > 1_000

    path = timeline(tmp_path)
    with write_transaction(path) as connection:
        assert False not in write_vitals(
            connection, [(reading, None) for reading in heard.readings]
        ), "none twice"
        for gap in heard.gaps:
            write_gap(connection, gap, None)
    rates = query(path, "SELECT value FROM vital WHERE kind = 'heart_rate' ORDER BY at")
    assert [value for (value,) in rates] == [float(rate) for _, rate, _ in strap.said]
    intervals = query(path, "SELECT value FROM vital WHERE kind = 'rr_interval' ORDER BY at")
    assert [value for (value,) in intervals] == [
        value for _, _, values in strap.said for value in values
    ]

    spoke = [START, *(at for at, _, _ in strap.said), START.shift(HOUR_S)]
    silent = [(a.wall_ms, b.wall_ms) for a, b in pairwise(spoke) if b.seconds_since(a) > 10]
    assert len(silent) > 10
    assert query(path, "SELECT started, ended FROM gap ORDER BY started") == silent
    assert query(path, "SELECT DISTINCT source FROM gap") == [(STRAP.source,)]
    assert {reason for (reason,) in query(path, "SELECT DISTINCT reason FROM gap")} == {
        "disconnected",
        "silent",
    }


def test_a_sensor_that_is_away_is_looked_for_at_most_fifteen_seconds_apart() -> None:
    radio = ScriptedRadio(refusing=AWAY)

    async def some_minutes(heard: Heard) -> None:
        await asyncio.sleep(120)
        assert heard.session.state.reason == "not_found"
        assert heard.session.state.problem == "It is not in reach. Wear it."

    heard = listening(radio, some_minutes)
    pauses = [b - a - 0.2 for a, b in pairwise(radio.attempts)]
    assert pauses[:6] == pytest.approx([1, 2, 4, 8, 15, 15])
    assert heard.gaps_s() == [(0, 120, "disconnected")]


def test_a_connection_is_made_anew_at_once_after_a_reading() -> None:
    radio = ScriptedRadio()

    async def script(_: Heard) -> None:
        await asyncio.sleep(30)
        radio.links[0].say(heart_rate(70))
        radio.links[0].closed.set()
        await asyncio.sleep(1.5)
        assert len(radio.links) == 2
        await asyncio.sleep(98.5)
        radio.links[2].say(heart_rate(71))

    heard = listening(radio, script)
    assert len(radio.links) == 3
    assert heard.gaps_s() == [(0, 30, "disconnected"), (30, 130, "disconnected")]


def test_silence_while_connected_is_distinguished_ten_seconds_are_none() -> None:
    radio = ScriptedRadio()

    async def script(_: Heard) -> None:
        for pause in (5, 10, 10.5):
            await asyncio.sleep(pause)
            radio.links[0].say(heart_rate(70))

    assert listening(radio, script).gaps_s() == [(15, 25.5, "silent")]


def test_battery_and_contact_are_reported() -> None:
    radio = ScriptedRadio()

    async def script(heard: Heard) -> None:
        assert (heard.session.state.connected, heard.session.state.battery_percent) == (False, None)
        await asyncio.sleep(5)
        radio.links[0].say(heart_rate(70))
        assert (heard.session.state.battery_percent, heard.session.state.contact) == (87, True)
        radio.links[0].battery = b"\x09"
        radio.links[0].say(heart_rate(0, contact=False))
        assert (heard.session.state.connected, heard.session.state.contact) == (True, False)
        for _ in range(70):
            await asyncio.sleep(9)
            radio.links[0].say(heart_rate(70, 0.8))
        assert heard.session.state.battery_percent == 9

    heard = listening(radio, script)
    assert radio.links[0].battery_reads == 2
    assert heard.readings[1].flags == {VitalFlag.CONTACT_LOST, VitalFlag.OUT_OF_RANGE}
    assert (heard.session.state.connected, heard.session.state.contact) == (False, None)


def test_a_sensor_without_a_battery_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    radio = ScriptedRadio(battery=VitalsError(VitalsReason.UNSUPPORTED, "It has none.", "Never."))
    caplog.set_level(logging.WARNING)

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        for payload in (b"\x16", b"\x16", heart_rate(70), b"\x11\x50"):
            radio.links[0].say(payload)

    heard = listening(radio, script)
    assert [reading.value for reading in heard.readings] == [70.0]
    assert heard.session.state.battery_percent is None
    said = "Heart Rate Measurement (0x2A37) is too short: it ends before the heart rate"
    assert caplog.messages == [f"ble:{STRAP.address}: {said}; passed over"] * 2  # once for each run


def test_a_cuff_is_silent_until_somebody_measures_and_that_is_no_gap() -> None:
    radio = ScriptedRadio()

    async def script(_: Heard) -> None:
        await asyncio.sleep(600)
        radio.links[0].say(struct.pack("<BHHHH", 4, 120, 80, 93, 72))
        radio.links[0].closed.set()
        await asyncio.sleep(600)

    heard = listening(radio, script, CUFF)
    assert heard.gaps == []
    assert len(radio.links) == 2, "a silent cuff stays connected"
    assert [(reading.kind.value, reading.value) for reading in heard.readings] == [
        ("systolic", 120.0),
        ("diastolic", 80.0),
        ("mean_arterial", 93.0),
        ("heart_rate", 72.0),
    ]


class UnreachableRadio:
    """Waits for ever for a sensor."""

    def __init__(self) -> None:
        self.is_entered = self.left = False

    @asynccontextmanager
    async def connect(self, address: str) -> AsyncIterator[Link]:
        self.is_entered = True
        try:
            await asyncio.Event().wait()
        finally:
            self.left = True
        raise AssertionError("unreachable")
        yield  # a context manager needs one


def bluetooth(open_radio: Callable[[], Any]) -> BluetoothVitals:
    return BluetoothVitals(lambda _: None, lambda _: None, [STRAP, CUFF], open_radio)


def test_the_thread_ends_in_whatever_it_is_in_the_middle_of() -> None:
    radio = UnreachableRadio()
    source = bluetooth(lambda: radio)
    source.start()
    wait_until(lambda: len(source.states) == 2, "both sensors", DEADLINE_S)
    source.stop()
    assert source.join(DEADLINE_S)
    assert radio.left
    assert [state.source for state in source.states] == [STRAP.source, CUFF.source]


class FaultyRadio(UnreachableRadio):
    """Has a fault of our own when it connects."""

    @asynccontextmanager
    async def connect(self, address: str) -> AsyncIterator[Link]:
        raise ZeroDivisionError(address)
        yield  # a context manager needs one


def test_source_with_a_fault_of_our_own_begins_again_in_a_loop_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "RESTARTS_S", (0.01,))
    good = UnreachableRadio()
    radios = iter([FaultyRadio(), good])
    source = bluetooth(lambda: next(radios))
    source.start()
    wait_until(lambda: source.death is not None and source.death.back is not None, "a new begin")
    assert isinstance(source.error, ZeroDivisionError)
    wait_until(lambda: good.is_entered, "another radio")
    source.stop()
    assert source.join(DEADLINE_S)
    assert good.left
    assert source.sources == (STRAP.source, CUFF.source)


def test_source_that_is_stopped_before_it_starts_opens_no_radio() -> None:
    source = bluetooth(lambda: 1 // 0)
    source.stop()
    source.start()
    assert source.join(DEADLINE_S)
    assert source.error is None


def test_polar_strap_without_readable_ecg_records_its_own_intervals(
    caplog: pytest.LogCaptureFixture,
) -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 01 00"))
    caplog.set_level(logging.WARNING)

    async def a_minute(_: Heard) -> None:
        await asyncio.sleep(1)
        assert radio.links[0].written == [polar.start_request(polar.PolarMeasurement.ECG)]
        for _second in range(60):
            radio.links[0].say(heart_rate(60, 1.0))
            radio.links[0].say(b"\x00" * 9 + b"\x80\x01", polar.DATA)
            await asyncio.sleep(1)
        radio.links[0].closed.set()
        await asyncio.sleep(0.1)

    heard = listening(radio, a_minute)
    intervals = [one for one in heard.readings if one.kind is VitalKind.RR_INTERVAL]
    assert [(one.value, one.error) for one in intervals] == [(1.0, None)] * 60
    assert len(caplog.messages) == 1
    assert "has samples of the form 0x80" in caplog.messages[0]


def test_polar_strap_that_refuses_its_ecg_is_used_as_any_other() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 01 00"), refusal=3)

    async def script(heard: Heard) -> None:
        await asyncio.sleep(1)
        radio.links[0].say(heart_rate(60, 1.0))
        assert [one.value for one in heard.readings] == [60.0, 1.0]

    listening(radio, script)


def test_strap_that_keeps_its_ecg_records_every_sample_of_it() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 01 00"))
    signal = ecg_of([0.6 + 0.8 * number for number in range(40)], 30)
    whole = len(signal) // FRAME * FRAME

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        for number, frame in enumerate(frames_of(signal)):
            await asyncio.sleep(FRAME / ECG_HZ)
            if number != 20:  # one is lost
                radio.links[0].say(frame, polar.DATA)

    heard = listening(radio, script, replace(STRAP, keeps_ecg=True))
    kept = [one for one in heard.recorded if isinstance(one, EcgStretch)]
    lost = slice(20 * FRAME, 21 * FRAME)
    told = [sample for one in kept for sample in one.samples]
    assert told == [*signal[: lost.start], *signal[lost.stop : whole]]
    # Ten seconds each, but before the loss and at the end.
    assert [len(one.samples) for one in kept] == [1314, 146, 1314, 1022]
    assert [one.seconds for one in kept] == pytest.approx(
        [len(one.samples) / ECG_HZ for one in kept]
    )
    first, second = kept[0].at, kept[1].at
    assert second.seconds_since(first) == pytest.approx(146 / ECG_HZ, abs=0.002)
    assert not [
        one
        for one in listening(
            ScriptedRadio(features=bytes.fromhex("0f 01 00")), lambda _: asyncio.sleep(2)
        ).recorded
        if isinstance(one, EcgStretch)
    ]


def test_sensor_that_refuses_one_of_two_streams_keeps_the_other() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 09 00"))

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        radio.links[0].say(bytes.fromhex("f0 02 00 03 00"), polar.CONTROL_POINT)
        radio.links[0].say(ppi_frame([(800, 5, 6)]), polar.DATA)

    heard = listening(radio, script)
    assert [(one.value, one.error) for one in heard.readings] == [(0.8, 0.005)]


@pytest.mark.parametrize(
    ("features", "answer", "reason"),
    [
        ("0f 09 00", "f0 02 00 03 00", "it refuses it (error 3: not supported)"),
        ("0f 08 00", "", "it has none"),
    ],
)
def test_sensor_that_gives_no_ecg_to_keep_is_warned_of(
    features: str, answer: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    radio = ScriptedRadio(features=bytes.fromhex(features))

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        if answer:
            radio.links[0].say(bytes.fromhex(answer), polar.CONTROL_POINT)

    listening(radio, script, replace(STRAP, keeps_ecg=True))
    assert caplog.messages == [
        f"{STRAP.source}: keep_ecg is on, but no electrocardiogram is recorded: {reason}"
    ]


def test_beat_frames_after_a_refusal_do_not_change_the_contact(
    caplog: pytest.LogCaptureFixture,
) -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 09 00"), refusal=3)
    caplog.set_level(logging.INFO)

    async def script(heard: Heard) -> None:
        await asyncio.sleep(1)
        for _ in range(3):
            radio.links[0].say(heart_rate(60, 1.0))
            radio.links[0].say(ppi_frame([(800, 5, 6)]), polar.DATA)
            assert heard.session.state.contact is True

    heard = listening(radio, script)
    assert [one.value for one in heard.readings] == [60.0, 1.0] * 3
    assert [one for one in caplog.messages if "contact" in one] == [
        f"{STRAP.source}: contact with the skin made"
    ]


def test_armband_says_error_contact_and_movement_of_each_beat() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 08 00"))

    async def script(heard: Heard) -> None:
        await asyncio.sleep(1)
        assert radio.links[0].written == [polar.start_request(polar.PolarMeasurement.PPI)]
        radio.links[0].say(ppi_frame([(800, 5, 6), (810, 40, 7), (820, 8, 4)]), polar.DATA)
        assert heard.session.state.contact is False

    heard = listening(radio, script)
    assert [(one.value, one.error, sorted(one.flags)) for one in heard.readings] == [
        (0.8, 0.005, []),
        (0.81, 0.04, ["body_movement", "poor_signal"]),
        (0.82, 0.008, ["contact_lost"]),
    ]


MOVING = replace(STRAP, measures_motion=True)
ASKS, STARTS = (
    bytes([polar.SETTINGS, polar.PolarMeasurement.ACC]),
    bytes([polar.START, polar.PolarMeasurement.ACC]),
)


def swing(first: int, count: int, form: int = 1) -> bytes:
    """A frame whose body swings by 100 mg, so that its deviation is 100 mg."""
    samples = [(0, 0, 1000 + 100 * (-1) ** (first + place)) for place in range(count)]
    last_s = SINCE_2000_S + (first + count) / 25
    if form == 1:
        return raw_acceleration(samples, last_s)
    return compressed_acceleration(samples, SINCE_2000_S + (first + count) / 52, form)


def test_strap_whose_motion_is_asked_for_measures_it_beside_its_beats() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 05 00"), answers={ASKS: [SETTINGS_OF_H10]})
    signal = ecg_of([0.6 + 0.8 * number for number in range(20)], 15)

    async def script(heard: Heard) -> None:
        await asyncio.sleep(1)
        for frame in frames_of(signal):
            radio.links[0].say(frame, polar.DATA)
        for number in range(10):
            contact = number < 7
            radio.links[0].say(heart_rate(60, 0.8, contact=contact))
            radio.links[0].say(swing(25 * number, 25), polar.DATA)
            await asyncio.sleep(1)
        assert heard.session.state.contact is False, "motion says nothing of contact"

    heard = listening(radio, script, MOVING)
    assert radio.links[0].written == [
        polar.start_request(polar.PolarMeasurement.ECG),
        ASKS,
        bytes.fromhex("02 02 00 01 19 00 01 01 10 00 02 01 04 00"),
    ]
    motion = [one for one in heard.readings if one.kind is VitalKind.BODY_MOTION]
    assert [(one.value, sorted(one.flags)) for one in motion] == [
        (100.0, []),
        (100.0, ["contact_lost"]),
    ]
    assert motion[1].at.seconds_since(motion[0].at) == pytest.approx(5, abs=0.002)
    assert [one for one in heard.readings if one.error is not None], "beats of the ECG"


def test_motion_of_an_armband_is_in_the_unit_that_its_factor_states() -> None:
    started = bytes.fromhex("f0 02 02 00 00 05 01 00 00 80 39")  # 1/4096 of g
    radio = ScriptedRadio(
        features=bytes.fromhex("0f 0e 00"), answers={ASKS: [SETTINGS_OF_ARMBAND], STARTS: [started]}
    )

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        for number in range(5):
            radio.links[0].say(swing(52 * number, 52, 0x80), polar.DATA)

    heard = listening(radio, script, MOVING)
    assert [one.value for one in heard.readings] == [round(100 / 4.096, 1)]


@pytest.mark.parametrize(
    ("features", "answers", "reason"),
    [
        ("0f 01 00", {}, "it has no accelerometer"),
        ("0f 05 00", {ASKS: [b"\xf0\1\2\x0d\0"]}, "it refuses it (error 13: it is being charged)"),
        ("0f 05 00", {ASKS: [b""]}, "it does not answer"),
        (
            "0f 05 00",
            {ASKS: [SETTINGS_OF_H10], STARTS: [b"\xf0\2\2\x0c\0"]},
            "it refuses it (error 12: not in this state)",
        ),
        ("0f 05 00", {ASKS: [SETTINGS_OF_H10], STARTS: [b""]}, "it does not answer"),
        ("0f 05 00", {}, "it names no rate of its acceleration"),
    ],
)
def test_beats_go_on_where_motion_is_refused(
    features: str, answers: dict[bytes, list[bytes]], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    radio = ScriptedRadio(features=bytes.fromhex(features), answers=answers)

    async def script(_: Heard) -> None:
        await asyncio.sleep(20)
        for frame in frames_of(ecg_of([0.6 + 0.8 * number for number in range(20)], 15)):
            radio.links[0].say(frame, polar.DATA)
        radio.links[0].say(swing(0, 125), polar.DATA)

    heard = listening(radio, script, MOVING)
    assert caplog.messages == [
        f"{STRAP.source}: body_motion is on, but no motion is recorded: {reason}"
    ]
    assert {one.kind for one in heard.readings} == {VitalKind.RR_INTERVAL}
    assert len(heard.readings) > 10


def test_strap_of_another_maker_goes_on_where_motion_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    radio = ScriptedRadio()

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        radio.links[0].say(heart_rate(60, 1.0))

    heard = listening(radio, script, MOVING)
    assert [one.value for one in heard.readings] == [60.0, 1.0]
    assert caplog.messages == [
        f"{STRAP.source}: body_motion is on, but no motion is recorded: it has no accelerometer"
    ]


def test_accelerometer_that_runs_already_is_begun_anew() -> None:
    runs = bytes([polar.ANSWER, polar.START, polar.PolarMeasurement.ACC, polar.ALREADY_RUNNING, 0])
    radio = ScriptedRadio(
        features=bytes.fromhex("0f 04 00"),
        answers={ASKS: [SETTINGS_OF_H10], STARTS: [runs, bytes.fromhex("f0 02 02 00 00")]},
    )

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        radio.links[0].say(heart_rate(60, 1.0))
        radio.links[0].say(swing(0, 125), polar.DATA)

    heard = listening(radio, script, MOVING)
    assert [request[:2].hex() for request in radio.links[0].written] == [
        *("0102", "0202", "0302", "0202")
    ]
    assert [one.value for one in heard.readings] == [60.0, 1.0, 100.0]


def test_motion_that_cannot_be_read_is_reported_once_and_beats_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 0c 00"), answers={ASKS: [SETTINGS_OF_H10]})

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        for _second in range(3):
            radio.links[0].say(swing(0, 25)[:-1], polar.DATA)
            radio.links[0].say(ppi_frame([(800, 5, 6)]), polar.DATA)

    heard = listening(radio, script, MOVING)
    assert [one.value for one in heard.readings] == [0.8] * 3
    assert [one.split(": ", 1)[1] for one in caplog.messages] == [
        "Polar measurement data has 149 octets of samples, no multiple of 6; passed over"
    ]


def test_motion_is_flagged_while_a_sensor_reports_no_contact() -> None:
    """By its service where it has no stream of beats, else by that stream."""
    for features, lost in (
        ("0f 04 00", (heart_rate(60, contact=False), None)),
        ("0f 0c 00", (ppi_frame([(800, 5, 4)]), polar.DATA)),
    ):
        answers = {ASKS: [SETTINGS_OF_H10]}
        radio = ScriptedRadio(features=bytes.fromhex(features), answers=answers)

        async def script(heard: Heard, radio: ScriptedRadio = radio, lost: Any = lost) -> None:
            await asyncio.sleep(1)
            radio.links[0].say(*lost)
            radio.links[0].say(swing(0, 125), polar.DATA)
            assert heard.session.state.contact is False, "motion itself says nothing of it"

        motion = listening(radio, script, MOVING).readings[-1]
        assert motion.kind is VitalKind.BODY_MOTION
        assert motion.flags == {VitalFlag.CONTACT_LOST}


def test_accelerometer_that_refuses_after_a_new_connection_measures_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = bytes([polar.ANSWER, polar.SETTINGS, polar.PolarMeasurement.ACC, 3, 0])
    radio = ScriptedRadio(
        features=bytes.fromhex("0f 04 00"), answers={ASKS: [SETTINGS_OF_H10, refused]}
    )
    caplog.set_level(logging.INFO)

    async def script(heard: Heard) -> None:
        for link in range(2):
            await asyncio.sleep(3)
            radio.links[link].say(heart_rate(60))
            radio.links[link].say(swing(0, 125), polar.DATA)
            radio.links[link].closed.set()

    heard = listening(radio, script, MOVING)
    assert [one.value for one in heard.readings] == [60.0, 100.0, 60.0]
    (told,) = [one for one in caplog.messages if "refuses" in one]
    assert told.endswith("no motion is recorded: it refuses it (error 3: not supported)")


def test_motion_alone_hides_no_silence_of_the_heart() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 04 00"), answers={ASKS: [SETTINGS_OF_H10]})

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        radio.links[0].say(heart_rate(60))
        for number in range(15):
            radio.links[0].say(swing(25 * number, 25), polar.DATA)
            await asyncio.sleep(1)
        radio.links[0].say(heart_rate(60))

    heard = listening(radio, script, MOVING)
    assert [(round(end - begin), reason) for begin, end, reason in heard.gaps_s()] == [
        (15, "silent")
    ]


def test_connection_without_motion_asked_for_leaves_the_accelerometer_off() -> None:
    radio = ScriptedRadio(features=bytes.fromhex("0f 05 00"))

    async def script(_: Heard) -> None:
        await asyncio.sleep(1)
        radio.links[0].say(swing(0, 125), polar.DATA)

    assert listening(radio, script).readings == []
    assert radio.links[0].written == [polar.start_request(polar.PolarMeasurement.ECG)]
