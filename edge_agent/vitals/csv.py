"""Readings from a CSV file. ``docs/data.md`` describes its columns. A file with one bad row gives no reading at all."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from pathlib import Path

from edge_agent.clock import Instant
from edge_agent.domain import VitalFlag, VitalKind, VitalReading
from edge_agent.errors import DataFileError
from edge_agent.vitals.base import MMHG_IN_KPA

REQUIRED = ("at", "kind", "value")
OPTIONAL = ("unit", "source", "flags", "device_time")
# Written by the export, and known again from time and flags:
DERIVED = ("at_ms", "session", "participant", "condition", "simulated")
PROBLEMS_SHOWN = 10

_EARLIEST_S, _LATEST_S = 946_684_800, 4_102_444_800  # 2000 and 2100
_SECONDS_BELOW = 1e11  # epoch numbers below are seconds, from there on milliseconds
_PRESSURE_UNITS = {"mm[hg]": 1.0, "mmhg": 1.0, "kpa": MMHG_IN_KPA}
_UNITS: Mapping[VitalKind, Mapping[str, float]] = {
    VitalKind.HEART_RATE: {"/min": 1.0, "1/min": 1.0, "bpm": 1.0},
    VitalKind.SYSTOLIC: _PRESSURE_UNITS,
    VitalKind.DIASTOLIC: _PRESSURE_UNITS,
    VitalKind.MEAN_ARTERIAL: _PRESSURE_UNITS,
    VitalKind.RR_INTERVAL: {"s": 1.0, "ms": 0.001},
}


class _BadValueError(Exception):
    """A value that is not allowed: its column, what it is, and what would be allowed."""

    def __init__(self, column: str, value: str, allowed: str) -> None:
        super().__init__(f"column {column}: {value!r} {allowed}")


def read_readings(path: Path, zone: tzinfo | None = None) -> list[VitalReading]:
    """Return the readings of a CSV file, each flagged ``imported``.

    Columns ``at`` (ISO 8601, or epoch seconds or milliseconds), ``kind`` and ``value``; optional ``unit``, ``source``,
    ``flags`` and ``device_time``. Separated by comma, semicolon (decimal comma allowed then) or tab; UTF-8, with or
    without a mark.

    Args:
        path: the file.
        zone: time zone of times that name none; ``None`` refuses such times.

    Raises:
        DataFileError: the file cannot be read, or rows are bad: the first ten are named by row, column and value.
    """
    text = _decoded(path)
    if not text.strip():
        raise DataFileError(f"{path}: is empty. Its first row must name the columns: {', '.join(REQUIRED)}.")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        columns = _columns(path, next(rows))
        readings, problems = _read_rows(_numbered(rows), columns, delimiter == ";", path.name, zone)
    except csv.Error as error:
        raise DataFileError(
            f"{path}, row {rows.line_num}: is not CSV ({error}). Check the quotes of this row."
        ) from error
    if problems:
        more = f"\n… and {len(problems) - PROBLEMS_SHOWN} more." if len(problems) > PROBLEMS_SHOWN else ""
        shown = "\n".join(f"{path}, {problem}" for problem in problems[:PROBLEMS_SHOWN])
        raise DataFileError(f"{shown}{more}\nNothing was imported.")
    if not readings:
        raise DataFileError(f"{path}: has no rows below the names of the columns.")
    return readings


def _decoded(path: Path) -> str:
    """Return the file's text."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataFileError(f"{path}: no such file.") from error
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read ({error.strerror}).") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataFileError(
            f'{path}, row {row}: is not UTF-8 text (byte {raw[error.start]:#04x}). Save it as "CSV UTF-8".'
        ) from error


def _columns(path: Path, header: list[str]) -> list[str]:
    """Return the names of the columns, or refuse a header that lacks or repeats one, or has one that we do not know."""
    columns = [name.strip().lower() for name in header]
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise DataFileError(
            f"{path}, row 1: column {missing[0]} is missing. Columns found: {', '.join(columns)}; needed: "
            f"{', '.join(REQUIRED)}; optional: {', '.join(OPTIONAL)}."
        )
    for name in columns:
        if name not in (*REQUIRED, *OPTIONAL, *DERIVED):
            raise DataFileError(f"{path}, row 1: unknown column {name!r}. Known: {', '.join((*REQUIRED, *OPTIONAL))}.")
        if columns.count(name) > 1:
            raise DataFileError(f"{path}, row 1: column {name} is there twice.")
    return columns


