"""A CSV file of readings: its rows, validated by the meaning of its columns.

``docs/importing.md`` describes our own columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from io import BytesIO
from itertools import chain, islice, zip_longest
from pathlib import Path

from edge_agent.core import clock as clock_module
from edge_agent.core.brought_tables import (
    DAY_ALONE,
    BroughtTable,
    Opens,
    Row,
    TableForm,
    opens_path,
)
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ImpossibleError, ReadingError
from edge_agent.core.files import why_unreadable
from edge_agent.core.given_readings import ReadingOrigin, flag_near_pressures, reading_of
from edge_agent.core.readings import LocalTimes, VitalFlag, VitalReading
from edge_agent.core.texts import N_, Message, text_of
from edge_agent.vitals.column_map import DERIVED, OPTIONAL, OURS, ColumnMap, is_number
from edge_agent.vitals.column_names import bare_name, how_to_choose, names_readings
from edge_agent.vitals.dates import DateOrder, half_of, hour_of, iso_of
from edge_agent.vitals.recordings import recording_of
from edge_agent.vitals.row_times import TIME_OF_DAY, RowTimes
from edge_agent.vitals.zone_names import (
    differ,
    refuse_different,
    refuse_other_zone,
    zone_in_name,
    zone_named,
    zone_of_columns,
)

_DAY_PROBLEM = N_(
    "rows with a date and no time of day: {n}; the first is row {row} ({text}). Choose the column "
    "with the time of day for `time` ({option}), or write the time behind the date."
)
_HALVES_DIFFER = N_(
    "column {column} says AM or PM beside times of a clock of twelve hours, but row {row} ({text}) "
    "does not fit that. Write the times with AM or PM behind them, or on a clock of 24 hours, and "
    "remove the column."
)
_ONE_NUMBER = " Write one number, or empty the cell."
PROBLEMS_MOST = 1000
"""Reading stops after so many: the file is probably the wrong one."""
_ZONE_COLUMNS = frozenset({"time zone", "timezone", "tz", "zeitzone", "zona horaria"})
_OTHER_ZONE = N_(
    "row {row}: column {column} has {named}, and {text} is read as {zone}, which was given. If the "
    "column is right, import it with --timezone {named}."
)
MAX_FILE_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One row of a file, validated: its readings and its problems.

    Attributes:
        number: as in a spreadsheet, where the first row is 1.
        cells: column → text of the cell.
        readings: the readings; wide files have several in a row.
        problems: a sentence for each fault, with column and value; a file with a problem is not
            imported at all.
        left_out: a sentence for each reading that is left out, the file being imported all the
            same: the row is torn, or the value cannot be one.
        no_value: columns with a mark for *no value*.
    """

    number: int
    cells: Mapping[str, str]
    readings: tuple[VitalReading, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    no_value: tuple[str, ...] = ()


class CsvFile(BroughtTable):
    """A table of readings, of this program or of another one.

    Args:
        name: of the file, for messages and as source of its readings.
        opens: opens it.
        columns: those that an empty file should have.

    Raises:
        DataFileError: as ``BroughtTable``.
    """

    def __init__(self, name: str, opens: Opens, columns: Sequence[str] = OURS) -> None:
        self._needed = columns
        self.recording = recording_of(name, opens)
        form = TableForm(_names_columns, has_days=True)
        if self.recording is not None:
            form = self.recording.form
        super().__init__(name, opens, form)
        # A column that has values and no name can be chosen by its place.
        first = next(self.rows(), None)
        cells = [] if first is None else first.cells
        places = enumerate(zip_longest(self.header, cells[: len(self.header)], fillvalue=""), 1)
        self.header = tuple(own or (f"column {n}" if cell else "") for n, (own, cell) in places)

    @classmethod
    def parse(cls, name: str, raw: bytes, columns: Sequence[str] = OURS) -> CsvFile:
        """Return a file in memory; ``columns`` are those that an empty one should have.

        Raises:
            DataFileError: too large, or as ``CsvFile``.
        """
        refuse_large(name, len(raw))
        return cls(name, lambda: BytesIO(raw), columns)

    def without_names(self) -> str:
        """Return why a file without a row of names is refused."""
        needed = ", ".join(self._needed)
        return f"{self.name}: is empty. Its first row must name the columns: {needed}."

    @property
    def remarks(self) -> list[Message]:
        """Sentences about the form of the file, and about rows that are not read."""
        told = [] if self.recording is None else self.recording.remarks
        return [*told, *super().remarks]

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
        columns = self.with_halves(columns)
        named = self._zone_named(columns, zone)
        origin = ReadingOrigin(
            f"csv:{self.name}",
            flags=frozenset({VitalFlag.IMPORTED}),
            zone=zone if named is None else LocalTimes(named),
            decimal_comma=True,
            live=False,
            units_needed=bool(columns.kinds),
        )
        now = now or clock_module.now()
        if columns.elapsed is None and not columns.day:
            self._refuse_days(columns)
        # A preview was read before, from the beginning, and hours that come twice a year are told
        # by their order.
        if zone is not None:
            zone.restart()
            self._learn_order(columns, zone)
        try:
            times = RowTimes(columns, origin.zone)
        except DataFileError as error:
            text = text_of(error)
            raise DataFileError("{file}: {problem}", file=self.name, problem=text) from error
        for row in self.rows():
            yield self._validate_row(row, columns, times, origin, now)

    def with_halves(self, columns: ColumnMap) -> ColumnMap:
        """Return the columns with the one that says AM or PM of times that need it.

        It has such texts alone, and some time of a clock of 24 hours would be of the other half.

        Raises:
            DataFileError: some times need it, and others have none or are of a clock of 24 hours.
        """
        if columns.half or columns.elapsed is not None or columns.problem(self.header):
            return columns
        read = columns.read_columns
        others = [one for one in self.header if one not in read and self.header.count(one) == 1]
        for name in filter(None, others):
            texts = list(islice(self.cells(name, PROBLEMS_MOST), PROBLEMS_MOST))
            if texts and all(map(half_of, texts)):
                return replace(columns, half=name) if self._needs_half(columns, name) else columns
        return columns

    def _needs_half(self, columns: ColumnMap, name: str) -> bool:
        needed = False
        odd: tuple[int, str] | None = None
        for row in self.rows():
            cells = {} if row.fault else dict(zip(self.header, row.cells, strict=True))
            text = columns.time_of(cells) if cells else ""
            hour = hour_of(text)
            if hour is None:
                continue
            half = half_of(cells[name])
            if not half or not 1 <= hour <= 12:
                needed |= bool(half) and (hour >= 12) != (half == "PM")
                odd = odd or (row.number, f"{text} {cells[name]}".strip())
            else:
                needed |= hour % 12 + 12 * (half == "PM") != hour
        if needed and odd is not None:
            problem = Message(_HALVES_DIFFER, column=name, row=odd[0], text=odd[1][:60])
            raise DataFileError("{file}: {problem}", file=self.name, problem=problem)
        return needed

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
        for row in self.rows():
            if not row.fault:
                cells = dict(zip(self.header, row.cells, strict=True))
                at = _moment_of(columns.time_of(cells), columns.dates)
                is_own = beside in columns.of_times
                other = at if is_own else _moment_of(cells[beside], columns.dates)
                if at is not None and other is not None:
                    yield (row.number, at, other) if is_first else (row.number, other, at)

    def _learn_order(self, columns: ColumnMap, zone: LocalTimes) -> None:
        """Read all times once if the first is of an hour that comes twice: their order tells which.

        Of any other hour the rows before it tell the order.
        """
        if not columns.of_times or columns.elapsed is not None:
            return
        moments = (at for _, at, _ in self._moments(columns, columns.of_times[0]) if not at.tzinfo)
        first = next(moments, None)
        offsets = set() if first is None else zone.offsets_of(first)
        if first is not None and len(offsets) > 1:
            for at in chain([first], moments):
                with suppress(ReadingError):
                    zone.moment(at)
            zone.restart()

    def _refuse_days(self, columns: ColumnMap) -> None:
        """Refuse times that are dates alone: their readings would lie at midnight.

        Only the first rows are looked at: the others are named when they are read.

        Raises:
            DataFileError: there are such; it names the first, and the column with times of day.
        """
        days: list[tuple[int, str]] = []
        with suppress(DataFileError):  # a row is no CSV: it is named when it is read
            days += (
                (number, text)
                for number, text in islice(self._times(columns), PROBLEMS_MOST)
                if ":" not in text and DAY_ALONE.fullmatch(text)
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
        for row in self.rows():
            if not row.fault:
                yield row.number, columns.time_of(dict(zip(self.header, row.cells, strict=True)))

    def _time_option(self, columns: ColumnMap) -> str:
        """Return the option that names the column with times of day."""
        first = next(self.rows())
        for name, cell in zip(self.header, first.cells, strict=False):
            if name not in columns.columns.values() and TIME_OF_DAY.fullmatch(cell):
                return how_to_choose("time", name)
        return "--map time=COLUMN"

    def rows(self) -> Iterator[Row]:
        """Yield the rows below the names that are not blank; numbers of a converter in its unit."""
        factors = {} if self.recording is None else self.recording.factors
        for row in super().rows():
            if factors and not row.fault:
                for place, factor in factors.items():
                    with suppress(ValueError):
                        row.cells[place] = repr(float(row.cells[place]) * factor)
            yield row

    @property
    def flag_columns(self) -> Mapping[str, frozenset[str]]:
        """Columns of a recording → texts that say that the signal was poor."""
        return {} if self.recording is None else self.recording.poor

    def other_zone(self, columns: ColumnMap, zone: LocalTimes | None) -> Message | None:
        """Return a sentence about the first row whose zone is not the one that was given.

        It stands in a column of its own; of such columns nothing is read.
        """
        named = [name for name in self.header if names_zone(name)]
        if zone is None or not named or columns.elapsed is not None or "at" not in columns.columns:
            return None
        for row in self.rows():
            cells = {} if row.fault else dict(zip(self.header, row.cells, strict=True))
            at = _moment_of(columns.time_of(cells), columns.dates) if cells else None
            for column in named if at is not None and at.tzinfo is None else ():
                with suppress(DataFileError):  # no name of a zone
                    own = zone_in_name(cells[column]) or zone_named(cells[column].strip())
                    if own is not None and at is not None and differ(at, own, zone.zone):
                        return Message(
                            _OTHER_ZONE,
                            row=row.number,
                            column=column,
                            named=cells[column].strip()[:60],
                            text=at.isoformat(),
                            zone=str(zone.zone),
                        )
        return None

    def _flags_of(self, cells: Mapping[str, str]) -> str:
        """Return the flags of a row of a recording that says when its signal was poor."""
        is_poor = any(cells[column] in texts for column, texts in self.flag_columns.items())
        return VitalFlag.POOR_SIGNAL.value if is_poor else ""

    def _validate_row(
        self, row: Row, columns: ColumnMap, times: RowTimes, origin: ReadingOrigin, now: Instant
    ) -> JudgedRow:
        number = row.number
        if row.fault:
            times.pass_row()
            cells = dict(zip(self.header, row.cells, strict=False))
            return JudgedRow(number, cells, left_out=(f"row {number}: {row.fault}",))
        cells = dict(zip(self.header, row.cells, strict=True))
        readings: list[VitalReading] = []
        problems: list[str] = []
        left_out: list[str] = []
        item: Mapping[str, object] = {}
        # Beside the intervals of a recording may stand a longer table of something else.
        if columns.elapsed is not None and not any(cells[one] for one in columns.columns.values()):
            times.pass_row()
            return JudgedRow(number, cells)
        try:
            at = times.time_of(row, cells)
            for item in columns.items(cells, at, self._flags_of(cells)):
                try:
                    readings.append(reading_of(item, now, origin))
                except ImpossibleError as error:
                    left_out.append(_problem_of(number, error, columns, item))
        except ReadingError as error:
            problems.append(_problem_of(number, error, columns, item))
        return JudgedRow(
            number,
            cells,
            tuple(flag_near_pressures(readings)),
            tuple(problems),
            tuple(left_out),
            tuple(columns.marks_in(cells)),
        )


def refuse_large(name: str, size: int, most: int = MAX_FILE_BYTES) -> None:
    """Refuse a file of so many bytes, where all of its rows are kept.

    Raises:
        DataFileError: it is larger.
    """
    if size > most:
        raise DataFileError(f"{name}: is larger than {most // 2**20} MiB. Split it.")


def _problem_of(
    number: int, error: ReadingError, columns: ColumnMap, item: Mapping[str, object]
) -> str:
    """Return an error of a row as a sentence, with the column of the file."""
    column = columns.column_of(error.field, str(item.get("kind", "")) or None)
    shown = f"{error.shown} " if error.shown else ""
    remedy = _ONE_NUMBER if error.reason.endswith("is not a number.") else ""
    return f"row {number}, column {column}: {shown}{error.reason}{remedy}"


def names_zone(column: str) -> bool:
    """Return whether a column has the names of time zones."""
    return bare_name(column) in _ZONE_COLUMNS


def _moment_of(text: str, dates: DateOrder) -> datetime | None:
    """Return a date with a time of day as it is written; ``None``: it is no such text."""
    is_whole = not DAY_ALONE.fullmatch(text) and not TIME_OF_DAY.fullmatch(text)
    with suppress(ReadingError, ValueError):
        return datetime.fromisoformat(iso_of(text, dates)) if is_whole else None
    return None


def _names_columns(cells: Sequence[str]) -> bool:
    return set(OURS) <= {one.lower() for one in cells} or names_readings(cells)


def read_file(
    path: Path, columns: Sequence[str] = OURS, most_bytes: int | None = MAX_FILE_BYTES
) -> CsvFile:
    """Return a file of the disk, of which nothing is kept in memory.

    Args:
        path: the file.
        columns: those that an empty file should have.
        most_bytes: a larger one is refused, by who keeps all of its rows; ``None``: none is.

    Raises:
        DataFileError: it cannot be read, is too large, or as ``CsvFile``.
    """
    try:
        if most_bytes is not None:
            refuse_large(path.name, path.stat().st_size, most_bytes)
    except OSError as error:
        raise DataFileError(why_unreadable(path, error)) from error
    if path.is_dir():
        raise DataFileError(why_unreadable(path, IsADirectoryError()))
    return CsvFile(path.name, opens_path(path), columns)


def own_columns_of(file: CsvFile) -> ColumnMap:
    """Return the columns of a file in our own format, in capital or small letters.

    Raises:
        DataFileError: a column is missing, unknown or occurs twice.
    """
    header = [name.lower() for name in file.header]
    where = f"{file.name}, row {file.above + 1}"
    # The names of columns are missing: the first row holds values.
    if all(is_number(name) for name in header if name):
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
            f"{file.why_unknown((*OURS, *OPTIONAL))}"
        )
    for name in file.header:
        if name.lower() not in (*OURS, *OPTIONAL, *DERIVED):
            known = ", ".join((*OURS, *OPTIONAL))
            raise DataFileError(f"{where}: unknown column {name!r}. Known: {known}.")
        if header.count(name.lower()) > 1:
            raise DataFileError(f"{where}: column {name} occurs twice. Rename one of them.")
    names = dict(zip(header, file.header, strict=True))
    return ColumnMap({name: names[name] for name in (*OURS, *OPTIONAL) if name in names})
