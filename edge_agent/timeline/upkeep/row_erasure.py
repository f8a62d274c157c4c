"""The erasure of a participant's rows in one database, and of what the file still holds of them.

``erasure`` does it in the database in use, its copies and whatever else holds the participant.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.noted import CODE_AFTER, ERASED
from edge_agent.timeline.database.tables import (
    BROUGHT,
    OF_PARTICIPANT,
    OF_SESSION,
    TIMELINE,
    ErasureWay,
    Move,
    RowOwner,
    Table,
)
from edge_agent.timeline.upkeep.fold import folded_days, make_anew, pruned_minutes
from edge_agent.timeline.write import outbox
from edge_agent.timeline.write.audit import sealed_anew
from edge_agent.timeline.write.changes import log_erasure, unlogged_deletions
from edge_agent.timeline.write.merged_notes import write_counted
from edge_agent.timeline.write.rollups import Span, add_tombstones

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters

_SHORTEST_TEXT = 3
"""Letters; a shorter text is found everywhere by chance."""
_FILE_IN_AUDIT = frozenset(
    {"faces_import", "import_undo", "readings_import", "study_import", "video_import"}
)
"""Actions whose lines name an imported file, whose name may be the participant's."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class ErasedRows:
    """The number of deleted rows by table, without the identity of the participant.

    Attributes:
        rows: by table.
        minutes: minutes of the rollups that were computed anew.
        minutes_removed: of these, how many are gone: nothing else was recorded then, or their rows
            were too old.
        days_removed: days of which only the sum was kept, and is gone.
        texts: what the participant was called and what was noted of them; for the search of what is
            left, only.
    """

    rows: dict[str, int]
    minutes: int
    minutes_removed: int
    days_removed: int
    texts: frozenset[str]


def erase_rows(connection: sqlite3.Connection, code: str) -> ErasedRows | None:
    """Delete a participant and everything that was recorded in their sessions.

    ``None``: there is no such one.

    Raises:
        StudyError: a session of theirs is open.
    """
    known = sessions_to_erase(connection, code)
    if known is None:
        return None
    row, sessions = known
    participant = row["id"]
    real = row["code"]
    # Read before anything is deleted: afterwards nobody knows whose time it was.
    spans = [(session["started"], session["ended"]) for session in sessions]
    texts = {real, *_texts(connection, participant)}
    filled = _filled_imports(connection)
    deleted: Counter[str] = Counter()
    minutes = removed = days = 0
    # Before the markers go: with a declaration taken away, a minute would count too many rows.
    pruned_of = [pruned_minutes(connection, span) for span in spans]
    with unlogged_deletions(connection):
        deleted.update(_delete_study(connection, participant))
        for span, pruned in zip(spans, pruned_of, strict=True):
            days += folded_days(connection, span)
            deleted.update(_delete_timeline(connection, span))
            touched, gone = make_anew(connection, span, pruned)
            minutes += touched
            removed += gone
    connection.create_function("holds_code", 2, _holds_code, deterministic=True)
    log_erasure(connection, participant, spans)
    deleted["outbox"] += _delete_messages(connection, real, spans)
    deleted["set_aside"] += _delete_set_aside(connection, real, sessions)
    files = _forget_files(connection, real, filled - _filled_imports(connection))
    write_counted(
        connection, clock.now()
    )  # for the code may stand in lines that are not yet written
    with sealed_anew(connection, "participant_erase"):
        _forget_in_audit(connection, real, files)
    add_tombstones(connection, spans, [row["created"]])
    searched = _texts_to_search(connection, texts | files)
    return ErasedRows(dict(deleted), minutes, removed, days, searched)


def last_recorded_ms(connection: sqlite3.Connection) -> int:
    """Return the time of the last row of faces and sensors, UTC; 0: there is none."""
    times = [
        connection.execute(f"SELECT max(at) FROM {table.name}").fetchone()[0]
        for table in _there(connection, TIMELINE)
        if table.erasure is ErasureWay.IN_TIME and table.move is Move.ROWS
    ]
    return max((at for at in times if at is not None), default=0)