def _numbered(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Number the rows as a spreadsheet does, the header being row 1, and pass over blank ones."""
    for number, cells in enumerate(rows, start=2):
        if any(cell.strip() for cell in cells):
            yield number, cells


def _read_rows(
    rows: Iterator[tuple[int, list[str]]], columns: list[str], decimal_comma: bool, file: str, zone: tzinfo | None
) -> tuple[list[VitalReading], list[str]]:
    """Return the readings of the good rows and what is wrong with the bad ones."""
    readings: list[VitalReading] = []
    problems: list[str] = []
    for number, cells in rows:
        if len(cells) != len(columns):
            problems.append(f"row {number}: has {len(cells)} values, but there are {len(columns)} columns.")
            continue
        try:
            values = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
            readings.append(_reading(values, decimal_comma, file, zone))
        except _BadValueError as error:
            problems.append(f"row {number}, {error}")
    return readings, problems


def _reading(row: Mapping[str, str], decimal_comma: bool, file: str, zone: tzinfo | None) -> VitalReading:
    at_ms = _time_ms(row["at"], zone)
    try:
        kind = VitalKind(row["kind"].lower())
    except ValueError as error:
        raise _BadValueError("kind", row["kind"], f"is not one of {', '.join(VitalKind)}.") from error
    value = _number(row["value"], decimal_comma, _factor(kind, row.get("unit", "")))
    source = row.get("source") or f"csv:{file}"
    flags = _flags(row.get("flags", "")) | {VitalFlag.IMPORTED}
    stamped = _device_time(row.get("device_time", ""))
    return VitalReading(Instant(boot_ms=0, wall_ms=at_ms), kind, value, source, flags, stamped).checked()


def _time_ms(text: str, zone: tzinfo | None) -> int:
    """Return epoch milliseconds of ISO 8601 text or of an epoch number."""
    try:
        number = float(text)
    except ValueError:
        seconds = _iso_seconds(text, zone)
    else:
        seconds = number if abs(number) < _SECONDS_BELOW else number / 1000
    if not _EARLIEST_S <= seconds < _LATEST_S:
        raise _BadValueError("at", text, "is not a time between the years 2000 and 2100.")
    return round(seconds * 1000)


def _iso_seconds(text: str, zone: tzinfo | None) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _BadValueError(
            "at", text, "is not a time. Write 2026-11-20T08:15:00Z, 2026-11-20 09:15:00+01:00, or epoch seconds."
        ) from error
    if moment.tzinfo is None:
        if zone is None:
            raise _BadValueError(
                "at", text, "has no time zone. Write Z or +01:00 behind it, or name the zone of the file."
            )
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()


def _number(text: str, decimal_comma: bool, factor: float) -> float:
    """Return the number that a text says, in the unit of its kind."""
    try:
        number = float(text.replace(",", ".") if decimal_comma else text) * factor
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or "_" in text:  # 1_000 is Python, not CSV
        raise _BadValueError("value", text, "is not a number.")
    return number


def _factor(kind: VitalKind, unit: str) -> float:
    """Return what a value is multiplied by to be in the unit of its kind."""
    if not unit:
        return 1.0
    factor = _UNITS[kind].get(unit.lower())
    if factor is None:
        raise _BadValueError(
            "unit", unit, f"is no unit of {kind}. Allowed: {', '.join(_UNITS[kind])}, or empty for {kind.unit}."
        )
    return factor


def _device_time(text: str) -> str | None:
    """Return the time that a device stamped, as it stands: its own clock may have been wrong."""
    if text and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text, re.ASCII):
        raise _BadValueError("device_time", text, "is not a time such as 2026-11-20T08:15:00, without a zone.")
    return text or None


def _flags(text: str) -> frozenset[VitalFlag]:
    try:
        return frozenset(VitalFlag(flag) for flag in text.lower().split())
    except ValueError as error:
        raise _BadValueError("flags", text, f"is not made of {', '.join(VitalFlag)}.") from error
