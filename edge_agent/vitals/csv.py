"""Readings from a CSV file, whose columns are known by name, guessed or explained by the user.

``docs/data.md`` describes our own columns. A file with one bad row gives no reading at all.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.core import clock as clock_module
from edge_agent.core.bounds import bounded_lines, check_header
from edge_agent.core.brought_files import refuse_other_kind
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.files import unread
from edge_agent.core.readings import (
    BeatSums,
    BeatTimes,
    LocalTimes,
    Origin,
    VitalFlag,
    VitalReading,
    flag_near_pressures,
    reading_of,
    with_near_pressures,
)
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.dates import DateOrder, WholeMinutes, guess_dates, iso_of

OURS = ("at", "kind", "value")
OPTIONAL = ("unit", "source", "flags", "device_time")
# Written by the export, and known again from time and flags:
DERIVED = ("at_ms", "session", "participant", "condition", "observed", "simulated")
TARGETS = ("at", "time", "kind", "value", *OPTIONAL, *VitalKind)
"""The targets of columns.

``time`` is a time of day beside a date in ``at``; a kind is a column with its values.
"""

_GUESSES: Mapping[str, str] = {
    "at": r"at|date ?time|time ?stamp|date ?/ ?time|date|measured( at)?|"
    r"zeit(punkt|stempel)?|datum|fecha|measurement date",
    "time": r"time|uhrzeit|time of day|measurement time|tid|hora",
} | {kind: kind.spec.headers for kind in VitalKind}
_UNIT_IN_NAME = re.compile(r"[\[(]\s*([^\])]*)\s*[\])]")


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """The meaning of the columns of a file.

    Attributes:
        columns: target (one of ``TARGETS``) → name of the column in the file. Either ``kind`` and
            ``value``, one reading in each row, or a column for each kind.
        units: unit of the column of a kind, for files without units; otherwise it is the one in
            brackets in a column's name.
        dates: order of dates: ISO 8601, or the day or the month first.
    """

    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder = "iso"

    @property
    def kinds(self) -> tuple[VitalKind, ...]:
        """The kinds that have a column of their own."""
        return tuple(kind for kind in VitalKind if kind in self.columns)

    def problem(self, header: Sequence[str]) -> str | None:
        """Return the reason why a file with these columns cannot be read, or ``None``."""
        # Columns are looked up before anything else, so that the message names the wrong one.
        for target, column in self.columns.items():
            lookup_problem = _lookup_problem(target, column, header)
            if lookup_problem:
                return lookup_problem
        if "at" not in self.columns:
            return "no column has the time of the readings. Choose one for `at`."
        long = {"kind", "value"} & set(self.columns)
        if long and self.kinds:
            return (
                "either one column has the kind and one the value, or each kind has a column; "
                "not both."
            )
        if len(long) == 1 or not (long or self.kinds):
            return (
                f"no column has values. Choose one for each kind ({', '.join(VitalKind)}), or "
                "for `kind` and `value`."
            )
        return None

    def column_of(self, target: str, kind: str | None) -> str:
        """Return the name of the column of a field, for error messages."""
        if target in {"value", "unit", "kind"} and kind is not None and kind in self.columns:
            return self.columns[kind]
        return self.columns.get(target, target)

    def items(self, row: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Yield the fields of each reading in a row, not yet validated.

        A wide file has one reading for each kind with a value.

        Raises:
            ReadingError: the row has a time in another order than ``dates``.
        """
        shared = {name: row[self.columns[name]] for name in OPTIONAL if name in self.columns}
        shared["at"] = self._at(row)
        if not self.kinds:
            kind = row[self.columns["kind"]]
            column = self.columns["value"]
            # The unit of the row wins; a unit in the name of the column is for all rows.
            unit = shared.get("unit") or self.units.get(kind.lower()) or unit_in_name(column)
            yield {**shared, "unit": unit, "kind": kind, "value": row[column]}
        for kind in self.kinds:
            column = self.columns[kind]
            if row[column] and not is_placeholder(kind, row[column]):
                unit = self.units.get(kind) or shared.get("unit") or unit_in_name(column)
                yield {**shared, "unit": unit, "kind": kind, "value": row[column]}

    def _at(self, row: Mapping[str, str]) -> str:
        text = row[self.columns["at"]]
        if "time" in self.columns:
            text = f"{text} {row[self.columns['time']]}".strip()
        return iso_of(text, self.dates)


