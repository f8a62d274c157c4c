"""Many devices, one broker, collectors, PostgreSQL: what arrives, how late, and what it costs.

    python -m benchmarks.fleet.fleet [--long] [--devices N] [--seconds N] [--json]

Devices are played from a recording, all in one process, with the real sender's packing and rules:
a batch of ten rows every ten seconds, jittered; some are away for a while, some send twice or out
of order, some have a wrong clock, some erase a participant. Broker, PostgreSQL and collectors are
real, on free ports, in a temporary folder. Each form tries every bar: through one mosquitto,
through a cluster of three nodes of RabbitMQ, trends of a year, and the statistics of a study.
Through each broker devices first play in peace, and then while collectors, PostgreSQL and the
broker are killed. The short form takes less than three minutes. The long one plays 10,000 devices
through mosquitto and 3,000 through RabbitMQ, four times ten minutes, and takes 75 minutes. Work
beside it lets 10,000 devices fall behind on two cores.

It prints one table, and ends with 1 if a row is lost, there twice or other than it was sent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psycopg

from benchmarks._command import Figures, command, say, show
from benchmarks.fleet._day import ROWS, Change, record_day
from benchmarks.fleet._load import RESEND_S, Load
from benchmarks.fleet._place import BesideThread, FleetPlace, Lags, running
from benchmarks.fleet._study import compare_studies
from benchmarks.fleet.trends import DAYS, measure_trends
from tests.support.fleet import rabbit


@dataclass(frozen=True, slots=True)
class FleetForm:
    """How much is tried.

    Attributes:
        devices: that play in real time.
        seconds: for how long they do, in peace and with failures.
        failures: how often a collector, PostgreSQL and a node of the broker are killed.
        away_s: how long PostgreSQL and nodes stay away.
        batches: of a backlog of 1,000 devices, in all; as many, and at least eight a device, are
            sent by each size of the fleet. None: costs are not measured.
        sizes: numbers of devices whose costs are compared.
        rounds: how often one collector and two are compared.
        nodes: of a cluster of RabbitMQ; none: one mosquitto.
    """

    devices: int
    seconds: float
    failures: int
    away_s: float
    batches: int = 0
    sizes: tuple[int, ...] = ()
    rounds: int = 0
    nodes: int = 0


SHORT = FleetForm(300, 7.0, 1, 2.0, 4_000, (100, 1_000))
SHORT_CLUSTER = FleetForm(100, 7.0, 1, 2.0, nodes=3)
LONG = FleetForm(10_000, 600.0, 10, 15.0, 20_000, (100, 1_000, 10_000), 3)
LONG_CLUSTER = FleetForm(3_000, 600.0, 10, 10.0, nodes=3)
PATIENCE_S = 900.0
"""How long is waited for what is not confirmed."""
FAILURES = (AssertionError, OSError, RuntimeError, psycopg.Error, subprocess.SubprocessError)
"""Errors that broken or slow servers raise here."""
MUST_BE_NONE = (
    *("lost", "double", "devices", "waiting", "refused", "answers_that_differ"),
    *("kills_left_out", "failed"),
)
"""Last words of the figures that are 0, whatever the machine."""
TWO = "fleet_two_times_the_rows"
CORES_FOR_TWO = 6
"""Devices, broker, PostgreSQL with two connections, two collectors; with fewer there is no bar."""
DAYS_OF_HOURS = 7
"""A trend of a year is read from days, whatever hours there are: the short form fills a few."""
AT_ONCE = 1_000
"""Devices that have a backlog at the same time: what waits longer than a device is patient would be
sent twice."""
BURST = 8
"""Batches that a device has at once where costs of fleets of several sizes are compared: what a
transaction has of each device is the same then, and each is confirmed at once."""


@dataclass(slots=True)
class Wrong:
    """What a comparison of the devices' rows with those in PostgreSQL found."""

    lost: int = 0
    double: int = 0
    devices: int = 0

    def add(self, load: Load, place: FleetPlace) -> None:
        """Compare the rows of each device: their number, and the sum of their hashes."""
        there = place.kept()
        for device in load.devices.values():
            expected = device.player.expected(device.made)
            kept = there.get(device.player.name, (0, 0))
            self.lost += max(0, expected[0] - kept[0])
            self.double += max(0, kept[0] - expected[0])
            self.devices += expected != kept


