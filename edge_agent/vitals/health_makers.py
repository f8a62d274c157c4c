"""Exports of Apple Health, Fitbit, Samsung Health, Withings and Garmin: their shapes and readings.

Apple Health: ``export.xml``, which may have gigabytes. Sources are the document type at the start
of each export (HealthKit Export Version 13 and 14), and Apple's documentation of HealthKit for
identifiers, units and metadata. The document type itself is removed before parsing: some releases
of iOS write a damaged one, and only a document type could declare entities that grow without end.

Fitbit (Google Takeout), according to the readme files of the export and to public programs: a file
for each day. Resting heart rates are no readings of a moment, and are ignored.

- ``heart_rate-2026-01-05.json``: a list of ``{"dateTime": "01/05/26 08:00:05", "value": {"bpm": 61,
  "confidence": 2}}``, without a time zone;
- ``heart_rate_2026-01-05.csv``: ``timestamp,beats per minute`` and, of late, ``data source``;
- ``Minute SpO2 - 2026-01-05.csv``: ``timestamp,value``; ``oxygen_saturation_2026-01-05.csv``:
  ``timestamp,oxygen saturation percentage``.

FIT files, as watches of Garmin and others write them: read by ``fitdecode``, which checks their
checksums; the messages are those of the FIT profile. Intervals between beats (message ``hrv``) have
no times of their own: they ended before the next message that has one, each before the following.

Samsung Health, according to public programs: the first line is
``com.samsung.shealth.tracker.heart_rate,6305010,4`` (kind, version of the program, number), the
second names the columns, with or without the kind before them
(``com.samsung.health.heart_rate.start_time``). ``time_offset`` is the zone of ``start_time``
(``UTC+0200``). Some versions are said to write UTC there all the same, and early ones have no such
column: a zone that the user gives holds before it.

Withings (Health Mate), according to its readme and to public programs, in a ZIP archive:

- ``bp.csv``: ``Date,"Heart rate",Systolic,Diastolic,Comments``, local times without a zone;
- ``raw_hr_hr.csv`` and others that ``VitalSpec.withings`` names: ``start,duration,value``, where
  ``duration`` (seconds) and ``value`` are lists of the same length (``[60,60]``, ``[65,63]``) and
  ``start`` has an offset.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from xml.parsers import expat

from edge_agent.core.brought_files import kind_of
from edge_agent.core.errors import DataFileError, shown_value
from edge_agent.core.readings import BeatTimes, VitalFlag, VitalReading
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health_files import (
    DAMAGED_GZIP,
    GZIPPED,
    HEAD_BYTES,
    DamagedFileError,
    LeftOut,
    Member,
    NotRead,
    Remark,
    Row,
    Rows,
    RowValidator,
    Table,
    header_of,
    members_of,
    readable,
)

if TYPE_CHECKING:
    from fitdecode import FitDataMessage


_PREFIX = "HKQuantityTypeIdentifier"
_KINDS: Mapping[str, VitalKind] = {
    f"{_PREFIX}{spec.apple}": kind for kind, spec in SPECS.items() if spec.apple
}
_LOCATION = "HKBodyTemperatureSensorLocation"
_SKIN = {"4", "8", "11"}
"""Finger, toe, forehead. At other places, or without a place, a temperature is what the type says:
the body's.
"""
_TYPED = ("HKWasUserEntered", "1")
_DOCUMENT_TYPE = re.compile(rb"<!DOCTYPE\s+HealthData\s*(\[.*?\]\s*)?>", re.DOTALL)
# no letter of XML, yet names of apps have some; a blank keeps the places of all others
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")
_BLANKED = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_CHUNK = 1 << 18
_LONGEST_TAG = 1 << 20
_DEEPEST = 64
_JSON_NAME = re.compile(r"heart_rate-\d{4}-\d\d-\d\d\.json", re.IGNORECASE)
_OXYGEN_NAME = re.compile(r"minute spo2.*\.csv", re.IGNORECASE)
_TIME = re.compile(r"(\d\d)/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)", re.ASCII)
_COLUMNS: Mapping[str, VitalKind] = {
    "beats per minute": VitalKind.HEART_RATE,
    "oxygen saturation percentage": VitalKind.OXYGEN_SATURATION,
    "value": VitalKind.OXYGEN_SATURATION,
}
MAX_DAY_BYTES = 64 * 2**20
_FIELDS: dict[str, list[tuple[str, VitalKind]]] = {}
_OF_ODD_MESSAGES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    struct.error,
)
"""Errors of the library for a file with a right checksum and a senseless message."""
MAX_FILE_BYTES = 64 * 2**20
_EPOCH = datetime(1989, 12, 31, tzinfo=UTC)
"""Start of FIT's count of seconds."""
_FIRST_LINE = re.compile(
    rb"(?:\xef\xbb\xbf)?com\.samsung\.s?health\.(?:tracker\.)?"
    rb"(heart_rate|oxygen_saturation|blood_pressure),"
)
_SAMSUNG_COLUMNS: Mapping[str, Mapping[str, VitalKind]] = {
    "heart_rate": {"heart_rate": VitalKind.HEART_RATE},
    "oxygen_saturation": {"spo2": VitalKind.OXYGEN_SATURATION},
    "blood_pressure": {
        "systolic": VitalKind.SYSTOLIC,
        "diastolic": VitalKind.DIASTOLIC,
        "pulse": VitalKind.HEART_RATE,
    },
}
_OFFSET = re.compile(r"UTC([+-]\d\d):?(\d\d)", re.ASCII)
_OFFSET_TAKEN = (
    "start_time was read in the zone of the column time_offset. Compare one reading with the "
    "phone: if the file has UTC, import it with --timezone UTC, after affect-edge imports --undo N "
    "if this import was made: else the readings of both are kept."
)
_CUFF = ("date", "heart rate", "systolic", "diastolic")
_CUFF_KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
_RAW: Mapping[str, VitalKind] = {
    name.lower(): kind for kind, spec in SPECS.items() for name in spec.withings
}
_RAW_COLUMNS = ("start", "duration", "value")
_EMBRACE = ("timestamp_unix", "timestamp_iso")
_WAYS_SHOWN = 3


