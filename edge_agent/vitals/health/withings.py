"""The export of Withings (Health Mate): CSV files in a ZIP archive.

The shapes are those that the export's own readme and public programs name:

- ``bp.csv``: ``Date,"Heart rate",Systolic,Diastolic,Comments``, local times without a zone;
- ``raw_hr_hr.csv`` and others that ``VitalSpec.withings`` names: ``start,duration,value``, where
  ``duration`` (seconds) and ``value`` are lists of the same length (``[60,60]``, ``[65,63]``) and
  ``start`` has an offset.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.vitals.health.members import Member
from edge_agent.vitals.health.rows import LeftOut, Row, Rows, RowValidator
from edge_agent.vitals.health.tables import Table, header_of

_CUFF = ("date", "heart rate", "systolic", "diastolic")
_CUFF_KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
_RAW: Mapping[str, VitalKind] = {
    name.lower(): kind for kind, spec in SPECS.items() for name in spec.withings
}
_RAW_COLUMNS = ("start", "duration", "value")
_SOURCE = "withings"


def is_ours(name: str, head: bytes) -> bool:
    """Tell a file of the export by its name and the names of its columns."""
    header = header_of(head)
    if header[:4] == _CUFF:
        return True
    return name.lower() in _RAW and header == _RAW_COLUMNS


def read(member: Member, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, or its times need a zone.
    """
    with Table(member) as table:
        kind = _RAW.get(member.name.lower()) if table.header == _RAW_COLUMNS else None
        if kind is None:
            table.need(table.header[:4] == _CUFF)
            validator.need_zone(member.name)
        for row in table.rows():
            if isinstance(row, LeftOut):
                yield row
            elif kind is not None:
                yield from _series(row[0], row[1], kind, validator)
            else:
                yield from _measurement(row[0], row[1], validator)


def _measurement(where: str, cells: list[str], validator: RowValidator) -> Iterator[Row]:
    """Return the readings of a row of the cuff; what it did not measure is empty."""
    for kind, value in zip(_CUFF_KINDS, cells[1:4], strict=True):
        if value:
            yield validator.row(
                where, {"kind": kind.value, "value": value, "at": cells[0]}, _SOURCE
            )


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
        yield validator.row(where, given, _SOURCE)
        passed += lasting


def _numbers(text: str) -> list[float] | None:
    """Return a list such as ``[60,61]``; ``None`` where it is none."""
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, list):
        return None
    if not all(isinstance(item, int | float) and 0 <= item < 1e9 for item in items):
        return None
    return items


def _later(start: str, seconds: float) -> str:
    """Return a time so many seconds later; what is no time is left as it stands."""
    try:
        return (datetime.fromisoformat(start) + timedelta(seconds=seconds)).isoformat()
    except (ValueError, OverflowError):
        return start
