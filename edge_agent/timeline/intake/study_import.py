"""The import of a study: all of it or nothing.

The files are read once, row by row, into a staging database beside the real one; memory does not
grow with them. What is wrong is collected there, so that a dry run says the same as an import. The
staged study is then merged in one transaction. The staging database lies among the prepared exports
of the user who imports: it is deleted at the end, and otherwise when anybody is erased.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.brought_files import MOST_FILES
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError, StoreError
from edge_agent.core.files import room_in
from edge_agent.core.participant_codes import misread_codes
from edge_agent.core.study import MADE_UP
from edge_agent.core.texts import N_
from edge_agent.core.unmet import unmet_choice
from edge_agent.timeline.database.connection import connect, transaction
from edge_agent.timeline.database.dashboard_file import account_names, passing_folder
from edge_agent.timeline.database.files import translate_errors
from edge_agent.timeline.database.schema import ADDED
from edge_agent.timeline.database.tables import BROUGHT, PRUNED, Table
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.intake.bids import TIMES_ARE_TOLD, BidsSource
from edge_agent.timeline.intake.bids_files import opened_root
from edge_agent.timeline.intake.cells import StudyImport, StudyImportOptions, no_room_error
from edge_agent.timeline.intake.imports import insert_import
from edge_agent.timeline.intake.people import StagedPeople
from edge_agent.timeline.intake.staged_rows import TimelineRows
from edge_agent.timeline.intake.tidy import StudySource, TidySource
from edge_agent.timeline.study.rows import insert_audit
from edge_agent.timeline.upkeep.fold import make_anew
from edge_agent.timeline.upkeep.retention import count_old, is_short_lived, short_lived
from edge_agent.timeline.write import rollups
from edge_agent.timeline.write.artefact_flags import flag_all_artefacts
from edge_agent.timeline.write.reading_imports import next_import

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_VITAL_ROLLUP = "kind, at, n, total, least, most, flagged, simulated"
_EXPRESSION_ROLLUP = f"at, {', '.join(ADDED)}"
_MOST_REMARKS = 3
_ROWS_BETWEEN = 20
"""Rows between two looks at the free space; a line has a megabyte at the most."""
_WRITTEN_TWICE = 2
"""Writes of each merged byte: to the log first, and from there to the file."""
_ENDS_OF_OTHERS = """
    SELECT count(*) FROM (
        SELECT kind, label, lag(kind) OVER one AS before, lag(label) OVER one AS started
        FROM staged.marker WHERE kind IN ('stimulus_start', 'stimulus_end')
        WINDOW one AS (PARTITION BY session ORDER BY at, id)
    )
    WHERE kind = 'stimulus_end' AND (before IS NOT 'stimulus_start' OR started <> label
        AND label IN (SELECT label FROM staged.marker WHERE kind = 'stimulus_start'))"""
_EVERYBODY_LEFT_OUT = N_(
    "{file}: each of its sessions is of somebody who is left out. Nothing was imported."
)
_NOTHING_RECORDED = N_("nothing was recorded here in the time of these sessions")
_ELSEWHERE = (
    "import into a data folder of its own (--data FOLDER), which affect-edge dashboard --data "
    "FOLDER --login-link shows"
)


def check(connection: sqlite3.Connection, options: StudyImportOptions, report: StudyImport) -> None:
    """Record the reasons for which a staged study cannot be merged into a database.

    Args:
        connection: of the database, with the staging database attached as ``staged``.
        options: what was decided.
        report: gets notes.
    """
    _check_codes(connection, options, report)
    _note_codes(connection, report)
    move = _move_of(connection, report)
    _check_erased(connection, options, report, move)
    met = _check_sessions(connection, report, move)
    _check_recorded(connection, options, report, met)
    _check_readings(connection, report)
    _note_ends(connection, report)
    if _count(connection, "main.model") and _count(connection, "staged.model"):
        report.notes.append(
            "Which models read the faces of the imported study is not taken along: this database "
            "has models of its own."
        )


def merge(connection: sqlite3.Connection, actor: str, at: Instant, report: StudyImport) -> None:
    """Merge a staged study into a database, in a transaction of the caller.

    Args:
        connection: as of ``check``.
        actor: who did it, for the audit trail.
        at: when.
        report: gets the sessions' numbers.
    """
    # Numbers of the staged rows are moved behind those that are there: references move by as much.
    people, sessions = (
        _highest(connection, table) for table in ("main.participant", "main.session")
    )
    number = next_import(connection)
    before = {"participant": people, "session": sessions}
    for table in BROUGHT:
        # Models say since when they were used here; two histories cannot be joined.
        if table.name != "model" or not _count(connection, "main.model"):
            _merge_rows(connection, table, before, number)
    # The rollups were made while staging; those of both databases are added up.
    _merge_rollups(connection)
    insert_import(
        connection,
        number,
        file=report.source,
        actor=actor,
        at_ms=at.wall_ms,
        readings=_count(connection, "staged.vital"),
    )
    added = connection.execute("SELECT id FROM staged.session ORDER BY id").fetchall()
    report.sessions = {row[0]: row[0] + sessions for row in added}
    detail = f"{report.source}: {len(added)} sessions"
    insert_audit(connection, actor, "study_import", detail, at)


def _merge_rows(
    connection: sqlite3.Connection, table: Table, before: Mapping[str, int], number: int
) -> None:
    """Copy the staged rows of a table.

    Args:
        connection: as of ``merge``.
        table: which one.
        before: what is added to the numbers of participants and sessions.
        number: of the import.
    """
    described = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
    columns = {row[0]: row[0] for row in described}
    # Nothing refers to other rows: they get the next numbers.
    columns.pop("id", None)
    if table.name in before:
        columns["id"] = f"id + :{table.name}"
    for owner in columns.keys() & before.keys():
        columns[owner] = f"{owner} + :{owner}"
    columns["import"] = ":import"
    connection.execute(
        f"INSERT INTO main.{table.name} ({', '.join(columns)}) SELECT "
        f"{', '.join(columns.values())} FROM staged.{table.name} ORDER BY {', '.join(table.key)}",
        {**before, "import": number},
    )


def _merge_rollups(connection: sqlite3.Connection) -> None:
    for name in ("minute", "hour"):
        for table, columns, key, change in (
            (f"expression_{name}", _EXPRESSION_ROLLUP, "at", rollups.ADD_EXPRESSIONS),
            (f"vital_{name}", _VITAL_ROLLUP, "kind, at", rollups.ADD_VITALS),
        ):
            # WHERE true: else SQLite takes ON CONFLICT for a join's condition
            connection.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM staged.{table} WHERE "
                f"true ON CONFLICT ({key}) DO {change}"
            )


def _check_codes(
    connection: sqlite3.Connection, options: StudyImportOptions, report: StudyImport
) -> None:
    (file,) = connection.execute(
        "SELECT file FROM pragma_database_list WHERE name = 'main'"
    ).fetchone()
    names = account_names(Path(file))
    rows = connection.execute(
        "SELECT code, code IN (SELECT code FROM main.participant) FROM staged.participant "
        "ORDER BY 1"
    )
    for code in (code for code, taken in rows if taken or code.casefold() in names):
        there = code.removeprefix(options.prefix)
        report.refuse_file(
            "participant",
            f"the code {code} is taken here, by a participant or an account. Give all codes a "
            f"beginning (--prefix NAME-), or leave this one out (--leave-out {there}).",
        )


def _note_codes(connection: sqlite3.Connection, report: StudyImport) -> None:
    """Note which of the new codes other programs misread; of many the first."""
    new, there = (
        [code for (code,) in connection.execute(f"SELECT code FROM {name}.participant ORDER BY 1")]
        for name in ("staged", "main")
    )
    remarks = list(misread_codes(new, there))
    report.notes += remarks[:_MOST_REMARKS]
    if more := remarks[_MOST_REMARKS:]:
        report.notes.append(f"More codes that programs misread: {len(more)}.")


def _note_ends(connection: sqlite3.Connection, report: StudyImport) -> None:
    """Note ends of stimuli that end another or none; a label that starts nothing names none."""
    (wrong,) = connection.execute(_ENDS_OF_OTHERS).fetchone()
    if wrong:
        report.notes.append(
            f"{wrong} ends of stimuli come while another one or none is on: a stimulus lasts from "
            "its start to the next start or end, whichever stimulus that is of."
        )


def _move_of(connection: sqlite3.Connection, report: StudyImport) -> str:
    """Return how to move the times of a staged study; empty where they are not made up.

    They are not moved by themselves: the time of a session is all by which an erased participant
    of a table without times is known.
    """
    (end_ms,) = connection.execute("SELECT max(ended) FROM staged.session").fetchone()
    if end_ms is None or MADE_UP not in report.source:
        return ""
    return f" If only the made-up times coincide, move them: --starting {iso_utc(end_ms)}."


def _check_erased(
    connection: sqlite3.Connection, options: StudyImportOptions, report: StudyImport, move: str
) -> None:
    """Refuse participants who were erased here: an older export may still contain them."""
    created = json.dumps(rollups.read_erased_participants(connection))
    spans = set(rollups.read_tombstones(connection))
    rows = connection.execute(
        "SELECT code FROM staged.participant WHERE created IN (SELECT value FROM json_each(?))",
        (created,),
    ).fetchall()
    erased = {row[0] for row in rows}
    sessions = connection.execute(
        "SELECT code, started, ended FROM staged.session JOIN staged.participant ON "
        "staged.participant.id = participant"
    )
    erased |= {code for code, start, end in sessions if (start, end) in spans}
    for code in sorted(erased):
        report.refuse_file(
            "participant",
            f"{code} was erased here, and does not come back. Leave them out: --leave-out "
            f"{code.removeprefix(options.prefix)}.{move}",
        )


def _check_sessions(
    connection: sqlite3.Connection, report: StudyImport, move: str
) -> frozenset[int]:
    """Refuse sessions that overlap one that is here; return their numbers."""
    rows = connection.execute(
        "SELECT new.id AS new, there.id AS there, there.started, there.ended, there.simulated FROM "
        "staged.session "
        "AS new JOIN main.session AS there ON there.started < new.ended AND (there.ended IS NULL "
        "OR there.ended > new.started) ORDER BY new.started"
    ).fetchall()
    for row in rows:
        end = "now" if row["ended"] is None else iso_utc(row["ended"])
        simulated = ", simulated" if row["simulated"] else ""
        report.refuse_file(
            "session",
            f"session {row['new']} meets session {row['there']} of this database "
            f"({iso_utc(row['started'])} to {end}{simulated}). Sessions must not overlap: "
            f"{_ELSEWHERE}.{move}",
        )
    return frozenset(row["new"] for row in rows)


def _check_recorded(
    connection: sqlite3.Connection,
    options: StudyImportOptions,
    report: StudyImport,
    met: frozenset[int],
) -> None:
    """Refuse sessions that overlap rows recorded here: these would be assigned to them.

    Not those that meet a session, and are refused for that.
    """
    is_joined = False
    for table in PRUNED:
        rows = connection.execute(
            "SELECT staged.session.id, count(*) FROM staged.session JOIN "
            f"main.{table.name} ON at >= "
            "started AND at < ended GROUP BY 1 ORDER BY 1"
        ).fetchall()
        for number, count in rows:
            if number in met:
                continue
            about = (
                f"{count} rows of {table.name} were recorded here in the time of session {number}"
            )
            is_joined = True
            if options.join_recorded:
                report.notes.append(f"{about}, and belong to it now.")
                continue
            report.refuse_file(
                "session",
                f"{about}. Say that they belong to it (--join-recorded), or {_ELSEWHERE}.",
            )
    if options.join_recorded and not is_joined and not report.problem_count:
        report.notes.append(unmet_choice("--join-recorded", "", _NOTHING_RECORDED))


def _check_readings(connection: sqlite3.Connection, report: StudyImport) -> None:
    """Refuse readings that are here already: joined, they would count twice."""
    count, first = connection.execute(
        "SELECT count(*), min(at) FROM staged.vital JOIN main.vital USING (at, kind, source)"
    ).fetchone()
    if count:
        report.refuse_file(
            "vital",
            f"{count} {'reading is' if count == 1 else 'readings are'} here already, by kind, "
            f"source and time; the first is of {iso_utc(first)}. Take "
            f"them out of the study's files, or {_ELSEWHERE}.",
        )


def _highest(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def import_study(
    path: Path,
    source: StudySource,
    options: StudyImportOptions,
    *,
    actor: str,
    dry_run: bool = False,
    on_row: Callable[[], None] | None = None,
    agree: Callable[[str], None] | None = None,
) -> StudyImport:
    """Import a study into a database, or report what an import would do.

    Args:
        path: the database, already migrated.
        source: the files.
        options: what was decided.
        actor: who did it, for the audit trail.
        dry_run: whether nothing is written.
        on_row: called for each row that is read.
        agree: called, before anything is written, with the sentence on rows that the next
            maintenance would delete; what it raises ends the import.

    Returns:
        What was imported, or what is in the way: nothing was written where there are problems.

    Raises:
        DataFileError: a file cannot be read, or is no table; there is no room for the study.
        StoreError: the database cannot be used; disk full. Nothing was written then.
    """
    report = StudyImport(source.name, on_row=_leaving_reserve(path.parent, source.name, on_row))
    with _staging(path, source.name) as staged:
        _stage(staged, source, options, report)
        if agree is not None and not dry_run and not report.problem_count:
            for sentence in filter(is_short_lived, report.notes):
                agree(sentence)
        is_merged = not dry_run and not report.problem_count
        if is_merged and room_in(path.parent) < _WRITTEN_TWICE * staged.stat().st_size:
            raise no_room_error(source.name)
        with _attached(path, staged, readonly=dry_run) as connection:
            # A dry run reads only, and may run beside anything.
            if dry_run:
                check(connection, options, report)
            else:
                # Checked in the transaction that merges: nothing can come between the two.
                with transaction(connection):
                    check(connection, options, report)
                    if not report.problem_count:
                        merge(connection, actor, clock.now(), report)
                        report.imported = True
    report.notes += _notes(source, report)
    return report


def _leaving_reserve(
    folder: Path, name: str, on_row: Callable[[], None] | None
) -> Callable[[], None]:
    """Return what is called for each row that is staged: it raises where no room is left."""
    rows = 0

    def watch() -> None:
        nonlocal rows
        rows += 1
        if rows % _ROWS_BETWEEN == 0 and room_in(folder) < 0:
            raise no_room_error(name)
        if on_row is not None:
            on_row()

    return watch


@contextmanager
def _staging(path: Path, source: str) -> Iterator[Path]:
    """Make an empty database of our form for the time of an import of a source."""
    with translate_errors(path), passing_folder(path.parent, "study-") as folder:
        staged = folder / "study.db"
        if room_in(folder) < 0:
            raise no_room_error(source)
        try:
            migrate(staged)
            yield staged
        except StoreError as error:  # people know their file, and the disk is that of the other
            both = f"{source}, kept in {staged.parent} while it is read"
            text = str(error).replace(str(staged), both)
            text = text if both in text else f"{source} was not imported. {text}"
            raise type(error)(text) from error


@contextmanager
def _attached(path: Path, staged: Path, *, readonly: bool) -> Iterator[sqlite3.Connection]:
    with translate_errors(path), closing(connect(path, readonly=readonly)) as connection:
        connection.execute("ATTACH ? AS staged", (str(staged.absolute()),))
        yield connection


def _stage(
    staged: Path, source: StudySource, options: StudyImportOptions, report: StudyImport
) -> None:
    with translate_errors(staged), closing(connect(staged, readonly=False)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # a power cut leaves nothing to be kept
        with transaction(connection):
            sessions = StagedPeople(connection, source, options, report).stage()
            if not sessions.all and not report.problem_count:
                reasons = _notes(source, report)
                first = f"{source.name}: has no session. Nothing was imported."
                raise DataFileError("\n".join([first, *reasons]))
            if report.problem_count:
                return  # every row of theirs would be a problem, too
            if all(one.is_left_out for one in sessions.all):
                raise DataFileError(_EVERYBODY_LEFT_OUT, file=source.name)
            TimelineRows(connection, source, sessions, report, options.labels).stage()
            if options.flag_artefacts:
                flag_all_artefacts(connection)
            ends = "SELECT coalesce(min(started), 0), coalesce(max(ended), 0) FROM session"
            first, last = connection.execute(ends).fetchone()
            make_anew(connection, (first, last), ())
            if options.keep_days is not None:
                old = count_old(connection, "main", options.keep_days)
                report.notes += short_lived(old, options.keep_days)


def _notes(source: StudySource, report: StudyImport) -> list[str]:
    """Return notes on what was not imported, as sentences."""
    notes = [
        f"{count.outside_sessions:,} of {count.rows:,} rows of {count.file} lie in no session, "
        "and are not taken."
        for count in report.counts.values()
        if count.outside_sessions
    ]
    return notes + notes_of(source)


def notes_of(source: StudySource) -> list[str]:
    """Return what a source says of itself once it was read: what it left out, and its notes."""
    passed_over = source.passed_over()
    notes = [f"Not read: {', '.join(passed_over)}."] if passed_over else []
    return notes + source.notes()


def opened_study(
    path: Path,
    first_ms: int | None = None,
    zone: tzinfo | None = None,
    most_files: int = MOST_FILES,
) -> StudySource:
    """Open the files of a study: a BIDS data set if it has a description, else tables.

    Args:
        path: the folder or zip.
        first_ms: when the first session of a data set that tells no times began.
        zone: time zone of times without one; ``None``: in tables such times are refused, in a BIDS
            data set they are in UTC.
        most_files: how many files a zip may hold.

    Raises:
        DataFileError: it cannot be read, is neither, or tells no times; or ``first_ms`` is given
            for tables, which tell theirs.
    """
    root = opened_root(path, most_files)
    if root is None:
        if first_ms is not None:
            raise DataFileError(TIMES_ARE_TOLD)
        return TidySource(path, zone)
    return BidsSource(path, root, first_ms, zone)
