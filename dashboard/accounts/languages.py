"""The language that an account chose for its pages: a row of table ``setting``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from edge_agent.store.database.schema import read_transaction, write_transaction


def _key(number: int) -> str:
    return f"language_of_account_{number}"


def language_of_account(path: Path, number: int) -> str:
    """Return the code of the language that an account chose; empty where it chose none.

    Args:
        path: the database file.
        number: the account.
    """
    with read_transaction(path) as connection:
        row = connection.execute(
            "SELECT value FROM setting WHERE key = ?", (_key(number),)
        ).fetchone()
    if row is None:
        return ""
    return str(row[0])


def choose_language(path: Path, number: int, code: str) -> None:
    """Keep the choice of an account; an empty one is forgotten."""
    with write_transaction(path) as connection:
        forget_language(connection, number)
        if code:
            connection.execute(
                "INSERT INTO setting (key, value) VALUES (?, ?)", (_key(number), code)
            )


def forget_language(connection: sqlite3.Connection, number: int) -> None:
    """Remove the choice of an account, within a transaction."""
    connection.execute("DELETE FROM setting WHERE key = ?", (_key(number),))
