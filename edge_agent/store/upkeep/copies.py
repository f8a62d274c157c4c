"""The daily copies of a database: which were verified, what is in them, and which may go.

A copy carries its verification in itself, in its table ``setting``: nothing beside it can be lost,
and erasing a participant changes both in one transaction.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from edge_agent.core.errors import StoreError
from edge_agent.store.database.schema import connect_any, copies_beside, transaction
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.upkeep.verification import Contents, read_contents, verify

_KEY = "copy_verified"
_DAILY = re.compile(r"\.backup-\d{4}-\d{2}-\d{2}[-a-z0-9]*$")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a verified copy says of itself.

    Attributes:
        verified_ms: when it was verified, UTC.
        number: rises with each copy in a folder: an order that no wrong clock can change.
        contents: what is in it.
        smaller_than: name of the copy that held much more when this one was made; else ``None``.
    """

    verified_ms: int
    number: int
    contents: Contents
    smaller_than: str | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """A daily copy; without a mark it was not verified."""

    path: Path
    mark: Mark | None


def daily_copies(database: Path) -> list[Copy]:
    """Return the daily copies beside a database, or beside where it would be in another folder."""
    paths = [path for path in copies_beside(database) if _DAILY.search(path.name)]
    return [Copy(path, _read_mark(path)) for path in paths]


def verified(copies: Sequence[Copy]) -> list[tuple[Copy, Mark]]:
    """Return the verified copies with their marks, the last one first."""
    marked = [(copy, copy.mark) for copy in copies if copy.mark]
    return sorted(marked, key=lambda pair: pair[1].number, reverse=True)


def fullest(copies: Sequence[Copy]) -> tuple[Copy, Mark] | None:
    """Return the verified copy that holds the most, of several the last one."""
    return max(verified(copies), key=lambda pair: (pair[1].contents, pair[1].number), default=None)


def adopt(database: Path, at_ms: int) -> list[Copy]:
    """Verify and mark the copies that have no mark yet: a person made them.

    Return all copies. Those that do not verify stay without a mark.
    """
    copies = daily_copies(database)
    number = next_number(copies)
    for place, copy in enumerate(copies):
        if copy.mark is None:
            try:
                verify(copy.path)
                mark = write_mark(copy.path, partial(Mark, at_ms, number))
            except StoreError:
                continue
            copies[place] = Copy(copy.path, mark)
            number += 1
    return copies


def next_number(copies: Sequence[Copy]) -> int:
    """Return the number of the next copy."""
    return 1 + max((mark.number for _, mark in verified(copies)), default=0)


def write_mark(copy: Path, make: Callable[[Contents], Mark]) -> Mark:
    """Write down in a copy that it was verified; return the mark, which ``make`` makes.

    It is counted and written in one transaction, so that an erasure comes before it or after it.

    Raises:
        StoreError: the copy cannot be read or written.
    """
    with (
        translate_errors(copy),
        closing(connect_any(copy)) as connection,
        transaction(connection),
    ):
        mark = make(read_contents(connection))
        _store(connection, mark)
    return mark


def mark_anew(connection: sqlite3.Connection) -> None:
    """Count again what is in a copy from which something was erased.

    A copy that was not verified stays so.
    """
    mark = _parse(_stored(connection))
    if mark:
        _store(connection, replace(mark, contents=read_contents(connection)))


def forget_mark(connection: sqlite3.Connection) -> None:
    """Make a database of a copy: it is no verified copy any more."""
    connection.execute("DELETE FROM setting WHERE key = ?", (_KEY,))


def to_delete(copies: Sequence[Copy], keep: int) -> list[Path]:
    """Return the copies that may go, once ``keep`` verified and complete ones are there.

    What stays whatever comes: the last verified copy and the fullest one. Copies that are much
    smaller lie beside the others and take the place of none; the newest and the fullest of them
    stay until ``keep`` complete ones are newer. What could not be verified goes last.
    """
    good = verified(copies)
    complete = [(copy, mark) for copy, mark in good if mark.smaller_than is None][:keep]
    smaller = [
        (copy, mark)
        for copy, mark in good
        if mark.smaller_than is not None
        and sum(other.number > mark.number for _, other in complete) < keep
    ]
    last = [copy for copy, _ in (*good[:1], *complete, *smaller[:1])]
    most = [fullest(copies), fullest([copy for copy, _ in smaller])]
    staying = {copy.path for copy in last} | {pair[0].path for pair in most if pair}
    if len(complete) < keep:
        staying |= {copy.path for copy in copies if copy.mark is None}
    return [copy.path for copy in copies if copy.path not in staying]


def _read_mark(copy: Path) -> Mark | None:
    """Return the mark of a copy without changing or locking it; ``None`` where it has none."""
    address = f"file:{quote(str(copy.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            return _parse(_stored(connection))
    except sqlite3.Error:
        return None


def _stored(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM setting WHERE key = ?", (_KEY,)).fetchone()
    if row is None:
        return None
    return str(row[0])


def _parse(text: str | None) -> Mark | None:
    if text is None:
        return None
    try:
        fields = json.loads(text)
        contents = Contents(**fields.pop("contents"))
        return Mark(contents=contents, **fields)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _store(connection: sqlite3.Connection, mark: Mark) -> None:
    connection.execute(
        "INSERT INTO setting (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = "
        "excluded.value",
        (_KEY, json.dumps(asdict(mark), separators=(",", ":"))),
    )