def is_apple(_name: str, head: bytes) -> bool:
    """Recognise an export by its first bytes."""
    return head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<") and b"HealthData" in head


def read_apple(member: Member, validator: RowValidator) -> Rows:
    """Read an export row by row, in memory that does not grow with it.

    Raises:
        DataFileError: it is no XML, ends too early, or has elements of malicious size or depth.
    """
    with member.open() as file:
        yield from _Reader(member.name, validator).rows(file)


class _Reader:
    """Collects rows from the events of the parser.

    Args:
        name: of the file.
        validator: makes readings.
    """

    def __init__(self, name: str, validator: RowValidator) -> None:
        self._name = name
        self._validator = validator
        self._rows: list[Row] = []
        self._record: Mapping[str, str] = {}
        self._metadata: dict[str, str] = {}
        self._line = 0
        self._depth = 0
        self._skipped_lines = 0
        self._parser = parser = expat.ParserCreate("UTF-8")  # whatever its first line says
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        # The first one was cut away. Another is refused, since it could declare entities that
        # expand without end ("billion laughs").
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.EntityDeclHandler = self._refuse_document_type

    def rows(self, file: BinaryIO) -> Iterator[Row]:
        fed = 0
        for chunk in self._chunks(file):
            self._feed(chunk, last=False)
            fed += len(chunk)
            # expat keeps an unfinished element in memory; an endless attribute would fill it.
            if fed - self._parser.CurrentByteIndex > _LONGEST_TAG:
                raise self._error("has an element of more than 1 MiB, which no export has")
            yield from self._rows
            self._rows.clear()
        self._feed(b"", last=True)
        yield from self._rows

    def _chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """Return the file without its document type."""
        head = file.read(HEAD_BYTES)
        document_type = _DOCUMENT_TYPE.search(head)
        # Only in the first bytes, where every export has it.
        if document_type is not None:
            # Line numbers in messages are those of the file, not of what the parser sees.
            self._skipped_lines = document_type[0].count(b"\n")
            head = head[: document_type.start()] + head[document_type.end() :]
        yield head.translate(_BLANKED)
        while chunk := file.read(_CHUNK):
            yield chunk.translate(_BLANKED)

    def _feed(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            line = error.lineno + self._skipped_lines
            problem = expat.ErrorString(error.code)
            raise self._error(f"is no XML from line {line} on ({problem})") from error

    def _error(self, problem: str) -> DataFileError:
        return DataFileError(
            f"{self._name}: {problem}. Nothing was imported; export it again on the phone."
        )

    def _refuse_document_type(self, *_: object) -> None:
        raise self._error("declares a document type twice or entities, which no export does")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"has more than {_DEEPEST} elements within each other")
        # Other records, most of an export, are passed over without keeping anything of them.
        if tag == "Record" and attributes.get("type") in _KINDS:
            self._record = attributes
            self._metadata = {}
            self._line = self._parser.CurrentLineNumber + self._skipped_lines
        elif tag == "MetadataEntry" and self._record:
            self._metadata[attributes.get("key", "")] = attributes.get("value", "")

    # Metadata stand within their record, so that it is complete only at its end.
    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "Record" and self._record:
            self._rows.append(self._row(self._record))
            self._record = {}

    def _row(self, record: Mapping[str, str]) -> Row:
        where = f"{self._name}, line {self._line}"
        kind = _KINDS[record["type"]]
        if kind is VitalKind.BODY_TEMPERATURE and self._metadata.get(_LOCATION) in _SKIN:
            kind = VitalKind.SKIN_TEMPERATURE
        flags = frozenset({VitalFlag.MANUAL}) if _TYPED in self._metadata.items() else frozenset()
        item = {
            "kind": kind.value,
            "value": _value(kind, record.get("value", "")),
            "unit": record.get("unit", ""),
            # Apple writes `2026-01-05 08:00:00 +0100`; ISO 8601 has no blank before the offset.
            "at": record.get("startDate", "").replace(" +", "+").replace(" -", "-"),
        }
        source = f"apple_health:{record.get('sourceName', '')}"
        return self._validator.row(where, item, source, flags)