def is_placeholder(kind: VitalKind, value: str) -> bool:
    """Return whether a value means *no value*: oximeters set all bits of one or two bytes."""
    is_all_bits = value == "65535" or (value == "255" and not kind.spec.is_possible(255))
    return is_all_bits or value in {"-", "--"}


def _lookup_problem(target: str, column: str, header: Sequence[str]) -> str | None:
    """Return the reason why a column cannot have its target, or ``None``."""
    if target not in TARGETS:
        return f"{target!r} is no target of a column. Possible: {', '.join(TARGETS)}."
    if column not in header:
        return f"there is no column {column!r}. Columns found: {', '.join(header)}."
    if header.count(column) > 1:
        return f"column {column!r} occurs twice. Rename one of them."
    return None


def zone_named(name: str) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``; ``None`` for an empty name.

    Raises:
        DataFileError: the time zone is unknown.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise DataFileError(
            f"{name!r} is no known time zone; write UTC or one such as Europe/Berlin."
        ) from error


def local_times(name: str) -> LocalTimes | None:
    """Return the local times of a zone; ``None`` for an empty name."""
    zone = zone_named(name)
    return None if zone is None else LocalTimes(zone)


def guess_columns(header: Sequence[str]) -> ColumnMap:
    """Guess the columns by their names in English or German, and the units in brackets."""
    # A file of ours needs no guess, whatever else its columns are called.
    if set(OURS) <= set(header):
        return ColumnMap({name: name for name in (*OURS, *OPTIONAL) if name in header})
    columns: dict[str, str] = {}
    units: dict[str, str] = {}
    for target, pattern in _GUESSES.items():
        column = next((name for name in header if is_named(target, pattern, name)), None)
        # The first column of a kind, and each column once.
        if column is not None and column not in columns.values():
            columns[target] = column
            unit = unit_in_name(column)
            if target in set(VitalKind) and unit.lower() in VitalKind(target).spec.units:
                units[target] = unit
    if "at" not in columns and "time" in columns:  # a column named time that holds whole instants
        columns["at"] = columns.pop("time")
    return ColumnMap(columns, units)


def is_named(target: str, pattern: str, column: str) -> bool:
    """Return whether a column's name is one of a target.

    With the unit of a rate, the word *rate* may be missing: ``Respiration (1/min)``.
    """
    name = _plain(column)
    if re.fullmatch(pattern, name):
        return True
    unit = unit_in_name(column).lower()
    is_rate = target in set(VitalKind) and unit and unit in VitalKind(target).spec.units
    return bool(is_rate and re.fullmatch(pattern, f"{name} rate"))


def unit_in_name(column: str) -> str:
    """Return the unit in brackets in a column's name; empty if there is none."""
    unit = _UNIT_IN_NAME.search(column)
    return unit[1].strip() if unit else ""


def _plain(name: str) -> str:
    """Return a column's name without unit and punctuation."""
    return " ".join(_UNIT_IN_NAME.sub("", name).replace("_", " ").replace(".", " ").lower().split())


