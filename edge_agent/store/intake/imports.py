"""The imports of readings and studies: listing them, what each added, and undoing one.

Undoing the import of a study, or of a video's faces, removes exactly the rows that it added. An
import gives its rows consecutive numbers, so the first and the last number in each table identify
them; readings name their import. A number whose row was erased may be given again: participants are
therefore also identified by the time at which they were added, and rows of the timeline by their
time.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.readings import UNUSABLE, VitalReading, place_in_time
from edge_agent.store.database.schema import SPANS, read_transaction, write_transaction
from edge_agent.store.study.past import Placement
from edge_agent.store.study.rows import insert_audit, select_sessions
from edge_agent.store.upkeep.fold import folded_days, make_anew, pruned_minutes
from edge_agent.store.write.redating import delete_import
from edge_agent.store.write.rollups import Span
from edge_agent.store.write.timeline import recorded_value

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_OF_PERSON = ("session", "consent", "participant_attribute")
_OF_SESSION = ("marker", "self_report")
_OF_FACES = ("expression", "movement")
_OF_TIME = {"expression": "at", "movement": "at", "unfit": "at", "gap": "started"}
_TABLES = ("participant", *_OF_PERSON, *_OF_SESSION, *_OF_TIME, "model")
_PEOPLE = "people"
_OTHERS = "others"
_FACES = "faces"
_KEY = "study_import_{}"
Numbers = Mapping[str, Any]
_OWNER = (
    "SELECT participant.id, created FROM session JOIN participant ON participant.id = "
    "session.participant WHERE session.id = ?"
)
_NAMES = {
    "participant": "participants",
    "session": "sessions",
    "consent": "consents",
    "participant_attribute": "attributes",
    "marker": "markers",
    "self_report": "self-reports",
    "expression": "expression rows",
    "movement": "rows of movements",
    "unfit": "counts of unreadable frames",
    "gap": "gaps",
    "day": "days of which only the sum was kept",
}
"""Names of the rows of a study, in the order in which they are told."""


def highest_numbers(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the highest number of each table that an import of a study adds to."""
    return {
        table: connection.execute(f"SELECT coalesce(max(id), 0) FROM main.{table}").fetchone()[0]
        for table in _TABLES
    }


def note_numbers(
    connection: sqlite3.Connection,
    number: int,
    before: Mapping[str, int],
    faces: tuple[int, int, int] | None = None,
) -> None:
    """Keep which rows an import added.

    Args:
        connection: of its transaction.
        number: of the import.
        before: ``highest_numbers`` ahead of it.
        faces: of a video, its session, and when it began and ended; ``None``: it is a study.
    """
    after = highest_numbers(connection)
    numbers = {table: (before[table] + 1, after[table]) for table in _TABLES}
    people = dict(
        connection.execute(
            "SELECT id, created FROM main.participant WHERE id BETWEEN ? AND ?",
            numbers["participant"],
        ).fetchall()
    )
    noted: dict[str, Any] = {**numbers, _PEOPLE: list(people.items())}
    if faces is not None:
        noted[_FACES] = (*faces, *connection.execute(_OWNER, faces[:1]).fetchone())
    added = _sessions(connection, noted, _owners(connection, noted, people))
    noted[_OTHERS] = _other_readings(connection, number, added)
    text = json.dumps(noted)
    # Readings that others added are counted now, so that an undo sees which came later.
    connection.execute("INSERT INTO setting VALUES (?, ?)", (_KEY.format(number), text))


def read_numbers(connection: sqlite3.Connection) -> dict[int, Numbers]:
    """Return the numbers of the rows that each import of a study added, by that of the import."""
    rows = connection.execute(
        "SELECT import.id, value FROM import JOIN setting ON key = printf(?, import.id)",
        (_KEY.format("%d"),),
    )
    return {number: json.loads(text) for number, text in rows}


