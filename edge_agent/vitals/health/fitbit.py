"""Readings from Fitbit (Google Takeout), a file for each day.

According to the readme files of the export and to public programs. Resting heart rates are no
readings of a moment, and are ignored.

- ``heart_rate-2026-01-05.json``: a list of ``{"dateTime": "01/05/26 08:00:05", "value": {"bpm": 61,
  "confidence": 2}}``, without a time zone;
- ``heart_rate_2026-01-05.csv``: ``timestamp,beats per minute`` and, of late, ``data source``;
- ``Minute SpO2 - 2026-01-05.csv``: ``timestamp,value``; ``oxygen_saturation_2026-01-05.csv``:
  ``timestamp,oxygen saturation percentage``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial

from edge_agent.core.brought_values import ValuesError, parse_json
from edge_agent.core.errors import DataFileError, shown_value
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.health.files import ExportMember, ExportTable, RowValidator, has_header
from edge_agent.vitals.passed_over import LeftOutRow, Row, Rows

_JSON_NAME = re.compile(r"heart_rate-\d{4}-\d\d-\d\d\.json", re.IGNORECASE)
_OXYGEN_NAME = re.compile(r"minute spo2.*\.csv", re.IGNORECASE)
_TIME = re.compile(r"(\d\d)/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)", re.ASCII)
_COLUMNS: Mapping[str, VitalKind] = {
    "beats per minute": VitalKind.HEART_RATE,
    "oxygen saturation percentage": VitalKind.OXYGEN_SATURATION,
    "value": VitalKind.OXYGEN_SATURATION,
}
MAX_DAY_BYTES = 16 * 2**20
"""A beat each second, in 100 bytes, makes half of it."""


def table_of_day(name: str) -> str:
    """Return the name of the table with the same beats as a day's JSON file; else empty."""
    # The date has hyphens, too: only the one behind the name changes.
    return name.replace("-", "_", 1)[:-4] + "csv" if _JSON_NAME.fullmatch(name) else ""


def is_fitbit(name: str, head: bytes) -> bool:
    """Recognise a file of the export by its name and the names of its columns."""
    is_day = _JSON_NAME.fullmatch(name) is not None
    return is_day or (
        "resting" not in name.lower() and has_header(head, partial(_is_known, name=name))
    )


def _is_known(header: tuple[str, ...], *, name: str) -> bool:
    """Return whether a table with these columns has readings."""
    if (
        header[:1] != ("timestamp",)
        or header[1:2] == ()
        or header[2:] not in {(), ("data source",)}
    ):
        return False
    if header[1] == "value":
        return bool(_OXYGEN_NAME.fullmatch(name))
    return header[1] in _COLUMNS


def read_fitbit(member: ExportMember, validator: RowValidator) -> Rows:
    """Read a day.

    Raises:
        DataFileError: it is no JSON, no CSV, or too large for a day.
    """
    if member.name.lower().endswith(".json"):
        return _day(member, validator)
    return _table(member, validator)


def _day(member: ExportMember, validator: RowValidator) -> Iterator[Row]:
    validator.need_zone(member.name)
    for number, item in enumerate(_items(member), start=1):
        where = f"{member.name}, entry {number}"
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(value, dict):
            yield LeftOutRow(where, f"{shown_value(item)} is no entry with dateTime and value.")
            continue
        at = _iso(item.get("dateTime"))
        given = {"kind": VitalKind.HEART_RATE.value, "value": value.get("bpm"), "at": at}
        # a confidence of 0 means that the watch does not know; the value is then a placeholder
        doubtful = value.get("confidence") == 0
        flags = frozenset({VitalFlag.POOR_SIGNAL}) if doubtful else frozenset()
        yield validator.row(where, given, "fitbit", flags)


def _items(member: ExportMember) -> list[object]:
    if member.size > MAX_DAY_BYTES:
        raise DataFileError(
            f"{member.name}: has {member.size:,} bytes, more than a day can have. Nothing was "
            "imported."
        )
    try:
        with member.open() as file:
            items = parse_json(file.read(MAX_DAY_BYTES + 1), MAX_DAY_BYTES)
    except ValuesError as error:
        raise DataFileError(
            f"{member.name}: is not JSON ({error}). Nothing was imported; export it again."
        ) from error
    if not isinstance(items, list):
        raise DataFileError(f"{member.name}: is no list of readings. Nothing was imported.")
    return items


def _iso(value: object) -> object:
    """Return the export's month, day, year of two digits and time as ISO 8601."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        # Something that is no time is shown in the reason for which the row is left out.
        return shown_value(value)
    month, day, year, time = match.groups()
    return f"20{year}-{month}-{day}T{time}"


def _table(member: ExportMember, validator: RowValidator) -> Iterator[Row]:
    table = ExportTable(member, partial(_is_known, name=member.name))
    kind = _COLUMNS[table.names[1]].value

    def read(where: str, cells: list[str]) -> Iterator[Row]:
        # The data source is empty or missing in most files.
        source = ":".join(("fitbit", *filter(None, cells[2:])))
        yield validator.row(where, {"kind": kind, "value": cells[1], "at": cells[0]}, source)

    yield from table.readings(read)


"""The fields of each message that are readings, in the order of the kinds."""