_INTERVALS = {"ms": (200.0, 3000.0), "s": (0.2, 3.0)}
"""Intervals between beats in each unit: 20 to 300 beats per minute."""
PROBLEMS_SHOWN = 10
PROBLEMS_MOST = 1000
"""Reading stops after so many: the file is probably the wrong one."""
MAX_FILE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One row of a file, validated: its readings and its problems.

    Attributes:
        number: as in a spreadsheet, where the header is row 1.
        cells: column → text of the cell.
        readings: the readings; wide files have several in a row.
        problems: a sentence for each fault, with column and value; a file with a problem is not
            imported at all.
    """

    number: int
    cells: Mapping[str, str]
    readings: tuple[VitalReading, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file in memory.

    It is UTF-8, with or without a byte order mark, separated by comma, semicolon (with decimal
    comma) or tab.

    Attributes:
        name: of the file, for messages and as source of its readings.
        header: names of the columns, unchanged.
    """

    name: str
    header: tuple[str, ...]
    _text: str
    _delimiter: str

    @classmethod
    def parse(cls, name: str, raw: bytes, columns: Sequence[str] = OURS) -> CsvFile:
        """Read the header; ``columns`` are those that an empty file is told to name.

        Raises:
            DataFileError: too large, too many columns, empty, not UTF-8, or no table.
        """
        # The name comes from an upload; a control character would break messages and logs.
        name = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
        if len(raw) > MAX_FILE_BYTES:
            raise DataFileError(f"{name}: is larger than {MAX_FILE_BYTES // 2**20} MiB. Split it.")
        refuse_other_kind(name, raw)
        text = _decoded(name, raw)
        if not text.strip():
            raise DataFileError(
                f"{name}: is empty. Its first row must name the columns: {', '.join(columns)}."
            )
        first, _, rest = text.partition("\n")
        named = re.fullmatch(r"sep=([,;\t])\s*", first)  # Excel reads this line, and shows none
        if named:
            text = rest
        # The separator that is most frequent in the first line.
        delimiter = named[1] if named else max(",;\t", key=first.count)
        file = cls(name, (), text, delimiter)
        header = tuple(cell.strip() for cell in next(file._rows())[1])
        check_header(name, header)
        return cls(name, header, text, delimiter)

    @property
    def decimal_comma(self) -> bool:
        """Whether ``72,5`` is a number in this file."""
        # Where the comma separates decimals, the semicolon separates columns.
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
        """Validate and yield row after row, so that a caller can stop early.

        Raises:
            DataFileError: columns are missing, or a row is no CSV.
        """
        problem = columns.problem(self.header)
        if problem:
            raise DataFileError(f"{self.name}: {problem}")
        origin = Origin(
            f"csv:{self.name}",
            flags=frozenset({VitalFlag.IMPORTED}),
            zone=zone,
            decimal_comma=self.decimal_comma,
            live=False,
            units_needed=bool(columns.kinds),
        )
        now = now or clock_module.now()
        # It is read twice, from the beginning, and hours that come twice a year are told by their
        # order.
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
            column = columns.column_of(error.field, kind)
            shown = f"{error.shown} " if error.shown else ""
            problems.append(f"row {number}, column {column}: {shown}{error.reason}")
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


def _all_problems(name: str, problems: Sequence[str]) -> str:
    """Return a message with the first problems of a file and the number of the others."""
    lines = [f"{name}, {problem}" for problem in problems[:PROBLEMS_SHOWN]]
    if len(problems) >= PROBLEMS_MOST:
        lines.append(f"… and {PROBLEMS_MOST - PROBLEMS_SHOWN} or more.")
    elif len(problems) > PROBLEMS_SHOWN:
        lines.append(f"… and {len(problems) - PROBLEMS_SHOWN} more.")
    lines.append("Nothing was imported.")
    return "\n".join(lines)


