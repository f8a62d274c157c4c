"""Readings from a CSV file, whose columns are known by name, guessed or explained by the user.

``docs/data.md`` describes our own columns. A file with one bad row gives no reading at all.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import reduce
from itertools import islice, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.core import clock as clock_module
from edge_agent.core.bounds import check_header, lines_of, within
from edge_agent.core.brought_files import refuse_other_kind
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.files import why_unreadable
from edge_agent.core.given_readings import (
    Origin,
    flag_near_pressures,
    is_no_value,
    reading_of,
    with_near_pressures,
)
from edge_agent.core.interleaving import first_interleaved
from edge_agent.core.readings import BeatSums, BeatTimes, LocalTimes, VitalFlag, VitalReading
from edge_agent.core.texts import N_, Message, as_message, text_of
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.dates import DateOrder, WholeMinutes, guess_dates, iso_of
from edge_agent.vitals.guesses import (
    PAIRS,
    SOURCES,
    Doubt,
    bare_name,
    doubt_of_devices,
    doubt_of_values,
    doubtful,
    how_to_choose,
    names_readings,
    names_times,
    read_names,
    unit_in_name,
)
from edge_agent.vitals.zone_names import (
    refuse_different,
    refuse_other_zone,
    says_local,
    zone_in_name,
    zone_of_columns,
)

OURS = ("at", "kind", "value")
OPTIONAL = ("unit", "source", "flags", "device_time")
# Written by the export, and known again from time and flags:
DERIVED = ("at_ms", "session", "participant", "condition", "observed", "simulated")
TARGETS = ("at", "time", "kind", "value", *OPTIONAL, *VitalKind)
"""The targets of columns.

