"""Sensors played by ``bumble``: two controllers without a radio, and between them the whole of
Bluetooth, from the link layer to the attributes.

The sensor is a real GATT server with the services of its kind; ``PlayedRadio`` is a real GATT
client that connects, finds them, subscribes and writes, in the place that BlueZ and ``bleak`` have
on a machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bumble.controller import Controller
from bumble.core import UUID
from bumble.device import Connection, Device, Peer
from bumble.gatt import Characteristic, Service
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

from edge_agent.core.errors import VitalsError, VitalsReason
from edge_agent.vitals.sources import Link

READABLE = Characteristic.Properties.READ
NOTIFIED = Characteristic.Properties.NOTIFY
INDICATED = Characteristic.Properties.INDICATE
SENSOR = "F0:F1:F2:F3:F4:F5"
MACHINE = "F5:F4:F3:F2:F1:F0"
MTU = 232  # of an H10


@dataclass
class PlayedSensor:
    """A sensor that speaks when a test says so.

    Attributes:
        services: service → characteristic → how it is offered.
    """

    services: Mapping[str, Mapping[str, Characteristic.Properties]]
    values: Mapping[str, bytes] = field(default_factory=dict)
    device: Device | None = None
    _offered: dict[str, Characteristic[bytes]] = field(default_factory=dict)

    async def begin(self, link: LocalLink) -> None:
        """Offer the services and advertise."""
        self.device = await _device(link, "sensor", SENSOR)
        for service, characteristics in self.services.items():
            offered = [self._characteristic(uuid, how) for uuid, how in characteristics.items()]
            self.device.add_service(Service(UUID(service), offered))
        await self.device.start_advertising(auto_restart=True)

    def _characteristic(self, uuid: str, how: Characteristic.Properties) -> Characteristic[bytes]:
        value = self.values.get(uuid, b"")
        allowed = Characteristic.READABLE | Characteristic.WRITEABLE  # who subscribes writes
        self._offered[uuid] = Characteristic(UUID(uuid), how, allowed, value)
        return self._offered[uuid]

    async def say(self, uuid: str, value: bytes) -> None:
        """Notify or indicate a value to who has subscribed."""
        assert self.device is not None
        offered = self._offered[uuid]
        if offered.properties & INDICATED:
            await self.device.indicate_subscribers(offered, value)
        else:
            await self.device.notify_subscribers(offered, value)

    async def drop(self) -> None:
        """End the connection from the sensor's side."""
        assert self.device is not None
        for connection in list(self.device.connections.values()):
            await connection.disconnect()


class PlayedLink:
    """A connection of ``PlayedRadio``; see ``Link``."""

    def __init__(
        self, connection: Connection, found: dict[str, CharacteristicProxy[bytes]]
    ) -> None:
        self._found = found
        self._closed = asyncio.Event()
        connection.on(connection.EVENT_DISCONNECTION, lambda _reason: self._closed.set())

    async def subscribe(self, characteristic: str, on_value: Callable[[bytes], None]) -> None:
        await self._of(characteristic).subscribe(lambda value: on_value(bytes(value)))

    async def write(self, characteristic: str, value: bytes) -> None:
        await self._of(characteristic).write_value(value, with_response=True)

    async def read(self, characteristic: str) -> bytes:
        return bytes(await self._of(characteristic).read_value())

    async def closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        return self._closed.is_set()

    def _of(self, characteristic: str) -> CharacteristicProxy[bytes]:
        if characteristic not in self._found:
            raise VitalsError(VitalsReason.UNSUPPORTED, f"It has no {characteristic}.", "")
        return self._found[characteristic]


class PlayedRadio:
    """Connects to the sensor on the same link; see ``Radio``."""

    def __init__(self, link: LocalLink) -> None:
        self._link = link
        self._machine: Device | None = None

    @asynccontextmanager
    async def connect(self, address: str) -> AsyncIterator[Link]:
        if self._machine is None:
            self._machine = await _device(self._link, "machine", MACHINE)
        connection = await self._machine.connect(Address(address))
        peer = Peer(connection)
        await peer.request_mtu(MTU)
        found: dict[str, CharacteristicProxy[bytes]] = {}
        for service in await peer.discover_services():
            for one in await service.discover_characteristics():
                found[one.uuid.to_hex_str("-").lower()] = one
        link = PlayedLink(connection, {_whole(uuid): one for uuid, one in found.items()})
        try:
            yield link
        finally:
            if not await link.closed_within(0):  # the sensor may have gone first
                await connection.disconnect()


def _whole(uuid: str) -> str:
    """Return the whole UUID of a short one."""
    if len(uuid) == 4:
        return f"0000{uuid}-0000-1000-8000-00805f9b34fb"
    return uuid


async def _device(link: LocalLink, name: str, address: str) -> Device:
    """Return a host with a controller of its own, powered on."""
    controller = Controller(name, link=link)
    host = Host(controller, AsyncPipeSink(controller))
    device = Device(name=name, address=Address(address), host=host)
    await device.power_on()
    return device
