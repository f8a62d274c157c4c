"""Readings of Omron cuffs from the CSV of omblepy (github.com/userx14/omblepy).

It writes ``userN.csv`` for each user of the cuff: ``datetime,dia,sys,bpm,mov,ihb``, in the cuff's
local time without a zone (``2026-01-05 08:00:12``); some versions order the columns by the cuff and
add others. ``mov`` and ``ihb`` are 1 where the person moved and where the pulse was irregular.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator, has_header
from edge_agent.vitals.passed_over import Row, Rows

_AT = "datetime"
_KINDS: Mapping[str, VitalKind] = {
    "sys": VitalKind.SYSTOLIC,
    "dia": VitalKind.DIASTOLIC,
    "bpm": VitalKind.HEART_RATE,
}
_FLAGS: Mapping[str, VitalFlag] = {"mov": VitalFlag.BODY_MOVEMENT, "ihb": VitalFlag.IRREGULAR_PULSE}
_COLUMNS = frozenset({_AT, *_KINDS, *_FLAGS})
_SOURCE = "omron"
_USER = re.compile(r"user\d+", re.ASCII)


def is_omblepy(name: str, head: bytes) -> bool:
    """Recognise a table by the names of its columns; a person may have renamed it."""
    return name.lower().endswith(".csv") and has_header(head, _COLUMNS.issubset)


def read_omblepy(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV.
    """
    table = ExportTable(member, _COLUMNS.issubset)

    # Each user of the cuff has a file.
    user = member.name.rpartition(".")[0].lower()
    named = f"{_SOURCE}:{user}" if _USER.fullmatch(user) else _SOURCE
    source = validator.device(named, _SOURCE)

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        values = dict(zip(table.names, cells, strict=True))
        remarks = frozenset(flag for name, flag in _FLAGS.items() if values[name] not in {"", "0"})
        for name, kind in _KINDS.items():
            row = {"kind": kind.value, "value": values[name], "at": values[_AT]}
            yield validator.row(where, row, source, remarks)

    yield from table.readings(read)
