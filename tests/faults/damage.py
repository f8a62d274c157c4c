"""Damage to a database: bytes flipped in each kind of page, files emptied, moved and deleted.

Each fault follows from its seed alone, so that a bad one can be made again.
"""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from enum import StrEnum
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.database.creation import expected_tables
from edge_agent.timeline.database.salvages import read_salvages
from edge_agent.timeline.database.schema import DATABASE_NAME, PAGE_BYTES
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.salvage.row_copying import LARGE, MADE_ANEW
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.timeline import timeline

_NO_STUDY = frozenset({"boot", "model", "login", "attempt", "set_aside"})
"""Small tables that the appliance keeps for itself: their rows come and go."""
STUDY = tuple(
    table.name
    for table in expected_tables()
    if table.name not in _NO_STUDY | MADE_ANEW | set(LARGE)
    and not table.name.startswith("outbox")
    and not table.name.endswith("_day")
)
"""Every table that a person or a program has written something of a study into."""
STUDY_CHANGES = frozenset({"setting", "audit"})
"""Tables whose rows a salvage itself changes or adds to."""
FLIPPED_BYTES = 64
_PAGE = PAGE_BYTES
_LOG_HEADER = 32
_MAP_GROUP = _PAGE // 5 + 1


class Place(StrEnum):
    """Where bytes are flipped."""

    HEADER = "header"
    SCHEMA = "schema page"
    INNER = "inner page"
    LEAF = "leaf"
    STUDY_LEAF = "study page"
    INDEX = "index"
    FREE = "free page"
    MAP = "map of pages"
    LOG = "log"


def make_database(folder: Path, rows: int = 2_000, late: int = 200) -> Path:
    """Make a database with a study, a timeline and free pages, and a log that is not written back.

    Args:
        folder: for the file; made when it does not exist.
        rows: of expressions and of readings, beside those of the study.
        late: rows of the audit that are in the log alone, ten in each transaction.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DATABASE_NAME
    making = folder / "making" / DATABASE_NAME
    making.parent.mkdir()
    migrate(making)
    seed_example_study(making, SimulatedPerson)
    timeline(making, expression=range(rows), vital=range(rows))
    with closing(sqlite3.connect(making, isolation_level=None)) as connection:
        connection.execute("INSERT INTO setting (key, value) VALUES ('erased', '[[5, 6]]')")
        connection.execute(
            "INSERT INTO participant_attribute (participant, name, value) SELECT id, 'age', '41' "
            "FROM participant"
        )
        # Taken back: an agent would begin one that stands on each Monday, and so change the row.
        connection.execute(
            "INSERT INTO standing_session (participant, text_version, purpose, setting, weekday, "
            "from_minute, to_minute, since, until, begun) SELECT participant, '1', 'personal', "
            "'home', 1, 480, 1260, 0, 1, id FROM session ORDER BY id DESC LIMIT 1"
        )
        connection.execute("DELETE FROM expression WHERE id BETWEEN 800 AND 1200")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        for first in range(0, late, 10):
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO audit (at, actor, action, detail) VALUES (?, 'ada', 'late', ?)",
                [(number, "x" * 100) for number in range(first, first + 10)],
            )
            connection.execute("COMMIT")
        # Copied while it is open: closing it would write the log back.
        copy_database_files(making, path)
    shutil.rmtree(making.parent)
    return path


def copy_database_files(path: Path, target: Path) -> None:
    """Copy a database and its log as they are."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for part in ("", "-wal"):
        source = path.with_name(path.name + part)
        if source.exists():
            shutil.copyfile(source, target.with_name(target.name + part))