def read_file(path: Path, columns: Sequence[str] = OURS) -> CsvFile:
    """Read a file from the disk; ``columns`` are those that an empty file is told to name.

    Raises:
        DataFileError: it cannot be read, or as ``CsvFile.parse``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataFileError(unread(path, error)) from error
    return CsvFile.parse(path.name, raw, columns)


def read_readings(
    path: Path,
    zone: LocalTimes | None = None,
    columns: ColumnMap | None = None,
    now: Instant | None = None,
) -> list[VitalReading]:
    """Return the readings of a CSV file, each flagged ``imported``.

    Args:
        path: the file.
        zone: time zone for times without one; ``None`` refuses such times.
        columns: meaning of the columns; ``None``: by our own names, and others are refused.
        now: later times are in the future; ``None`` is the present.

    Raises:
        DataFileError: the file cannot be read, or rows are bad: the message has row, column and
            value of the first ten.
    """
    file = read_file(path)
    if columns is None:
        file = replace(file, header=tuple(name.lower() for name in file.header))
        columns = own_columns_of(file)
    return list(all_readings(file, columns, zone, now))


def all_readings(
    file: CsvFile, columns: ColumnMap, zone: LocalTimes | None, now: Instant | None = None
) -> Iterator[VitalReading]:
    """Return all readings of a file, after validating all of its rows.

    Raises:
        DataFileError: a row is bad, there is none, beats do not fit into their time, or times lost
            their seconds; before the first reading is returned.
    """
    problems: list[str] = []
    count = 0
    beats, minutes = BeatSums(), WholeMinutes()
    for row in file.judged(columns, zone, now):
        count += len(row.readings)
        if "flags" not in columns.columns:  # an export of ours is taken as it was recorded
            beats.add(row.readings)
            minutes.add(row.readings)
        problems += row.problems
        if len(problems) >= PROBLEMS_MOST:
            break
    if problems:
        raise DataFileError(_all_problems(file.name, problems))
    if wrong := beats.problem or minutes.problem:
        raise DataFileError(
            N_("{file}: {problem} Nothing was imported."), file=file.name, problem=wrong
        )
    if not count:
        raise DataFileError(
            f"{file.name}: has no rows with readings below the names of the columns."
        )
    # Read a second time instead of kept: 20 MiB of text would be far more as objects.
    given = (reading for row in file.judged(columns, zone, now) for reading in row.readings)
    return with_near_pressures(BeatTimes().spread_all(given))


def guess_map(file: CsvFile, rows: int | None = None) -> ColumnMap:
    """Guess the columns by their names and by the form of the times.

    Args:
        file: the file.
        rows: number of rows to examine; ``None``: all.
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
    """Add a missing unit of intervals between beats, if all values fit one unit."""
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
    # The ranges do not overlap, so that one unit fits at most.
    for unit, (least, most) in _INTERVALS.items():
        if values and all(least <= value <= most for value in values):
            return replace(columns, units={**columns.units, kind: unit})
    return columns


def count_placeholders(file: CsvFile, columns: ColumnMap) -> Counter[str]:
    """Count the cells of each column with a sensor's mark for *no value*."""
    places = {kind: file.header.index(columns.columns[kind]) for kind in columns.kinds}
    return Counter(
        columns.columns[kind]
        for _, cells in file.rows()
        for kind, place in places.items()
        if place < len(cells) and is_placeholder(kind, cells[place].strip())
    )


def own_columns_of(file: CsvFile) -> ColumnMap:
    """Return the columns of a file in our own format.

    Raises:
        DataFileError: a column is missing, unknown or occurs twice.
    """
    header = file.header
    # The names of columns are missing: the first row holds values.
    if all(_is_number(name) for name in header if name):
        raise DataFileError(
            f"{file.name}, row 1: has values ({', '.join(header)[:80]}), and no names of columns. "
            "Add a first row that names them, such as at,heart_rate, and add --map guess. For "
            "intervals between beats without times, give their beginning with --start."
        )
    missing = [name for name in OURS if name not in header]
    if missing:
        raise DataFileError(
            f"{file.name}, row 1: column {missing[0]} is missing. Columns found: "
            f"{', '.join(header)}; needed: {', '.join(OURS)}; optional: {', '.join(OPTIONAL)}. "
            "For columns of other names, explain them with --map. For intervals between beats "
            "without times, give their beginning with --start."
        )
    for name in header:
        if name not in (*OURS, *OPTIONAL, *DERIVED):
            known = ", ".join((*OURS, *OPTIONAL))
            raise DataFileError(f"{file.name}, row 1: unknown column {name!r}. Known: {known}.")
        if header.count(name) > 1:
            raise DataFileError(
                f"{file.name}, row 1: column {name} occurs twice. Rename one of them."
            )
    return guess_columns(header)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.,: +-]+", text) is not None


def _decoded(name: str, raw: bytes) -> str:
    """Return the file's text."""
    try:
        # Excel writes a byte order mark before UTF-8, which would become part of the first column's
        # name.
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataFileError(
            f"{name}, row {row}: is not UTF-8 text (byte {raw[error.start]:#04x}). Save "
            'it as "CSV UTF-8".'
        ) from error
