"""The life of the agent's connection to the broker: ``MqttClient.work``, from there downwards.

The worker connects and announces itself; publishes what holds now, delivers the outbox and hears
what others send; waits after every end, longer each time, and connects again; and says goodbye when
it is stopped. An unreachable broker is no error: ``state`` reports it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.threads import Worker
from edge_agent.mqtt import payloads
from edge_agent.mqtt.announcement import AnnouncedTopics, Announcer
from edge_agent.mqtt.broker import ConnectionEndedError, MqttState, WakeSignal, encryption
from edge_agent.mqtt.connection import Backoff, Connection, Connector
from edge_agent.mqtt.delivery import OutboxDelivery
from edge_agent.mqtt.discovery import Device
from edge_agent.mqtt.erased_queues import QueueClearing
from edge_agent.mqtt.health_payload import HealthPayload
from edge_agent.mqtt.live_messages import LiveMessages, LiveSender
from edge_agent.mqtt.payloads import Topics, status_payload
from edge_agent.timeline.write.outbox import Hole, Outbox

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.15
"""Interval of the check for messages from other processes, such as the dashboard.

It is made only where the system does not tell when the database was written.
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
    backoff: Backoff = field(default_factory=Backoff)
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

    def __init__(self, options: MqttOptions, outbox: Outbox) -> None:
        super().__init__("mqtt")
        self._options = options
        context = encryption(options.broker)
        self._topics = Topics(options.broker.root, options.device, options.broker.topics_off)
        self._status_topic = self._topics.full(Topics.STATUS)
        self._wake = WakeSignal(outbox.folder)
        self._connector = Connector(
            options.broker,
            context,
            # The same at each start: the broker then ends a session that a crash left behind.
            client_id=self._topics.base.replace("/", "-"),
            will=(self._status_topic, status_payload("offline", None).encode()),
            wake=self._wake,
            backoff=options.backoff,
        )
        self._outbox = outbox
        self._delivery = OutboxDelivery(outbox, self._topics, options.window_s, self._note_cleared)
        self._queues = QueueClearing(options.broker, context)
        self._live = LiveMessages(self._topics)
        self._sender = LiveSender(self._topics, self._live)
        self._announcer = Announcer(
            options.home_assistant, AnnouncedTopics(options.announced), self._topics
        )
        self._subscriptions = {self._topics.full(one.suffix): one for one in options.subscriptions}
        self.state = MqttState.CONNECTING
        self.last_error: str | None = None
        self._since_s = clock.boot_seconds()
        self.waiting = 0
        self.holes: Sequence[Hole] = ()
        self._fallback: str | None = None
        self._short_lived = 0
        self._was_lost = False
        self._send_now = True
        self._next_poll_s = 0.0
        self._settled_s = 0.0

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
        self._publish_passing(Topics.VITALS, payload)

    def publish_movements(self, payload: payloads.MovementsPayload) -> None:
        """Publish movements of a face (QoS 0); without a connection, drop them."""
        self._publish_passing(Topics.MOVEMENTS, payload)

    def _publish_passing(self, suffix: str, payload: payloads.Payload) -> None:
        if self.state is MqttState.CONNECTED:
            self._live.add(suffix, payload)
            self._wake.set()

    def work(self) -> None:
        """Connect, serve, and connect again after every end, until stopped."""
        try:
            while not self.stopping.is_set():
                try:
                    self._hold_connection()
                except ConnectionEndedError as end:
                    self._wait_to_reconnect(end)
        finally:
            self._set_state(MqttState.STOPPED, None)
            self._wake.close()
            self._outbox.close()

    def _hold_connection(self) -> None:
        """Hold one connection until it ends or the worker is stopped."""
        connection = self._connector.connect()
        try:
            self._fallback = connection.remark
            careful = self._short_lived >= SHORT_CONNECTIONS
            self._greet(connection, careful=careful)
            try:
                while not self.stopping.is_set():
                    self._exchange(connection, careful=careful)
            except ConnectionEndedError:
                self._delivery.end_connection(connection)
                self._sender.end_connection(connection)
                raise
            self._say_goodbye(connection)
        finally:
            connection.release()

    def _greet(self, connection: Connection, *, careful: bool) -> None:
        """Publish ``online``, subscribe, announce the device, and begin to send."""
        if not careful:
            self._sender.send_before_greeting(connection)
        greeting = self._publish_status(connection, "online")
        for topic in self._subscriptions:
            connection.subscribe(topic)
        self._announcer.begin_connection(connection)
        self._sender.begin_connection(careful=careful, greeting=greeting)
        self._delivery.begin_connection()
        self._set_state(MqttState.CONNECTED, self._remark)
        self._send_now = True
        self._settled_s = clock.boot_seconds()
        if self._was_lost:
            self._settled_s += self._options.backoff.settle_s

    def _publish_status(self, connection: Connection, state: Literal["online", "offline"]) -> int:
        payload = status_payload(state, clock.now().wall_ms)
        return connection.publish(self._status_topic, payload.encode(), qos=1, retain=True)

    def _exchange(self, connection: Connection, *, careful: bool) -> None:
        """Send what is new, and wait a little for what comes."""
        # If connections keep ending, the outbox goes first: it would never be sent if the broker
        # hangs up at a live message.
        if not careful or self._delivery.had_its_turn:
            self._sender.send(connection)
        self._deliver(connection)
        if self._delivery.is_idle:
            self._queues.clear_due()
        connection.pump(POLL_SECONDS if self._wake.watches else LOOK_SECONDS)
        self._report_silence(connection)
        self._handle_received(connection)

    def _deliver(self, connection: Connection) -> None:
        """Process acknowledgements, and send waiting messages.

        After a refusal or a database error nothing is sent for a while.
        """
        now_s = clock.boot_seconds()
        try:
            acks = self._announcer.process_acks(connection.acks())
            more, refusal = self._delivery.process_acks(acks)
            if refusal is not None:
                self._set_state(MqttState.UNAUTHORISED, self._refusal_text(refusal))
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
                self._delivery.send(connection)
                self._count()
                if self.state is MqttState.CONNECTED:
                    self._set_state(self.state, self._remark)
        except StoreError as error:
            self._send_now = False
            self._next_poll_s = now_s + POLL_SECONDS
            self._set_state(self.state, f"the outbox cannot be read or written: {error}")

    def _note_cleared(self, suffix: str) -> None:
        """Note that a retained topic is cleared: its old content must not come back."""
        self._live.forget(suffix)
        self._queues.note_cleared_topic()

    def _report_silence(self, connection: Connection) -> None:
        """Update the state when the broker stops answering, or answers again."""
        is_silent = connection.owed_s > SILENT_SECONDS
        if is_silent and self.state is MqttState.CONNECTED:
            broker = self._options.broker
            text = "does not answer, although it is connected. Check whether the broker hangs, and"
            self._set_state(MqttState.SILENT, f"{broker.where}: {text} the network to it.")
        elif not is_silent and self.state is MqttState.SILENT:
            self._set_state(MqttState.CONNECTED, self._remark)

    def _handle_received(self, connection: Connection) -> None:
        """Pass on received messages, and publish the replies."""
        for topic in connection.failed_subscriptions():
            log.warning(
                "mqtt: the broker does not let user %r subscribe. Let it read %s.",
                self._options.broker.username,
                topic,
            )
        for message in connection.messages():
            subscription = self._subscriptions.get(message.topic)
            # An empty one, too: it may be a retained one's deletion or a sender's fault, which the
            # broker does not tell apart.
            if subscription is not None:
                reply = subscription.on_message(message.payload, message.retained)
                if reply is not None:
                    topic = subscription.reply_topic
                    self._sender.publish(connection, topic, reply.encode(), retain=False)
            self._announcer.handle_message(connection, message)

    def _say_goodbye(self, connection: Connection) -> None:
        """Wait briefly for acknowledgements, publish ``offline``, and disconnect."""
        deadline_s = clock.boot_seconds() + GOODBYE_SECONDS
        self._sender.send(connection)
        self._send_now = True
        self._settled_s = 0.0
        self._deliver(connection)
        while not self._delivery.is_idle and clock.boot_seconds() < deadline_s:
            connection.pump(0.1)
            self._deliver(connection)
        # Published by ourselves: after an orderly DISCONNECT the broker drops the last will (MQTT
        # 5, 3.14).
        mid = self._publish_status(connection, "offline")
        while not connection.has_taken(mid) and clock.boot_seconds() < deadline_s + 1:
            connection.pump(0.1)
        connection.disconnect()

    def _wait_to_reconnect(self, end: ConnectionEndedError) -> None:
        """Report why the connection has ended, and wait before the next attempt."""
        self._was_lost = True
        text = end.text + self._hint_at_same_name(self._connector.lasted_s)
        pause_s = self._connector.pause_after(end)
        self._set_state(end.state, text)
        self._count()
        self.stopping.wait(pause_s)

    def _hint_at_same_name(self, lasted_s: float) -> str:
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

    @property
    def _remark(self) -> str | None:
        """What to change although the broker is connected."""
        return " ".join(filter(None, (self._fallback, self._announcer.problem))) or None

    def _refusal_text(self, reason: str) -> str:
        return (
            f"the broker refuses messages ({reason}). Allow user "
            f"{self._options.broker.username!r} to write {self._topics.base}/#."
        )

    def _count(self) -> None:
        """Count the waiting messages, and read the holes in their numbers."""
        try:
            self.waiting = self._outbox.count()
            self.holes = self._outbox.holes(HOLES_TOLD)
        except StoreError as error:
            log.debug("mqtt: the outbox cannot be counted: %s", error)

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