def undo_study(connection: sqlite3.Connection, number: int) -> Counter[str]:
    """Delete the rows that an import of a study or of faces added, in a transaction of the caller.

    Args:
        connection: of the transaction.
        number: of the import.

    Returns:
        How many rows were deleted, by table; ``day``: days of which only the sum was kept.

    Raises:
        StudyError: something was recorded into it since.
    """
    known = read_numbers(connection)
    numbers = known.pop(number)
    _refuse_numbers_again(number, numbers, known)
    people = [
        person
        for person, created in numbers[_PEOPLE]
        if connection.execute(
            "SELECT 1 FROM participant WHERE id = ? AND created = ?", (person, created)
        ).fetchone()
    ]
    owners = _owners(connection, numbers, people)
    sessions = _sessions(connection, numbers, owners)
    _refuse_recorded_since(connection, number, numbers, people, sessions)
    deleted = Counter({one: _count(connection, one, "participant", people) for one in _OF_PERSON})
    deleted.update({one: _count(connection, one, "session", sessions) for one in _OF_SESSION})
    spans = list(sessions.values())
    if _FACES in numbers:
        # Its session may have been there before, and may be erased since.
        spans = [tuple(numbers[_FACES][1:3])] * bool(owners)
    pruned = {span: pruned_minutes(connection, span) for span in spans}
    deleted["day"] = sum(folded_days(connection, span) for span in spans)
    for table, column in _OF_TIME.items():
        deleted[table] = sum(
            connection.execute(
                f"DELETE FROM {table} WHERE id BETWEEN ? AND ? AND {column} >= ? AND {column} < ?",
                (*numbers[table], *span),
            ).rowcount
            for span in spans
        )
    if _FACES in numbers and spans:
        # A number of a marker is never given again. Those of a session that goes, go with it.
        own = connection.execute("DELETE FROM marker WHERE id BETWEEN ? AND ?", numbers["marker"])
        deleted["marker"] = own.rowcount
        deleted["session"] = _delete(connection, "session", sessions)
    # The rollups are made anew below, whatever was taken out of them.
    deleted["vital"] = connection.execute("DELETE FROM vital WHERE import = ?", (number,)).rowcount
    connection.execute("DELETE FROM model WHERE id BETWEEN ? AND ?", numbers["model"])
    deleted["participant"] = _delete(connection, "participant", people)
    # Only now are all rows of the sessions gone.
    for span, minutes in pruned.items():
        make_anew(connection, span, minutes)
    connection.execute("DELETE FROM setting WHERE key = ?", (_KEY.format(number),))
    return deleted


def _sessions(
    connection: sqlite3.Connection, numbers: Numbers, people: Iterable[int]
) -> dict[int, Span]:
    """Return the spans of the sessions that an import added, by number."""
    rows = connection.execute(
        "SELECT id, started, ended FROM main.session WHERE id BETWEEN ? AND ? AND participant IN "
        "(SELECT value FROM json_each(?))",
        (*numbers["session"], json.dumps(list(people))),
    )
    return {row[0]: (row[1], row[2]) for row in rows}


def _owners(
    connection: sqlite3.Connection, numbers: Numbers, people: Iterable[int]
) -> Iterable[int]:
    """Return whose sessions an import added: people of its study, or who is in the video."""
    if _FACES not in numbers:
        return people
    session, _, _, person, created = numbers[_FACES]
    rows = connection.execute(
        f"{_OWNER} AND participant.id = ? AND created = ?", (session, person, created)
    )
    return [row[0] for row in rows]


def _delete(connection: sqlite3.Connection, table: str, ids: Iterable[int]) -> int:
    rows = f"DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))"
    return connection.execute(rows, (json.dumps(list(ids)),)).rowcount


def _refuse_numbers_again(number: int, numbers: Numbers, others: Mapping[int, Numbers]) -> None:
    """Refuse if a later import reuses numbers of participants erased from this one."""
    first, last = numbers["participant"]
    for other, its in others.items():
        # A number of an erased row may be given again by SQLite, then to a row of the later import.
        if other > number and its["participant"][0] <= last and its["participant"][1] >= first:
            raise StudyError(
                f"Import {other} has numbers of people who were erased from import {number}: undo "
                f"import {other} first. Nothing was removed."
            )


