"""The worker that sends the stream of the timeline to the broker, and receives confirmations.

It keeps the messages in transit, and each problem until it is solved.

A change counts as delivered when the collector has it, not the broker, and no change may be left
out: what is not confirmed is sent again from there on, and none is set aside as the outbox does
with a message that a broker refuses (`edge_agent.mqtt.delivery`).
"""

from __future__ import annotations

import logging
import random
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from threading import Lock

from edge_agent.config.mqtt import FleetSettings, MqttSettings
from edge_agent.config.settings import Settings
from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.pauses import doubling, pause_after
from edge_agent.core.threads import Worker
from edge_agent.fleet.chunks import Chunk, MessageError, TimelineMessage, encode, read_confirmation
from edge_agent.fleet.log import ChangeLog, FleetStream
from edge_agent.fleet.tables import BOOT_CHARACTERS
from edge_agent.mqtt.broker import ConnectionEndedError, MqttState, WakeSignal, encryption
from edge_agent.mqtt.connection import Backoff, Connection, Connector
from edge_agent.mqtt.payloads import Confirmation, Topics
from edge_agent.timeline.write.changes import ReplicationStanding

log = logging.getLogger(__name__)

MOST_AT_BROKER = 8
"""Most messages that the broker has not acknowledged."""
MOST_UNCONFIRMED = 64
"""Most messages that the collector has not confirmed, so that the broker is not filled while the
collector is down.
"""
RESEND_S = 60.0
"""Time without a confirmation after which everything unconfirmed is sent again."""
LONGEST_RESEND_S = 900.0
ROWS_A_MESSAGE = 500
LARGEST_MESSAGE = 512 * 1024
"""Most bytes of a message; a larger one is sent in parts."""
LOOK_S = 1.0
"""Interval of the check for commits."""
PACE_S = 0.05
"""Pause between two messages, which leaves room for others: 10,000 rows a second."""
FORGET_S = 60.0
"""Interval at which confirmed changes are deleted: each time is a commit on the card."""
FORGET_CHANGES = 5_000
"""Number of confirmed changes that are deleted earlier."""
SHRINK_S = 600.0
COUNT_S = 2.0
"""Interval at which waiting changes are counted."""


@dataclass(slots=True)
class _Sent:
    last: int
    mid: int
    at_broker: bool = False


class Flight:
    """The messages between this device and the collector.

    The collector confirms positions, not messages: messages lost in between, even in a broker
    without a disk, are sent again.

    Args:
        confirmed: the last position that the collector has.
        now_s: of the boot clock.
        resend_s: as ``RESEND_S``.
    """

    def __init__(self, confirmed: int, now_s: float, resend_s: float = RESEND_S) -> None:
        self.confirmed = confirmed
        self.sent = confirmed
        self._messages: deque[_Sent] = deque()
        self._waits_s = doubling(resend_s, LONGEST_RESEND_S)
        self._in_vain = 0
        self._progress_s = now_s

    @property
    def has_room(self) -> bool:
        """Whether another message may be sent."""
        # Two limits: the broker's own queue, and what a collector that is away would leave in the
        # air.
        at_broker = sum(not message.at_broker for message in self._messages)
        return at_broker < MOST_AT_BROKER and len(self._messages) < MOST_UNCONFIRMED

    def note_sent(self, last: int, mid: int, now_s: float) -> None:
        """Record a message up to the position ``last``, with its number at the broker."""
        # The wait for a confirmation starts with the first message, not with the last quiet hour.
        if not self._messages:
            self._progress_s = now_s
        self._messages.append(_Sent(last, mid))
        self.sent = last

    def note_taken(self, mid: int) -> None:
        """Record that the broker has a message."""
        for message in self._messages:
            if message.mid == mid and not message.at_broker:
                message.at_broker = True
                return

    def note_confirmed(self, position: int, now_s: float) -> bool:
        """Record a confirmation; return whether it is new.

        A position beyond the sent ones, as after a restart of the agent, counts as well.
        """
        if position <= self.confirmed:
            return False
        self.confirmed = position
        self.sent = max(self.sent, position)
        # One confirmation covers all messages before it.
        while self._messages and self._messages[0].last <= position:
            self._messages.popleft()
        self._progress_s = now_s
        self._in_vain = 0
        return True

    def send_again(self, position: int, now_s: float) -> bool:
        """Send everything after the confirmed ``position`` again, as the collector asks.

        Returns whether there is anything; what an older confirmation asks for is not sent.
        """
        if position != self.confirmed or not self._messages:
            return False
        self._begin_again(now_s)
        return True

    def connection_ended(self) -> None:
        """Send again, over the next connection, what the broker may not have."""
        # From the end: what the broker has in order stays, and the first gap is sent anew.
        while self._messages and not all(message.at_broker for message in self._messages):
            self._messages.pop()
        self.sent = self._messages[-1].last if self._messages else self.confirmed

    def resend_overdue(self, now_s: float) -> bool:
        """Send everything unconfirmed again where no confirmation has come for long.

        Each time in vain the wait is twice as long. Returns whether it is so.
        """
        wait_s = pause_after(self._in_vain + 1, self._waits_s)
        if not self._messages or now_s - self._progress_s < wait_s:
            return False
        self._begin_again(now_s)
        self._in_vain += 1
        return True

    def _begin_again(self, now_s: float) -> None:
        self._messages.clear()
        self.sent = self.confirmed
        self._progress_s = now_s


