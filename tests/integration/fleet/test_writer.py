"""What the collector makes of messages: any order, twice, damaged, erased, after a restore."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

import psycopg

from collector.database.schema import MIGRATIONS, Migration, migrate
from collector.messages import BrokerDelivery, CollectorError
from collector.writer import MessageWriter
from edge_agent.fleet.chunks import decode, encode
from edge_agent.fleet.log import ChangeLog
from edge_agent.fleet.tables import BY_NAME
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.setting import renew_stream_epoch
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.write.inserts import ModelUse, write_model
from tests.support.erasure import record
from tests.support.fleet.devices import (
    messages_of,
    packed,
    rollups_here,
    rollups_there,
    rows_here,
    rows_there,
)
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs
from tests.support.own_neutral import calibrate_session
from tests.support.studies import add_session, heart
from tests.support.timeline import START_MS, query, timeline

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device's database with two participants, faces, readings, and an own neutral."""
    path = timeline(tmp_path_factory.mktemp("made"))
    session = add_session(path, "P01", heart(anger=90.0, neutral=70.0))
    calibrate_session(path, session, 0.0, 20.0)
    add_session(path, "P02", heart(anger=85.0, neutral=72.0))
    record(path, 0, 300)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return path


@pytest.fixture
def here(tmp_path: Path, made: Path) -> Path:
    """A copy of that database for a test of its own."""
    return Path(shutil.copy(made, tmp_path))


def take(writer: MessageWriter, payloads: list[bytes]) -> int:
    """Take messages; return the position that is confirmed at last."""
    told = writer.write_deliveries([BrokerDelivery("room", payload, 0) for payload in payloads])
    return max((each.confirmation.position for each in told), default=0)


def send(writer: MessageWriter, path: Path, after: int = 0) -> int:
    """Send everything after a position, and return the last one."""
    messages = messages_of(path, "room", after)
    return take(writer, [packed(message) for message in messages])


def test_messages_in_any_order_and_twice_make_the_same_rows(there: Any, here: Path) -> None:
    payloads = [packed(message) for message in messages_of(here, "room")]
    record(here, 300, 500)
    payloads += [packed(message) for message in messages_of(here, "room", len(payloads))]
    payloads += payloads[::2]
    random.Random(3).shuffle(payloads)
    writer = MessageWriter(there)
    for start in range(0, len(payloads), 3):
        take(writer, payloads[start : start + 3])
    assert rows_there(there, "room") == rows_here(here)
    assert rollups_there(there, "room") == rollups_here(here)
    assert there.execute("SELECT count(*) FROM fleet.waiting").fetchone() == (0,)


def one_by_one(writer: MessageWriter, payloads: list[bytes]) -> None:
    """Let each message come in a transaction of its own, as from several collectors."""
    for payload in payloads:
        take(writer, [payload])


def test_rows_that_overtake_what_is_missing_are_there_at_once(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    done = send(writer, here)
    record(here, 300, 900)
    first, *others = [packed(message) for message in messages_of(here, "room", done)]
    assert len(others) > 2
    one_by_one(writer, others[::-1])
    assert there.execute("SELECT count(*) FROM fleet.waiting").fetchone() == (0,)
    assert there.execute("SELECT applied FROM fleet.stream").fetchone() == (done,)
    one_by_one(writer, [first])
    assert rows_there(there, "room") == rows_here(here)
    assert rollups_there(there, "room") == rollups_here(here)
    assert there.execute("SELECT isempty(ahead) FROM fleet.stream").fetchone() == (True,)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vital SET value = value + 1 WHERE at % 3000 = 0",
        "UPDATE expression SET is_primary = 0 WHERE id % 3 = 0",
        "DELETE FROM vital WHERE at % 3000 = 0",
    ],
)
def test_an_old_value_that_comes_last_gives_way_to_the_newer_one(
    there: Any, here: Path, statement: str
) -> None:
    writer = MessageWriter(there)
    done = send(writer, here)
    record(here, 300, 700)
    old = [packed(message) for message in messages_of(here, "room", done)]
    before = query(here, "SELECT max(seq) FROM fleet_change")[0][0]
    with write_transaction(here) as connection:
        connection.execute(statement)
    new = [packed(message) for message in messages_of(here, "room", before)]
    one_by_one(writer, new + old)
    # what was not confirmed is sent again
    applied = there.execute("SELECT applied FROM fleet.stream").fetchone()[0]
    send(writer, here, applied)
    assert rows_there(there, "room") == rows_here(here)
    writer.write_deliveries(
        [BrokerDelivery("hall", packed(one), 0) for one in messages_of(here, "hall")]
    )
    assert rollups_there(there, "room") == rollups_there(there, "hall")
    newest = query(here, "SELECT max(seq) FROM fleet_change")[0][0]
    assert there.execute("SELECT applied FROM fleet.stream").fetchone() == (newest,)


