"""The health report of the appliance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from edge_agent.agent.health import HealthMonitor, processor_temperature
from edge_agent.agent.loop import is_fresh
from edge_agent.alerts.figures import AgentFigures, AlertLimits, ThrottlingProbe
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.vitals import SensorKind, SensorState
from edge_agent.mqtt.health_payload import HealthPayload
from edge_agent.timeline.upkeep.copies import CopiesState
from edge_agent.timeline.write.changes import ReplicationStanding
from edge_agent.timeline.write.outbox import Hole
from tests.support.clocks.simulated_time import Seconds
from tests.support.firmware import answer_of, firmware
from tests.support.timeline import instant

AT = instant(0)
WELL = AgentFigures(fps=15.0, frame_age_s=0.1, commit_age_s=3.0, mqtt_state="connected")


def report_of(figures: AgentFigures, folder: Path, **options: Any) -> dict[str, Any]:
    """Return a report as it is read, which has the published form."""
    report = HealthMonitor(folder, "pi", "1", **options).report(figures, AT)
    read: dict[str, Any] = json.loads(json.dumps(report))
    HealthPayload.model_validate(read)
    return read


def test_a_report_has_real_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds()
    monkeypatch.setattr(clock, "boot_seconds", seconds)
    monitor = HealthMonitor(tmp_path, "pi", "1.2.3")
    seconds.now += 42
    payload = HealthPayload.model_validate(monitor.report(WELL, AT))
    assert (payload.device, payload.version) == ("pi", "1.2.3")
    assert (payload.at, payload.uptime_seconds) == ("2026-09-21T14:20:00.000Z", 42.0)
    assert payload.memory.process_bytes > 1_000_000
    assert payload.disk is not None
    assert payload.disk.free_bytes > 0
    usage = psutil.disk_usage(str(tmp_path))
    assert payload.disk.free_percent == pytest.approx(100 - usage.percent, abs=0.2)
    assert (payload.throttling, payload.fleet) == (None, None)


def test_throttling_flags_of_the_firmware_are_in_the_report(tmp_path: Path) -> None:
    probe = ThrottlingProbe(firmware(tmp_path, "echo throttled=0x50001"))
    assert answer_of(probe) is not None
    assert report_of(WELL, tmp_path, throttling=probe)["throttling"] == {
        "under_voltage": True,
        "frequency_capped": False,
        "throttled": False,
        "soft_temperature_limit": False,
        "under_voltage_since_start": True,
        "throttled_since_start": True,
    }


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
        store_error="The disk is full.",
        unstored_since_ms=AT.wall_ms,
        copies=CopiesState(7200.123, "damaged", "backup-1", overdue=True, second_error="away"),
        mqtt_state="unreachable",
        outbox=6,
        duplicates=7,
        readings_taken=8,
        readings_refused=9,
        set_aside={"damaged": 1},
        holes=(Hole(**hole, at_ms=AT.wall_ms),),
        fleet=ReplicationStanding("connected", 2, 40),
        sensors=(SensorState("ble:01", SensorKind.HEART_RATE, connected=True, battery_percent=87),),
    )
    report = report_of(figures, tmp_path)
    assert report["schema"] == 1
    assert report["camera"] == {
        "fps": 12.35,
        "frame_age_seconds": 0.13,
        "frames_dropped": 3,
        "fps_limit": 7.5,
        "limited_by": "heat",
        "readings_per_second": 4.13,
        "effort": "sparing",
    }
    assert report["recorder"] == {
        "queue_depth": 4,
        "rows_dropped": 5,
        "last_commit_age_seconds": 2.35,
        "duplicates": 7,
        "unstored_since": report["at"],
        "error": "The disk is full.",
    }
    assert report["copies"] == {
        "last_good_age_seconds": 7200.12,
        "failed": True,
        "smaller": True,
        "second_place_failed": True,
    }
    assert report["mqtt"] == {
        "state": "unreachable",
        "outbox": 6,
        "readings_taken": 8,
        "readings_refused": 9,
        "set_aside": {"damaged": 1},
        "holes": [hole | {"at": iso_utc(AT.wall_ms)}],
    }
    assert report["fleet"] == {"state": "connected", "waiting": 2, "confirmed": 40, "given_up": 0}
    assert report["sensors"] == [
        {
            "source": "ble:01",
            "kind": "heart_rate",
            "connected": True,
            "battery_percent": 87,
            "contact": None,
            "reason": None,
        }
    ]


def test_alerts_stand_in_the_report_with_name_and_cure(tmp_path: Path) -> None:
    report = report_of(WELL, tmp_path, limits=AlertLimits(disk_free_bytes=10**18))
    told = {alert["name"]: alert["text"] for alert in report["alarms"]}
    assert "record.budget_mb" in told["disk_low"]
    report = report_of(WELL, tmp_path / "gone")
    assert report["disk"] is None
    assert "disk_gone" in {alert["name"] for alert in report["alarms"]}


@pytest.mark.parametrize(
    ("figures", "fresh"),
    [
        (AgentFigures(), True),
        (replace(WELL, frame_age_s=15.0, waiting_s=90.0), True),
        (replace(WELL, frame_age_s=15.1), False),
        (replace(WELL, waiting_s=90.1), False),
        (replace(WELL, frame_age_s=40.0, camera_error="No camera was found."), True),
        (replace(WELL, waiting_s=200.0, store_error="disk full"), True),
    ],
)
def test_the_watchdog_is_told_only_while_frames_and_commits_are_fresh(
    figures: AgentFigures, fresh: bool
) -> None:
    assert is_fresh(figures) is fresh


def test_the_processors_own_sensor_is_taken_and_the_hottest_core_counts() -> None:
    def sensor(*celsius: float) -> list[SimpleNamespace]:
        return [SimpleNamespace(current=one) for one in celsius]

    sensors = {"nvme": sensor(60.0), "coretemp": sensor(48.0, 51.5), "acpitz": sensor(27.8)}
    assert processor_temperature(sensors) == 51.5
    assert processor_temperature({**sensors, "cpu_thermal": sensor(44.4)}) == 44.4
    assert processor_temperature({"nvme": sensor(60.0)}) is None
