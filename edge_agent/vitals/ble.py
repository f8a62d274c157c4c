"""Bluetooth through ``bleak``, which on Linux uses BlueZ over D-Bus.

This is the only module that imports ``bleak``. Everything in it runs in one event loop: ``bleak``
keeps one connection to BlueZ for each loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from bleak import BleakAdapter, BleakClient, BleakScanner, exc
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from dbus_fast.errors import DBusError

from edge_agent.core.bounds import printable
from edge_agent.core.errors import GattError, VitalsError, VitalsReason
from edge_agent.core.vitals import FoundSensor
from edge_agent.vitals import gatt
from edge_agent.vitals.profiles import SERVICES
from edge_agent.vitals.sources import Link

log = logging.getLogger(__name__)

SEARCH_S = 10.0
RESCAN_S = 60.0  # a scan of this age is begun anew: the adapter may have been unplugged meanwhile
CONNECT_S = 15.0
READ_S = 5.0
GOODBYE_S = 0.7  # the agent gives a source a second to end
# ATT error codes that a sensor gives until it is paired (Core Specification, Vol 3, Part F,
# 3.4.1.1).
# The cure is the same for all of them.
_LOCKED = {
    exc.BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
    exc.BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHORIZATION,
    exc.BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
    exc.BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION_KEY_SIZE,
}
_FAILURES = (exc.BleakError, DBusError, OSError, EOFError)  # a TimeoutError is an OSError
_CURES = {
    VitalsReason.BLUEZ_MISSING: (
        "The Bluetooth service does not answer.",
        "Install and start it: sudo apt install bluez && sudo systemctl enable --now bluetooth.",
    ),
    VitalsReason.ADAPTER_MISSING: (
        "There is no Bluetooth adapter.",
        (
            "Plug an adapter in, or check vitals.bluetooth.adapter; `bluetoothctl list` shows all "
            "adapters."
        ),
    ),
    VitalsReason.ADAPTER_OFF: (
        "Bluetooth is switched off.",
        "Switch it on: rfkill unblock bluetooth && bluetoothctl power on.",
    ),
    VitalsReason.NO_PERMISSION: (
        "This user may not use Bluetooth.",
        "Join the group and log in anew: sudo usermod --append --groups bluetooth $USER.",
    ),
    # BlueZ sometimes says so until it is restarted, though nothing is going on any more.
    VitalsReason.RADIO_BUSY: (
        "Bluetooth has not finished an earlier request (org.bluez.Error.InProgress).",
        (
            "The agent tries again by itself. If this stays for some minutes: sudo systemctl "
            "restart bluetooth; if that does not help, unplug the Bluetooth dongle and plug it in "
            "again, or restart the machine."
        ),
    ),
    VitalsReason.NOT_FOUND: (
        "{address} is not in reach, or sleeps.",
        (
            "Wear the strap, or measure with the cuff, near this machine, and disconnect it from "
            "phones."
        ),
    ),
    VitalsReason.NOT_PAIRED: (
        "{address} must be paired first.",
        (
            "Put it into pairing mode, then: bluetoothctl pair {address} && bluetoothctl trust "
            "{address}."
        ),
    ),
    VitalsReason.UNSUPPORTED: (
        "{address} does not offer what it is configured as.",
        "Correct its kind in the configuration: `affect-edge vitals scan` shows it.",
    ),
}
_DBUS = {
    "org.freedesktop.DBus.Error.AccessDenied": VitalsReason.NO_PERMISSION,
    "org.freedesktop.DBus.Error.ServiceUnknown": VitalsReason.BLUEZ_MISSING,
    "org.freedesktop.DBus.Error.NameHasNoOwner": VitalsReason.BLUEZ_MISSING,
    "org.bluez.Error.NotReady": VitalsReason.ADAPTER_OFF,
    "org.bluez.Error.InProgress": VitalsReason.RADIO_BUSY,
    "org.bluez.Error.NotAuthorized": VitalsReason.NOT_PAIRED,
    "org.bluez.Error.AuthenticationFailed": VitalsReason.NOT_PAIRED,
    "org.bluez.Error.AuthenticationRejected": VitalsReason.NOT_PAIRED,
}
# BlueZ answers NotPermitted to other requests, too; only this text means that pairing is missing.
_UNPAIRED = ("org.bluez.Error.NotPermitted", "Not paired")  # the same error says other things, too
_UNAVAILABLE = {
    exc.BleakBluetoothNotAvailableReason.POWERED_OFF: VitalsReason.ADAPTER_OFF,
    exc.BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: VitalsReason.NO_PERMISSION,
    exc.BleakBluetoothNotAvailableReason.DENIED_BY_USER: VitalsReason.NO_PERMISSION,
    exc.BleakBluetoothNotAvailableReason.DENIED_BY_UNKNOWN: VitalsReason.NO_PERMISSION,
}


@contextmanager
def translate_errors(address: str = "the sensor") -> Iterator[None]:
    """Turn errors of ``bleak``, D-Bus and the system in the block into ``VitalsError``."""
    try:
        yield
    except _FAILURES as error:
        raise _vitals_error(address, error) from error


def _vitals_error(address: str, error: Exception) -> VitalsError:
    """Return an error whose text names the cause and the remedy."""
    reason = _reason(error)
    if reason in _CURES:
        return VitalsError(reason, *(text.format(address=address) for text in _CURES[reason]))
    detail = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        detail = "it did not answer in time"
    problem = f"The connection to {address} failed ({detail})."
    return VitalsError(reason, problem, "The agent tries again by itself.")


def _reason(error: Exception) -> VitalsReason:
    reason = VitalsReason.CONNECTION_FAILED
    match error:
        case exc.BleakBluetoothNotAvailableError():
            reason = _UNAVAILABLE.get(error.reason, VitalsReason.ADAPTER_MISSING)
        case exc.BleakDeviceNotFoundError():
            reason = VitalsReason.NOT_FOUND
        case exc.BleakCharacteristicNotFoundError():
            reason = VitalsReason.UNSUPPORTED
        case exc.BleakGATTProtocolError() if error.code in _LOCKED:
            reason = VitalsReason.NOT_PAIRED
        case exc.BleakDBusError() if error.args == _UNPAIRED:
            reason = VitalsReason.NOT_PAIRED
        case exc.BleakDBusError():
            reason = _DBUS.get(error.dbus_error, reason)
        case PermissionError():
            reason = VitalsReason.NO_PERMISSION
        case FileNotFoundError() | ConnectionRefusedError():  # of the system bus
            reason = VitalsReason.BLUEZ_MISSING
        # bleak has no class for an adapter of a wrong name; the text is all there is.
        case exc.BleakError() if str(error).startswith("adapter "):
            reason = VitalsReason.ADAPTER_MISSING
    return reason


class _Search:
    """One scan for all searches: BlueZ allows a program only one at a time."""

    def __init__(self, adapter: str | None) -> None:
        self._bluez = _options(adapter)
        self._wanted: dict[str, set[asyncio.Future[BLEDevice]]] = {}
        self._users = 0
        self._scanner: BleakScanner | None = None
        self._started = 0.0
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep a scan running until the block ends."""
        async with self._changing:
            if asyncio.get_running_loop().time() - self._started > RESCAN_S:
                await self._stop()
            if self._scanner is None:
                await self._start()
            self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            # Starting and stopping wait for D-Bus: without the lock, a second user could come in
            # between.
            async with self._changing:
                if self._users == 0:
                    await self._stop()

    async def _start(self) -> None:
        scanner = BleakScanner(self._on_advertisement, bluez=self._bluez)
        await scanner.start()
        self._scanner, self._started = scanner, asyncio.get_running_loop().time()

    async def _stop(self) -> None:
        if self._scanner is None:
            return
        scanner = self._scanner
        self._scanner = None
        with suppress(*_FAILURES):  # an adapter that went away scans no more
            await scanner.stop()

    async def find(self, address: str) -> BLEDevice:
        """Wait for an advertisement of a sensor.

        Raises:
            BleakDeviceNotFoundError: none came in time.
        """
        # A future for each search: several sensors are looked for in the same scan.
        sign: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(address, set()).add(sign)
        try:
            async with asyncio.timeout(SEARCH_S):
                return await sign
        except TimeoutError:
            raise exc.BleakDeviceNotFoundError(address) from None
        finally:
            self._wanted[address].discard(sign)

    def _on_advertisement(self, device: BLEDevice, _advertisement: AdvertisementData) -> None:
        # Configured addresses are in capitals.
        for sign in self._wanted.get(device.address.upper(), ()):
            # An advertisement comes several times a second; a future takes one result only.
            if not sign.done():
                sign.set_result(device)


