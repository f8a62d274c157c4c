"""The chain of the audit trail: each line carries a seal over itself and the seal before it.

A line that was changed does not fit its seal any more; one that was removed is missed by the next;
the seal of the newest stands in ``setting`` as well, so that a cut at the end is noticed. There is
no key: whoever may write the database can seal all lines anew. The seal of the newest line, written
down elsewhere, shows that as well.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from edge_agent.core import clock
from edge_agent.core.bounds import printable
from edge_agent.core.clock import Instant
from edge_agent.timeline.database.connection import insert
from edge_agent.timeline.database.setting import read_setting, write_setting
from edge_agent.timeline.write.boots import stamp

HEAD = "audit_head"
"""Key in ``setting``: the seal of the newest line."""
RESEALED = "audit_reseal"
"""Action of the line that says that lines were sealed anew, and why."""
SHOWN = 16
"""Characters of a seal that people compare."""
_BROKEN = "broken before"
_FAULTS_MAX = 20
_OF_A_LINE = 100
"""Characters that a line takes beside its texts: time, number and seal."""
_COLUMNS = "id, at, actor, action, detail, seal"


@dataclass(frozen=True, slots=True)
class Chain:
    """The result of comparing all lines with their seals.

    Attributes:
        lines: how many there are.
        head: seal of the newest; empty where none was sealed yet.
        faults: what is wrong, at most 20, the oldest line first; empty: nothing is.
    """

    lines: int
    head: str
    faults: tuple[str, ...]


def seal_of(before: str, at: int, actor: str, action: str, detail: str) -> str:
    """Return the seal of a line: SHA-256 in hexadecimal over a JSON list.

    Args:
        before: seal of the line before; empty for the first.
        at: when, in ms since 1970.
        actor: who.
        action: what was done.
        detail: to what.

    Example:
        >>> seal_of("", 0, "ada", "login", "")[:16]
        '0660fab52e5ff577'
    """
    text = json.dumps(
        [before, at, actor, action, detail], ensure_ascii=False, separators=(",", ":")
    )
    # A lone half of a character pair can be stored and must not stop the audit.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class AuditLine:
    """A line to be written.

    Attributes:
        at: when, in ms since 1970.
        actor: who.
        action: what was done.
        detail: to what.
        boot: row of ``boot`` that the time was read under, where it is known.
    """

    at: int
    actor: str
    action: str
    detail: str = ""
    boot: int | None = None


def append(connection: sqlite3.Connection, line: AuditLine) -> int:
    """Write a line at the end of the chain, in the caller's transaction; return its number.

    Control characters, which would write other lines on a terminal, are written as escapes. Where
    no seal is kept, as after a rescue that lost it, all lines are sealed first.
    """
    head = read_setting(connection, HEAD)
    if head is None:
        head = _seal_from(connection, 0, "")
    line = replace(
        line,
        actor=printable(line.actor),
        action=printable(line.action),
        detail=printable(line.detail),
    )
    seal = seal_of(head, line.at, line.actor, line.action, line.detail)
    write_setting(connection, HEAD, seal)
    return insert(connection, "audit", **asdict(line), seal=seal)


def write_line(
    connection: sqlite3.Connection, actor: str, action: str, detail: str, at: Instant | None = None
) -> None:
    """Write a line with an instant of this machine, by default now."""
    boot, known = stamp(connection, at or clock.now())
    append(connection, AuditLine(known.wall_ms, actor, action, detail, boot))


@dataclass(frozen=True, slots=True)
class Lately:
    """What the newest lines of the trail hold.

    Attributes:
        alike: lines of the same actor, action and detail.
        of_both: lines of the same actor and action.
        characters: of all lines of some actions.
    """

    alike: int
    of_both: int
    characters: int


def lately(
    connection: sqlite3.Connection, since_ms: int, like: AuditLine, actions: Iterable[str]
) -> Lately:
    """Return the newest lines, of which those that are alike stand once.

    Args:
        connection: to read from.
        since_ms: they are newer than this; the first that is not ends the search.
        like: the line that is about to be written; one that is later is of a clock that was set
            back, and does not count.
        actions: whose characters are counted.
    """
    row = connection.execute(
        "SELECT total(actor = :actor AND action = :action AND detail = :detail), "
        "total(actor = :actor AND action = :action), "
        "total(CASE WHEN action IN (SELECT value FROM json_each(:actions)) THEN :line + "
        "length(actor) + length(action) + length(detail) END) FROM audit WHERE at <= :until "
        "AND id > coalesce((SELECT id FROM audit WHERE at <= :since ORDER BY id DESC LIMIT 1), 0)",
        {
            "actor": like.actor,
            "action": like.action,
            "detail": like.detail,
            "actions": json.dumps(list(actions)),
            "line": _OF_A_LINE,
            "until": like.at,
            "since": since_ms,
        },
    ).fetchone()
    return Lately(*map(int, row))


def amend_newest(connection: sqlite3.Connection, number: int, detail: str) -> bool:
    """Change the detail of a line if it is still the newest; return whether it was."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM audit ORDER BY id DESC LIMIT 2"  # noqa: S608 - our own names
    ).fetchall()
    newest = rows[0]
    # Another program wrote a line meanwhile: the newer seal covers this one.
    if newest["id"] != number:
        return False
    detail = printable(detail)
    before = rows[1]["seal"] if len(rows) > 1 else None
    seal = seal_of(before or "", newest["at"], newest["actor"], newest["action"], detail)
    connection.execute("UPDATE audit SET detail = ?, seal = ? WHERE id = ?", (detail, seal, number))
    write_setting(connection, HEAD, seal)
    return True


