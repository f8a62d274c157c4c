"""One person's rows in every table, on every way that rows take: exported and imported, undone,
salvaged, sent to a fleet, and moved when the clock is set.

The tests walk the schema: a table or a column that a way leaves out is named here with its reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from edge_agent.core import clock
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.expression import RejectReason
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, QuestionKind
from edge_agent.core.vitals import VitalKind
from edge_agent.fleet.tables import BY_NAME as SENT
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME, PAGE_BYTES
from edge_agent.timeline.database.tables import BY_NAME
from edge_agent.timeline.export.table_schemas import FILES, TITLES
from edge_agent.timeline.intake.imports import undo_import
from edge_agent.timeline.salvage.background_copying import BackgroundCopying
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.write.redating import redate
from tests.support import every_table
from tests.support.every_table import (
    MADE_BY_SCHEMA,
    OFFSET_MS,
    SPAN,
    Row,
    at,
    fill_every_table,
    rows_by_table,
)
from tests.support.fleet.postgres import INSTALL, Postgres, postgres_programs, running_postgres
from tests.support.timeline import query, reading, row, session_row, timeline, wait_for

HAS_FLEET = all(map(find_spec, ("psycopg", "cbor2"))) and postgres_programs() is not None
ROLLUPS = ("expression_minute", "expression_hour", "vital_minute", "vital_hour")
STEP_MS = 30 * 86_400_000
OF_THE_CLOCK = frozenset(
    {"boot", "boot_ms", "started_boot", "given_boot", "withdrawn_boot", "ended_boot"}
    | {"ended_boot_ms", "since_boot", "until_boot"}
)
"""They belong to the clocks of the machine that recorded."""
NOT_BROUGHT = {
    "import": "the number of the import here",
    "session.origin": "tells the file that it came from",
    "exclusion.made": "when it was imported",
    "exclusion.actor": "whoever imported it",
}
"""Columns that an import gives a value of its own."""
EXPORTED_WITHOUT = {
    "consent": ("withdrawn", "an export has the last consent of a participant"),
    "exclusion": ("taken_back", "an export has what stands"),
}
"""Tables of which an export has the rows without a value in a column, and why."""
NOTED_BY_IMPORT = frozenset({"import", "audit", "setting"})
"""Tables in which an import and its undo leave their own trace."""
EMPTY = {"participant.consent_withdrawn_at": "sessions need a consent that stands"}
"""Columns of an export in which the person has no value, and why."""
NOT_EXPORTED = {
    "participant": "a number, where an export has the code",
    "boot": "a clock of this machine",
    "import": "imports are of this database",
    "id": "nothing refers to it in an export",
    "exclusion.made": "who left it out, and when, stands in the audit trail",
    "exclusion.actor": "the same",
    "exclusion.taken_back": "what was taken back is not exported",
    "exclusion.taken_back_by": "the same",
    "protocol_run.plan": "its conditions are the column order; the plan is a file of the bundle",
    "protocol_run.step": "where a run stands that goes on",
    "protocol_run.spent_ms": "the same",
    "protocol_run.token": "a secret of the page that shows it",
    "protocol_run.saved": "when the row was written last",
    "protocol_run.saved_boot_ms": "the same",
    "standing_session.begun": "the session is exported",
}
NOT_SENT_COLUMNS = {
    "import": "numbers of imports are of the device's database",
    "actor": "who works with a device is not the fleet's",
    "taken_back_by": "the same",
    "token": "a secret of the page that shows a run",
    "given_boot": "times of a consent are not placed on the timeline",
    "withdrawn_boot": "the same",
}
_NO_BOOT = "has no row of boot; the line of the trail has, and moves"
_AS_IT_WAS = "kept as it was when it was set aside"
_OF_IMPORT = "imports bring times of their own"
STAYS = {
    "import.at": _OF_IMPORT,
    "import.undone": _OF_IMPORT,
    "import.started": _OF_IMPORT,
    "import.ended": _OF_IMPORT,
    "marker_change.changed": _NO_BOOT,
    "vital_change.changed": _NO_BOOT,
    "exclusion.made": _NO_BOOT,
    "exclusion.taken_back": _NO_BOOT,
    "preregistration.at": "a plan is never changed",
    "outbox_set_aside.created": _AS_IT_WAS,
    "outbox_set_aside.at": _AS_IT_WAS,
    "outbox_hole.at": "subscribers may have been told",
    "alert_message.sent": "whoever got it saw that time",
    "health_minute.at": "kept for a day",
    "set_aside.at": _AS_IT_WAS,
    "fleet_change.a": "triggers log the move",
    "fleet_change.b": "triggers log the move",
    "vital.device_time": "the clock of the device",
}
"""Times that are not moved when the clock is set, and why."""


MEMBERS = {
    "vital": ("kind", "flags"),
    "unfit": ("reason",),
    "trial": ("kind",),
    "marker": ("kind",),
}
"""Tables with columns that hold members of registers."""


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with the person's rows in every table, just recorded."""
    monkeypatch.setattr(clock, "now", lambda: Instant(SPAN[1] - OFFSET_MS, SPAN[1]))
    monkeypatch.setattr(clock, "boot_id", lambda: "everly-boot")
    return fill_every_table(tmp_path / "there" / DATABASE_NAME)