def _value(kind: VitalKind, text: str) -> object:
    """Return a value in the unit of the export; a share of 1 becomes percent."""
    if kind is not VitalKind.OXYGEN_SATURATION:
        return text
    try:
        # A float times 100 has digits that nobody measured.
        return round(100 * float(text), 6)
    except ValueError:
        return text


def table_of_day(name: str) -> str:
    """Return the name of the table with the same beats as a day's JSON file; else empty."""
    # The date has hyphens, too: only the one behind the name changes.
    return name.replace("-", "_", 1)[:-4] + "csv" if _JSON_NAME.fullmatch(name) else ""


def is_fitbit(name: str, head: bytes) -> bool:
    """Recognise a file of the export by its name and the names of its columns."""
    is_day = _JSON_NAME.fullmatch(name) is not None
    return is_day or ("resting" not in name.lower() and _is_known(header_of(head), name))


def _is_known(header: tuple[str, ...], name: str) -> bool:
    """Return whether a table with these columns has readings."""
    if (
        header[:1] != ("timestamp",)
        or header[1:2] == ()
        or header[2:] not in {(), ("data source",)}
    ):
        return False
    if header[1] == "value":
        return bool(_OXYGEN_NAME.fullmatch(name))
    return header[1] in _COLUMNS


def read_fitbit(member: Member, validator: RowValidator) -> Rows:
    """Read a day.

    Raises:
        DataFileError: it is no JSON, no CSV, or too large for a day.
    """
    if member.name.lower().endswith(".json"):
        return _day(member, validator)
    return _table(member, validator)


