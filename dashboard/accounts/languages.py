"""The language that an account chose for its pages."""

from __future__ import annotations

from pathlib import Path

from edge_agent.store.database.dashboard_file import read_dashboard, write_dashboard


def language_of_account(path: Path, number: int) -> str:
    """Return the code of the language that an account chose; empty where it chose none.

    Args:
        path: the database of the timeline.
        number: the account.
    """
    with read_dashboard(path) as connection:
        row = connection.execute("SELECT language FROM account WHERE id = ?", (number,)).fetchone()
    return "" if row is None else str(row[0])


def choose_language(path: Path, number: int, code: str) -> None:
    """Keep the choice of an account; an empty one means none."""
    with write_dashboard(path) as connection:
        connection.execute("UPDATE account SET language = ? WHERE id = ?", (code, number))
