"""Values that a database keeps by key in its table ``setting``, and the epoch of its streams.

A ``seq`` rises by one within a stream epoch: a database that was restored or salvaged knows less
than its readers do, and counts anew under another epoch, so that nobody takes its messages for old
ones.
"""

from __future__ import annotations

import secrets
import sqlite3

EPOCH_KEY = "stream_epoch"


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
