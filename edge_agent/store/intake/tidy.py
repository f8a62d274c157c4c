"""The tables of a study as tidy CSV: a folder or a zip, as our own exports are."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from edge_agent.core.bounds import bounded_lines, check_header
from edge_agent.core.errors import DataFileError
from edge_agent.store.database.tables import BROUGHT
from edge_agent.store.export.columns import FILES
from edge_agent.store.export.rows import strip_guard
from edge_agent.store.intake.cells import UNREADABLE, SourceRow

if TYPE_CHECKING:
    from _csv import Reader

TABLES = tuple(table.name for table in BROUGHT if table.title)
"""The tables of an export that are read, in the order in which they are needed."""
_TEXTS = {
    (table, column.name) for table in TABLES for column in FILES[table] if column.type == "string"
}


class StudySource(Protocol):
    """A source of the rows of a study: a folder or zip in one of the formats.

    Attributes:
        name: of the file or folder, without its path.
    """

    name: str

    def tables(self) -> tuple[str, ...]:
        """Return which of ``TABLES`` there are."""

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns that a table has."""

    def rows(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table, one at a time."""

    def passed_over(self) -> tuple[str, ...]:
        """Return which files and columns are not read."""

    def notes(self) -> list[str]:
        """Return notes about the files that were read, as sentences."""


class TidySource:
    """The CSV files of a folder or zip.

    Args:
        path: the folder or zip; a single CSV file is no study.

    Raises:
        DataFileError: it is not there, is no folder or zip, or has no session.csv.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        # A folder that was unpacked, or the bundle as it came.
        self._is_zip = path.is_file()
        self._within = ""
        members = self._members()
        self._files = {table: f"{table}.csv" for table in TABLES if f"{table}.csv" in members}
        self._others = tuple(sorted(members - set(self._files.values())))
        if "session" not in self._files:
            raise DataFileError(
                f"{path}: holds no session.csv. Name a bundle (`affect-edge export --out "
                "FILE.zip`), or a folder of tables in its form."
            )

    def tables(self) -> tuple[str, ...]:
        """Return which tables there are."""
        return tuple(self._files)

    def passed_over(self) -> tuple[str, ...]:
        """Return the files that are not read, and the columns of tables that no export has."""
        columns = [
            f"column {name} of {file}"
            for table, file in self._files.items()
            for name in sorted(self.columns(table) - {column.name for column in FILES[table]})
        ]
        return (*self._others, *columns)

    def notes(self) -> list[str]:
        """Return an empty list: tidy tables need no notes."""
        return []

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table.

        Raises:
            DataFileError: the file cannot be read.
        """
        with self._reader(table) as reader:
            return frozenset(_header(reader, self._files[table]))

    def rows(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table; texts as they were recorded.

        Raises:
            DataFileError: the file cannot be read, or a line has too few or too many cells.
        """
        file = self._files[table]
        with self._reader(table) as reader:
            header = _header(reader, file)
            texts = {name for name in header if (table, name) in _TEXTS}
            for cells in reader:
                if len(cells) != len(header):
                    # An empty line, as programs leave at the end.
                    if not any(cells):
                        continue
                    raise DataFileError(
                        f"{file}, line {reader.line_num}: has {len(cells)} cells, but there are "
                        f"{len(header)} columns. Is the file cut off?"
                    )
                pairs = zip(header, cells, strict=True)
                row = {key: strip_guard(text) if key in texts else text for key, text in pairs}
                yield SourceRow(file, reader.line_num, row)

    def _members(self) -> frozenset[str]:
        try:
            if self._is_zip:
                with zipfile.ZipFile(self._path) as archive:
                    names = archive.namelist()
                # A zip may hold the tables in a folder of its name.
                folders = [name for name in names if re.fullmatch(r"[^/]+/session\.csv", name)]
                if "session.csv" not in names and len(folders) == 1:
                    self._within = folders[0].removesuffix("session.csv")
                return frozenset(
                    name.removeprefix(self._within) for name in names if not name.endswith("/")
                )
            return frozenset(file.name for file in self._path.iterdir() if file.is_file())
        except FileNotFoundError as error:
            raise DataFileError(f"{self._path}: no such file or folder. Check the path.") from error
        except UNREADABLE as error:
            is_table = self._path.suffix.lower() in {".csv", ".tsv", ".txt"}
            wide = " For a table of people and states, add --wide." if is_table else ""
            raise DataFileError(
                f"{self._path}: is no folder and no zip that can be read ({error}). Name a bundle "
                f"(`affect-edge export --out FILE.zip`), or a folder of tables in its form.{wide}"
            ) from error

    @contextmanager
    def _reader(self, table: str) -> Iterator[Reader]:
        file = self._files[table]
        try:
            with self._open(file) as raw:
                # Spreadsheets begin UTF-8 with a byte order mark.
                text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
                # ``strict``: else a quote that is never closed swallows the rest of the file.
                yield csv.reader(bounded_lines(text, file), strict=True)
        except UnicodeDecodeError as error:
            raise DataFileError(f"{file}: is not UTF-8 text. Save it as CSV UTF-8.") from error
        except csv.Error as error:
            raise DataFileError(f"{file}: is no CSV ({error}).") from error
        except UNREADABLE as error:
            raise DataFileError(f"{file}: cannot be read ({error}).") from error

    @contextmanager
    def _open(self, file: str) -> Iterator[IO[bytes]]:
        if self._is_zip:
            with (
                zipfile.ZipFile(self._path) as archive,
                archive.open(self._within + file) as member,
            ):
                yield member
            return
        with (self._path / file).open("rb") as opened:
            yield opened


def _header(reader: Reader, file: str) -> list[str]:
    """Return the names of the columns; a file without a line has none.

    Raises:
        DataFileError: they are not separated by commas, or are too many.
    """
    names = [name.strip().lower() for name in next(reader, [])]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        raise DataFileError(
            f"{file}, line 1: columns are separated by commas, and decimals have a point. Save the "
            "table as “CSV, comma delimited”, in a spreadsheet set to English."
        )
    check_header(file, names)
    return names
