"""Each query of Grafana's dashboard of a fleet, asked of a PostgreSQL that a collector filled."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg
from psycopg.rows import dict_row

from collector.database.devices import note_states
from collector.database.schema import migrate
from collector.messages import BrokerDelivery, StateMessage
from collector.writer import MessageWriter
from dashboard.fleet.known import FleetAddress
from dashboard.fleet.postgres import FleetDatabase, read_devices
from edge_agent.core.addresses import Address
from edge_agent.core.clock import iso_utc, now
from tests.support.erasure import record
from tests.support.fleet.devices import messages_of, packed
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.fleet.states import health, status
from tests.support.timeline import START_MS, query, timeline

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
FILE = Path(__file__).parents[3] / "docs/monitoring/grafana-fleet.json"
DASHBOARD = json.loads(FILE.read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
DEVICE = "room o'one"
"""A quote in the name: Grafana's own format has to keep it apart from the SQL."""


def expanded(sql: str, device: str = DEVICE) -> bytes:
    """Put in what Grafana puts in for its macros and variables, with minutes as intervals."""
    end_ms = now().wall_ms + 60_000
    sql = re.sub(
        r"\$__timeFilter\((\w+)\)",
        rf"\1 BETWEEN '{iso_utc(START_MS - 60_000)}' AND '{iso_utc(end_ms)}'",
        sql,
    )
    quoted = "'" + device.replace("'", "''") + "'"
    values = {
        "$__interval_ms": "60000",
        "$__from": str(START_MS - 60_000),
        "$__to": str(end_ms),
        "${device:sqlstring}": quoted,
    }
    for name, value in values.items():
        sql = sql.replace(name, value)
    assert "$" not in sql, sql
    return sql.encode()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = timeline(tmp_path_factory.mktemp("device"))
    record(path, 0, 400)
    return path


@pytest.fixture(scope="module")
def postgres(server: Postgres, here: Path) -> Postgres:
    """PostgreSQL with that timeline, a dead letter, and devices in each state."""
    server.empty()
    with psycopg.connect(server.address, autocommit=True) as connection:
        migrate(connection)
        writer = MessageWriter(connection)
        messages = [packed(one) for one in messages_of(here, DEVICE)]
        writer.write_deliveries([BrokerDelivery(DEVICE, one, 0) for one in messages])
        writer.write_deliveries([BrokerDelivery("strange", b"no timeline", 0)])
        while writer.close_minutes(0.0):
            pass
        for name, ago_s, will in (("cellar", 400.0, False), ("attic", 5.0, True)):
            note_states(connection, told(name, ago_s, will=will))
    return server


def told(name: str, ago_s: float, *, will: bool) -> list[StateMessage]:
    """Return what a device says of itself: 70 changes wait, and perhaps it is gone."""
    at_ms = now().wall_ms - round(ago_s * 1000)
    waiting = health(name, at_ms, ago_s=ago_s, fleet={"waiting": 70, "given_up": 0})
    if not will:
        return [waiting, status(name, "online", at_ms, ago_s=ago_s)]
    # a last will comes after what the device said itself
    return [waiting, status(name, "offline", None, ago_s=ago_s - 1)]


def answer(postgres: Postgres, title: str) -> list[dict[str, Any]]:
    """Return what the database answers to the query of a panel."""
    (target,) = PANELS[title]["targets"]
    with psycopg.connect(postgres.address, row_factory=dict_row) as connection:
        return connection.execute(expanded(target["rawSql"])).fetchall()


@pytest.mark.parametrize("title", PANELS)
def test_each_query_is_answered_with_rows(title: str, postgres: Postgres) -> None:
    rows = answer(postgres, title)
    assert rows
    if PANELS[title]["targets"][0]["format"] == "time_series":
        assert all(row["time"] is not None and len(row) > 1 for row in rows)
        assert rows == sorted(rows, key=lambda row: row["time"])


def test_states_are_those_of_the_page_fleet(postgres: Postgres) -> None:
    database = FleetDatabase(FleetAddress(Address(postgres.address)))
    states = {one.name: one.state for one in read_devices(database).devices}
    database.close()
    shown = {row["device"]: row["state"] for row in answer(postgres, "Devices")}
    assert shown == states == {DEVICE: "online", "cellar": "silent", "attic": "offline"}
    for state in ("online", "silent", "offline"):
        assert answer(postgres, state.capitalize())[0]["devices"] == 1


def test_backlog_and_dead_letters_are_counted(postgres: Postgres) -> None:
    assert answer(postgres, "Waiting on devices")[0]["changes"] == 140
    devices = answer(postgres, "Backlog of devices")
    assert {row["device"]: row["waiting"] for row in devices} == {"cellar": 70, "attic": 70}
    assert answer(postgres, "Dead letters")[0]["messages"] == 1
    assert [row["device"] for row in answer(postgres, "Newest dead letters")] == ["strange"]


def test_the_heart_rate_is_that_of_the_device(postgres: Postgres, here: Path) -> None:
    own = query(
        here,
        "SELECT at, total / n FROM vital_minute WHERE kind = 'heart_rate' AND n > 0 ORDER BY at",
    )
    rows = answer(postgres, "Heart rate of ${device}")
    there = [(round(row["time"].timestamp() * 1000), row["heart_rate"]) for row in rows]
    assert [at for at, _ in there] == [at for at, _ in own]
    assert [mean for _, mean in there] == pytest.approx([mean for _, mean in own])


def test_the_shares_of_each_minute_make_one(postgres: Postgres) -> None:
    for row in answer(postgres, "Expressions of ${device}"):
        del row["time"]
        assert sum(row.values()) == pytest.approx(1.0)


def test_devices_to_choose_are_those_with_a_timeline(postgres: Postgres) -> None:
    (variable,) = [one for one in DASHBOARD["templating"]["list"] if one["name"] == "device"]
    with psycopg.connect(postgres.address) as connection:
        assert connection.execute(variable["query"]).fetchall() == [(DEVICE,)]
