"""What ``bleak`` and the system say when Bluetooth does not work, in our words.

And a machine without ``bleak``.
"""

from __future__ import annotations

import sys

import pytest
from bleak.exc import BleakBluetoothNotAvailableError as Unavailable
from bleak.exc import BleakBluetoothNotAvailableReason as Why
from bleak.exc import (
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.vitals.ble import translate_errors
from edge_agent.vitals.sensor import check_bluetooth, radio_factory, scan_sensors

ADDRESS = "A0:9E:1A:00:00:01"


def dbus(name: str, *words: str) -> BleakDBusError:
    return BleakDBusError(name, list(words))


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (Unavailable("none", Why.NO_BLUETOOTH), "adapter_missing", "bluetoothctl list"),
        (Unavailable("off", Why.POWERED_OFF), "adapter_off", "bluetoothctl power on"),
        (Unavailable("no", Why.DENIED_BY_SYSTEM), "no_permission", "--append --groups bluetooth"),
        (BleakError("adapter 'hci7' not found"), "adapter_missing", "vitals.bluetooth.adapter"),
        (BleakDeviceNotFoundError(ADDRESS), "not_found", f"{ADDRESS} is not in reach"),
        (BleakCharacteristicNotFoundError("2a37"), "unsupported", "Correct its kind"),
        (BleakGATTProtocolError(0x05), "not_paired", f"bluetoothctl pair {ADDRESS}"),
        (BleakGATTProtocolError(0x0E), "connection_failed", "Unlikely Error"),
        (dbus("org.bluez.Error.NotPermitted", "Not paired"), "not_paired", "pair"),
        (dbus("org.bluez.Error.NotPermitted", "Acquired"), "connection_failed", "Acquired"),
        (dbus("org.bluez.Error.NotReady"), "adapter_off", "rfkill"),
        (dbus("org.bluez.Error.InProgress"), "radio_busy", "systemctl restart bluetooth"),
        (dbus("org.freedesktop.DBus.Error.AccessDenied", "No"), "no_permission", "bluetooth"),
        (dbus("org.freedesktop.DBus.Error.ServiceUnknown"), "bluez_missing", "apt install bluez"),
        (dbus("org.bluez.Error.Failed", "le-connection"), "connection_failed", "le-connection"),
        (FileNotFoundError(2, "No such file"), "bluez_missing", "enable --now bluetooth"),
        (PermissionError(13, "Permission denied"), "no_permission", "group"),
        (TimeoutError(), "connection_failed", "did not answer in time"),
        (EOFError(), "connection_failed", "EOFError"),
    ],
)
def test_each_failure_has_a_reason_and_a_cure(error: Exception, reason: str, said: str) -> None:
    with pytest.raises(VitalsError) as caught, translate_errors(ADDRESS):
        raise error
    assert caught.value.reason.value == reason
    assert said in str(caught.value)
    assert caught.value.cure.endswith(".")


def test_without_bleak_it_is_reported_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
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
