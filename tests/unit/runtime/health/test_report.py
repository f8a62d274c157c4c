"""What the appliance says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from edge_agent.agent.health import HealthMonitor, processor_temperature
from edge_agent.agent.loop import is_fresh
from edge_agent.alerts.figures import (
    AgentFigures,
    AlarmLimits,
    MachineState,
    ThrottlingProbe,
    alarms,
)
from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.vitals import SensorKind, SensorState
from edge_agent.mqtt.health_payload import HealthPayload
from edge_agent.store.upkeep.copies import Standing
from edge_agent.store.write.changes import ReplicationStanding
from edge_agent.store.write.outbox import Hole
from tests.support.clocks.simulated_time import Seconds
from tests.support.firmware import POWER_GOOD, answer_of, firmware

AT = Instant(boot_ms=5_000, wall_ms=1_795_162_320_250)
WELL = AgentFigures(fps=15.0, frame_age_s=0.1, commit_age_s=3.0, mqtt_state="connected")
COOL = MachineState(
    uptime_s=600, temperature=50.0, throttling=None, disk_free_bytes=10**10, clock_synchronised=True
)


@dataclass(frozen=True)
class Sensor:
    current: float


def names(figures: AgentFigures = WELL, machine: MachineState = COOL) -> list[str]:
    return list(alarms(figures, machine, AlarmLimits()))


def test_a_report_has_the_published_form_and_real_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    monitor = HealthMonitor(tmp_path, "pi", "1.2.3")
    seconds.now += 42
    report = json.loads(json.dumps(monitor.report(replace(WELL, outbox=7), AT)))
    payload = HealthPayload.model_validate(report)
    assert (payload.device, payload.version) == ("pi", "1.2.3")
    assert payload.at == "2026-11-20T08:12:00.250Z"
    assert payload.memory.process_bytes > 1_000_000
    assert payload.disk is not None
    assert payload.disk.free_bytes > 0
    assert (payload.camera.fps, payload.recorder.last_commit_age_seconds) == (15.0, 3.0)
    assert (payload.mqtt.state, payload.mqtt.outbox) == ("connected", 7)
    assert payload.uptime_seconds == 42.0
    usage = psutil.disk_usage(str(tmp_path))
    assert payload.disk.free_percent == pytest.approx(100 - usage.percent, abs=0.2)
    assert payload.throttling is None


def test_what_the_firmware_says_stands_in_the_report(tmp_path: Path) -> None:
    probe = ThrottlingProbe(firmware(tmp_path, "echo throttled=0x50001"))
    assert answer_of(probe) is not None
    report = HealthMonitor(tmp_path, "pi", "1", throttling=probe).report(WELL, AT)
    assert report["throttling"] == {
        "under_voltage": True,
        "frequency_capped": False,
        "throttled": False,
        "soft_temperature_limit": False,
        "under_voltage_since_start": True,
        "throttled_since_start": True,
    }
    HealthPayload.model_validate(json.loads(json.dumps(report)))


def test_figures_of_the_threads_stand_in_the_report_under_their_names(tmp_path: Path) -> None:
    hole: dict[str, Any] = {"epoch": "00000000000000ab", "topic": "summary", "first": 4, "last": 6}
    hole |= {"reason": "outbox_full"}
    figures = AgentFigures(
        fps=12.345,
        frame_age_s=0.126,
        frames_dropped=3,
        fps_limit=7.504,
        limited_by="heat",
        readings_per_second=4.126,
        effort="sparing",
        queue_depth=4,
        rows_dropped=5,
        commit_age_s=2.346,
        copies=Standing(7200.123, "damaged", "backup-1", overdue=True, second_error="away"),
        mqtt_state="unreachable",
        outbox=6,
        duplicates=7,
        readings_taken=8,
        readings_refused=9,
        set_aside={"damaged": 1},
        holes=(Hole(**hole, at_ms=AT.wall_ms),),
    )
    full_report = HealthMonitor(tmp_path, "pi", "1").report(figures, AT)
    assert full_report["schema"] == 1
    assert full_report["camera"] == {
        "fps": 12.35,
        "frame_age_seconds": 0.13,
        "frames_dropped": 3,
        "fps_limit": 7.5,
        "limited_by": "heat",
        "readings_per_second": 4.13,
        "effort": "sparing",
    }
    assert full_report["recorder"] == {
        "queue_depth": 4,
        "rows_dropped": 5,
        "last_commit_age_seconds": 2.35,
        "duplicates": 7,
    }
    assert full_report["copies"] == {
        "last_good_age_seconds": 7200.12,
        "failed": True,
        "smaller": True,
        "second_place_failed": True,
    }
    assert full_report["mqtt"] == {
        "state": "unreachable",
        "outbox": 6,
        "readings_taken": 8,
        "readings_refused": 9,
        "set_aside": {"damaged": 1},
        "holes": [hole | {"at": iso_utc(AT.wall_ms)}],
    }
    HealthPayload.model_validate(json.loads(json.dumps(full_report)))


def test_messages_that_were_set_aside_are_an_alarm_that_says_what_to_do() -> None:
    told = alarms(replace(WELL, set_aside={"too_large": 2, "damaged": 1}), COOL, AlarmLimits())[
        "message_set_aside"
    ]
    assert "3 messages" in told and "damaged: 1, too_large: 2" in told
    assert "affect-edge doctor" in told and "max_packet_size" in told


def test_a_topic_that_is_left_out_and_a_damaged_database_are_alarms() -> None:
    figures = replace(WELL, left_out={"health": 1530}, damage="SQLite says: page 7 is torn.")
    told = alarms(figures, COOL, AlarmLimits())
    assert "(health: 1530 bytes)" in told["message_too_large"]
    assert "is damaged: SQLite says: page 7 is torn. The agent" in told["database_damaged"]


def test_a_figure_at_its_limit_is_no_alarm_yet_where_more_is_worse() -> None:
    at_limit = replace(WELL, frame_age_s=15.0, waiting_s=90.0)
    away = replace(at_limit, mqtt_state="unreachable", mqtt_state_s=60.0)
    starting = replace(COOL, clock_synchronised=False, uptime_s=120, disk_free_bytes=500_000_000)
    assert names(away, starting) == []
    assert is_fresh(away)
    assert not is_fresh(replace(WELL, frame_age_s=15.1))
    assert not is_fresh(replace(WELL, waiting_s=90.1))
    assert names(machine=replace(COOL, temperature=77.9)) == []
    assert names(machine=replace(COOL, temperature=78.0)) == ["hot"]


@pytest.mark.parametrize("state", ["connected", "disabled", "stopped"])
def test_a_broker_that_is_there_or_not_wanted_is_no_alarm_ever(state: str) -> None:
    assert names(replace(WELL, mqtt_state=state, mqtt_state_s=10_000)) == []


def test_a_healthy_appliance_has_no_alarm() -> None:
    assert names() == []
    assert names(AgentFigures()) == []


def test_alarms_stand_in_the_report_with_name_and_cure(tmp_path: Path) -> None:
    monitor = HealthMonitor(tmp_path, "pi", "1", limits=AlarmLimits(disk_free_bytes=10**18))
    found = {alarm["name"]: alarm["text"] for alarm in monitor.report(WELL, AT)["alarms"]}
    assert "record.budget_mb" in found["disk_low"]


def test_a_data_folder_that_is_gone_is_an_alarm_and_no_crash(tmp_path: Path) -> None:
    report = HealthMonitor(tmp_path / "gone", "pi", "1").report(WELL, AT)
    assert HealthPayload.model_validate(report).disk is None
    assert "disk_gone" in {alarm["name"] for alarm in report["alarms"]}


@pytest.mark.parametrize(
    ("machine", "name", "said"),
    [
        (replace(COOL, temperature=82.4), "hot", "82 °C"),
        (
            replace(COOL, throttling=replace(POWER_GOOD, under_voltage=True)),
            "under_voltage",
            "power supply",
        ),
        (
            replace(COOL, throttling=replace(POWER_GOOD, under_voltage_since_start=True)),
            "was_under_voltage",
            "Check power supply and cable",
        ),
        (replace(COOL, throttling=replace(POWER_GOOD, throttled=True)), "throttled", "slower"),
        (
            replace(COOL, throttling=replace(POWER_GOOD, frequency_capped=True)),
            "throttled",
            "slower",
        ),
        (replace(COOL, disk_free_bytes=120_000_000), "disk_low", "120 MB"),
        (replace(COOL, clock_synchronised=False), "clock_not_synchronised", "Connect to a network"),
    ],
)
def test_what_the_machine_lacks_is_named_with_its_cure(
    machine: MachineState, name: str, said: str
) -> None:
    assert names(machine=machine) == [name]
    assert said in alarms(WELL, machine, AlarmLimits())[name]


@pytest.mark.parametrize(
    ("figures", "name", "said"),
    [
        (replace(WELL, frame_age_s=40.0), "frame_stale", "40 s"),
        (replace(WELL, salvage="Rows are being carried over."), "database_salvaged", "carried"),
        (
            replace(WELL, frame_age_s=40.0, camera_error="The camera is busy. Stop vlc."),
            "camera",
            "Stop vlc",
        ),
        (replace(WELL, waiting_s=200.0, queue_depth=9), "commit_stale", "200 s"),
        (replace(WELL, waiting_s=200.0, store_error="disk full. Free some."), "store", "Free some"),
        (replace(WELL, rows_dropped=3), "rows_dropped", "3 rows"),
        (
            replace(WELL, budget_cut_ms=AT.wall_ms),
            "disk_budget",
            "before 2026-11-20 were deleted early",
        ),
        (replace(WELL, budget_over_bytes=30_000_000), "disk_budget_exceeded", "30 MB larger"),
        (
            replace(WELL, aside_bytes=40_000_000, aside_over_bytes=7_000_000),
            "aside_files",
            "take 40 MB beside the database, and all its files are 7 MB larger",
        ),
        (
            replace(WELL, copies=Standing(90_000, error="It is damaged. Restore one.")),
            "copy_failed",
            "was not made: It is damaged. Restore one.",
        ),
        (
            replace(WELL, copies=Standing(90_000, smaller_than="x.backup-1")),
            "copy_smaller",
            "much less than its copy x.backup-1, which is kept",
        ),
        (replace(WELL, copies=Standing(260_000, overdue=True)), "copy_old", "is 3 days old"),
        (replace(WELL, copies=Standing(overdue=True)), "copy_old", "There is no good copy"),
        (
            replace(WELL, copies=Standing(9, second_error="The stick is away. Plug it in.")),
            "copy_also_failed",
            "in a second place was not made: The stick is away. Plug it in.",
        ),
        (
            replace(WELL, clock_doubt="The clock says 2027. Set it."),
            "clock_not_believed",
            "Old rows are not deleted. The clock says 2027.",
        ),
        (
            replace(
                WELL,
                mqtt_state="unreachable",
                mqtt_state_s=61,
                mqtt_error="pi:1883: refused.",
                outbox=12,
            ),
            "broker_away",
            "12 messages wait for the MQTT broker (unreachable): pi:1883: refused.",
        ),
        (replace(WELL, mqtt_state="connecting", mqtt_state_s=61), "broker_away", "does not answer"),
    ],
)
def test_what_a_thread_lacks_is_named_with_its_cure(
    figures: AgentFigures, name: str, said: str
) -> None:
    assert names(figures) == [name]
    assert said in alarms(figures, COOL, AlarmLimits())[name]


def test_a_stream_to_a_collector_that_is_broken_is_an_alarm_after_a_while() -> None:
    stream = ReplicationStanding("unreachable", 12, 40, "pi:1883: refused.", 5.0)
    assert names(replace(WELL, fleet=stream)) == []
    figures = replace(WELL, fleet=replace(stream, error_s=61.0, given_up=3))
    said = alarms(figures, COOL, AlarmLimits())
    assert said["fleet"] == ("12 changes of the timeline wait for the collector: pi:1883: refused.")
    assert said["fleet_backlog_full"].startswith("3 changes will not reach the collector")


def test_the_stream_stands_in_the_report_and_is_null_without_one(tmp_path: Path) -> None:
    monitor = HealthMonitor(tmp_path, "pi", "1")
    assert monitor.report(WELL, AT)["fleet"] is None
    figures = replace(WELL, fleet=ReplicationStanding("connected", 2, 40))
    report = json.loads(json.dumps(monitor.report(figures, AT)))
    assert report["fleet"] == {"state": "connected", "waiting": 2, "confirmed": 40, "given_up": 0}
    HealthPayload.model_validate(report)


STRAP = SensorState(
    "ble:A0:9E:1A:00:00:01", SensorKind.HEART_RATE, connected=True, battery_percent=87, contact=True
)


def test_sensors_stand_in_the_report_with_battery_and_contact(tmp_path: Path) -> None:
    report = HealthMonitor(tmp_path, "pi", "1").report(replace(WELL, sensors=(STRAP,)), AT)
    assert report["sensors"] == [
        {
            "source": "ble:A0:9E:1A:00:00:01",
            "kind": "heart_rate",
            "connected": True,
            "battery_percent": 87,
            "contact": True,
            "reason": None,
        }
    ]
    HealthPayload.model_validate(json.loads(json.dumps(report)))


def test_a_sensor_that_is_away_is_no_alarm_but_a_weak_battery_and_missing_bluetooth_are() -> None:
    def found(**changes: Any) -> dict[str, str]:
        return alarms(
            replace(WELL, sensors=(STRAP, replace(STRAP, **changes))), COOL, AlarmLimits()
        )

    assert found(connected=False, reason="not_found", problem="It is away. Wear it.") == {}
    assert found(battery_percent=10) == {
        "sensor_battery": "The battery of ble:A0:9E:1A:00:00:01 has 10 % left. Change or charge it."
    }
    assert found(reason="adapter_off", problem="Bluetooth is off. Switch it on.") == {
        "bluetooth": "Bluetooth is off. Switch it on."
    }


def test_the_watchdog_is_told_only_while_frames_and_commits_are_fresh() -> None:
    assert is_fresh(WELL)
    assert is_fresh(AgentFigures())
    assert not is_fresh(replace(WELL, frame_age_s=40.0))
    assert not is_fresh(replace(WELL, waiting_s=200.0))
    assert is_fresh(replace(WELL, frame_age_s=40.0, camera_error="No camera was found."))
    assert is_fresh(replace(WELL, waiting_s=200.0, store_error="disk full"))


def test_the_processors_own_sensor_is_taken_and_the_hottest_core_counts() -> None:
    sensors = {
        "nvme": [Sensor(60.0)],
        "coretemp": [Sensor(48.0), Sensor(51.5)],
        "acpitz": [Sensor(27.8)],
    }
    assert processor_temperature(sensors) == 51.5
    assert processor_temperature({**sensors, "cpu_thermal": [Sensor(44.4)]}) == 44.4
    assert processor_temperature({"nvme": [Sensor(60.0)]}) is None
    assert processor_temperature({}) is None
