"""The MQTT worker: publishes present values, and sends the outbox while the broker is connected.

An unreachable broker is no error: the worker tries again, with growing pauses, and reports this in
``state``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.threads import Worker
from edge_agent.mqtt import payloads, sending
from edge_agent.mqtt.broker import ConnectionEndedError, MqttState, WakeSignal, encryption
from edge_agent.mqtt.connection import Connection, QueueClearing, open_connection
from edge_agent.mqtt.discovery import Device
from edge_agent.mqtt.health_payload import HealthPayload
from edge_agent.mqtt.payloads import Topics, status_payload

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.15
"""Interval of the check for messages from other processes, such as the dashboard.

A marker reaches the broker in 0.1 s (median); the check takes 0.2 % of a core of an x86-64 server.
"""
POLL_SECONDS = 2.0
"""The outbox is read at least this often in any case."""
GOODBYE_SECONDS = 2.0
"""Longest wait for acknowledgements at the end; the agent has five seconds to stop."""
SHORT_SECONDS = 10.0
"""A shorter connection counts as short."""
SHORT_CONNECTIONS = 3
"""Short connections in a row that suggest a second appliance with the same name."""
SILENT_SECONDS = 1.3
"""Wait for an answer after which the broker counts as silent; the connection is kept."""
HOLES_TOLD = 10
"""Number of the newest holes in the numbers that the health report lists."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts to connect.

    Attributes:
        first_s: after the first failure; doubled after each further one.
        longest_s: upper limit of the doubling.
        refused_s: after an error that only a person can fix, such as a wrong password or an
            untrusted certificate.
        settle_s: wait after an outage before the outbox is sent, so that readers that also lost the
            broker are connected again when the messages come.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    refused_s: float = 60.0
    settle_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic that the appliance subscribes to.

    Attributes:
        suffix: the topic, such as ``ingest/vitals``.
        on_message: called in the client's thread with a payload and whether it was retained;
            returns the reply, or ``None`` for no reply.
        reply_topic: suffix of the topic on which replies are published.
    """

    suffix: str
    on_message: Callable[[bytes, bool], payloads.Payload | None]
    reply_topic: str


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """The settings of the MQTT client.

    Attributes:
        broker: the table ``[mqtt]``, with the password from its file.
        device: name of the appliance; unique at the broker.
        window_s: length of a summary window in seconds, to mark summaries that come late.
        backoff: pauses between attempts to connect.
        subscriptions: topics to subscribe to.
        home_assistant: the device for Home Assistant's discovery; ``None``: no discovery.
        announced: file with the topics of which the broker keeps messages; ``None``: not stored.

    Example:
        >>> options = MqttOptions(MqttSettings(host="192.168.1.5"), device="lab")
        >>> options.broker.root, options.backoff.longest_s
        ('affect-edge', 30.0)
    """

    broker: MqttSettings
    device: str
    window_s: float = 10.0
    backoff: Backoff = Backoff()
    subscriptions: tuple[Subscription, ...] = ()
    home_assistant: Device | None = None
    announced: Path | None = None


class MqttClient(Worker):
    """The worker that owns the connection to the broker.

    Args:
        options: broker, names, waiting times and subscriptions.
        outbox: messages that must arrive; used from this worker's thread only.

    Attributes:
        state: of the connection to the broker.
        last_error: the fault and what to do; ``None`` without a fault.
        waiting: messages in the outbox at the last count.
        holes: the newest holes in the numbers of messages, newest first, at the last count.

    Raises:
        MqttError: the settings cannot work with any broker.

    Example:
        Publish an emotion, and stop in order (``outbox`` is the store's)::

            client = MqttClient(MqttOptions(MqttSettings(), device="lab"), Outbox(database))
            client.start()
            client.publish_emotion(emotion_payload(recognition, simulated=False))
            client.stop()
            client.join(timeout_s=5)
    """

    def __init__(self, options: MqttOptions, outbox: sending.OutboxQueue) -> None:
        super().__init__("mqtt")
        self._options = options
        self._context = encryption(options.broker)
        self._topics = Topics(options.broker.root, options.device, options.broker.topics_off)
        # The same at each start: the broker then ends a session that a crash left behind.
        self._client_id = self._topics.base.replace("/", "-")
        self._outbox = outbox
        self._subscriptions = {self._topics.full(one.suffix): one for one in options.subscriptions}
        self.state = MqttState.CONNECTING
        self.last_error: str | None = None
        self._since_s = clock.boot_seconds()
        self.waiting = 0
        self._short_lived = 0
        self._acknowledged: set[int] = set()
        self.holes: Sequence[sending.SeqHole] = ()
        self._guard = sending.DropGuard()
        self._queues = QueueClearing(options.broker, self._context)
        self._live = sending.LiveMessages(self._topics)
        self._sender = sending.LiveSender(self._topics, self._live)
        self._announcer = sending.Announcer(
            options.home_assistant, sending.AnnouncedTopics(options.announced), self._topics
        )
        self._send_now = True
        self._next_poll_s = 0.0
        self._lost = False
        self._suspected = False
        self._fallback: str | None = None
        self._settled_s = 0.0
        self._wake = WakeSignal()

    @property
    def state_seconds(self) -> float:
        """Time for which the state has not changed, seconds."""
        return clock.boot_seconds() - self._since_s

    @property
    def set_aside(self) -> Mapping[str, int]:
        """Messages that were not sent and are kept aside, since the start, by reason."""
        return self._outbox.set_aside_counts

    @property
    def left_out(self) -> Mapping[str, int]:
        """Topics whose messages are too large for the broker: suffix → bytes."""
        return self._sender.left_out

    def wake(self) -> None:
        """Announce that messages were committed to the outbox; callable from any thread."""
        self._send_now = True
        self._wake.set()

    def stop(self) -> None:
        """Ask the worker to publish ``offline`` and end."""
        super().stop()
        self._wake.set()

    def publish_emotion(self, payload: payloads.EmotionPayload) -> None:
        """Publish a changed emotion (QoS 0, retained).

        Without a connection, only the newest is kept.
        """
        self._live.retain(Topics.EMOTION, payload)
        self._wake.set()

    def publish_health(self, payload: HealthPayload | Mapping[str, Any]) -> None:
        """Publish the health of the appliance (QoS 0, retained), as ``publish_alerts`` does."""
        if not isinstance(payload, HealthPayload):
            payload = HealthPayload.model_validate(payload)
        self._live.retain(Topics.HEALTH, payload)
        self._wake.set()

    def publish_alerts(self, payload: payloads.AlertsPayload) -> None:
        """Publish the open alerts (QoS 0, retained); without a connection, keep the newest."""
        self._live.retain(Topics.ALERTS, payload)
        self._wake.set()

    def publish_state(self, payload: payloads.StatePayload) -> None:
        """Publish the present state (QoS 0); without a connection, keep the newest."""
        self._live.set_state(payload)
        self._wake.set()

    def publish_vital(self, payload: payloads.VitalPayload) -> None:
        """Publish a reading (QoS 0); without a connection it is only in the timeline."""
        self._pass_on(Topics.VITALS, payload)

    def publish_movements(self, payload: payloads.MovementsPayload) -> None:
        """Publish movements of a face (QoS 0); without a connection, drop them."""
        self._pass_on(Topics.MOVEMENTS, payload)

    def _pass_on(self, suffix: str, payload: payloads.Payload) -> None:
        if self.state is MqttState.CONNECTED:
            self._live.add(suffix, payload)
            self._wake.set()

    def work(self) -> None:
        """Connect, serve, and connect again after every end, until stopped."""
        delay_s = self._options.backoff.first_s
        try:
            while not self.stopping.is_set():
                started_s = clock.boot_seconds()
                try:
                    self._serve()
                except ConnectionEndedError as ended:
                    lasted_s = clock.boot_seconds() - started_s
                    delay_s = self._wait_to_reconnect(ended, lasted_s, delay_s)
        finally:
            self._set_state(MqttState.STOPPED, None)
            self._wake.close()
            self._outbox.close()

    def _wait_to_reconnect(
        self, ended: ConnectionEndedError, lasted_s: float, delay_s: float
    ) -> float:
        """Wait before the next attempt; return the delay after that one."""
        backoff = self._options.backoff
        self._lost = True
        self._suspected = ended.version
        self._set_state(ended.state, ended.text + self._hint(lasted_s))
        # Only a connection that lasted resets the pauses; one that ends at once would be made each
        # second.
        if lasted_s > backoff.longest_s:
            delay_s = backoff.first_s
        self._count()
        if ended.state is MqttState.UNREACHABLE:
            self.stopping.wait(delay_s)
        else:
            # only a person can help: asking every second would fill the broker's log
            self.stopping.wait(backoff.refused_s)
        return min(2 * delay_s, backoff.longest_s)

    def _hint(self, lasted_s: float) -> str:
        """Return a hint at two appliances of one name, which end each other's connections.

        Few brokers report that reason, so it is guessed from short connections in a row.
        """
        if self.state is MqttState.CONNECTED:
            if lasted_s < SHORT_SECONDS:
                self._short_lived += 1
            else:
                self._short_lived = 0
        if self._short_lived >= SHORT_CONNECTIONS:
            return " It keeps ending: does another appliance have the same device.name?"
        return ""

    def _serve(self) -> None:
        """Hold one connection until it ends or the worker is stopped."""
        status_topic = self._topics.full(Topics.STATUS)
        will = (status_topic, status_payload("offline", None).encode())
        line = (self._options.broker, self._context, self._client_id, will, self._wake)
        connection, self._fallback = open_connection(*line, suspected=self._suspected)
        try:
            careful = self._short_lived >= SHORT_CONNECTIONS
            if not careful:
                self._sender.send_before_greeting(connection)
            online = status_payload("online", clock.now().wall_ms)
            greeting = connection.publish(status_topic, online.encode(), qos=1, retain=True)
            for topic in self._subscriptions:
                connection.subscribe(topic)
            self._announcer.begin_connection(connection)
            self._sender.begin_connection(careful=careful, greeting=greeting)
            delivery = self._begin_delivery()
            try:
                while not self.stopping.is_set():
                    # If connections keep ending, the outbox goes first: it would never be sent if
                    # the broker hangs up at a live message.
                    if not careful or delivery.had_its_turn:
                        self._sender.send(connection)
                    self._deliver(connection, delivery)
                    self._queues.clear_when(delivery.idle)
                    connection.pump(LOOK_SECONDS)
                    self._report_silence(connection)
                    self._handle_received(connection)
            except ConnectionEndedError:
                delivery.connection_ended(connection)
                self._sender.connection_ended(connection)
                raise
            self._disconnect(connection, delivery, status_topic)
        finally:
            connection.release()

    def _report_silence(self, connection: Connection) -> None:
        """Update the state when the broker stops answering, or answers again."""
        is_silent = connection.owed_s > SILENT_SECONDS
        if is_silent and self.state is MqttState.CONNECTED:
            broker = self._options.broker
            text = "does not answer, although it is connected. Check whether the broker hangs, and"
            self._set_state(MqttState.SILENT, f"{broker.where}: {text} the network to it.")
        elif not is_silent and self.state is MqttState.SILENT:
            self._set_state(MqttState.CONNECTED, self._remark)

    def _begin_delivery(self) -> sending.OutboxDelivery:
        """Set the state of a new connection, and return the delivery of the outbox over it."""
        delivery = sending.OutboxDelivery(
            self._outbox,
            self._topics,
            self._options.window_s,
            self._acknowledged,
            self._guard,
            self._queues.noting(self._live.forget),
        )
        self._set_state(MqttState.CONNECTED, self._remark)
        self._send_now = True
        self._settled_s = clock.boot_seconds()
        if self._lost:
            self._settled_s += self._options.backoff.settle_s
        return delivery

    def _handle_received(self, connection: Connection) -> None:
        """Pass on received messages, and publish the replies."""
        for topic in connection.failed_subscriptions():
            log.warning(
                "mqtt: the broker does not let user %r subscribe. Let it read %s.",
                self._options.broker.username,
                topic,
            )
        for message in connection.messages():
            told = self._subscriptions.get(message.topic)
            # An empty one, too: it may be a retained one's deletion or a sender's fault, which the
            # broker does not tell apart.
            if told is not None:
                reply = told.on_message(message.payload, message.retained)
                if reply is not None:
                    self._sender.publish(connection, told.reply_topic, reply.encode(), retain=False)
            self._announcer.handle(connection, message)

    def _deliver(self, connection: Connection, delivery: sending.OutboxDelivery) -> None:
        """Process acknowledgements, and send waiting messages.

        After a refusal or a database error nothing is sent for a while.
        """
        now_s = clock.boot_seconds()
        try:
            more, refusal = delivery.process_acks(self._announcer.take_own(connection.acks()))
            if refusal is not None:
                self._set_state(MqttState.UNAUTHORISED, self._refused(refusal))
                self._next_poll_s = now_s + self._options.backoff.refused_s
            elif more:
                self._set_state(MqttState.CONNECTED, self._remark)
            due = now_s >= self._next_poll_s
            if self.state is not MqttState.UNAUTHORISED:
                due = due or more or self._send_now or self._outbox.has_changed()
            if due and now_s >= self._settled_s:
                # Cleared before reading: what is committed from here on sets it again.
                self._send_now = False
                self._next_poll_s = now_s + POLL_SECONDS
                delivery.send(connection)
                self._count()
                if self.state is MqttState.CONNECTED:
                    self._set_state(self.state, self._remark)
        except StoreError as error:
            self._send_now = False
            self._next_poll_s = now_s + POLL_SECONDS
            self._set_state(self.state, f"the outbox cannot be read or written: {error}")

    @property
    def _remark(self) -> str | None:
        """Return what to change although the broker is connected."""
        return " ".join(filter(None, (self._fallback, self._announcer.problem))) or None

    def _count(self) -> None:
        """Count the waiting messages, and read the holes in their numbers."""
        try:
            self.waiting = self._outbox.count()
            self.holes = self._outbox.holes(HOLES_TOLD)
        except StoreError as error:
            log.debug("mqtt: the outbox cannot be counted: %s", error)

    def _refused(self, reason: str) -> str:
        return (
            f"the broker refuses messages ({reason}). Allow user "
            f"{self._options.broker.username!r} to write {self._topics.base}/#."
        )

    def _disconnect(
        self, connection: Connection, delivery: sending.OutboxDelivery, status_topic: str
    ) -> None:
        """Wait briefly for acknowledgements, publish ``offline``, and disconnect."""
        deadline_s = clock.boot_seconds() + GOODBYE_SECONDS
        self._sender.send(connection)
        self._send_now = True
        self._settled_s = 0.0
        self._deliver(connection, delivery)
        while not delivery.idle and clock.boot_seconds() < deadline_s:
            connection.pump(0.1)
            self._deliver(connection, delivery)
        offline = status_payload("offline", clock.now().wall_ms)
        # Published by ourselves: after an orderly DISCONNECT the broker drops the last will (MQTT
        # 5, 3.14).
        mid = connection.publish(status_topic, offline.encode(), qos=1, retain=True)
        while clock.boot_seconds() < deadline_s + 1 and mid not in {
            ack.mid for ack in connection.acks()
        }:
            connection.pump(0.1)
        connection.disconnect()

    def _set_state(self, state: MqttState, text: str | None) -> None:
        """Store the state, and log a change."""
        if (state, text) == (self.state, self.last_error):
            return
        if state is not self.state:
            self._since_s = clock.boot_seconds()
        self.state = state
        self.last_error = text
        if text is None:
            log.info("mqtt: %s", state)
        else:
            log.warning("mqtt: %s: %s", state, text)
