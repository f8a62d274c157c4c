"""One person's rows in every table of both databases, with a word of their own in every text.

The register says in which tables a person may be: one without a row here makes the test fail. A
column of text gets a word by itself, also a new one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from edge_agent.core.clock import iso_utc
from edge_agent.core.expression import EMOTIONS
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.dashboard_file import dashboard_file, write_dashboard
from edge_agent.timeline.database.tables import BROUGHT, DASHBOARD, TIMELINE, ErasureWay, Table
from edge_agent.timeline.database.upgrade import migrate
from tests.support.timeline import START_MS, Row

CODE = "Zq-Wombat7"
ENROLLED, BEGUN, ENDED = START_MS, START_MS + 1_000_000, START_MS + 1_090_000
WITHIN = BEGUN + 30_000
IMPORT = 3
_PARTICIPANT, _SESSION = 5, 7
_OF_SESSION: Row = {"session": _SESSION, "at": WITHIN}
_OF_FACE: Row = {
    "at": WITHIN,
    "interval_ms": 1000,
    "track": 1,
    "frames": 3,
    "import": IMPORT,
    "attribution": "",
}
_WINDOW = {"start": iso_utc(WITHIN), "end": iso_utc(WITHIN + 10_000)}
_EMOTIONS: Row = {f"{smoothed}{one.value}": 0 for one in EMOTIONS for smoothed in ("", "smoothed_")}
_HOURS: Row = {"weekday": 1, "from_minute": 480, "to_minute": 1260, "since": 0}
_KEY: Row = {"code": CODE, "enrolled": ENROLLED}
_PAYLOADS = (
    {"participant": CODE, "marker": {"kind": "note", "label": "Zq-label-waiting"}},
    {"window": _WINDOW, "label": "Zq-summary-waiting"},
)
_FILE = "Zq-import-file.csv"


def _lines() -> Iterator[Row]:
    """Lines of the audit trail that name the person, or the file of their import."""
    details = {
        **dict.fromkeys(("participant_create", "participant_view"), CODE),
        **dict.fromkeys(("consent_give", "consent_withdraw"), CODE),
        **dict.fromkeys(("attributes_agree", "attributes_set"), CODE),
        **dict.fromkeys(("standing_give", "standing_take_back", "letter_stop"), CODE),
        "account_person_give": f"{CODE} to carla",
        "account_person_take": f"{CODE} from carla",
        "letter_set": f"{CODE} by week to 2 addresses, 1",
        "letter_send": f"{CODE} until 2026-09-27 to 2 addresses",
        "export": f"participant={CODE} format=csv",
        "readings_import": f"{_FILE}: 3",
        "import_undo": f"{_FILE}: 3",
        "study_import": f"{_FILE}: 1 sessions",
        "video_import": f"session {_SESSION}, 3 rows: {_FILE} (a program)",
        "faces_import": f"session {_SESSION}, 3 rows: {CODE}.csv (a program)",
    }
    for action, detail in details.items():
        yield {"at": WITHIN, "actor": "ada", "action": action, "detail": detail}
        counted = f"× 3 from … to …: {detail} × 2; more × 1"
        yield {"at": WITHIN, "actor": "ada", "action": action, "detail": counted}


def _counted() -> Row:
    told = {"actor": "ada", "action": "participant_view", "first_ms": WITHIN, "last_ms": WITHIN}
    value = json.dumps({**told, "count": 2, "details": {CODE: 2}})
    return {"key": "audit_more:participant_view:ada", "value": value}


ROWS: Mapping[str, tuple[Row, ...]] = {
    # in the order in which they refer to each other
    "import": ({"id": IMPORT, "at": WITHIN, "file": _FILE, "readings": 1, "duplicates": 0},),
    "participant": ({"id": _PARTICIPANT, "code": CODE, "created": ENROLLED},),
    "participant_attribute": ({"participant": _PARTICIPANT},),
    "consent": ({"participant": _PARTICIPANT, "given": BEGUN, "attributes": "here"},),
    "session": (
        {"id": _SESSION, "participant": _PARTICIPANT, "purpose": "research", "setting": "home"}
        | {"started": BEGUN, "ended": ENDED},
    ),
    "standing_session": (
        {**_HOURS, "participant": _PARTICIPANT, "purpose": "personal", "setting": "home"},
    ),
    "marker": ({**_OF_SESSION, "kind": "note"}, {**_OF_SESSION, "kind": "stimulus_start"}),
    "marker_change": (
        {**_OF_SESSION, "marker": 1, "kind": "note", "removed": 0, "changed": WITHIN},
    ),
    "exclusion": ({"session": _SESSION, "made": WITHIN},),
    "self_report": ({**_OF_SESSION, "scale": "valence", "value": 3},),
    "trial": ({**_OF_SESSION, "turn": 1, "step": 1, "kind": "free_text", "stood_ms": 9},),
    "protocol_run": (
        {"session": _SESSION, "order_row": 0, "state": "ended", "saved": WITHIN}
        | {"saved_boot_ms": 0},
    ),
    "own_neutral": ({"session": _SESSION, "state": "refused"},),
    "expression": (
        {**_OF_FACE, **_EMOTIONS, "emotion": "anger", "face_size": 0.5, "quality": 0.5},
    ),
    "movement": (_OF_FACE,),
    "unfit": ({**_OF_FACE, "reason": "blurred"},),
    "ecg": ({"at": WITHIN, "interval_ms": 10, "samples": 1, "packed": b"Zq"},),
    "vital": ({"at": WITHIN, "kind": "heart_rate", "value": 70.0, "import": IMPORT},),
    "vital_change": ({"at": WITHIN, "kind": "heart_rate", "value": 70.0, "changed": WITHIN},),
    "gap": ({"started": WITHIN, "ended": WITHIN + 1},),
    "outbox": tuple(
        {"topic": "session", "payload": json.dumps(one), "created": WITHIN} for one in _PAYLOADS
    ),
    "outbox_set_aside": tuple(
        {"payload": json.dumps(one).encode(), "created": WITHIN, "at": WITHIN} for one in _PAYLOADS
    ),
    "setting": (_counted(),),
    "audit": tuple(_lines()),
    "alert": (
        {"id": 1, "kind": "vital", "session": _SESSION, "raised": WITHIN, "quiet": 0},
        {"id": 2, "kind": "sensor", "raised": WITHIN, "quiet": 0, "ended": WITHIN},
    ),
    "alert_message": ({"alert": 1, "event": "raised", "tries": 1},),
    "set_aside": ({"at": WITHIN},),
    "fleet_state": ({"id": 1, "epoch": "a", "stream": "a"},),
    "fleet_change": (
        {"what": 60, "a": WITHIN, "more": '["heart_rate", "Zq-source-of-change"]'},
        {"what": 61, "a": WITHIN, "more": '["heart_rate", "Zq-source-that-went"]'},
    ),
}
"""Table of the timeline → what the person's rows have in it, beside their words."""
OWN_ROWS: Mapping[str, tuple[Row, ...]] = {
    "account": ({"id": 1, "name": "carla", "created": 0, "role": "carer", "password_hash": ""},),
    "carer_person": ({"account": 1, **_KEY},),
    "letter": ({**_KEY, "every": "week", "agreed": WITHIN},),
    "letter_address": ({**_KEY},),
}
"""Table of the dashboard's database → as ``ROWS``."""
KEPT: frozenset[tuple[str, str]] = frozenset(
    {
        *(("import", "actor"), ("import", "joined")),
        *(("audit", "seal"), ("outbox", "boot_id")),
        *(("account", one) for one in ("link_hash", "second_factor", "language")),
        *(("fleet_state", "epoch"), ("fleet_state", "stream")),
    }
)
"""Columns that say who did something, or how, and stay."""


