"""Which column of a CSV file says what: by its name in our own form, by a guess, or as a person
explains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.reading_times import LocalTimes
from edge_agent.core.vitals import VitalKind

DateOrder = Literal["iso", "dmy", "mdy"]
OURS = ("at", "kind", "value")
OPTIONAL = ("unit", "source", "flags", "device_time")
# Written by the export, and known again from time and flags:
DERIVED = ("at_ms", "session", "participant", "condition", "observed", "simulated")
TARGETS = ("at", "time", "kind", "value", *OPTIONAL, *VitalKind)
"""What a column can be: ``time`` is a time of day beside a date in ``at``.

A kind is a column of its values.
"""

_GUESSES: Mapping[str, str] = {
    "at": r"at|date ?time|time ?stamp|date ?/ ?time|date|measured( at)?|"
    r"zeit(punkt|stempel)?|datum|fecha|measurement date",
    "time": r"time|uhrzeit|time of day|measurement time|tid|hora",
} | {kind: kind.spec.headers for kind in VitalKind}
_UNIT_IN_NAME = re.compile(r"[\[(]\s*([^\])]*)\s*[\])]")
_LOCAL_DATE = re.compile(
    r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})"
    r"(?:[ T,]+(?:- )?(\d{1,2}):(\d\d)(:\d\d(?:\.\d+)?)?(?: ?([AaPp])\.?[Mm]\.?)?)?(.*)",
    re.ASCII | re.DOTALL,
)

_DAY_OR_MONTH = "has the day or the month first. Choose how dates are written (--dates dmy or mdy)."
_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?P<second>:\d\d(?:\.\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_DAY, _MONTH, _YEAR = r"(?P<day>\d{1,2})\.?", r"(?P<month>[^\W\d_]{3,})\.?", r"(?P<year>\d{4})"
_NAMED_MONTHS = tuple(
    re.compile(pattern)
    for date in (rf"{_MONTH} {_DAY},? {_YEAR}", rf"{_DAY} {_MONTH},? {_YEAR}")
    for pattern in (rf"{date}(?:,? {_TIME})?", rf"{_TIME},? {date}")
)
# the first three letters of the months in English, German, Spanish and Swedish
_MONTHS = {
    "jan": 1, "ene": 1, "feb": 2, "mar": 3, "mär": 3, "apr": 4, "abr": 4, "may": 5, "mai": 5,
    "maj": 5, "jun": 6, "jul": 7, "aug": 8, "ago": 8, "sep": 9, "oct": 10, "okt": 10, "nov": 11,
    "dec": 12, "dez": 12, "dic": 12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """What the columns of a file say.

    Attributes:
        columns: target (one of ``TARGETS``) → name of the column in the file. Either ``kind`` and
            ``value``, one reading in each row, or a column for each kind.
        units: unit of the columns of a kind, for files that do not say it; else it is the one in
            brackets in a column's name.
        dates: how dates are written: as ISO 8601, or with the day or the month first.
    """

    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    dates: DateOrder = "iso"

    @property
    def kinds(self) -> tuple[VitalKind, ...]:
        """The kinds that have a column of their own."""
        return tuple(kind for kind in VitalKind if kind in self.columns)

    def problem(self, header: Sequence[str]) -> str | None:
        """Return why a file with these columns cannot be read so, or ``None``."""
        for target, column in self.columns.items():
            lookup_problem = _lookup_problem(target, column, header)
            if lookup_problem:
                return lookup_problem
        if "at" not in self.columns:
            return "no column says when the readings were measured. Choose one for `at`."
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
        """Return the name of the column that an error in a field of a reading is about."""
        if target in {"value", "unit", "kind"} and kind is not None and kind in self.columns:
            return self.columns[kind]
        return self.columns.get(target, target)

    def items(self, row: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Return the readings that a row holds, not judged yet: of wide files one for each kind
        that has a value.

        Raises:
            ReadingError: the row has a time that is not written as ``dates`` says.
        """
        shared = {name: row[self.columns[name]] for name in OPTIONAL if name in self.columns}
        shared["at"] = self._at(row)
        if not self.kinds:
            kind = row[self.columns["kind"]]
            column = self.columns["value"]
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
        named = _with_named_month(text)
        if named or self.dates == "iso":
            if _LOCAL_DATE.fullmatch(text):
                raise ReadingError("at", repr(text[:60]), _DAY_OR_MONTH)
            return named or text
        return _iso(text, self.dates)


def is_placeholder(kind: VitalKind, value: str) -> bool:
    """Tell whether a value is a sensor's mark for none: oximeters set all bits of a byte or two."""
    is_all_bits = value == "65535" or (value == "255" and not kind.spec.is_possible(255))
    return is_all_bits or value in {"-", "--"}


