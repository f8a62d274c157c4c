"""Readings of Empatica's wristbands: sessions of the E4, and tables of minutes of EmbracePlus.

The archive of a session of the E4 (support.empatica.com/hc/en-us/articles/201608896, and its
``info.txt``) has the start in the first row, UTC seconds:

- ``EDA.csv`` (µS), ``TEMP.csv`` (°C) and ``HR.csv`` (/min, means of ten seconds): samples a second
  in the second row, then a value in each;
- ``IBI.csv``: ``1767600000.000000, IBI``, then seconds since the start and the interval in seconds;
- ``ACC.csv``, ``BVP.csv`` and ``tags.csv``, which have no readings.

A person may have put something before these names (``P01_EDA.csv``); rows alone do not tell which
of them a file is.

Tables of EmbracePlus have a row for each minute: ``timestamp_unix`` (ms), ``timestamp_iso``,
``participant_full_id``, a value, and ``missing_value_reason`` where there is none
(``device_not_recording``). Their columns are those that public programs read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import count

from edge_agent.core.errors import DataFileError, shown_value
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health.files import (
    ExportMember,
    ExportTable,
    RowReader,
    RowValidator,
    has_header,
)
from edge_agent.vitals.health.samples import SampleChannel, number_of
from edge_agent.vitals.passed_over import ColumnNotTaken, LeftOutRow, NotRead, Row, Rows

_NAME = re.compile(r"(?:.*[^a-z])?(eda|temp|hr|acc|bvp|tags)\.csv", re.IGNORECASE)
_BEFORE_NAME = re.compile(r"(.+?)[ _.-]+[a-z]+\.csv", re.IGNORECASE)
_SERIAL = re.compile(r"\d{9,10}_([a-z0-9]{6})", re.IGNORECASE)
"""The archive of a session is named by its start and the wristband's serial number."""
_START = re.compile(r"\d{10}(?:\.\d+)?", re.ASCII)
_RATE = re.compile(r"\d{1,3}(?:\.\d+)?", re.ASCII)
_KINDS: Mapping[str, VitalKind] = {
    "eda": VitalKind.SKIN_CONDUCTANCE,
    "temp": VitalKind.SKIN_TEMPERATURE,
    "hr": VitalKind.HEART_RATE,
}
_NO_READINGS: Mapping[str, str] = {
    "acc": "has acceleration, which is no vital sign.",
    "bvp": "has the pulse wave; HR.csv and IBI.csv have what was found in it.",
    "tags": "has the times of the button: affect-edge import-markers tags.csv.",
}
_EMBRACE = ("timestamp_unix", "timestamp_iso")
_REASON = "missing_value_reason"
_PERSON = "participant_full_id"
"""Site, participant and wristband's turn: each person wears a device of their own."""
_MINUTES: Mapping[str, VitalKind] = {
    spec.embraceplus: kind for kind, spec in SPECS.items() if spec.embraceplus
}
_NO_VITAL = "is no vital sign that is kept"


def is_e4(name: str, head: bytes) -> bool:
    """Recognise a file of a session by its first rows, and by its name which one it is."""
    rows = head.decode("utf-8-sig", errors="replace").split("\n", 2)
    first = [cell.strip() for cell in rows[0].split(",")]
    if not all(map(_START.fullmatch, first[:1])):
        return False
    if _is_beats(tuple(cell.lower() for cell in first)):
        return True
    named = _NAME.fullmatch(name)
    second = rows[1].split(",")[0].strip() if len(rows) > 1 else ""
    is_tags = named is not None and named[1].lower() == "tags"
    return named is not None and (is_tags or _RATE.fullmatch(second) is not None)


def read_e4(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, or has no rate.
    """
    named = _NAME.fullmatch(member.name)
    if named and (why := _NO_READINGS.get(named[1].lower())):
        yield NotRead(member.name, why)
        return
    source = _source(member, validator)
    table = ExportTable(member)
    start_s = float(table.names[0])
    if _is_beats(table.names):
        beats = SampleChannel(VitalKind.RR_INTERVAL, source, validator, is_even=False)
        yield from table.readings(_beats(beats, start_s))
        yield from beats.finish(member.name)
        return
    assert named is not None, "is_e4 has looked"
    channel = SampleChannel(_KINDS[named[1].lower()], source, validator)
    yield from table.readings(_samples(channel, start_s, member.name))
    yield from channel.finish(member.name)


def _source(member: ExportMember, validator: RowValidator) -> str:
    """Return the source: the serial number in the archive's name, what stands before the file's
    name, or its folder or archive.
    """
    former = f"csv:{member.name}"
    if serial := _SERIAL.fullmatch(member.place):
        return validator.device(f"e4:{serial[1].upper()}", former, is_certain=True)
    before = _BEFORE_NAME.fullmatch(member.name)
    device = (before[1] if before else "") or member.place
    return validator.device(f"e4:{device}" if device else former, former)


def _is_beats(header: tuple[str, ...]) -> bool:
    return header[1:2] == ("ibi",)


def _samples(channel: SampleChannel, start_s: float, name: str) -> RowReader:
    """Return what reads the rows of samples: a rate in the first of them, then the values."""
    rates: list[float] = []
    places = count()

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        if not rates:
            rates.append(number_of(cells[0]))
            if not rates[0] > 0:
                raise DataFileError(
                    f"{name}: its second row, {shown_value(cells[0])}, is no rate in samples a "
                    "second. Download the session again. Nothing was imported."
                )
            return
        # A row that is no number has its time all the same.
        yield from channel.add(where, start_s + next(places) / rates[0], cells[0])

    return read


def _beats(channel: SampleChannel, start_s: float) -> RowReader:
    """Return what reads the rows of beats: seconds since the start, and the interval."""

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        yield from channel.add(where, start_s + number_of(cells[0]), cells[1])

    return read


def is_embrace(_name: str, head: bytes) -> bool:
    """Recognise a table of minutes by the names of its columns."""
    return has_header(head, _is_embrace_header)


def _is_embrace_header(names: tuple[str, ...]) -> bool:
    return names[: len(_EMBRACE)] == _EMBRACE and not _MINUTES.keys().isdisjoint(names)


def read_embrace(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a table.

    Raises:
        DataFileError: it is no CSV.
    """
    table = ExportTable(member, _is_embrace_header)
    for name in table.names[len(_EMBRACE) :]:
        if name not in {*_MINUTES, _REASON, _PERSON, ""}:
            yield ColumnNotTaken(member.name, name, _NO_VITAL)

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        row = dict(zip(table.names, cells, strict=True))
        values = {name: row[name] for name in _MINUTES if row.get(name)}
        source = "embraceplus"
        if row.get(_PERSON):
            source = validator.device(f"{source}:{row[_PERSON]}", source)
        if not values:
            yield LeftOutRow(where, f"{_REASON}: {row.get(_REASON) or 'none is told'}.")
        for name, value in values.items():
            given = {"kind": _MINUTES[name].value, "value": value, "at": row[_EMBRACE[0]]}
            yield validator.row(where, given, source)

    yield from table.readings(read)