def people_of_import(connection: sqlite3.Connection, number: int) -> tuple[list[str], set[str]]:
    """Return the codes of the people whom an import has added, and all texts about them."""
    rows = connection.execute("SELECT id, code FROM participant WHERE import = ?", (number,))
    people = rows.fetchall()
    codes = [str(row["code"]) for row in people]
    return codes, {*codes, *(text for row in people for text in _texts(connection, row["id"]))}


def forget_people(
    connection: sqlite3.Connection, codes: Collection[str], texts: set[str]
) -> frozenset[str]:
    """Forget people beside the rows of the import that was undone.

    Args:
        connection: in the transaction that has deleted them.
        codes: of the people.
        texts: about them.

    Returns:
        The texts that are to be searched for.
    """
    connection.create_function("holds_code", 2, _holds_code, deterministic=True)
    files: set[str] = set()
    for code in codes:
        _delete_messages(connection, code, [])
        connection.execute("DELETE FROM set_aside WHERE holds_code(content, ?)", (code,))
        files |= _forget_files(connection, code, ())
    write_counted(connection, clock.now())
    with sealed_anew(connection, "import_undo"):
        for code in codes:
            _forget_in_audit(connection, code, files)
    return _texts_to_search(connection, texts | files)


def sessions_to_erase(
    connection: sqlite3.Connection, code: str
) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
    """Return the row of a participant and those of their sessions; ``None``: there is no such one.

    Raises:
        StudyError: a session of theirs is open.
    """
    row = connection.execute(
        "SELECT id, code, created FROM participant WHERE code = ?", (code,)
    ).fetchone()
    if row is None:
        return None
    sessions = connection.execute(
        "SELECT id, name, started, ended FROM session WHERE participant = ? ORDER BY started",
        (row["id"],),
    ).fetchall()
    for session in sessions:
        if session["ended"] is None:
            raise StudyError(
                f"Session {session['id']} of {row['code']} is open. End it, or withdraw the "
                "consent, which ends it."
            )
    return row, sessions


def _texts(connection: sqlite3.Connection, participant: int | None = None) -> set[str]:
    """Return the free texts of a participant; ``None``: those of everybody."""
    whose = {
        RowOwner.PARTICIPANT: "participant = :person",
        RowOwner.SESSION: "session IN (SELECT id FROM session WHERE participant = :person)",
    }
    texts: set[str] = set()
    for table in _there(connection, (*OF_PARTICIPANT, *OF_SESSION)):
        columns = _columns_of(connection, table)
        for text in table.texts:
            if text.column not in columns:
                continue
            which = "TRUE"  # what is a note of one person may be a condition of another
            if participant is not None:
                which = f"{whose[table.whose]} AND {text.where or 'TRUE'}"
            rows = connection.execute(
                f"SELECT DISTINCT {text.column} FROM {table.name} WHERE {which}",
                {"person": participant},
            )
            texts.update(str(row[0]) for row in rows if row[0])
    return texts


def _there(connection: sqlite3.Connection, tables: Iterable[Table]) -> list[Table]:
    """Return the tables that a database has: a copy of an older schema lacks some."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    names = {row[0] for row in rows}
    return [table for table in tables if table.name in names]


def _columns_of(connection: sqlite3.Connection, table: Table) -> set[str]:
    """Return the columns that a table has in this database."""
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
    return {str(row[0]) for row in rows}


def _texts_to_search(connection: sqlite3.Connection, texts: set[str]) -> frozenset[str]:
    """Return those of the deleted texts that may be nowhere in the file.

    One that others have as well, or a word of the statements that made the tables, stays in the
    file, and would ask for a VACUUM for nothing.
    """
    rows = connection.execute("SELECT lower(sql) FROM sqlite_schema WHERE sql IS NOT NULL")
    made = "\n".join(row[0] for row in rows)
    left = texts - _texts(connection) - _files(connection)
    return frozenset(text for text in left if text.lower() not in made)


def _filled_imports(connection: sqlite3.Connection) -> set[int]:
    """Return the imports of which there are rows still; those that were undone have none."""
    indexes = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    tables = [
        table for table in _there(connection, BROUGHT) if "import" in _columns_of(connection, table)
    ]
    # Where an index finds a row at once first, and last where a long table is walked.
    tables.sort(key=lambda table: (f"{table.name}_import" not in indexes, table.is_recorded))
    rows = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table.name} AS held WHERE held.import = import.id)"
        for table in tables
    )
    return {
        row[0]
        for row in connection.execute(
            f"SELECT id FROM import WHERE undone IS NULL AND ({rows or 'FALSE'})"
        )
    }


def _files(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the files that were imported."""
    return {str(row[0]) for row in connection.execute("SELECT file FROM import")}