def run(*words: object) -> None:
    done = CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def exported(table: str, rows: Iterable[Row]) -> list[Row]:
    """Return the rows of a table that an export has."""
    column, _ = EXPORTED_WITHOUT.get(table, ("", ""))
    return [one for one in rows if one.get(column) is None]


def without(rows: Iterable[Row], columns: Iterable[str]) -> list[Row]:
    """Return rows without some columns, in one order."""
    left = [{name: one[name] for name in one if name not in set(columns)} for one in rows]
    return sorted(left, key=repr)


def named(reasons: Mapping[str, str], table: str, columns: Iterable[str]) -> set[str]:
    """Return the columns of a table that are named in a list of reasons."""
    return {name for name in columns if name in reasons or f"{table}.{name}" in reasons}


AS_BUNDLE_OR_BIDS = pytest.mark.parametrize(
    ("file", "words"),
    [("study.zip", ()), ("study", ("--format", "bids", "--session", "1", "--session", "2"))],
    ids=["bundle", "bids"],
)


@AS_BUNDLE_OR_BIDS
def test_export_that_is_imported_brings_the_same_rows(
    there: Path, tmp_path: Path, file: str, words: tuple[str, ...]
) -> None:
    run("export", "--out", tmp_path / file, *words, "--data", there.parent)
    here = timeline(tmp_path / "here")
    before = rows_by_table(here)
    run("import-study", tmp_path / file, "--data", here.parent)
    given, after = rows_by_table(there), rows_by_table(here)
    for table, rows in after.items():
        columns = given[table][0].keys()
        if not BY_NAME[table].brought and table not in ROLLUPS:
            assert rows == before[table] or table in NOTED_BY_IMPORT, table
            continue
        left_out = OF_THE_CLOCK | named(NOT_BROUGHT, table, columns) | {"id"}
        assert without(rows, left_out) == without(exported(table, given[table]), left_out), table
        assert all(one["import"] == 1 for one in rows if "import" in one), table