def _day(member: Member, validator: RowValidator) -> Iterator[Row]:
    validator.need_zone(member.name)
    for number, item in enumerate(_items(member), start=1):
        where = f"{member.name}, entry {number}"
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(value, dict):
            yield LeftOut(where, f"{shown_value(item)} is no entry with dateTime and value.")
            continue
        at = _iso(item.get("dateTime"))
        given = {"kind": VitalKind.HEART_RATE.value, "value": value.get("bpm"), "at": at}
        # a confidence of 0 means that the watch does not know; the value is then a placeholder
        doubtful = value.get("confidence") == 0
        flags = frozenset({VitalFlag.POOR_SIGNAL}) if doubtful else frozenset()
        yield validator.row(where, given, "fitbit", flags)


def _items(member: Member) -> list[object]:
    if member.size > MAX_DAY_BYTES:
        raise DataFileError(
            f"{member.name}: has {member.size:,} bytes, more than a day can have. Nothing was "
            "imported."
        )
    try:
        with member.open() as file:
            items = json.loads(file.read(MAX_DAY_BYTES))
    except (ValueError, RecursionError) as error:
        raise DataFileError(
            f"{member.name}: is not JSON ({error}). Nothing was imported; export it again."
        ) from error
    if not isinstance(items, list):
        raise DataFileError(f"{member.name}: is no list of readings. Nothing was imported.")
    return items


