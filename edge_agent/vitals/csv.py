"""Readings from a CSV file.

``docs/data.md`` describes its columns. A file with one bad row gives no reading at all.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.given_readings import (
    Origin,
    flag_near_pressures,
    reading_of,
    with_near_pressures,
)
from edge_agent.core.reading_times import LocalTimes
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.shared_times import BeatTimes
from edge_agent.core.table_files import bounded_lines, check_header
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.csv_columns import (
    DERIVED,
    OPTIONAL,
    OURS,
    ColumnMap,
    guess_columns,
    guess_dates,
    is_placeholder,
    own_columns,
    unit_in_name,
)

_INTERVALS = {"ms": (200.0, 3000.0), "s": (0.2, 3.0)}
"""Intervals between beats in each unit: 20 to 300 beats per minute."""
PROBLEMS_SHOWN = 10
PROBLEMS_MOST = 1000
"""A file with so many is read no further: it is another file than was meant."""
MAX_FILE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One row of a file, validated: its readings and its problems.

    Attributes:
        number: as a spreadsheet counts, the header being row 1.
        cells: column → what stands there.
        readings: what it gives; wide files have several in a row.
        problems: what is wrong with it, column and value named; nothing of a file with a problem is
            imported.
    """

    number: int
    cells: Mapping[str, str]
    readings: tuple[VitalReading, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file in memory: UTF-8, with or without a mark, separated by comma, semicolon (decimal
    comma) or tab.

    Attributes:
        name: of the file, for messages and as source of its readings.
        header: names of the columns, as they stand.
    """

    name: str
    header: tuple[str, ...]
    _text: str
    _delimiter: str

    @classmethod
    def parse(cls, name: str, raw: bytes) -> CsvFile:
        """Read the header.

        Raises:
            DataFileError: too large, too many columns, empty, not UTF-8, or no CSV.
        """
        name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
        if len(raw) > MAX_FILE_BYTES:
            raise DataFileError(f"{name}: is larger than {MAX_FILE_BYTES // 2**20} MiB. Split it.")
        text = _decoded(name, raw)
        if not text.strip():
            raise DataFileError(
                f"{name}: is empty. Its first row must name the columns: {', '.join(OURS)}."
            )
        first, _, rest = text.partition("\n")
        named = re.fullmatch(r"sep=([,;\t])\s*", first)  # Excel reads this line, and shows none
        if named:
            text = rest
        delimiter = named[1] if named else max(",;\t", key=first.count)
        file = cls(name, (), text, delimiter)
        header = tuple(cell.strip() for cell in next(file._rows())[1])
        check_header(name, header)
        return cls(name, header, text, delimiter)

    @property
    def decimal_comma(self) -> bool:
        """Whether ``72,5`` is a number in this file."""
        return self._delimiter == ";"

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Return the rows below the header that are not blank, with their numbers.

        Raises:
            DataFileError: a row is no CSV.
        """
        for number, cells in self._rows():
            if number > 1 and any(cell.strip() for cell in cells):
                yield number, cells

    def judged(
        self, columns: ColumnMap, zone: LocalTimes | None, now: Instant | None = None
    ) -> Iterator[JudgedRow]:
        """Judge row after row; the file as a whole may be far larger than what is asked for.

        Raises:
            DataFileError: the columns are not there, or a row is no CSV.
        """
        problem = columns.problem(self.header)
        if problem:
            raise DataFileError(f"{self.name}: {problem}")
        flags = frozenset({VitalFlag.IMPORTED})
        origin = Origin(
            f"csv:{self.name}",
            flags=flags,
            zone=zone,
            decimal_comma=self.decimal_comma,
            live=False,
            units_needed=bool(columns.kinds),
        )
        now = now or clock.now()
        if zone is not None:
            zone.restart()
        for number, cells in self.rows():
            yield self._validate_row(number, cells, columns, origin, now)

    def _validate_row(
        self, number: int, cells: list[str], columns: ColumnMap, origin: Origin, now: Instant
    ) -> JudgedRow:
        if len(cells) != len(self.header):
            problem = (
                f"row {number}: has {len(cells)} values, but there are {len(self.header)} columns."
            )
            return JudgedRow(number, dict(zip(self.header, cells, strict=False)), (), (problem,))
        row = {name: cell.strip() for name, cell in zip(self.header, cells, strict=True)}
        readings: list[VitalReading] = []
        problems: list[str] = []
        kind = None
        try:
            for item in columns.items(row):
                kind = item["kind"]
                if not item["at"]:
                    raise ReadingError("at", "''", "is not a time.")
                readings.append(reading_of(item, now, origin))
        except ReadingError as error:
            problems.append(_cell_problem(number, columns.column_of(error.field, kind), error))
        return JudgedRow(number, row, tuple(flag_near_pressures(readings)), tuple(problems))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        lines = bounded_lines(io.StringIO(self._text, newline=""), self.name)
        rows = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            yield from enumerate(rows, start=1)
        except csv.Error as error:
            raise DataFileError(
                f"{self.name}, row {rows.line_num}: is not CSV ({error}). Check the quotes "
                "of this row."
            ) from error


def _cell_problem(number: int, column: str, error: ReadingError) -> str:
    """Say what is wrong with a cell, whose value may be empty."""
    shown = f"{error.shown} " if error.shown else ""
    return f"row {number}, column {column}: {shown}{error.reason}"


def _all_problems(name: str, problems: Sequence[str]) -> str:
    """Say the first problems of a file, one in each line, and how many more there are."""
    lines = [f"{name}, {problem}" for problem in problems[:PROBLEMS_SHOWN]]
    if len(problems) >= PROBLEMS_MOST:
        lines.append(f"… and {PROBLEMS_MOST - PROBLEMS_SHOWN} or more.")
    elif len(problems) > PROBLEMS_SHOWN:
        lines.append(f"… and {len(problems) - PROBLEMS_SHOWN} more.")
    lines.append("Nothing was imported.")
    return "\n".join(lines)


def read_file(path: Path) -> CsvFile:
    """Read a file from the disk.

    Raises:
        DataFileError: it cannot be read, or as ``CsvFile.parse``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise DataFileError(f"{path}: no such file.") from error
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read ({error.strerror}).") from error
    return CsvFile.parse(path.name, raw)


def read_readings(
    path: Path,
    zone: LocalTimes | None = None,
    columns: ColumnMap | None = None,
    now: Instant | None = None,
) -> list[VitalReading]:
    """Return the readings of a CSV file, each flagged ``imported``.

    Args:
        path: the file.
        zone: local times of times that name no zone; ``None`` refuses such times.
        columns: what the columns say; ``None``: each says it by its name, and others than ours are
            refused.
        now: by which times to come are known; ``None`` is the present.

    Raises:
        DataFileError: the file cannot be read, or rows are bad: the first ten are named by row,
            column and value.
    """
    file = read_file(path)
    if columns is None:
        file = _with_own_names(file)
        columns = own_columns_of(file)
    return list(all_readings(file, columns, zone, now))


def all_readings(
    file: CsvFile, columns: ColumnMap, zone: LocalTimes | None, now: Instant | None = None
) -> Iterator[VitalReading]:
    """Return all readings of a file, after all of its rows have been judged.

    Raises:
        DataFileError: before the first reading is given, when any row is bad or there is none.
    """
    problems: list[str] = []
    count = 0
    for row in file.judged(columns, zone, now):
        count += len(row.readings)
        problems += row.problems
        if len(problems) >= PROBLEMS_MOST:
            break
    if problems:
        raise DataFileError(_all_problems(file.name, problems))
    if not count:
        raise DataFileError(
            f"{file.name}: has no rows with readings below the names of the columns."
        )
    given = (reading for row in file.judged(columns, zone, now) for reading in row.readings)
    return with_near_pressures(BeatTimes().spread_all(given))


def guess_map(file: CsvFile, rows: int | None = None) -> ColumnMap:
    """Return what the columns are likely to be, by their names and by how the times look.

    Args:
        file: the file.
        rows: how many are looked at; ``None``: all.
    """
    columns = _with_interval_unit(file, guess_columns(file.header), rows)
    at = columns.columns.get("at")
    if at is None:
        return columns
    place = file.header.index(at)
    times = (cells[place] for _, cells in islice(file.rows(), rows) if place < len(cells))
    try:
        return replace(columns, dates=guess_dates(times))
    except DataFileError:  # a row is no CSV: who reads the file says so
        return columns


def _with_interval_unit(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the unit of intervals between beats that names none, where all values tell it."""
    kind = VitalKind.RR_INTERVAL
    column = columns.columns.get(kind)
    if column is None or kind in columns.units or unit_in_name(column) or "unit" in columns.columns:
        return columns
    place = file.header.index(column)
    try:
        texts = [cells[place] for _, cells in islice(file.rows(), rows) if place < len(cells)]
        values = [float(text.replace(",", ".")) for text in texts if text.strip()]
    except (ValueError, DataFileError):  # who reads the file says so
        return columns
    for unit, (least, most) in _INTERVALS.items():
        if values and all(least <= value <= most for value in values):
            return replace(columns, units={**columns.units, kind: unit})
    return columns


def count_placeholders(file: CsvFile, columns: ColumnMap) -> Counter[str]:
    """Return how many cells of each column have a sensor's mark for no value."""
    places = {kind: file.header.index(columns.columns[kind]) for kind in columns.kinds}
    return Counter(
        columns.columns[kind]
        for _, cells in file.rows()
        for kind, place in places.items()
        if place < len(cells) and is_placeholder(kind, cells[place].strip())
    )


def own_columns_of(file: CsvFile) -> ColumnMap:
    """Return the columns of a file of our own form, or refuse a header that lacks, repeats or adds
    one.

    Raises:
        DataFileError: the header is not ours.
    """
    header = file.header
    if all(_is_number(name) for name in header if name):
        raise DataFileError(
            f"{file.name}, row 1: has values ({', '.join(header)[:80]}), and no names of columns. "
            "Add a first row that names them, such as at,heart_rate, and give --map guess. "
            "Intervals between beats without times: say with --start when they begin."
        )
    missing = [name for name in OURS if name not in header]
    if missing:
        raise DataFileError(
            f"{file.name}, row 1: column {missing[0]} is missing. Columns found: "
            f"{', '.join(header)}; needed: {', '.join(OURS)}; optional: {', '.join(OPTIONAL)}. "
            "Columns of other names: say with --map what they are. Intervals between beats "
            "without times: say with --start when they begin."
        )
    for name in header:
        if name not in (*OURS, *OPTIONAL, *DERIVED):
            known = ", ".join((*OURS, *OPTIONAL))
            raise DataFileError(f"{file.name}, row 1: unknown column {name!r}. Known: {known}.")
        if header.count(name) > 1:
            raise DataFileError(f"{file.name}, row 1: column {name} is there twice.")
    return ColumnMap(
        {name: column for name, column in own_columns().columns.items() if column in header}
    )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.,: +-]+", text) is not None


def _with_own_names(file: CsvFile) -> CsvFile:
    """Return the file with its columns' names in small letters, as ours are."""
    return CsvFile(
        file.name, tuple(name.lower() for name in file.header), file._text, file._delimiter
    )


def _decoded(name: str, raw: bytes) -> str:
    """Return the file's text."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataFileError(
            f"{name}, row {row}: is not UTF-8 text (byte {raw[error.start]:#04x}). Save "
            'it as "CSV UTF-8".'
        ) from error
