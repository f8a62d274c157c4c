"""Preregistrations: what was decided before the data, frozen with time and SHA-256.

The database refuses to change or delete one; who decides anew adds a newer one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.store.database.schema import read_transaction, write_transaction
from edge_agent.store.study.study_rows import insert_audit


@dataclass(frozen=True, slots=True)
class Preregistration:
    """One of them.

    Attributes:
        id: its number.
        at_ms: when it was frozen, by the clock of this device.
        document: what was decided, as JSON text.
        sha256: of the UTF-8 bytes of the time in milliseconds, a line feed, and the document.
    """

    id: int
    at_ms: int
    document: str
    sha256: str

    @property
    def intact(self) -> bool:
        """Whether time and document are still those that were frozen."""
        return fingerprint(self.at_ms, self.document) == self.sha256


def fingerprint(at_ms: int, document: str) -> str:
    """Return the SHA-256 of a document and the time of its freezing."""
    return hashlib.sha256(f"{at_ms}\n{document}".encode()).hexdigest()


def freeze(path: Path, document: str, actor: str) -> Preregistration:
    """Write a preregistration, and that it was written into the audit.

    Raises:
        StoreError: the database cannot be written.
    """
    moment = clock.now()
    sha256 = fingerprint(moment.wall_ms, document)
    with write_transaction(path) as connection:
        row = connection.execute(
            "INSERT INTO preregistration (at, document, sha256) VALUES (?, ?, ?) RETURNING id",
            (moment.wall_ms, document, sha256),
        ).fetchone()
        insert_audit(connection, actor, "preregister", f"{row[0]} {sha256}", moment)
    return Preregistration(row[0], moment.wall_ms, document, sha256)


def preregistrations(path: Path) -> list[Preregistration]:
    """Return all of them, the newest first.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT id, at, document, sha256 FROM preregistration ORDER BY id DESC"
        )
        return [_of(row) for row in rows]


def _of(row: sqlite3.Row) -> Preregistration:
    return Preregistration(row["id"], row["at"], row["document"], row["sha256"])
