"""The tables of a study as tidy CSV: a folder or a zip, as our own exports are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from edge_agent.core.brought_files import MOST_FILES, opened_archive, refuse_document
from edge_agent.core.brought_tables import BroughtTable
from edge_agent.core.clock import iso_utc
from edge_agent.core.csv_cells import strip_guard
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.readings import LocalTimes, is_without_zone, time_ms
from edge_agent.timeline.database.tables import BROUGHT
from edge_agent.timeline.export.table_schemas import FILES
from edge_agent.timeline.intake.cells import UNREADABLE, SourceRow

TABLES = tuple(table.name for table in BROUGHT if table.title)
"""The tables of an export that are read, in the order in which they are needed."""
TEXTS = frozenset(
    (table, column.name) for table in TABLES for column in FILES[table] if column.type == "string"
)
"""Table and column of each text: before a sign, an apostrophe stands in its cell."""
_TIMES = {
    (table, column.name) for table in TABLES for column in FILES[table] if column.type == "datetime"
}
_NUMBERS = {
    (table, column.name) for table in TABLES for column in FILES[table] if column.type == "number"
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

    def labels(self) -> Mapping[str, str]:
        """Return other names of people that rows may have → code; of our own tables none."""

    def passed_over(self) -> tuple[str, ...]:
        """Return which files and columns are not read."""

    def notes(self) -> list[str]:
        """Return notes about the files that were read, as sentences."""


class TidySource:
    """The CSV files of a folder or zip.

    Args:
        path: the folder or zip; a single CSV file is no study.
        zone: time zone of times without one; ``None`` leaves them as they are, and they are
            refused.

    Raises:
        DataFileError: it is not there, is no folder or zip, or has no session.csv.
    """

    def __init__(self, path: Path, zone: tzinfo | None = None) -> None:
        self.name = path.name
        self._path = path
        self._zone = zone
        self._local: dict[tuple[str, str], LocalTimes] = {}
        # A folder that was unpacked, or the bundle as it came.
        self._is_zip = path.is_file()
        tables = {f"{table}.csv": table for table in TABLES}
        # Other programs write the names with capital letters.
        self._members = {
            name.casefold() if name.casefold() in tables else name: own
            for name, own in self._list_files().items()
        }
        self._files = {table: file for file, table in tables.items() if file in self._members}
        self._others = tuple(sorted({*self._members} - set(self._files.values())))
        if "session" not in self._files:
            refuse_document(path.name, self._members)
            raise DataFileError(
                f"{path}: holds no session.csv. Name a bundle (`affect-edge export --out "
                f"FILE.zip`), or a folder of tables in its form.{self._place_of_session()}"
            )

    def tables(self) -> tuple[str, ...]:
        """Return which tables there are."""
        return tuple(self._files)

    def labels(self) -> Mapping[str, str]:
        """Return nothing: people have their codes alone."""
        return {}

    def passed_over(self) -> tuple[str, ...]:
        """Return the files that are not read, and the columns of tables that no export has."""
        columns = [
            f"column {name} of {file}"
            for table, file in self._files.items()
            for name in sorted(self.columns(table) - {column.name for column in FILES[table]})
        ]
        return (*self._others, *columns)

    def notes(self) -> list[str]:
        """Return which local times come twice, for each column that has some."""
        return [
            f"{self._files[table]}, column {column}: {times.sentence}"
            for (table, column), times in self._local.items()
            if times.sentence
        ]

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table.

        Raises:
            DataFileError: the file cannot be read, or its names stand elsewhere than in the first
                row or are separated otherwise.
        """
        with self._readable(table):
            file = self._table(table)
            names = frozenset(_names(file))
            known = {column.name for column in FILES[table]}
            if names.isdisjoint(known) and (why := file.why_unknown(known)):
                raise DataFileError(
                    f"{file.name}: none of its columns ({', '.join(file.header)[:80]}) is known."
                    f"{why} Nothing was imported."
                )
            return names

    def rows(self, table: str) -> Iterator[SourceRow]:
        """Yield the rows of a table; texts as they were recorded.

        Raises:
            DataFileError: the file cannot be read, or a row has too few or too many cells.
        """
        with self._readable(table):
            file = self._table(table)
            names = _names(file)
            texts = {name for name in names if (table, name) in TEXTS}
            numbers = {name for name in names if (table, name) in _NUMBERS}
            # Spreadsheets that separate cells otherwise write decimals with a comma.
            has_commas = file.separator != ","
            local = self._times_of(table, names)
            for row in file.only_rows():
                if row.fault:
                    raise DataFileError(
                        f"{file.name}, row {row.number}: {row.fault} Is the file cut off? Nothing "
                        "was imported."
                    )
                cells = dict(zip(names, row.cells, strict=True))
                cells |= {name: strip_guard(cells[name]) for name in texts}
                if has_commas:
                    cells |= {name: cells[name].replace(",", ".") for name in numbers}
                cells |= {
                    name: _in_zone(cells[name], times, f"{file.name}, row {row.number}, {name}")
                    for name, times in local.items()
                }
                yield SourceRow(file.name, row.number, cells)

    def _times_of(self, table: str, names: Iterable[str]) -> dict[str, LocalTimes]:
        """Return the local times of each column of times, from the first row on."""
        if self._zone is None:
            return {}
        times = {name: LocalTimes(self._zone) for name in names if (table, name) in _TIMES}
        self._local |= {(table, name): of_column for name, of_column in times.items()}
        return times

    def _table(self, table: str) -> BroughtTable:
        file = self._files[table]
        return BroughtTable(file, lambda: self._open(file))

    def _list_files(self) -> dict[str, str]:
        """Return the files beside the table of sessions: name → name within the folder or zip."""
        try:
            if self._is_zip:
                with opened_archive(self._path, MOST_FILES) as archive:
                    return _beside_session(archive.namelist())
            return {file.name: file.name for file in self._path.iterdir() if file.is_file()}
        except FileNotFoundError as error:
            raise DataFileError(f"{self._path}: no such file or folder. Check the path.") from error
        except UNREADABLE as error:
            is_table = self._path.suffix.lower() in {".csv", ".tsv", ".txt"}
            wide = " For a table of people and states, add --wide." if is_table else ""
            raise DataFileError(
                f"{self._path}: is no folder and no zip that can be read ({error}). Name a bundle "
                f"(`affect-edge export --out FILE.zip`), or a folder of tables in its form.{wide}"
            ) from error

    def _place_of_session(self) -> str:
        """Return where the table of sessions lies instead, as a sentence; empty: nowhere."""
        names = list(self._members)
        if not self._is_zip:
            with suppress(OSError):
                inner = (one for one in self._path.iterdir() if one.is_dir())
                names = [f"{one.name}/{two.name}" for one in inner for two in one.iterdir()]
        folders = [name.rpartition("/")[0] for name in names if _is_session(name)]
        if folders:
            return f" There is one in {', '.join(sorted(folders)[:5])}: name that folder."
        if any("\\" in name for name in self._members.values()):
            return " The names in it have backslashes: unpack it, and name the folder."
        return ""

    @contextmanager
    def _readable(self, table: str) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise DataFileError(f"{self._files[table]}: cannot be read ({error}).") from error

    def _open(self, file: str) -> BinaryIO:
        if not self._is_zip:
            return (self._path / self._members[file]).open("rb")
        archive = zipfile.ZipFile(self._path)
        try:
            return cast("BinaryIO", _Member(archive, self._members[file]))
        except BaseException:
            archive.close()
            raise


