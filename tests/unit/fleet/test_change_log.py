"""The log of changes: what is committed is in it, once, and nothing else is."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("cbor2", reason="pip install -e '.[fleet]'")

from edge_agent.config.settings import Settings
from edge_agent.core.errors import StoreError
from edge_agent.fleet.log import BYTES_A_CHANGE, ChangeLog, end_stream
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.copy import copy_database
from edge_agent.timeline.database.files import prepared_path, replace_files
from edge_agent.timeline.database.setting import renew_stream_epoch
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.write.changes import Special
from tests.support.broker import wait_until
from tests.support.erasure import bytes_of, record
from tests.support.own_neutral import calibrate_session
from tests.support.studies import add_session, heart
from tests.support.timeline import START_MS, query, timeline

DAY_MS = 86_400_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return timeline(tmp_path, expression=[1, 2], vital=[1, 2])


@pytest.fixture
def log(path: Path) -> Iterator[ChangeLog]:
    with closing(ChangeLog(path)) as log:
        yield log


def changes(log: ChangeLog, after: int = 0) -> list[tuple[str, str]]:
    """Return table and kind of everything after a position."""
    found = []
    while (chunk := log.read(after, 500)) is not None:
        found += [(change[1], change[2]) for change in chunk.changes]
        after = chunk.last
    return found


def newest(path: Path) -> int:
    return int(query(path, "SELECT max(seq) FROM fleet_change")[0][0])


def test_a_stream_begins_with_all_that_there_is(log: ChangeLog) -> None:
    log.begin()
    said = changes(log)
    assert said[0] == ("", "begin")
    assert said[-1] == ("", "copied")
    assert said.count(("expression", "row")) == 2
    assert said.count(("vital", "row")) == 2


def test_it_goes_on_after_a_restart(log: ChangeLog, path: Path) -> None:
    stream = log.begin()
    log.close()
    with closing(ChangeLog(path)) as again:
        assert again.begin() == stream


def test_stream_of_an_earlier_release_goes_on_with_a_table_that_is_new(
    log: ChangeLog, path: Path
) -> None:
    stream = log.begin()
    with write_transaction(path) as connection:
        for change in ("new", "changed", "gone"):
            connection.execute(f"DROP TRIGGER fleet_log_own_neutral_{change}")
    assert log.begin() == stream
    before = newest(path)
    calibrate_session(path, add_session(path, "P01", heart(anger=90.0)), 0.0, 20.0)
    assert ("own_neutral", "row") in changes(log, before)
    with write_transaction(path) as connection:
        connection.execute("DROP TRIGGER fleet_log_own_neutral_new")
    assert log.begin() != stream, "a change of it may have passed unlogged"


def test_nothing_of_a_database_that_took_its_place_belongs_to_old_stream(
    log: ChangeLog, path: Path
) -> None:
    first = log.begin()
    other = prepared_path(path)
    with closing(connect(path, readonly=True)) as connection:
        copy_database(connection, other)
    with write_transaction(other) as connection:
        renew_stream_epoch(connection)
    replace_files(path, [path], "before")
    for _ in range(2):  # seen once, it is not forgotten
        with pytest.raises(StoreError, match="not begun"):
            log.read(0, 500)
        assert log.was_replaced
    assert log.begin().epoch != first.epoch
    assert changes(log)[0] == ("", "begin")


def test_rows_that_come_change_and_go_are_logged_in_their_order(log: ChangeLog, path: Path) -> None:
    log.begin()
    start = newest(path)
    timeline(path, expression=[3], vital=[3])
    with write_transaction(path) as connection:
        connection.execute("UPDATE vital SET value = 80 WHERE at = ?", (START_MS + 3000,))
        connection.execute("UPDATE vital SET at = at + 1 WHERE at = ?", (START_MS + 1000,))
        connection.execute("DELETE FROM expression WHERE id = 1")
    said = changes(log, start)
    assert said == [
        ("expression", "row"),
        ("vital", "row"),
        ("vital", "row"),
        ("vital", "gone"),
        ("vital", "row"),
        ("expression", "gone"),
    ]


def test_change_that_is_rolled_back_is_not_logged(log: ChangeLog, path: Path) -> None:
    log.begin()
    start = newest(path)
    with closing(connect(path, readonly=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM expression")
        connection.execute("ROLLBACK")
    assert newest(path) == start


_WRITER = """
import sys
from contextlib import closing
from pathlib import Path
from tests.support.timeline import reading, timeline
second = 10
while True:
    timeline(Path(sys.argv[1]), expression=[second], vital=[reading(second)])
    second += 1