def _iso(value: object) -> object:
    """Return the export's month, day, year of two digits and time as ISO 8601."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        # Something that is no time is shown in the reason for which the row is left out.
        return shown_value(value)
    month, day, year, time = match.groups()
    return f"20{year}-{month}-{day}T{time}"


def _table(member: Member, validator: RowValidator) -> Iterator[Row]:
    with Table(member) as table:
        table.need(_is_known(table.header, member.name))
        kind = _COLUMNS[table.header[1]].value

        def read(where: str, cells: list[str]) -> Iterator[Row]:
            # The data source is empty or missing in most files.
            source = ":".join(("fitbit", *filter(None, cells[2:])))
            yield validator.row(where, {"kind": kind, "value": cells[1], "at": cells[0]}, source)

        yield from table.rows(read)


for _kind, _spec in SPECS.items():
    for _message, _field in _spec.fit:
        _FIELDS.setdefault(_message, []).append((_field, _kind))
"""The fields of each message that are readings, in the order of the kinds."""


def is_garmin(name: str, head: bytes) -> bool:
    """Recognise a FIT file by the mark in its header, or a damaged gzipped one by its name."""
    return head[8:12] == b".FIT" or (not head and name.lower().endswith(GZIPPED))


def read_garmin(member: Member, validator: RowValidator) -> Rows:
    """Read a file message by message.

    Raises:
        DamagedFileError: it is damaged.
        DataFileError: the library for FIT files is not installed.
    """
    with _translated(member.name):
        from fitdecode import CrcCheck, ErrorHandling, FitDataMessage, FitReader

        strict = {"check_crc": CrcCheck.RAISE, "error_handling": ErrorHandling.RAISE}
        content = _content(member)
        whole = _with_checksum(content)
        if whole is not content:
            text = "lacks its checksum, the last two bytes, and was read without it."
            yield Remark(member.name, text)
        with FitReader(io.BytesIO(whole), **strict) as fit:
            messages = _Messages(member.name, validator)
            for number, message in enumerate(fit, start=1):
                if isinstance(message, FitDataMessage):
                    yield from messages.rows(number, message)
            yield from messages.beats()


def _content(member: Member) -> bytes:
    try:
        with member.open() as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except DAMAGED_GZIP as error:
        raise DamagedFileError(
            f"{member.name}: is a damaged archive ({error}). Nothing of it was imported; copy it "
            "again."
        ) from error
    if len(content) > MAX_FILE_BYTES:
        raise DamagedFileError(
            f"{member.name}: has more than {MAX_FILE_BYTES // 2**20} MiB, which no FIT file has. "
            "Nothing of it was imported."
        )
    return content


def _with_checksum(content: bytes) -> bytes:
    """Return a file with its checksum, which is computed if only it is missing."""
    from fitdecode.utils import compute_crc

    # FIT protocol: byte 0 is the length of the header, bytes 4 to 7 that of the data; two bytes of
    # checksum follow.
    end = content[0] + int.from_bytes(content[4:8], "little")
    # One byte of the checksum may be left of a file that was cut off.
    if len(content) - end not in {0, 1}:
        return content
    return content[:end] + struct.pack("<H", compute_crc(content[:end]))


class _Messages:
    """The readings of the messages of a file, one after the other.

    Args:
        name: of the file.
        validator: makes readings.
    """

    def __init__(self, name: str, validator: RowValidator) -> None:
        self._name = name
        self._validator = validator
        self._times = _Times()
        self._events = _Events()
        self._beats = BeatTimes()
        self._waiting: list[tuple[int, float]] = []
        self._last: datetime | None = None
        self._source = "fit"

    def rows(self, number: int, message: FitDataMessage) -> Iterator[Row]:
        """Yield the readings of a message, and of the beats that ended before it."""
        if message.name == "file_id":
            self._source = _source(message)
            return
        at = self._times.of(message)
        if at is not None:
            self._last = at
            # Intervals ended before the first message with a time that follows them.
            yield from self.beats()
        if message.name == "hrv":
            measured = (value for value in _list(message, "time") if not math.isnan(value))
            self._waiting += [(number, value) for value in measured]
        if message.name == "hr":
            field = "filtered_bpm"
            events = self._events.of(message, at)
            for rate in _list(message, field):
                event = next(events, None)
                if not math.isnan(rate):
                    yield self._row(number, field, VitalKind.HEART_RATE, rate, event)
        for field, kind in _FIELDS.get(message.name, ()):
            value = _garmin_value(message, field)
            if value is not None:
                yield self._row(number, field, kind, value, at)

    def beats(self) -> Iterator[Row]:
        """Yield the waiting intervals, which ended before the last time."""
        kind, at = VitalKind.RR_INTERVAL, self._last
        rows = [self._row(number, "time", kind, value, at) for number, value in self._waiting]
        self._waiting.clear()
        yield from (row for row in rows if not isinstance(row, VitalReading))
        yield from self._beats.spread([row for row in rows if isinstance(row, VitalReading)])

    def _row(
        self, number: int, field: str, kind: VitalKind, value: object, at: datetime | None
    ) -> Row:
        if at is None:
            why = f"{field}: {value} has no time, and no message before it has one."
            return LeftOut(f"{self._name}, message {number}", why)
        item = {"kind": kind.value, "value": value, "unit": kind.unit, "at": at.isoformat()}
        return self._validator.row(f"{self._name}, message {number}", item, self._source)


class _Times:
    """The times of messages; those of daily monitoring have only the low 16 bits of a time."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def of(self, message: FitDataMessage) -> datetime | None:
        """Return the time of a message, UTC; ``None`` if it has none."""
        at = _garmin_value(message, "timestamp")
        if isinstance(at, datetime):
            self._last = at
            return at
        low = _garmin_value(message, "timestamp_16")
        if self._last is None or not isinstance(low, int):
            return None
        # The low 16 bits count seconds from the epoch, and come round every 18 hours.
        passed = round((self._last - _EPOCH).total_seconds())
        # the nearest time with these bits: a message may be older than the one before it
        self._last += timedelta(seconds=((low - passed + 0x8000) & 0xFFFF) - 0x8000)
        return self._last