``time`` is a time of day beside a date in ``at``; a kind is a column with its values.
"""

_PRESSURE_PAIR = re.compile(r"(\d{2,3}) ?/ ?(\d{2,3})(?: ?mm ?hg)?", re.IGNORECASE | re.ASCII)
_PLACE_IN_PAIR = {VitalKind.SYSTOLIC: 1, VitalKind.DIASTOLIC: 2}
_DATE_PART = r"(?:\d{1,4}|W\d\d|[^\W\d_]{3,})"
_DAY_ALONE = re.compile(rf"{_DATE_PART}[-./, ]+{_DATE_PART}[-./, ]+{_DATE_PART}\.?")
_TIME_OF_DAY = re.compile(r"\d{1,2}[:.]\d\d([:.]\d\d)?.*", re.DOTALL)
_DAY_PROBLEM = N_(
    "rows with a date and no time of day: {n}; the first is row {row} ({text}). Choose the column "
    "with the time of day for `time` ({option}), or write the time behind the date."
)
_WITHOUT_GUESS = N_(
    "Or name each column that is to be read: --map without guess, or the fields of the page."
)
_NO_NAMES = N_(
    "the first row has values ({values}), and no names of columns. Add a first row that names "
    "them, such as at,heart_rate. For intervals between beats without times, give their beginning "
    "(--start)."
)
_NO_TIME_COLUMN = N_(
    "no column has the time of the readings. Choose one for `at`. Columns found: {columns}. On the "
    "command line: --map at=COLUMN."
)
_NO_VALUES = N_(
    "no column has values. Choose one for each kind ({kinds}), or for `kind` and `value`. Columns "
    "found: {columns}. On the command line: --map heart_rate=COLUMN."
)
_BOTH_FORMS = N_(
    "either one column has the kind and one the value, or each kind has a column; not both."
)
_RANGES: Mapping[VitalKind, Mapping[str, tuple[float, float]]] = {
    # 20 to 300 beats per minute
    VitalKind.RR_INTERVAL: {"ms": (200.0, 3000.0), "s": (0.2, 3.0)},
    VitalKind.OXYGEN_SATURATION: {"share": (0.5, 1.0)},
}
"""Values in each unit of kinds that are given in several, often without one."""
_MOST_DEVICES = 20
_ONE_NUMBER = " Write one number, or empty the cell."
PROBLEMS_SHOWN = 10
PROBLEMS_MOST = 1000
"""Reading stops after so many: the file is probably the wrong one."""
_MOST_ABOVE = 50
_ABOVE = N_("{file}: rows above the names of the columns, which are not read: {n}.")
_FURTHER = N_("{file}: with row {row} another table begins, which is not read.")
_SUMMARIES = frozenset(
    {"average", "mean", "total", "sum", "min", "max", "minimum", "maximum", "median"}
)
MAX_FILE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """The meaning of the columns of a file.

    Attributes:
        columns: target (one of ``TARGETS``) → name of the column in the file. Either ``kind`` and
            ``value``, one reading in each row, or a column for each kind.
        units: unit of the column of a kind, for files without units; otherwise it is the one in
            brackets in a column's name.
        dates: order of dates: ISO 8601, or the day or the month first.
        doubts: target → why no column was guessed for it.
    """

    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder = "iso"
    doubts: Mapping[str, Doubt] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[VitalKind, ...]:
        """The kinds that have a column of their own."""
        return tuple(kind for kind in VitalKind if kind in self.columns)

    @property
    def of_times(self) -> list[str]:
        """The columns of date and time of day."""
        return [self.columns[target] for target in ("at", "time") if target in self.columns]

    @property
    def names_zone(self) -> bool:
        """Whether the name of a column of times tells their zone."""
        return any(zone_in_name(name) for name in self.of_times)

    def names_to_compare(self, header: Sequence[str]) -> list[str]:
        """Return the other columns of times with which those that are read are compared."""
        others = [name for name in header if name not in self.of_times and names_times(name)]
        if self.names_zone:
            return [name for name in others if says_local(name)]
        return [name for name in others if zone_in_name(name)]

    def problem(self, header: Sequence[str]) -> Message | None:
        """Return the reason why a file with these columns cannot be read, or ``None``."""
        # Columns are looked up before anything else, so that the message names the wrong one.
        for target, column in self.columns.items():
            lookup_problem = _lookup_problem(target, column, header)
            if lookup_problem:
                return lookup_problem
        doubts = [doubt.sentence for target, doubt in self.doubts.items() if self._is_open(target)]
        if doubts:
            if "at" not in {*self.columns, *self.doubts}:
                doubts.append(Message(_NO_TIME_COLUMN, columns=", ".join(filter(None, header))))
            doubts.append(as_message(_WITHOUT_GUESS))
            return reduce(lambda all_, one: Message("{all}\n{one}", all=all_, one=one), doubts)
        return self._missing(header)

    def _is_open(self, target: str) -> bool:
        """Return whether a doubt still stands: neither it nor its only column was chosen."""
        doubt = self.doubts[target]
        is_chosen = len(doubt.columns) == 1 and doubt.columns[0] in self.columns.values()
        return target not in self.columns and not is_chosen

    def _missing(self, header: Sequence[str]) -> Message | None:
        """Return which column is missing for a time and a value; ``None``: none is."""
        names = ", ".join(filter(None, header))
        long = {"kind", "value"} & set(self.columns)
        if names and all(_is_number(name) for name in header if name):
            return Message(_NO_NAMES, values=names[:80])
        if "at" not in self.columns:
            return Message(_NO_TIME_COLUMN, columns=names)
        if long and self.kinds:
            return as_message(_BOTH_FORMS)
        if len(long) == 1 or not (long or self.kinds):
            return Message(_NO_VALUES, kinds=", ".join(VitalKind), columns=names)
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
        shared["at"] = self._iso_time_of(row)
        if not self.kinds:
            kind = row[self.columns["kind"]]
            column = self.columns["value"]
            # The unit of the row wins; a unit in the name of the column is for all rows.
            unit = shared.get("unit") or self.units.get(kind.lower()) or unit_in_name(column)
            if not row[column] or not is_no_value(row[column]):
                yield {**shared, "unit": unit, "kind": kind, "value": row[column]}
        for kind in self.kinds:
            column = self.columns[kind]
            value = _value_of(kind, row[column])
            if value and not is_placeholder(kind, value):
                unit = self.units.get(kind) or shared.get("unit") or unit_in_name(column)
                yield {**shared, "unit": unit, "kind": kind, "value": value}

    def time_of(self, row: Mapping[str, str]) -> str:
        """Return date and time of day of a row, as they are written."""
        text = row[self.columns["at"]]
        return f"{text} {row[self.columns['time']]}".strip() if "time" in self.columns else text

    def _iso_time_of(self, row: Mapping[str, str]) -> str:
        return iso_of(self.time_of(row), self.dates)


def is_placeholder(kind: VitalKind, value: str) -> bool:
    """Return whether a value means *no value*: oximeters set all bits of one or two bytes."""
    is_all_bits = value == "65535" or (value == "255" and not kind.spec.is_possible(255))
    return is_all_bits or is_no_value(value)


def _value_of(kind: VitalKind, text: str) -> str:
    """Return the value of a kind in a cell: of ``121/79`` the first is systolic."""
    pair = _PRESSURE_PAIR.fullmatch(text) if kind in _PLACE_IN_PAIR else None
    return pair[_PLACE_IN_PAIR[kind]] if pair else text


def _lookup_problem(target: str, column: str, header: Sequence[str]) -> Message | None:
    """Return the reason why a column cannot have its target, or ``None``."""
    if target not in TARGETS:
        return Message(
            N_("{target} is no target of a column. Possible: {targets}."),
            target=repr(target),
            targets=", ".join(TARGETS),
        )
    if column not in header:
        return Message(
            N_("there is no column {column}. Columns found: {columns}."),
            column=repr(column),
            columns=", ".join(header),
        )
    if header.count(column) > 1:
        return Message(
            N_(
                "column {column} occurs twice. Rename one of them. If they are of two devices or "
                "arms, import the file once for each, with a source of its own (--source)."
            ),
            column=repr(column),
        )
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
    """Guess the columns by their names, and their units."""
    # A file of ours needs no guess, whatever else its columns are called.
    if set(OURS) <= set(header):
        return ColumnMap({name: name for name in (*OURS, *OPTIONAL) if name in header})
    names = read_names(header)
    return ColumnMap(names.columns, names.units, doubts=names.doubts)


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

    It is UTF-8, with or without a byte order mark, separated by comma, semicolon or tab. A comma
    within a cell is one of decimals.

    Attributes:
        name: of the file, for messages and as source of its readings.
        header: names of the columns, unchanged.
        above: number of rows above the names of the columns.
        further: number of the row with which another table begins, which is not read; ``None``:
            there is none.
    """

    name: str
    header: tuple[str, ...]
    _text: str
    _delimiter: str
    above: int = 0
    further: int | None = None

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
        text = _decode(name, raw)
        # Not `strip`, `partition` and the like: each would copy all of it.
        if not text or text.isspace():
            raise DataFileError(
                f"{name}: is empty. Its first row must name the columns: {', '.join(columns)}."
            )
        # Excel reads this line, and shows none.
        named = re.match(r'"?sep=([,;\t])"?[^\S\n]*(?:\n|\Z)', text)
        if named:
            text = text[named.end() :]
        above, start = _place_of_names(name, text)
        # The separator that is most frequent in the line with the names.
        delimiter = named[1] if named else _separator(next(lines_of(text[start:], name)))
        file = cls(name, (), text[start:], delimiter, above)
        header = tuple(cell.strip() for cell in next(file._rows())[1])
        check_header(name, header)
        file = replace(file, header=header)
        return replace(file, further=_further_table(file))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows below the header that are not blank, with their numbers.

        Empty cells behind the last column are left out: some programs end each row with a comma.

        Raises:
            DataFileError: a row is no CSV.
        """
        for number, cells in self._rows():
            if number > self.above + 1 and any(cell.strip() for cell in cells):
                yield number, within(cells, len(self.header))

    def cells(self, column: str, rows: int | None = None) -> Iterator[str]:
        """Yield the cells of a column that are not empty, of the first rows."""
        place = self.header.index(column)
        for _, cells in islice(self._readable_rows(), rows):
            if place < len(cells) and cells[place].strip():
                yield cells[place].strip()

    @property
    def remarks(self) -> list[Message]:
        """Sentences about the rows that are not read."""
        remarks = []
        if self.above:
            remarks.append(Message(_ABOVE, file=self.name, n=self.above))
        if self.further is not None:
            remarks.append(Message(_FURTHER, file=self.name, row=self.further))
        return remarks

    def _readable_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the rows of the first table."""
        return takewhile(lambda row: row[0] != self.further, self.rows())

    def validate_rows(
        self, columns: ColumnMap, zone: LocalTimes | None, now: Instant | None = None
    ) -> Iterator[JudgedRow]:
        """Validate and yield row after row, so that a caller can stop early.

        Raises:
            DataFileError: columns are missing, or a row is no CSV.
        """
        problem = columns.problem(self.header)
        if problem:
            raise DataFileError("{file}: {problem}", file=self.name, problem=problem)
        named = self._zone_named(columns, zone)
        origin = Origin(
            f"csv:{self.name}",
            flags=frozenset({VitalFlag.IMPORTED}),
            zone=zone if named is None else LocalTimes(named),
            decimal_comma=True,
            live=False,
            units_needed=bool(columns.kinds),
        )
        now = now or clock_module.now()
        self._refuse_days(columns)
        # It is read twice, from the beginning, and hours that come twice a year are told by their
        # order.
        if zone is not None:
            zone.restart()
        for number, cells in self._readable_rows():
            yield self._validate_row(number, cells, columns, origin, now)

    def _zone_named(self, columns: ColumnMap, zone: LocalTimes | None) -> tzinfo | None:
        """Return the zone that the columns of times name; ``None``: they name none.

        A column of local times beside them, and a zone that was given, must say the same.

        Raises:
            DataFileError: they do not.
        """
        own, others = columns.of_times, columns.names_to_compare(self.header)
        given = None if zone is None else zone.zone
        try:
            named = zone_of_columns(own)
            is_compared = False
            for other in others:
                told = zone_in_name(other) or named
                # Of a local time without a zone the other one is the zone.
                if told is not None and (named is not None or zone is not None):
                    pairs = self._moments(columns, other, is_first=named is not None)
                    names = (own[0], other) if named is not None else (other, own[0])
                    is_compared |= refuse_different(names, given, pairs, told)
            if named is not None and zone is not None and not is_compared:
                refuse_other_zone(own[-1], named, given, self._moments(columns, own[0]))
        except DataFileError as error:
            raise DataFileError(
                N_("{file}: {problem} Nothing was imported."),
                file=self.name,
                problem=text_of(error),
            ) from error
        return named

    def _moments(
        self, columns: ColumnMap, beside: str, *, is_first: bool = True
    ) -> Iterator[tuple[int, datetime, datetime]]:
        """Yield the number of each row, its time as it is written, and that of another column.

        Rows in which one of the two is no date with a time of day are left out: they are named when
        they are read.
        """
        for number, cells in self._readable_rows():
            if len(cells) == len(self.header):
                row = dict(zip(self.header, (cell.strip() for cell in cells), strict=True))
                at = _moment_of(columns.time_of(row), columns.dates)
                other = at if beside in columns.of_times else _moment_of(row[beside], columns.dates)
                if at is not None and other is not None:
                    yield (number, at, other) if is_first else (number, other, at)

    def _refuse_days(self, columns: ColumnMap) -> None:
        """Refuse times that are dates alone: their readings would lie at midnight.

        Raises:
            DataFileError: there are such; it names the first, and the column with times of day.
        """
        days: list[tuple[int, str]] = []
        with suppress(DataFileError):  # a row is no CSV: it is named when it is read
            days += (
                (number, text)
                for number, text in self._times(columns)
                if ":" not in text and _DAY_ALONE.fullmatch(text)
            )
        if not days:
            return
        number, text = days[0]
        problem = Message(
            _DAY_PROBLEM,
            n=len(days),
            row=number,
            text=repr(text[:60]),
            option=self._time_option(columns),
        )
        raise DataFileError("{file}: {problem}", file=self.name, problem=problem)

    def _times(self, columns: ColumnMap) -> Iterator[tuple[int, str]]:
        """Yield the number of each row, and its date and time of day."""
        for number, cells in self._readable_rows():
            if len(cells) == len(self.header):
                row = dict(zip(self.header, (cell.strip() for cell in cells), strict=True))
                yield number, columns.time_of(row)

    def _time_option(self, columns: ColumnMap) -> str:
        """Return the option that names the column with times of day."""
        _, first = next(self.rows())
        for name, cell in zip(self.header, first, strict=False):
            if name not in columns.columns.values() and _TIME_OF_DAY.fullmatch(cell.strip()):
                return how_to_choose("time", name)
        return "--map time=COLUMN"

    def _validate_row(
        self, number: int, cells: list[str], columns: ColumnMap, origin: Origin, now: Instant
    ) -> JudgedRow:
        if len(cells) != len(self.header):
            problem = (
                f"row {number}: has {len(cells)} values, but there are {len(self.header)} columns. "
                "Put values with the separator in quotes."
            )
            return JudgedRow(number, dict(zip(self.header, cells, strict=False)), (), (problem,))
        row = {name: cell.strip() for name, cell in zip(self.header, cells, strict=True)}
        readings: list[VitalReading] = []
        problems: list[str] = []
        kind = None
        try:
            if not re.search(r"\d", columns.time_of(row)):
                _refuse_words(columns.time_of(row), row.values())
            for item in columns.items(row):
                kind = item["kind"]
                if not item["at"]:
                    raise ReadingError("at", "''", "is not a time.")
                readings.append(reading_of(item, now, origin))
        except ReadingError as error:
            column = columns.column_of(error.field, kind)
            shown = f"{error.shown} " if error.shown else ""
            remedy = _ONE_NUMBER if error.reason.endswith("is not a number.") else ""
            problems.append(f"row {number}, column {column}: {shown}{error.reason}{remedy}")
        return JudgedRow(number, row, tuple(flag_near_pressures(readings)), tuple(problems))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        lines = lines_of(self._text, self.name)
        rows = csv.reader(lines, delimiter=self._delimiter, strict=True)
        try:
            yield from enumerate(rows, start=self.above + 1)
        except csv.Error as error:
            raise DataFileError(
                f"{self.name}, row {self.above + rows.line_num}: is not CSV ({error}). Check the "
                "quotes of this row."
            ) from error