def _beside_session(names: Iterable[str]) -> dict[str, str]:
    """Return the files of a zip: name from the folder of its only table of sessions on → own name.

    A zip may hold the tables in a folder, and some programs write folders with backslashes.
    """
    files = {name.replace("\\", "/"): name for name in names}
    folders = {name.rpartition("/")[0] for name in files if _is_session(name)}
    within = f"{next(iter(folders))}/" if len(folders) == 1 and "" not in folders else ""
    return {name.removeprefix(within): own for name, own in files.items() if name[-1:] != "/"}


def _is_session(name: str) -> bool:
    return name.rpartition("/")[2].casefold() == "session.csv"


class _Member(io.BufferedReader):
    """A member of a zip, with which the archive is closed, too."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        super().__init__(cast("io.RawIOBase", archive.open(name)))

    def close(self) -> None:
        super().close()
        self._archive.close()


def _in_zone(text: str, times: LocalTimes, where: str) -> str:
    """Return the text of a time with the zone of the file, where it names none."""
    text = text.strip()
    if not is_without_zone(text):
        return text
    try:
        return iso_utc(time_ms(text, times))
    except ReadingError as error:
        raise DataFileError(f"{where}: {error.shown} {error.reason}") from error


def _names(file: BroughtTable) -> tuple[str, ...]:
    return tuple(name.lower() for name in file.header)
