"""The stream epoch: which history of the database the numbers of messages belong to."""

from __future__ import annotations

import secrets
import sqlite3

STREAM_EPOCH = "stream_epoch"


def renew_stream_epoch(connection: sqlite3.Connection) -> str:
    """Write a new epoch inside the caller's transaction, and return it."""
    epoch = secrets.token_hex(8)
    connection.execute(
        "INSERT INTO setting (key, value) VALUES (?, ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (STREAM_EPOCH, epoch),
    )
    return epoch