def _lookup_problem(target: str, column: str, header: Sequence[str]) -> str | None:
    """Return why one column cannot be what is said of it, or ``None``."""
    if target not in TARGETS:
        return f"{target!r} is nothing that a column can be. Possible: {', '.join(TARGETS)}."
    if column not in header:
        return f"there is no column {column!r}. Columns found: {', '.join(header)}."
    if header.count(column) > 1:
        return f"column {column!r} is there twice."
    return None


def zone_named(name: str) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``; an empty one is none.

    Raises:
        DataFileError: nobody knows it.
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
    """Return the local times of a zone, as ``zone_named``."""
    zone = zone_named(name)
    return None if zone is None else LocalTimes(zone)


def own_columns() -> ColumnMap:
    """Return the columns of our own form: each says by its name what it is."""
    return ColumnMap({name: name for name in (*OURS, *OPTIONAL)})


def guess_columns(header: Sequence[str]) -> ColumnMap:
    """Return what the columns are likely to be, by their names in English or German.

    Units from brackets in them.
    """
    if set(OURS) <= set(header):
        return ColumnMap({name: name for name in (*OURS, *OPTIONAL) if name in header})
    columns: dict[str, str] = {}
    units: dict[str, str] = {}
    for target, pattern in _GUESSES.items():
        column = next((name for name in header if is_named(target, pattern, name)), None)
        if column is not None and column not in columns.values():
            columns[target] = column
            unit = unit_in_name(column)
            if target in set(VitalKind) and unit.lower() in VitalKind(target).spec.units:
                units[target] = unit
    if "at" not in columns and "time" in columns:  # a column named time that holds whole instants
        columns["at"] = columns.pop("time")
    return ColumnMap(columns, units)


def guess_dates(times: Iterable[str]) -> DateOrder:
    """Return how dates are likely to be written: points put the day first, as does a first number
    beyond 12; a second one beyond 12 puts the month first. Else nobody can tell: ``iso``.
    """
    for text in times:
        match = _LOCAL_DATE.fullmatch(text.strip())
        if match is None:
            continue
        first, second = (int(match[number]) for number in (1, 2))
        if second > 12:
            return "mdy"
        if first > 12 or text.strip()[match.end(1)] == ".":
            return "dmy"
    return "iso"


def is_named(target: str, pattern: str, column: str) -> bool:
    """Tell whether a column's name is one of a target; with the unit of a rate it need not say so:
    ``Respiration (1/min)``.
    """
    name = _plain(column)
    if re.fullmatch(pattern, name):
        return True
    unit = unit_in_name(column).lower()
    is_rate = target in set(VitalKind) and unit and unit in VitalKind(target).spec.units
    return bool(is_rate and re.fullmatch(pattern, f"{name} rate"))


def unit_in_name(column: str) -> str:
    """Return what stands in brackets in a column's name; empty: nothing does."""
    unit = _UNIT_IN_NAME.search(column)
    return unit[1].strip() if unit else ""


def _plain(name: str) -> str:
    """Return a column's name without unit and punctuation."""
    return " ".join(_UNIT_IN_NAME.sub("", name).replace("_", " ").replace(".", " ").lower().split())


def _with_named_month(text: str) -> str:
    """Return a date whose month is named, as ``Jan 12 2025 08:12`` or ``18:02:48 Aug 03 2026``, as
    ISO 8601; empty: it is none.
    """
    for pattern in _NAMED_MONTHS:
        match = pattern.fullmatch(text.strip())
        month = _MONTHS.get(match["month"][:3].lower()) if match else None
        if match and month:
            hour, minute = int(match["hour"] or 0), match["minute"] or "00"
            if match["half"]:
                hour = hour % 12 + (12 if match["half"].lower() == "p" else 0)
            time = f"{hour:02d}:{minute}{match['second'] or ''}"
            return f"{match['year']}-{month:02d}-{match['day']:0>2}T{time}"
    return ""


def _iso(text: str, order: DateOrder) -> str:
    """Return a date that is written as people do, as ISO 8601."""
    match = _LOCAL_DATE.fullmatch(text.strip())
    if match is None:
        if order == "dmy":
            example = "20.11.2026 08:15"
        else:
            example = "11/20/2026 8:15 AM"
        raise ReadingError(
            "at",
            repr(text[:60]),
            f"is not a time such as {example}, which was chosen for this file.",
        )
    first, second, year, hour, minute, second_part, half, rest = match.groups()
    day, month = (first, second) if order == "dmy" else (second, first)
    hours = int(hour or 0)
    if half is not None:
        hours = hours % 12 + (12 if half.lower() == "p" else 0)
    clock = f"{hours:02d}:{minute or '00'}{second_part or ''}"
    return f"{year}-{month:0>2}-{day:0>2}T{clock}{rest.strip()}"