def check(connection: sqlite3.Connection) -> Chain:
    """Compare every line with its seal, and the newest seal with its stored copy."""
    faults: list[str] = []
    head = read_setting(connection, HEAD)
    lines = 0
    seal = ""
    last = 0
    for row in _rows(connection, 0):
        lines += 1
        if head is not None and row["id"] != last + 1:
            # Sequence numbers have no holes in this table: each row that is missed was removed.
            faults.append(_missing(last + 1, row["id"] - 1))
        elif fault := _fault(row, seal, sealed=head is not None):
            faults.append(fault)
        # A line without a seal is reported once; the chain goes on from the seal before it.
        seal = row["seal"] or seal
        last = row["id"]
    if head is not None and head != seal:
        faults.append(f"After line {last} one or more lines are missing.")
    return Chain(lines, seal, tuple(faults[:_FAULTS_MAX]))


@contextmanager
def sealed_anew(connection: sqlite3.Connection, why: str) -> Iterator[None]:
    """Allow the block to change sealed lines, as an erasure must, and reseal them.

    One more line says so, with the former seal of the newest; if something was wrong with the
    chain before, that line says so for ever.

    Args:
        connection: in a write transaction.
        why: the action that changes lines.
    """
    # Nothing was sealed yet: the first ``append`` seals all lines.
    if read_setting(connection, HEAD) is None:
        yield
        return
    # Looked at before the change: afterwards an older break could not be told from this one.
    was = check(connection)
    # A hash of each line and not the line: the trail may be long.
    contents = {row["id"]: _content(row) for row in _rows(connection, 0)}
    yield
    changed = (
        row["id"] for row in _rows(connection, 0) if contents.get(row["id"]) != _content(row)
    )
    first = next(changed, None)
    if first is None:
        return
    seal = _seal_from(connection, first, _seal_before(connection, first))
    write_setting(connection, HEAD, seal)
    detail = f"from line {first} after {why}; head was {was.head[:SHOWN]}"
    if was.faults:
        detail = f"{detail}; {_BROKEN}: {was.faults[0]}"
    append(connection, AuditLine(clock.now().wall_ms, "appliance", RESEALED, detail))


def _content(row: sqlite3.Row) -> int:
    return hash((row["at"], row["actor"], row["action"], row["detail"]))


def _seal_before(connection: sqlite3.Connection, number: int) -> str:
    row = connection.execute(
        "SELECT seal FROM audit WHERE id < ? AND seal IS NOT NULL ORDER BY id DESC LIMIT 1",
        (number,),
    ).fetchone()
    return "" if row is None else str(row[0])


def _seal_from(connection: sqlite3.Connection, first: int, before: str) -> str:
    """Seal the lines from a number on; return the seal of the newest."""
    seal = before
    # Read whole before the first update, for a row must not be changed under an open query.
    for row in list(_rows(connection, first)):
        seal = _expected_seal(row, seal)
        connection.execute("UPDATE audit SET seal = ? WHERE id = ?", (seal, row["id"]))
    return seal


def _fault(row: sqlite3.Row, before: str, *, sealed: bool) -> str | None:
    number = row["id"]
    if row["seal"] is None:
        if sealed:
            return f"Line {number} has no seal: another program wrote it, or took its seal away."
        return None
    if row["seal"] != _expected_seal(row, before):
        return f"Line {number} was changed, or the line before it was."
    if row["action"] == RESEALED and f"; {_BROKEN}: " in row["detail"]:
        return f"Line {number} says that the chain was broken when it was sealed anew."
    return None


def _missing(first: int, last: int) -> str:
    if last <= first:
        return f"Line {first} is missing."
    return f"Lines {first} to {last} are missing."


def _expected_seal(row: sqlite3.Row, before: str) -> str:
    return seal_of(before, row["at"], row["actor"], row["action"], row["detail"])


def _rows(connection: sqlite3.Connection, first: int) -> Iterator[sqlite3.Row]:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    yield from cursor.execute(
        f"SELECT {_COLUMNS} FROM audit WHERE id >= ? ORDER BY id",  # noqa: S608 - our own names
        (first,),
    )
