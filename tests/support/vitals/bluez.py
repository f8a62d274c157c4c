"""BlueZ without a radio: a private D-Bus daemon, and on it the objects that bluetoothd shows.

They follow BlueZ's own description:
``doc/org.bluez.{Adapter,Device,GattService,GattCharacteristic}.rst``.

The real ``bleak`` talks to it over the real bus, and cannot tell the difference: a sensor that is
in reach advertises while somebody scans, connects and drops, asks for pairing, and notifies who has
subscribed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self, TypeVar

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from edge_agent.vitals import polar
from tests.support.vitals.dbus import Bus
from tests.support.vitals.near_sensors import ADAPTER_PATH, Sensor

T = TypeVar("T")
Properties = dict[str, Variant]

ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
SERVICE = "org.bluez.GattService1"
CHARACTERISTIC = "org.bluez.GattCharacteristic1"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
ADVERTISE_S = 0.05


class BlueZ:
    """What bluetoothd does, in a thread of its own.

    Args:
        bus: where.
        sensors: near the adapter.
        adapter: whether there is one.
        powered: whether it is switched on.

    Attributes:
        is_stuck: whether it answers each scan by InProgress, as some do until they are reset.
    """

    def __init__(
        self, bus: Bus, *sensors: Sensor, adapter: bool = True, powered: bool = True
    ) -> None:
        self._address = bus.address
        self._sensors = {sensor.path: sensor for sensor in sensors}
        self._objects: dict[str, dict[str, Properties]] = {"/org/bluez": {}}
        if adapter:
            self._objects[ADAPTER_PATH] = {ADAPTER: _adapter(powered)}
        self._scanning: set[str] = set()
        self.is_stuck = False
        self._rssi = -60
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bluez", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    # What a test does with the sensors

    def say(self, sensor: Sensor, characteristic: str, value: bytes) -> None:
        """Let a sensor notify; nobody hears it who has not subscribed."""
        self._do(self._say(sensor, characteristic, value))

    def drop(self, sensor: Sensor) -> None:
        """End a connection from the sensor's side."""
        self._do(self._disconnected(sensor))

    def listens(self, sensor: Sensor, characteristic: str) -> bool:
        """Whether somebody is connected and has subscribed."""
        return sensor.connected and characteristic in sensor.notifying

    def leave_connected(self, sensor: Sensor) -> None:
        """Have a sensor connected that no program uses, as after a crash."""
        self._do(self._known(sensor))
        self._do(self._connected(sensor))

    # The bus

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self) -> None:
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._handle)
        await self._bus.request_name("org.bluez")
        self._later(self._advertise())

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._bus.disconnect()
        await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def _handle(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        name = f"{message.interface}.{message.member}"
        if name == f"{OBJECTS}.GetManagedObjects":
            return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects])
        if name == f"{PROPERTIES}.Set":
            return Message.new_method_return(message)
        calls = {
            f"{ADAPTER}.SetDiscoveryFilter": self._nothing,
            f"{ADAPTER}.StartDiscovery": self._start_discovery,
            f"{ADAPTER}.StopDiscovery": self._stop_discovery,
            f"{DEVICE}.Connect": self._connect,
            f"{DEVICE}.Disconnect": self._disconnect,
            f"{CHARACTERISTIC}.ReadValue": self._read,
            f"{CHARACTERISTIC}.WriteValue": self._write,
            f"{CHARACTERISTIC}.StartNotify": self._start_notify,
            f"{CHARACTERISTIC}.StopNotify": self._nothing,
        }
        if name not in calls or message.path not in self._objects:
            return None
        self._later(self._answer(message, calls[name]))
        return True

    async def _answer(
        self, message: Message, call: Callable[[Message], Awaitable[Message]]
    ) -> None:
        await self._bus.send(await call(message))

    async def _signal(
        self, path: str, interface: str, member: str, signature: str, *body: Any
    ) -> None:
        await self._bus.send(Message.new_signal(path, interface, member, signature, list(body)))

    async def _change(self, path: str, interface: str, **values: Variant) -> None:
        self._objects[path][interface].update(values)
        await self._signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", interface, values, [])

    async def _add(self, path: str, interface: str, properties: Properties) -> None:
        self._objects[path] = {interface: properties}
        await self._signal("/", OBJECTS, "InterfacesAdded", "oa{sa{sv}}", path, self._objects[path])

    async def _remove(self, path: str) -> None:
        await self._signal(
            "/", OBJECTS, "InterfacesRemoved", "oas", path, list(self._objects.pop(path))
        )

    # The adapter

    async def _nothing(self, message: Message) -> Message:
        return Message.new_method_return(message)

    async def _start_discovery(self, message: Message) -> Message:
        if not self._objects[ADAPTER_PATH][ADAPTER]["Powered"].value:
            return Message.new_error(message, "org.bluez.Error.NotReady", "Resource Not Ready")
        assert message.sender is not None
        if self.is_stuck or message.sender in self._scanning:
            return Message.new_error(message, "org.bluez.Error.InProgress", "Already in progress")
        self._scanning.add(message.sender)
        return Message.new_method_return(message)

    async def _stop_discovery(self, message: Message) -> Message:
        self._scanning.discard(message.sender or "")
        if not self._scanning:  # what was seen in passing is soon forgotten
            for sensor in self._sensors.values():
                if sensor.path in self._objects and not sensor.connected:
                    await self._remove(sensor.path)
        return Message.new_method_return(message)

    async def _advertise(self) -> None:
        while True:
            await asyncio.sleep(ADVERTISE_S)
            self._rssi = -60 - (self._rssi + 1) % 5
            for sensor in self._sensors.values():
                if self._scanning and sensor.in_reach and not sensor.connected:
                    await self._known(sensor)
                    await self._change(sensor.path, DEVICE, RSSI=Variant("n", self._rssi))

    # The sensors

    async def _known(self, sensor: Sensor) -> None:
        if sensor.path not in self._objects:
            await self._add(sensor.path, DEVICE, _device(sensor))

    async def _connect(self, message: Message) -> Message:
        sensor = self._sensors[message.path or ""]
        await asyncio.sleep(ADVERTISE_S)
        if not sensor.in_reach:
            return Message.new_error(
                message, "org.bluez.Error.Failed", "le-connection-abort-by-peer"
            )
        await self._connected(sensor)
        return Message.new_method_return(message)

    async def _connected(self, sensor: Sensor) -> None:
        sensor.connected = True
        sensor.connections += 1
        await self._change(sensor.path, DEVICE, Connected=Variant("b", True))
        for number, (service, characteristics) in enumerate(sensor.services.items()):
            place = f"{sensor.path}/service{number:04x}"
            await self._add(place, SERVICE, _service(service, sensor))
            for index, (uuid, value) in enumerate(characteristics.items()):
                handle = 0x10 * number + index + 1  # no two alike on one sensor
                properties = _characteristic(uuid, value, place, sensor)
                await self._add(f"{place}/char{handle:04x}", CHARACTERISTIC, properties)
        await self._change(sensor.path, DEVICE, ServicesResolved=Variant("b", True))

    async def _disconnect(self, message: Message) -> Message:
        await self._disconnected(self._sensors[message.path or ""])
        return Message.new_method_return(message)

    async def _disconnected(self, sensor: Sensor) -> None:
        sensor.connected = False
        sensor.notifying.clear()
        changed = {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)}
        await self._change(sensor.path, DEVICE, **changed)
        for path in [path for path in self._objects if path.startswith(f"{sensor.path}/")]:
            await self._remove(path)

    async def _read(self, message: Message) -> Message:
        path = message.path or ""
        uuid = self._objects[path][CHARACTERISTIC]["UUID"].value
        sensor = next(s for s in self._sensors.values() if path.startswith(f"{s.path}/"))
        value = next(v[uuid] for v in sensor.services.values() if uuid in v)
        if value is None:
            return Message.new_error(message, "org.bluez.Error.NotPermitted", "Read not permitted")
        return Message.new_method_return(message, "ay", [value])

    async def _write(self, message: Message) -> Message:
        path, value = message.path or "", bytes(message.body[0])
        sensor = next(s for s in self._sensors.values() if path.startswith(f"{s.path}/"))
        uuid = self._objects[path][CHARACTERISTIC]["UUID"].value
        assert uuid == polar.CONTROL_POINT
        sensor.written.append(value)
        usual = bytes([polar.ANSWER, *value[:2], 0, 0])
        await self._say(sensor, uuid, sensor.answers.get(value[:2], usual))
        return Message.new_method_return(message)

    async def _start_notify(self, message: Message) -> Message:
        path = message.path or ""
        sensor = next(s for s in self._sensors.values() if path.startswith(f"{s.path}/"))
        if sensor.wants_pairing:
            return Message.new_error(message, "org.bluez.Error.NotPermitted", "Not paired")
        await self._change(path, CHARACTERISTIC, Notifying=Variant("b", True))
        sensor.notifying.add(self._objects[path][CHARACTERISTIC]["UUID"].value)
        return Message.new_method_return(message)

    async def _say(self, sensor: Sensor, characteristic: str, value: bytes) -> None:
        for path, interfaces in self._objects.items():
            known = interfaces.get(CHARACTERISTIC)
            if not known or not path.startswith(f"{sensor.path}/"):
                continue
            if known["UUID"].value == characteristic and known["Notifying"].value:
                await self._change(path, CHARACTERISTIC, Value=Variant("ay", value))