def _moment_of(text: str, dates: DateOrder) -> datetime | None:
    """Return a date with a time of day as it is written; ``None``: it is no such text."""
    is_whole = not _DAY_ALONE.fullmatch(text) and not _TIME_OF_DAY.fullmatch(text)
    with suppress(ReadingError, ValueError):
        return datetime.fromisoformat(iso_of(text, dates)) if is_whole else None
    return None


def _refuse_words(time: str, cells: Iterable[str]) -> None:
    """Refuse a row without any time that is no reading: a summary, or names and units.

    Raises:
        ReadingError: it is one.
    """
    if time.casefold() in _SUMMARIES:
        raise ReadingError("at", repr(time), "is a summary and no reading. Remove the row.")
    if not any(map(_begins_with_number, cells)):
        raise ReadingError(
            "at",
            repr(time[:60]),
            "is no time, and the row has no number. If it has names or units, remove it: one row "
            "names the columns.",
        )


def _place_of_names(name: str, text: str) -> tuple[int, int]:
    """Return how many lines stand above the names of the columns, and where these begin.

    They stand in the first line that can name a table of readings, else in the first one that is
    neither blank nor a remark.
    """
    start = 0
    places: list[tuple[int, int, str]] = []
    for above, line in enumerate(lines_of(text, name)):
        places.append((above, start, line))
        start += len(line)
        if above == _MOST_ABOVE or _names_columns(line):
            break
    if _names_columns(places[-1][2]):
        return places[-1][:2]
    for above, start, line in places:
        is_remark = line.startswith("#") and not any(line.count(sign) for sign in ",;\t")
        if line.strip() and not is_remark:
            return above, start
    return places[0][:2]