class Benchmark:
    """Tries one form.

    Args:
        form: how much.
        folder: for temporary files.
    """

    def __init__(self, form: FleetForm, folder: Path) -> None:
        self._form = form
        self._folder = folder
        (folder / "day").mkdir()
        self._day: list[list[Change]] = record_day(folder / "day")
        self._wrong = Wrong()
        self._next = 0
        self.figures: Figures = {}

    def run(self) -> Figures:
        """Return all figures."""
        with running(self._folder, 1, self._form.nodes) as place:
            if self._form.batches:
                self._backlog(place)
                self._grow(place)
            if self._form.rounds:
                self._second_collector(place)
            else:
                place.add()
            self._real_time(place)
            self._failures(place)
        for name in ("lost", "double", "devices"):
            self.figures[f"fleet_{name}"] = getattr(self._wrong, name)
        return self.figures

    def _load(self, place: FleetPlace, count: int, resend_s: float = RESEND_S) -> Load:
        load = Load(place.port, self._day, count, self._next, place.mqtt, resend_s)
        self._next += count
        return load

    def _drain(
        self, place: FleetPlace, count: int, each: int, times: int = 1
    ) -> tuple[float, float, float]:
        """Let each device have so many batches at once, so many times.

        Returns rows per second, and microseconds a row of collectors and of PostgreSQL.
        """
        load = self._load(place, count)
        load.begin()
        self._committed(load, place)
        collectors, postgres = place.cpu_s()
        start_s = time.monotonic()
        committed_s = start_s
        turns = tuple(range(0, count, AT_ONCE)) * times
        for number, start in enumerate(turns, start=1):
            part = slice(start, start + AT_ONCE)
            load.backlog(each, part)
            # as many batches are underway in a small fleet as in a large one
            if number % max(1, AT_ONCE // count) == 0 or number == len(turns):
                committed_s = self._committed(load, place, part)
        seconds = committed_s - start_s
        place.close_minutes()
        collectors_after, postgres_after = place.cpu_s()
        load.close()
        self._wrong.add(load, place)
        rows = count * each * times * ROWS
        collector_us = 1e6 * (collectors_after - collectors) / rows
        postgres_us = 1e6 * (postgres_after - postgres) / rows
        self.figures["fleet_bytes_a_message"] = round(load.bytes / load.published)
        return rows / seconds, collector_us, postgres_us

    def _committed(self, load: Load, place: FleetPlace, part: slice = slice(None)) -> float:
        """Go on until PostgreSQL has everything of these devices; return when that was."""
        devices = list(load.devices.items())[part]
        positions = {name: device.last_position for name, device in devices}
        end_s = time.monotonic() + PATIENCE_S
        looked_s = 0.0
        while time.monotonic() < end_s:
            load.step()
            if time.monotonic() - looked_s > 2.0:
                load.look()
                looked_s = time.monotonic()
            if place.has(positions):
                return time.monotonic()
            time.sleep(0.1)
        say(f"not everything is committed after {PATIENCE_S:.0f} s")
        return time.monotonic()

    def _finish(self, load: Load) -> None:
        if not load.finish(PATIENCE_S):
            say(f"{load.unconfirmed} devices are not confirmed after {PATIENCE_S:.0f} s")

    def _backlog(self, place: FleetPlace) -> None:
        say("warming up …")
        self._drain(place, 100, 10)
        say(f"a backlog of {self._form.batches} batches of 1000 devices …")
        speed, collector, postgres = self._drain(place, 1_000, self._form.batches // 1_000)
        # in real time a device has a row a second
        self.figures["fleet_backlog_times_real_time"] = round(speed / 1_000, 1)
        self.figures["fleet_rows_a_second"] = round(speed)
        self.figures["fleet_backlog_us_a_row"] = round(collector + postgres, 1)

    def _grow(self, place: FleetPlace) -> None:
        costs = []
        for count in self._form.sizes:
            times = max(1, self._form.batches // (count * BURST))
            say(f"{count * BURST * times} batches of {count} devices …")
            _, collector, postgres = self._drain(place, count, BURST, times)
            costs.append(collector + postgres)
            self.figures[f"fleet_{count}_collector_us_a_row"] = round(collector, 1)
            self.figures[f"fleet_{count}_postgres_us_a_row"] = round(postgres, 1)
        self.figures["fleet_cost_growth"] = round(costs[-1] / costs[0], 2)
        self._size(place)

    def _size(self, place: FleetPlace) -> None:
        """Note what a row takes on the disk, with indexes and rollups."""
        ((size, rows),) = place.ask(
            "SELECT sum(pg_total_relation_size(oid)), (SELECT count(*) FROM fleet.expression) + "
            "(SELECT count(*) FROM fleet.vital) FROM pg_class WHERE relkind = 'r' AND "
            "relnamespace = 'fleet'::regnamespace AND relname ~ '^(expression|vital)(_20.._..)?$'"
        )
        ((rollups,),) = place.ask(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND "
            "relnamespace = 'fleet'::regnamespace AND relname ~ '_(minute|hour|day)'"
        )
        ((minutes,),) = place.ask(
            "SELECT (SELECT count(*) FROM fleet.expression_minute) + "
            "(SELECT count(*) FROM fleet.vital_minute)"
        )
        self.figures["fleet_disk_bytes_a_row"] = round(float(str(size)) / float(str(rows)))
        self.figures["fleet_disk_bytes_a_minute_of_rollups"] = round(
            float(str(rollups)) / max(1.0, float(str(minutes)))
        )

    def _second_collector(self, place: FleetPlace) -> None:
        """Compare two collectors with one: the same load one after the other, in one database.

        Once each device has a batch at a time, as while nothing is away: on two cores two cost no
        more a row there than one beside a busy loop, so the rest is the machine. And once eight:
        both then have messages of the same devices. One waits for the other's transaction, which
        holds their rows of ``fleet.stream`` (PostgreSQL shows ``Lock:transactionid`` in an eighth
        of all looks), and a device's rollups are written one and a half times as often.
        """
        say("the same loads with one collector, and with two …")
        times = max(1, self._form.batches // AT_ONCE)
        loads = {1: times, BURST: max(1, times // BURST)}
        one = {each: self._typical(place, each, count) for each, count in loads.items()}
        place.add()
        two = {each: self._typical(place, each, count) for each, count in loads.items()}
        self.figures[TWO] = round(two[BURST][0] / one[BURST][0], 2)
        self.figures["fleet_two_times_the_cost"] = round(two[1][1] / one[1][1], 2)
        self.figures["fleet_two_times_the_cost_of_a_backlog"] = round(
            two[BURST][1] / one[BURST][1], 2
        )

    def _typical(self, place: FleetPlace, each: int, times: int) -> tuple[float, float]:
        """Return rows a second and processor time a row in µs of 1,000 devices.

        Both are medians of some rounds; each device has ``each`` batches at once, ``times`` times.
        """
        speeds, costs = [], []
        for _ in range(self._form.rounds):
            speed, collector, postgres = self._drain(place, 1_000, each, times)
            speeds.append(speed)
            costs.append(collector + postgres)
        return median(speeds), median(costs)

    def _real_time(self, place: FleetPlace) -> None:
        say(f"{self._form.devices} devices in real time …")
        load = self._load(place, self._form.devices)
        load.begin()
        self._committed(load, place)
        with Lags(place, load) as lags:
            load.play(self._form.seconds)
            self._finish(load)
        load.close()
        self.figures["fleet_lag_p50_s"] = round(lags.share(0.5), 2)
        self.figures["fleet_lag_p99_s"] = round(lags.share(0.99), 2)
        self._wrong.add(load, place)

    def _failures(self, place: FleetPlace) -> None:
        say("the same, while collectors, PostgreSQL and the broker are killed …")
        # confirmations come within ten seconds; what a killed broker lost is the end of the wait
        load = self._load(place, self._form.devices, min(RESEND_S, self._form.seconds + 2))
        load.begin()
        with InducedFailures(place, self._form) as failures:
            load.play(self._form.seconds, failures.go_on)
        self._finish(load)
        load.close()
        self._wrong.add(load, place)
        ((waiting,),) = place.ask("SELECT count(*) FROM fleet.waiting")
        ((refused,),) = place.ask("SELECT count(*) FROM fleet.dead_letter")
        self.figures["fleet_kills_of_each_part"] = failures.done
        self.figures["fleet_kills_left_out"] = self._form.failures - failures.done
        self.figures["fleet_waiting"] = int(str(waiting))
        self.figures["fleet_refused"] = int(str(refused))


class InducedFailures(BesideThread):
    """Kills a collector, PostgreSQL and a node of the broker in turn, while devices report.

    Leaving the context ends that; what was killed runs again then.

    Attributes:
        done: how often each was killed.
    """

    def __init__(self, place: FleetPlace, form: FleetForm) -> None:
        super().__init__(place)
        self._form = form
        self.done = 0

    def go_on(self) -> bool:
        """Tell whether not everything was killed as often as it should be."""
        return self._thread.is_alive()

    def _run(self) -> None:
        place = self._place
        pause_s = self._form.seconds / (4 * self._form.failures)
        for number in range(self._form.failures):
            if self._stop.wait(pause_s):
                return
            victim = place.collectors[number % len(place.collectors)]
            victim.kill()
            victim.start()
            self._stop.wait(pause_s)
            place.postgres.stop("immediate")
            self._stop.wait(self._form.away_s)
            place.postgres.start()
            node = place.nodes[-1 - number % len(place.nodes)]  # devices are at the first
            node.kill()
            self._stop.wait(self._form.away_s)
            node.start()
            if isinstance(node, rabbit.RabbitNode):
                node.wait()
            self.done += 1


def everything(forms: tuple[FleetForm, FleetForm], days_of_hours: int, folder: Path) -> Figures:
    """Try every bar.

    Args:
        forms: through one mosquitto, and through a cluster of RabbitMQ.
        days_of_hours: of the year of which trends are asked.
        folder: for temporary files.
    """
    figures: Figures = {}
    parts: dict[str, Callable[[Path], Figures]] = {
        "mosquitto": lambda where: _through_a_broker(forms[0], where),
        "rabbitmq": lambda where: _through_a_broker(forms[1], where),
        "study": compare_studies,
        "trends": lambda _: measure_trends(1_000, days_of_hours),
    }
    if not rabbit.is_installed():
        say(f"{rabbit.INSTALL}. The figures of a cluster are missing.")
        del parts["rabbitmq"]
    for name, run in parts.items():
        (folder / name).mkdir()
        try:
            figures |= run(folder / name)
        except FAILURES:  # the figures of an hour are not lost with those of one part
            traceback.print_exc()
            figures[f"fleet_{name}_failed"] = 1
    return figures


def _through_a_broker(form: FleetForm, folder: Path) -> Figures:
    """Return the figures of a form; also those that were there when a step failed."""
    say(f"a cluster of {form.nodes} nodes of RabbitMQ …" if form.nodes else "one mosquitto …")
    benchmark = Benchmark(form, folder)
    try:
        benchmark.run()
    except FAILURES:
        traceback.print_exc()
        benchmark.figures["fleet_failed"] = 1
    kind = "fleet_rabbitmq_" if form.nodes else "fleet_"
    return {name.replace("fleet_", kind, 1): one for name, one in benchmark.figures.items()}


def main() -> int:
    """Measure and print; return 1 if what arrived is not what was sent."""
    parser = command(__doc__)
    parser.add_argument("--long", action="store_true", help="what this page says of the long form")
    parser.add_argument("--devices", type=int, help="that play in real time")
    parser.add_argument("--seconds", type=float, help="for how long they do, each time")
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in ("devices", "seconds")}
    changes = {name: value for name, value in given.items() if value is not None}
    chosen = (LONG, LONG_CLUSTER) if options.long else (SHORT, SHORT_CLUSTER)
    forms = (replace(chosen[0], **changes), replace(chosen[1], **changes))
    # so that whoever ends it leaves no server behind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ae-fleet-") as name:
        figures = everything(forms, DAYS if options.long else DAYS_OF_HOURS, Path(name))
    unjudged = (TWO,) if len(os.sched_getaffinity(0)) < CORES_FOR_TWO else ()
    show(figures, as_json=options.json, unjudged=unjudged)
    say(f"in {time.monotonic() - start_s:.0f} s")
    wrong = [name for name, value in figures.items() if name.endswith(MUST_BE_NONE) and value]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
