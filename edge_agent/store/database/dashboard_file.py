"""The dashboard's own database, and the folder in which it writes and prepares exports.

On an appliance the dashboard is another user than the agent: it reads the data folder and writes
one folder in it, which the installer has made. Where one user runs both, there is no such folder
and everything lies side by side. Accounts, log-ins, tokens and the dashboard's settings lie in a
database there, so that nobody who may read the timeline sees a secret, and a dashboard that was
taken over writes no file that the agent trusts. Exports that wait to be downloaded are deleted when
anybody is erased.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from edge_agent.core.errors import DamageError, StoreError
from edge_agent.store.database.files import closed_on_error, translate_errors
from edge_agent.store.database.schema import (
    BUSY_SECONDS,
    statements_of,
    transaction,
    upgrade,
    versions,
)
from edge_agent.store.database.upgrade import DASHBOARD_STEPS, Form

FOLDER = "dashboard"
FILE_NAME = "dashboard.db"
VERSION = 1
"""Of ``dashboard.sql``; the file keeps it as ``user_version``."""
_APPLICATION_ID = 0x41464442  # "AFDB"
FORM = Form(_APPLICATION_ID, VERSION, DASHBOARD_STEPS)


def has_own_folder(data: Path) -> bool:
    """Tell whether agent and dashboard are two users here."""
    return (data / FOLDER).is_dir()


def own_folder(data: Path) -> Path:
    """Return the folder in which the dashboard writes; it may not be there.

    Args:
        data: the data folder, which the database lies in.
    """
    return data / FOLDER if has_own_folder(data) else data


def dashboard_file(database: Path) -> Path:
    """Return the path of the dashboard's database, which may not be there.

    Args:
        database: the database of the timeline.
    """
    return own_folder(database.resolve().parent) / FILE_NAME


@contextmanager
def read_dashboard(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the dashboard's database; all queries of the block see the same moment of it.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: it cannot be opened, or is none of ours.
    """
    with _opened(database) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def write_dashboard(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the dashboard's database for one short write transaction.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: it cannot be opened or written, or is none of ours.
    """
    with _opened(database) as connection, transaction(connection):
        yield connection


@contextmanager
def kept_open(database: Path) -> Iterator[None]:
    """Hold a connection open: SQLite deletes the log when the last connection closes.

    Raises:
        StoreError: it cannot be opened, or is none of ours.
    """
    with _opened(database) as connection:
        connection.execute("SELECT count(*) FROM account").fetchone()
        yield


@contextmanager
def read_as_owner(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the dashboard's database with the rights of its owner.

    Root trusts the file less than itself: SQLite plays back a journal that lies beside it, and that
    may name any file.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: it cannot be opened, or is none of ours.
    """
    with as_owner(dashboard_file(database)), read_dashboard(database) as connection:
        yield connection


@contextmanager
def as_owner(file: Path) -> Iterator[None]:
    """Run the block with the rights of a file's owner, where root runs it.

    Raises:
        OSError: there is no such file.
    """
    owner = file.lstat()  # of a link: who made it
    is_root = os.geteuid() == 0
    if is_root:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(0)


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the file; errors of SQLite and the file system in the block become ``StoreError``."""
    file = dashboard_file(database)
    try:
        with translate_errors(file), closing(_connect(file)) as connection:
            yield connection
    except DamageError as error:
        if not str(error).startswith(f"{file}:"):  # of the timeline, which was asked meanwhile
            raise
        raise StoreError(
            f"{file}: is damaged, and nobody can log in. Restore it from an archive of "
            "`affect-edge backup`, or move it away and start the dashboard: it prints a code for "
            "a new first account."
        ) from error


def _connect(file: Path) -> sqlite3.Connection:
    """Open the file, made where it is missing; only its owner may read it."""
    if os.geteuid() == 0 and file.is_symlink():
        raise StoreError(f"{file}: is a link, and root follows none that the dashboard may set.")
    if not file.exists():
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.geteuid() == 0:  # root makes it for those whose folder it is
                owner = file.parent.stat()
                os.fchown(handle, owner.st_uid, owner.st_gid)
        finally:
            os.close(handle)
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    with closed_on_error(connection):
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        _check(file, connection)
    return connection


def _check(file: Path, connection: sqlite3.Connection) -> None:
    """Make the tables of a new file, or upgrade one; refuse a file that is not the dashboard's.

    Raises:
        StoreError: another program or a newer version made it, or it cannot be upgraded.
    """
    marks = versions(connection)
    if marks == (0, 0):
        # a page is shown while another log-in is written; the mode stays in the file
        connection.execute("PRAGMA journal_mode=WAL")
        with transaction(connection):
            marks = versions(connection)  # another process may have made them meanwhile
            if marks == (0, 0):
                for statement in statements_of("dashboard.sql"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={VERSION}")
                return
    if marks[0] == _APPLICATION_ID and FORM.is_older(marks[1]):
        # The copy lies in a folder in which another user may lay links.
        with as_owner(file):
            upgrade(file, connection, FORM)
        return
    if marks[0] == _APPLICATION_ID and marks[1] > VERSION:
        raise StoreError(
            f"{file}: was written by a newer Affect Edge (schema {marks[1]}, this program knows "
            f"{VERSION}). Nothing was changed; update this program, or put back a copy from an "
            "archive of `affect-edge backup`."
        )
    if marks != (_APPLICATION_ID, VERSION):
        raise StoreError(
            f"{file}: is not the database of this version's dashboard (marks {marks[0]:#x}, "
            f"{marks[1]}). Nothing was changed; move it away, or put one back from an archive of "
            "`affect-edge backup`."
        )


PREPARED = "exports"


def prepared_folder(data: Path) -> Path:
    """Return where exports wait, readable for the dashboard's user alone; it may not be there."""
    return own_folder(data) / PREPARED


def make_prepared_folder(data: Path, name: str = "") -> Path:
    """Make the folder of exports, or a new one in it.

    Where agent and dashboard are two users, the agent's may delete what lies there: it erases.

    Args:
        data: the data folder.
        name: of the new folder; empty: none.

    Raises:
        OSError: it cannot be made, or such a one is there.
    """
    folder = prepared_folder(data)
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _open_for_erasures(folder, data)
    if not name:
        return folder
    inner = folder / name
    inner.mkdir(mode=0o700)
    _open_for_erasures(inner, data)
    return inner


def delete_prepared_exports(data: Path) -> None:
    """Delete every export that waits, and those that are being written, which end with an error.

    Raises:
        OSError: one of them cannot be deleted.
    """
    folder = prepared_folder(data)
    # an export that goes on may have made a file meanwhile
    while folder.exists() and (exports := list(folder.iterdir())):
        for one in exports:
            with suppress(FileNotFoundError):
                shutil.rmtree(one) if one.is_dir() else one.unlink()


def _open_for_erasures(folder: Path, data: Path) -> None:
    if has_own_folder(data):
        folder.chmod(0o770)