def _further_table(file: CsvFile) -> int | None:
    """Return the number of the row with which another table begins; ``None``: there is none.

    It stands below a blank row, names its columns, and has another number of them.
    """
    last = file.above + 1
    with suppress(DataFileError):  # a row is no CSV: who reads the file says so
        for number, cells in file.rows():
            is_apart = number > last + 1 and len(cells) != len(file.header)
            if is_apart and not any(map(_begins_with_number, cells)):
                return number
            last = number
    return None


def _begins_with_number(cell: str) -> bool:
    return re.match(r"\s*[-+<>~]?\d", cell) is not None


def _names_columns(line: str) -> bool:
    try:
        (cells,) = csv.reader([line], delimiter=_separator(line), strict=True)
    except (csv.Error, ValueError):
        return False
    names = [cell.strip() for cell in cells]
    return set(OURS) <= {one.lower() for one in names} or names_readings(names)


def _separator(line: str) -> str:
    return max(",;\t", key=line.count)


def _all_problems(name: str, problems: Sequence[str]) -> str:
    """Return a message with the first problems of a file and the number of the others.

    What several rows have alike, such as a unit that is not known, is one problem of these rows.
    """
    more = "or more" if len(problems) >= PROBLEMS_MOST else "more"
    of_rows: dict[str, list[str]] = {}
    for problem in problems:
        row, what = _row_of(problem)
        of_rows.setdefault(what, []).append(row)
    lines = [
        f"{name}, {_named_rows(rows, more)}{what}"
        for what, rows in islice(of_rows.items(), PROBLEMS_SHOWN)
    ]
    if len(of_rows) > PROBLEMS_SHOWN:
        lines.append(f"… and {len(of_rows) - PROBLEMS_SHOWN} {more}.")
    lines.append("Nothing was imported.")
    return "\n".join(lines)


