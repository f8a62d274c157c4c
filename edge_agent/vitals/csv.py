"""Readings from a CSV file, whose columns are known by name, guessed or explained by the user.

``docs/importing.md`` describes our own columns. A file with one bad row gives no reading at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from functools import reduce
from io import BytesIO
from itertools import chain, islice, zip_longest
from pathlib import Path
from zoneinfo import ZoneInfo

from edge_agent.core import clock as clock_module
from edge_agent.core.brought_tables import (
    DAY_ALONE,
    BroughtTable,
    Opens,
    Repeated,
    Row,
    TableForm,
    opens_path,
    refusal_of,
)
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ImpossibleError, ReadingError
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
from edge_agent.core.sample_means import Sample, SampleMeans
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
from edge_agent.vitals.passed_over import LeftOut, NotAReading, NoValue, PassedOver, Remark, Rows
from edge_agent.vitals.recordings import recording_of
from edge_agent.vitals.row_times import SECONDS, TIME_ALONE, TIME_OF_DAY, Elapsed, RowTimes
from edge_agent.vitals.zone_names import (
    differ,
    refuse_different,
    refuse_other_zone,
    says_local,
    zone_in_name,
    zone_of_columns,
)

OURS = ("at", "kind", "value")
OPTIONAL = ("unit", "source", "flags", "device_time", "error")
# Written by the export, and known again from time and flags:
DERIVED = ("at_ms", "session", "participant", "condition", "observed", "simulated")
TARGETS = ("at", "time", "kind", "value", *OPTIONAL, *VitalKind)
"""The targets of columns.

``time`` is a time of day beside a date in ``at``; a kind is a column with its values.
"""

_PRESSURE_PAIR = re.compile(r"(\d{2,3}) ?/ ?(\d{2,3})(?: ?mm ?hg)?", re.IGNORECASE | re.ASCII)
_PLACE_IN_PAIR = {VitalKind.SYSTOLIC: 1, VitalKind.DIASTOLIC: 2}
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
_NO_ROW_TIMES = N_(
    "no column has times, and a start is the time of the first row alone. Choose the column of "
    "seconds since the start for `at` (--map at=COLUMN), or add one. Columns found: {columns}."
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
PROBLEMS_MOST = 1000
"""Reading stops after so many: the file is probably the wrong one."""
_TIMES_KEPT = 10_000
"""Times by which devices in a file are told apart; of more, only changes of the device are kept."""
_DAY_TAKEN = N_(
    "{day} above the names of the columns is used as the day of the first row; a time of day "
    "that goes back by twelve hours or more is of the next day."
)
_DAY_GIVEN = N_(
    "{day}, as given, is the day of the first row; a time of day that goes back by twelve hours or "
    "more is of the next day."
)
_DAY_NOT_TAKEN = N_(
    "{above} stands above the names of the columns, and is not used: {day} was given. If it is the "
    "day of the first row, leave the day out."
)
_COLUMNS_TAKEN = N_("these columns are read: {columns}.")
_ZONE_COLUMNS = frozenset({"time zone", "timezone", "tz", "zeitzone", "zona horaria"})
_OTHER_ZONE = N_(
    "row {row}: column {column} has {named}, and {text} is read as {zone}, which was given. If the "
    "column is right, import it with --timezone {named}."
)
_COUNTED = N_("the times of column {column} count from the start; one unit is {seconds} s.")
_START_TAKEN = N_("{start}, which stands above its rows, is used as its start.")
_OF_DAY = re.compile(
    r"(?:(?:start|begin|recording|record|measure(?:ment|d)?|test|session|acquisition)(?:ing)? ?)*"
    r"(?:date|day|datum|fecha|data|日期|測定日)(?:(?: and| ?[/&])? ?time)?"
    r"(?: of (?:the )?(?:recording|measurement|test|session))?"
)
_OF_START = re.compile(
    r"(?:(?:recording|record|measurement|test|session|acquisition) ?)*"
    r"(?:start|begin|began)(?:ning|ing|ed)?"
    r"(?: time| at)?|startzeit|hora de inicio|heure de d[ée]but"
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
        day: of the first row, where the column of times has times of day alone.
        elapsed: how times count from a start; ``None``: they do not.
    """

    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder = "iso"
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    day: str = ""
    elapsed: Elapsed | None = None

    @property
    def kinds(self) -> tuple[VitalKind, ...]:
        """The kinds that have a column of their own."""
        return tuple(kind for kind in VitalKind if kind in self.columns)

    @property
    def read_columns(self) -> set[str]:
        """The columns that are read."""
        sums = {self.elapsed.sum_of} if self.elapsed is not None else set()
        return {*self.columns.values(), *sums}

    def from_start(self, start: str) -> ColumnMap:
        """Return the columns with times that count from a start, in the unit of their column.

        Without a column of times, they are the sum of the intervals between beats.
        """
        elapsed = self.elapsed
        if elapsed is None:
            at, beats = self.columns.get("at", ""), VitalKind.RR_INTERVAL
            intervals = "" if at else self.columns.get(beats, "")
            named = at or intervals
            told = [self.units.get(beats, "") if intervals else "", *_words_of(named)]
            factors = (SECONDS[unit.lower()] for unit in told if unit.lower() in SECONDS)
            elapsed = Elapsed(unit_s=next(factors, 1.0), sum_of=intervals)
        return replace(self, elapsed=elapsed._replace(start=start), day="")

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
        if "at" not in self.columns and (self.elapsed is None or self.elapsed.needs_column):
            missing = _NO_TIME_COLUMN if self.elapsed is None else _NO_ROW_TIMES
            return Message(missing, columns=names)
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

    def items(
        self, row: Mapping[str, str], at: str | int, flags: str = ""
    ) -> Iterator[dict[str, object]]:
        """Yield the fields of each reading in a row, not yet validated.

        A wide file has one reading for each kind with a value.

        Args:
            row: column → text of the cell.
            at: the time of the row.
            flags: what the row says about its signal.
        """
        shared: dict[str, object] = {
            name: row[self.columns[name]] for name in OPTIONAL if name in self.columns
        }
        shared["at"] = at
        if flags:
            shared["flags"] = flags
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

    def marks_in(self, row: Mapping[str, str]) -> Iterator[str]:
        """Yield the columns of a row that have a mark for *no value*."""
        for kind in self.kinds:
            text = row.get(self.columns[kind], "")
            if text and is_placeholder(kind, text):
                yield self.columns[kind]

    def time_of(self, row: Mapping[str, str]) -> str:
        """Return date and time of day of a row, as they are written."""
        text = row[self.columns["at"]]
        return f"{text} {row[self.columns['time']]}".strip() if "time" in self.columns else text


