"""Hashes of passwords that a database of before has in itself move to the file of credentials.

People open the database and hand it over: nothing secret may be in it, in its log, in its free
pages, and in its copies. First the hashes move, in one transaction, so that whatever interrupts
leaves them in the one place or in both. What their bytes leave behind goes afterwards, which takes
time; a note in the database says that this is still to be done.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import (
    connect,
    connect_any,
    copies_beside,
    read_transaction,
    transaction,
    write_transaction,
)
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.copy_report import read_report
from edge_agent.store.upkeep.traces.scrub import scrub
from edge_agent.store.write.accounts.credentials import Credentials, is_key, new_key

log = logging.getLogger(__name__)

ATTEMPT_KEY = "attempt_key"
"""Name in ``setting`` of what the file of credentials has now."""
_TO_SCRUB = "credentials_to_scrub"
_HASH = "$argon2"
_FOR_ROLLBACK = ".before-update-of-"
"""In the name of the copy that ``affect-edge rollback`` gives to the release of before, which knows
no file of credentials."""


def move_credentials(path: Path) -> int:
    """Move the hashes of passwords and the key of attempts to the file of credentials.

    Args:
        path: the database, already migrated.

    Returns:
        how many passwords were moved.

    Raises:
        StoreError: file or database cannot be written; everybody can log in as before.
    """
    with read_transaction(path) as connection:
        if not _is_any(connection):
            return 0
    with write_transaction(path) as connection:
        kept = _hashes(connection)
        keys = {number: new_key() for number, _, _ in kept}
        Credentials(path).take_over(
            {keys[number]: password_hash for number, _, password_hash in kept},
            _attempt_key(connection),
        )
        _name_instead(connection, keys)
        connection.execute(
            "INSERT INTO setting (key, value) VALUES (?, '1') ON CONFLICT (key) DO NOTHING",
            (_TO_SCRUB,),
        )
    log.info("%d passwords were moved from the database to the file of credentials", len(kept))
    return len(kept)


def scrub_credentials(path: Path) -> bool:
    """Leave no byte of what was moved in the database, its log and its copies.

    Safe beside a running agent. Of copies that cannot be reached or read the log says so.

    Returns:
        whether there was something to do.

    Raises:
        StoreError: the database cannot be written, or is held open by a reader that does not end;
            the next start tries again.
    """
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        if not connection.execute("SELECT 1 FROM setting WHERE key = ?", (_TO_SCRUB,)).fetchone():
            return False
        scrub(path, connection, [_HASH, Credentials(path).attempt_key()])
        for place in (path, *(Path(folder, path.name) for folder in read_report(path).places)):
            for copy in copies_beside(place):
                _scrub_copy(copy, path)
        with transaction(connection):
            connection.execute("DELETE FROM setting WHERE key = ?", (_TO_SCRUB,))
    return True


def _scrub_copy(copy: Path, path: Path) -> None:
    """Take the hashes out of a copy; its accounts have their present passwords then."""
    try:
        if _FOR_ROLLBACK in copy.name:
            copy.chmod(0o600)
            return
        with translate_errors(copy), closing(connect_any(copy)) as connection:
            attempt_key = _attempt_key(connection)
            with transaction(connection):
                if _is_any(connection):
                    _name_instead(connection, _keys_for(path, _hashes(connection)))
            scrub(copy, connection, [_HASH, attempt_key])
    except (StoreError, OSError) as error:
        log.warning("hashes of passwords may still be in a copy of the database: %s", error)


def _keys_for(path: Path, kept: list[tuple[int, str, str]]) -> dict[int, str]:
    """Return keys for the accounts of a copy: those of the same accounts now, else new ones."""
    with write_transaction(path) as connection:
        present = {
            (number, name): key
            for number, name, key in connection.execute(
                "SELECT id, name, password_hash FROM account"
            )
            if is_key(key)
        }
        keys = {number: present.get((number, name)) or new_key() for number, name, _ in kept}
        known = set(present.values())
        Credentials(path).take_over(
            {keys[number]: text for number, _, text in kept if keys[number] not in known}
        )
    return keys


def _is_any(connection: sqlite3.Connection) -> bool:
    return bool(_hashes(connection) or _attempt_key(connection))


def _hashes(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """Return number, name and hash of the accounts whose row has the hash itself."""
    rows = connection.execute(
        "SELECT id, name, password_hash FROM account WHERE substr(password_hash, 1, ?) = ?",
        (len(_HASH), _HASH),
    )
    return [tuple(row) for row in rows]


def _attempt_key(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (ATTEMPT_KEY,)).fetchone()
    return str(row[0]) if row else ""


def _name_instead(connection: sqlite3.Connection, keys: dict[int, str]) -> None:
    """Put keys in the place of hashes."""
    for number, key in keys.items():
        connection.execute("UPDATE account SET password_hash = ? WHERE id = ?", (key, number))
    connection.execute("DELETE FROM setting WHERE key = ?", (ATTEMPT_KEY,))