class SenderTrouble(IntEnum):
    """Kinds of problems; the first present one is reported, since it may cause the others."""

    CONNECTION = 1
    DATABASE = 2
    CLOSED = 3
    PUBLISH = 4
    SUBSCRIBE = 5
    SILENCE = 6


class Troubles:
    """The problems of one stream. One thread records them; any thread may read the state."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._texts: dict[SenderTrouble, str] = {}
        self._since_s = 0.0
        self._state = "connecting"
        self._given_up: list[tuple[int, int]] = []
        self._newest = self._confirmed = 0

    def begin(self, kind: SenderTrouble, text: str) -> None:
        """Record a problem with its cure; log it if it is new."""
        with self._lock:
            # Since the first of several problems: the later ones may come of it.
            if not self._texts:
                self._since_s = clock.boot_seconds()
            before, self._texts[kind] = self._texts.get(kind), text
        if text != before:
            log.warning("fleet: %s", text)

    def end(self, *kinds: SenderTrouble) -> None:
        """Record that problems are over."""
        with self._lock:
            ended = [kind for kind in kinds if self._texts.pop(kind, None) is not None]
            done = bool(ended) and not self._texts
        if done:
            log.info("fleet: what was wrong is over")

    def set_state(self, state: str) -> None:
        """Record the state of the connection."""
        self._state = state

    def set_given_up(self, gaps: list[tuple[int, int]]) -> None:
        """Record the dropped changes: position of each gap, and number of its changes."""
        with self._lock:
            self._given_up = gaps

    def set_positions(self, newest: int, confirmed: int) -> None:
        """Record the newest position, and the last confirmed one."""
        with self._lock:
            self._newest, self._confirmed = newest, confirmed
            # A gap that the collector has confirmed is known there.
            self._given_up = [one for one in self._given_up if one[0] > confirmed]

    @property
    def standing(self) -> ReplicationStanding:
        """State of the stream: connection, waiting and confirmed changes, and the problem."""
        with self._lock:
            first = min(self._texts, default=None)
            return ReplicationStanding(
                self._state,
                max(0, self._newest - self._confirmed),
                self._confirmed,
                None if first is None else self._texts[first],
                0.0 if first is None else clock.boot_seconds() - self._since_s,
                sum(count for _, count in self._given_up),
            )


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """The options of the sender, from the configuration.

    Attributes:
        broker: the broker, the account, and the first part of the topics.
        device: name of the appliance.
        fleet: the table ``[fleet]``.
        backoff: pauses between attempts to connect.
        resend_s: time without a confirmation after which everything unconfirmed is sent again.
        forget_s: interval at which confirmed changes are deleted.
    """

    broker: MqttSettings
    device: str
    fleet: FleetSettings
    backoff: Backoff = field(default_factory=Backoff)
    resend_s: float = RESEND_S
    forget_s: float = FORGET_S


class FleetSender(Worker):
    """Sends every change of the database, in order, and deletes confirmed ones from the log.

    Args:
        options: broker and names.
        changes: the log; used from this worker's thread only.

    Raises:
        MqttError: the settings cannot work with any broker.
    """

    def __init__(self, options: SenderOptions, changes: ChangeLog) -> None:
        super().__init__("fleet")
        self._options = options
        context = encryption(options.broker)
        self._topics = Topics(options.broker.root, options.device)
        client_id = f"{self._topics.base.replace('/', '-')}-timeline"
        self._wake = WakeSignal()
        self._connector = Connector(
            options.broker, context, client_id, None, self._wake, backoff=options.backoff
        )
        self._changes = changes
        self._stream: FleetStream | None = None
        self._flight = Flight(0, clock.boot_seconds(), options.resend_s)
        self._erased: dict[int, int] = {}
        self._forgotten = 0
        self._too_large = 0
        self._next_forget_s = 0.0
        self._next_shrink_s = 0.0
        self._next_send_s = 0.0
        self._look = True
        self._next_count_s = 0.0
        self._troubles = Troubles()

    @property
    def confirmed(self) -> int:
        """The last position that the collector has confirmed."""
        return self._flight.confirmed

    @property
    def standing(self) -> ReplicationStanding:
        """State of the stream, for the health of the agent."""
        return self._troubles.standing

    def stop(self) -> None:
        """Ask the worker to end; what is not sent waits in the database."""
        super().stop()
        self._wake.set()

    def work(self) -> None:
        """Connect, send, and connect again after every end, until stopped."""
        try:
            self._begin()  # changes are logged from here on, also while the broker is away
            while not self.stopping.is_set():
                try:
                    self._serve()
                except ConnectionEndedError as end:
                    self._wait_to_reconnect(end)
        finally:
            # At the end at once, or the next start would send it all again.
            self._forget(at_once=True)
            self._wake.close()
            self._changes.close()

    def _wait_to_reconnect(self, end: ConnectionEndedError) -> None:
        """Note why the connection has ended, and wait before the next attempt."""
        # many appliances lose one broker at the same moment: they do not all come back at once
        pause_s = self._connector.pause_after(end) * random.uniform(0.5, 1.5)  # noqa: S311
        self._troubles.set_state(end.state.value)
        self._troubles.begin(SenderTrouble.CONNECTION, end.text)
        # The log grows while the broker is away, so its bound is kept here too.
        self._keep_house()
        self.stopping.wait(pause_s)

    def _serve(self) -> None:
        """Hold one connection until it ends or the worker is stopped."""
        connection = self._connector.connect()
        try:
            connection.subscribe(self._topics.full(Topics.TIMELINE_CONFIRMED))
            if connection.remark is not None:
                log.info("fleet: %s", connection.remark)
            self._troubles.set_state(MqttState.CONNECTED.value)
            self._troubles.end(
                SenderTrouble.CONNECTION, SenderTrouble.PUBLISH, SenderTrouble.SUBSCRIBE
            )
            self._look = True
            settle_s = self._options.backoff.settle_s * random.uniform(0.5, 1.5)  # noqa: S311
            self._next_send_s = clock.boot_seconds() + settle_s
            try:
                while not self.stopping.is_set():
                    self._step(connection)
            except ConnectionEndedError:
                self._flight.connection_ended()
                raise
            self._flight.connection_ended()
            connection.disconnect()
        finally:
            connection.release()

    def _step(self, connection: Connection) -> None:
        """Receive, send, and wait a little; after a database error try again the next time."""
        pause_s = LOOK_S
        try:
            if self._stream is None or self._changes.was_replaced:
                self._begin()
            self._hear(connection)
            # Asked before the rest: `or` the other way round would leave the version unread.
            self._look = self._changes.has_changed() or self._look
            if self._flight.resend_overdue(clock.boot_seconds()):
                self._not_confirmed()
                self._look = True
            if self._look:
                pause_s = self._send(connection)
            self._forget()
            self._keep_bounds()
            self._count()
            self._troubles.end(SenderTrouble.DATABASE)
        except StoreError as error:
            # The database may be back with the next look; the connection need not end for it.
            self._report_damage(error)
        connection.pump(pause_s)

    def _begin(self) -> None:
        """Open the stream of the database; after a restore it is another one."""
        try:
            stream = self._changes.begin()
            self._troubles.set_given_up(self._changes.gaps())
        except StoreError as error:
            self._report_damage(error)
            return
        # The same stream may have been opened again; its flight goes on.
        if self._stream is None or stream.epoch != self._stream.epoch:
            log.info("fleet: stream %s from position %d", stream.epoch, stream.confirmed + 1)
            self._flight = Flight(stream.confirmed, clock.boot_seconds(), self._options.resend_s)
            self._forgotten = stream.confirmed
            self._erased.clear()
            self._troubles.end(SenderTrouble.CLOSED, SenderTrouble.SILENCE)
        self._stream = stream
        self._look = True

    def _hear(self, connection: Connection) -> None:
        for topic in connection.failed_subscriptions():
            text = (
                f"the MQTT broker does not let this account read {topic}. Allow it there "
                "(mosquitto: acl_file), then restart the agent."
            )
            self._troubles.begin(SenderTrouble.SUBSCRIBE, text)
        for ack in connection.acks():
            if ack.refusal is not None:
                topic = self._topics.full(Topics.TIMELINE)
                text = (
                    f"the MQTT broker refuses the timeline ({ack.refusal}). Let this account write "
                    f"{topic} there (mosquitto: acl_file)."
                )
                self._troubles.begin(SenderTrouble.PUBLISH, text)
            else:
                self._flight.note_taken(ack.mid)
            self._look = True
        for message in connection.messages():
            try:
                self._note_confirmation(read_confirmation(message.payload))
            except MessageError as error:
                log.warning("fleet: a message on %s %s", message.topic, error)

    def _note_confirmation(self, confirmation: Confirmation) -> None:
        """Note what a collector has."""
        if self._stream is None or confirmation.epoch != self._stream.epoch:
            return  # of a stream of before
        if confirmation.closed:
            text = (
                "the collector takes nothing more of this stream, for another one of this name has "
                "begun. Does another appliance have the same device.name? Give each its own, then "
                "restart the agent."
            )
            self._troubles.begin(SenderTrouble.CLOSED, text)
        newest = self._changes.newest()
        # Anybody who may publish there could make the log be deleted: never beyond what exists.
        if confirmation.position > newest:
            log.warning(
                "fleet: position %d was confirmed, the newest is %d; who publishes on %s?",
                confirmation.position,
                newest,
                self._topics.full(Topics.TIMELINE_CONFIRMED),
            )
            return
        if not confirmation.closed:
            self._troubles.end(SenderTrouble.CLOSED)
        self._erased.update({each.position: each.rows for each in confirmation.erased})
        if self._flight.note_confirmed(confirmation.position, clock.boot_seconds()):
            self._look = True
            self._troubles.end(SenderTrouble.PUBLISH, SenderTrouble.SILENCE)
        now_s = clock.boot_seconds()
        if confirmation.again and self._flight.send_again(confirmation.position, now_s):
            self._look = True

    def _send(self, connection: Connection) -> float:
        """Send the next message where it may be; return how long to wait for the next look."""
        now_s = clock.boot_seconds()
        if now_s < self._next_send_s:
            return min(LOOK_S, self._next_send_s - now_s)
        if not self._flight.has_room:
            self._look = False  # an acknowledgement or a confirmation sets it again
            return LOOK_S
        chunk, payload = self._next_message(connection)
        if chunk is None:
            self._look = False
            return LOOK_S
        mid = connection.publish(self._topics.full(Topics.TIMELINE), payload, qos=1, retain=False)
        self._flight.note_sent(chunk.last, mid, now_s)
        self._next_send_s = now_s + PACE_S
        return PACE_S

    def _next_message(self, connection: Connection) -> tuple[Chunk | None, bytes]:
        """Return what comes next; with fewer rows where the broker would not take it."""
        topic = self._topics.full(Topics.TIMELINE)
        rows = ROWS_A_MESSAGE
        while True:
            chunk = self._changes.read(self._flight.sent, rows)
            if chunk is None or self._stream is None:
                return None, b""
            payload = encode(timeline_message(self._options.device, self._stream.epoch, chunk))
            # A quarter each time: at most five readings until a single row is left.
            if rows == 1 or (len(payload) <= LARGEST_MESSAGE and connection.fits(topic, payload)):
                break
            rows = max(1, rows // 4)
        if not connection.fits(topic, payload):
            if chunk.last != self._too_large:  # on a full disk this comes again each second
                log.error("fleet: a change is too large for the broker (%d bytes)", len(payload))
            self._too_large = chunk.last
            # Given up alone, or the stream would stop at it for ever.
            self._changes.refuse(chunk.last, chunk.last)
            return self._next_message(connection)
        return chunk, payload

    def _forget(self, *, at_once: bool = False) -> None:
        """Delete the changes that the collector confirmed, and audit the erasures among them.

        Unless ``at_once``, wait until enough time has passed or enough changes are confirmed.
        """
        confirmed = self._flight.confirmed
        count = confirmed - self._forgotten
        now_s = clock.boot_seconds()
        due = at_once or now_s >= self._next_forget_s or count >= FORGET_CHANGES
        if self._stream is None or count <= 0 or not due:
            return
        try:
            self._changes.confirm(confirmed, self._erased)
        except StoreError as error:
            # At the end nobody is left to be told, and nothing is lost: it is only sent twice.
            if not at_once:
                raise
            log.warning("fleet: what was confirmed is sent again: %s", error)
            return
        self._forgotten = confirmed
        self._next_forget_s = now_s + self._options.forget_s

    def _keep_bounds(self) -> None:
        """Drop the oldest changes where the collector has been away for too long."""
        now_s = clock.boot_seconds()
        if now_s < self._next_shrink_s or self._stream is None:
            return
        dropped = self._changes.shrink(self._options.fleet.backlog_mb * 1_000_000)
        self._next_shrink_s = now_s + SHRINK_S
        if dropped:
            log.warning("fleet: %d changes were dropped: the collector was away too long", dropped)
            self._troubles.set_given_up(self._changes.gaps())

    def _keep_house(self) -> None:
        """Do without a connection what is done beside sending."""
        try:
            self._keep_bounds()
            self._count()
        except StoreError as error:
            self._report_damage(error)

    def _count(self) -> None:
        """Note now and then how much waits."""
        now_s = clock.boot_seconds()
        if now_s < self._next_count_s or self._stream is None:
            return
        self._next_count_s = now_s + COUNT_S
        self._troubles.set_positions(self._changes.newest(), self._flight.confirmed)

    def _not_confirmed(self) -> None:
        """Note that no confirmation has come, and that all is sent again."""
        log.info("fleet: no confirmation has come; what is unconfirmed is sent again")
        topic = self._topics.full(Topics.TIMELINE)
        text = (
            "no collector has confirmed anything for a while. See that `affect-edge collect` runs "
            f"and reaches its database, and that the MQTT broker lets this account write {topic} "
            f"and read {topic}/confirmed."
        )
        self._troubles.begin(SenderTrouble.SILENCE, text)

    def _report_damage(self, error: StoreError) -> None:
        text = f"the log of changes cannot be read or written: {error}"
        self._troubles.begin(SenderTrouble.DATABASE, text)


def timeline_message(device: str, epoch: str, chunk: Chunk) -> TimelineMessage:
    """Return a chunk as it is sent now."""
    at = clock.now()
    return TimelineMessage(
        device,
        epoch,
        chunk.first,
        chunk.last,
        at.wall_ms,
        clock.is_synchronised(),
        chunk.absent,
        chunk.changes,
        clock.boot_id()[:BOOT_CHARACTERS],
        at.boot_ms,
    )


def fleet_sender(settings: Settings, database: Path, broker: MqttSettings) -> FleetSender:
    """Return what sends the timeline, not yet started; its triggers are made when it starts.

    Raises:
        MqttError: the broker's settings cannot work.
    """
    options = SenderOptions(broker, settings.device.name, settings.fleet)
    return FleetSender(options, ChangeLog(database))
