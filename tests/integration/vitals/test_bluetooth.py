"""Straps and cuffs, end to end: the real ``bleak`` on a real D-Bus with BlueZ's objects.

Only the radio is missing.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from affect_edge import cli
from edge_agent.appliance.doctor import diagnose
from edge_agent.appliance.findings import Finding, Verdict
from edge_agent.config.data import RecorderOptions
from edge_agent.config.loading import load_settings
from edge_agent.core.electrocardiogram import ECG_ERROR_S
from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.core.vitals import SensorKind, SensorState
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vitals import ble, polar
from edge_agent.vitals.gatt import (
    BLOOD_PRESSURE_MEASUREMENT,
    CONTINUOUS_MEASUREMENT,
    HEART_RATE_MEASUREMENT,
    SPOT_CHECK_MEASUREMENT,
    TEMPERATURE_MEASUREMENT,
)
from edge_agent.vitals.sensor import (
    BluetoothVitals,
    Sensor,
    check_bluetooth,
    radio_factory,
    scan_sensors,
)
from tests.support.appliance import Appliance
from tests.support.broker import wait_until
from tests.support.timeline import query, timeline
from tests.support.vitals.bluez import BlueZ
from tests.support.vitals.dbus import NOT_IN_THE_GROUP, Bus
from tests.support.vitals.near_sensors import Sensor as NearSensor
from tests.support.vitals.near_sensors import (
    cuff,
    oximeter,
    polar_sensor,
    strap,
    thermometer,
    toothbrush,
)
from tests.support.vitals.polar_frames import (
    SETTINGS_OF_H10,
    SINCE_2000_S,
    ecg_of,
    frames_of,
    ppi_frame,
    raw_acceleration,
)
from tests.support.vitals.straps import heart_rate

PATIENCE_S = 60.0
# 120.0/80, mean 93, pulse 72
MEASURED = struct.pack("<BHHHHBBBBBH", 0b110, 0xF4B0, 80, 93, 2026, 1, 2, 3, 4, 5, 72)


class Source:
    """The source of the agent, with a recorder and a database of its own."""

    def __init__(self, folder: Path, *sensors: Sensor) -> None:
        self.path = timeline(folder)
        self.recorder = Recorder(self.path, RecorderOptions(batch_seconds=0.2))
        submit = self.recorder.submit
        self.bluetooth = BluetoothVitals(submit, submit, sensors, radio_factory(None))

    def __enter__(self) -> Source:
        self.recorder.start()
        self.bluetooth.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bluetooth.stop()
        assert self.bluetooth.join(PATIENCE_S)
        self.recorder.stop()
        assert self.recorder.join(PATIENCE_S)
        assert self.bluetooth.error is None

    def state(self, number: int = 0) -> SensorState:
        states = self.bluetooth.states
        return states[number] if states else SensorState("", SensorKind.HEART_RATE)

    def wait_for_rows(self, rows: int) -> None:
        wait_until(
            lambda: query(self.path, "SELECT count(*) FROM vital")[0][0] >= rows,
            f"{rows} rows",
            PATIENCE_S,
        )


def wait_for_listener(bluez: BlueZ, near: NearSensor, characteristic: str) -> None:
    wait_until(lambda: bluez.listens(near, characteristic), f"a listener to {near.name}")


def scanned(*words: str) -> Result:
    """What the command says after a second."""
    command = ["vitals", "scan", "--seconds", "1", *words]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


def sensor(near: NearSensor, kind: SensorKind = SensorKind.HEART_RATE) -> Sensor:
    return Sensor(near.address, kind)


def vitals(path: Path) -> list[tuple[Any, ...]]:
    columns = "source, kind, value, flags, device_time"
    return query(path, f"SELECT {columns} FROM vital") if path.exists() else []


def test_the_agent_connects_records_and_connects_again_after_a_drop(
    bus: Bus, tmp_path: Path
) -> None:
    belt = strap()
    arm = cuff()
    quiet: dict[str, dict[str, Any]] = {
        "camera": {"source": "demo"},
        "mqtt": {"enabled": False},
        "record": {"batch_seconds": 0.5},
    }
    with BlueZ(bus, belt, arm, toothbrush()) as bluez:
        agent = Appliance(tmp_path, quiet)
        with agent.config.open("a", encoding="utf-8") as config:
            config.write("[vitals.bluetooth]\ndevices = [\n")
            config.write(f'  {{ address = "{belt.address.lower()}", kind = "heart_rate" }},\n')
            config.write(f'  {{ address = "{arm.address}", kind = "blood_pressure" }},\n]\n')
        with agent:
            wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
            wait_for_listener(bluez, arm, BLOOD_PRESSURE_MEASUREMENT)
            bluez.say(belt, HEART_RATE_MEASUREMENT, bytes.fromhex("16 48 ff 01 ff 01 0c 01"))
            bluez.say(arm, BLOOD_PRESSURE_MEASUREMENT, MEASURED)
            bluez.drop(belt)
            wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
            bluez.say(belt, HEART_RATE_MEASUREMENT, heart_rate(73))
            wait_until(lambda: len(vitals(agent.database)) == 9, "all rows", PATIENCE_S)
            assert agent.stop() == 0, agent.said
        assert belt.connections == 2
        wait_until(
            lambda: not belt.connected and not arm.connected, "it to say goodbye to the sensors"
        )
    strap_rows = [row for row in vitals(agent.database) if row[0] == f"ble:{belt.address}"]
    assert sorted(row[1:3] for row in strap_rows) == [
        ("heart_rate", 72.0),
        ("heart_rate", 73.0),
        ("rr_interval", 268 / 1024),
        ("rr_interval", 511 / 1024),
        ("rr_interval", 511 / 1024),
    ]
    cuff_rows = [row[1:] for row in vitals(agent.database) if row[0] == f"ble:{arm.address}"]
    measured = {"diastolic": 80.0, "heart_rate": 72.0, "mean_arterial": 93.0, "systolic": 120.0}
    assert sorted(cuff_rows) == [
        (kind, value, "clock_differs", "2026-01-02T03:04:05") for kind, value in measured.items()
    ]
    assert "Traceback" not in agent.said


def test_an_oximeter_and_a_thermometer_are_recorded(bus: Bus, tmp_path: Path) -> None:
    finger = oximeter()
    spot = oximeter("B8:27:EB:00:00:05", continuous=False)
    patch = thermometer()
    kinds = (SensorKind.PULSE_OXIMETER, SensorKind.PULSE_OXIMETER, SensorKind.THERMOMETER)
    near = (finger, spot, patch)
    characteristics = (CONTINUOUS_MEASUREMENT, SPOT_CHECK_MEASUREMENT, TEMPERATURE_MEASUREMENT)
    wanted = [sensor(one, kind) for one, kind in zip(near, kinds, strict=True)]
    with BlueZ(bus, *near) as bluez, Source(tmp_path, *wanted) as source:
        for one, characteristic in zip(near, characteristics, strict=True):
            wait_for_listener(bluez, one, characteristic)
        bluez.say(finger, CONTINUOUS_MEASUREMENT, bytes.fromhex("00 61 00 48 00"))
        bluez.say(spot, SPOT_CHECK_MEASUREMENT, bytes.fromhex("00 60 00 ff 07"))
        bluez.say(patch, TEMPERATURE_MEASUREMENT, bytes.fromhex("04 45 01 00 ff 04"))
        source.wait_for_rows(4)
        bluez.drop(finger)
        wait_for_listener(bluez, finger, CONTINUOUS_MEASUREMENT)
        bluez.say(finger, CONTINUOUS_MEASUREMENT, bytes.fromhex("00 62 00 49 00"))
        source.wait_for_rows(6)
    rows = query(source.path, "SELECT source, kind, value FROM vital ORDER BY source, kind, at")
    assert rows == [
        ("ble:B8:27:EB:00:00:03", "heart_rate", 72.0),
        ("ble:B8:27:EB:00:00:03", "heart_rate", 73.0),
        ("ble:B8:27:EB:00:00:03", "oxygen_saturation", 97.0),
        ("ble:B8:27:EB:00:00:03", "oxygen_saturation", 98.0),
        ("ble:B8:27:EB:00:00:05", "oxygen_saturation", 96.0),
        ("ble:D0:CF:5E:00:00:04", "skin_temperature", 32.5),
    ]
    assert finger.connections == 2


def test_a_sensor_that_a_crash_left_connected_is_taken_over(bus: Bus, tmp_path: Path) -> None:
    belt = strap()
    with BlueZ(bus, belt) as bluez:
        bluez.leave_connected(belt)
        with Source(tmp_path, sensor(belt)):
            wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
        assert belt.connections == 1


def test_sensors_that_cannot_be_used_say_why_and_keep_no_other_waiting(
    bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ble, "SEARCH_S", 2.0)
    absent, arm, belt = strap("A0:9E:1A:00:00:09"), cuff(), strap()
    absent.in_reach = False
    arm.wants_pairing = True
    wanted = (sensor(absent), sensor(arm, SensorKind.BLOOD_PRESSURE), sensor(belt))
    with BlueZ(bus, absent, arm, belt) as bluez, Source(tmp_path, *wanted) as source:
        wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
        wait_until(lambda: source.state(0).reason == "not_found", "the first to be missed")
        wait_until(lambda: source.state(1).reason == "not_paired", "the cuff to refuse")
        assert f"bluetoothctl pair {arm.address}" in (source.state(1).problem or "")
        assert source.state(2).connected


def test_the_scan_lists_straps_and_cuffs_with_what_the_configuration_wants(bus: Bus) -> None:
    belt = strap()
    arm = replace(cuff(), name="Cuff \x1b[2J")
    with BlueZ(bus, belt, arm, toothbrush()):
        plain, as_json = scanned(), scanned("--json")
    assert "Strap 9, A0:9E:1A:00:00:01, -6" in plain.stdout
    assert " dBm, heart rate, battery 87 %\n" in plain.stdout
    assert '\n  { address = "A0:9E:1A:00:00:01", kind = "heart_rate" },\n' in plain.stdout
    assert '\n  { address = "A4:C1:38:00:00:02", kind = "blood_pressure" },\n' in plain.stdout
    assert "Toothbrush" not in plain.stdout
    assert "Cuff \\x1b[2J, A4:C1:38:00:00:02" in plain.stdout
    found = {entry["address"]: entry for entry in json.loads(as_json.stdout)}
    assert set(found) == {belt.address, arm.address}
    assert found[belt.address]["kinds"] == ["heart_rate"]
    assert [found[one.address]["battery_percent"] for one in (belt, arm)] == [87, None]
    assert found[belt.address]["services"] == sorted(belt.services)


def test_a_scan_does_not_disturb_a_sensor_that_the_agent_holds(bus: Bus, tmp_path: Path) -> None:
    belt = strap()
    with BlueZ(bus, belt) as bluez, Source(tmp_path, sensor(belt)):
        wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
        (found,) = scan_sensors(1, None)
        assert (found.address, found.connected, found.rssi) == (belt.address, True, None)
        assert bluez.listens(belt, HEART_RATE_MEASUREMENT)
        assert "connected to this machine" in scanned().stdout


def test_a_scan_that_finds_nothing_says_what_to_do(bus: Bus) -> None:
    with BlueZ(bus, toothbrush()):
        ended = scanned()
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "No strap or cuff was heard within 1 s. A strap speaks while it is worn" in ended.stderr


def test_a_source_outlives_bluetooth_that_does_not_work_and_comes_back(
    bus: Bus, tmp_path: Path
) -> None:
    belt = strap()
    with Source(tmp_path, sensor(belt)) as source:
        wait_until(
            lambda: source.state().reason == "bluez_missing", "the service to be missed", PATIENCE_S
        )
        with BlueZ(bus, belt) as bluez:
            wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
            wait_until(lambda: source.state().connected, "it to say so", PATIENCE_S)
            assert source.state().reason is None


def test_source_radio_stuck_in_progress_is_told_and_tried_until_it_works(
    bus: Bus, tmp_path: Path
) -> None:
    belt = strap()
    with BlueZ(bus, belt) as bluez:
        bluez.is_stuck = True
        with Source(tmp_path, sensor(belt)) as source:
            wait_until(lambda: source.state().reason == "radio_busy", "InProgress", PATIENCE_S)
            assert "sudo systemctl restart bluetooth" in (source.state().problem or "")
            assert reason_of() is VitalsReason.RADIO_BUSY
            bluez.is_stuck = False
            wait_for_listener(bluez, belt, HEART_RATE_MEASUREMENT)
            wait_until(lambda: source.state().reason is None, "the reason to go", PATIENCE_S)


# Bluetooth that does not work: each cause with its cure, which the doctor sees, too


def reason_of(adapter: str | None = None) -> VitalsReason:
    with pytest.raises(VitalsError) as caught:
        check_bluetooth(adapter)
    assert caught.value.cure
    return caught.value.reason


def test_missing_parts_of_bluetooth_are_distinguished(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reason_of() is VitalsReason.BLUEZ_MISSING
    with BlueZ(bus, adapter=False):
        assert reason_of() is VitalsReason.ADAPTER_MISSING
    with BlueZ(bus, powered=False):
        assert reason_of() is VitalsReason.ADAPTER_OFF
        assert reason_of("hci0") is VitalsReason.ADAPTER_OFF
    with BlueZ(bus):
        assert reason_of("hci7") is VitalsReason.ADAPTER_MISSING
        check_bluetooth(None)
        check_bluetooth("hci0")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/socket")
    assert reason_of() is VitalsReason.BLUEZ_MISSING


def test_a_user_outside_the_group_is_told_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    with Bus(policy=NOT_IN_THE_GROUP) as bus, BlueZ(bus, strap()):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        assert reason_of() is VitalsReason.NO_PERMISSION
        with pytest.raises(VitalsError, match="usermod --append --groups bluetooth"):
            scan_sensors(1, None)


def test_the_doctor_looks_at_bluetooth_where_it_is_configured(bus: Bus, tmp_path: Path) -> None:
    def finding(*devices: dict[str, str]) -> Finding | None:
        wanted: dict[str, dict[str, Any]] = {
            "vitals": {"bluetooth": {"devices": list(devices)}},
            "camera": {"source": "demo"},
            "mqtt": {"enabled": False},
        }
        settings = load_settings(None, wanted)
        return next((f for f in diagnose(settings, tmp_path) if f.check == "bluetooth"), None)

    belt = {"address": strap().address, "kind": "heart_rate"}
    assert finding() is None
    missing = finding(belt)
    assert missing and missing.verdict is Verdict.PROBLEM and "apt install bluez" in missing.cure
    with BlueZ(bus):
        well = finding(belt)
    assert well and well.verdict is Verdict.OK and "A0:9E:1A:00:00:01 (heart_rate)" in well.found


def test_polar_strap_and_armband_record_beats_with_errors_and_return(
    bus: Bus, tmp_path: Path
) -> None:
    belt = polar_sensor("A0:9E:1A:00:00:0A", 0b101, "Polar H10 12345678")
    arm = polar_sensor("A0:9E:1A:00:00:0B", 0b1110, "Polar Sense 12345678")
    beats = [0.6 + 0.8 * number for number in range(40)]
    with BlueZ(bus, belt, arm) as bluez, Source(tmp_path, sensor(belt), sensor(arm)) as source:
        wait_until(lambda: bool(belt.written) and bool(arm.written), "requests", PATIENCE_S)
        # All of it at once: one interval may be lost at the beginning on a busy machine.
        for frame in frames_of(ecg_of(beats, 26)):
            bluez.say(belt, polar.DATA, frame)
        bluez.say(arm, polar.DATA, ppi_frame([(800, 5, 6), (810, 40, 7), (820, 8, 4)]))
        bluez.drop(arm)
        wait_until(lambda: len(arm.written) == 2, "it to ask again", PATIENCE_S)
        bluez.say(arm, polar.DATA, ppi_frame([(830, 6, 6)]))
        source.wait_for_rows(24)
        wait_until(lambda: source.state(1).contact is True, "contact again", PATIENCE_S)
    assert [one.hex(" ") for one in belt.written] == ["02 00 00 01 82 00 01 01 0e 00"]
    assert [one.hex(" ") for one in arm.written] == ["02 03", "02 03"]
    columns = "value, error, flags FROM vital WHERE source = ? ORDER BY at"
    assert query(source.path, f"SELECT {columns}", f"ble:{arm.address}") == [
        (0.8, 0.005, ""),
        (0.81, 0.04, "body_movement poor_signal"),
        (0.82, 0.008, "contact_lost"),
        (0.83, 0.006, ""),
    ]
    of_belt = query(source.path, f"SELECT {columns}", f"ble:{belt.address}")
    assert len(of_belt) >= 20
    assert [value for value, _, _ in of_belt] == pytest.approx([0.8] * len(of_belt), abs=0.002)
    assert {(error, flags) for _, error, flags in of_belt} == {(ECG_ERROR_S, "")}


def test_polar_strap_records_motion_beside_its_beats_after_each_connection(
    bus: Bus, tmp_path: Path
) -> None:
    belt = polar_sensor("A0:9E:1A:00:00:0A", 0b101, "Polar H10 12345678")
    belt.answers = {b"\1\2": SETTINGS_OF_H10}
    moving = replace(sensor(belt), measures_motion=True)
    up_and_down = [(0, 0, 900), (0, 0, 1100)] * 18
    of_motion = "SELECT value, flags FROM vital WHERE kind = 'body_motion'"
    with BlueZ(bus, belt) as bluez, Source(tmp_path, moving) as source:
        numbers = count(1)

        def has_moved(since: int) -> bool:
            last_s = SINCE_2000_S + 36 * next(numbers) / 25
            bluez.say(belt, polar.DATA, raw_acceleration(up_and_down, last_s))
            return len(query(source.path, of_motion)) > since

        wait_until(lambda: len(belt.written) == 3, "requests", PATIENCE_S)
        wait_until(lambda: has_moved(0), "motion", PATIENCE_S)
        bluez.drop(belt)
        wait_until(lambda: len(belt.written) == 6, "it to ask again", PATIENCE_S)
        known = len(query(source.path, of_motion))
        wait_until(lambda: has_moved(known), "motion again", PATIENCE_S)
    assert [one.hex(" ") for one in belt.written[:3]] == [
        "02 00 00 01 82 00 01 01 0e 00",
        "01 02",
        "02 02 00 01 19 00 01 01 10 00 02 01 04 00",
    ]
    assert set(query(source.path, of_motion)) == {(100.0, "")}
