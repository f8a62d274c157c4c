"""Readings from Withings (Health Mate), according to its readme and to public programs.

- ``bp.csv``: ``Date,"Heart rate",Systolic,Diastolic,Comments``, local times without a zone;
- ``raw_hr_hr.csv`` and others that ``VitalSpec.withings`` names: ``start,duration,value``, where
  ``duration`` (seconds) and ``value`` are lists of the same length (``[60,60]``, ``[65,63]``) and
  ``start`` has an offset.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from edge_agent.core.brought_values import ValuesError, parse_json
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator, has_header
from edge_agent.vitals.passed_over import LeftOutRow, Row, Rows

_CUFF = ("date", "heart rate", "systolic", "diastolic")
_CUFF_KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
_RAW: Mapping[str, VitalKind] = {
    name.lower(): kind for kind, spec in SPECS.items() for name in spec.withings
}
_RAW_COLUMNS = ("start", "duration", "value")


def is_withings(name: str, head: bytes) -> bool:
    """Recognise a file of the export by its name and the names of its columns."""
    return has_header(head, partial(_is_header, name))


def _is_header(name: str, names: tuple[str, ...]) -> bool:
    return names[:4] == _CUFF or (name.lower() in _RAW and names == _RAW_COLUMNS)


def read_withings(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, or its times need a zone.
    """
    table = ExportTable(member, partial(_is_header, member.name))
    kind = _RAW.get(member.name.lower()) if table.names == _RAW_COLUMNS else None
    if kind is None:
        validator.need_zone(member.name)

    # A cuff, a watch and a mat under the mattress write a file each.
    device = "cuff" if kind is None else member.name.lower().split("_")[1]
    source = validator.device(f"withings:{device}", "withings")

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        if kind is not None:
            yield from _series(where, cells, kind, source, validator)
            return
        for measured, value in zip(_CUFF_KINDS, cells[1:4], strict=True):
            if value:  # what the cuff did not measure is empty
                given = {"kind": measured.value, "value": value, "at": cells[0]}
                yield validator.row(where, given, source)

    yield from table.readings(read)


def _series(
    where: str, cells: list[str], kind: VitalKind, source: str, validator: RowValidator
) -> Iterator[Row]:
    """Return the readings of a row with lists, each at the start of its part."""
    start, durations, values = cells
    seconds, numbers = _numbers(durations), _numbers(values)
    if seconds is None or numbers is None or len(seconds) != len(numbers):
        yield LeftOutRow(
            where, "duration and value are not two lists of numbers of the same length."
        )
        return
    passed = 0.0
    for number, lasting in zip(numbers, seconds, strict=True):
        given = {"kind": kind.value, "value": number, "at": _later(start, passed)}
        yield validator.row(where, given, source)
        passed += lasting


def _numbers(text: str) -> list[float] | None:
    """Parse a list such as ``[60,61]``; ``None`` if it is none."""
    try:
        items = parse_json(text)
    except ValuesError:
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