class _Events:
    """The times of ``hr`` messages: counts of 1/1024 s of the strap, and one of them with a time.

    ``fitdecode`` counts those of ``event_timestamp_12`` from 0, and not from that one.
    """

    def __init__(self) -> None:
        self._zero: tuple[datetime, int] | None = None
        self._count = 0

    def of(self, message: FitDataMessage, at: datetime | None) -> Iterator[datetime]:
        """Return the times of the events of a message; none before the first with a time."""
        for count in self._counts(message):
            if at is not None:
                part = _garmin_value(message, "fractional_timestamp")
                seconds = float(part) if isinstance(part, int | float) else 0.0
                self._zero = (at + timedelta(seconds=seconds), count)
                # Only the first event of a message has this time.
                at = None
            if self._zero is None:
                return
            zero, first = self._zero
            # The count is of 32 bits, and comes round.
            yield zero + timedelta(seconds=((count - first) & 0xFFFFFFFF) / 1024)

    def _counts(self, message: FitDataMessage) -> Iterator[int]:
        packed = message.get_raw_value("event_timestamp_12", fallback=None)
        if packed is None:
            for seconds in _list(message, "event_timestamp"):
                if not math.isnan(seconds):
                    self._count = round(seconds * 1024)
                    yield self._count
            return
        # Two counts of 12 bits are packed into three bytes, low bits first.
        for place in range(0, len(packed) - 2, 3):
            three = int.from_bytes(bytes(packed[place : place + 3]), "little")
            for low in (three & 0xFFF, three >> 12):
                # Only the low 12 bits are sent; counts rise, so the difference to the last one is
                # taken modulo 4096.
                self._count += (low - self._count) & 0xFFF
                yield self._count


def _garmin_value(message: FitDataMessage, field: str) -> object:
    """Return the value of a field; ``None`` if there is none."""
    return cast("object", message.get_value(field, fallback=None))


def _list(message: FitDataMessage, field: str) -> list[float]:
    """Return the one or several numbers of a field; NaN for no value."""
    value = _garmin_value(message, field)
    values = value if isinstance(value, list | tuple) else (value,)
    return [one if isinstance(one, int | float) else math.nan for one in values]


def _source(message: FitDataMessage) -> str:
    """Return the source, such as ``fit:garmin fenix6``."""
    names = [
        str(value)
        for field in ("manufacturer", "garmin_product", "product_name", "product")
        if (value := _garmin_value(message, field)) is not None
    ]
    return f"fit:{' '.join(names[:2])}" if names else "fit"


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        from fitdecode import FitError
    except ImportError as error:
        raise DataFileError(
            f"{name}: reading FIT files needs the library fitdecode. On an appliance: sudo "
            "./install.sh --with fit. In a checkout: .venv/bin/pip install -e '.[fit]'. "
            "With pipx: pipx inject affect-edge fitdecode."
        ) from error
    try:
        yield
    except (FitError, *_OF_ODD_MESSAGES) as error:
        raise DamagedFileError(
            f"{name}: is a damaged FIT file ({error}). Nothing of it was imported; export it again."
        ) from error


def is_samsung(_name: str, head: bytes) -> bool:
    """Recognise a file of the export by its first line."""
    return _FIRST_LINE.match(head) is not None