def every_member(folder: Path) -> Path:
    """Return a database with a row for each member of the registers whose members rows hold."""
    kinds = [
        reading(20 + number, sum(kind.plausible) / 2, kind, "new")
        for number, kind in enumerate(VitalKind)
    ]
    flags = [
        reading(80 + number, 61.0, source=f"of {flag}", flags=[flag])
        for number, flag in enumerate(VitalFlag)
    ]
    answers = [
        {"at": 100 + number, "turn": number + 1, "step": 2, "kind": kind, "question": "q"}
        | {"wording": "Why?", "stood_ms": 400, "value": kind.numbers[1] if kind.numbers else "x"}
        for number, kind in enumerate(QuestionKind)
    ]
    return timeline(
        folder,
        session=[session_row(10, 200, (15, 190, "film")), session_row(300, 310)],
        vital=[*kinds, *flags],
        unfit=[{"at": 20 + n, "reason": one, "frames": 2} for n, one in enumerate(RejectReason)],
        trial=[{"session": 1, **one} for one in answers],
        marker=[
            {"session": 1, "at": 120 + number, "kind": kind, "label": "x"}
            for number, kind in enumerate(MarkerKind)
            if kind not in {MarkerKind.STIMULUS_START, MarkerKind.STIMULUS_END}
        ],
    )


@AS_BUNDLE_OR_BIDS
def test_member_of_a_register_is_carried_by_export_and_import(
    tmp_path: Path, file: str, words: tuple[str, ...]
) -> None:
    given = every_member(tmp_path / "there")
    run("export", "--out", tmp_path / file, *words, "--data", given.parent)
    here = timeline(tmp_path / "here")
    run("import-study", tmp_path / file, "--data", here.parent)
    for table, members in MEMBERS.items():
        columns = f"at, {', '.join(members)}"
        rows = query(here, f"SELECT {columns} FROM {table} ORDER BY {columns}")
        assert rows == query(given, f"SELECT {columns} FROM {table} ORDER BY {columns}"), table


