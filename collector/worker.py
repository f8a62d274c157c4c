"""The loop of a collector: receive, commit, acknowledge, confirm; wait for missing servers.

It reports its health in a file and to systemd.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from collector.database.devices import note_states, refuse_state
from collector.database.schema import migrate
from collector.messages import (
    BrokerDelivery,
    CollectorError,
    StateMessage,
    Transport,
    TransportError,
)
from collector.writer import MOST_CLOSED, DueConfirmation, MessageWriter
from edge_agent.core import clock
from edge_agent.core.clock import boot_id, now
from edge_agent.core.pauses import Pauses, doubling
from edge_agent.core.process import SystemdNotifier
from edge_agent.fleet.collector_health import HOLDS_S, CollectorHealth
from edge_agent.mqtt.payloads import Confirmation

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""Interval at which broker and database are checked, and the file is written."""
BATCH = 500
"""Most messages in one transaction."""
RECEIVE_S = 0.5
CONFIRM_S = 10.0
"""Longest wait of a device for its confirmation, which it needs after 64 messages."""
CONFIRM_MESSAGES = 8
SILENT_S = 20.0
"""Silence of a device after which its last minute counts as over."""
CLOSE_S = 5.0
"""Interval of the search for such devices."""
STATES_S = 2.0
"""Interval at which the newest states of devices are written."""
PAUSES_S = doubling(0.2, 10.0)
LARGE = 50
"""Number of messages whose transaction may take longer than usual."""


class HealthReport:
    """The state of a collector's loop.

    Args:
        file: the file to write; ``None``: none.
        systemd: gets a sign of life of the loop, and a line about missing servers.

    Example:
        Say that all is well, if the last word is two seconds old::

            report = HealthReport(Path("/run/affect-edge/collector.json"))
            report.tell("")
    """

    def __init__(self, file: Path | None = None, systemd: SystemdNotifier | None = None) -> None:
        self._file = file
        self._systemd = systemd or SystemdNotifier(None)
        self._problem: str | None = None
        self._since_ms = 0
        self._holds_s = HOLDS_S
        self._next_s = 0.0
        self._is_written = True

    def start(self) -> None:
        """Report that the collector starts.

        Raises:
            CollectorError: the file cannot be written.
        """
        self.tell("it has just started")
        if not self._is_written:
            raise CollectorError(
                f"--health-file {self._file}: cannot be written. Give a file in an existing folder "
                "that this user may write to."
            )
        self._systemd.ready()

    @property
    def is_due(self) -> bool:
        """True when broker and database must be checked again."""
        return clock.boot_seconds() >= self._next_s

    def tell(self, problem: str, holds_s: float = HOLDS_S) -> None:
        """Report the state if it has changed, or if the last report is too old.

        Args:
            problem: the missing server, with the reason; empty: none.
            holds_s: validity of the report, seconds.
        """
        if problem == self._problem and holds_s == self._holds_s and not self.is_due:
            return
        at = now()
        if self._problem is None or bool(problem) != bool(self._problem):
            self._since_ms = at.wall_ms
        if problem != self._problem:
            self._systemd.status(problem or "broker and PostgreSQL answer")
        self._problem, self._holds_s = problem, holds_s
        self._next_s = clock.boot_seconds() + EVERY_S
        self._systemd.watchdog()
        self._write(CollectorHealth(boot_id(), at.boot_ms, holds_s, problem, self._since_ms))

    def expect(self, messages: int) -> None:
        """Report before a transaction that it may take longer than usual."""
        self.tell(self._problem or "", HOLDS_S + messages / 10)

    def end(self) -> None:
        """Remove the file."""
        self._systemd.stopping()
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _write(self, health: CollectorHealth) -> None:
        if self._file is None:
            return
        try:
            health.write(self._file)
        except OSError as error:  # who reads the file finds it too old
            if self._is_written:
                log.warning("%s: cannot be written (%s)", self._file, error.strerror)
            self._is_written = False
        else:
            self._is_written = True


@dataclass(slots=True)
class _Owed:
    """A confirmation that is still to be sent to a device."""

    confirmation: Confirmation
    messages: int
    since_s: float