def _adapter(powered: bool) -> Properties:
    return {
        **_texts(Address="DC:A6:32:00:00:00", Name="pi", Alias="pi"),
        **_switches(Powered=powered, Discovering=False),
        "Roles": Variant("as", ["central", "peripheral"]),
        "UUIDs": Variant("as", []),
    }


def _device(sensor: Sensor) -> Properties:
    texts = _texts(Address=sensor.address, Name=sensor.name, Alias=sensor.name)
    return {
        **texts,
        **_texts(AddressType="random"),
        **_switches(Paired=False, Trusted=False, Blocked=False, LegacyPairing=False),
        **_switches(Connected=False, ServicesResolved=False),
        "Adapter": Variant("o", ADAPTER_PATH),
        "UUIDs": Variant("as", list(sensor.services)),
    }


def _service(uuid: str, sensor: Sensor) -> Properties:
    return {
        **_texts(UUID=uuid),
        **_switches(Primary=True),
        "Device": Variant("o", sensor.path),
        "Includes": Variant("ao", []),
    }


def _characteristic(uuid: str, value: bytes | None, service: str, sensor: Sensor) -> Properties:
    speaks = "indicate" if sensor.indicates else "notify"
    flags = [speaks if value is None else "read"]
    if uuid == polar.CONTROL_POINT:
        flags = ["read", "write", "indicate"]
    return {
        **_texts(UUID=uuid),
        **_switches(Notifying=False),
        "Service": Variant("o", service),
        "Value": Variant("ay", b""),
        "Flags": Variant("as", flags),
        "MTU": Variant("q", 23),
    }


def _texts(**values: str) -> Properties:
    return {name: Variant("s", value) for name, value in values.items()}


def _switches(**values: bool) -> Properties:
    return {name: Variant("b", value) for name, value in values.items()}
