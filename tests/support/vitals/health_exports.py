"""Exports of health apps as their makers shape them, with made-up readings."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fitdecode.utils import compute_crc

from edge_agent.core.clock import Instant
from edge_agent.core.readings import LocalTimes, VitalReading
from edge_agent.vitals.health.exports import FORMATS
from edge_agent.vitals.health.files import ExportMember, RowValidator
from edge_agent.vitals.passed_over import NoValue, Row

NOW = Instant(0, 1_800_000_000_000)
NO_ZONE = RowValidator(NOW)
BERLIN = RowValidator(NOW, LocalTimes(ZoneInfo("Europe/Berlin")))

# The start of an export of version 14, shortened to what the records below need.
APPLE_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 14 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
<!ELEMENT Record ((MetadataEntry|HeartRateVariabilityMetadataList)*)>
<!ATTLIST Record
  type          CDATA #REQUIRED
  unit          CDATA #IMPLIED
  value         CDATA #IMPLIED
>
]>
<HealthData locale="de_DE">
 <ExportDate value="2026-01-06 09:00:00 +0100"/>
 <Me HKCharacteristicTypeIdentifierDateOfBirth="" HKCharacteristicTypeIdentifierBiologicalSex=""/>
"""
APPLE_END = "</HealthData>\n"


def read(name: str, content: bytes | str, validator: RowValidator = BERLIN) -> list[Row]:
    """The rows of a file, read as the export that its name and its content show."""
    raw = content.encode() if isinstance(content, str) else content
    form = next(one for one in FORMATS if one.is_ours(name, raw))
    return list(form.read(ExportMember(name, len(raw), lambda: io.BytesIO(raw)), validator))


def shown(rows: Iterable[Row]) -> list[tuple[str, str, float] | str]:
    """Each reading as time, kind and value; each row that is left out as its sentence."""

    def told(row: Row) -> tuple[str, str, float] | str:
        if isinstance(row, NoValue):
            return f"{row.file}, column {row.column}"
        if not isinstance(row, VitalReading):
            return row.sentence
        at = datetime.fromtimestamp(row.at.wall_ms / 1000, UTC)
        return f"{at:%m-%dT%H:%M:%S}", row.kind.value, row.value

    return [told(row) for row in rows]


def apple_record(
    kind: str,
    value: object,
    unit: str,
    at: str = "2026-01-05 08:00:00 +0100",
    source: str = "Watch",
    hardware: str = "",
    **metadata: str,
) -> str:
    """A record of an export, with its metadata."""
    inner = "".join(f'\n  <MetadataEntry key="{k}" value="{v}"/>' for k, v in metadata.items())
    model = f", model:Watch, hardware:{hardware}, software:10.2" if hardware else ""
    return (
        f' <Record type="HKQuantityTypeIdentifier{kind}" sourceName="{source}" sourceVersion="10.2"'
        f' device="&lt;&lt;HKDevice: 0x281d99900&gt;, name:Apple Watch{model}&gt;" '
        f'unit="{unit}" creationDate="{at}" startDate="{at}" endDate="{at}" value="{value}"'
        + (f">{inner}\n </Record>\n" if inner else "/>\n")
    )


def apple_pressure(systolic: int, diastolic: int, at: str = "2026-01-05 07:30:00 +0100") -> str:
    """A blood pressure as the export has it: two records, and the two again in a correlation."""
    two = apple_record("BloodPressureSystolic", systolic, "mmHg", at, "Cuff") + apple_record(
        "BloodPressureDiastolic", diastolic, "mmHg", at, "Cuff"
    )
    return (
        f'{two} <Correlation type="HKCorrelationTypeIdentifierBloodPressure" sourceName="Cuff" '
        f'creationDate="{at}" startDate="{at}" endDate="{at}">\n{two} </Correlation>\n'
    )


def apple_export(*records: str) -> bytes:
    """``export.xml`` with these records."""
    return (APPLE_HEAD + "".join(records) + APPLE_END).encode()


def archive(files: Mapping[str, bytes]) -> bytes:
    """A ZIP archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in files.items():
            written.writestr(name, content)
    return packed.getvalue()


def fitbit_day(*entries: tuple[str, object, int]) -> bytes:
    """``heart_rate-….json`` of times, rates and confidences."""
    return json.dumps(
        [
            {"dateTime": time, "value": {"bpm": rate, "confidence": confidence}}
            for time, rate, confidence in entries
        ]
    ).encode()


_EPOCH = datetime(1989, 12, 31, tzinfo=UTC)
UINT8, UINT16, UINT32, UINT32Z, BYTE, _ENUM = 0x02, 0x84, 0x86, 0x8C, 0x0D, 0x00
_PACKED = {UINT8: "B", UINT16: "H", UINT32: "I", UINT32Z: "I", _ENUM: "B"}


def fit_seconds(at: datetime) -> int:
    """A time as FIT counts it."""
    return round((at - _EPOCH).total_seconds())


def fit_file(*messages: tuple[int, Mapping[int, tuple[int, int | bytes]]]) -> bytes:
    """A FIT file of messages: number of the message, then field → base type and value; several
    values of a field are packed already."""
    body = b""
    for message, fields in messages:
        named = b"".join(
            bytes([number, len(_bytes(kind, value)), kind])
            for number, (kind, value) in fields.items()
        )
        body += struct.pack("<BBBHB", 0x40, 0, 0, message, len(fields)) + named
        body += b"\0" + b"".join(_bytes(kind, value) for kind, value in fields.values())
    head = struct.pack("<BBHI4s", 14, 0x20, 2132, len(body), b".FIT")
    head += struct.pack("<H", compute_crc(head))
    return head + body + struct.pack("<H", compute_crc(head + body))


def _bytes(kind: int, value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else struct.pack(f"<{_PACKED[kind]}", value)


def garmin_day(start: datetime) -> bytes:
    """A day's monitoring of a watch: rates at the start, and 60 s and 120 s later; breath; SpO2;
    a record with the temperature of the core."""
    seconds = fit_seconds(start)
    return fit_file(
        (0, {0: (_ENUM, 32), 1: (UINT16, 1), 2: (UINT16, 3113), 4: (UINT32, seconds)}),
        (55, {253: (UINT32, seconds), 27: (UINT8, 61)}),
        (55, {26: (UINT16, (seconds + 60) & 0xFFFF), 27: (UINT8, 62)}),
        (55, {26: (UINT16, (seconds + 120) & 0xFFFF), 27: (UINT8, 255)}),  # no value
        (297, {253: (UINT32, seconds + 180), 0: (UINT16, 1420)}),
        (269, {253: (UINT32, seconds + 240), 0: (UINT8, 96)}),
        (20, {253: (UINT32, seconds + 300), 3: (UINT8, 133), 139: (UINT16, 3712)}),
    )