class Collector:
    """Takes messages from a transport into PostgreSQL until stopped.

    It waits for a missing broker or database. Received messages stay in memory meanwhile, at most
    as many as the broker delivers without an acknowledgement.

    Args:
        transport: the source of messages.
        connect: opens a connection to the database, in autocommit mode.
        health: its report; with one, broker and database are checked every two seconds, even
            without messages.
    """

    def __init__(
        self,
        transport: Transport,
        connect: Callable[[], psycopg.Connection],
        health: HealthReport | None = None,
    ) -> None:
        self._transport = transport
        self._connect = connect
        self._health = health
        self._connection: psycopg.Connection | None = None
        self._writer: MessageWriter | None = None
        self._pending: list[BrokerDelivery] = []
        self._owed: dict[str, _Owed] = {}
        self._states: dict[tuple[str, str], StateMessage] = {}
        # Lets the first states be written at once.
        self._noted_s = -STATES_S
        self._is_open = False
        self._pauses = Pauses(PAUSES_S)
        self._said = ""
        self._closes_s = clock.boot_seconds() + CLOSE_S
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ask the loop to end; callable from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until ``stop`` is called.

        Raises:
            CollectorError: the database is too old or too new, or the file of the health cannot be
                written.
        """
        try:
            if self._health is not None:
                self._health.start()
            while not self._stopping.is_set():
                self._step()
            # What was committed is told before leaving, or devices would send it again.
            if self._is_open:
                self._confirm(everything=True)
        except TransportError as error:
            log.info("%s", error)
        finally:
            self._transport.close()
            self._disconnect()
            if self._health is not None:
                self._health.end()

    def _step(self) -> None:
        try:
            if not self._is_open:
                self._transport.open()
                self._is_open = True
            # Messages that could not be written wait here until the database is back.
            if not self._pending:
                self._pending = self._transport.receive(BATCH, RECEIVE_S)
            if self._pending:
                self._commit_received()
            self._note_states()
            self._confirm()
            self._close_minutes()
            self._ask()
        except TransportError as error:
            self._is_open = False
            self._pending = []  # not acknowledged: they come again
            self._wait(str(error))
        except psycopg.OperationalError as error:
            self._disconnect()
            self._wait(f"PostgreSQL: {str(error).strip().splitlines()[0]}")

    def _commit_received(self) -> None:
        """Commit what was received; only then acknowledge it."""
        writer = self._ready()
        deliveries = self._pending
        if self._health is not None and len(deliveries) >= LARGE:
            self._health.expect(len(deliveries))
        try:
            told = writer.write_deliveries(deliveries)
        # The server is away: that is no fault of a message.
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            told = self._take_each(writer, deliveries, error)
        self._pending = []
        self._go_on()
        # After the commit: what a crash leaves unacknowledged comes again, and positions reveal
        # repeats.
        self._transport.acknowledge(deliveries)
        taken = Counter(delivery.device for delivery in deliveries)
        for each in told:
            first = _Owed(each.confirmation, 0, clock.boot_seconds())
            owed = self._owed.setdefault(each.device, first)
            owed.confirmation = each.confirmation
            owed.messages += max(1, taken[each.device])

    def _go_on(self) -> None:
        """Report that all servers answer again."""
        self._pauses.reset()
        if self._said:
            log.info("the collector goes on")
            self._said = ""

    def _ask(self) -> None:
        """Check now and then whether broker and database answer, and report it."""
        if self._health is None or not self._health.is_due:
            return
        self._transport.check()
        self._ready().connection.execute("SELECT 1")
        self._go_on()
        self._health.tell("")

    def _note_states(self) -> None:
        """Write what devices say of themselves, now and then."""
        for message in self._transport.states():
            self._states[message.device, message.suffix] = message
        now_s = clock.boot_seconds()
        if not self._states or now_s - self._noted_s < STATES_S:
            return
        connection = self._ready().connection
        messages = list(self._states.values())
        try:
            note_states(connection, messages)
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            for message in messages:  # one of them is what the database does not take
                self._note_one(connection, message)
        # Only now: states that could not be written are tried again.
        self._states = {}
        self._noted_s = now_s

    def _note_one(self, connection: psycopg.Connection, message: StateMessage) -> None:
        try:
            note_states(connection, [message])
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            refuse_state(connection, message, f"the database refuses it: {error}")

    def _take_each(
        self, writer: MessageWriter, deliveries: Sequence[BrokerDelivery], error: psycopg.Error
    ) -> list[DueConfirmation]:
        """Find the message that the database does not take, by halves, and set it aside."""
        if len(deliveries) == 1:
            return writer.refuse(deliveries[0], f"the database refuses it: {error}")
        told: list[DueConfirmation] = []
        half = len(deliveries) // 2
        for part in (deliveries[:half], deliveries[half:]):
            try:
                told += writer.write_deliveries(part)
            except psycopg.OperationalError:
                raise
            except psycopg.Error as again:
                told += self._take_each(writer, part, again)
        return told

    def _confirm(self, *, everything: bool = False) -> None:
        """Tell devices what is committed, not each message on its own."""
        now_s = clock.boot_seconds()
        for device, owed in list(self._owed.items()):
            due = owed.messages >= CONFIRM_MESSAGES or now_s - owed.since_s >= CONFIRM_S
            told = owed.confirmation
            # What changes the behaviour of a device is told at once, the rest by the way.
            if everything or due or told.erased or told.closed or told.again:
                payload = told.model_dump_json(by_alias=True).encode()
                self._transport.confirm(device, payload)
                del self._owed[device]

    def _close_minutes(self) -> None:
        """Now and then, roll up what no later message will."""
        if self._writer is not None and clock.boot_seconds() >= self._closes_s:
            are_more = self._writer.close_minutes(SILENT_S) >= MOST_CLOSED
            self._closes_s = clock.boot_seconds() + (0.0 if are_more else CLOSE_S)

    def _ready(self) -> MessageWriter:
        """Return what writes; connect and upgrade the database where needed."""
        if self._writer is None:
            self._connection = self._connect()
            migrate(self._connection)
            self._writer = MessageWriter(self._connection)
        return self._writer

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._writer = None

    def _wait(self, text: str) -> None:
        """Say what is away when that changes, and wait; the broker hears of us meanwhile."""
        if text != self._said:
            log.warning("%s", text)
        self._said = text
        if self._health is not None:
            self._health.tell(text)
        until_s = clock.boot_seconds() + self._pauses.after_failure()
        while not self._stopping.is_set() and clock.boot_seconds() < until_s:
            left_s = min(0.5, max(0.0, until_s - clock.boot_seconds()))
            if self._health is not None:
                self._health.tell(text)
            if not self._is_open:
                self._stopping.wait(left_s)
                continue
            try:
                self._transport.receive(0, left_s)
                self._stopping.wait(min(left_s, 0.1))
            except TransportError:
                self._is_open = False
                self._pending = []
