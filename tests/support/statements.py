"""The statements that a process gives to SQLite, and how many connections it opens."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_LITERAL = re.compile(r"'(?:[^']|'')*'|\b\d+(?:\.\d+)?(?:e[+-]?\d+)?\b")
_READS = ("SELECT", "WITH", "PRAGMA", "BEGIN")


@dataclass(slots=True)
class Counted:
    """What was asked since the last ``clear``.

    Attributes:
        connections: how many were opened.
        statements: as SQLite got them, values filled in, from any thread.
    """

    connections: int = 0
    statements: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Count anew."""
        self.connections = 0
        self.statements.clear()

    def reads(self) -> Counter[str]:
        """Return how often each statement that reads was given, whatever its values."""
        shapes = (" ".join(_LITERAL.sub("?", one).split()) for one in self.statements)
        return Counter(shape for shape in shapes if shape.startswith(_READS))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Counted]:
    """Count what this process asks of the databases in a folder.

    Servers of other tests may run in this process, too, and look at theirs when their time comes.
    """
    seen = Counted()
    really: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect(database: Any, *values: Any, **named: Any) -> sqlite3.Connection:
        connection = really(database, *values, **named)
        if str(folder) not in str(database):
            return connection
        seen.connections += 1
        connection.set_trace_callback(seen.statements.append)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        yield seen
