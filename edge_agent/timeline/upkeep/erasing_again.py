"""Erasing again: in a copy or a restored database, those who were erased are known by times alone.

An erasure keeps no code. It keeps the times of the erased sessions and of the creation of the
participant, by which they are found in what was copied before.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.timeline.database import files
from edge_agent.timeline.database.connection import (
    connect,
    connect_any,
    transaction,
    write_transaction,
)
from edge_agent.timeline.database.copy import copies_beside
from edge_agent.timeline.database.dashboard_file import delete_prepared_exports, prepared_folder
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.salvages import read_salvages
from edge_agent.timeline.study.rows import insert_audit
from edge_agent.timeline.upkeep import unfinished
from edge_agent.timeline.upkeep.copies import read_report, write_report
from edge_agent.timeline.upkeep.dashboard_erasure import forget_in_dashboard
from edge_agent.timeline.upkeep.erasure import erase_from_copy, moved_away
from edge_agent.timeline.upkeep.row_erasure import scrub
from edge_agent.timeline.upkeep.unfinished import Failures
from edge_agent.timeline.write.rollups import (
    Span,
    add_tombstones,
    read_erased_participants,
    read_tombstones,
)


@dataclass(slots=True)
class Erasures:
    """The sessions and participants that are known to be erased.

    Attributes:
        spans: start and end of the sessions.
        participants: times of creation, UTC milliseconds, with the number of participants of each.
        complete: whether the present database could be read.
    """

    spans: set[Span] = field(default_factory=set)
    participants: Counter[int] = field(default_factory=Counter)
    complete: bool = True


def erase_again(restored: Path, known: Erasures) -> tuple[int, int]:
    """Erase participants from a restored database who were erased after it was copied.

    Returns the number of erased participants, and of those who cannot be told from others.

    Raises:
        StoreError: the database cannot be written.
    """
    with translate_errors(restored):
        with closing(connect_any(restored)) as connection:
            # What the restored database already knows was erased before it was copied.
            spans = known.spans - set(read_tombstones(connection))
            made = known.participants - Counter(read_erased_participants(connection))
            codes, unclear = _find(connection, spans, made)
        for code in codes:
            erase_from_copy(restored, code)
        with closing(connect_any(restored)) as connection, transaction(connection):
            missing = spans - set(read_tombstones(connection))
            rest = made - Counter(read_erased_participants(connection))
            # Also of those whom it does not hold, so that the next restore from it knows them.
            add_tombstones(connection, sorted(missing), sorted(rest.elements()))
    return len(codes), unclear


def _find(
    connection: sqlite3.Connection, spans: Iterable[Span], made: Counter[int]
) -> tuple[set[str], int]:
    """Return the codes of the erased participants, and how many are ambiguous."""
    codes: set[str] = set()
    unclear = 0
    by_session = {code for span in spans for code in _codes_in(connection, span)}
    # By the time of creation, for an erasure keeps no codes.
    for created, number in made.items():
        there = _codes_made(connection, created)
        if len(there) > number:  # several were made at one time, and only some of them erased
            # The moment of creation is not unique; a session of an erased span settles who is
            # meant.
            there &= by_session
            unclear += abs(number - len(there))
        # Otherwise somebody who was not erased might lose everything: better nobody, and a warning.
        if len(there) <= number:
            codes |= there
    return codes, unclear


def _codes_in(connection: sqlite3.Connection, span: Span) -> set[str]:
    """Return the participants with a session of this time; an open session has no end yet."""
    rows = connection.execute(
        "SELECT code FROM participant JOIN session ON session.participant = participant.id "
        "WHERE started = ? AND (ended = ? OR ended IS NULL)",
        span,
    )
    return {row[0] for row in rows}


def _codes_made(connection: sqlite3.Connection, created: int) -> set[str]:
    rows = connection.execute("SELECT code FROM participant WHERE created = ?", (created,))
    return {row[0] for row in rows}


def finish_erasures(path: Path, *, actor: str) -> int:
    """Try again what erasures could not do; return how many things were done.

    Nobody knows the erased participant any more: the database, whose texts were searched, is
    written anew, and in copies the erased are known by times.

    Raises:
        StoreError: something could still not be done; the text names it. The rest was done.
    """
    with translate_errors(path), closing(connect(path, readonly=False)) as connection:
        at_ms = clock.now().wall_ms
        left = unfinished.read_left(connection)
        failed = Failures(at_ms)
        for name in left:
            _finish(path, connection, name, failed)
        if left:
            with transaction(connection):
                unfinished.store_outcome(connection, left, failed.left, at_ms)
                if not failed.left:
                    insert_audit(connection, actor, "participant_erase_finished", "", clock.now())
    if failed.left:
        raise StoreError(" ".join(failed.reasons))
    return len(left)


def note_forgotten(path: Path, since_ms: int, *, actor: str) -> None:
    """Store that the dashboard has forgotten whom it was ordered to forget until then.

    Raises:
        StoreError: the database cannot be written.
    """
    with write_transaction(path) as connection:
        left = unfinished.read_left(connection)
        unfinished.store_outcome(connection, (unfinished.ACCOUNTS,), {}, since_ms)
        if left and not unfinished.read_left(connection):
            insert_audit(connection, actor, "participant_erase_finished", "", clock.now())


def _finish(path: Path, connection: sqlite3.Connection, name: str, failed: Failures) -> None:
    """Do one thing that is left, under its name in what is stored."""
    if name == unfinished.EXPORTS:
        with failed.keep_error(name, prepared_folder(path.parent)):
            delete_prepared_exports(path.parent)
    elif name == unfinished.DATABASE:
        with failed.keep_error(name, path):
            scrub(path, connection, (), surely=True)
    elif name == unfinished.ACCOUNTS:
        with failed.keep_error(name, path):
            forget_in_dashboard(path)
    elif name in {unfinished.COPIES, unfinished.PLACES}:
        with failed.keep_error(unfinished.PLACES, path):
            report = read_report(path)
            places = dict.fromkeys(report.places, clock.now().wall_ms)
            write_report(path, replace(report, places=places))
    damaged = files.set_aside_beside(path)
    copies = [*copies_beside(path), *damaged]
    copies += moved_away(path, read_salvages(connection))
    known = Erasures(
        set(read_tombstones(connection)), Counter(read_erased_participants(connection))
    )
    for copy in copies:
        if name in {unfinished.COPIES, str(copy)}:
            with failed.keep_error(str(copy), copy):
                _finish_copy(copy, known, is_damaged=copy in damaged)


def _finish_copy(copy: Path, known: Erasures, *, is_damaged: bool) -> None:
    """Erase the erased from a copy, and write it anew; one that cannot be read is deleted.

    Raises:
        StoreError: somebody cannot be told from others.
        OSError, sqlite3.Error: it cannot be written or deleted.
    """
    unclear = 0
    try:
        if not is_damaged:
            unclear = erase_again(copy, known)[1]
            with closing(connect_any(copy)) as connection:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except DamageError:
        is_damaged = True
    if is_damaged:
        files.delete_set_aside(copy)
    if unclear:
        raise StoreError(
            f"{copy}: who was erased cannot be told there from others who were added in the same "
            f"moment. Delete it when a newer copy is there: rm {shell_word(copy)}"
        )