def _forget_files(
    connection: sqlite3.Connection, code: str, emptied: Collection[int]
) -> frozenset[str]:
    """Forget the names of imported files that hold the code, and of those that were theirs alone.

    Return these names.
    """
    rows = connection.execute("SELECT id, file FROM import").fetchall()
    theirs = [row for row in rows if row[0] in emptied or _holds_code(row[1], code)]
    connection.executemany(
        "UPDATE import SET file = ? WHERE id = ?", [(ERASED, row[0]) for row in theirs]
    )
    return frozenset(str(row[1]) for row in theirs) - {ERASED}


def _delete_study(connection: sqlite3.Connection, participant: int) -> Counter[str]:
    """Delete the participant with all dependent rows, which are counted first."""
    sessions = "session IN (SELECT id FROM session WHERE participant = ?)"
    deleted = Counter(
        {
            table.name: connection.execute(
                f"SELECT count(*) FROM {table.name} WHERE {which}", (participant,)
            ).fetchone()[0]
            for tables, which in ((OF_PARTICIPANT, "participant = ?"), (OF_SESSION, sessions))
            for table in _there(connection, tables)
        }
    )
    connection.execute("DELETE FROM participant WHERE id = ?", (participant,))
    return deleted


def _delete_timeline(connection: sqlite3.Connection, span: Span) -> Counter[str]:
    """Delete the rows of all faces and sensors in a span.

    This includes rows that reach over its edges.
    """
    deleted: Counter[str] = Counter()
    for table in _there(connection, TIMELINE):
        if table.erasure is ErasureWay.IN_TIME:
            deleted[table.name] = connection.execute(
                f"DELETE FROM {table.name} WHERE {table.within}", {"start": span[0], "end": span[1]}
            ).rowcount
    # about somebody, and standing then; those of a session went with it
    deleted["alert"] = connection.execute(
        "DELETE FROM alert WHERE kind IN ('vital', 'face', 'sensor', 'variability') AND raised < ? "
        "AND (ended IS NULL OR ended >= ?)",
        (span[1], span[0]),
    ).rowcount
    return deleted


def _delete_messages(connection: sqlite3.Connection, code: str, spans: list[Span]) -> int:
    """Delete messages from the outbox and from those set aside.

    These are messages about the participant, summaries of their time, and messages too damaged to
    tell whom they are about.
    """
    # Messages are judged in SQL, so that the holes are noted by the statement that deletes.
    connection.create_function("damaged", 1, outbox.is_damaged, deterministic=True)
    deleted = 0
    for condition, values in _conditions_about(code, spans):
        deleted += outbox.delete_and_note(connection, condition, values, outbox.ERASED)
        connection.execute(f"DELETE FROM outbox_set_aside WHERE {condition}", values)
    return deleted


def _holds_code(text: str, code: str) -> bool:
    """Tell whether a code is in a text; one of a letter or two only as a word of its own.

    Nearly every text holds the letter *a*, and is not about the participant of that code.
    """
    return _pattern_of(code).search(text) is not None


def _pattern_of(code: str) -> re.Pattern[str]:
    pattern = re.escape(code)
    if len(code) < _SHORTEST_TEXT:
        pattern = rf"(?<![^\W_]){pattern}(?![^\W_])"
    return re.compile(pattern, re.IGNORECASE)


def _delete_set_aside(
    connection: sqlite3.Connection, code: str, sessions: list[sqlite3.Row]
) -> int:
    """Delete rejected rows of the participant: by time, session, code, or of an unknown time."""
    # 0 is the time of a row whose time is not known; see ``write.batch.set_aside``.
    deleted = connection.execute(
        "DELETE FROM set_aside WHERE at = 0 OR holds_code(content, ?)", (code,)
    ).rowcount
    for session in sessions:
        # Records of a protocol begin with their session.
        named = f'{{"session": {session["id"]},'
        deleted += connection.execute(
            "DELETE FROM set_aside WHERE at >= ? AND at < ? OR instr(content, ?) = 1",
            (session["started"], session["ended"], named),
        ).rowcount
    return deleted


