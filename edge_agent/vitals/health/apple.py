"""Readings from Apple Health's ``export.xml``, which may have gigabytes.

Sources are the document type at the start of each export (HealthKit Export Version 13 and 14), and
Apple's documentation of HealthKit for identifiers, units and metadata. The document type itself is
removed before parsing: some releases of iOS write a damaged one, and only a document type could
declare entities that grow without end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import BinaryIO
from xml.parsers import expat

from edge_agent.core.errors import DataFileError
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health.files import HEAD_BYTES, ExportMember, RowValidator
from edge_agent.vitals.passed_over import ColumnNotTaken, Row, Rows

_PREFIX = "HKQuantityTypeIdentifier"
_KINDS: Mapping[str, VitalKind] = {
    f"{_PREFIX}{spec.apple}": kind for kind, spec in SPECS.items() if spec.apple
} | {f"{_PREFIX}BasalBodyTemperature": VitalKind.BODY_TEMPERATURE}
_OF_TYPE = re.compile(r"HK(?:Quantity|Category|Data|Correlation)?Type(?:Identifier)?")
_UNITS = {"mcS": "uS", "S": "uS"}
"""HealthKit's letters for micro; a conductance in siemens is converted."""
_BEATS = "InstantaneousBeatsPerMinute"
_OTHER_TAGS = frozenset({_BEATS, "Workout", "ClinicalRecord", "Audiogram", "VisionPrescription"})
_MOST_TYPES = 500
_LONGEST_NAME = 100
_NO_VITAL = "is no vital sign that is kept"
_NOT_TAKEN: Mapping[str, str] = {
    _BEATS: "are rates of single beats in whole numbers, of a time of day without its day and "
    "zone: no interval between beats can be worked out from them",
    "HeartRateVariabilitySDNN": "is a variability over about a minute, and no reading of a moment",
    "HeartbeatSeries": "has its beats in no file of the export",
    "RestingHeartRate": "is worked out over a day, and no reading of a moment",
    "WalkingHeartRateAverage": "is worked out over a day, and no reading of a moment",
    "AppleSleepingWristTemperature": "is of a whole night, and no reading of a moment",
}
_LOCATION = "HKBodyTemperatureSensorLocation"
_SKIN = {"4", "8", "11"}
"""Finger, toe, forehead. At other places, or without a place, a temperature is what the type says:
the body's.
"""
# a model has a comma itself: hardware:Watch6,1, software:10.2
_HARDWARE = re.compile(r"hardware:(.+?)(?:, \w+:|>)")
_TYPED = ("HKWasUserEntered", "1")
_DOCUMENT_TYPE = re.compile(rb"<!DOCTYPE\s+HealthData\s*(\[.*?\]\s*)?>", re.DOTALL)
# no letter of XML, yet names of apps have some; a blank keeps the places of all others
_CONTROLS = bytes(code for code in range(0x20) if code not in b"\t\n\r")
_BLANKED = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))
_CHUNK = 1 << 18
_LONGEST_TAG = 1 << 20
_DEEPEST = 64


def is_apple(_name: str, head: bytes) -> bool:
    """Recognise an export by its first bytes."""
    return head.lstrip(b"\xef\xbb\xbf \r\n").startswith(b"<") and b"HealthData" in head


def read_apple(member: ExportMember, validator: RowValidator) -> Rows:
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
        self._others: Counter[str] = Counter()
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
        for name, count in sorted(self._others.items()):
            kind = _OF_TYPE.sub("", name)
            yield ColumnNotTaken(self._name, kind, _NOT_TAKEN.get(kind, _NO_VITAL), count)

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
        # Of other records, most of an export, only the number is kept.
        if tag == "Record" and attributes.get("type") in _KINDS:
            self._record = attributes
            self._metadata = {}
            self._line = self._parser.CurrentLineNumber + self._skipped_lines
        elif tag == "Record":
            self._count(attributes.get("type", ""))
        elif tag in _OTHER_TAGS:
            self._count(tag)
        elif tag == "MetadataEntry" and self._record:
            self._metadata[attributes.get("key", "")] = attributes.get("value", "")

    def _count(self, name: str) -> None:
        """Count a record that gives no reading; of more types than any export has, none apart."""
        known = name in self._others or len(self._others) < _MOST_TYPES
        self._others[name[:_LONGEST_NAME] if known else "others"] += 1

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
            "value": _value(kind, record.get("value", ""), record.get("unit", "")),
            "unit": _UNITS.get(record.get("unit", ""), record.get("unit", "")),
            # Apple writes `2026-01-05 08:00:00 +0100`; ISO 8601 has no blank before the offset.
            "at": record.get("startDate", "").replace(" +", "+").replace(" -", "-"),
        }
        former = f"apple_health:{record.get('sourceName', '')}"
        # Two watches may have one name; the model of each stands beside it.
        model = _HARDWARE.search(record.get("device", ""))
        source = self._validator.device(f"{former} ({model[1]})" if model else former, former)
        return self._validator.row(where, item, source, flags)


def _value(kind: VitalKind, text: str, unit: str) -> object:
    """Return a value in a unit that is known; a share of 1 becomes percent."""
    factor = 1.0
    if kind is VitalKind.OXYGEN_SATURATION:
        factor = 100.0
    elif kind is VitalKind.SKIN_CONDUCTANCE and unit == "S":
        factor = 1e6
    else:
        return text
    try:
        # A float times 100 has digits that nobody measured.
        return round(factor * float(text), 6)
    except ValueError:
        return text