def study_rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of the study that SQLite can read, by table.

    A table that it refuses is read row by row as far as it goes. A copy is read: opening a database
    changes its log.
    """
    copy = path.parent / "read" / path.name
    copy_database_files(path, copy)
    found: dict[str, list[tuple[object, ...]]] = {}
    try:
        with closing(sqlite3.connect(copy)) as connection:
            for table in STUDY:
                found[table] = _readable(connection, table)
    finally:
        shutil.rmtree(copy.parent)
    return found


def lost_rows(before: Mapping[str, Sequence[tuple[object, ...]]], path: Path) -> dict[str, int]:
    """Count the rows of the study that are neither in their table any more nor set aside, by table.

    A marker whose session nobody can read is set aside: it belongs to nothing.
    """
    now = study_rows(path)
    with closing(sqlite3.connect(path)) as connection:
        aside = {
            (table, tuple(json.loads(content).values()))
            for table, content in connection.execute("SELECT source, content FROM set_aside")
        }
    gone = {
        table: sum((table, row) not in aside for row in set(rows) - set(now[table]))
        for table, rows in before.items()
        if table not in STUDY_CHANGES
    }
    return {table: count for table, count in gone.items() if count}


def _readable(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    try:
        for found in connection.execute(f"SELECT * FROM {table}"):
            rows.append(found)
    except (sqlite3.Error, UnicodeDecodeError):  # the second: its message quotes the damage
        pass
    return rows


def damage(path: Path, place: Place, seed: int) -> str:
    """Flip ``FLIPPED_BYTES`` bytes in a row at one place of a database that nobody has open.

    Returns:
        Where, for people.

    Raises:
        IndexError: there is no such page.
        ValueError: there is no log, or nothing in it.
    """
    chance = random.Random(f"{place}/{seed}")
    if place is Place.LOG:
        log = path.with_name(f"{path.name}-wal")
        size = log.stat().st_size if log.exists() else 0
        at = chance.randrange(_LOG_HEADER, size - FLIPPED_BYTES)
        flip(log, at, chance)
        return f"{log.name} at {at}"
    if place is Place.HEADER:
        at = chance.randrange(100 - FLIPPED_BYTES + 1)
    else:
        pages = _pages_of(path, place)
        at = (chance.choice(pages) - 1) * _PAGE + chance.randrange(_PAGE - FLIPPED_BYTES + 1)
    flip(path, at, chance)
    return f"page {at // _PAGE + 1} at {at % _PAGE}"


def damage_somewhere(path: Path, chance: random.Random) -> None:
    """Flip bytes at any place that there is."""
    for place in chance.sample(tuple(Place), len(Place)):
        with suppress(IndexError, ValueError):  # there is no such page, or nothing in the log
            damage(path, place, chance.randrange(1 << 30))
            return


def salvage_is_done(path: Path) -> bool:
    """Tell whether nothing is left to be carried over."""
    with suppress(StoreError), read_transaction(path) as connection:
        return all(one.is_done for one in read_salvages(connection))
    return False


def flip(file: Path, at: int, chance: random.Random) -> None:
    """Change each of ``FLIPPED_BYTES`` bytes of a file."""
    with file.open("r+b") as opened:
        opened.seek(at)
        before = opened.read(FLIPPED_BYTES)
        opened.seek(at)
        opened.write(bytes(byte ^ chance.randrange(1, 256) for byte in before))


def _pages_of(path: Path, place: Place) -> list[int]:
    """Return the numbers of the pages of a kind in the file itself, without its log."""
    copy = path.with_name("looked-at.db")
    shutil.copyfile(path, copy)
    try:
        with closing(sqlite3.connect(copy)) as connection:
            return _pages_in(connection, place)
    finally:
        for part in ("", "-wal", "-shm"):
            copy.with_name(copy.name + part).unlink(missing_ok=True)


def _pages_in(connection: sqlite3.Connection, place: Place) -> list[int]:
    count = connection.execute("PRAGMA page_count").fetchone()[0]
    used = connection.execute("SELECT pageno, name, pagetype FROM dbstat").fetchall()
    indexes = {
        found[0]
        for found in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")
    }
    maps = list(range(2, count + 1, _MAP_GROUP))
    taken = {number for number, _, _ in used} | set(maps)
    found = {
        Place.SCHEMA: [number for number, name, _ in used if name == "sqlite_schema"],
        Place.INNER: [number for number, _, kind in used if kind == "internal" and number > 1],
        Place.LEAF: [number for number, _, kind in used if kind == "leaf" and number > 1],
        Place.STUDY_LEAF: [n for n, name, kind in used if name in STUDY and kind == "leaf"],
        Place.INDEX: [number for number, name, _ in used if name in indexes],
        Place.MAP: maps,
        Place.FREE: [number for number in range(2, count + 1) if number not in taken],
    }
    return found[place]
