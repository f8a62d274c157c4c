"""The imports of readings, studies and videos: listing them, what each added, and undoing one.

Each row that an import added has its number in the column ``import``. Undoing an import deletes
these rows and no others.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.readings import UNUSABLE, VitalReading, place_in_time
from edge_agent.timeline.database.connection import insert, read_transaction, write_transaction
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.database.tables import (
    BROUGHT,
    OF_PARTICIPANT,
    OF_SESSION,
    RECORDED,
    phrases,
)
from edge_agent.timeline.study.past import Placement
from edge_agent.timeline.study.rows import insert_audit, select_sessions
from edge_agent.timeline.upkeep import unfinished
from edge_agent.timeline.upkeep.erasure import finish_undo
from edge_agent.timeline.upkeep.fold import folded_days, make_anew, pruned_minutes
from edge_agent.timeline.upkeep.row_erasure import forget_people, people_of_import
from edge_agent.timeline.write.inserts import recorded_value
from edge_agent.timeline.write.redating import delete_import
from edge_agent.timeline.write.rollups import Span

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_OF_FACES = ("expression", "movement")


def insert_import(
    connection: sqlite3.Connection,
    number: int,
    *,
    file: str,
    actor: str,
    at_ms: int,
    readings: int = 0,
    video: Span | None = None,
) -> None:
    """Enter an import of a study or a video whose rows have been added.

    Args:
        connection: of its transaction.
        number: that its rows have.
        file: where they come from.
        actor: who imported it.
        at_ms: when, UTC milliseconds.
        readings: how many of its rows are readings.
        video: start and end of the video whose faces they are; ``None``: they are a study.
    """
    about: dict[str, object] = {"sessions": _count(connection, "session", number)}
    if video is not None:
        faces = sum(_count(connection, table, number) for table in _OF_FACES)
        about = {"faces": faces, "started": video[0], "ended": video[1]}
    # What was there before is counted now, so that an undo sees what came later.
    about["joined"] = json.dumps(_others(connection, number))
    row = {"id": number, "at": at_ms, "file": file, "actor": actor, "readings": readings}
    insert(connection, "import", **row, duplicates=0, **about)


def _count(connection: sqlite3.Connection, table: str, number: int) -> int:
    query = f"SELECT count(*) FROM {table} WHERE import = ?"
    return int(connection.execute(query, (number,)).fetchone()[0])


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
    _refuse_recorded_since(connection, number)
    spans = _spans(connection, number)
    pruned = {span: pruned_minutes(connection, span) for span in spans}
    deleted = Counter(day=sum(folded_days(connection, span) for span in spans))
    # Those that refer to others first: what a cascade deletes is not counted.
    for table in reversed(BROUGHT):
        done = connection.execute(f"DELETE FROM {table.name} WHERE import = ?", (number,))
        deleted[table.name] = done.rowcount
    for span, minutes in pruned.items():
        make_anew(connection, span, minutes)
    return deleted


def _spans(connection: sqlite3.Connection, number: int) -> list[Span]:
    """Return the times whose rollups an import has a part in: of its video, or of its sessions.

    The session of a video may have been there before, and may be erased since.
    """
    rows = connection.execute(
        "SELECT import.started, import.ended FROM import JOIN session ON session.started <= "
        "import.started AND (session.ended IS NULL OR session.ended >= import.ended) WHERE "
        "import.id = ?1 UNION SELECT started, ended FROM session WHERE import = ?1 AND (SELECT "
        "faces FROM import WHERE id = ?1) IS NULL",
        (number,),
    )
    return [(row[0], row[1]) for row in rows]


def _refuse_recorded_since(connection: sqlite3.Connection, number: int) -> None:
    since: Counter[str] = Counter()
    for owner, tables in (("participant", OF_PARTICIPANT), ("session", OF_SESSION)):
        for table in (one for one in tables if not one.is_comment):
            # What no import brings, such as standing hours, was added since in any case.
            added = "AND import IS NOT ?1" if table.brought else ""
            since[table.name] = connection.execute(
                f"SELECT count(*) FROM {table.name} WHERE {owner} IN (SELECT id FROM {owner} WHERE "
                f"import = ?1) {added}",
                (number,),
            ).fetchone()[0]
    joined = connection.execute("SELECT joined FROM import WHERE id = ?", (number,)).fetchone()[0]
    since += _others(connection, number) - Counter(json.loads(joined))
    told = ", ".join(f"{count} rows of {table}" for table, count in since.items() if count)
    if told:
        raise StudyError(
            f"Something was recorded into the study of import {number} since ({told}); nothing was "
            "removed. Undo the imports that added it first (affect-edge imports), or erase each "
            "participant (affect-edge participant erase CODE)."
        )


def _others(connection: sqlite3.Connection, number: int) -> Counter[str]:
    """Count the rows, by table, that lie in the sessions of an import without being its own."""
    rows = connection.execute(
        "SELECT json_group_array(json_array(started, ended)) FROM session WHERE import = ?",
        (number,),
    )
    spans = rows.fetchone()[0]
    counts = {
        table.name: connection.execute(
            f"{SPANS.replace('?', ':spans')} SELECT count(*) FROM span CROSS JOIN {table.name} ON "
            f"{table.times[0].column} >= first AND {table.times[0].column} < last WHERE "
            + ("import IS NOT :number" if table.brought else "TRUE"),
            {"spans": spans, "number": number},
        ).fetchone()[0]
        for table in RECORDED
    }
    return Counter({table: count for table, count in counts.items() if count})


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
        StoreError: as ``connection.connect``.
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
    def is_readings(self) -> bool:
        """Whether it is a file of readings alone."""
        return not self.sessions and self.faces is None

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
        left: sentences on what of the removed people could not be erased elsewhere yet.
    """

    id: int
    file: str
    removed: int
    sessions: dict[int, int]
    corrected: int
    met_by: list[int]
    study: dict[str, int] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Sentences on the removed rows and the rows that referred to them."""
        counts = phrases(self.study)
        if days := self.study.get("day"):
            counts.append(f"{days:,} days of which only the sum was kept")
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
        if self.left:
            told.append(f"Not finished; the nightly maintenance tries again: {' '.join(self.left)}")
        return [*told, "Exports and backups that were made since still hold them."]


def list_imports(path: Path) -> list[Import]:
    """Return the imports of readings and studies, oldest first.

    Raises:
        StoreError: as ``connection.connect``.
    """
    with read_transaction(path) as connection:
        return _imports(connection)


def _imports(connection: sqlite3.Connection) -> list[Import]:
    rows = connection.execute(
        "SELECT id, at, file, actor, readings, duplicates, coalesce(there, 0), undone, sessions, "
        "faces FROM import LEFT JOIN (SELECT import, count(*) AS there FROM vital WHERE import IS "
        "NOT NULL GROUP BY 1) AS counted ON counted.import = id ORDER BY id"
    )
    return [Import(*row) for row in rows]


def undo_import(path: Path, number: int, *, actor: str) -> UndoneImport:
    """Remove exactly the rows that an import added, and update the rollups.

    Args:
        path: the database.
        number: of the import.
        actor: who asks for it.

    Raises:
        StudyError: there is no such import, it was taken back before, or something was recorded
            into its study since.
        StoreError: as ``connection.connect``.
    """
    at_ms = clock.now().wall_ms
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
        # Counted before they are removed; a session that the import added goes with it.
        sessions = connection.execute(
            "SELECT session.id, count(*) FROM (SELECT at FROM vital WHERE import = ?1 UNION ALL "
            "SELECT at FROM expression WHERE import = ?1 UNION ALL SELECT at FROM movement WHERE "
            "import = ?1) AS added JOIN session ON added.at >= started AND (ended IS NULL OR "
            "added.at < ended) WHERE session.import IS NOT ?1 GROUP BY 1 ORDER BY 1",
            (number,),
        ).fetchall()
        # A correction is told, for it is lost with its reading.
        corrected = connection.execute(
            "SELECT count(*) FROM vital WHERE import = ? AND EXISTS (SELECT 1 FROM vital_change "
            "AS old WHERE old.at = vital.at AND old.kind = vital.kind AND old.source = "
            "vital.source)",
            (number,),
        ).fetchone()[0]
        codes, texts = people_of_import(connection, number)
        if chosen.is_readings:
            study: dict[str, int] = {}
            removed = delete_import(connection, number)
        else:
            deleted = undo_study(connection, number)
            removed = deleted.pop("vital")
            study = dict(+deleted)
        now = clock.now()
        connection.execute("UPDATE import SET undone = ? WHERE id = ?", (now.wall_ms, number))
        insert_audit(connection, actor, "import_undo", f"{chosen.file}: {removed}", now)
        if codes:  # they are erased: in the transaction that says what of them is left elsewhere
            searched = forget_people(connection, codes, texts)
            before = unfinished.begin(connection, at_ms, unfinished.OF_UNDO)
    left = finish_undo(path, searched, actor, before, at_ms) if codes else ()
    later = [one for one in known if one.id > number and one.undone_ms is None and one.duplicates]
    lay_in = {row[0]: row[1] for row in sessions}
    met_by = [one.id for one in later]
    return UndoneImport(number, chosen.file, removed, lay_in, corrected, met_by, study, left)
