"""The stream epoch: a name of the numbering of messages, which a restored database begins anew."""

from __future__ import annotations

import secrets
import sqlite3

_KEY = "stream_epoch"


def renew_stream_epoch(connection: sqlite3.Connection) -> None:
    """Begin a new numbering: readers must not compare its numbers with those of before."""
    connection.execute(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = "
        "excluded.value",
        (_KEY, secrets.token_hex(8)),
    )
