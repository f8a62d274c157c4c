"""What ``bleak`` and the system say when Bluetooth does not work, in our words.

And a machine without ``bleak``.
"""

from __future__ import annotations

import sys

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.vitals.ble import translated
from edge_agent.vitals.gatt import HEART_RATE_MEASUREMENT
from edge_agent.vitals.sensor import check_bluetooth, radio_factory, scan_sensors

ADDRESS = "A0:9E:1A:00:00:01"


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (
            BleakBluetoothNotAvailableError("none", BleakBluetoothNotAvailableReason.NO_BLUETOOTH),
            VitalsReason.ADAPTER_MISSING,
            "bluetoothctl list",
        ),
        (
            BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason.POWERED_OFF),
            VitalsReason.ADAPTER_OFF,
            "bluetoothctl power on",
        ),
        (
            BleakBluetoothNotAvailableError(
                "denied", BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM
            ),
            VitalsReason.NO_PERMISSION,
            "usermod --append --groups bluetooth",
        ),
        (
            BleakError("adapter 'hci7' not found"),
            VitalsReason.ADAPTER_MISSING,
            "vitals.bluetooth.adapter",
        ),
        (BleakDeviceNotFoundError(ADDRESS), VitalsReason.NOT_FOUND, f"{ADDRESS} is not in reach"),
        (
            BleakCharacteristicNotFoundError(HEART_RATE_MEASUREMENT),
            VitalsReason.UNSUPPORTED,
            "Correct its kind",
        ),
        (BleakGATTProtocolError(0x05), VitalsReason.NOT_PAIRED, f"bluetoothctl pair {ADDRESS}"),
        (BleakGATTProtocolError(0x0E), VitalsReason.CONNECTION_FAILED, "Unlikely Error"),
        (
            BleakDBusError("org.bluez.Error.NotPermitted", ["Not paired"]),
            VitalsReason.NOT_PAIRED,
            "pair",
        ),
        (
            BleakDBusError("org.bluez.Error.NotPermitted", ["Notify acquired"]),
            VitalsReason.CONNECTION_FAILED,
            "Notify acquired",
        ),
        (BleakDBusError("org.bluez.Error.NotReady", []), VitalsReason.ADAPTER_OFF, "rfkill"),
        (
            BleakDBusError("org.freedesktop.DBus.Error.AccessDenied", ["Rejected send message"]),
            VitalsReason.NO_PERMISSION,
            "bluetooth",
        ),
        (
            BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", []),
            VitalsReason.BLUEZ_MISSING,
            "apt install bluez",
        ),
        (
            BleakDBusError("org.bluez.Error.Failed", ["le-connection"]),
            VitalsReason.CONNECTION_FAILED,
            "le-connection",
        ),
        (
            FileNotFoundError(2, "No such file"),
            VitalsReason.BLUEZ_MISSING,
            "systemctl enable --now bluetooth",
        ),
        (PermissionError(13, "Permission denied"), VitalsReason.NO_PERMISSION, "group"),
        (TimeoutError(), VitalsReason.CONNECTION_FAILED, "did not answer in time"),
        (EOFError(), VitalsReason.CONNECTION_FAILED, "EOFError"),
    ],
)
def test_each_failure_has_a_reason_and_a_cure(
    error: Exception, reason: VitalsReason, said: str
) -> None:
    with pytest.raises(VitalsError) as caught, translated(ADDRESS):
        raise error
    assert caught.value.reason is reason
    assert said in str(caught.value)
    assert caught.value.cure.endswith(".")


def test_without_bleak_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bleak", None)
    monkeypatch.delitem(sys.modules, "edge_agent.vitals.ble")
    for call in (
        lambda: radio_factory(None),
        lambda: check_bluetooth(None),
        lambda: scan_sensors(1, None),
    ):
        with pytest.raises(
            VitalsError, match="bleak, is not installed. With pipx: pipx inject affect-edge bleak"
        ) as caught:
            call()
        assert caught.value.reason is VitalsReason.BLEAK_MISSING