def _conditions_about(code: str, spans: list[Span]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield SQL conditions and values that select messages about the participant."""
    # Damaged ones go first: their JSON cannot be asked.
    yield "damaged(CAST(payload AS BLOB))", ()
    text = "CAST(payload AS TEXT)"
    yield f"lower(json_extract({text}, '$.participant')) = lower(?)", (code,)
    ended = f"json_extract({text}, '$.window.end')"
    started = f"json_extract({text}, '$.window.start')"
    for start, end in spans:
        yield f"{ended} > ? AND {started} < ?", (iso_utc(start), iso_utc(end))


def _forget_in_audit(connection: sqlite3.Connection, code: str, files: Collection[str]) -> None:
    """Replace the code in lines about participants, and the files in those about imports.

    The lines themselves stay. In every other line the same word means something else, such as an
    account of that name.
    """
    for row in connection.execute("SELECT id, action, detail FROM audit").fetchall():
        detail = str(row["detail"])
        if row["action"] in _FILE_IN_AUDIT:
            for file in sorted(files, key=len, reverse=True):
                detail = detail.replace(file, ERASED)
            # An import that added nothing has left its line alone.
            detail = _pattern_of(code).sub(ERASED, detail)
        else:
            detail = _without_code(row["action"], detail, code)
        if detail != row["detail"]:
            connection.execute("UPDATE audit SET detail = ? WHERE id = ?", (detail, row["id"]))


def _without_code(action: str, detail: str, code: str) -> str:
    """Return the detail of a line without a code that it names."""
    mark = CODE_AFTER.get(action)
    if mark is None:
        return detail
    named = f"{mark}{code}".casefold()
    # Whole words only: a code may be part of another one.
    return " ".join(
        f"{mark}{ERASED}" if word.casefold() == named else word for word in detail.split(" ")
    )


def scrub(
    path: Path, connection: sqlite3.Connection, texts: Iterable[str], *, surely: bool = False
) -> bool:
    """Remove deleted texts from file and log; return whether a ``VACUUM`` was needed.

    Args:
        path: the database.
        connection: to it, outside a transaction.
        texts: that were deleted, and must be nowhere in the file.
        surely: write the file anew in any case: nobody knows all texts any more.

    Raises:
        StoreError: a reader did not end in time.

    ``secure_delete`` overwrites what is deleted, but a page that SQLite has rearranged before may
    hold older copies.
    """
    # First the log, whose frames hold the pages as they were before; only then does the file have
    # all that is left, and can be searched.
    empty_log(path, connection)
    # Searching the file is cheaper than writing it anew, and seldom finds anything.
    if not surely and not holds(path, texts):
        return False
    connection.execute("VACUUM")
    # VACUUM writes the new file through the log: it is emptied again.
    empty_log(path, connection)
    return True


def empty_log(path: Path, connection: sqlite3.Connection) -> None:
    """Write the log into the file and empty it; wait for present readers.

    Raises:
        StoreError: a reader did not end in time.
    """
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        raise StoreError(
            f"{path}: the rows are erased, but another program keeps the file open, and its "
            f"log {path.name}-wal still holds them. Close what reads it (an export, a "
            "database browser), then restart the agent and the dashboard: that empties the "
            "log."
        )


def holds(path: Path, texts: Iterable[str]) -> bool:
    """Tell whether the bytes of a text are in the file, in upper or lower case."""
    # A text of one or two letters is found in every file by chance.
    # Only letters of ASCII: SQLite and ``bytes.lower`` know no others.
    wanted = [text.encode().lower() for text in texts if len(text) >= _SHORTEST_TEXT]
    if not wanted:
        return False
    # A text may lie across two chunks.
    overlap = max(map(len, wanted)) - 1
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            window = kept + chunk.lower()
            if any(text in window for text in wanted):
                return True
            kept = window[-overlap:] if overlap else b""
    return False
