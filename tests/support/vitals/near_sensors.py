"""Bluetooth sensors near the adapter: a strap, a cuff, a toothbrush."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_agent.vitals import gatt, polar

ADAPTER_PATH = "/org/bluez/hci0"
BATTERY_SERVICE = "0000180f-0000-1000-8000-00805f9b34fb"


@dataclass
class Sensor:
    """A sensor near the adapter.

    Attributes:
        address: of the sensor.
        name: as it advertises it.
        services: service UUID → characteristic UUID → its value (readable) or ``None`` (it notifies
            or indicates).
        indicates: whether values are indicated instead of notified.
        in_reach: whether it advertises and can be connected.
        wants_pairing: whether it refuses to be subscribed to before.
        connections: how often it was connected.
        written: what was written to the control point of Polar's protocol.
        answers: what it answers there to requests that begin so, if not a success alone.
    """

    address: str
    name: str
    services: dict[str, dict[str, bytes | None]]
    indicates: bool = False
    in_reach: bool = True
    wants_pairing: bool = False
    connected: bool = False
    connections: int = 0
    notifying: set[str] = field(default_factory=set)
    written: list[bytes] = field(default_factory=list)
    answers: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"{ADAPTER_PATH}/dev_{self.address.replace(':', '_')}"


def strap(address: str = "A0:9E:1A:00:00:01", battery: int = 87) -> Sensor:
    services: dict[str, dict[str, bytes | None]] = {
        gatt.HEART_RATE_SERVICE: {
            gatt.HEART_RATE_MEASUREMENT: None,
            "00002a38-0000-1000-8000-00805f9b34fb": b"\1",  # where it is worn: nobody asks
        },
        BATTERY_SERVICE: {gatt.BATTERY_LEVEL: bytes([battery])},
    }
    return Sensor(address, "Strap 9", services)


def polar_sensor(address: str, features: int, name: str) -> Sensor:
    """A strap or armband with Polar's protocol; the bits of ``features`` are its streams."""
    near = strap(address)
    near.name = name
    near.services[polar.SERVICE] = {
        polar.CONTROL_POINT: bytes([0x0F, features, *bytes(15)]),
        polar.DATA: None,
    }
    return near


def cuff(address: str = "A4:C1:38:00:00:02") -> Sensor:
    services: dict[str, dict[str, bytes | None]] = {
        gatt.BLOOD_PRESSURE_SERVICE: {gatt.BLOOD_PRESSURE_MEASUREMENT: None}
    }
    return Sensor(address, "Cuff 7", services, indicates=True)


def toothbrush() -> Sensor:
    return Sensor("00:11:22:33:44:55", "Toothbrush", {"0000fe0d-0000-1000-8000-00805f9b34fb": {}})


def oximeter(address: str = "B8:27:EB:00:00:03", *, continuous: bool = True) -> Sensor:
    measurement = gatt.CONTINUOUS_MEASUREMENT if continuous else gatt.SPOT_CHECK_MEASUREMENT
    return Sensor(address, "Finger 3", {gatt.PULSE_OXIMETER_SERVICE: {measurement: None}})


def thermometer(address: str = "D0:CF:5E:00:00:04") -> Sensor:
    services: dict[str, dict[str, bytes | None]] = {
        gatt.THERMOMETER_SERVICE: {gatt.TEMPERATURE_MEASUREMENT: None}
    }
    return Sensor(address, "Patch 4", services, indicates=True)
