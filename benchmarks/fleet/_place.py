"""A broker, PostgreSQL and collectors, and what they use of the processor."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import psutil
import psycopg
from paho.mqtt.enums import MQTTProtocolVersion

from benchmarks.fleet._day import HASHES, Kept
from benchmarks.fleet._load import Load
from collector.database import rollups
from collector.writer import close_minutes
from tests.support.broker import Mosquitto, wait_until
from tests.support.fleet.devices import CollectorProcess
from tests.support.fleet.postgres import Postgres, running_postgres
from tests.support.fleet.rabbit import RabbitNode, running_rabbit


@dataclass
class FleetPlace:
    """What runs.

    Attributes:
        port: of the broker, for devices.
        collector_port: of the broker, for collectors.
        words: what collectors need to be told besides.
        has_heard: whether the broker has let a collector of this name in.
        nodes: of the broker; each can be killed and started again.
        mqtt: version that the broker speaks with devices.
    """

    port: int
    collector_port: int
    words: list[str]
    has_heard: Callable[[str], bool]
    nodes: Sequence[Mosquitto | RabbitNode]
    mqtt: MQTTProtocolVersion
    postgres: Postgres
    collectors: list[CollectorProcess]
    folder: Path

    def cpu_s(self) -> tuple[float, float]:
        """Return the seconds of the processor: of the collectors, and of PostgreSQL."""
        collectors = sum(_used(psutil.Process(each.pid)) for each in self.collectors if each.pid)
        main = psutil.Process(
            int((self.postgres.folder / "data/postmaster.pid").read_text().split()[0])
        )
        return collectors, _used(main) + sum(_used(child) for child in main.children())

    def add(self) -> CollectorProcess:
        """Start one more collector."""
        number = len(self.collectors)
        log = self.folder / f"collector-{number}.log"
        name = f"c{number}"
        one = CollectorProcess(name, self.postgres.address, self.collector_port, log, self.words)
        self.collectors.append(one)  # before it starts, so that it ends with the others
        one.start()
        wait_until(lambda: self.has_heard(name), "a collector", 60)
        time.sleep(0.5)  # it subscribes as soon as it is let in
        return one

    def end(self) -> None:
        """End the collectors."""
        for each in self.collectors:
            each.kill()

    def close_minutes(self) -> None:
        """Roll up what still fills, so that every cost of the rows is in the figures."""
        with psycopg.connect(self.postgres.address, autocommit=True) as connection:
            rollups.prepare_rollups(connection)
            while close_minutes(connection, 0.0):
                pass

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """Ask PostgreSQL."""
        with psycopg.connect(self.postgres.address) as connection:
            return connection.execute(question.encode()).fetchall()

    def has(self, positions: dict[str, int]) -> bool:
        """Tell whether the devices' streams are applied up to these positions."""
        try:
            if self._is_behind(*next(reversed(positions.items()))):
                return False  # one question more is cheaper than the answer of all devices
            rows = self.ask("SELECT device, applied FROM fleet.stream")
        except psycopg.errors.UndefinedTable:  # a collector makes it with its first message
            return False
        applied = {str(name): int(str(position)) for name, position in rows}
        return all(applied.get(name, 0) >= position for name, position in positions.items())

    def _is_behind(self, name: str, position: int) -> bool:
        rows = self.ask(f"SELECT max(applied) FROM fleet.stream WHERE device = '{name}'")
        return int(str(rows[0][0] or 0)) < position

    def kept(self) -> dict[str, Kept]:
        """Return the number of rows and the sum of their hashes, by device."""
        rows = self.ask(HASHES)
        return {str(name): (int(str(count)), int(str(total))) for name, count, total in rows}


def _used(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system


@contextmanager
def running(folder: Path, collectors: int, nodes: int = 0) -> Iterator[FleetPlace]:
    """Start everything; stop it at the end.

    Args:
        folder: for files.
        collectors: how many.
        nodes: of a cluster of RabbitMQ; without any the broker is one mosquitto.
    """
    limits = {"max_queued_messages": 0, "max_inflight_messages": 0}
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        own: tuple[Postgres, list[CollectorProcess], Path] = (postgres, [], folder)
        if nodes:
            cluster = stack.enter_context(running_rabbit(folder / "broker", nodes))
            words = ["--protocol=amqp", *(f"--host={host}" for host in cluster.hosts)]
            entrance = (cluster.mqtt_port, cluster.amqp_port, words, cluster.consumes)
            # the plugin of RabbitMQ before 3.13 knows no MQTT 5
            place = FleetPlace(*entrance, cluster.nodes, MQTTProtocolVersion.MQTTv311, *own)
        else:
            broker = stack.enter_context(Mosquitto(folder / "broker", limits=limits))
            has_heard = partial(_is_in, broker.folder / "mosquitto.log")
            entrance = (broker.port, broker.port, [], has_heard)
            place = FleetPlace(*entrance, [broker], MQTTProtocolVersion.MQTTv5, *own)
        stack.callback(place.end)
        for _ in range(collectors):
            place.add()
        yield place


def _is_in(log: Path, name: str) -> bool:
    return f" as {name} (" in log.read_text(encoding="utf-8")


class BesideThread(ABC):
    """A thread of its own as long as the block lasts."""

    def __init__(self, place: FleetPlace) -> None:
        self._place = place
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Do the work; return when ``_stop`` is set."""


class Lags(BesideThread):
    """Watches how far PostgreSQL is, and how long each batch took to be committed there."""

    def __init__(self, place: FleetPlace, load: Load) -> None:
        super().__init__(place)
        self._load = load
        self.seconds: list[float] = []

    def _run(self) -> None:
        with psycopg.connect(self._place.postgres.address, autocommit=True) as connection:
            while not self._stop.wait(0.2):
                rows = connection.execute(
                    "SELECT device, applied FROM fleet.stream WHERE heard > now() - interval '20 s'"
                ).fetchall()
                now_s = time.monotonic()
                for name, applied in rows:
                    self._note(name, applied, now_s)

    def _note(self, name: str, applied: int, now_s: float) -> None:
        device = self._load.devices.get(name)
        if device is None:
            return
        for position in [one for one in tuple(device.made_s) if one <= applied]:
            made_s = device.made_s.pop(position)
            if made_s > device.away_until_s:
                self.seconds.append(now_s - made_s)

    def share(self, part: float) -> float:
        """Return the lag that this part of the batches does not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0
