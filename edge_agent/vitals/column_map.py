"""The meaning of the columns of a table of readings: which has times, which has which values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from edge_agent.core.csv_cells import strip_guard
from edge_agent.core.given_readings import is_no_value
from edge_agent.core.texts import N_, Message, as_message
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.column_names import ColumnDoubt, bare_name, names_times, unit_in_name
from edge_agent.vitals.dates import DateOrder, half_of
from edge_agent.vitals.row_times import SECONDS, Elapsed
from edge_agent.vitals.zone_names import says_local, zone_in_name

OURS = ("at", "kind", "value")
OPTIONAL = ("unit", "source", "flags", "device_time", "error")
WHOSE = ("session", "participant")
# Written by the export, and known again from time and flags; whose a reading is, is compared.
DERIVED = ("at_ms", *WHOSE, "condition", "observed", "simulated")
TARGETS = ("at", "time", "kind", "value", *OPTIONAL, *VitalKind)
"""The targets of columns.

``time`` is a time of day beside a date in ``at``; a kind is a column with its values.
"""
PRESSURE_PAIR = re.compile(r"(\d{2,3}) ?/ ?(\d{2,3})(?: ?mm ?hg)?", re.IGNORECASE | re.ASCII)
_PLACE_IN_PAIR = {VitalKind.SYSTOLIC: 1, VitalKind.DIASTOLIC: 2}
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
        half: column that says AM or PM of times of a clock of twelve hours; empty: none does.
    """

    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder = "iso"
    doubts: Mapping[str, ColumnDoubt] = field(default_factory=dict)
    day: str = ""
    elapsed: Elapsed | None = None
    half: str = ""

    @property
    def kinds(self) -> tuple[VitalKind, ...]:
        """The kinds that have a column of their own."""
        return tuple(kind for kind in VitalKind if kind in self.columns)

    @property
    def read_columns(self) -> set[str]:
        """The columns that are read."""
        sums = {self.elapsed.sum_of} if self.elapsed is not None else set()
        return {*self.columns.values(), *sums} | ({self.half} if self.half else set())

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
        if names and all(is_number(name) for name in header if name):
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
            name: strip_guard(row[self.columns[name]]) for name in OPTIONAL if name in self.columns
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
        of_row = str(shared.get("unit") or "")
        fitting = [kind for kind in self.kinds if kind.spec.scale_of(of_row) is not None]
        for kind in self.kinds:
            column = self.columns[kind]
            value = value_of(kind, row[column])
            if value and not is_placeholder(kind, value):
                # Beside several kinds, a unit is that of the kinds that have it.
                is_own = kind in fitting or not fitting
                unit = self.units.get(kind) or (of_row if is_own else "") or unit_in_name(column)
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
        text = f"{text} {row[self.columns['time']]}".strip() if "time" in self.columns else text
        return f"{text} {half_of(row[self.half])}" if self.half and text else text


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


def value_of(kind: VitalKind, text: str) -> str:
    """Return the value of a kind in a cell: of ``121/79`` the first is systolic."""
    pair = PRESSURE_PAIR.fullmatch(text) if kind in _PLACE_IN_PAIR else None
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


def is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.,: +-]+", text) is not None
