"""The stream epoch: which counting a ``seq`` belongs to.

``seq`` rises by one within an epoch. A database that was restored or salvaged knows less than its
readers do: it counts anew under another epoch, so that nobody takes its messages for old ones.
"""

from __future__ import annotations

import sqlite3

EPOCH_KEY = "stream_epoch"

_NEW = "lower(hex(randomblob(8)))"


def stream_epoch(connection: sqlite3.Connection) -> str:
    """Return the epoch, 16 hexadecimal digits; one is made where there is none.

    Args:
        connection: in a write transaction.
    """
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (EPOCH_KEY,)).fetchone()
    if row is None:
        return renew_stream_epoch(connection)
    return str(row[0])


def renew_stream_epoch(connection: sqlite3.Connection) -> str:
    """Begin a new epoch, in which each ``seq`` begins anew, and return it.

    For a database that takes the place of another one. What waits in its outbox keeps the epoch and
    the number under which it may have been sent before.

    Args:
        connection: to a database of any schema; best in a write transaction, with whatever else
            makes the database the present one.
    """
    known = connection.execute("SELECT 1 FROM setting WHERE key = ?", (EPOCH_KEY,)).fetchone()
    if known is not None:
        # Without an epoch the waiting messages belong to the new one, and it counts on from them.
        connection.execute("DELETE FROM outbox_seq")
    row = connection.execute(
        f"INSERT INTO setting (key, value) VALUES (?, {_NEW}) "  # noqa: S608 - our own words
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value RETURNING value",
        (EPOCH_KEY,),
    ).fetchone()
    return str(row[0])