class BleakLink:
    """A connection made by ``BleakRadio``; see ``Link``."""

    def __init__(self, client: BleakClient, address: str, closed: asyncio.Event) -> None:
        self._client = client
        self._address = address
        self._closed = closed

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        """Call ``on_value`` with each notification or indication."""

        def pass_on(_characteristic: BleakGATTCharacteristic, value: bytearray) -> None:
            on_value(bytes(value))

        with translate_errors(self._address):
            async with asyncio.timeout(CONNECT_S):
                await self._client.start_notify(characteristic, pass_on)

    async def read(self, characteristic: str) -> bytes:
        """Return the present value."""
        with translate_errors(self._address):
            async with asyncio.timeout(READ_S):
                return bytes(await self._client.read_gatt_char(characteristic))

    async def write(self, characteristic: str, value: bytes) -> None:
        """Write a value, and wait until the sensor has confirmed it."""
        with translate_errors(self._address):
            async with asyncio.timeout(READ_S):
                await self._client.write_gatt_char(characteristic, value, response=True)

    async def closed_within(self, seconds: float) -> bool:
        """Wait for the connection to end, up to a timeout; return whether it has ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return self._closed.is_set()


class BleakRadio:
    """The Bluetooth of this machine; see ``Radio``.

    Args:
        adapter: its name, such as ``hci0``; ``None`` takes the first that is switched on.

    Example:
        >>> radio = BleakRadio("hci0")
        >>> async with radio.connect("AA:BB:CC:DD:EE:FF") as link:
        ...     ...
    """

    def __init__(self, adapter: str | None = None) -> None:
        self._adapter = adapter
        self._search = _Search(adapter)
        self._connecting = asyncio.Lock()  # BlueZ makes one connection at a time

    @asynccontextmanager
    async def connect(self, address: str) -> AsyncIterator[Link]:
        """Find a sensor and connect; the end of the block disconnects.

        Raises:
            VitalsError: it is not found, does not answer, or Bluetooth cannot be used.
        """
        closed = asyncio.Event()
        with translate_errors(address):
            client = await self._client(address, closed)
        try:
            yield BleakLink(client, address, closed)
        finally:
            with suppress(*_FAILURES):
                async with asyncio.timeout(GOODBYE_S):
                    await client.disconnect()

    async def _client(self, address: str, closed: asyncio.Event) -> BleakClient:
        # still connected, as after a crash: it does not advertise, so no scan would find it
        for device in await _connected_devices(self._adapter):
            if device.address.upper() == address:
                return await self._open(device, closed)
        # scan until connected: BlueZ may forget a sensor once the scan has ended
        async with self._search.running():
            return await self._open(await self._search.find(address), closed)

    async def _open(self, device: BLEDevice, closed: asyncio.Event) -> BleakClient:
        options = _options(self._adapter)
        client = BleakClient(device, lambda _: closed.set(), timeout=CONNECT_S, bluez=options)
        async with self._connecting:
            await client.connect()
        return client


async def _connected_devices(adapter: str | None) -> list[BLEDevice]:
    """Return the straps and cuffs that any program of this machine is connected to."""
    bluetooth = await BleakAdapter.get(bluez=_options(adapter))
    return await bluetooth.get_connected_devices(list(SERVICES))


def _options(adapter: str | None) -> Any:
    """Return the option that selects an adapter; each class of ``bleak`` types it differently."""
    return {"adapter": adapter} if adapter else {}


async def check(adapter: str | None) -> None:
    """Scan for a moment.

    Raises:
        VitalsError: Bluetooth cannot be used.
    """
    with translate_errors():
        async with _Search(adapter).running():
            pass


async def scan(seconds: float, adapter: str | None) -> list[FoundSensor]:
    """Return the straps and cuffs in reach, nearest first, with their battery if it can be read.

    A sensor that is already connected to this machine, for example by the agent, is listed without
    its battery.

    Raises:
        VitalsError: Bluetooth cannot be used.
    """
    with translate_errors():
        async with BleakScanner(bluez=_options(adapter)) as scanner:
            await asyncio.sleep(seconds)
            connected = await _connected_devices(adapter)
            seen = scanner.discovered_devices_and_advertisement_data
            sensors = [
                _describe_found(one, None, one.details["props"].get("UUIDs", []))
                for one in connected
            ]
            theirs = {sensor.address for sensor in sensors}
            # Still scanning: BlueZ forgets sensors that are not connected some time after a scan.
            for device, advertisement in seen.values():
                sensor = _describe_found(device, advertisement.rssi, advertisement.service_uuids)
                if sensor.kinds and sensor.address not in theirs:
                    sensors.append(await _with_battery(device, sensor, adapter))
    return sorted(sensors, key=lambda sensor: (-(sensor.rssi or 0), sensor.address))


def _describe_found(device: BLEDevice, rssi: int | None, services: list[str]) -> FoundSensor:
    services = sorted(uuid.lower() for uuid in services)
    kinds = tuple(kind for uuid, kind in SERVICES.items() if uuid in services)
    # A stranger's name is shown in the terminal of whoever scans.
    name = None if device.name is None else printable(device.name)
    return FoundSensor(
        device.address.upper(), name, rssi, tuple(services), kinds, connected=rssi is None
    )


async def _with_battery(device: BLEDevice, sensor: FoundSensor, adapter: str | None) -> FoundSensor:
    """Connect for a moment and read the battery, if the sensor permits it."""
    try:
        with translate_errors(sensor.address):
            async with (
                asyncio.timeout(CONNECT_S),
                BleakClient(device, timeout=READ_S, bluez=_options(adapter)) as client,
            ):
                raw = bytes(await client.read_gatt_char(gatt.BATTERY_LEVEL))
                level = gatt.decode_battery_level(raw)
    except (VitalsError, GattError) as error:
        log.debug("%s does not tell its battery: %s", sensor.address, error)
        return sensor
    return sensor.with_battery(level)