"""


def test_a_process_that_is_killed_leaves_rows_and_log_alike(log: ChangeLog, path: Path) -> None:
    log.begin()
    start = newest(path)
    for _ in range(3):
        command = [sys.executable, "-c", _WRITER, str(path)]
        before = newest(path)
        with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
            wait_until(lambda: newest(path) > before + 20, "some rows", 60)  # noqa: B023
            process.send_signal(signal.SIGKILL)
    said = changes(log, start)
    assert said.count(("vital", "row")) == query(path, "SELECT count(*) - 2 FROM vital")[0][0]
    ids = query(path, "SELECT a FROM fleet_change WHERE what = 10 AND seq > ?", start)
    assert ids == query(path, "SELECT id FROM expression WHERE id > 2 ORDER BY id")


def test_no_position_is_given_twice_however_much_is_confirmed(log: ChangeLog, path: Path) -> None:
    log.begin()
    last = newest(path)
    log.confirm(last, {})
    assert query(path, "SELECT count(*) FROM fleet_change") == [(1,)]
    timeline(path, expression=[4])
    assert newest(path) == last + 1
    assert changes(log, last) == [("expression", "row")]


@pytest.mark.parametrize("how", ["restored", "without a trigger", "with another trigger"])
def test_where_changes_may_be_missing_another_stream_begins(
    log: ChangeLog, path: Path, how: str
) -> None:
    first = log.begin()
    with write_transaction(path) as connection:
        if how == "restored":
            renew_stream_epoch(connection)
        else:
            connection.execute("DROP TRIGGER fleet_log_vital_new")
        if how == "with another trigger":
            connection.execute(
                "CREATE TRIGGER fleet_log_vital_new AFTER INSERT ON vital BEGIN SELECT 1; END"
            )
    second = log.begin()
    assert second.epoch != first.epoch
    assert changes(log)[0] == ("", "begin")
    timeline(path, vital=[9])
    assert changes(log, newest(path) - 1) == [("vital", "row")]


def test_rows_that_are_too_old_to_be_kept_go_without_a_word(log: ChangeLog, path: Path) -> None:
    log.begin()
    start = newest(path)
    assert prune(path, 1, now_ms=START_MS + 10 * DAY_MS) == 2
    assert changes(log, start) == []
    with write_transaction(path) as connection:  # and the next deletion is told again
        connection.execute("DELETE FROM vital")
    assert changes(log, start) == [("vital", "gone"), ("vital", "gone")]


def test_an_erasure_is_one_change_and_takes_its_keys_out_of_the_log(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    with closing(ChangeLog(path)) as log:
        log.begin()
        add_session(path, "SECRET-7", heart(anger=91.0), source="wristband-x")
        record(path, 0, 60)
        erase_participant(path, "SECRET-7", actor="ada")
        log.close()
        log.begin()
        said = changes(log)
    assert said.count(("", "erase")) == 1
    assert not {table for table, _ in said} & {"participant", "session", "marker", "vital"}
    left = bytes_of(tmp_path)
    assert b"secret-7" not in left
    assert b"wristband-x" not in left


def test_the_audit_says_what_the_collector_has_erased(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    with closing(ChangeLog(path)) as log:
        log.begin()
        add_session(path, "P01", heart(anger=91.0))
        erase_participant(path, "P01", actor="ada")
        log.confirm(newest(path), {newest(path): 17})
        log.confirm(newest(path), {newest(path): 17})
    said = query(path, "SELECT detail FROM audit WHERE action = 'fleet_erased'")
    assert said == [("the collector has erased with 17 rows",)]


def test_an_erasure_that_waits_goes_over_into_another_stream(tmp_path: Path) -> None:
    path = timeline(tmp_path)
    with closing(ChangeLog(path)) as log:
        log.begin()
        add_session(path, "P01", heart(anger=91.0))
        erase_participant(path, "P01", actor="ada")
        with write_transaction(path) as connection:
            renew_stream_epoch(connection)
        log.begin()
        assert changes(log)[:2] == [("", "begin"), ("", "erase")]


def test_beyond_its_bound_the_oldest_go_and_a_gap_says_which(log: ChangeLog, path: Path) -> None:
    log.begin()
    record(path, 10, 400)
    last = newest(path)
    dropped = log.shrink(100 * BYTES_A_CHANGE)
    assert dropped > 300
    chunk = log.read(1, 500)
    assert chunk is not None
    gap = next(change for change in chunk.changes if change[2] == "gap")
    assert chunk.first <= gap[3]["first"] <= gap[0]
    assert newest(path) == last
    assert log.shrink(100 * BYTES_A_CHANGE) == 0
    kept = [row[0] for row in query(path, "SELECT what FROM fleet_change WHERE what < 10")]
    assert {Special.BEGIN, Special.COPIED, Special.GAP} <= set(kept)


def test_a_stream_that_is_ended_leaves_nothing(log: ChangeLog, path: Path) -> None:
    log.begin()
    log.close()
    assert end_stream(path)
    assert not end_stream(path)
    timeline(path, expression=[5])
    assert query(path, "SELECT count(*) FROM fleet_change") == [(0,)]
    assert query(path, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'fleet_log*'") == [(0,)]


_IMPORTED = """
import sys
import edge_agent.agent.loop, affect_edge
from pathlib import Path
from edge_agent.config.settings import Settings
from edge_agent.agent.publishing import _configured_fleet
assert _configured_fleet(Settings(), Path(sys.argv[1])) == []
names = {name for name in sys.modules if name.startswith(("edge_agent.fleet", "collector"))}
print(sorted(names | ({"cbor2", "psycopg"} & set(sys.modules))))
"""


def test_where_it_is_off_nothing_of_it_is_imported(path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _IMPORTED, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert run.stdout.strip() == "[]"


def test_fleet_without_a_broker_is_refused() -> None:
    with pytest.raises(ValueError, match=r"through the broker of \[mqtt\]"):
        Settings.model_validate({"fleet": {"enabled": True}, "mqtt": {"enabled": False}})
