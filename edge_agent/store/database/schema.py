"""Opening, creating and upgrading a database, transactions, and the names that code puts into SQL.

``schema.sql`` has the tables. A ``seq`` rises by one within a stream epoch: a database that was
restored or salvaged knows less than its readers do, and counts anew under another epoch, so that
nobody takes its messages for old ones. What is known of a salvage is kept in the new database.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.movements import NAMES as MOVED
from edge_agent.core.movements import POSE
from edge_agent.store.database.distrust import refuse_foreign, set_bounds
from edge_agent.store.database.files import (
    LOGS,
    closed_on_error,
    code_of,
    refuse_half_replaced,
    refuse_pipe,
    refuse_unfinished,
    said_by,
    sync_folder,
    translate_errors,
)
from edge_agent.store.database.lock import DatabaseLock, lock, try_lock
from edge_agent.store.database.upgrade import TIMELINE_STEPS, Form, take_steps, verify_copy

log = logging.getLogger(__name__)

EPOCH_KEY = "stream_epoch"
DATABASE_NAME = "affect-edge.db"
VERSION = 40
"""Of ``schema.sql`` and ``views.sql``; the file keeps it as ``user_version``."""
APPLICATION_ID = 0x41464544  # "AFED", so that `file` and we can tell the database from any other
TIMELINE = Form(APPLICATION_ID, VERSION, TIMELINE_STEPS)
BUSY_SECONDS = 5.0
# Half of SQLite's usual bytes: an hour of rows writes a third less, reading all is a fourth slower.
# Half of these would write a quarter less, and sums over rows would take 15 to 26 % longer.
PAGE_BYTES = 2_048
_LOG_BYTES = 4_096_000  # the write-ahead log is moved into the file when it has grown to this
SPARE_BYTES = 100_000_000
"""Space that the copy before an upgrade must leave free: the upgrade itself writes, too."""
_PATIENCE_S = 20.0
"""So long a process waits for an agent that holds a database of an earlier schema and does not
upgrade it."""
_PAUSE_S = 0.2
_OF_A_STEP = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT})
"""Codes that mean a wrong step, and not a disk that is full or failing."""
NAMES = tuple(emotion.value for emotion in EMOTIONS)
SMOOTHED = tuple(f"smoothed_{name}" for name in NAMES)
MOVEMENT_STEPS = {name: 10 if name in POSE else 1000 for name in MOVED}
"""Column of ``movement`` → steps of a unit: strengths and look in 1/1000, degrees in 1/10."""
SUMS = tuple(f"sum_{name}" for name in NAMES)
COUNTS = tuple(f"count_{name}" for name in NAMES)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ADDED = ("rows", "frames", "uncertain", "simulated", *SUMS, *COUNTS)
"""Columns of a rollup of expressions, all of them sums."""
EPISODE_GAP_MS = 3_000
"""Rows further apart are two episodes, as in the view ``episode``."""
NONE_OF_THESE = "none"
"""Self-report of an emotion that is none of the eight."""
SPANS = """
    WITH span(first, last, number) AS MATERIALIZED (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
        FROM json_each(?))"""
"""Numbered spans of time, half-open, from one value in JSON: a query joins all of them at once."""
POINTS = 9
"""Points of the scales of valence and arousal."""
NO_PRIOR = "none"
"""Prior of a model that classifies nothing."""
UNKNOWN_PRIOR = "unknown"
"""Prior of a model that schema 34 recorded, which keeps none."""
_KEY = "salvage"


def read_setting(connection: sqlite3.Connection, key: str) -> str | None:
    """Return a value of the table ``setting``; ``None`` where it has none."""
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_setting(connection: sqlite3.Connection, key: str, value: str) -> None:
    """Write a value of the table ``setting``, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = "
        "excluded.value",
        (key, value),
    )


def insert(connection: sqlite3.Connection, table: str, /, **values: object) -> int:
    """Insert a row, column by column, inside the caller's transaction; return its number."""
    columns = ", ".join(values)
    places = ", ".join("?" * len(values))
    text = f"INSERT INTO {table} ({columns}) VALUES ({places})"  # noqa: S608 - our own names
    return connection.execute(text, tuple(values.values())).lastrowid or 0


def stream_epoch(connection: sqlite3.Connection) -> str:
    """Return the epoch, 16 hexadecimal digits; create it if there is none.

    Args:
        connection: in a write transaction.
    """
    return read_setting(connection, EPOCH_KEY) or renew_stream_epoch(connection)