def hold_everywhere(database: Path) -> set[str]:
    """Write a row of the person into every table; return the words that an erasure must remove."""
    migrate(database)
    words = {CODE, _FILE, "Zq-label-waiting", "Zq-summary-waiting"}
    words |= {"Zq-source-of-change", "Zq-source-that-went"}
    with write_transaction(database) as connection:
        words |= _fill(connection, ROWS, TIMELINE)
    with write_dashboard(database) as connection:
        words |= _fill(connection, OWN_ROWS, DASHBOARD)
    return words


def _fill(
    connection: sqlite3.Connection, rows: Mapping[str, tuple[Row, ...]], tables: Iterable[Table]
) -> set[str]:
    persons = {one.name for one in tables if one.erasure is not ErasureWay.KEPT and not one.sums}
    assert persons <= rows.keys(), "a table of the register has no row of the person here"
    words = set()
    for table, known in rows.items():
        for number, row in enumerate(known):
            own = _words_for(connection, table, row, number)
            words |= set(own.values())
            _insert(connection, table, row | own)
    return words


def _words_for(connection: sqlite3.Connection, table: str, row: Row, number: int) -> Row:
    columns = connection.execute(f"SELECT name, type FROM pragma_table_info('{table}')")
    return {
        name: f"Zq-Äh-{table}-{name}-{number}"
        for name, kind in columns.fetchall()
        if kind in {"TEXT", "ANY", "BLOB"} and name not in row and (table, name) not in KEPT
    }


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    actor = {"actor": "ada"} if table == "import" else {}
    row = actor | row
    names = ", ".join(row)
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", list(row.values()))


def bring(database: Path) -> None:
    """Have all rows of the person brought by the import of a study, and nothing recorded since."""
    with write_transaction(database) as connection:
        connection.execute("UPDATE import SET sessions = 1")
        for table in BROUGHT:
            connection.execute(f"UPDATE {table.name} SET import = ?", (IMPORT,))
        for name in ("protocol_run", "standing_session", "ecg"):
            connection.execute(f"DELETE FROM {name}")


def copy_aside(database: Path) -> None:
    """Copy both databases under a name that an upgrade gives, and lay down exports that wait."""
    for file in (database, dashboard_file(database)):
        with closing(sqlite3.connect(file)) as connection:
            for kind in ("before-schema-1", "replaced.20260101T000000Z"):
                copy = file.with_name(f"{file.name}.{kind}")
                connection.execute("VACUUM INTO ?", (str(copy),))
    for place in {database.parent, dashboard_file(database).parent}:
        (place / "exports" / "a-token").mkdir(parents=True)
        (place / "exports" / "a-token" / "study.csv").write_text(CODE, encoding="utf-8")


def words_left(folder: Path, words: set[str]) -> dict[str, set[str]]:
    """Return which words are anywhere in the files of a folder, by file."""
    left: dict[str, set[str]] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            content = file.read_bytes().lower()
            there = {word for word in words if word.encode().lower() in content}
            if there:
                left[str(file.relative_to(folder))] = there
    return left
