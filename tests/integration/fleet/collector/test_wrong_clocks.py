"""Devices whose clocks are wrong, from their messages to the trends of all devices together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from collector.messages import BrokerDelivery
from collector.writer import MessageWriter
from dashboard.fleet.known import FleetAddress
from dashboard.fleet.postgres import FleetDatabase, read_devices
from dashboard.fleet.trends import FleetTrends
from edge_agent.core.addresses import Address
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS, MINUTE_MS
from tests.support.dashboard import client_of, set_up
from tests.support.fleet.clocked_device import RECORDED_MS, ClockedDevice
from tests.support.fleet.devices import packed, rows_here, rows_there
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.timeline import query

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)

AROUND = {
    "minutes": (RECORDED_MS - HOUR_MS, RECORDED_MS + HOUR_MS, 120),
    "hours": (RECORDED_MS - 6 * HOUR_MS, RECORDED_MS + 6 * HOUR_MS, 12),
    "days": (RECORDED_MS - 30 * DAY_MS, RECORDED_MS + 5 * DAY_MS, 35),
}
UNITS = {"minutes": HOUR_MS, "hours": HOUR_MS, "days": DAY_MS}
"""By how much clocks are off that are looked at from there: by whole steps of what is read."""
HEART = VitalKind.HEART_RATE


def clocks(there: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = there.execute(
        "SELECT device, ahead_ms, doubt_ms FROM fleet.clock ORDER BY device, since"
    ).fetchall()
    return found


@pytest.fixture
def right(there: Any, tmp_path: Path) -> ClockedDevice:
    """A device whose clock is right, and that has sent what it recorded."""
    device = ClockedDevice.make(tmp_path, "right", synchronised=True)
    device.record(10)
    device.send(there)
    return device


def told(there: Any, device: ClockedDevice, minutes: float) -> ClockedDevice:
    """A device that has sent what it recorded, and spoken once more: its clock is known."""
    device.record(minutes)
    device.send(there)
    device.speak(there)
    return device


def counts(fleet: FleetDatabase, name: str, device: str | None = None) -> list[tuple[Any, ...]]:
    """Return the rows of expressions and the readings of each step, and their means."""
    reader = FleetTrends(fleet, device)
    trend = reader.trend(*AROUND[name])
    vital = reader.vital_trend(HEART, *AROUND[name])
    return list(zip(trend.starts, trend.rows, vital.n, vital.mean, vital.most, strict=True))


def forget(there: Any, device: str) -> None:
    """Remove what a device has sent of its rows."""
    streams = "(SELECT id FROM fleet.stream WHERE device = %s)"
    for table in ("expression", "vital"):
        for rows in (table, *(f"{table}_{each}" for each in ("minute", "hour", "day"))):
            there.execute(f"DELETE FROM fleet.{rows} WHERE stream IN {streams}", [device])


def twice(once: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(at, 2 * rows, 2 * n, *more) for at, rows, n, *more in once]


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("units", [2, -3])
def test_rows_of_a_wrong_clock_lie_where_they_belong(
    right: ClockedDevice, there: Any, fleet: FleetDatabase, tmp_path: Path, name: str, units: int
) -> None:
    alone = counts(fleet, name)
    assert sum(rows for _, rows, *_ in alone) == 600
    ahead_ms = units * UNITS[name]
    wrong = ClockedDevice.make(tmp_path, "wrong", ahead_ms=ahead_ms)
    wrong.record(10)
    wrong.send(there)
    every = FleetTrends(fleet, None)
    assert every.clocks_off(*AROUND[name]) == ()  # one message proves nothing
    if name == "minutes":
        assert counts(fleet, name) == alone
    wrong.speak(there)
    assert counts(fleet, name) == twice(alone)
    (off,) = every.clocks_off(*AROUND[name])
    assert (off.device, off.doubt_ms) == ("wrong", 1_000)
    assert off.ahead_ms == pytest.approx(ahead_ms, abs=20_000)
    # alone it is shown by its own clock
    reader = FleetTrends(fleet, "wrong")
    assert reader.clocks_off(*AROUND[name]) == ()
    trend = reader.trend(RECORDED_MS - 4 * DAY_MS, RECORDED_MS + 4 * DAY_MS, 192)
    own = [at for at, rows in zip(trend.starts, trend.rows, strict=True) if rows]
    assert own == [RECORDED_MS + ahead_ms]
    assert rows_there(there, "wrong") == rows_here(wrong.path)


def test_where_its_clock_says_nothing_is_shown_of_it(
    right: ClockedDevice, there: Any, fleet: FleetDatabase, tmp_path: Path
) -> None:
    """In a year it will be the year of this clock: its rows are not shown then either."""
    year = 365 * DAY_MS
    told(there, ClockedDevice.make(tmp_path, "wrong", ahead_ms=year), 10)
    every = FleetTrends(fleet, None)
    there_ms = RECORDED_MS + year
    for start, end in ((there_ms, there_ms + HOUR_MS), (there_ms - DAY_MS, there_ms + 20 * DAY_MS)):
        assert not any(every.trend(start, end, 60).rows)
        assert not any(every.vital_trend(HEART, start, end, 60).n)
    assert any(FleetTrends(fleet, "wrong").trend(there_ms, there_ms + HOUR_MS, 60).rows)
    assert every.span() == (RECORDED_MS, RECORDED_MS)


def test_what_a_server_of_time_has_set_is_never_moved(
    right: ClockedDevice, there: Any, fleet: FleetDatabase, tmp_path: Path
) -> None:
    told(there, ClockedDevice.make(tmp_path, "sure", ahead_ms=2 * HOUR_MS, synchronised=True), 10)
    assert [one[2] for one in clocks(there) if one[0] == "sure"] == [1_000]
    assert FleetTrends(fleet, None).clocks_off(*AROUND["hours"]) == ()
    hours = {at for at, rows, *_ in counts(fleet, "hours") if rows}
    assert hours == {RECORDED_MS, RECORDED_MS + 2 * HOUR_MS}


def test_a_backlog_that_comes_late_falsifies_nothing(
    right: ClockedDevice, there: Any, fleet: FleetDatabase, tmp_path: Path
) -> None:
    """Collectors were away: what waited in the broker says that the clock is behind."""
    alone = counts(fleet, "minutes")
    slow = ClockedDevice.make(tmp_path, "slow")
    slow.record(5)
    slow.send(there, late_ms=2 * HOUR_MS)
    slow.record(5, RECORDED_MS + 5 * MINUTE_MS)
    slow.send(there, late_ms=2 * HOUR_MS - 40_000)
    ((_, ahead, doubt),) = [one for one in clocks(there) if one[0] == "slow"]
    assert ahead < -HOUR_MS and doubt is None
    assert counts(fleet, "minutes") == twice(alone)
    slow.speak(there)
    slow.speak(there)
    slow.speak(there, late_ms=2 * HOUR_MS)
    ((_, ahead, doubt),) = [one for one in clocks(there) if one[0] == "slow"]
    assert ahead == pytest.approx(0, abs=20_000) and doubt == 1_000
    assert FleetTrends(fleet, None).clocks_off(*AROUND["minutes"]) == ()
    assert counts(fleet, "minutes") == twice(alone)
    # the newest message alone says that the clock is behind; the page Fleet knows better
    (latest,) = there.execute("SELECT clock_ahead_ms FROM fleet.stream WHERE device = 'slow'")
    assert latest[0] < -HOUR_MS
    shown = {one.name: one for one in read_devices(fleet).devices}["slow"]
    assert shown.clock_ahead_ms == ahead and shown.clock_doubt_ms == 1_000
    assert "clock" not in shown.reasons


@pytest.mark.parametrize("name", AROUND)
def test_a_clock_that_is_set_meanwhile_moves_only_what_it_dated(
    right: ClockedDevice, there: Any, fleet: FleetDatabase, tmp_path: Path, name: str
) -> None:
    """Somebody sets a clock back that was right: rows of before stay as they are."""
    alone = counts(fleet, name)
    device = told(there, ClockedDevice.make(tmp_path, "stepped", synchronised=True), 5)
    device.synchronised, device.ahead_ms = False, -2 * UNITS[name]
    device.record(5, RECORDED_MS + 5 * MINUTE_MS)
    device.send(there)
    device.speak(there)
    assert [one[2] for one in clocks(there) if one[0] == "stepped"] == [1_000, 1_000]
    assert counts(fleet, name) == twice(alone)


@pytest.mark.parametrize("name", ["minutes", "days"])
def test_a_machine_that_starts_with_the_same_time_again_is_distinguished(
    right: ClockedDevice, there: Any, fleet: FleetDatabase, tmp_path: Path, name: str
) -> None:
    """Without a clock module and a network the rows of two starts have the same times."""
    alone = counts(fleet, name)
    device = told(there, ClockedDevice.make(tmp_path, "restarted", ahead_ms=-9 * UNITS[name]), 5)
    device.boot, device.booted_ms = (
        "5d2a77c4-0b51-4b0c-8f8e-6a3c1f0e9b21",
        RECORDED_MS + 4 * MINUTE_MS,
    )
    device.ahead_ms -= 5 * MINUTE_MS - 500  # a reading of one second is one
    device.record(5, RECORDED_MS + 5 * MINUTE_MS)
    device.send(there)
    device.speak(there)
    assert len(query(device.path, "SELECT DISTINCT boot_id FROM boot")) == 2
    assert counts(fleet, name) == twice(alone)
    right_ms = RECORDED_MS // HOUR_MS * HOUR_MS
    assert FleetTrends(fleet, None).span() == (right_ms, right_ms)
    forget(there, "right")
    assert FleetTrends(fleet, None).span() == (right_ms, right_ms), "alone, too"


def test_two_collectors_at_once_keep_one_estimate(
    there: Any, postgres: Postgres, tmp_path: Path
) -> None:
    devices = [ClockedDevice.make(tmp_path, f"d{n}", ahead_ms=n * HOUR_MS) for n in range(4)]
    messages = []
    for device in devices:
        device.record(20)
        messages += device.messages()

    def collect(order: int) -> None:
        with psycopg.connect(postgres.address, autocommit=True) as connection:
            writer = MessageWriter(connection)
            for one in messages[::order]:
                writer.write_deliveries([BrokerDelivery(one.device, packed(one), 0)])

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(collect, (1, -1))) == [None, None]
    assert [name for name, *_ in clocks(there)] == [f"d{n}" for n in range(4)]
    for device in devices:
        assert rows_there(there, device.name) == rows_here(device.path)


def test_page_and_api_say_whose_times_are_moved(
    right: ClockedDevice, there: Any, postgres: Postgres, tmp_path: Path
) -> None:
    for name, ahead_ms in (("early", 2 * HOUR_MS + 5 * MINUTE_MS), ("late <b>", -26 * HOUR_MS)):
        told(there, ClockedDevice.make(tmp_path, name, ahead_ms=ahead_ms), 10)
    folder = tmp_path / "dashboard"
    folder.mkdir()
    with client_of(folder, source=FleetAddress(Address(postgres.address))) as client:
        set_up(client, folder)
        start, end, _ = AROUND["minutes"]
        span = f"start={start}&end={end}"
        found = client.get(f"/api/v1/trends?{span}").json()["clocks_off"]
        assert [(one["device"], one["doubt_ms"]) for one in found] == [
            ("early", 1_000),
            ("late <b>", 1_000),
        ]
        page = client.get(f"/trends?{span}").text
        assert "times of 2 devices are shifted" in page
        assert "2 h 04 min ahead" in page or "2 h 05 min ahead" in page
        assert "late &lt;b&gt;" in page and "26 h 00 min behind" in page
        page = client.get(f"/trends?{span}&device=early").text
        assert 'id="clocks-off"' not in page
        assert "Times follow the device’s clock." in page
        assert client.get(f"/api/v1/trends?{span}&device=early").json()["clocks_off"] == []
        german = client.get(f"/trends?{span}", headers={"Accept-Language": "de"}).text
        assert "Zeiten von 2 Geräten sind verschoben" in german
        app: Any = client.app
        app.state.services.fleet.close()