def is_placeholder(kind: VitalKind, value: str) -> bool:
    """Return whether a value means *no value*: oximeters set all bits of one or two bytes."""
    is_all_bits = value == "65535" or (value == "255" and not kind.spec.is_possible(255))
    return is_all_bits or is_no_value(value)


def _words_of(column: str) -> list[str]:
    """Return what may be the unit of times: the texts in brackets, where ``min`` is no minimum, and
    the last word (``time_ms``).
    """
    texts = [text.strip() for text in re.findall(r"[\[(]([^\])]*)[\])]", column)]
    return [*texts, bare_name(column).rpartition(" ")[2]]


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
        columns: those that an empty file is told to name.

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
        """Return a file in memory; ``columns`` are those that an empty one is told to name.

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
        self, row: Row, columns: ColumnMap, times: RowTimes, origin: Origin, now: Instant
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
        columns: those that an empty file is told to name.
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
    """Yield the readings of a file as ``rows_of`` does, and nothing else of it."""
    return PassedOver().readings_of(rows_of(file, columns, zone, now))


def rows_of(
    file: CsvFile, columns: ColumnMap, zone: LocalTimes | None, now: Instant | None = None
) -> Rows:
    """Yield the readings of a file while it is read, and why rows give none.

    Nothing of it may be kept if it ends with an error: who takes the readings stages them.

    Raises:
        DataFileError: a row is bad, there is no reading, beats do not fit into their time, or times
            lost their seconds.
    """
    others: list[NotAReading] = [*_remarks_on(file, columns, zone)]
    readings = _readings_in(file, columns, others, zone, now)
    for reading in with_near_pressures(BeatTimes().spread_all(readings)):
        yield from others
        others.clear()
        yield reading
    yield from others
    yield from (Remark(*sentence.split(": ", 1)) for sentence in file.remarks)


def _remarks_on(file: CsvFile, columns: ColumnMap, zone: LocalTimes | None) -> Iterator[Remark]:
    """Yield what was guessed about the times of a file, so that it is never guessed in silence."""
    yield from (Remark(file.name, sentence) for sentence in _remarks_on_day(file, columns))
    if other := file.other_zone(columns, zone):
        yield Remark(file.name, other)
    if columns.elapsed is not None and "at" in columns.columns:
        unit = f"{columns.elapsed.unit_s:g}"
        yield Remark(file.name, Message(_COUNTED, column=columns.columns["at"], seconds=unit))
    if file.recording is not None and columns.elapsed is not None:
        taken = ", ".join(f"{name}: {column}" for name, column in columns.columns.items())
        yield Remark(file.name, Message(_COLUMNS_TAKEN, columns=taken))
        start = file.recording.elapsed.start
        if start and start == columns.elapsed.start:
            yield Remark(file.name, Message(_START_TAKEN, start=start))


def _remarks_on_day(file: CsvFile, columns: ColumnMap) -> Iterator[Message]:
    """Yield whether the day of the first row was given, and what the file says."""
    if not columns.day:
        return
    column = columns.columns.get("at", "")
    first = next(file.cells(column, 1), "") if column in file.header else ""
    above = _day_above(file, first)
    if above == columns.day:
        yield Message(_DAY_TAKEN, day=above)
        return
    yield Message(_DAY_GIVEN, day=columns.day)
    with suppress(ReadingError):  # in another order than was chosen
        if above and iso_of(above, columns.dates)[:10] == iso_of(columns.day, columns.dates)[:10]:
            return
    if above:
        yield Message(_DAY_NOT_TAKEN, above=above, day=columns.day)


def _readings_in(
    file: CsvFile,
    columns: ColumnMap,
    others: list[NotAReading],
    zone: LocalTimes | None,
    now: Instant | None,
) -> Iterator[VitalReading]:
    """Yield the readings of a file, and add what else it has to a list."""
    problems, left_out = Repeated(), Repeated()
    count = 0
    beats, minutes, devices = BeatSums(), WholeMinutes(), _Devices(file, columns)
    is_even = columns.elapsed is not None and not columns.elapsed.sum_of
    means = _Means() if is_even else None
    for row in file.validate_rows(columns, zone, now):
        for problem in row.problems:
            problems.add(file.name, *_parts_of(problem))
        if problems.count >= PROBLEMS_MOST:
            break
        for sentence in row.left_out:
            place, what = _parts_of(sentence)
            left_out.add(file.name, place, what)
            others.append(LeftOut(f"{file.name}, {place}", what.lstrip(",: ")))
        others += (NoValue(file.name, column) for column in row.no_value)
        count += len(row.readings)
        devices.add(row)
        if "flags" not in columns.columns:  # an export of ours is taken as it was recorded
            beats.add(row.readings)
            minutes.add(row.readings)
        if not problems.count:
            yield from row.readings if means is None else means.add(row.readings)
    if problems.count:
        raise refusal_of(
            problems.lines_of("or more" if problems.count >= PROBLEMS_MOST else "more")
        )
    if means is not None:
        yield from means.finish()
    if wrong := beats.problem or minutes.problem or devices.problem:
        raise DataFileError(
            N_("{file}: {problem} Nothing was imported."), file=file.name, problem=wrong
        )
    if not count:
        without = f"{file.name}: has no rows with readings below the names of the columns."
        raise DataFileError("\n".join([without, *left_out.lines]))


def _parts_of(problem: str) -> tuple[str, str]:
    """Return the place of a problem, ``row 7``, and what it says behind that."""
    match = re.match(r"row \d+", problem)
    assert match is not None, "_validate_row writes them"
    return match[0], problem[match.end() :]


class _Means:
    """Means of samples that a recording has faster than they are kept."""

    def __init__(self) -> None:
        self._means: dict[tuple[VitalKind, str], SampleMeans] = {}
        self._last: dict[tuple[VitalKind, str], VitalReading] = {}

    def add(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Add readings; yield those that are complete. Beats are passed on as they are."""
        for one in readings:
            if one.kind is VitalKind.RR_INTERVAL:
                yield one
                continue
            key = (one.kind, one.source)
            means = self._means.setdefault(key, SampleMeans(one.kind.spec.per_second))
            self._last[key] = one
            is_doubtful = VitalFlag.OUT_OF_RANGE in one.flags
            for done in means.add(Sample(one.at.wall_ms / 1000, one.value, is_doubtful)):
                yield self._reading(key, done)

    def finish(self) -> Iterator[VitalReading]:
        """Yield the last ones."""
        for key, means in self._means.items():
            for done in means.finish():
                yield self._reading(key, done)

    def _reading(self, key: tuple[VitalKind, str], sample: Sample) -> VitalReading:
        last = self._last[key]
        doubt = frozenset({VitalFlag.OUT_OF_RANGE})
        flags = last.flags - doubt | (doubt if sample.is_doubtful else frozenset())
        at = Instant(last.at.boot_ms, round(1000 * sample.at_s))
        return replace(last, at=at, value=sample.value, flags=flags)


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
            # With more names it tells no devices apart.
            if len(names) > _MOST_DEVICES:
                continue
            device = names.setdefault(row.cells.get(column, ""), len(names))
            for reading in row.readings:
                self._add_time(self._times.setdefault((column, reading.kind), []), reading, device)

    def _add_time(self, times: list[tuple[int, int]], reading: VitalReading, device: int) -> None:
        """Keep the time of a reading; of a run of one device only its ends, once it is long."""
        place = (reading.at.wall_ms, device)
        if len(times) > _TIMES_KEPT:
            if times[-1][1] != device and len(times) < 2 * _TIMES_KEPT:
                times.append(place)
            return
        times.append(place)

    @property
    def problem(self) -> str:
        """A sentence for people on the column that names the devices; empty: it is one device."""
        for (column, _), times in self._times.items():
            names = list(self._names[column])
            if 1 < len(names) <= _MOST_DEVICES and first_interleaved(sorted(times)):
                return doubt_of_devices(column, names).sentence
        return ""


