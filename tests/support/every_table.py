"""One person's rows in every table of the timeline's database, with a value in every column.

``fill_every_table`` walks the schema: a table without an entry in ``ROWS``, and a column in which
no row has a value, end it. So a new table or column cannot be forgotten by what walks them all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.core.clock import iso_utc
from edge_agent.core.electrocardiogram import pack
from edge_agent.core.movements import NAMES as MOVED
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.database.schema import ADDED, DAY_MS, MINUTE_MS, NAMES, SMOOTHED
from edge_agent.timeline.database.setting import stream_epoch
from edge_agent.timeline.upkeep.fold import make_anew
from edge_agent.timeline.write.audit import seal_of
from tests.support.timeline import START_MS, make_empty

Row = dict[str, Any]
CODE = "EVERLY-77"
SPAN = (START_MS, START_MS + 600_000)
"""Everything was recorded and entered within these ten minutes."""
OFFSET_MS = START_MS - 1_000_000
"""The wall clock less the boot clock, as the rows are dated."""
BOOT = 7
"""Number of the row of ``boot``; a new database begins with 1."""
MADE_BY_SCHEMA = frozenset({"migration", "vital_kind"})
"""Tables that a new database has filled already."""
MADE_OF_ROWS = frozenset({"expression_minute", "expression_hour", "vital_minute", "vital_hour"})
"""Rollups, which are those of the rows."""
_LONG_AGO_MS = START_MS // DAY_MS * DAY_MS - 1_200 * DAY_MS
"""A day whose hours were folded: rollups of days are of nothing younger."""


def at(seconds: float) -> int:
    """Return a time in ``SPAN``, UTC milliseconds."""
    return START_MS + round(1000 * seconds)


def _by_clock(seconds: float) -> Row:
    """Return the columns of a row that was dated by the clock of this machine."""
    return {"at": at(seconds), "boot_ms": at(seconds) - OFFSET_MS, "boot": BOOT}


def _face(seconds: float) -> Row:
    return {**_by_clock(seconds), "interval_ms": 1000, "track": 3, "is_primary": 1, "import": 1}


def _probabilities() -> Row:
    shares = (511, 203, 101, 71, 53, 31, 19, 11)
    smoothed = (512, 204, 102, 70, 52, 30, 20, 10)
    return dict(zip((*NAMES, *SMOOTHED), (*shares, *smoothed), strict=True))


_MESSAGE = {
    "at": iso_utc(at(60)),
    "session": 1,
    "participant": CODE,
    "window": {"start": iso_utc(at(50)), "end": iso_utc(at(60))},
}
_WHEN = {"given_boot": BOOT, "withdrawn_boot": BOOT}
_PLAN = {
    "screens": [{"kind": "stimulus", "condition": "film", "opens": True}],
    "texts": {},
    "seed": 4711,
}
_LOGITS = {name: 0.25 * place - 4.125 for place, name in enumerate(NAMES)}
_HOURS: Row = {
    "participant": 1, "text_version": "v5", "purpose": "research", "setting": "laboratory",
    "weekday": 3, "from_minute": 485, "to_minute": 1265, "since_boot": BOOT, "begun": 1,
}  # fmt: skip
ROWS: Mapping[str, Sequence[Row]] = {
    "boot": [
        {
            "id": BOOT, "boot_id": "everly-boot", "started_ms": START_MS,
            "wall_minus_boot_ms": OFFSET_MS, "synchronised": 0, "moved_ms": 0,
        },
    ],
    "import": [
        {
            "at": at(2), "file": f"{CODE}.csv", "actor": "ada", "readings": 2, "duplicates": 5,
            "undone": at(3), "sessions": 0, "faces": 4, "started": at(11), "ended": at(12),
            "joined": '{"gap":1}',
        },
    ],
    "participant": [
        {"code": CODE, "created": at(4), "simulated": 1, "boot": BOOT, "import": 1},
    ],
    "participant_attribute": [
        {"participant": 1, "name": "medication", "value": "everlyne 7 mg", "import": 1},
    ],
    "consent": [
        {
            "participant": 1, "text_version": "v3", "given": at(5), "withdrawn": at(6), **_WHEN,
            "attributes": "here", "import": 1,
        },
        {"participant": 1, "text_version": "v4", "given": at(7), "given_boot": BOOT,
         "attributes": "shared"},
    ],
    "session": [
        {
            "participant": 1, "purpose": "research", "name": "Everly films", "started": at(10),
            "ended": at(310), "simulated": 1, "setting": "laboratory", "boot": BOOT,
            "boot_ms": at(10) - OFFSET_MS, "ended_boot": BOOT, "ended_boot_ms": at(310) - OFFSET_MS,
            "origin": "import: everly.zip", "import": 1, "instruments": "skin_site: Everly hand",
        },
        {
            "participant": 1, "purpose": "medical", "name": "Everly rests", "started": at(400),
            "ended": at(500), "setting": "clinic", "boot": BOOT, "boot_ms": at(400) - OFFSET_MS,
            "ended_boot": BOOT, "ended_boot_ms": at(500) - OFFSET_MS,
        },
    ],
    "marker": [
        {"session": 1, **_by_clock(20), "kind": "stimulus_start", "label": "film", "import": 1},
        {"session": 1, **_by_clock(80), "kind": "stimulus_end", "label": "film"},
        {"session": 1, **_by_clock(81), "kind": "note", "label": "Everly laughed"},
        {"session": 1, **_by_clock(100), "kind": "baseline", "label": "neutral"},
    ],
    "marker_change": [
        {
            "session": 1, "marker": 3, "at": at(82), "kind": "note", "label": "Everly coughed",
            "removed": 1, "reason": "Everly asked", "changed": at(320), "actor": "ada",
            "boot": BOOT,
        },
    ],
    "exclusion": [
        {
            "session": 1, "from_ms": 30_000, "to_ms": 35_500, "reason": "Everly's phone rang",
            "made": at(321), "actor": "ada", "import": 1,
        },
        {
            "session": 2, "reason": "Everly left", "made": at(510), "actor": "ada",
            "taken_back": at(511), "taken_back_by": "eve",
        },
    ],
    "self_report": [
        {
            "session": 1, **_by_clock(83), "condition": "film", "scale": "valence", "value": 7,
            "import": 1,
        },
        {"session": 1, **_by_clock(84), "condition": "film", "scale": "emotion", "value": "fear"},
    ],
    "trial": [
        {
            "session": 1, **_by_clock(82), "turn": 3, "step": 2, "kind": "slider",
            "condition": "film", "practice": 1, "planned_ms": 5_000, "stood_ms": 4_321,
            "late_ms": 21.5, "late_within_ms": 1.5, "shown_ms": 4_325.25, "frame_ms": 16.625,
            "question": "everly_liking", "wording": "Did Everly like it?", "value": 77, "import": 1,
        },
        {
            "session": 1, **_by_clock(82.5), "turn": 4, "step": 3, "kind": "free_text",
            "stood_ms": 400, "question": "why", "wording": "Why?", "value": "Everly's hat",
        },
    ],
    "protocol_run": [
        {
            "session": 1, "name": "everly-films", "title": "Films for Everly", "sha256": "cd" * 32,
            "order_row": 2, "plan": json.dumps(_PLAN), "step": 4, "spent_ms": 5_005,
            "state": "ended", "reason": "Everly was tired", "token": "everly-token",
            "saved": at(85), "saved_boot_ms": at(85) - OFFSET_MS, "boot": BOOT,
        },
    ],
    "own_neutral": [
        {
            "session": 1, "state": "calibrated", "from_ms": 90_000, "to_ms": 110_000,
            "seconds": 19, **_LOGITS, "shift": -1.25, "applied_ms": 111_000, "until_ms": 200_000,
            "temperature": 0.7369, "uncertain_below": 0.66, "sha256": "ef" * 32,
            "prior": "fitted", "import": 1,
        },
        {"session": 2, "state": "refused", "reason": "few_faces"},
    ],
    "standing_session": [
        {**_HOURS, "since": at(8)},
        {**_HOURS, "weekday": 4, "since": at(8), "until": at(9), "until_boot": BOOT},
    ],
    "expression": [
        {
            **_face(second), "frames": 9, **_probabilities(), "emotion": "neutral",
            "face_size": 121.5, "quality": 0.8125, "simulated": 1, "attribution": "seat",
        }
        for second in (30, 31, 120)
    ],
    "movement": [
        {
            **_face(32), "frames": 6, **{name: 37 + place for place, name in enumerate(MOVED)},
            "simulated": 1, "source": "OpenFace", "attribution": "seat",
        },
    ],
    "unfit": [
        {**_face(33), "frames": 4, "reason": "turned_away", "simulated": 1, "attribution": "seat"},
    ],
    "ecg": [
        {
            **_by_clock(50), "interval_ms": 10_000, "source": "everly's strap", "samples": 3,
            "packed": pack((5, -1200, 7)),
        },
    ],
    "vital": [
        {
            **_by_clock(second), "kind": kind, "source": "everly's strap", "value": value,
            "flags": "simulated", "device_time": "2026-09-21T16:20:40", "import": 1,
            "error": 0.25,
        }
        for second, kind, value in (
            (40, "heart_rate", 71.25), (41, "heart_rate", 72.5), (42, "systolic", 121.0),
        )
    ],
    "vital_change": [
        {
            "at": at(40), "kind": "heart_rate", "source": "everly's strap", "value": 171.25,
            "flags": "out_of_range", "new_value": 71.25, "changed": at(322), "actor": "ada",
            "boot": BOOT,
        },
    ],
    "gap": [
        {
            "source": "camera", "started": at(50), "ended": at(55), "reason": "stalled",
            "boot": BOOT, "started_boot": BOOT, "import": 1,
        },
    ],
    "model": [
        {
            "kind": "expression", "name": "everly-net", "version": "1.7.7", "sha256": "ef" * 32,
            "since": at(1), "boot": BOOT, "prior": "fitted", "import": 1,
        },
    ],
    "expression_day": [
        {"at": _LONG_AGO_MS, **{name: 7 + place for place, name in enumerate(ADDED)}},
    ],
    "vital_day": [
        {
            "kind": "heart_rate", "at": _LONG_AGO_MS, "n": 3, "total": 210.5, "least": 69.0,
            "most": 72.0, "flagged": 2, "simulated": 1,
        },
    ],
    "preregistration": [
        {"at": at(0.5), "document": '{"question": "does it fall?"}', "sha256": "12" * 32},
    ],
    "outbox": [
        {
            "topic": "summary", "seq": 17, "payload": json.dumps(_MESSAGE), "created": at(60),
            "boot_id": "everly-boot", "boot_ms": at(60) - OFFSET_MS, "boot": BOOT,
        },
    ],
    "outbox_seq": [{"topic": "summary", "last": 17}],
    "outbox_set_aside": [
        {
            "topic": "summary", "seq": 16, "payload": f"no JSON of {CODE}".encode(),
            "created": at(61), "at": at(62), "reason": "damaged",
        },
    ],
    "outbox_hole": [
        {
            "epoch": "0123456789abcdef", "topic": "summary", "first_seq": 12, "last_seq": 15,
            "reason": "outbox_full", "at": at(63),
        },
    ],
    "setting": [{"key": "everly", "value": f"said of {CODE}"}],
    "audit": [
        {
            "at": at(4), "actor": "ada", "action": "participant_create", "detail": CODE,
            "boot": BOOT, "seal": seal_of("", at(4), "ada", "participant_create", CODE),
        },
    ],
    "alert": [
        {
            "rule": "everly's heart", "kind": "vital_high", "text": f"heart rate of {CODE}",
            "value": 171.0, "session": 1, "raised": at(64), "raised_boot": BOOT, "ended": at(66),
            "ended_boot": BOOT, "ending": "over", "quiet": 1, "acknowledged": at(65),
            "acknowledged_boot": BOOT, "acknowledged_by": "ada", "parts": "[]",
        },
    ],
    "alert_message": [
        {
            "alert": 1, "event": "raised", "target": "everly's phone", "tries": 2, "sent": at(67),
            "error": "busy at first",
        },
    ],
    "health_minute": [
        {
            "at": START_MS // MINUTE_MS * MINUTE_MS, "fps": 9.5, "frames_dropped": 1,
            "rows_dropped": 2, "celsius": 55.5, "disk_free": 9_000_000_001,
        },
    ],
    "set_aside": [
        {
            "at": at(68), "source": "vital", "content": json.dumps({"of": CODE}),
            "reason": "constraint",
        },
    ],
    "fleet_state": [
        {
            "epoch": "fedcba9876543210", "stream": "0123456789abcdef", "confirmed": 3, "quiet": 0,
        },
    ],
    "fleet_change": [{"seq": 4, "what": 30, "a": at(40), "b": at(42), "more": '["systolic"]'}],
}  # fmt: skip
"""Table → its rows; every column has a value in one of them."""


def tables_in(connection: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Return the tables of a database with their columns, in the order of its schema."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    return {
        name: tuple(
            row[0] for row in connection.execute(f"SELECT name FROM pragma_table_info('{name}')")
        )
        for (name,) in map(tuple, names.fetchall())
    }


def fill_every_table(file: Path) -> Path:
    """Make a database with the person's rows in every table; return it.

    Raises:
        LookupError: the builder lacks a table, or a value in a column.
    """
    make_empty(file)
    with write_transaction(file) as connection:
        tables = tables_in(connection)
        # Rows refer to rows of tables that come later.
        connection.execute("PRAGMA defer_foreign_keys = ON")
        stream_epoch(connection)
        for table in tables.keys() - MADE_BY_SCHEMA - MADE_OF_ROWS:
            if table not in ROWS:
                raise LookupError(f"tests/support/every_table.py: {table} has no row in ROWS.")
            for row in ROWS[table]:
                insert(connection, table, **row)
        connection.execute(
            "INSERT INTO setting SELECT 'audit_head', seal FROM audit ORDER BY id DESC LIMIT 1"
        )
        make_anew(connection, SPAN, ())
        for table, columns in tables.items():
            for column in columns:
                one = f"SELECT 1 FROM {table} WHERE {column} IS NOT NULL AND {column} <> ''"
                if connection.execute(one).fetchone() is None:
                    raise LookupError(f"tests/support/every_table.py: {table}.{column} is empty.")
    return file


def rows_by_table(file: Path) -> dict[str, list[Row]]:
    """Return all rows by table, in one order for the same rows."""
    with write_transaction(file) as connection:
        return {
            table: [
                dict(row)
                for row in connection.execute(
                    f"SELECT * FROM {table} ORDER BY {', '.join(columns)}"
                ).fetchall()
            ]
            for table, columns in tables_in(connection).items()
        }
