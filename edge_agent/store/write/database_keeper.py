"""Who rescues the database of the recorder; ``store.salvage`` does."""

from __future__ import annotations

import sqlite3
from typing import Protocol

from edge_agent.core.errors import StoreError
from edge_agent.store.database.open_file import OpenFile


class MovedError(StoreError):
    """The open file is no longer the one at the path."""


class DatabaseKeeper(Protocol):
    """Who puts a database in the place of one that cannot be written to any more."""

    @property
    def reported(self) -> str | None:
        """The damage that a reader met; ``None``: none."""

    def look(self, *, quick: bool = False) -> str | None:
        """Return what is wrong with the database; ``None``: nothing was found.

        A ``quick`` look reads the list of tables and the newest rows, as a reader would.
        """

    def replace(self, cause: str) -> None:
        """Set a damaged database aside, and put a new one in its place.

        Raises:
            StoreError: it cannot be done now.
        """

    def follow(self, file: OpenFile, connection: sqlite3.Connection | None) -> bool:
        """Put a database in the place of one that was deleted, moved or replaced.

        ``connection`` is ``None`` where the file is held and not opened. Return whether everything
        of the old file is, or will be, in the new one.

        Raises:
            StoreError: it cannot be done now.
        """