def renew_stream_epoch(connection: sqlite3.Connection) -> str:
    """Start a new epoch, in which each ``seq`` restarts, and return it.

    For a database that takes the place of another one. What waits in its outbox keeps the epoch and
    the number under which it may have been sent before.

    Args:
        connection: to a database of any schema; best in a write transaction, with whatever else
            makes the database the present one.
    """
    # Numbers begin anew only with an epoch that readers can tell from the one before.
    if read_setting(connection, EPOCH_KEY) is not None:
        # Without an epoch the waiting messages belong to the new one, and it counts on from them.
        connection.execute("DELETE FROM outbox_seq")
    epoch = secrets.token_hex(8)
    write_setting(connection, EPOCH_KEY, epoch)
    return epoch


def connect(
    path: Path, *, readonly: bool, busy_seconds: float = BUSY_SECONDS
) -> sqlite3.Connection:
    """Open an existing database whose schema is the present one; the caller closes the connection.

    The connection is in autocommit mode (use ``transaction``), gives ``sqlite3.Row`` rows and
    belongs to this thread.

    Args:
        path: the database file.
        readonly: open ``mode=ro``, which works beside a running agent and as another user.
        busy_seconds: how long to wait for a lock.

    Raises:
        StoreError: missing, not a database, of another version, not permitted, locked.
    """
    # A half-replaced appliance may have a database that does not belong to its other files.
    refuse_half_replaced(path)
    with translate_errors(path):
        try:
            file = path.stat()
        except FileNotFoundError as error:
            refuse_unfinished(path)
            raise StoreError(
                f"{path}: there is no database. Start the agent once, or import a file, or "
                "name its folder with --data."
            ) from error
        if stat.S_ISDIR(file.st_mode):
            told = "is a folder, not a file. Move it away, or name another folder with --data."
            raise StoreError(f"{path}: {told}")
        if file.st_size == 0:
            raise StoreError(
                f"{path}: is empty. Start the agent once, or import a file, or name another "
                "folder with --data."
            )
        connection = _open(path, "ro" if readonly else "rw", busy_seconds)
        with closed_on_error(connection):
            refuse_other_version(path, _version_of_ours(path, connection))
            refuse_foreign(path, connection, readonly=readonly)
    return connection


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table as the file describes it: name, number of its first page, and its statement."""

    name: str
    root: int
    sql: str


@functools.cache
def expected_tables(*, rewritten: bool = False) -> tuple[StoredTable, ...]:
    """Return the tables of a new database, and where their first pages lie.

    These pages come first in the file, in the order of ``schema.sql``: a file whose own list cannot
    be read has them there, too.

    Args:
        rewritten: as ``VACUUM`` leaves them, which puts them in another order.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        # The pages of the pointer map lie between the tables, so that the setting decides where
        # these begin.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        with transaction(connection):
            _create(connection)
        if rewritten:
            connection.execute("VACUUM")
        rows = connection.execute(
            "SELECT name, rootpage, sql FROM sqlite_schema WHERE type = 'table'"
        )
        return tuple(StoredTable(*row) for row in rows)


@functools.cache
def statements_of(name: str) -> tuple[str, ...]:
    """Return the statements of a script beside this module, such as ``schema.sql``.

    Python's ``executescript`` would commit the open transaction first.
    """
    script = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    statements = [""]
    for line in script.splitlines(keepends=True):
        statements[-1] += line
        if sqlite3.complete_statement(statements[-1]):
            statements.append("")
    return tuple(statements[:-1])


def connect_any(path: Path) -> sqlite3.Connection:
    """Open an existing database of ours for writing, whatever its schema.

    Raises:
        StoreError: it is not one of ours.
        sqlite3.Error: it cannot be opened or read.
    """
    connection = _open(path, "rw", BUSY_SECONDS)
    with closed_on_error(connection):
        _version_of_ours(path, connection)
    return connection


def migrate(path: Path, *, is_locked: bool = False) -> None:
    """Create the database where there is none; upgrade one of an earlier release.

    Args:
        path: the database file; its folder is made when missing. A new file is readable by owner
            and group only.
        is_locked: whether the caller holds the agent's lock. Else an upgrade takes it, or waits
            for the agent that upgrades just now.

    Raises:
        StoreError: of a newer version or from before the first release, not a database of ours,
            not permitted, disk full, an agent of an earlier release runs. Nothing has changed then.
        DamageError: the upgrade found damage. Nothing has changed then.
    """
    refuse_half_replaced(path)
    with translate_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_unfinished(path)
        # Made here and not by SQLite, so that others may not read it from the first moment on.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
        with closing(_open(path, "rw", BUSY_SECONDS)) as connection:
            # Two processes may start at once; the one that comes second finds it done.
            if not _is_empty(path, connection):
                if versions(connection)[1] < VERSION:
                    with nullcontext() if is_locked else _without_agent(path, connection):
                        upgrade(path, connection, TIMELINE, statements_of("views.sql"))
                return
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            # before the first table: with it the file can shrink later
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            # Readers go on while the recorder writes; the mode stays in the file.
            connection.execute("PRAGMA journal_mode=WAL")
            with transaction(connection):
                # Look again inside the transaction: another process may have made it meanwhile.
                if _is_empty(path, connection):
                    _create(connection)