def test_changes_and_deletions_of_the_device_are_applied(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    done = send(writer, here)
    with write_transaction(here) as connection:
        connection.execute("UPDATE expression SET at = at + 3600000 WHERE id % 2 = 0")
        connection.execute("UPDATE vital SET at = at + 7200000 WHERE at % 3000 = 0")
        connection.execute("UPDATE session SET name = 'other films'")
        connection.execute("DELETE FROM vital WHERE at % 5000 = 0")
        connection.execute("DELETE FROM marker WHERE id = 1")
    send(writer, here, done)
    assert rows_there(there, "room") == rows_here(here)


def test_rows_deleted_by_age_on_the_device_stay_with_the_collector(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    done = send(writer, here)
    before = rows_there(there, "room")
    assert prune(here, 1, now_ms=START_MS + 90 * DAY_MS) > 0
    send(writer, here, done)
    assert rows_there(there, "room") == before


def test_an_erasure_goes_through_rows_partitions_and_rollups(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    done = send(writer, here)
    erase_participant(here, "P01", actor="ada")
    told = writer.write_deliveries(
        [BrokerDelivery("room", packed(m), 0) for m in messages_of(here, "room", done)]
    )
    assert rows_there(there, "room") == rows_here(here)
    assert rollups_there(there, "room") == rollups_here(here)
    assert there.execute(
        "SELECT count(*) FROM fleet.study_row WHERE fields::text ILIKE '%P01%'"
    ).fetchone() == (0,)
    receipt = told[0].confirmation
    assert receipt.erased[0].rows > 300
    log = ChangeLog(here)
    log.begin()
    log.confirm(receipt.position, {each.position: each.rows for each in receipt.erased})
    log.close()
    said = query(here, "SELECT detail FROM audit WHERE action = 'fleet_erased'")
    assert said == [(f"the collector has erased with {receipt.erased[0].rows} rows",)]


def test_a_message_of_before_an_erasure_brings_nobody_back(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    old = [packed(message) for message in messages_of(here, "room")]
    take(writer, old)
    erase_participant(here, "P01", actor="ada")
    send(writer, here, len(old))
    take(writer, old)
    assert rows_there(there, "room") == rows_here(here)


def test_after_a_restore_the_new_copy_takes_the_place_of_the_old_one(
    there: Any, here: Path
) -> None:
    writer = MessageWriter(there)
    old = [packed(message) for message in messages_of(here, "room")]
    take(writer, old)
    with write_transaction(here) as connection:  # what a restored backup does not know
        connection.execute("DELETE FROM vital WHERE at % 2000 = 0")
        renew_stream_epoch(connection)
    new = [packed(message) for message in messages_of(here, "room")]
    assert decode(new[0]).epoch != decode(old[0]).epoch
    take(writer, new)
    take(writer, old)  # what the broker still had
    assert rows_there(there, "room") == rows_here(here)
    total = there.execute("SELECT count(*) FROM fleet.expression").fetchone()
    assert total == query(here, "SELECT count(*) FROM expression")[0]


def test_row_that_postgresql_refuses_is_set_aside(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    messages = messages_of(here, "room")
    wrong = next(m for m in messages if any(c[1] == "expression" for c in m.changes))
    place = messages.index(wrong)
    wrong.changes[0][3][1] = "yesterday"
    deliveries = [BrokerDelivery("room", packed(message), 0) for message in messages]
    deliveries += [
        BrokerDelivery("room", b"nonsense", 0),
        BrokerDelivery("other", packed(messages[0]), 0),
    ]
    told = writer.write_deliveries(deliveries)
    assert told[0].confirmation.position == messages[-1].last
    reasons = [row[0] for row in there.execute("SELECT reason FROM fleet.dead_letter")]
    assert len(reasons) == 3
    assert any("expression.at = 'yesterday'" in reason for reason in reasons)
    lost = there.execute("SELECT first, last, reason FROM fleet.lost").fetchall()
    assert lost == [(messages[place].first, messages[place].last, "refused")]


@pytest.mark.parametrize(("column", "value"), [("frames", 2**40), ("at", 2**60)])
def test_a_number_that_no_sum_can_hold_is_refused(
    there: Any, here: Path, column: str, value: int
) -> None:
    writer = MessageWriter(there)
    messages = messages_of(here, "room")
    wrong = next(m for m in messages if any(c[1] == "expression" for c in m.changes))
    change = next(one for one in wrong.changes if one[1] == "expression")
    change[3][BY_NAME["expression"].columns.index(column)] = value
    take(writer, [packed(message) for message in messages])
    assert there.execute("SELECT reason FROM fleet.dead_letter").fetchone() == (
        f"has expression.{column} = {value}, which cannot be",
    )
    while writer.close_minutes(0.0):
        pass


def minutes(there: Any, kind: str = "expression") -> list[int]:
    return [row[0] for row in there.execute(f"SELECT at FROM fleet.{kind}_minute ORDER BY at")]


def test_a_minute_is_rolled_up_when_next_one_begins_or_device_is_silent(
    there: Any, here: Path
) -> None:
    path = timeline(here.parent / "empty")
    writer = MessageWriter(there)
    record(path, 0, 70)
    done = send(writer, path)
    first = START_MS // 60_000 * 60_000
    assert minutes(there) == minutes(there, "vital") == [first]
    assert there.execute("SELECT open_minute FROM fleet.stream").fetchone() == (first + 60_000,)
    assert writer.close_minutes(20.0) == 0
    record(path, 70, 125)
    done = send(writer, path, done)
    assert minutes(there) == minutes(there, "vital") == [first, first + 60_000]
    assert [writer.close_minutes(0.0) for _ in range(2)] == [1, 0]
    assert minutes(there)[-1] == first + 120_000
    record(path, 125, 130)  # a minute that was closed is computed anew
    send(writer, path, done)
    assert rollups_there(there, "room") == rollups_here(path)


def test_a_collector_leaves_minutes_to_the_one_that_holds_their_stream(
    postgres: Postgres, there: Any, here: Path
) -> None:
    writer = MessageWriter(there)
    send(writer, here)
    with psycopg.connect(postgres.address) as other:
        other.execute("SELECT 1 FROM fleet.stream FOR UPDATE")
        assert writer.close_minutes(0.0) == 0
    assert writer.close_minutes(0.0) == 1


def test_nothing_of_an_erased_participant_is_left_to_a_minute_that_is_open(
    there: Any, here: Path
) -> None:
    writer = MessageWriter(there)
    first, last = query(here, "SELECT min(started), max(ended) FROM session")[0]
    done = send(writer, here)
    there.execute("UPDATE fleet.stream SET open_minute = %s", (first // 60_000 * 60_000,))
    erase_participant(here, "P01", actor="ada")
    erase_participant(here, "P02", actor="ada")
    send(writer, here, done)
    while writer.close_minutes(0.0):
        pass
    gone = range(first // 60_000 * 60_000 + 60_000, last // 60_000 * 60_000, 60_000)
    assert not set(minutes(there, "vital")) & set(gone)
    assert rollups_there(there, "room") == rollups_here(here)


def test_a_gap_of_the_device_is_reported_and_the_stream_goes_on(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    done = send(writer, here)
    record(here, 300, 900)
    log = ChangeLog(here)
    log.begin()
    log.confirm(done, {})
    dropped = log.shrink(40 * 1000)
    log.close()
    assert dropped > 0
    assert send(writer, here, done) == query(here, "SELECT max(seq) FROM fleet_change")[0][0]
    assert there.execute("SELECT first, last, reason FROM fleet.lost").fetchall() == [
        (done + 1, done + dropped, "backlog_full")
    ]


def test_a_time_that_no_month_has_is_kept(there: Any, here: Path) -> None:
    writer = MessageWriter(there)
    with write_transaction(here) as connection:
        connection.execute("UPDATE vital SET at = at + 9000000000000 WHERE at % 7000 = 0")
    send(writer, here)
    assert rows_there(there, "room")["vital"] == rows_here(here)["vital"]


def test_older_database_is_upgraded_and_says_what_it_does_not_know(there: Any, here: Path) -> None:
    there.execute("DROP SCHEMA fleet CASCADE")
    before = [one.name for one in MIGRATIONS].index("priors of classifiers")
    migrate(there, MIGRATIONS[:before])
    there.execute("DROP VIEW fleet.model")  # as 0.1.0 made it
    there.execute(
        "CREATE VIEW fleet.model AS SELECT stream, id, fields->>'kind' AS kind, "
        "fields->>'name' AS name, fields->>'version' AS version, fields->>'sha256' AS sha256, "
        "fields->>'since' AS since, fields->>'boot' AS boot FROM fleet.study_row "
        "WHERE kind = 'model'"
    )
    there.execute(
        "WITH old AS (INSERT INTO fleet.stream (device, epoch) VALUES ('old', 'e') RETURNING id) "
        "INSERT INTO fleet.study_row (stream, kind, id, fields) SELECT id, 'model', 1, "
        '\'{"kind": "expression", "name": "fast", "boot": null}\' FROM old'
    )
    migrate(there)
    assert there.execute("SELECT name, prior FROM fleet.model").fetchall() == [("fast", "unknown")]
    there.execute("DELETE FROM fleet.study_row")
    with write_transaction(here) as connection:
        write_model(connection, ModelUse("expression", "fast", "1", "aa", 9, prior="balanced"))
    send(MessageWriter(there), here)
    told = there.execute("SELECT name, prior FROM fleet.model WHERE sha256 = 'aa'").fetchall()
    assert told == [("fast", "balanced")]
    told = there.execute("SELECT state, shift FROM fleet.own_neutral").fetchall()
    assert told == [("calibrated", "-1.5")]


def test_a_newer_database_is_refused_and_nothing_is_changed(there: Any) -> None:
    migrate(there, (*MIGRATIONS, Migration("a newer one", ())))
    known = len(MIGRATIONS)
    said = f"has the schema {known + 1}, this collector knows {known}"
    with pytest.raises(CollectorError, match=said):
        migrate(there)


def test_a_device_cannot_say_that_it_is_another_one(there: Any, here: Path) -> None:
    payload = encode(messages_of(here, "room")[0])
    assert MessageWriter(there).write_deliveries([BrokerDelivery("hall", payload, 0)]) == []
    assert there.execute("SELECT reason FROM fleet.dead_letter").fetchone() == (
        "says that it is of 'room'",
    )
