"""Preregistrations: what was decided before the data, with its time and SHA-256.

The database refuses to change or delete one; a changed decision is added as a new one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.study import rows

FROZEN_MOST = 500
"""Preregistrations that are kept: a page reads all of them, and nothing removes one."""


@dataclass(frozen=True, slots=True)
class Preregistration:
    """A preregistration as it is stored.

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
    def frozen(self) -> str:
        """The text whose SHA-256 is stored."""
        return frozen_text(self.at_ms, self.document)

    @property
    def intact(self) -> bool:
        """Whether time and document still match the stored SHA-256."""
        return fingerprint(self.at_ms, self.document) == self.sha256


def fingerprint(at_ms: int, document: str) -> str:
    """Return the SHA-256 of a document and the time of its freezing."""
    return hashlib.sha256(frozen_text(at_ms, document).encode()).hexdigest()


def frozen_text(at_ms: int, document: str) -> str:
    """Return what is hashed: the time in milliseconds, a line feed, and the document."""
    return f"{at_ms}\n{document}"


def freeze(path: Path, document: str, actor: str) -> Preregistration:
    """Write a preregistration, and a line about it in the audit trail.

    Raises:
        StudyError: there are ``FROZEN_MOST``.
        StoreError: the database cannot be written.
    """
    moment = clock.now()
    sha256 = fingerprint(moment.wall_ms, document)
    with write_transaction(path) as connection:
        if connection.execute("SELECT count(*) FROM preregistration").fetchone()[0] >= FROZEN_MOST:
            full = N_("There are {most} preregistrations, and no more are kept.")
            raise StudyError(full, most=FROZEN_MOST)
        values = {"at": moment.wall_ms, "document": document, "sha256": sha256}
        number = insert(connection, "preregistration", **values)
        rows.insert_audit(connection, actor, "preregister", f"{number} {sha256}", moment)
    return Preregistration(number, moment.wall_ms, document, sha256)


def preregistrations(path: Path) -> list[Preregistration]:
    """Return all of them, the newest first.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT id, at, document, sha256 FROM preregistration ORDER BY id DESC"
        )
        return [Preregistration(*row) for row in rows]
