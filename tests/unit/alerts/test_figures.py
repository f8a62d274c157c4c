"""Figures that are alerts, each with its cure, and what the firmware says about power and heat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.alerts.figures import (
    THROTTLING_GIVE_UP_SECONDS,
    THROTTLING_SECONDS,
    AgentFigures,
    AlertLimits,
    FirmwareThrottling,
    MachineState,
    ThrottlingProbe,
    alerts_of,
    parse_throttled,
)
from edge_agent.core import clock
from edge_agent.core.threads import Death
from edge_agent.core.vitals import SensorKind, SensorState
from edge_agent.timeline.upkeep.budget import Space
from edge_agent.timeline.upkeep.copies import CopiesState
from edge_agent.timeline.write.changes import ReplicationStanding
from tests.support.broker import wait_until
from tests.support.clocks.simulated_time import Seconds
from tests.support.firmware import POWER_GOOD, answer_of, firmware
from tests.support.timeline import START_MS

WELL = AgentFigures(fps=15.0, frame_age_s=0.1, commit_age_s=3.0, mqtt_state="connected")
COOL = MachineState(
    uptime_s=600, temperature=50.0, throttling=None, disk_free_bytes=10**10, clock_synchronised=True
)
STREAM = ReplicationStanding("unreachable", 12, 40, "pi:1883: refused.", 5.0)


def told(machine: MachineState = COOL, **figures: Any) -> dict[str, str]:
    return alerts_of(replace(WELL, **figures), machine, AlertLimits())


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"temperature": 78.0}, "hot", "78 °C"),
        ({"throttling": replace(POWER_GOOD, under_voltage=True)}, "under_voltage", "power supply"),
        (
            {"throttling": replace(POWER_GOOD, under_voltage_since_start=True)},
            "was_under_voltage",
            "Check power supply and cable",
        ),
        ({"throttling": replace(POWER_GOOD, throttled=True)}, "throttled", "slowed down"),
        ({"throttling": replace(POWER_GOOD, frequency_capped=True)}, "throttled", "slowed down"),
        ({"disk_free_bytes": 120_000_000}, "disk_low", "120 MB"),
        ({"clock_synchronised": False}, "clock_not_synchronised", "Connect to a network"),
    ],
)
def test_what_the_machine_lacks_is_named_with_its_cure(
    changes: dict[str, Any], name: str, said: str
) -> None:
    alerts = told(replace(COOL, **changes))
    assert list(alerts) == [name]
    assert said in alerts[name]


@pytest.mark.parametrize(
    ("figures", "name", "said"),
    [
        ({"frame_age_s": 40.0}, "frame_stale", "40 s"),
        ({"frame_age_s": 40.0, "camera_error": "It is busy. Stop vlc."}, "camera", "Stop vlc"),
        ({"waiting_s": 200.0, "queue_depth": 9}, "commit_stale", "200 s"),
        (
            {"store_error": "disk full. Free some.", "unstored_since_ms": 1_790_000_000_000},
            "store",
            "Nothing has been stored since 2026-09-21 14:13:20 UTC: disk full. Free some.",
        ),
        ({"rows_dropped": 3}, "rows_dropped", "3 rows"),
        ({"salvage": "Rows are being carried over."}, "database_salvaged", "carried"),
        ({"damage": "SQLite says: torn."}, "database_damaged", "damaged: SQLite says: torn. The"),
        ({"space": Space(1, 1, START_MS)}, "disk_budget", "before 2026-09-21 were deleted early"),
        ({"space": Space(40_000_000, 10_000_000, None)}, "disk_budget_exceeded", "30 MB above"),
        (
            {"space": Space(1, 1, None, 40_000_000, 7_000_000)},
            "aside_files",
            "take 40 MB beside the database, and all files together are 7 MB above",
        ),
        (
            {"copies": CopiesState(90_000, error="It is damaged. Restore one.")},
            "copy_failed",
            "was not made: It is damaged. Restore one.",
        ),
        (
            {"copies": CopiesState(90_000, smaller_than="x.backup-1")},
            "copy_smaller",
            "much less than its copy x.backup-1, which is kept",
        ),
        ({"copies": CopiesState(260_000, overdue=True)}, "copy_old", "is 3 days old"),
        ({"copies": CopiesState(overdue=True)}, "copy_old", "There is no good copy"),
        (
            {"copies": CopiesState(9, second_error="The stick is away. Plug it in.")},
            "copy_also_failed",
            "at the second place was not made: The stick is away. Plug it in.",
        ),
        (
            {"erasure_left": "dashboard/exports: is a link. Delete it."},
            "erasure_unfinished",
            "maintenance tries again: dashboard/exports: is a link. Delete it.",
        ),
        (
            {"clock_doubt": "The clock says 2027. Set it."},
            "clock_not_believed",
            "Old rows are not deleted. The clock says 2027.",
        ),
        (
            {"mqtt_state": "away", "mqtt_state_s": 61, "mqtt_error": "refused.", "outbox": 12},
            "broker_away",
            "12 messages wait for the MQTT broker (away): refused.",
        ),
        ({"mqtt_state": "connecting", "mqtt_state_s": 61}, "broker_away", "does not answer"),
        ({"left_out": {"health": 1530}}, "message_too_large", "(health: 1530 bytes)"),
        (
            {"set_aside": {"too_large": 2, "damaged": 1}},
            "message_set_aside",
            "and were set aside (damaged: 1, too_large: 2).",
        ),
        (
            {"fleet": replace(STREAM, error_s=61.0)},
            "fleet",
            "12 changes of the timeline wait for the collector: pi:1883: refused.",
        ),
        ({"fleet": replace(STREAM, given_up=3)}, "fleet_backlog_full", "3 changes will not reach"),
    ],
)
def test_what_a_thread_lacks_is_named_with_its_cure(
    figures: dict[str, Any], name: str, said: str
) -> None:
    alerts = told(**figures)
    assert list(alerts) == [name]
    assert said in alerts[name]


def test_a_healthy_appliance_and_figures_at_their_limits_are_no_alert() -> None:
    assert told() == {}
    assert alerts_of(AgentFigures(), COOL, AlertLimits()) == {}
    starting = replace(COOL, clock_synchronised=False, uptime_s=120, disk_free_bytes=500_000_000)
    away = {"mqtt_state": "unreachable", "mqtt_state_s": 60.0}
    assert told(starting, frame_age_s=15.0, waiting_s=90.0, **away) == {}
    assert told(replace(COOL, temperature=77.9), fleet=STREAM) == {}


@pytest.mark.parametrize("state", ["connected", "disabled", "stopped"])
def test_a_broker_that_is_there_or_not_wanted_is_no_alert_ever(state: str) -> None:
    assert told(mqtt_state=state, mqtt_state_s=10_000) == {}


def test_a_sensor_that_is_away_is_no_alert_but_a_weak_battery() -> None:
    strap = SensorState("ble:01", SensorKind.HEART_RATE, connected=True, battery_percent=87)

    def found(**changes: Any) -> dict[str, str]:
        return told(sensors=(strap, replace(strap, **changes)))

    assert found(connected=False, reason="not_found", problem="It is away. Wear it.") == {}
    assert found(battery_percent=10) == {
        "sensor_battery": "The battery of ble:01 has 10 % left. Change or charge it."
    }
    assert found(reason="adapter_off", problem="Bluetooth is off. Switch it on.") == {
        "bluetooth": "Bluetooth is off. Switch it on."
    }


def test_source_that_died_is_an_alert_until_it_has_run_for_ten_minutes() -> None:
    present = clock.now()
    death = Death(3, present, None, ValueError("a\x1b[2J" + "x" * 500))
    text = told(deaths={"vitals-lsl:Bridge": death})["source_failed"]
    assert "vitals-lsl:Bridge failed at" in text
    assert "(3 times since the start)" in text
    assert "a\\x1b[2Jxxx" in text
    assert len(text) < 500
    assert "source_failed" in told(deaths={"serial": replace(death, back=present)})
    assert told(deaths={"serial": replace(death, back=present.shift(-601))}) == {}


def test_the_firmwares_bits_are_read_as_documented() -> None:
    assert parse_throttled("throttled=0x0\n") == POWER_GOOD
    assert parse_throttled("throttled=0x50005\n") == FirmwareThrottling(
        under_voltage=True,
        frequency_capped=False,
        throttled=True,
        soft_temperature_limit=False,
        under_voltage_since_start=True,
        throttled_since_start=True,
    )
    assert parse_throttled("throttled=0xa\n") == replace(
        POWER_GOOD, frequency_capped=True, soft_temperature_limit=True
    )


@pytest.mark.parametrize(
    "text", ["", 'error=1 error_msg="Command not registered"', "temp=48", "throttled="]
)
def test_an_answer_that_is_none_is_not_read_as_one(text: str) -> None:
    assert parse_throttled(text) is None


def test_the_firmware_is_asked_once_in_a_while_and_never_waited_for(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    seconds = Seconds()
    script = f"echo x >> {asked}; echo throttled=0x1"
    probe = ThrottlingProbe(firmware(tmp_path, script), seconds)
    assert probe.latest() is None
    assert answer_of(probe) == replace(POWER_GOOD, under_voltage=True)
    seconds.now += THROTTLING_SECONDS - 1
    for _ in range(5):
        probe.latest()
    assert asked.read_text(encoding="ascii") == "x\n"
    seconds.now += 1
    probe.latest()
    wait_until(lambda: asked.read_text(encoding="ascii") == "x\nx\n", "the next question")
    probe.close()


def test_a_firmware_that_hangs_is_given_up(tmp_path: Path) -> None:
    seconds = Seconds()
    marker = tmp_path / "again"
    script = f"[ -e {marker} ] && {{ echo throttled=0x0; exit; }}; touch {marker}; exec sleep 600"
    probe = ThrottlingProbe(firmware(tmp_path, script), seconds)
    assert probe.latest() is None
    wait_until(marker.exists, "the first question")
    seconds.now += THROTTLING_GIVE_UP_SECONDS + 0.1
    assert probe.latest() is None
    seconds.now += THROTTLING_SECONDS
    assert answer_of(probe) == POWER_GOOD
    probe.close()


def test_machine_without_the_firmware_or_the_right_to_ask_has_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for probe in (ThrottlingProbe(), ThrottlingProbe(tmp_path / "not there")):
        assert [probe.latest(), probe.latest()] == [None, None]
