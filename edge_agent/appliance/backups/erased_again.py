"""Erasures that a backup does not know of yet: they are done again in what is restored.

Nobody can reach into an archive. But the present database and the copies beside it know the times
of what was erased, and when each participant who was erased had been made; by these a participant
is recognised who is still in the archive.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.appliance.backups.inventory import open_as_it_is
from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect_any, copies_beside, transaction
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.erasure import erase_from_copy
from edge_agent.store.write.tombstones import (
    Span,
    add_tombstones,
    read_erased_participants,
    read_tombstones,
)


@dataclass(slots=True)
class Erasures:
    """What is known to be erased.

    Attributes:
        spans: the times of the sessions.
        participants: when each participant had been made, UTC milliseconds, with how many of them.
        complete: whether the present database could tell.
    """

    spans: set[Span] = field(default_factory=set)
    participants: Counter[int] = field(default_factory=Counter)
    complete: bool = True


def known_erasures(database: Path) -> Erasures:
    """Read what was erased from the present database and from every copy that lies beside it."""
    known = Erasures()
    known.complete = _add(known, database)
    for copy in copies_beside(database):
        _add(known, copy)
    return known


def erase_again(restored: Path, known: Erasures) -> tuple[int, int]:
    """Erase those from a restored database who were erased after it was copied.

    Return how many were erased, and how many could not be told apart from others.

    Raises:
        StoreError: the database cannot be written.
    """
    with translate_errors(restored):
        with closing(connect_any(restored)) as connection:
            spans = known.spans - set(read_tombstones(connection))
            made = known.participants - Counter(read_erased_participants(connection))
            codes, unclear = _find(connection, spans, made)
        for code in codes:
            erase_from_copy(restored, code)
        with closing(connect_any(restored)) as connection, transaction(connection):
            missing = spans - set(read_tombstones(connection))
            rest = made - Counter(read_erased_participants(connection))
            add_tombstones(connection, sorted(missing), sorted(rest.elements()))
    return len(codes), unclear


def _add(known: Erasures, database: Path) -> bool:
    """Add what a database knows; return whether it could be read."""
    try:
        with translate_errors(database), closing(open_as_it_is(database)) as connection:
            known.spans |= set(read_tombstones(connection))
            known.participants |= Counter(read_erased_participants(connection))
    except StoreError:
        return False
    return True


def _find(
    connection: sqlite3.Connection, spans: Iterable[Span], made: Counter[int]
) -> tuple[set[str], int]:
    """Return the codes of who was erased, and how many could be one or another."""
    codes: set[str] = set()
    unclear = 0
    by_session = {code for span in spans for code in _codes_in(connection, span)}
    for created, number in made.items():
        there = _codes_made(connection, created)
        if len(there) > number:  # several were made at one time, and only some of them erased
            there &= by_session
            unclear += abs(number - len(there))
        if len(there) <= number:
            codes |= there
    return codes, unclear


def _codes_in(connection: sqlite3.Connection, span: Span) -> set[str]:
    """Return who has a session of this time; one that was open when it was copied has no end."""
    rows = connection.execute(
        "SELECT code FROM participant JOIN session ON session.participant = participant.id "
        "WHERE started = ? AND (ended = ? OR ended IS NULL)",
        span,
    )
    return {row[0] for row in rows}


def _codes_made(connection: sqlite3.Connection, created: int) -> set[str]:
    rows = connection.execute("SELECT code FROM participant WHERE created = ?", (created,))
    return {row[0] for row in rows}
