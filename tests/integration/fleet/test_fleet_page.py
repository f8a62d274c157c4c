"""The page Fleet over a real PostgreSQL: what a collector wrote, judged and sorted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from starlette.testclient import TestClient

from collector.database.devices import note_states
from dashboard.fleet.known import PAGE_DEVICES, FleetAddress
from dashboard.fleet.postgres import FleetDatabase, device_names, read_devices
from edge_agent.core.addresses import Address
from edge_agent.core.errors import StoreError
from tests.support.dashboard import client_of, set_up
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.fleet.states import health, status

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)


def tell(there: Any, name: str, *, ago_s: float = 5.0, **more: Any) -> None:
    """Let a device greet and tell its health, without alarms unless they are given."""
    at_ms = time.time_ns() // 1_000_000 - round(ago_s * 1000)
    greeting = status(name, "online", at_ms, ago_s=ago_s)
    note_states(there, [greeting, health(name, at_ms, ago_s=ago_s, **{"alarms": [], **more})])


def vanish(there: Any, name: str) -> None:
    """Let the broker send the last will of a device."""
    note_states(there, [status(name, "offline", None)])


def stream(there: Any, name: str, **values: object) -> int:
    """Add a stream of a device; returns its number."""
    columns = {"device": name, "epoch": "5f2c9a0d1e3b4c67", "copied": True} | values
    row = there.execute(
        f"INSERT INTO fleet.stream ({', '.join(columns)}) VALUES "
        f"({', '.join(['%s'] * len(columns))}) RETURNING id",
        tuple(columns.values()),
    ).fetchone()
    return int(row[0])


def test_each_device_has_its_state_and_what_is_wrong_with_it(
    there: Any, fleet: FleetDatabase
) -> None:
    begun_s = time.monotonic()
    tell(there, "good")
    stream(there, "good", applied=70)
    tell(there, "silent", ago_s=400)
    tell(there, "gone")
    vanish(there, "gone")
    tell(there, "hot", alarms=[{"name": "hot", "text": "The processor has 79 °C."}])
    tell(there, "full", disk={"free_bytes": 5, "free_percent": 3.5})
    unplugged = [{"source": "strap", "connected": False}]
    tell(there, "late", fleet={"waiting": 5000, "given_up": 0}, sensors=unplugged)
    lossy = stream(there, "lossy", clock_ahead_ms=-9000, copied=False)
    there.execute("INSERT INTO fleet.lost VALUES (%s, 5, 9, 'backlog_full')", (lossy,))
    page = read_devices(fleet)
    assert {one.name: (one.state, one.reasons) for one in page.devices} == {
        "good": ("online", ()),
        "silent": ("silent", ("silent",)),
        "gone": ("offline", ("offline",)),
        "hot": ("online", ("alarms",)),
        "full": ("online", ("disk",)),
        "late": ("online", ("behind", "sensors")),
        "lossy": ("online", ("lost", "not_copied", "clock")),
    }
    assert [one.name for one in page.devices] == [
        *("lossy", "gone", "hot", "silent", "late", "full", "good")
    ]
    assert (page.matching, page.total, page.online, page.attention) == (7, 7, 5, 6)
    good = page.devices[-1]
    assert good.heard_s is not None
    assert good.heard_s <= time.monotonic() - begun_s + 6  # it was heard five seconds ago
    assert (good.applied, good.version, good.health_by_device) == (70, "0.1.0", False)
    assert page.devices[0].lost == 5


def test_a_device_that_spoke_after_its_last_will_is_there_again(
    there: Any, fleet: FleetDatabase
) -> None:
    tell(there, "room", ago_s=90)
    vanish(there, "room")
    assert read_devices(fleet).devices[0].state == "offline"
    tell(there, "room", ago_s=0)
    assert read_devices(fleet).devices[0].state == "online"


def test_a_thousand_devices_come_in_pages_and_are_found_by_name(
    there: Any, fleet: FleetDatabase
) -> None:
    there.execute(
        "INSERT INTO fleet.device (name, state, state_heard, heard) SELECT 'Room_' || n, "
        "'online', now(), now() - (10 + n % 2 * 900) * interval '1 s' "
        "FROM generate_series(1, 1000) AS n"
    )
    page = read_devices(fleet)
    assert (page.total, page.online, len(page.devices)) == (1000, 500, PAGE_DEVICES)
    names = {
        one.name for number in range(1, 21) for one in read_devices(fleet, page=number).devices
    }
    assert len(names) == 1000
    assert read_devices(fleet, page=21).devices == ()
    assert read_devices(fleet, "room_99").matching == 11
    assert read_devices(fleet, "%").matching == 0
    assert read_devices(fleet, shown="silent").matching == 500
    assert read_devices(fleet, "room_1", shown="online").matching == 56


def test_only_streams_that_go_on_have_a_timeline(there: Any, fleet: FleetDatabase) -> None:
    stream(there, "room", epoch="old", closed=True)
    stream(there, "room", applied=3)
    stream(there, "attic", closed=True)
    assert device_names(fleet) == ["room"]


@pytest.fixture
def client(tmp_path: Path, postgres: Postgres) -> Iterator[TestClient]:
    with client_of(tmp_path, source=FleetAddress(Address(postgres.address))) as one:
        yield set_up(one, tmp_path)
        app: Any = one.app
        app.state.services.fleet.close()


def test_page_and_api_show_the_fleet(there: Any, client: TestClient) -> None:
    tell(there, "good")
    tell(there, "<b>hall</b>", alarms=[{"name": "hot", "text": "The <processor> is hot."}])
    page = client.get("/fleet?name=&shown=all")
    assert page.status_code == 200, page.text
    assert "&lt;b&gt;hall&lt;/b&gt;" in page.text and "The &lt;processor&gt; is hot." in page.text
    answer = client.get("/api/v1/fleet", params={"shown": "attention"}).json()
    assert [one["name"] for one in answer["devices"]] == ["<b>hall</b>"]
    assert (answer["total"], answer["matching"], answer["pages"]) == (2, 1, 1)


def test_a_server_that_comes_back_is_asked_again(
    there: Any, fleet: FleetDatabase, postgres: Postgres
) -> None:
    assert read_devices(fleet).total == 0
    there.close()
    postgres.stop("fast")
    try:
        with pytest.raises(StoreError, match="PostgreSQL: connection"):
            read_devices(fleet)
    finally:
        postgres.start()
    assert read_devices(fleet).total == 0


def test_an_account_without_rights_and_a_database_without_tables_are_told(
    there: Any, postgres: Postgres
) -> None:
    there.execute("DROP ROLE IF EXISTS nothing")
    there.execute("CREATE ROLE nothing LOGIN")
    poor = FleetDatabase(FleetAddress(Address(postgres.address.replace("//fleet@", "//nothing@"))))
    with pytest.raises(StoreError, match="GRANT USAGE ON SCHEMA fleet"):
        read_devices(poor)
    empty = FleetDatabase(
        FleetAddress(Address(postgres.address.replace("/postgres?", "/template1?")))
    )
    with pytest.raises(StoreError, match="lacks tables of a fleet"):
        read_devices(empty)


def test_the_page_cannot_write(there: Any, fleet: FleetDatabase) -> None:
    with pytest.raises(StoreError, match="read-only transaction"), fleet.connection() as connection:
        connection.execute("DELETE FROM fleet.device")
