"""A sound database with a study and a verified copy of it: where every trial begins."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from edge_agent.timeline.upkeep.copies import make_daily_copy
from tests.faults.damage import make_database

_DAY_MS = 86_400_000


def make_sound(folder: Path) -> Path:
    """Make the folder and return it; its database has no log, and its copy is of yesterday."""
    path = make_database(folder, rows=600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    make_daily_copy(path, now_ms=time.time_ns() // 1_000_000 - _DAY_MS)
    return folder
