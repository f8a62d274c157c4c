"""Salvages of a database, which a new database keeps of the one that it replaces."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field

from edge_agent.timeline.database.setting import read_setting, write_setting

_KEY = "salvage"


@dataclass(slots=True)
class Salvage:
    """One database that was set aside, and how far its rows are carried over.

    Attributes:
        file: its name; a whole path where it lies in another folder.
        at_ms: when it was set aside.
        cause: what was wrong, as the end of a sentence.
        rows: rows that were carried over, by table.
        refused: rows that the new database refused; they are in the table ``set_aside``.
        lost_pages: pages that could not be read.
        lost_rows: rows that could not be read on pages that could.
        left: tables that are not yet carried over, in their order.
        pages_done: of the first of these.
        newest: pages that were carried over first, by table.
        note: why the rest cannot be carried over; empty where it can.
    """

    file: str
    at_ms: int
    cause: str
    rows: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    lost_pages: int = 0
    lost_rows: int = 0
    left: list[str] = field(default_factory=list)
    pages_done: int = 0
    newest: dict[str, int] = field(default_factory=dict)
    note: str = ""

    @property
    def is_done(self) -> bool:
        """Tell whether everything that can be read is carried over."""
        return not self.left


def read_salvages(connection: sqlite3.Connection) -> list[Salvage]:
    """Return the stored salvages, the oldest first; an empty list if they cannot be parsed."""
    try:
        return [Salvage(**one) for one in json.loads(read_setting(connection, _KEY) or "[]")]
    except (ValueError, TypeError):
        return []


def write_salvages(connection: sqlite3.Connection, salvages: list[Salvage]) -> None:
    """Store the salvages, inside the caller's transaction."""
    text = json.dumps([asdict(one) for one in salvages], separators=(",", ":"))
    write_setting(connection, _KEY, text)


def is_salvaging(connection: sqlite3.Connection) -> bool:
    """Tell whether rows of a database that was set aside are still being carried over."""
    return any(not one.is_done for one in read_salvages(connection))