def read_samsung(member: Member, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, has no column for time or values, or its times need a zone.
    """
    first = _FIRST_LINE.match(member.head())
    assert first is not None, "is_ours has looked"
    kinds = _SAMSUNG_COLUMNS[first[1].decode("ascii")]
    with Table(member, lines_above=1) as table:
        # With or without the kind of file before the name of the column.
        names = [name.rpartition(".")[2] for name in table.header]
        table.need("start_time" in names and any(kind in names for kind in kinds))
        if validator.zone is None and "time_offset" not in names:
            raise DataFileError(
                f"{member.name}: versions of Samsung Health write UTC or local times, and the file "
                "does not say which. Look up one reading on the phone, then give --timezone UTC, "
                "or the zone of the phone such as --timezone Europe/Berlin. Nothing was imported."
            )
        if validator.zone is None:
            yield Remark(member.name, _OFFSET_TAKEN)

        def read(where: str, cells: list[str]) -> Iterator[Row]:
            named = dict(zip(names, cells, strict=True))
            at = named["start_time"]
            offset = _OFFSET.fullmatch(named.get("time_offset", ""))
            if validator.zone is None and offset:
                at += f"{offset[1]}:{offset[2]}"
            for column, kind in kinds.items():
                if named.get(column):
                    given = {"kind": kind.value, "value": named[column], "at": at}
                    yield validator.row(where, given, "samsung")

        yield from table.rows(read)


def is_withings(name: str, head: bytes) -> bool:
    """Recognise a file of the export by its name and the names of its columns."""
    header = header_of(head)
    return header[:4] == _CUFF or (name.lower() in _RAW and header == _RAW_COLUMNS)


def read_withings(member: Member, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, or its times need a zone.
    """
    with Table(member) as table:
        kind = _RAW.get(member.name.lower()) if table.header == _RAW_COLUMNS else None
        if kind is None:
            table.need(table.header[:4] == _CUFF)
            validator.need_zone(member.name)

        def read(where: str, cells: list[str]) -> Iterator[Row]:
            if kind is not None:
                yield from _series(where, cells, kind, validator)
                return
            for measured, value in zip(_CUFF_KINDS, cells[1:4], strict=True):
                if value:  # what the cuff did not measure is empty
                    given = {"kind": measured.value, "value": value, "at": cells[0]}
                    yield validator.row(where, given, "withings")

        yield from table.rows(read)


def _series(
    where: str, cells: list[str], kind: VitalKind, validator: RowValidator
) -> Iterator[Row]:
    """Return the readings of a row with lists, each at the start of its part."""
    start, durations, values = cells
    seconds, numbers = _numbers(durations), _numbers(values)
    if seconds is None or numbers is None or len(seconds) != len(numbers):
        yield LeftOut(where, "duration and value are not two lists of numbers of the same length.")
        return
    passed = 0.0
    for number, lasting in zip(numbers, seconds, strict=True):
        given = {"kind": kind.value, "value": number, "at": _later(start, passed)}
        yield validator.row(where, given, "withings")
        passed += lasting


def _numbers(text: str) -> list[float] | None:
    """Parse a list such as ``[60,61]``; ``None`` if it is none."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list):
        return None
    # A number beyond these bounds would overflow the calculation of times.
    return items if all(isinstance(n, int | float) and 0 <= n < 1e9 for n in items) else None


def _later(start: str, seconds: float) -> str:
    """Return a time so many seconds later; other text is returned unchanged."""
    try:
        return (datetime.fromisoformat(start) + timedelta(seconds=seconds)).isoformat()
    except (ValueError, OverflowError):
        return start


@dataclass(frozen=True, slots=True)
class HealthFormat:
    """A kind of export.

    Attributes:
        name: of the maker or app, for people.
        is_ours: recognises it by a file's name and first bytes.
        read: reads one file row by row; raises ``DataFileError`` if the file itself is broken.
    """

    name: str
    is_ours: Callable[[str, bytes], bool]
    read: Callable[[Member, RowValidator], Rows]


FORMATS = (
    HealthFormat("Apple Health", is_apple, read_apple),
    HealthFormat("Fitbit", is_fitbit, read_fitbit),
    HealthFormat("Samsung Health", is_samsung, read_samsung),
    HealthFormat("Withings", is_withings, read_withings),
    HealthFormat("Garmin (FIT)", is_garmin, read_garmin),
)


@dataclass(frozen=True, slots=True)
class HealthExport:
    """The files of an export that hold readings.

    Attributes:
        name: of the file, archive or folder.
        files: its files, each with its format.
        remarks: about files that were not read.
        unknown: names of the files of no known format.
    """

    name: str
    files: Sequence[tuple[HealthFormat, Member]]
    remarks: Sequence[Remark] = ()
    unknown: Sequence[str] = ()

    @property
    def formats(self) -> list[str]:
        """The names of the formats, each once."""
        return list(dict.fromkeys(form.name for form, _ in self.files))

    def rows(self, validator: RowValidator) -> Rows:
        """Yield row after row; of several files, a damaged FIT file is left out.

        Raises:
            DataFileError: a file is broken; the rows before it must not be kept.
        """
        yield from self.remarks
        for form, member in self.files:
            with readable(member.name):
                rows = form.read(member, validator)
                if form.read is read_garmin and len(self.files) > 1:
                    try:
                        rows = iter(list(rows))  # an activity, not years: none of it is taken yet
                    except DamagedFileError as error:
                        rows = iter([NotRead(member.name, str(error).partition(": ")[2])])
                yield from rows


@contextmanager
def open_export(path: Path) -> Iterator[HealthExport | None]:
    """Open a file, archive or folder as a health export; ``None`` for another single file, or an
    archive of other tables.

    Raises:
        DataFileError: it cannot be read, or an archive or folder contains no known file.
    """
    with members_of(path) as members:
        # The same days may be there as JSON and as a table: read once.
        names = {member.name.lower() for member in members}
        twice = [one.name for one in members if table_of_day(one.name.lower()) in names]
        files = [
            (form, member)
            for member in members
            if member.name not in twice and (form := _format_of(member))
        ]
        if files:
            read = {member.name for _, member in files}
            unknown = [one.name for one in members if one.name not in {*read, *twice}]
            yield HealthExport(path.name, files, _remarks(twice), unknown)
        elif path.is_file() and any(
            one.name == path.name or one.name.lower().endswith(".csv") for one in members
        ):
            yield None
        else:
            known = ", ".join(form.name for form in FORMATS)
            raise DataFileError(
                f"{path}: none of its {len(members)} files has a known format. Known: "
                f"{known}; docs/data.md lists the files of each.{_ways_out(members)}"
            )


def _ways_out(members: Sequence[Member]) -> str:
    """Return what the files of a folder are, and how they can be imported; may be empty."""
    ways: dict[str, str] = {}  # way → name of the first file
    for member in members:
        with readable(member.name):
            head = member.head()
        header = header_of(head)
        kind = kind_of(head)
        if kind is not None:
            ways.setdefault(kind.sentences, member.name)
        elif header[: len(_EMBRACE)] == _EMBRACE:
            ways.setdefault(
                "is a table of EmbracePlus. Import each by itself, such as …_pulse-rate.csv with "
                "--map at=timestamp_iso --map heart_rate=pulse_rate_bpm, and …_temperature.csv "
                "with --map at=timestamp_iso --map skin_temperature=temperature_celsius.",
                member.name,
            )
        elif member.name.lower().endswith((".csv", ".tsv", ".txt")):
            ways.setdefault(
                "is a table. Import each table by itself, with --map guess or its columns named.",
                member.name,
            )
    return "".join(f"\n{name} {way}" for way, name in list(ways.items())[:_WAYS_SHOWN])


def _remarks(twice: Sequence[str]) -> list[NotRead]:
    if not twice:
        return []
    files = twice[0] if len(twice) == 1 else f"{len(twice)} files, {twice[0]} to {twice[-1]}"
    return [NotRead(files, "not read; the tables of the same days (.csv) have the same beats.")]


def _format_of(member: Member) -> HealthFormat | None:
    if not member.size:
        return None
    with readable(member.name):
        head = member.head()
    return next((form for form in FORMATS if form.is_ours(member.name, head)), None)
