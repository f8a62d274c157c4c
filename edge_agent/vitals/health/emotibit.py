"""Readings of an EmotiBit, from the files that its DataParser writes.

``2026-01-05_08-00-00-123456_EA.csv`` has the columns ``LocalTimestamp,EmotiBitTimestamp,
PacketNumber,DataLength,TypeTag,ProtocolVersion,DataReliability,EA``; the last is named as the type
of the values. Columns with times of the Lab Streaming Layer may be added. ``LocalTimestamp`` is in
seconds since 1970, UTC, worked out from the local time of the computer that recorded by that which
parsed; a recording whose clock was never compared with that of a computer begins in 1970.

Units are not in these files: the firmware writes them into ``…_info.json`` (microsiemens, degrees
Celsius); intervals between beats are in ms. Sources: EmotiBit_Docs (Working_with_emotibit_data.md),
ofxEmotiBit (EmotiBitDataParser) and EmotiBit_FeatherWing (EmotiBit.cpp), all on GitHub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from edge_agent.core.bounds import EARLIEST_MS
from edge_agent.core.errors import DataFileError
from edge_agent.core.vitals import UnitConversion, VitalKind
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator, has_header
from edge_agent.vitals.health.samples import SampleChannel, number_of
from edge_agent.vitals.passed_over import ColumnNotTaken, NotRead, Row, Rows

_AT = "localtimestamp"
_COLUMNS = frozenset({"emotibittimestamp", "packetnumber", "typetag", "datareliability"})
_RAW = re.compile(rb"(?:\xef\xbb\xbf)?\d+,\d+,\d+,[A-Z][A-Z0-9%+-],\d+,\d+(?:,|\r?\n|$)")
_KINDS: Mapping[str, VitalKind] = {
    "ea": VitalKind.SKIN_CONDUCTANCE,
    "th": VitalKind.SKIN_TEMPERATURE,
    "hr": VitalKind.HEART_RATE,
    "bi": VitalKind.RR_INTERVAL,
}
_OF_BEATS = frozenset({"hr", "bi"})
_MS = VitalKind.RR_INTERVAL.spec.units["ms"]
_OF_EA = "is worked out from EA, which is taken"
_NOT_TAKEN: Mapping[str, str] = {
    **dict.fromkeys(("el", "er"), f"a part of the skin conductance: it {_OF_EA}."),
    **dict.fromkeys(("sa", "sf", "sr"), f"about single responses: it {_OF_EA}."),
    **dict.fromkeys(("pi", "pr", "pg"), "the pulse wave; HR and BI have what was found in it."),
    **dict.fromkeys(("t0", "t1"), "a temperature of the circuit, and not surely of the skin."),
}
_PACKETS = "is about the packet, and no vital sign"
_NO_TIMES = (
    "{name}: has no time of day: its LocalTimestamp is {text}. Such a recording was never compared "
    "with the clock of a computer (EmotiBit Oscilloscope), or was parsed without LocalTimestamp "
    "(parsedDataFormat.json). Nothing was imported."
)


def is_emotibit(_name: str, head: bytes) -> bool:
    """Recognise a parsed file by its columns, and a raw one by its first packet."""
    return has_header(head, _COLUMNS.issubset) or _RAW.match(head) is not None


def read_emotibit(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a file.

    Raises:
        DataFileError: it is no CSV, or has no times of day.
    """
    if _RAW.match(member.head()):
        yield NotRead(
            member.name,
            "is the raw recording of an EmotiBit, whose packets have no time of day. Open it with "
            "the EmotiBit DataParser, and import the files that it writes (…_EA.csv).",
        )
        return
    table = ExportTable(member, _COLUMNS.issubset)
    tag = table.names[-1]
    if tag not in _KINDS:
        why = _NOT_TAKEN.get(tag, "no vital sign that is kept.")
        yield NotRead(member.name, f"{tag.upper()} is {why}")
        return
    yield from _read_values(member, table, tag, validator)


def _read_values(
    member: ExportMember, table: ExportTable, tag: str, validator: RowValidator
) -> Rows:
    name = member.name
    if _AT not in table.names:
        raise DataFileError(_NO_TIMES.format(name=name, text="missing"))
    place = table.names.index(_AT)
    for column in table.names[:-1]:
        if column != _AT:
            yield ColumnNotTaken(name, column, _PACKETS)
    kind, is_even = _KINDS[tag], tag not in _OF_BEATS
    scale = _MS if kind is VitalKind.RR_INTERVAL else UnitConversion()
    # The files name no device: recordings of two lie in a folder or archive each.
    named = f"emotibit:{member.place}" if member.place else "emotibit"
    source = validator.device(named, "emotibit")
    channel = SampleChannel(kind, source, validator, scale, is_even=is_even)

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        at_s = number_of(cells[place])
        if 0 <= 1000 * at_s < EARLIEST_MS:
            raise DataFileError(_NO_TIMES.format(name=name, text=cells[place]))
        yield from channel.add(where, at_s, cells[-1])

    yield from table.readings(read)
    yield from channel.finish(name)
