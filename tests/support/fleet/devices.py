"""Appliances that report to a collector: real databases, real senders, many in one process."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from collector.database import rollups
from collector.writer import close_minutes
from edge_agent.config.mqtt import FleetSettings, MqttSettings
from edge_agent.core import clock
from edge_agent.fleet.chunks import Chunk, TimelineMessage, encode
from edge_agent.fleet.log import ChangeLog
from edge_agent.fleet.sender import FleetSender, SenderOptions
from edge_agent.fleet.tables import STUDY, TIMELINE
from edge_agent.mqtt.connection import Backoff
from edge_agent.timeline.database.upgrade import migrate
from tests.support.broker import wait_until
from tests.support.erasure import record
from tests.support.timeline import query

ROOT = Path(__file__).resolve().parents[3]


def digest(rows: Iterable[tuple[Any, ...]]) -> str:
    """Return one value for rows in any order."""
    return hashlib.sha256("\n".join(sorted(map(repr, rows))).encode()).hexdigest()


def rows_here(path: Path) -> dict[str, str]:
    """Return a hash of the rows of each table in the database of a device."""
    return {
        table.name: digest(query(path, f"SELECT {', '.join(table.columns)} FROM {table.name}"))
        for table in (*TIMELINE, *STUDY)
    }


def rollups_here(path: Path) -> dict[str, str]:
    """Return a hash of the minutes and hours that the device has made itself."""
    names = ("expression_minute", "expression_hour", "vital_minute", "vital_hour")
    return {name: digest(_sorted(query(path, f"SELECT * FROM {name}"))) for name in names}


def _sorted(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Yield rows as sets of values: the columns of the two databases are in other orders."""
    for row in rows:
        yield tuple(sorted(str(float(v)) if isinstance(v, int | float) else str(v) for v in row))


def rows_there(connection: psycopg.Connection, device: str) -> dict[str, str]:
    """Return the same of the rows that the collector has of a device."""
    found: dict[str, str] = {}
    number = connection.execute(
        "SELECT id FROM fleet.stream WHERE device = %s AND NOT closed", (device,)
    ).fetchone()
    assert number is not None, f"the collector knows no stream of {device}"
    for table in TIMELINE:
        columns = ", ".join(table.columns)
        rows = connection.execute(
            f"SELECT {columns} FROM fleet.{table.name} WHERE stream = %s".encode(), number
        )
        found[table.name] = digest(rows)
    for table in STUDY:
        rows = connection.execute(
            "SELECT id, fields FROM fleet.study_row WHERE stream = %s AND kind = %s",
            (*number, table.name),
        )
        found[table.name] = digest(
            (row[0], *(row[1][column] for column in table.columns[1:])) for row in rows
        )
    return found


def rollups_there(connection: psycopg.Connection, device: str) -> dict[str, str]:
    """Return the same of the minutes and hours at the collector, those that still fill too."""
    rollups.prepare_rollups(connection)
    while close_minutes(connection, 0.0):
        pass
    found = {}
    for name in ("expression_minute", "expression_hour", "vital_minute", "vital_hour"):
        cursor = connection.execute(
            f"SELECT one.* FROM fleet.{name} AS one JOIN fleet.stream ON stream.id = one.stream "
            "WHERE device = %s AND NOT closed".encode(),
            (device,),
        )
        found[name] = digest(_sorted(row[1:] for row in cursor))
    return found


def messages_of(path: Path, device: str, after: int = 0) -> list[TimelineMessage]:
    """Return the messages of a database, as its sender would send them now."""
    log = ChangeLog(path)
    epoch = log.begin().epoch
    messages = []
    while (chunk := log.read(after, 60)) is not None:
        messages.append(message_of(device, epoch, chunk))
        after = chunk.last
    log.close()
    return messages


def assert_all_arrived(there: psycopg.Connection, devices: Sequence[SimulatedDevice]) -> None:
    """Compare every row and rollup of devices with those at the collector; none was refused."""
    for device in devices:
        assert rows_there(there, device.name) == rows_here(device.path)
        assert rollups_there(there, device.name) == rollups_here(device.path)
    assert there.execute("SELECT count(*) FROM fleet.dead_letter").fetchone() == (0,)