def _row_of(problem: str) -> tuple[str, str]:
    """Return the number of a problem's row, and what it says after that."""
    number = problem.removeprefix("row ").split(":")[0].split(",")[0]
    return number, problem.removeprefix(f"row {number}")


def _named_rows(rows: Sequence[str], more: str) -> str:
    """Name the first rows of a problem, and count the others."""
    shown = ", ".join(rows[:PROBLEMS_SHOWN])
    if len(rows) == 1:
        return f"row {shown}"
    others = len(rows) - PROBLEMS_SHOWN
    return f"rows {shown}{f' and {others} {more}' if others > 0 else ''}"


def read_file(path: Path, columns: Sequence[str] = OURS) -> CsvFile:
    """Read a file from the disk; ``columns`` are those that an empty file is told to name.

    Raises:
        DataFileError: it cannot be read, or as ``CsvFile.parse``.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataFileError(why_unreadable(path, error)) from error
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
    beats, minutes, devices = BeatSums(), WholeMinutes(), _Devices(file, columns)
    for row in file.validate_rows(columns, zone, now):
        count += len(row.readings)
        devices.add(row)
        if "flags" not in columns.columns:  # an export of ours is taken as it was recorded
            beats.add(row.readings)
            minutes.add(row.readings)
        problems += row.problems
        if len(problems) >= PROBLEMS_MOST:
            break
    if problems:
        raise DataFileError(_all_problems(file.name, problems))
    if wrong := beats.problem or minutes.problem or devices.problem:
        raise DataFileError(
            N_("{file}: {problem} Nothing was imported."), file=file.name, problem=wrong
        )
    if not count:
        raise DataFileError(
            f"{file.name}: has no rows with readings below the names of the columns."
        )
    # Read a second time instead of kept: 20 MiB of text would be far more as objects.
    given = (reading for row in file.validate_rows(columns, zone, now) for reading in row.readings)
    return with_near_pressures(BeatTimes().spread_all(given))


class _Devices:
    """Finds readings of several devices between each other that would become one source.

    Args:
        file: the table.
        columns: its columns that are read; one of sources tells the devices apart already.
    """

    def __init__(self, file: CsvFile, columns: ColumnMap) -> None:
        is_open = "source" not in columns.columns
        names = {*columns.columns.values()} if is_open else {*file.header}
        self._columns = [
            name
            for name in file.header
            if name not in names and SOURCES.fullmatch(bare_name(name)) is not None
        ]
        self._names: dict[str, dict[str, int]] = {name: {} for name in self._columns}
        self._times: dict[tuple[str, VitalKind], list[tuple[int, int]]] = {}

    def add(self, row: JudgedRow) -> None:
        """Add a row of the file."""
        for column in self._columns:
            names = self._names[column]
            device = names.setdefault(row.cells.get(column, ""), len(names))
            for reading in row.readings:
                times = self._times.setdefault((column, reading.kind), [])
                times.append((reading.at.wall_ms, device))

    @property
    def problem(self) -> str:
        """A sentence for people on the column that names the devices; empty: it is one device."""
        for (column, _), times in self._times.items():
            names = list(self._names[column])
            if 1 < len(names) <= _MOST_DEVICES and first_interleaved(sorted(times)):
                return doubt_of_devices(column, names).sentence
        return ""


def guess_map(file: CsvFile, rows: int | None = None) -> ColumnMap:
    """Guess the columns by their names, by the form of the times and by the values.

    Args:
        file: the file.
        rows: number of rows to examine; ``None``: all.
    """
    columns = guess_columns(file.header)
    try:
        return _guessed_by_values(file, columns, rows)
    except DataFileError:  # a row is no CSV: who reads the file says so
        return columns


def _guessed_by_values(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add what only values tell: units, both pressures in a cell, order of dates; and doubts."""
    columns = _with_pairs(file, columns, rows)
    for kind, ranges in _RANGES.items():
        columns = _with_fitting_unit(file, columns, kind, ranges, rows)
    doubts = {**columns.doubts, **dict(_doubts_of_values(file, columns, rows))}
    doubts |= _doubt_of_devices(file, columns, rows)
    # Exports keep the resting rate of each day in a table of the same columns.
    if VitalKind.HEART_RATE in columns.columns and "resting" in file.name.lower():
        rate = VitalKind.HEART_RATE
        doubts[rate] = doubtful(rate, columns.columns[rate])
    dates: DateOrder = "iso"
    if "at" in columns.columns:
        dates = guess_dates(file.cells(columns.columns["at"], rows))
    known = {target: name for target, name in columns.columns.items() if target not in doubts}
    return ColumnMap(known, columns.units, dates, doubts)


