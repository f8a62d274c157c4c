"""The MQTT worker: says what happens now, and drains the outbox whenever the broker is there.

An unreachable broker is no error: the worker tries again, ever more slowly, and says so in
``state``.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.worker import Worker
from edge_agent.mqtt.connection import (
    Broker,
    Connection,
    ConnectionEndedError,
    MqttState,
    read_password,
    tls_context,
)
from edge_agent.mqtt.outbox import OutboxQueue, WaitingMessage
from edge_agent.mqtt.topics import (
    EmotionPayload,
    HealthPayload,
    Payload,
    Topics,
    VitalPayload,
    status_payload,
)

__all__ = ["Backoff", "Broker", "MqttClient", "MqttState", "read_password"]

log = logging.getLogger(__name__)

IN_FLIGHT = 20
POLL_SECONDS = 2.0
VITALS_WAITING = 256
FAREWELL_SECONDS = 2.0
SHORT_SECONDS = 10.0
SETTLE_SECONDS = 2.0
"""After an outage the outbox waits this long, so that readers whom it cut off too are back before
it is emptied.
"""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts.

    Attributes:
        first_s: after the first failure; it doubles with each further one.
        longest_s: and never grows beyond this.
        refused_s: where only a person can help: wrong password, certificate not trusted.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A topic that the appliance listens to.

    Attributes:
        suffix: the topic.
        hear: called in the worker's thread with a payload and whether the broker had kept it;
            returns what to answer.
        answers: the topic of the answers.
    """

    suffix: str
    hear: Callable[[bytes, bool], Payload | None]
    answers: str


class Delivery:
    """Carries the outbox over one connection: in order, few at a time, a row deleted once the
    broker has it.

    Args:
        outbox: where messages wait.
        topics: names of this appliance.
        window_s: length of a summary; what is older than two of them is marked ``replayed``.
        acknowledged: rows that the broker has but the database could not yet forget; outlives the
            connection.
        forget: called with a topic that is cleared, so that what it held is not said again.
    """

    def __init__(
        self,
        outbox: OutboxQueue,
        topics: Topics,
        window_s: float,
        acknowledged: set[int],
        forget: Callable[[str], None],
    ) -> None:
        self._outbox = outbox
        self._topics = topics
        self._window_ms = window_s * 1000
        self._acknowledged = acknowledged
        self._forget = forget
        self._connected_ms = clock.now().wall_ms
        self._in_flight: dict[int, int] = {}

    @property
    def idle(self) -> bool:
        """Whether no answer is awaited."""
        return not self._in_flight

    def send(self, connection: Connection) -> None:
        """Publish what waits, up to the number of messages that may be in flight."""
        limit = min(IN_FLIGHT, connection.receive_maximum)
        if len(self._in_flight) >= limit:
            return
        underway = set(self._in_flight.values()) | self._acknowledged
        for row in self._outbox.pending(limit):
            if row.id not in underway:
                clears = row.payload is None
                if clears:
                    self._forget(row.topic)
                payload = self._encode(row)
                mid = connection.publish(
                    self._topics.full(row.topic), payload, qos=1, retain=clears
                )
                self._in_flight[mid] = row.id

    def settle(self, connection: Connection) -> tuple[bool, str | None]:
        """Delete the rows that the broker has taken.

        Returns:
            Whether any was taken, and why the broker refused a message, if it did.
        """
        refusal = None
        for answer in connection.answers():
            row = self._in_flight.pop(answer.mid, None)
            if answer.refusal is not None:
                refusal = answer.refusal
            elif row is not None:
                self._acknowledged.add(row)
        taken = bool(self._acknowledged)
        if taken:
            self._outbox.delete(sorted(self._acknowledged))
            self._acknowledged.clear()
        return taken, refusal

    def _encode(self, row: WaitingMessage) -> bytes:
        if row.payload is None:
            # MQTT 5, 3.3.1.3: an empty retained message removes what the broker keeps
            return b""
        late_ms = clock.now().wall_ms - row.created_ms
        replayed = row.created_ms < self._connected_ms or late_ms > 2 * self._window_ms
        return json.dumps(
            {**row.payload, "replayed": replayed}, separators=(",", ":"), ensure_ascii=False
        ).encode()


