"""Readings from Samsung Health, according to public programs.

The first line is ``com.samsung.shealth.tracker.heart_rate,6305010,4`` (kind, version of the
program, number), the second names the columns, with or without the kind before them
(``com.samsung.health.heart_rate.start_time``). ``time_offset`` is the zone of ``start_time``
(``UTC+0200``). Some versions are said to write UTC there all the same, and early ones have no such
column: a zone that the user gives holds before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator
from edge_agent.vitals.passed_over import Remark, Row, Rows

_FIRST_LINE = re.compile(
    rb"(?:\xef\xbb\xbf)?com\.samsung\.s?health\.(?:tracker\.)?"
    rb"(heart_rate|oxygen_saturation|blood_pressure),"
)
_COLUMNS: Mapping[str, Mapping[str, VitalKind]] = {
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


def is_samsung(_name: str, head: bytes) -> bool:
    """Recognise a file of the export by its first line."""
    return _FIRST_LINE.match(head) is not None


def read_samsung(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, has no column for time or values, or its times need a zone.
    """
    first = _FIRST_LINE.match(member.head())
    assert first is not None, "is_ours has looked"
    kinds = _COLUMNS[first[1].decode("ascii")]
    table = ExportTable(member, above=1)
    # With or without the kind of file before the name of the column.
    names = [name.rpartition(".")[2] for name in table.names]
    if "start_time" not in names or not any(kind in names for kind in kinds):
        raise DataFileError(
            f"{member.name}, row 2: the columns ({', '.join(table.names)[:200]}) are not those of "
            "this export. Nothing was imported."
        )
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
        device = named.get("deviceuuid", "")
        source = "samsung"
        if device:
            source = validator.device(f"samsung:{device}", source, is_certain=True)
        if validator.zone is None and offset:
            at += f"{offset[1]}:{offset[2]}"
        for column, kind in kinds.items():
            if named.get(column):
                given = {"kind": kind.value, "value": named[column], "at": at}
                yield validator.row(where, given, source)

    yield from table.readings(read)
