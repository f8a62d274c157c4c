"""Readings from FIT files, as watches of Garmin and others write them.

They are read by ``fitdecode``, which checks their checksums; the messages are those of the FIT
profile. Intervals between beats (message ``hrv``) have no times of their own: they ended before the
next message that has one, each before the following. Those after the last time of a file, or of one
of several parts in it, go on where the beats before them ended.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import BeatTimes, VitalReading
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health.files import (
    DAMAGED_GZIP,
    GZIPPED,
    DamagedFileError,
    ExportMember,
    RowValidator,
)
from edge_agent.vitals.passed_over import LeftOutRow, Remark, Row, Rows

if TYPE_CHECKING:
    from fitdecode import FitDataMessage
_FIELDS: Mapping[str, list[tuple[str, VitalKind]]] = {
    message: [
        (field, kind) for kind, spec in SPECS.items() for name, field in spec.fit if name == message
    ]
    for message in {name for spec in SPECS.values() for name, _ in spec.fit}
}
_OF_ODD_MESSAGES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError),
    struct.error,
)
"""Errors of the library for a file with a right checksum and a senseless message."""
MAX_FILE_BYTES = 64 * 2**20
_EPOCH = datetime(1989, 12, 31, tzinfo=UTC)
"""Start of FIT's count of seconds."""


def is_garmin(name: str, head: bytes) -> bool:
    """Recognise a FIT file by the mark in its header, or a damaged gzipped one by its name."""
    return head[8:12] == b".FIT" or (not head and name.lower().endswith(GZIPPED))


def read_garmin(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a file message by message.

    Raises:
        DamagedFileError: it is damaged.
        DataFileError: the library for FIT files is not installed.
    """
    with _translate_errors(member.name):
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
            yield from messages.end()


def _content(member: ExportMember) -> bytes:
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
        self._began: datetime | None = None
        """When the waiting intervals began: with the beat before them, or the first time."""
        self._source = "fit"

    def rows(self, number: int, message: FitDataMessage) -> Iterator[Row]:
        """Yield the readings of a message, and of the beats that ended before it."""
        if message.name == "file_id":
            # Another part begins: the beats before it ended with the part before.
            yield from self.end()
            self._source = _source(message, self._validator)
            return
        at = self._times.time_of(message)
        if at is not None:
            self._last = at
            if self._waiting or self._began is None:
                self._began = at
            # Intervals ended before the first message with a time that follows them.
            yield from self._beats_before(at)
        if message.name == "hrv":
            measured = (value for value in _list(message, "time") if not math.isnan(value))
            self._waiting += [(number, value) for value in measured]
        if message.name == "hr":
            field = "filtered_bpm"
            events = self._events.times_of(message, at)
            for rate in _list(message, field):
                event = next(events, None)
                if not math.isnan(rate):
                    yield self._row(number, field, VitalKind.HEART_RATE, rate, event)
        for field, kind in _FIELDS.get(message.name, ()):
            value = _value_of(message, field)
            if value is not None:
                yield self._row(number, field, kind, value, at)

    def end(self) -> Iterator[Row]:
        """End a part: yield the intervals after its last time."""
        at = self._last
        if at is not None and self._began is not None:
            lasting = timedelta(seconds=sum(value for _, value in self._waiting))
            at = max(at, self._began + lasting)
        yield from self._beats_before(at)
        self._last = self._began = None

    def _beats_before(self, at: datetime | None) -> Iterator[Row]:
        """Yield the waiting intervals, the last of which ended at a time."""
        kind = VitalKind.RR_INTERVAL
        rows = [self._row(number, "time", kind, value, at) for number, value in self._waiting]
        self._waiting.clear()
        yield from (row for row in rows if not isinstance(row, VitalReading))
        yield from self._beats.spread([row for row in rows if isinstance(row, VitalReading)])

    def _row(
        self, number: int, field: str, kind: VitalKind, value: object, at: datetime | None
    ) -> Row:
        if at is None:
            why = f"{field}: {value} has no time, and no message before it has one."
            return LeftOutRow(f"{self._name}, message {number}", why)
        item = {"kind": kind.value, "value": value, "unit": kind.unit, "at": at.isoformat()}
        return self._validator.row(f"{self._name}, message {number}", item, self._source)


class _Times:
    """The times of messages; those of daily monitoring have only the low 16 bits of a time."""

    def __init__(self) -> None:
        self._last: datetime | None = None

    def time_of(self, message: FitDataMessage) -> datetime | None:
        """Return the time of a message, UTC; ``None`` if it has none."""
        at = _value_of(message, "timestamp")
        if isinstance(at, datetime):
            self._last = at
            return at
        low = _value_of(message, "timestamp_16")
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

    def times_of(self, message: FitDataMessage, at: datetime | None) -> Iterator[datetime]:
        """Return the times of the events of a message; none before the first with a time."""
        for count in self._counts(message):
            if at is not None:
                part = _value_of(message, "fractional_timestamp")
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


def _value_of(message: FitDataMessage, field: str) -> object:
    """Return the value of a field; ``None`` if there is none."""
    return cast("object", message.get_value(field, fallback=None))


def _list(message: FitDataMessage, field: str) -> list[float]:
    """Return the one or several numbers of a field; NaN for no value."""
    value = _value_of(message, field)
    values = value if isinstance(value, list | tuple) else (value,)
    return [one if isinstance(one, int | float) else math.nan for one in values]


def _source(message: FitDataMessage, validator: RowValidator) -> str:
    """Return the source, such as ``fit:garmin fenix6 3999888777``: the last is its serial number.

    Two watches of one model are two devices.
    """
    names = [
        str(value)
        for field in ("manufacturer", "garmin_product", "product_name", "product")
        if (value := _value_of(message, field)) is not None
    ]
    former = f"fit:{' '.join(names[:2])}" if names else "fit"
    serial = _value_of(message, "serial_number")
    if not serial:
        return former
    return validator.device(f"{former} {serial}", former, is_certain=True)


@contextmanager
def _translate_errors(name: str) -> Iterator[None]:
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