def _refuse_recorded_since(
    connection: sqlite3.Connection,
    number: int,
    numbers: Numbers,
    people: Iterable[int],
    sessions: Mapping[int, Span],
) -> None:
    since: Counter[str] = Counter()
    for table in _OF_PERSON:
        since[table] = _count(connection, table, "participant", people, numbers[table])
    for table in (*_OF_SESSION, "protocol_run"):
        since[table] = _count(connection, table, "session", sessions, numbers.get(table))
    for table, column in _OF_TIME.items():
        # what was there before the import was joined to it, and stays
        since[table] = connection.execute(
            f"{SPANS} SELECT count(*) FROM span CROSS JOIN {table} ON {column} >= first AND "
            f"{column} < last WHERE id > ?",
            (json.dumps(list(sessions.values())), numbers[table][1]),
        ).fetchone()[0]
    others = _other_readings(connection, number, sessions)
    since["vital"] = max(0, others - numbers[_OTHERS])
    told = ", ".join(f"{count} rows of {table}" for table, count in since.items() if count)
    if told:
        raise StudyError(
            f"Something was recorded into the study of import {number} since ({told}); nothing was "
            "removed. Undo the imports that added it first (affect-edge imports), or erase each "
            "participant (affect-edge participant erase CODE)."
        )


def _other_readings(
    connection: sqlite3.Connection, number: int, sessions: Mapping[int, Span]
) -> int:
    """Return how many readings that an import did not add lie in its sessions."""
    count: int = connection.execute(
        f"{SPANS} SELECT count(*) FROM span CROSS JOIN main.vital ON at >= first AND at < last "
        "WHERE import IS NOT ?",
        (json.dumps(list(sessions.values())), number),
    ).fetchone()[0]
    return count


def _count(
    connection: sqlite3.Connection,
    table: str,
    column: str,
    ids: Iterable[int],
    but: tuple[int, int] | None = None,
) -> int:
    """Return how many rows refer to any of some numbers, without rows numbered in a range."""
    row = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {column} IN (SELECT value FROM json_each(?)) AND NOT "
        "id BETWEEN ? AND ?",
        # From 0 to -1 is no number at all.
        (json.dumps(list(ids)), *(but or (0, -1))),
    ).fetchone()
    return int(row[0])


@dataclass(frozen=True, slots=True)
class TakenReadings:
    """The readings of one kind and source that an import added.

    Attributes:
        kind, source: of which.
        readings: how many.
        first_ms, last_ms: times of the first and the last, UTC milliseconds.
        outside_sessions: how many of them lie in no session and are in no test.
        unusable: flag → how many of them have it and count in no mean.
    """

    kind: str
    source: str
    readings: int
    first_ms: int
    last_ms: int
    outside_sessions: int
    unusable: dict[str, int]


