"""Devices that report, all in one process: pace, outages, duplicates, sending again."""

from __future__ import annotations

import heapq
import json
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from benchmarks.fleet._day import BATCH_MS, Change, Player
from edge_agent.fleet.sender import Flight

RESEND_S = 30.0
LOOK_S = 2.0
"""Interval at which devices look for what was not confirmed in time."""
BATCH_S = BATCH_MS / 1000
AWAY = 0.05
"""Share of devices that are away for a while and then send what has gathered."""
TWICE = 0.02
"""Share of messages that come twice."""
SWAPPED = 0.02
"""Share of messages that come after the next one."""
TAKEN_OR_SENT_AGAIN = (
    MQTTErrorCode.MQTT_ERR_SUCCESS,
    MQTTErrorCode.MQTT_ERR_NO_CONN,
    MQTTErrorCode.MQTT_ERR_QUEUE_SIZE,
)
"""Answers of the client that end nothing: a device sends again what is not confirmed."""


@dataclass(slots=True)
class LoadDevice:
    """One device: what it plays, and how far it is."""

    player: Player
    flight: Flight
    away_until_s: float = 0.0
    made: int = 0
    made_s: dict[int, float] = field(default_factory=dict)

    @property
    def last_position(self) -> int:
        """The last position of what it has made."""
        return self.player.span(self.made - 1)[1]


class Load:
    """Many devices over one connection to a broker.

    Args:
        port: of the broker on this machine.
        day: what ``record_day`` returned.
        count: of devices; their numbers start with ``first``.
        first: number of the first device.
        version: of MQTT.
        resend_s: how long a device waits for a confirmation.
    """

    def __init__(
        self,
        port: int,
        day: list[list[Change]],
        count: int,
        first: int,
        version: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        resend_s: float = RESEND_S,
    ) -> None:
        now_s = time.monotonic()
        self._chance = random.Random(first)
        self.devices = {
            player.name: LoadDevice(player, Flight(0, now_s, resend_s))
            for player in (Player(day, number) for number in range(first, first + count))
        }
        self._port = port
        self._version = version
        self._client: paho.Client | None = None
        self._confirmed: deque[tuple[str, int, bool]] = deque()
        self.published = self.bytes = 0
        self._connect()

    def _connect(self) -> None:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, f"load-{id(self)}", protocol=self._version
        )
        client.on_message = self._hear
        client.max_inflight_messages_set(2_000)
        client.reconnect_delay_set(1, 4)
        client.connect("127.0.0.1", self._port)
        client.on_connect = lambda one, *_: one.subscribe("affect-edge/+/timeline/confirmed", 1)
        client.loop_start()
        self._client = client

    def _hear(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        told = json.loads(message.payload)
        name = message.topic.split("/")[1]
        self._confirmed.append((name, int(told["position"]), bool(told["again"])))

    def close(self) -> None:
        """Leave the broker."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def begin(self) -> None:
        """Let each device begin its stream."""
        for device in self.devices.values():
            self._make(device)
            device.made_s.clear()  # no batch
            self._send(device)

    def backlog(self, batches: int, part: slice = slice(None)) -> None:
        """Let each device, or each of a part, have so many batches, and send as fast as it may."""
        for device in list(self.devices.values())[part]:
            for _ in range(batches):
                self._make(device)
            self._send(device)

    def play(self, seconds: float, goes_on: Callable[[], bool] = lambda: False) -> None:
        """Let each device make a batch every ten seconds.

        Args:
            seconds: for how long.
            goes_on: asked after that; it ends when this says no.
        """
        start_s = time.monotonic()
        due = [(start_s + self._chance.uniform(0, BATCH_S), name) for name in self.devices]
        heapq.heapify(due)
        for device in self.devices.values():
            if self._chance.random() < AWAY:
                device.away_until_s = start_s + seconds * self._chance.uniform(0.3, 0.7)
        looks_s = start_s + LOOK_S
        while due and (due[0][0] < start_s + seconds or goes_on()):
            if time.monotonic() >= looks_s:
                self.look()
                looks_s = time.monotonic() + LOOK_S
            at_s, name = due[0]
            wait_s = at_s - time.monotonic()
            if wait_s > 0:
                self.step()
                time.sleep(min(wait_s, 0.02))
                continue
            device = self.devices[name]
            self._make(device)
            heapq.heapreplace(due, (at_s + BATCH_S * self._chance.uniform(0.95, 1.05), name))
            self._send(device)

    def step(self) -> None:
        """Hear what is confirmed; send what may be sent, and again what is not confirmed."""
        now_s = time.monotonic()
        confirmed = set()
        while self._confirmed:
            name, position, again = self._confirmed.popleft()
            device = self.devices.get(name)
            if device is None:
                continue
            if device.flight.note_confirmed(position, now_s):
                confirmed.add(name)
            if again and device.flight.send_again(position, now_s):
                confirmed.add(name)
        for name in confirmed:
            self._send(self.devices[name])

    def look(self) -> None:
        """Send again where nothing was confirmed for long, and what waits at all others."""
        now_s = time.monotonic()
        for device in self.devices.values():
            device.flight.resend_overdue(now_s)
            self._send(device)

    @property
    def unconfirmed(self) -> int:
        """How many devices have sent, or are to send, what is not confirmed."""
        return sum(
            device.made > 0 and device.flight.confirmed < device.last_position
            for device in self.devices.values()
        )

    def finish(self, seconds: float) -> bool:
        """Go on until everything is confirmed; return whether it was in time."""
        end_s = time.monotonic() + seconds
        while self.unconfirmed:
            if time.monotonic() > end_s:
                return False
            self.step()
            self.look()
            time.sleep(0.05)
        return True

    def _make(self, device: LoadDevice) -> None:
        device.made_s[device.player.span(device.made)[1]] = time.monotonic()
        device.made += 1

    def _send(self, device: LoadDevice) -> None:
        """Send what the rules of the real sender allow."""
        now_s = time.monotonic()
        if now_s < device.away_until_s:
            return
        numbers = []
        while True:
            number = _message_at(device.flight.sent + 1)
            if number >= device.made or not device.flight.has_room:
                break
            device.flight.note_sent(device.player.span(number)[1], number, now_s)
            device.flight.note_taken(number)
            numbers.append(number)
        if len(numbers) > 1 and self._chance.random() < SWAPPED:
            numbers[0], numbers[1] = numbers[1], numbers[0]
        for number in numbers:
            self._publish(device, number)
            if self._chance.random() < TWICE:
                self._publish(device, number)

    def _publish(self, device: LoadDevice, number: int) -> None:
        assert self._client is not None
        payload = device.player.payload(number, time.time_ns() // 1_000_000)
        topic = f"affect-edge/{device.player.name}/timeline"
        done = self._client.publish(topic, payload, qos=1)
        self.published += 1
        self.bytes += len(payload)
        if done.rc not in TAKEN_OR_SENT_AGAIN:
            raise RuntimeError(f"the broker does not take a message: {done.rc}")


def _message_at(position: int) -> int:
    """Return the number of the message that starts at a position."""
    return 0 if position <= 1 else (position - 2) // 10 + 1
