"""Trends from the file of a device and from PostgreSQL: the same questions, the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from collector.database.schema import migrate
from collector.messages import BrokerDelivery
from collector.writer import MessageWriter
from dashboard.fleet.known import FleetAddress
from dashboard.fleet.postgres import FleetDatabase
from dashboard.fleet.trends import FleetTrends
from edge_agent.core.addresses import Address
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import DAY_MS, HOUR_MS, MINUTE_MS
from edge_agent.timeline.read.base import Trend, VitalTrend
from edge_agent.timeline.read.reader import Reader
from tests.support.dashboard import client_of, set_up
from tests.support.erasure import record
from tests.support.fleet.devices import messages_of, packed
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.studies import add_session, heart
from tests.support.timeline import START_MS, reading, timeline

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
RANGES = {
    "rows": (START_MS, START_MS + 10 * MINUTE_MS, 60),
    "minutes": (START_MS - HOUR_MS, START_MS + 20 * HOUR_MS, 200),
    "hours": (START_MS - DAY_MS, START_MS + 10 * DAY_MS, 200),
    "days": (START_MS - DAY_MS, START_MS + 80 * DAY_MS, 30),
    "nothing": (START_MS - 9 * DAY_MS, START_MS - 8 * DAY_MS, 50),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device's database: two sessions, and stretches of recording over two months."""
    path = timeline(tmp_path_factory.mktemp("device"))
    add_session(path, "P01", heart(anger=90.5, neutral=70.25))
    add_session(path, "P02", heart(anger=85.1, neutral=72.3))
    for start_s in (0, 4_000, 30_000, 90_000, 500_000, 5_000_000):
        record(path, start_s, start_s + 150)
    in_2100 = reading((4_102_444_800_000 - START_MS) / 1000, flags=[VitalFlag.CLOCK_DIFFERS])
    timeline(path, vital=[in_2100])
    return path


@pytest.fixture(scope="module")
def postgres(server: Postgres, here: Path) -> Postgres:
    """PostgreSQL with the rows of that device, and of another one."""
    server.empty()
    other = timeline(here.parent / "other")
    record(other, 60, 260)
    with psycopg.connect(server.address, autocommit=True) as connection:
        migrate(connection)
        writer = MessageWriter(connection)
        for name, path in (("room", here), ("hall", other)):
            writer.write_deliveries(
                [BrokerDelivery(name, packed(one), 0) for one in messages_of(path, name)]
            )
        writer.close_minutes(0.0)
    return server


def numbers(trend: Trend | VitalTrend) -> dict[str, Any]:
    """Return what a trend says, without from which rollup it was read."""
    names = [name for name in trend.__dataclass_fields__ if name != "resolution"]
    return {name: getattr(trend, name) for name in names}


def close(values: Any) -> list[Any]:
    """Compare sums that were added in another order."""
    return [value if value is None else pytest.approx(value, rel=1e-12) for value in values]


@pytest.mark.parametrize("name", RANGES)
def test_expressions_are_equal(name: str, here: Path, fleet: FleetDatabase) -> None:
    own = numbers(Reader(here).trend(*RANGES[name]))
    assert numbers(FleetTrends(fleet, "room").trend(*RANGES[name])) == own
    assert (name == "nothing") != any(own["rows"])


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("kind", [VitalKind.HEART_RATE, VitalKind.SYSTOLIC])
def test_readings_are_equal(name: str, kind: VitalKind, here: Path, fleet: FleetDatabase) -> None:
    own = numbers(Reader(here).vital_trend(kind, *RANGES[name]))
    found = numbers(FleetTrends(fleet, "room").vital_trend(kind, *RANGES[name]))
    assert list(found.pop("mean")) == close(own.pop("mean"))
    assert found == own


def test_sessions_kinds_and_span_are_equal(here: Path, fleet: FleetDatabase) -> None:
    own, there = Reader(here), FleetTrends(fleet, "room")
    around = (START_MS - DAY_MS, START_MS + DAY_MS)
    assert there.markers(*around) == own.markers(*around) != []
    assert there.conditions(*around) == own.conditions(*around) != []
    assert there.markers() == own.markers()
    assert there.span() == own.span()
    assert there.recorded_kinds() == own.recorded_kinds()


def test_a_reading_of_a_time_to_come_ends_no_span(here: Path, fleet: FleetDatabase) -> None:
    of_2100 = (4_102_444_800_000 - HOUR_MS, 4_102_444_800_000 + HOUR_MS, 2)
    room = FleetTrends(fleet, "room")
    assert sum(room.vital_trend(VitalKind.HEART_RATE, *of_2100).flagged) == 1
    last_recorded = START_MS + 5_000_150_000
    for one in (Reader(here), room, FleetTrends(fleet, None)):
        span = one.span()
        assert span is not None and span[1] < last_recorded


def test_all_devices_together_are_the_sum(here: Path, fleet: FleetDatabase) -> None:
    every = FleetTrends(fleet, None)
    for name in ("rows", "minutes", "hours", "days"):
        start_ms, end_ms, _ = RANGES[name]
        rows = [sum(one.trend(start_ms, end_ms, 20).rows) for one in _each(fleet)]
        trend = every.trend(start_ms, end_ms, 20)
        assert sum(trend.rows) == sum(rows) > max(rows)
        vitals = [
            one.vital_trend(VitalKind.HEART_RATE, start_ms, end_ms, 20) for one in _each(fleet)
        ]
        assert sum(every.vital_trend(VitalKind.HEART_RATE, start_ms, end_ms, 20).n) == sum(
            sum(one.n) for one in vitals
        )
    assert every.trend(*RANGES["minutes"]).bucket_ms == HOUR_MS
    assert every.trend(*RANGES["days"]).bucket_ms % DAY_MS == 0
    assert (every.markers(), every.conditions(0, 2**50)) == ([], [])
    span = every.span()
    assert span is not None and span[0] <= START_MS < span[1]


def _each(fleet: FleetDatabase) -> list[FleetTrends]:
    return [FleetTrends(fleet, "room"), FleetTrends(fleet, "hall")]


def test_the_page_has_a_list_of_devices_and_programs_name_the_device(
    tmp_path: Path, postgres: Postgres
) -> None:
    source = FleetAddress(Address(postgres.address))
    with client_of(tmp_path, source=source) as client:
        set_up(client, tmp_path)
        span = f"start={START_MS}&end={START_MS + 1_200_000}"
        page = client.get(f"/trends?{span}&device=room")
        assert page.status_code == 200, page.text
        assert '<option value="room" selected>' in page.text
        assert "&amp;device=room" in page.text
        assert client.get("/trends").status_code == 200
        every = client.get(f"/api/v1/trends?{span}").json()
        one = client.get(f"/api/v1/trends?{span}&device=hall").json()
        assert sum(every["expression"]["rows"]) > sum(one["expression"]["rows"]) > 0
        refusal = client.get(f"/api/v1/trends?{span}&device=attic")
        assert refusal.status_code == 404
        assert "attic" in refusal.json()["detail"]
        app: Any = client.app
        app.state.services.fleet.close()


def test_an_appliance_has_no_other_device(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        set_up(client, tmp_path)
        assert client.get("/api/v1/trends?start=0&end=9&device=hall").status_code == 404
        assert 'id="device"' not in client.get("/trends").text
