"""Whether a database can be recorded into, judged quickly: before a start, and after an error."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from edge_agent.store.database.schema import APPLICATION_ID, VERSION, expected_tables
from edge_agent.store.database.sqlite_errors import is_damage
from edge_agent.store.salvage.log import has_content, log_beside, read_log
from edge_agent.store.salvage.tables import LARGE

_OF_US = frozenset({"migration", "setting", "expression"})
_KNOWN_FORMATS = frozenset({b"\x01\x01", b"\x02\x02"})
_PLAIN_ERROR = sqlite3.SQLITE_ERROR


def find_damage(path: Path, *, in_use: bool = False, quick: bool = False) -> str | None:
    """Return what is wrong with a database, as the end of a sentence; ``None``: nothing was found.

    The small tables are read whole, the timeline at its newest rows, in some milliseconds. A file
    of another program, or one that may not be read, is no damage.

    Args:
        path: the database; it need not be there.
        in_use: whether this process has it open: the file is then looked at through SQLite only.
        quick: read the list of tables and the newest row of each, and no more.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists() or not path.stat().st_size:
        if has_content(log_beside(path)):
            return "its file is empty or gone, and only its log is left"
        return "its file is empty" if path.exists() else None
    cause = None if in_use else _look_at_bytes(path)
    if cause is not None:
        return cause
    try:
        with closing(_open(path)) as connection:
            return _look(connection, quick)
    except UnicodeDecodeError:  # from a message of SQLite that quotes what is damaged
        return "its list of tables is damaged"
    except sqlite3.Error as error:
        return f"SQLite says: {error}" if is_damage(error) else None


def _look_at_bytes(path: Path) -> str | None:
    """Find what SQLite would pass over: it forgets a log from its first bad page on."""
    lost = read_log(log_beside(path)).lost
    if lost:
        return f"{lost} pages of its log are damaged"
    with path.open("rb") as file:
        header = file.read(100)
    return None if header[18:20] in _KNOWN_FORMATS else "its header is damaged"


def _open(path: Path) -> sqlite3.Connection:
    # Read-only: closing it leaves file and log as they are.
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None)


def _look(connection: sqlite3.Connection, quick: bool) -> str | None:
    try:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    except sqlite3.OperationalError as error:
        # "unsupported file format" has no code of its own
        if error.sqlite_errorcode == _PLAIN_ERROR:
            return f"SQLite says: {error}"
        raise
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID and not names >= _OF_US:
        return None  # new, or of another program
    if application != APPLICATION_ID or version != _applied(connection, names):
        return "its header is damaged"
    if version != VERSION:
        return None  # of another version
    expected = {table.name for table in expected_tables()}
    missing = expected - names
    if missing:
        return f"tables are missing ({', '.join(sorted(missing))})"
    return _read_through(connection, expected, quick)


def _applied(connection: sqlite3.Connection, names: set[str]) -> int | None:
    if "migration" not in names:
        return None
    row = connection.execute("SELECT max(version) FROM migration").fetchone()
    return int(row[0]) if row[0] is not None else None


def _read_through(connection: sqlite3.Connection, names: set[str], quick: bool) -> str | None:
    for name in sorted(names):
        if quick or name in LARGE:
            newest = f"SELECT * FROM {name} ORDER BY 1 DESC LIMIT 1"  # noqa: S608 - our own names
            connection.execute(newest).fetchall()
            continue
        answer = connection.execute(f"PRAGMA integrity_check({name})").fetchone()[0]
        if answer != "ok":
            return f"table {name}: {answer}"
    return None
