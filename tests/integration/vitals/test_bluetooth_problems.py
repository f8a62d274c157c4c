"""Bluetooth that does not work: each cause is told apart, with its cure, and the doctor sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.appliance.checks import Finding, Verdict
from edge_agent.appliance.doctor import diagnose
from edge_agent.config.loading import load_settings
from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.vitals.sensor import check_bluetooth, scan_sensors
from tests.support.vitals.bluez import BlueZ
from tests.support.vitals.dbus import NOT_IN_THE_GROUP, Bus
from tests.support.vitals.near_sensors import strap

STRAP = strap()


def reason_of(adapter: str | None = None) -> VitalsReason:
    with pytest.raises(VitalsError) as caught:
        check_bluetooth(adapter)
    assert caught.value.cure
    return caught.value.reason


def test_what_is_missing_for_bluetooth_is_told_apart(
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
    def finding(devices: list[dict[str, str]]) -> Finding | None:
        settings = load_settings(
            None,
            {
                "vitals": {"bluetooth": {"devices": devices}},
                "camera": {"source": "demo"},
                "mqtt": {"enabled": False},
            },
        )
        return next((f for f in diagnose(settings, tmp_path) if f.check == "bluetooth"), None)

    configured = [{"address": STRAP.address, "kind": "heart_rate"}]
    assert finding([]) is None
    missing = finding(configured)
    assert missing and missing.verdict is Verdict.PROBLEM and "apt install bluez" in missing.cure
    with BlueZ(bus):
        well = finding(configured)
    assert well and well.verdict is Verdict.OK and "A0:9E:1A:00:00:01 (heart_rate)" in well.found