def message_of(device: str, epoch: str, chunk: Chunk) -> TimelineMessage:
    """Return a chunk as a message."""
    at = clock.now().wall_ms
    return TimelineMessage(
        device, epoch, chunk.first, chunk.last, at, True, chunk.absent, chunk.changes
    )


def packed(message: TimelineMessage) -> bytes:
    """Return a message as it is sent."""
    return encode(message)


@dataclass
class SimulatedDevice:
    """A database and its sender; its rows are written in batches, as a recorder does."""

    name: str
    path: Path
    sender: FleetSender
    options: SenderOptions
    written_s: int = 0

    @classmethod
    def make(
        cls, folder: Path, name: str, broker: int | MqttSettings, fleet: FleetSettings | None = None
    ) -> SimulatedDevice:
        """Make one whose sender has not been started; of a broker without accounts, the port."""
        folder.mkdir()
        path = folder / "affect-edge.db"
        migrate(path)
        options = SenderOptions(
            MqttSettings(port=broker) if isinstance(broker, int) else broker,
            name,
            fleet or FleetSettings(),
            backoff=Backoff(first_s=0.2, longest_s=1.0, refused_s=1.0, settle_s=0.1),
            resend_s=1.0,
            forget_s=1.0,
        )
        return cls(name, path, FleetSender(options, ChangeLog(path)), options)

    def restart(self) -> None:
        """Start another sender in the place of one that was stopped."""
        self.sender = FleetSender(self.options, ChangeLog(self.path))
        self.sender.start()

    @property
    def epoch(self) -> str:
        return str(query(self.path, "SELECT epoch FROM fleet_state")[0][0])

    def record(self, seconds: int) -> None:
        record(self.path, self.written_s, self.written_s + seconds)
        self.written_s += seconds

    @property
    def newest(self) -> int:
        return int(query(self.path, "SELECT coalesce(max(seq), 0) FROM fleet_change")[0][0])

    @property
    def is_confirmed(self) -> bool:
        return 0 < self.newest <= self.sender.confirmed


class Recorders:
    """Writes batches of many devices until stopped."""

    def __init__(self, devices: list[SimulatedDevice], pause_s: float) -> None:
        self._devices = devices
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        chosen = random.Random(1)
        while not self._stop.wait(self._pause_s):
            chosen.choice(self._devices).record(chosen.choice((5, 10, 20)))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


class CollectorProcess:
    """``python -m collector`` as its own process, that can be killed and started again."""

    def __init__(
        self, name: str, address: str, port: int, log: Path, more: Sequence[str] = ()
    ) -> None:
        self._words = ["--database", address, "--port", str(port), "--name", name, *more]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Number of the process; ``None`` while it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "collector", *self._words],
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def stop(self) -> int:
        """End it in good order; return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(60)
        self._process = None
        return code


@contextmanager
def collecting(
    folder: Path, address: str, port: int, count: int, more: Sequence[str] = ()
) -> Iterator[list[CollectorProcess]]:
    """Several collectors for the length of a ``with`` block."""
    collectors = [
        CollectorProcess(
            f"collector-{number}", address, port, folder / f"collector-{number}.log", more
        )
        for number in range(count)
    ]
    for each in collectors:
        each.start()
    try:
        yield collectors
    finally:
        for each in collectors:
            each.kill()


@contextmanager
def reporting(folder: Path, port: int, count: int) -> Iterator[list[SimulatedDevice]]:
    """Several devices for the length of a ``with`` block; each has half a minute of before."""
    devices = [
        SimulatedDevice.make(folder / f"d{number}", f"room-{number}", port)
        for number in range(count)
    ]
    for device in devices:
        device.record(30)
        device.sender.start()
    try:
        yield devices
    finally:
        for device in devices:
            device.sender.stop()
        for device in devices:
            device.sender.join(60)


def has_grown(devices: Sequence[SimulatedDevice], before: int) -> bool:
    """Tell whether more changes of devices are confirmed than there were before."""
    return sum(each.sender.confirmed for each in devices) > before


def wait_for_all(devices: list[SimulatedDevice], seconds: float = 120.0) -> None:
    """Wait until the collector has confirmed everything of every device."""
    wait_until(
        lambda: all(device.is_confirmed for device in devices), "the collector to confirm", seconds
    )