def taken_readings(path: Path, number: int) -> list[TakenReadings]:
    """Return the readings that an import added, by kind and source.

    Raises:
        StoreError: as ``schema.connect``.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT kind, source, flags, count(*) AS readings, min(at) AS first, max(at) AS last, "
            "sum(NOT EXISTS (SELECT 1 FROM session WHERE started <= vital.at AND (ended IS NULL "
            "OR vital.at < ended))) AS outside FROM vital WHERE import = ? GROUP BY kind, source, "
            "flags ORDER BY kind, source",
            (number,),
        ).fetchall()
    taken = []
    for (kind, source), group in groupby(rows, key=lambda row: (row["kind"], row["source"])):
        parts = list(group)
        unusable: Counter[str] = Counter()
        for row in parts:
            for flag in sorted(UNUSABLE.intersection(row["flags"].split())):
                unusable[flag] += row["readings"]
        taken.append(
            TakenReadings(
                kind,
                source,
                sum(row["readings"] for row in parts),
                min(row["first"] for row in parts),
                max(row["last"] for row in parts),
                sum(row["outside"] for row in parts),
                dict(unusable),
            )
        )
    return taken


def plan_readings(
    path: Path, readings: Iterable[VitalReading]
) -> tuple[list[TakenReadings], Placement]:
    """Return the readings that an import would add, by kind and source, and where all of them lie.

    Args:
        path: the database; without one all readings are new, and in no session.
        readings: those of the file; all of one source and time follow each other.

    Raises:
        StoreError: the database cannot be read.
    """
    counts: Counter[tuple[str, str]] = Counter()
    outside: Counter[tuple[str, str]] = Counter()
    unusable: dict[tuple[str, str], Counter[str]] = {}
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    with _recorded(path) as (placement, there):
        for reading, is_new in place_in_time(placement.watch(readings), there):
            if not is_new:
                continue
            of, at_ms = (reading.kind.value, reading.source), reading.at.wall_ms
            counts[of] += 1
            outside[of] += not placement.is_inside(at_ms)
            unusable.setdefault(of, Counter()).update(UNUSABLE & reading.flags)
            first_ms, last_ms = spans.get(of, (at_ms, at_ms))
            spans[of] = (min(first_ms, at_ms), max(last_ms, at_ms))
    return [
        TakenReadings(*of, counts[of], *spans[of], outside[of], dict(sorted(unusable[of].items())))
        for of in sorted(counts)
    ], placement


@contextmanager
def _recorded(path: Path) -> Iterator[tuple[Placement, Callable[[VitalReading], float | None]]]:
    """Yield the sessions of a database, and how to look up a reading; without one: none."""
    if not path.exists():
        yield Placement([]), lambda _: None
        return
    with read_transaction(path) as connection:
        yield Placement(select_sessions(connection)), partial(recorded_value, connection)


def _readings(count: int) -> str:
    return f"{count:,} {'reading' if count == 1 else 'readings'}"


@dataclass(frozen=True, slots=True)
class Import:
    """A file of readings, a study, or a video's faces, that was imported.

    Attributes:
        id: its number.
        at_ms: when, UTC milliseconds.
        file: name of the file.
        actor: who imported it.
        readings: how many were new.
        duplicates: how many were there already and were left alone.
        left: how many of the new ones are there still.
        undone_ms: when it was taken back; ``None``: it was not.
        sessions: of a study, how many it added; 0: a file of readings.
        faces: of a video or its table, how many rows of emotions and movements it added; else
            ``None``.
    """

    id: int
    at_ms: int
    file: str
    actor: str
    readings: int
    duplicates: int
    left: int
    undone_ms: int | None
    sessions: int = 0
    faces: int | None = None

    @property
    def sentence(self) -> str:
        """The import in a line, for people."""
        study = f"a study of {self.sessions:,} sessions, " if self.sessions else ""
        readings = f"{study}{_readings(self.readings)}"
        if self.faces is not None:
            readings = f"{self.faces:,} rows of faces"
        parts = [f"{self.id}: {iso_utc(self.at_ms)}, {self.file}: {readings}"]
        if self.duplicates:
            parts.append(f"{self.duplicates:,} were there already")
        if self.undone_ms is not None:
            parts.append(f"undone {iso_utc(self.undone_ms)}")
        elif self.left < self.readings:
            parts.append(f"{self.left:,} are there still")
        return ", ".join([*parts, f"by {self.actor}"])


@dataclass(frozen=True, slots=True)
class UndoneImport:
    """An import that was taken back.

    Attributes:
        id, file: of the import.
        removed: how many readings were removed.
        sessions: number of a session → how many of them lay in it.
        corrected: how many of them somebody had corrected.
        met_by: later imports that left readings alone because they were there already.
        study: table → how many rows of a study were removed.
    """

    id: int
    file: str
    removed: int
    sessions: dict[int, int]
    corrected: int
    met_by: list[int]
    study: dict[str, int] = field(default_factory=dict)

    @property
    def sentences(self) -> list[str]:
        """Sentences on the removed rows and the rows that referred to them."""
        counts = [f"{self.study[t]:,} {name}" for t, name in _NAMES.items() if self.study.get(t)]
        if self.removed or not counts:
            counts.append(_readings(self.removed))
        removed = ", ".join(counts)
        told = [f"Import {self.id} ({self.file}) is undone: {removed} removed."]
        told += [
            f"{count:,} of them lay in session {session}: its means and tests change."
            for session, count in self.sessions.items()
        ]
        if self.corrected:
            told.append(
                f"{self.corrected:,} of them were corrected since; what they were is kept in "
                "vital_change."
            )
        told += [
            f"Import {number} left alone readings that were there already, perhaps these: import "
            "its file again to have them."
            for number in self.met_by
        ]
        return [*told, "Exports and backups that were made since still hold them."]


def list_imports(path: Path) -> list[Import]:
    """Return the imports of readings and studies, oldest first.

    Raises:
        StoreError: as ``schema.connect``.
    """
    with read_transaction(path) as connection:
        return _imports(connection)


def _imports(connection: sqlite3.Connection) -> list[Import]:
    noted = read_numbers(connection)
    rows = connection.execute(
        "SELECT id, at, file, actor, readings, duplicates, coalesce(there, 0), undone FROM import "
        "LEFT JOIN (SELECT import, count(*) AS there FROM vital WHERE import IS NOT NULL GROUP BY "
        "1) AS counted ON counted.import = id ORDER BY id"
    )
    imports = {row[0]: Import(*row) for row in rows}
    for number, its in noted.items():
        counts = {table: its[table][1] - its[table][0] + 1 for table in ("session", *_OF_FACES)}
        added = {"sessions": counts["session"]}
        if _FACES in its:
            added = {"faces": sum(counts[table] for table in _OF_FACES)}
        imports[number] = replace(imports[number], **added)
    return list(imports.values())


def undo_import(path: Path, number: int, *, actor: str) -> UndoneImport:
    """Remove exactly the rows that an import added, and update the rollups.

    Args:
        path: the database.
        number: of the import.
        actor: who asks for it.

    Raises:
        StudyError: there is no such import, it was taken back before, or something was recorded
            into its study since.
        StoreError: as ``schema.connect``.
    """
    with write_transaction(path) as connection:
        known = _imports(connection)
        chosen = next((one for one in known if one.id == number), None)
        if chosen is None:
            numbers = ", ".join(str(one.id) for one in known if one.undone_ms is None)
            raise StudyError(
                f"There is no import {number}; nothing was removed. Imports: {numbers or 'none'}."
            )
        if chosen.undone_ms is not None:
            raise StudyError(
                f"Import {number} was undone already, {iso_utc(chosen.undone_ms)}; nothing was "
                "removed."
            )
        # Counted before they are removed.
        sessions = connection.execute(
            "SELECT session.id, count(*) FROM vital JOIN session ON vital.at >= started AND "
            "(ended IS NULL OR vital.at < ended) WHERE import = ? GROUP BY 1 ORDER BY 1",
            (number,),
        ).fetchall()
        # A correction is told, for it is lost with its reading.
        corrected = connection.execute(
            "SELECT count(*) FROM vital WHERE import = ? AND EXISTS (SELECT 1 FROM vital_change "
            "AS old WHERE old.at = vital.at AND old.kind = vital.kind AND old.source = "
            "vital.source)",
            (number,),
        ).fetchone()[0]
        its = read_numbers(connection).get(number)
        if its is not None:
            study = undo_study(connection, number)
            removed = study.pop("vital")
            # Of a session that was there before, something is left that changes.
            rows = sum(study[table] for table in _OF_FACES)
            is_part = _FACES in its and rows and not study["session"]
            sessions = [(its[_FACES][0], rows)] if is_part else []
        else:
            study = Counter()
            removed = delete_import(connection, number)
        now = clock.now()
        connection.execute("UPDATE import SET undone = ? WHERE id = ?", (now.wall_ms, number))
        insert_audit(connection, actor, "import_undo", f"{chosen.file}: {removed}", now)
    later = [one for one in known if one.id > number and one.undone_ms is None and one.duplicates]
    lay_in = {row[0]: row[1] for row in sessions}
    met_by = [one.id for one in later]
    return UndoneImport(number, chosen.file, removed, lay_in, corrected, met_by, dict(study))
