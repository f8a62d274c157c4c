"""Importing a study: all of it or nothing.

The files are read once, row by row, into a staging database beside the real one; memory does not
grow with them. What is wrong is collected there, so that a dry run says the same as an import. The
staged study is then merged in one transaction. The staging database lies where exports wait: it is
deleted at the end, and otherwise when anybody is erased or the dashboard starts.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import DataFileError
from edge_agent.store.database.schema import connect, migrate, transaction
from edge_agent.store.database.sqlite_errors import translate_errors
from edge_agent.store.export.prepared import make_prepared_folder, prepared_folder
from edge_agent.store.intake.merge import check, merge
from edge_agent.store.intake.options import ImportOptions, StudyImport
from edge_agent.store.intake.people import People
from edge_agent.store.intake.problems import Problems
from edge_agent.store.intake.tidy import StudySource
from edge_agent.store.intake.timeline import TimelineRows
from edge_agent.store.upkeep.rollups_anew import make_anew

_ALL_TIMES = (0, 2**53)


def import_study(
    path: Path,
    source: StudySource,
    options: ImportOptions,
    *,
    actor: str,
    dry_run: bool = False,
) -> StudyImport:
    """Import a study into a database, or only say what would become of it.

    Args:
        path: the database, already migrated.
        source: the files.
        options: what was decided.
        actor: who did it, for the audit trail.
        dry_run: whether nothing is written.

    Returns:
        What was imported, or what is in the way: nothing was written where there are problems.

    Raises:
        DataFileError: a file cannot be read, or is no table.
        StoreError: the database cannot be used; disk full. Nothing was written then.
    """
    report = StudyImport(source.name)
    problems = Problems()
    with _staging(path) as staged:
        _stage(staged, source, options, report, problems)
        with _attached(path, staged, readonly=dry_run) as connection:
            if dry_run:
                check(connection, options, report, problems)
            else:
                with transaction(connection):
                    check(connection, options, report, problems)
                    if not problems.count:
                        merge(connection, actor, clock.now(), report)
                        report.imported = True
    report.notes += _notes(source, report)
    report.problems = problems.named
    report.problem_count = problems.count
    return report


@contextmanager
def _staging(path: Path) -> Iterator[Path]:
    """Make an empty database of our form for the time of an import."""
    folder = prepared_folder(path.parent)
    with translate_errors(path):
        make_prepared_folder(path.parent)
        with tempfile.TemporaryDirectory(
            prefix="study-", dir=folder, ignore_cleanup_errors=True
        ) as name:
            staged = Path(name) / "study.db"
            migrate(staged)
            yield staged


@contextmanager
def _attached(path: Path, staged: Path, *, readonly: bool) -> Iterator[sqlite3.Connection]:
    with translate_errors(path), closing(connect(path, readonly=readonly)) as connection:
        connection.execute("ATTACH ? AS staged", (str(staged.absolute()),))
        yield connection


def _stage(
    staged: Path,
    source: StudySource,
    options: ImportOptions,
    report: StudyImport,
    problems: Problems,
) -> None:
    with translate_errors(staged), closing(connect(staged, readonly=False)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # a power cut leaves nothing to be kept
        with transaction(connection):
            sessions = People(connection, source, options, report, problems).stage()
            if not sessions.all and not problems.count:
                raise DataFileError(f"{source.name}: has no session. Nothing was imported.")
            if problems.count:
                return  # every row of theirs would be a problem, too
            TimelineRows(connection, source, sessions, report, problems).stage()
            make_anew(connection, _span(connection), ())


def _span(connection: sqlite3.Connection) -> tuple[int, int]:
    first, last = connection.execute("SELECT min(started), max(ended) FROM session").fetchone()
    return first or _ALL_TIMES[0], last or _ALL_TIMES[0]


def _notes(source: StudySource, report: StudyImport) -> list[str]:
    """Return what was not taken, in sentences."""
    notes = [
        f"{count.outside:,} of {count.rows:,} rows of {count.file} lie in no session, and are not "
        "taken."
        for count in report.counts.values()
        if count.outside
    ]
    if source.passed_over():
        notes.append(f"Not read: {', '.join(source.passed_over())}.")
    return notes + source.notes()
