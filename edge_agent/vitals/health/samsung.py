"""The export of Samsung Health: CSV files below a line that names the kind of data.

The shape is the one that public programs read: the first line is
``com.samsung.shealth.tracker.heart_rate,6305010,4`` (kind, version of the program, number), the
second names the columns, with or without the kind before them
(``com.samsung.health.heart_rate.start_time``). ``start_time`` is UTC or local, depending on the
version, and no column says which: the zone is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.members import Member
from edge_agent.vitals.health.rows import LeftOut, Rows, RowValidator
from edge_agent.vitals.health.tables import Table

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
_TIME = "start_time"
_SOURCE = "samsung"


def is_ours(_name: str, head: bytes) -> bool:
    """Tell a file of the export by its first line."""
    return _FIRST_LINE.match(head) is not None


def read(member: Member, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, lacks the column of a time or value, or its times need a zone.
    """
    first = _FIRST_LINE.match(member.head())
    assert first is not None, "is_ours has looked"
    kinds = _COLUMNS[first[1].decode("ascii")]
    if validator.zone is None:
        raise DataFileError(
            f"{member.name}: versions of Samsung Health write UTC or local times, and the file "
            "does not say which. Look up one reading on the phone, then give --timezone UTC, or "
            "the zone of the phone such as --timezone Europe/Berlin. Nothing was imported."
        )
    with Table(member, lines_above=1) as table:
        names = [name.rpartition(".")[2] for name in table.header]
        table.need(_TIME in names and any(kind in names for kind in kinds))
        for row in table.rows():
            if isinstance(row, LeftOut):
                yield row
                continue
            where, cells = row
            at = cells[names.index(_TIME)]
            for column, kind in kinds.items():
                value = cells[names.index(column)] if column in names else ""
                if value:
                    yield validator.row(
                        where, {"kind": kind.value, "value": value, "at": at}, _SOURCE
                    )