class MqttClient(Worker):
    """The worker that owns the connection to the broker.

    Args:
        broker: where and how.
        root: first part of every topic.
        device: name of the appliance; unique at the broker.
        outbox: messages that must arrive, used from this worker's thread only.
        window_s: length of a summary window, for marking what comes late.
        backoff: how long to wait between attempts.
        listeners: what to listen to.
        on_state: called in this thread with state and text when the state changes.

    Raises:
        MqttError: the settings cannot work whatever the broker does.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        root: str,
        device: str,
        outbox: OutboxQueue,
        window_s: float = 10.0,
        backoff: Backoff | None = None,
        listeners: Sequence[Listener] = (),
        on_state: Callable[[MqttState, str | None], None] | None = None,
        on_death: Callable[[Worker, Exception], None] | None = None,
    ) -> None:
        super().__init__("mqtt", on_death)
        self._broker = broker
        self._context = tls_context(broker.ca_file) if broker.tls else None
        self._topics = Topics(root, device)
        self._client_id = self._topics.base.replace("/", "-")
        self._outbox = outbox
        self._window_s = window_s
        self._backoff = backoff or Backoff()
        self._listeners = {self._topics.full(one.suffix): one for one in listeners}
        self._on_state = on_state
        self._state = MqttState.CONNECTING
        self._last_error: str | None = None
        self._since_s = clock.boot_seconds()
        self._waiting = 0
        self._short_lived = 0
        self._acknowledged: set[int] = set()
        self._lock = threading.Lock()
        self._retained: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self._vitals: deque[bytes] = deque(maxlen=VITALS_WAITING)
        self._send_now = True
        self._next_poll_s = 0.0
        self._lost = False
        self._settled_s = 0.0
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)

    @property
    def state(self) -> MqttState:
        """How things stand with the broker."""
        return self._state

    @property
    def last_error(self) -> str | None:
        """What is wrong and the cure; ``None`` while all is well."""
        return self._last_error

    @property
    def state_seconds(self) -> float:
        """How long the state has been as it is."""
        return clock.boot_seconds() - self._since_s

    @property
    def waiting(self) -> int:
        """Messages in the outbox when it was last looked at."""
        return self._waiting

    def wake(self) -> None:
        """Say that something was committed to the outbox; callable from any thread."""
        self._send_now = True
        self._nudge()

    def stop(self) -> None:
        """Ask the worker to say ``offline`` and end."""
        super().stop()
        self._nudge()

    def publish_emotion(self, payload: EmotionPayload) -> None:
        """Say a changed emotion (QoS 0, retained).

        While the broker is away only the newest is kept.
        """
        self._retain(Topics.EMOTION, payload)

    def publish_health(self, payload: HealthPayload | Mapping[str, Any]) -> None:
        """Say how the appliance is (QoS 0, retained).

        While the broker is away only the newest is kept.
        """
        if not isinstance(payload, HealthPayload):
            payload = HealthPayload.model_validate(payload)
        self._retain(Topics.HEALTH, payload)

    def publish_vital(self, payload: VitalPayload) -> None:
        """Say a reading (QoS 0).

        While the broker is away it is not said at all, the timeline has it.
        """
        if self._state is MqttState.CONNECTED:
            with self._lock:
                self._vitals.append(payload.encode())
            self._nudge()

    def work(self) -> None:
        """Connect, serve, and after every end try again until stopped."""
        delay_s = self._backoff.first_s
        try:
            while not self.stopping.is_set():
                started_s = clock.boot_seconds()
                try:
                    self._serve()
                except ConnectionEndedError as ended:
                    self._lost = True
                    lasted_s = clock.boot_seconds() - started_s
                    self._set_state(ended.state, ended.text + self._hint(lasted_s))
                    if lasted_s > self._backoff.longest_s:
                        delay_s = self._backoff.first_s
                    self._count()
                    self.stopping.wait(
                        delay_s if ended.state is MqttState.UNREACHABLE else self._backoff.refused_s
                    )
                    delay_s = min(2 * delay_s, self._backoff.longest_s)
        finally:
            self._set_state(MqttState.STOPPED, None)
            self._wake_reader.close()
            self._wake_writer.close()
            self._outbox.close()

    def _hint(self, lasted_s: float) -> str:
        """Guess at two appliances of one name, which end each other's connections.

        Few brokers say so.
        """
        if self._state is MqttState.CONNECTED:
            self._short_lived = self._short_lived + 1 if lasted_s < SHORT_SECONDS else 0
        many = self._short_lived >= 3
        if many:
            return " It keeps ending: does another appliance have the same device.name?"
        return ""

    def _serve(self) -> None:
        """Hold one connection until it ends or the worker is stopped."""
        topic = self._topics.full(Topics.STATUS)
        will = (topic, status_payload("offline", None).encode())
        connection = Connection(
            self._broker, self._context, self._client_id, will, self._wake_reader
        )
        try:
            connection.open()
            online = status_payload("online", clock.now().wall_ms)
            connection.publish(topic, online.encode(), qos=1, retain=True)
            for heard in self._listeners:
                connection.subscribe(heard)
            delivery = Delivery(
                self._outbox, self._topics, self._window_s, self._acknowledged, self._forget
            )
            self._set_state(MqttState.CONNECTED, None)
            self._send_now = True
            self._settled_s = clock.boot_seconds() + (SETTLE_SECONDS if self._lost else 0.0)
            with self._lock:
                self._changed = set(self._retained)
                self._vitals.clear()  # what was said to the connection before is late now
            while not self.stopping.is_set():
                self._say(connection)
                self._deliver(connection, delivery)
                connection.pump(POLL_SECONDS)
                self._listen(connection)
            self._take_leave(connection, delivery, topic)
        finally:
            connection.abandon()

    def _say(self, connection: Connection) -> None:
        """Publish what is said once, at QoS 0."""
        with self._lock:
            retained = [(suffix, self._retained[suffix]) for suffix in sorted(self._changed)]
            vitals = list(self._vitals)
            self._changed.clear()
            self._vitals.clear()
        for suffix, payload in retained:
            connection.publish(self._topics.full(suffix), payload, qos=0, retain=True)
        for payload in vitals:
            connection.publish(self._topics.full(Topics.VITALS), payload, qos=0, retain=False)

    def _listen(self, connection: Connection) -> None:
        """Hand on what was heard, and answer."""
        for topic in connection.deaf_to():
            log.warning(
                "mqtt: the broker does not let user %r listen. Let it read %s.",
                self._broker.username,
                topic,
            )
        for message in connection.heard():
            listener = self._listeners.get(message.topic)
            answer = listener.hear(message.payload, message.retained) if listener else None
            if listener is not None and answer is not None:
                connection.publish(
                    self._topics.full(listener.answers), answer.encode(), qos=0, retain=False
                )

    def _deliver(self, connection: Connection, delivery: Delivery) -> None:
        """Settle what the broker has answered and send what waits, unless a refusal or a store
        error says to wait.
        """
        now_s = clock.boot_seconds()
        try:
            taken, refusal = delivery.settle(connection)
            if refusal is not None:
                self._set_state(MqttState.UNAUTHORISED, self._refused(refusal))
                self._next_poll_s = now_s + self._backoff.refused_s
            elif taken:
                self._set_state(MqttState.CONNECTED, None)
            refused = self._state is MqttState.UNAUTHORISED
            due = now_s >= self._next_poll_s or (not refused and (taken or self._send_now))
            if due and now_s >= self._settled_s:
                # Cleared before looking: what is committed from here on sets it again.
                self._send_now = False
                self._next_poll_s = now_s + POLL_SECONDS
                delivery.send(connection)
                self._count()
                self._set_state(self._state, self._last_error if refused else None)
        except StoreError as error:
            self._send_now = False
            self._next_poll_s = now_s + POLL_SECONDS
            self._set_state(self._state, f"the outbox cannot be read or written: {error}")

    def _count(self) -> None:
        """Look at how many messages wait."""
        try:
            self._waiting = self._outbox.count()
        except StoreError as error:
            log.debug("mqtt: the outbox cannot be counted: %s", error)

    def _refused(self, reason: str) -> str:
        return (
            f"the broker refuses messages ({reason}). Let user {self._broker.username!r} write "
            f"{self._topics.base}/#."
        )

    def _take_leave(self, connection: Connection, delivery: Delivery, topic: str) -> None:
        """Wait a little for answers under way, say ``offline``, and disconnect so that the will is
        not published.
        """
        deadline_s = clock.boot_seconds() + FAREWELL_SECONDS
        self._say(connection)
        self._send_now = True
        self._settled_s = 0.0
        self._deliver(connection, delivery)
        while not delivery.idle and clock.boot_seconds() < deadline_s:
            connection.pump(0.1)
            self._deliver(connection, delivery)
        offline = status_payload("offline", clock.now().wall_ms)
        mid = connection.publish(topic, offline.encode(), qos=1, retain=True)
        while clock.boot_seconds() < deadline_s + 1 and mid not in {
            answer.mid for answer in connection.answers()
        }:
            connection.pump(0.1)
        connection.close()

    def _forget(self, suffix: str) -> None:
        with self._lock:
            self._retained.pop(suffix, None)
            self._changed.discard(suffix)

    def _retain(self, suffix: str, payload: Payload) -> None:
        with self._lock:
            self._retained[suffix] = payload.encode()
            self._changed.add(suffix)
        self._nudge()

    def _set_state(self, state: MqttState, text: str | None) -> None:
        """Remember the state; log and pass on a change."""
        if (state, text) == (self._state, self._last_error):
            return
        if state is not self._state:
            self._since_s = clock.boot_seconds()
        self._state = state
        self._last_error = text
        if text is None:
            log.info("mqtt: %s", state)
        else:
            log.warning("mqtt: %s: %s", state, text)
        if self._on_state is not None:
            self._on_state(state, text)

    def _nudge(self) -> None:
        """End the wait of the worker's thread."""
        try:
            self._wake_writer.send(b"\0")
        except BlockingIOError:
            return  # it is full of nudges already
        except OSError:
            return  # the worker has ended
