"""Studies that people send on a page: what was chosen becomes one file, which the gate stages.

Several files, or those of a folder, become a zip. A table with a row for each person is read here
and becomes the tables that the importer reads, since only this side knows what columns mean.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.core.csv_cells import guard_formula
from edge_agent.core.errors import DataFileError
from edge_agent.core.texts import N_
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake.cells import StudyImport, StudyProblem
from edge_agent.timeline.intake.sent_files import PORTION_BYTES
from edge_agent.timeline.intake.study_import import notes_of
from edge_agent.timeline.intake.tidy import TEXTS
from edge_agent.timeline.intake.wide import COUNTED, WideSource
from edge_agent.vitals.csv_files import CsvFile
from edge_agent.vitals.wide import columns_not_read, read_wide, wide_columns

TABLES = (".csv", ".tsv", ".txt")
"""Endings of a table with a row for each person."""
_LEVEL = 1
_FIRST_LINE = 2
"""Line of the first row below the heads."""
_NOT_OF_PERSON = dict.fromkeys(("participant", "participant_attribute"), frozenset({"session"}))
"""Table → columns of its rows that its file does not have."""


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form.

    Attributes:
        path: as the browser tells it; with the folder, where a folder was chosen.
        content: its bytes.
    """

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class WidePreview:
    """Contents of a table with a row for each person.

    Attributes:
        content: the tables that it becomes, a zip.
        name: of the study, which says that its times are made up.
        meanings: column → its state and vital, as a person would write it; empty: left out.
        persons: number of persons with a value.
        file: name of the table.
        lines: table of the study → line of the person of each of its rows.
        notes: sentences on columns and cells.
    """

    content: bytes
    name: str
    meanings: Mapping[str, str]
    persons: int
    file: str
    lines: Mapping[str, Sequence[int | None]]
    notes: Sequence[str]

    def said_of_table(self, report: StudyImport) -> StudyImport:
        """Return the report of an import of the tables, with the rows of the one that was sent."""
        counts = {
            name: replace(count, file=COUNTED.get(name, count.file))
            for name, count in report.counts.items()
        }
        problems = list(map(self._in_table, report.problems))
        # what the made tables lack, the one that was sent never had
        made = tuple(f"{name}.csv " for name in self.lines)
        notes = [note for note in report.notes if not note.startswith(made)]
        return replace(report, counts=counts, problems=problems, notes=notes)

    def _in_table(self, problem: StudyProblem) -> StudyProblem:
        lines = self.lines.get(problem.file.removesuffix(".csv"), ())
        if problem.line is None or problem.line - _FIRST_LINE >= len(lines):
            return problem
        return replace(problem, file=self.file, line=lines[problem.line - _FIRST_LINE])


def as_one_file(files: Sequence[SentFile]) -> SentFile:
    """Return the only file, or all of them as a zip named after their folder.

    Raises:
        DataFileError: two files have one name.
    """
    if len(files) == 1:
        return SentFile(files[0].path.rpartition("/")[2], files[0].content)
    paths = [one.path.lstrip("/") for one in files]
    for path in paths:
        if paths.count(path) > 1:
            raise DataFileError(
                N_("{name}: two files have this name. Choose the folder, or a zip of it."),
                name=path,
            )
    folders = {path.partition("/")[0] for path in paths if "/" in path}
    # The folder that was chosen is no part of what is in it.
    is_folder = len(folders) == 1 and all("/" in path for path in paths)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for one, path in zip(files, paths, strict=True):
            archive.writestr(path.partition("/")[2] if is_folder else path, one.content)
    name = f"{folders.pop()}.zip" if is_folder else "tables.zip"
    return SentFile(name, written.getvalue())


def send(commands: Commands, file: SentFile, actor: str) -> str:
    """Have the gate stage a file; return its key.

    Raises:
        DataFileError: the file has no name, or is too large.
        StoreError: the disk is full.
    """
    key = commands.begin_file(file.path, actor=actor)
    for at in range(0, len(file.content), PORTION_BYTES):
        portion = file.content[at : at + PORTION_BYTES]
        commands.add_portion(key, at, portion, actor=actor)
    return key


def read_persons(file: CsvFile, told: Mapping[str, str], first_ms: int) -> WidePreview:
    """Return the persons of a table as the tables of a study.

    Args:
        file: the table.
        told: column → its meaning, as ``wide.told_cell`` takes it.
        first_ms: when the first session is to begin, UTC milliseconds.

    Raises:
        DataFileError: a row or a column is wrong.
    """
    columns = wide_columns(file, told)
    table = read_wide(file, columns, told)
    not_read = columns_not_read(table, told)
    source = WideSource(table.name, table.persons, not_read, table.notes, first_ms)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        names = list(filter(source.columns, source.tables()))  # those with a row
        for name in names:
            archive.writestr(f"{name}.csv", _table_text(source, name))
    meanings = {
        name: ":".join(filter(None, (cell.state, cell.kind, cell.unit))) or "participant"
        for name, cell in columns.items()
    }
    return WidePreview(
        written.getvalue(),
        source.name,
        meanings,
        len(table.persons),
        table.name,
        {name: [row.line for row in source.rows(name)] for name in names},
        notes_of(source),
    )


def _table_text(source: WideSource, name: str) -> str:
    columns = sorted(source.columns(name) - _NOT_OF_PERSON.get(name, frozenset()))
    text = io.StringIO()
    rows = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for row in source.rows(name):
        rows.writerow(
            {
                column: guard_formula(cell) if (name, column) in TEXTS else cell
                for column, cell in row.cells.items()
            }
        )
    return text.getvalue()
