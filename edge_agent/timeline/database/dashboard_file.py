"""The dashboard's own database, and the folder in which it writes and prepares exports.

On an appliance the dashboard is another user than the agent: it reads the data folder and writes
one folder in it, which the installer has made. Where one user runs both, there is no such folder
and everything lies side by side. Accounts, log-ins, tokens and the dashboard's settings lie in a
database there, so that nobody who may read the timeline sees a secret, and a dashboard that was
taken over writes no file that the agent trusts. Exports that wait to be downloaded are deleted when
anybody is erased.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_agent.core import clock, owners
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import DamageError, StoreError, StudyError
from edge_agent.core.files import empty_folder, opened_folder
from edge_agent.core.owners import Owner, as_user, become, is_root, owner_of
from edge_agent.timeline.database.connection import BUSY_SECONDS, transaction, versions
from edge_agent.timeline.database.creation import statements_of
from edge_agent.timeline.database.files import closed_on_error, refuse_pipe, translate_errors
from edge_agent.timeline.database.secure_open import closing_alone, connect_in
from edge_agent.timeline.database.untrusted_file import set_bounds
from edge_agent.timeline.database.upgrade import upgrade
from edge_agent.timeline.database.upgrade_steps import DASHBOARD_STEPS, DatabaseForm

FOLDER = "dashboard"
FILE_NAME = "dashboard.db"
VERSION = 3
"""Of ``dashboard.sql``; the file keeps it as ``user_version``."""
_APPLICATION_ID = 0x41464442  # "AFDB"
FORM = DatabaseForm(_APPLICATION_ID, VERSION, DASHBOARD_STEPS)
_LARGEST = 100_000_000
"""Bytes of the file that root reads; an account has some hundred."""
_LONGEST_S = 20.0
"""For so long root reads in it."""
_STEPS = 100_000
"""Of SQLite, between two looks at the time."""
_REPLACE = (
    "Restore it from an archive of `affect-edge backup`, or move it away and start the dashboard: "
    "it prints a code for a new first account."
)
_MAKE_FOLDER = (
    "Then make the dashboard's folder anew: sudo /opt/affect-edge/current/install.sh --activate"
)
LEFT_S = 3600
"""What waits or is written is younger."""
SWEPT_S = 3600
"""Seconds after which a service looks again for what interruptions have left."""
_MADE_S = 60
"""So long the lock of a new folder may not be there yet."""
_PASSING = re.compile(r"(?:[a-z]+-)?[0-9a-f]{16}")
PREPARED = "exports"
PROTOCOLS = "protocols"
"""Folder of the protocols that were made or brought in the browser, in the dashboard's own."""


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
    return own_folder(_data_of(database)) / FILE_NAME


def _data_of(database: Path) -> Path:
    """Return the data folder; behind a link, where the database lies."""
    # Another user's link does not lead root away: the owner of what is behind it would count.
    if database.is_symlink() and is_root() and database.lstat().st_uid:
        return database.absolute().parent
    return database.resolve().parent


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
        # One that was put back from an archive has no log yet, and then nothing holds it open.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT count(*) FROM account").fetchone()
        yield