def cells_of(file: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table of an export to SQLite."""
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        return {
            name: [dict(one) for one in connection.execute(f"SELECT * FROM {name}")]
            for name in FILES
        }


def is_there(value: object, cells: set[object]) -> bool:
    """Tell whether an export has a value: as stored, by its unit, as a time of the session or of
    the day, or as text.
    """
    if not isinstance(value, int):
        return value in cells
    told = {value, value / 1000, value / 10, str(value), f"{value // 60:02d}:{value % 60:02d}"}
    return bool(cells & {*told, *(value + at(start) for start in (10, 400)), iso_utc(value)})


def test_export_has_each_value_of_its_tables(there: Path, tmp_path: Path) -> None:
    run("export", "--out", tmp_path / "a.sqlite", "--format", "sqlite", "--data", there.parent)
    tables = cells_of(tmp_path / "a.sqlite")
    assert tables.keys() == TITLES.keys()
    for table, rows in tables.items():
        empty = {column for column in rows[0] if all(one[column] in (None, "") for one in rows)}
        assert empty == named(EMPTY, table, empty), table
    tables["consent"] = tables["participant"]
    missing = set()
    for table in tables.keys() & every_table.ROWS.keys():
        rows = exported(table, rows_by_table(there)[table])
        for column in rows[0].keys() - OF_THE_CLOCK - named(NOT_EXPORTED, table, rows[0]):
            # under its own name, unless that is a time for people
            own = {one[column] for one in tables[table] if column in one and column != "at"}
            cells = own or {cell for one in tables[table] for cell in one.values()}
            values = {one[column] for one in rows} - {None, ""}
            missing |= {(table, column, value) for value in values if not is_there(value, cells)}
    assert missing == set()


def test_import_that_is_undone_leaves_none_of_its_rows(there: Path, tmp_path: Path) -> None:
    run("export", "--out", tmp_path / "study.zip", "--data", there.parent)
    other = session_row(-500, -100, (-450, -400, "film"), participant="OTHER")
    here = timeline(tmp_path / "here", session=[other], expression=[row(-200)], vital=[-200])
    before = rows_by_table(here)
    run("import-study", tmp_path / "study.zip", "--data", here.parent)
    assert rows_by_table(here)["own_neutral"]
    undo_import(here, 1, actor="ada")
    after = rows_by_table(here)
    assert [table for table in before if after[table] != before[table]] == [
        table for table in before if table in NOTED_BY_IMPORT
    ]


def salvage(path: Path) -> None:
    """Rescue a database, timeline and all."""
    rescue = Rescue(path)
    rescue.before_start()
    copying = BackgroundCopying(rescue, pause_s=0.0)
    copying.start()
    try:
        wait_for(lambda: "still being" not in (copying.sentence() or "still being"))
    finally:
        copying.stop()
        assert copying.join(60)


def test_salvage_of_a_damaged_copy_has_the_same_rows(there: Path) -> None:
    before = rows_by_table(there)
    with closing(sqlite3.connect(there)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with there.open("r+b") as file:
        file.write(bytes(100))  # the header is gone, and with it the place of every table
    salvage(there)
    after = rows_by_table(there)
    # A database that takes the place of another one counts its messages anew.
    own = {"setting", "outbox_seq", *MADE_BY_SCHEMA}
    for table in before.keys() - own:
        assert after[table] == before[table], table
    kept = {one["key"] for one in before["setting"]} - {"stream_epoch"}
    assert kept == {one["key"] for one in after["setting"]} - {"stream_epoch", "salvage"}


@pytest.mark.parametrize("lost", ["boot", "participant", "session", "alert"])
def test_salvage_without_a_table_refers_to_none_of_its_rows(there: Path, lost: str) -> None:
    with closing(sqlite3.connect(there)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        pages = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
        (page,) = (number for (number,) in connection.execute(pages, (lost,)))
    with there.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)
    salvage(there)
    assert query(there, "PRAGMA foreign_key_check") == []


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with running_postgres(synced=False) as running:
        yield running


@pytest.mark.skipif(not HAS_FLEET, reason=INSTALL)
def test_fleet_gets_the_same_rows_in_its_database(there: Path, server: Postgres) -> None:
    # here, for the newer Python of continuous integration has no psycopg
    import psycopg

    from collector.database.schema import migrate
    from collector.messages import BrokerDelivery
    from collector.writer import MessageWriter
    from tests.support.fleet.devices import messages_of, packed, rows_here, rows_there

    with psycopg.connect(server.address, autocommit=True) as connection:
        migrate(connection)
        messages = messages_of(there, "room")
        MessageWriter(connection).write_deliveries(
            [BrokerDelivery("room", packed(one), 0) for one in messages]
        )
        assert rows_there(connection, "room") == rows_here(there)
        assert connection.execute("SELECT count(*) FROM fleet.dead_letter").fetchone() == (0,)


def test_fleet_is_sent_each_column_of_its_tables(there: Path) -> None:
    for table, rows in rows_by_table(there).items():
        if table in SENT:
            missing = rows[0].keys() - set(SENT[table].columns)
            assert missing == named(NOT_SENT_COLUMNS, table, missing), table


def has_moved(old: object, new: object) -> bool:
    """Tell whether a value is no time of the person's rows, or has moved by the step."""
    if isinstance(old, int):
        return not SPAN[0] - 60_000 <= old <= SPAN[1] or new == old + STEP_MS
    return "2026-09-21" not in str(old) or "2026-09-21" not in str(new)


def test_clock_that_is_set_moves_every_time(there: Path) -> None:
    before = rows_by_table(there)
    with write_transaction(there) as connection:
        offset_ms = OFFSET_MS + STEP_MS
        known = {"started_ms": SPAN[1] + STEP_MS, "wall_minus_boot_ms": offset_ms}
        insert(connection, "boot", boot_id="everly-boot", **known, synchronised=1)
        while redate(connection):
            pass
    after = rows_by_table(there)
    stays = {
        f"{table}.{column}"
        for table, rows in before.items()
        if table not in MADE_BY_SCHEMA
        for old, new in zip(rows, after[table][: len(rows)], strict=True)
        for column in old
        if not has_moved(old[column], new[column])
    }
    assert stays == STAYS.keys()
