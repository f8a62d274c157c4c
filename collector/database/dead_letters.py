"""Messages that cannot be taken are kept with the reason, for somebody to look at."""

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

from __future__ import annotations

import hashlib
import logging

import psycopg

from collector.database.tables import SCHEMA

log = logging.getLogger(__name__)

MOST_BYTES_KEPT = 1_000_000
"""Of a refused message."""


def keep(
    connection: psycopg.Connection,
    device: str,
    reason: str,
    payload: bytes,
    same_as: bytes | None = None,
) -> None:
    """Note a message that is refused; one that comes again is counted.

    Args:
        connection: in the caller's transaction, if there is one.
        device: whose it is; empty: nobody knows.
        reason: what is wrong with it.
        payload: its bytes.
        same_as: what makes two messages one; ``None``: their bytes.
    """
    log.warning("a message of %s %s", device or "nobody", reason)
    connection.execute(
        f"INSERT INTO {SCHEMA}.dead_letter (digest, device, reason, payload) "
        "VALUES (%s, %s, %s, %s) ON CONFLICT (digest) DO UPDATE SET "
        "times = dead_letter.times + 1, last_seen = now()",
        (
            hashlib.sha256(payload if same_as is None else same_as).digest(),
            device.replace("\0", ""),
            reason.replace("\0", ""),
            payload[:MOST_BYTES_KEPT],
        ),
    )