@contextmanager
def read_as_owner(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the dashboard's database with the rights of its owner.

    Root trusts the file less than itself, as ``is_anothers`` says.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: it cannot be opened, or is none of ours; it is too large, or reading takes too
            long.
    """
    file = dashboard_file(database)
    with as_owner(file):
        refuse_too_large(file)
        with read_dashboard(database) as connection:
            until_s = clock.boot_seconds() + _LONGEST_S
            set_bounds(file, connection)
            # A view in the place of a table may have rows without end.
            connection.set_progress_handler(lambda: clock.boot_seconds() > until_s, _STEPS)
            yield connection


def refuse_too_large(file: Path) -> None:
    """Refuse accounts that nobody has, before root reads or copies them.

    Raises:
        StoreError: it is so.
    """
    if file.exists() and file.stat().st_size > _LARGEST:
        raise StoreError(f"{file}: is larger than {_LARGEST:,} bytes. {_REPLACE}")


@contextmanager
def as_owner(file: Path) -> Iterator[None]:
    """Run the block with the rights of the dashboard's user, where root runs it.

    Args:
        file: the dashboard's database, or one beside it.

    Raises:
        OSError: there is no such folder.
        StoreError: the folder is another's, as `keeper_of_accounts` tells.
    """
    file.parent.lstat()
    with as_user(keeper_of_accounts(file.parent) if is_root() else None):
        yield


def keeper_of_accounts(folder: Path) -> Owner | None:
    """Return the user with whose rights root works among the accounts; ``None``: root's own.

    The agent's user owns the data folder, so it can exchange the dashboard's folder in it for one
    of its own. So who the dashboard's user is, the list of users of this machine says.

    Args:
        folder: the dashboard's folder, or the data folder where one user runs both.

    Raises:
        StoreError: the folder is missing, a link, or of another user than it has to be.
    """
    has_own = folder.name == FOLDER
    owner = owner_of(folder.parent if has_own else folder)
    if owner is None:  # nobody but root has laid it there
        return owner_of(folder)
    user, agent = owners.user_named(owners.DASHBOARD), owners.user_named(owners.AGENT)
    is_appliance = user is not None and agent is not None and agent.user == owner.user
    if not has_own:
        if not is_appliance:
            return owner
        raise StoreError(
            f"{folder / FOLDER}: is missing, and accounts are not put where the agent's user could "
            f"read and change them. {_MAKE_FOLDER}"
        )
    keepers = [one for one in (user, None if is_appliance else owner) if one is not None]
    there = folder.lstat()
    for keeper in keepers:
        if stat.S_ISDIR(there.st_mode) and there.st_uid == keeper.user:
            return keeper
    raise StoreError(
        f"{folder}: is a link, or belongs to {Owner(there.st_uid, there.st_gid).name} and not to "
        f"{keepers[0].name}, so the accounts in it are not believed and none are put there. See "
        f"what it holds (sudo ls -l {shell_word(folder)}), and move it away. {_MAKE_FOLDER}"
    )


def is_anothers(file: Path) -> bool:
    """Tell whether another user owns the dashboard's folder, and so all that lies in it.

    SQLite plays back a journal that lies beside a database, and one can be written that has it
    delete any file. So the file is opened with the rights of that user alone, even where another
    one may read it.

    Args:
        file: the dashboard's database.

    Raises:
        OSError: there is no such folder.
    """
    return _is_anothers(file, file.parent.lstat().st_uid)


def _is_anothers(file: Path, owner: int) -> bool:
    me = os.geteuid()
    if owner == me:
        return False
    user = owners.user_named(owners.DASHBOARD)
    # The dashboard's user has no accounts outside its folder: another one has moved that away.
    return file.parent.name == FOLDER or (user is not None and user.user == me)


def account_names(database: Path) -> frozenset[str]:
    """Return the names of the accounts in lower case; none where this user may not read them.

    Args:
        database: the database of the timeline.
    """
    try:
        file = dashboard_file(database)
        if not file.is_file() or not os.access(file, os.R_OK):
            return frozenset()
        with read_as_owner(database) as connection:
            rows = connection.execute(
                "SELECT substr(name, 1, 100) FROM account LIMIT 10000"
            ).fetchall()
    except (StoreError, OSError):  # who logs in is told of it
        return frozenset()
    return frozenset(str(row[0]).casefold() for row in rows)


def refuse_account_name(database: Path, code: str | None) -> None:
    """Refuse a participant's code that is the name of an account.

    The two would look alike in the audit trail, where only participants are ever forgotten.

    Args:
        database: the database of the timeline.
        code: the code; ``None``: one is made up.

    Raises:
        StudyError: there is such an account.
    """
    if code is not None and code.casefold() in account_names(database):
        raise StudyError(
            f"Participant code {code} is the name of an account. Choose another.", field="code"
        )


def become_owner(database: Path) -> None:
    """Give up root's rights for good: be the dashboard's user, who owns its folder.

    Args:
        database: the database of the timeline.

    Raises:
        StoreError: the folder is another's.
    """
    if os.geteuid() == 0:
        become(keeper_of_accounts(dashboard_file(database).parent))


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    """Open the file; errors of SQLite and the file system in the block become ``StoreError``."""
    file = dashboard_file(database)
    try:
        with translate_errors(file), closing_alone(_connect(file)) as connection:
            yield connection
    except DamageError as error:
        if not str(error).startswith(f"{file}:"):  # of the timeline, which was asked meanwhile
            raise
        raise StoreError(f"{file}: is damaged, and nobody can log in. {_REPLACE}") from error


def _connect(file: Path) -> sqlite3.Connection:
    """Open the file, made where it is missing; only its owner may read it."""
    connection = open_accounts(file)
    with closed_on_error(connection):
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")
        _check(file, connection)
    return connection


def open_accounts(file: Path) -> sqlite3.Connection:
    """Open a file of accounts for writing, whatever its schema; made empty where it is missing.

    Args:
        file: the dashboard's database, or a copy beside it.

    Raises:
        StoreError: the file or its folder is another's, or was exchanged meanwhile.
        OSError: it cannot be opened or made.
        sqlite3.Error: it cannot be opened or read.
    """
    with opened_folder(file.parent.resolve()) as folder:
        owner = os.fstat(folder)
        if _is_anothers(file, owner.st_uid):
            raise StoreError(
                f"{file}: is opened by the dashboard's user alone, for SQLite would do what that "
                "user wrote beside it. Run the command as that user: sudo -u affect-edge-dashboard "
                "affect-edge …"
            )
        _make_missing(file, folder, owner)
        refuse_pipe(file)
        if _is_exchangeable(file, owner.st_uid):
            return connect_in(folder, file)
        return sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)


def _is_exchangeable(file: Path, owner: int) -> bool:
    """Tell whether another user than the owner of the folder can put another one in its place."""
    return file.parent.name == FOLDER and file.parent.parent.stat().st_uid not in {0, owner}


def _make_missing(file: Path, folder: int, owner: os.stat_result) -> None:
    try:
        os.stat(file.name, dir_fd=folder)
    except FileNotFoundError:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(file.name, flags, 0o600, dir_fd=folder)
        try:
            if os.geteuid() == 0:  # root makes it for those whose folder it is
                os.fchown(handle, owner.st_uid, owner.st_gid)
        finally:
            os.close(handle)


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


def prepared_folder(data: Path) -> Path:
    """Return where this user's exports wait, and imports are staged; it may not be there.

    Where agent and dashboard are two users, each has a folder of its own: nobody with more rights
    works in one that the dashboard's user can change.
    """
    own = data / FOLDER
    is_own = has_own_folder(data) and own.stat().st_uid == os.geteuid()
    return (own if is_own else data) / PREPARED


def make_prepared_folder(data: Path, name: str = "") -> Path:
    """Make this user's folder of exports, or a new one in it.

    Where agent and dashboard are two users, the agent's may delete what the dashboard's made: it
    erases. What root makes is given to the owner of the data folder, for the same reason.

    Args:
        data: the data folder.
        name: of the new folder; empty: none.

    Raises:
        OSError: it cannot be made, or such a one is there.
        StoreError: a link or another user's folder has taken its place.
    """
    folder = prepared_folder(data)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with opened_folder(folder.parent.resolve()) as outer:
        with suppress(FileExistsError):
            _make(folder, outer, data)
        if name:
            owners = {os.geteuid(), os.fstat(outer).st_uid}
            with opened_folder(folder, owners, inside=outer) as exports:
                _make(folder / name, exports, data)
    return folder / name


@contextmanager
def passing_folder(data: Path, prefix: str = "") -> Iterator[Path]:
    """Make a new folder among this user's prepared exports for the time of the block.

    What an interruption leaves of it goes with ``sweep_prepared``, and when anybody is erased.

    Raises:
        OSError: it cannot be made.
        StoreError: a link or another user's folder has taken the place of the exports.
    """
    sweep_prepared(data)
    folder = make_prepared_folder(data, f"{prefix}{secrets.token_hex(8)}")
    try:
        # The lock ends with the process, however it ends.
        with opened_folder(folder) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_prepared(data: Path) -> None:
    """Delete what an interruption has left among this user's prepared exports.

    That is a passing folder that no process holds any more, and all else into which nothing was
    written for ``LEFT_S``. What cannot be deleted stays for the next time.
    """
    with suppress(OSError):
        for folder in prepared_folder(data).iterdir():
            with suppress(OSError, StoreError):
                if _is_left(folder):
                    shutil.rmtree(folder)


def _is_left(folder: Path) -> bool:
    age_s = clock.now().wall_ms / 1000 - written_s(folder)
    if not _PASSING.fullmatch(folder.name):
        return age_s > LEFT_S
    if age_s < _MADE_S:
        return False
    with opened_folder(folder, {os.geteuid()}) as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def written_s(folder: Path) -> float:
    """Return when something was last written in a folder, however deep; seconds of UTC."""
    last_s = folder.lstat().st_mtime
    if folder.is_dir() and not folder.is_symlink():
        last_s = max([last_s, *(one.lstat().st_mtime for one in folder.rglob("*"))])
    return last_s


def delete_prepared_exports(data: Path) -> None:
    """Delete every export that waits, and those that are being written, which end with an error.

    The dashboard's user deletes its own; the agent's user and root delete the others, too.

    Raises:
        StoreError: one of them cannot be deleted, or a link or another user's folder has taken the
            place of the exports.
        OSError: a folder cannot be opened.
    """
    me = os.geteuid()
    with opened_folder(data.resolve()) as outer:
        owners = {me, os.fstat(outer).st_uid}
        if me in {0, os.fstat(outer).st_uid} or not has_own_folder(data):
            _delete_exports(data, outer, owners)
        with suppress(FileNotFoundError), opened_folder(data / FOLDER, inside=outer) as own:
            _delete_exports(data / FOLDER, own, owners | {os.fstat(own).st_uid})


def _delete_exports(place: Path, opened: int, owners: set[int]) -> None:
    folder = place / PREPARED
    with suppress(FileNotFoundError), opened_folder(folder, owners, inside=opened) as exports:
        empty_folder(folder, exports)


def _make(folder: Path, inside: int, data: Path) -> None:
    """Make a folder in an open one, for its user alone, and for those who erase.

    Raises:
        OSError: it cannot be made, or there is one.
        StoreError: another user has exchanged it.
    """
    os.mkdir(folder.name, 0o700, dir_fd=inside)
    me = os.geteuid()
    with opened_folder(folder, {me}, inside=inside) as opened:
        if folder.is_relative_to(data / FOLDER):
            os.fchmod(opened, 0o770)
        elif me == 0:
            owner = data.stat()
            os.fchown(opened, owner.st_uid, owner.st_gid)