def columns_without_guess(file: CsvFile) -> ColumnMap:
    """Return what is known of a table without its names: the times of a recording."""
    if file.recording is None:
        return ColumnMap({})
    at = {"at": file.recording.at} if file.recording.at else {}
    return ColumnMap(at, elapsed=file.recording.elapsed)


def guess_map(file: CsvFile, rows: int | None = None) -> ColumnMap:
    """Guess the columns by their names, by the form of the times and by the values.

    Args:
        file: the file.
        rows: number of rows to examine; ``None``: all.
    """
    columns = guess_columns(file.header)
    if file.recording is not None:
        times = columns_without_guess(file)
        known = {name: one for name, one in columns.columns.items() if name not in {"at", "time"}}
        doubts = {name: one for name, one in columns.doubts.items() if name not in {"at", "time"}}
        columns = replace(
            columns, columns={**times.columns, **known}, doubts=doubts, elapsed=times.elapsed
        )
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
    known = {target: name for target, name in columns.columns.items() if target not in doubts}
    guessed = replace(columns, columns=known, doubts=doubts)
    return guessed if guessed.elapsed is not None else _with_dates(file, guessed, rows)


def _with_dates(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the order of dates, and the day of times of day that have none."""
    if "at" not in columns.columns:
        return columns
    column = columns.columns["at"]
    day = ""
    first = next(file.rows(), None)
    text = "" if first is None or first.fault else first.cells[file.header.index(column)]
    if first is not None and "time" not in columns.columns and TIME_ALONE.fullmatch(text):
        day = "" if first.day else _day_above(file, text)
    told = [one.day for one in islice(file.rows(), rows or PROBLEMS_MOST) if one.day]
    times = (day, *told, *islice(file.cells(column, rows), PROBLEMS_MOST))
    return replace(columns, dates=guess_dates(times), day=day)


def _day_above(file: CsvFile, first: str) -> str:
    """Return the only day that stands above the names of the columns; empty: there is none.

    Args:
        file: the table.
        first: time of its first row. Where a start stands above that differs from it, times count
            from the start, and the day is none of theirs.
    """
    days: dict[str, None] = {}
    for _, cells in file.rows_above:
        texts = [part.strip() for cell in cells for part in _parts_above(cell) if part.strip()]
        names = [bare_name(text.rstrip(":")) for text in texts]
        for before, name, text in zip(["", *texts], ["", *names], texts, strict=False):
            is_alone = len(texts) == 1
            if DAY_ALONE.fullmatch(text) and (
                is_alone or _OF_DAY.fullmatch(name) or _OF_START.fullmatch(name)
            ):
                days[text] = None
            is_start = TIME_ALONE.fullmatch(text) and (
                _OF_START.fullmatch(name) or DAY_ALONE.fullmatch(before)
            )
            if is_start and _minute_of(text) != _minute_of(first):
                return ""
    return next(iter(days)) if len(days) == 1 else ""


def _parts_above(cell: str) -> list[str]:
    """Return the parts of a cell above the names: ``Date: 2026-10-02 23:58`` has three."""
    parts = cell.split(": ", 1)
    day, _, time = parts[-1].rpartition(" ")
    is_both = DAY_ALONE.fullmatch(day) is not None and TIME_ALONE.fullmatch(time) is not None
    return [*parts[:-1], day, time] if is_both else parts


def _minute_of(text: str) -> list[str]:
    return [part.zfill(2) for part in re.split("[:.]", text)[:2]]


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
    lowest, highest = math.inf, -math.inf
    try:
        for text in file.cells(column, rows):
            value = float(text.replace(",", "."))
            lowest, highest = min(lowest, value), max(highest, value)
    except ValueError:  # who reads the file says so
        return columns
    # The ranges do not overlap, so that one unit fits at most.
    for unit, (least, most) in ranges.items():
        if least <= lowest <= highest <= most:
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
            devices: dict[str, None] = {}
            for text in file.cells(name, rows):
                devices[text] = None
                if len(devices) > _MOST_DEVICES:
                    break
            if 1 < len(devices) <= _MOST_DEVICES:
                return {"source": doubt_of_devices(name, list(devices))}
    return {}


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