def _with_pairs(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the column of both pressures, as ``121/79``, if none has one of them."""
    if {VitalKind.SYSTOLIC, VitalKind.DIASTOLIC} & {*columns.columns, *columns.doubts}:
        return columns
    for name in file.header:
        if PAIRS.fullmatch(bare_name(name)) and file.header.count(name) == 1:
            texts = list(islice(file.cells(name, rows), PROBLEMS_MOST))
            if texts and all(map(_PRESSURE_PAIR.fullmatch, texts)):
                others = {target: one for target, one in columns.columns.items() if one != name}
                both = {VitalKind.SYSTOLIC.value: name, VitalKind.DIASTOLIC.value: name}
                return replace(columns, columns={**others, **both})
    return columns


def _with_fitting_unit(
    file: CsvFile,
    columns: ColumnMap,
    kind: VitalKind,
    ranges: Mapping[str, tuple[float, float]],
    rows: int | None,
) -> ColumnMap:
    """Add a missing unit of a kind, if all values fit one unit."""
    column = columns.columns.get(kind)
    if column is None or kind in columns.units or unit_in_name(column) or "unit" in columns.columns:
        return columns
    try:
        values = [float(text.replace(",", ".")) for text in file.cells(column, rows)]
    except ValueError:  # who reads the file says so
        return columns
    # The ranges do not overlap, so that one unit fits at most.
    for unit, (least, most) in ranges.items():
        if values and all(least <= value <= most for value in values):
            return replace(columns, units={**columns.units, kind: unit})
    return columns


def _doubts_of_values(
    file: CsvFile, columns: ColumnMap, rows: int | None
) -> Iterator[tuple[str, Doubt]]:
    """Yield a doubt for each guessed column of which no value is plausible."""
    for kind in columns.kinds:
        column = columns.columns[kind]
        if file.header.count(column) > 1:
            continue
        unit = columns.units.get(kind) or unit_in_name(column)
        example = _implausible(kind, unit, file.cells(column, rows))
        if example:
            yield kind, doubt_of_values(kind, column, example)


def _implausible(kind: VitalKind, unit: str, texts: Iterator[str]) -> str:
    """Return the first value of a column without a plausible one; empty: it has one, or none."""
    origin = Origin("", decimal_comma=True, units_needed=False)
    example = ""
    for text in texts:
        value = _value_of(kind, text)
        if is_placeholder(kind, value):
            continue
        with suppress(ReadingError):
            given = {"kind": kind.value, "value": value, "unit": unit}
            if VitalFlag.OUT_OF_RANGE not in reading_of(given, Instant(0, 0), origin).flags:
                return ""
            example = example or value
    return example


def _doubt_of_devices(file: CsvFile, columns: ColumnMap, rows: int | None) -> dict[str, Doubt]:
    """Return the doubt about the source of readings of several devices or arms in one file."""
    if "source" in columns.columns or not columns.kinds:
        return {}
    for name in file.header:
        if SOURCES.fullmatch(bare_name(name)) and name not in columns.columns.values():
            devices = dict.fromkeys(file.cells(name, rows))
            if 1 < len(devices) <= _MOST_DEVICES:
                return {"source": doubt_of_devices(name, list(devices))}
    return {}


def count_placeholders(file: CsvFile, columns: ColumnMap) -> Counter[str]:
    """Count the cells of each column with a mark for *no value*."""
    return Counter(
        columns.columns[kind]
        for kind in columns.kinds
        for text in file.cells(columns.columns[kind])
        if is_placeholder(kind, text)
    )


def own_columns_of(file: CsvFile) -> ColumnMap:
    """Return the columns of a file in our own format, in capital or small letters.

    Raises:
        DataFileError: a column is missing, unknown or occurs twice.
    """
    header = [name.lower() for name in file.header]
    where = f"{file.name}, row {file.above + 1}"
    # The names of columns are missing: the first row holds values.
    if all(_is_number(name) for name in header if name):
        raise DataFileError(
            f"{where}: has values ({', '.join(header)[:80]}), and no names of columns. "
            "Add a first row that names them, such as at,heart_rate, and add --map guess. For "
            "intervals between beats without times, give their beginning with --start."
        )
    missing = [name for name in OURS if name not in header]
    if missing:
        raise DataFileError(
            f"{where}: column {missing[0]} is missing. Columns found: {', '.join(file.header)}; "
            f"needed: {', '.join(OURS)}; optional: {', '.join(OPTIONAL)}. "
            "For columns of other names, add --map guess, or explain them with --map. For "
            "intervals between beats without times, give their beginning with --start."
        )
    for name in file.header:
        if name.lower() not in (*OURS, *OPTIONAL, *DERIVED):
            known = ", ".join((*OURS, *OPTIONAL))
            raise DataFileError(f"{where}: unknown column {name!r}. Known: {known}.")
        if header.count(name.lower()) > 1:
            raise DataFileError(f"{where}: column {name} occurs twice. Rename one of them.")
    names = dict(zip(header, file.header, strict=True))
    return ColumnMap({name: names[name] for name in (*OURS, *OPTIONAL) if name in names})


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.,: +-]+", text) is not None


def _decode(name: str, raw: bytes) -> str:
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