@contextmanager
def _without_agent(path: Path, connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the agent's lock in the block, or enter it when the agent has upgraded the database.

    Raises:
        StoreError: an agent holds the lock and does not upgrade: it is of an earlier release.
    """
    until_s = clock.boot_seconds() + _PATIENCE_S
    while isinstance(agent := try_lock(path), str):
        if versions(connection)[1] >= VERSION:
            yield
            return
        # Whoever upgrades holds the lock for writing all the time: then the wait has no end.
        if _is_written(connection):
            until_s = clock.boot_seconds() + _PATIENCE_S
        elif clock.boot_seconds() >= until_s:
            raise StoreError(
                f"{path}: is of an earlier release (schema {versions(connection)[1]}, this program "
                f"knows {VERSION}), and an agent of that release (process {agent or '?'}) records "
                "into it. Start that agent again with this release: it upgrades the database."
            )
        clock.sleep(_PAUSE_S)
    with agent:
        yield


def lock_for_agent(path: Path) -> DatabaseLock:
    """Take the agent's lock; wait while another process holds it to upgrade the database.

    Raises:
        StoreError: as ``lock``.
    """
    until_s = 0.0
    while True:
        try:
            return lock(path)
        except StoreError:
            if _is_being_upgraded(path):
                until_s = clock.boot_seconds() + _PATIENCE_S
            elif clock.boot_seconds() >= until_s:
                raise
        clock.sleep(_PAUSE_S)


def _is_being_upgraded(path: Path) -> bool:
    try:
        with closing(_open(path, "rw", BUSY_SECONDS)) as connection:
            if not TIMELINE.is_older(versions(connection)[1]):
                return False
            # or it has ended while this one waited for the lock for writing
            return _is_written(connection) or versions(connection)[1] >= VERSION
    except sqlite3.Error:
        return False


def _is_written(connection: sqlite3.Connection) -> bool:
    """Tell whether another connection keeps the lock for writing, for longer than usual."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if code_of(error) == sqlite3.SQLITE_BUSY:
            return True
        raise
    connection.execute("ROLLBACK")
    return False


def upgrade(
    path: Path, connection: sqlite3.Connection, form: Form, views: Sequence[str] = ()
) -> None:
    """Bring a database of an earlier release to the present schema, after a verified copy.

    The copy is ``<name>.before-schema-<version>``; the one of an earlier upgrade is deleted.
    Killed anywhere, it leaves the database as it was, or upgraded.

    Args:
        path: the database.
        connection: to it, for writing; outside a transaction.
        form: what it has to become.
        views: statements that make its views.

    Raises:
        StoreError: no space, the copy or a step fails. The database is as it was then.
        DamageError: the database is damaged.
    """
    # Inside a transaction the PRAGMA does nothing. With it, a table that a step makes anew would
    # take along whatever is deleted with its rows.
    connection.execute("PRAGMA foreign_keys=OFF")
    try:
        # From here on nobody else writes: what is copied is what is changed.
        with transaction(connection):
            version = versions(connection)[1]
            if version == form.version:
                return  # another process has done it
            log.warning("%s: upgrading schema %d to %d", path, version, form.version)
            _copy_aside(path, connection, form.version)
            try:
                take_steps(connection, form, version, views)
            except (StoreError, sqlite3.Error) as error:
                if isinstance(error, sqlite3.Error) and code_of(error) not in _OF_A_STEP:
                    raise  # of the disk, which has its own sentence
                raise StoreError(
                    f"{path}: could not be upgraded from schema {version} to {form.version} "
                    f"({said_by(error)}). Nothing was changed; go back to the earlier release "
                    "(`affect-edge rollback`) and report this."
                ) from error
        log.warning("%s: has schema %d now", path, form.version)
    finally:
        connection.execute("PRAGMA foreign_keys=ON")


def _copy_aside(path: Path, connection: sqlite3.Connection, version: int) -> None:
    """Copy a database to ``….before-schema-<version>``, and verify the copy."""
    pages, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    free = shutil.disk_usage(path.parent).free
    if free < pages * size + SPARE_BYTES:
        raise StoreError(
            f"{path}: was not upgraded, for the copy that is made before needs "
            f"{(pages * size + SPARE_BYTES) / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free in "
            f"{path.parent}. Nothing was changed. Free space, then start again."
        )
    target = path.with_name(f"{path.name}.before-schema-{version}")
    # Under names that an erasure finds. An older copy goes when this one is proven to be good.
    fresh = target.with_name(f"{target.name}-new")
    # Another connection reads: SQLite copies nothing over one that is about to write.
    with closing(_open(path, "ro", BUSY_SECONDS)) as reader:
        copy_database(reader, fresh, path.stat().st_mode & 0o640)
    try:
        verify_copy(path, connection, fresh)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    fresh.replace(target)
    for older in path.parent.glob(f"{path.name}.before-schema-*"):
        if older != target:
            older.unlink()
    sync_folder(path.parent)


def wait_until_upgraded(path: Path, patience_s: float) -> None:
    """Wait while a database is of an earlier release; another process upgrades it.

    Returns when it is not, when the time is over, or when it cannot be read.
    """
    until_s = clock.boot_seconds() + patience_s
    while clock.boot_seconds() < until_s and is_older(path):
        clock.sleep(_PAUSE_S)


def is_older(path: Path) -> bool:
    """Tell whether a database is of an earlier release, and can be upgraded."""
    try:
        with translate_errors(path), closing(_open(path, "ro", BUSY_SECONDS)) as connection:
            return TIMELINE.is_older(versions(connection)[1])
    except StoreError:  # missing, or not readable: who opens it is told
        return False


def refuse_unknown_version(path: Path, version: int) -> None:
    """Refuse a database whose schema this program neither knows nor can upgrade.

    Raises:
        StoreError: it is newer, or from before the first release.
    """
    if version > VERSION:
        raise StoreError(
            f"{path}: was written by a newer Affect Edge (schema {version}, this program knows "
            f"{VERSION}). Nothing was changed; update this program, or name another folder with "
            "--data."
        )
    if version < TIMELINE.oldest:
        raise StoreError(
            f"{path}: was made before the first release (schema {version}, this program upgrades "
            f"{TIMELINE.oldest} and later). Nothing was changed; export it with the program "
            "that made it, or name another folder with --data."
        )


def refuse_other_version(path: Path, version: int) -> None:
    """Refuse a database whose schema is not the present one.

    Raises:
        StoreError: it is newer or older.
    """
    refuse_unknown_version(path, version)
    if version < VERSION:
        raise StoreError(
            f"{path}: is of an earlier release (schema {version}, this program knows {VERSION}), "
            "and not upgraded yet. Start the agent, or start it again: it copies the database "
            "aside and upgrades it. Then try again."
        )


def copy_database(connection: sqlite3.Connection, target: Path, mode: int = 0o640) -> None:
    """Copy the whole database including its log; ``target`` appears only when it is complete."""
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    # ``O_EXCL``: nobody else's file is written over, and the rights are those of a private file.
    handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if os.geteuid() == 0:  # root copies for those whose folder it is
            owner = target.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
    finally:
        os.close(handle)
    try:
        with closing(sqlite3.connect(unfinished)) as copy:
            # The backup interface reads pages under SQLite's locks, log included; copying the file
            # would not.
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # a copy is one file
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    log.info("copied the database to %s", target)


def copies_beside(path: Path) -> list[Path]:
    """Return the copies beside a database: daily, before updates and upgrades, and set aside."""
    copies = {
        copy
        for place in {path, path.resolve()}  # a link to another disk: restored there
        for kind in ("before-*", "backup-*", "replaced.*")
        for copy in place.parent.glob(f"{place.name}.{kind}")
    }
    return sorted(copy for copy in copies if not copy.name.endswith(LOGS))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one write transaction: all of it is committed, or none.

    Example:
        >>> with closing(connect(path, readonly=False)) as connection, transaction(connection):
        ...     connection.execute("DELETE FROM gap WHERE id = ?", (7,))
    """
    # IMMEDIATE takes the write lock at once: a transaction that reads first and writes later could
    # fail with SQLITE_BUSY in its middle, where waiting does not help.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def write_transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for one short write transaction.

    Example:
        >>> with write_transaction(path) as connection:
        ...     insert_participant(connection, "P01", clock.now())

    Raises:
        StoreError: as ``connect``; disk full.
    """
    with (
        translate_errors(path),
        closing(connect(path, readonly=False)) as connection,
        transaction(connection),
    ):
        yield connection


@contextmanager
def read_transaction(
    path: Path, busy_seconds: float = BUSY_SECONDS
) -> Iterator[sqlite3.Connection]:
    """Open the database read-only; all queries of the block see the same moment of it.

    Example:
        >>> with read_transaction(path) as connection:
        ...     connection.execute("SELECT count(*) FROM vital").fetchone()[0]

    Raises:
        StoreError: as ``connect``.
    """
    with (
        translate_errors(path),
        closing(connect(path, readonly=True, busy_seconds=busy_seconds)) as connection,
    ):
        # A read transaction sees the database as of its first query, however much is written
        # meanwhile.
        connection.execute("BEGIN")
        yield connection


def _open(path: Path, mode: str, busy_seconds: float) -> sqlite3.Connection:
    """Open the file with the settings that every connection has."""
    refuse_pipe(path)
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
    )
    with closed_on_error(connection):
        set_bounds(path, connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        # FULL: a power cut loses one batch at the most, for the same bytes written as NORMAL.
        connection.execute("PRAGMA synchronous=FULL")
        # Deleted rows are overwritten: an erased participant leaves no byte in the file.
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_BYTES // PAGE_BYTES}")
    return connection


def versions(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return application id and schema version of the file."""
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return application, version


def _version_of_ours(path: Path, connection: sqlite3.Connection) -> int:
    """Return the schema version; refuse a database of another program."""
    application, version = versions(connection)
    if application != APPLICATION_ID:
        raise StoreError(
            f"{path}: is a database, but not one of Affect Edge. Nothing was changed; name another "
            "folder with --data."
        )
    return version


def _is_empty(path: Path, connection: sqlite3.Connection) -> bool:
    """Tell whether the file has no tables yet; refuse foreign databases and unknown versions."""
    # A file that was just made has no tables and no application ID yet.
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if empty and versions(connection)[0] == 0:
        return True
    refuse_unknown_version(path, _version_of_ours(path, connection))
    return False


def _create(connection: sqlite3.Connection) -> None:
    """Make tables, views and the first epoch, and note the version."""
    for name in ("schema.sql", "views.sql"):
        for statement in statements_of(name):
            connection.execute(statement)
    renew_stream_epoch(connection)
    insert(connection, "migration", version=VERSION, name="schema.sql", applied=clock.now().wall_ms)
    # In the same transaction: a file with our ID always has all tables.
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def iso(column: str) -> str:
    """Return SQL that writes epoch milliseconds as ``2026-11-20T08:15:00.250Z``."""
    return (
        f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000, 'unixepoch') || printf('.%03dZ', "
        f"{column} % 1000)"
    )


@dataclass(slots=True)
class Salvage:
    """One database that was set aside, and how far its rows are carried over.

    Attributes:
        file: its name; a whole path where it lies in another folder.
        at_ms: when it was set aside.
        cause: what was wrong, as the end of a sentence.
        rows: rows that were carried over, by table.
        refused: rows that the new database refused; they are in the table ``set_aside``.
        lost_pages: pages that could not be read.
        lost_rows: rows that could not be read on pages that could.
        left: tables that are not yet carried over, in their order.
        pages_done: of the first of these.
        newest: pages that were carried over first, by table.
        note: why the rest cannot be carried over; empty where it can.
    """

    file: str
    at_ms: int
    cause: str
    rows: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    lost_pages: int = 0
    lost_rows: int = 0
    left: list[str] = field(default_factory=list)
    pages_done: int = 0
    newest: dict[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def is_done(self) -> bool:
        """Tell whether everything that can be read is carried over."""
        return not self.left


def read_salvages(connection: sqlite3.Connection) -> list[Salvage]:
    """Return the stored salvages, the oldest first; an empty list if they cannot be parsed."""
    try:
        return [Salvage(**one) for one in json.loads(read_setting(connection, _KEY) or "[]")]
    except (ValueError, TypeError):
        return []


def write_salvages(connection: sqlite3.Connection, salvages: list[Salvage]) -> None:
    """Store the salvages, inside the caller's transaction."""
    text = json.dumps([asdict(one) for one in salvages], separators=(",", ":"))
    write_setting(connection, _KEY, text)


def is_salvaging(connection: sqlite3.Connection) -> bool:
    """Tell whether rows of a database that was set aside are still being carried over."""
    return any(not one.is_done for one in read_salvages(connection))
