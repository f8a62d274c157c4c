"""Intervals between beats from files without times of day.

These formats are known:

- a number in each line, the intervals in ms or s (decimals with point or comma): Elite HRV,
  HRV4Training, Kubios, ``RR.txt``;
- two numbers in each line, the seconds since the start and the interval: Kubios;
- a table with ``Time`` since the start and ``HR (bpm)``, and other tables above it: Polar Flow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from edge_agent.core.brought_files import HEAD_BYTES, refuse_other_kind
from edge_agent.core.brought_tables import encoding_of, opens_path, text_lines
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError
from edge_agent.core.files import why_unreadable
from edge_agent.core.readings import BeatSums, VitalFlag, VitalReading, clock_flags
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.csv_files import CsvFile, refuse_large
from edge_agent.vitals.passed_over import Remark

_TOLD_START = re.compile(r"\d{10}(?:\.\d+)?(?:\s*,\s*IBI)?", re.IGNORECASE)
_BETWEEN = re.compile(r"\s*[,;]\s*|\s+")
_COMMA = re.compile(r"(\d{1,4}),(\d{1,6})", re.ASCII)
_LONGEST_S = 2
_AT_START_S = 60.0
"""Times that begin later count from something else than the start of the recording."""
_OTHER_START = N_(
    "its times begin at {seconds} s, and were counted from there: its first interval begins at the "
    "time of --start. If they count from --start, give --start {later} instead."
)
_OF_POLAR = frozenset({"Sport", "Date", "Start time", "Duration", "Average heart rate (bpm)"})
_ELAPSED = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)


def read_untimed(path: Path, start_ms: int, now: Instant) -> list[VitalReading | Remark]:
    """Return the readings of a file without times of day, each flagged ``imported``, and a remark
    on times that count from another start.

    Args:
        path: the file.
        start_ms: start of its first interval, or its time 0, UTC milliseconds.
        now: later times are in the future.

    Raises:
        DataFileError: it cannot be read, tells its own start, or has a line that is no interval.
    """
    lines = list(_lines(path))
    if lines and _TOLD_START.fullmatch(lines[0][1]):
        raise DataFileError(
            f"{path.name}: begins with the time of its start, {lines[0][1]}. Leave out --start: "
            "HR.csv, IBI.csv, EDA.csv and TEMP.csv of Empatica are read without it. Nothing was "
            "imported."
        )
    rates = _table_of(lines)
    kind = VitalKind.HEART_RATE if rates else VitalKind.RR_INTERVAL
    pairs = rates or _intervals(path.name, lines)
    if not pairs:
        raise DataFileError(f"{path.name}: contains no interval. Nothing was imported.")
    begins_s = pairs[0][0] - (0.0 if rates else pairs[0][1])
    remarks: list[VitalReading | Remark] = []
    if begins_s > _AT_START_S:
        # The seconds of another clock, such as that of LSL, which counts from a computer's start.
        pairs = [(seconds - begins_s, value) for seconds, value in pairs]
        remarks.append(Remark(path.name, _other_start(begins_s, start_ms)))
    readings = []
    for seconds, value in pairs:
        at_ms = start_ms + round(1000 * seconds)
        flags = frozenset({VitalFlag.IMPORTED}) | clock_flags(at_ms, now.wall_ms, live=False)
        source = f"csv:{path.name}"
        readings.append(
            VitalReading(Instant(0, at_ms), kind, value, source, flags).flag_implausible()
        )
    beats = BeatSums()
    beats.add(readings)
    if beats.problem:
        raise DataFileError(f"{path.name}: {beats.problem} Nothing was imported.")
    return [*remarks, *readings]


def refuse_session_of_polar(file: CsvFile) -> None:
    """Refuse a session of Polar Flow that is read as a table of times of day.

    Raises:
        DataFileError: it is one; it names the option for its start.
    """
    if not set(file.header) >= _OF_POLAR:
        return
    row = next(file.rows(), None)
    cells = {} if row is None or row.fault else dict(zip(file.header, row.cells, strict=True))
    start = " ".join(filter(None, (cells.get("Date", ""), cells.get("Start time", ""))))
    raise DataFileError(
        f"{file.name}: is a session of Polar Flow, whose heart rates count from its start. Leave "
        f"out --map, and give its start, {start[:60]}, with --start, such as --start "
        "2026-11-20T08:15:00+01:00. Nothing was imported."
    )


def _other_start(begins_s: float, start_ms: int) -> str:
    """Say how times were placed that begin long after 0."""
    return Message(
        _OTHER_START, seconds=f"{begins_s:,.3f}", later=iso_utc(start_ms + round(1000 * begins_s))
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers."""
    opens = opens_path(path)
    try:
        size = path.stat().st_size
        with opens() as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise DataFileError(why_unreadable(path, error)) from error
    refuse_other_kind(path.name, head)
    refuse_large(path.name, size)
    for number, line in enumerate(text_lines(path.name, opens, encoding_of(head)), start=1):
        if line.strip():
            yield number, line.strip()


def _table_of(lines: list[tuple[int, str]]) -> list[tuple[float, float]]:
    """Return seconds and heart rates of a table of Polar Flow; empty if it is none."""
    rates: list[tuple[float, float]] = []
    places: tuple[int, int] | None = None
    for _, line in lines:
        cells = [cell.strip() for cell in line.split(",")]
        if places is None:
            if {"Time", "HR (bpm)"} <= set(cells):
                places = cells.index("Time"), cells.index("HR (bpm)")
            continue
        # Rows of other tables above or below have other columns.
        elapsed = _ELAPSED.fullmatch(cells[places[0]]) if len(cells) > max(places) else None
        if elapsed and _is_number(cells[places[1]]):  # an empty rate is none
            hours, minutes, seconds = (float(part) for part in elapsed.groups())
            rates.append((3600 * hours + 60 * minutes + seconds, float(cells[places[1]])))
    return rates


def _intervals(name: str, lines: list[tuple[int, str]]) -> list[tuple[float, float]]:
    """Return the end of each interval in seconds since the start, and its length in seconds."""
    rows: list[list[float]] = []
    if _have_decimal_comma(lines):
        lines = [(number, line.replace(",", ".")) for number, line in lines]
    for number, line in lines:
        cells = [cell for cell in _BETWEEN.split(line) if cell]
        # Only above the first number: between numbers a text is an error.
        if not rows and not any(_is_number(cell) for cell in cells):
            continue  # names of columns
        if len(cells) not in {1, 2} or not all(_is_number(cell) for cell in cells):
            raise DataFileError(
                f"{name}, row {number}: {line[:60]!r} is neither an interval nor a time and an "
                "interval. Write one interval in each line. Nothing was imported."
            )
        if float(cells[-1]) <= 0 and len(cells) == 1:
            raise DataFileError(
                f"{name}, row {number}: {line[:60]!r} is no interval, for it lasts no time. Write "
                "the true interval, or split the file there. Nothing was imported."
            )
        rows.append([float(cell) for cell in cells])
    if len({len(row) for row in rows}) > 1:
        raise DataFileError(f"{name}: some rows have one number, others two. Nothing was imported.")
    if not rows:
        return []
    # The median, not the first value or the mean: a few missed beats have lengths of seconds.
    usual = median(row[-1] for row in rows)
    low, high = VitalKind.RR_INTERVAL.plausible
    unit = next((unit for unit in (1.0, 1000.0) if low <= usual / unit <= high), None)
    if unit is None:
        raise DataFileError(
            f"{name}: its {'second ' if len(rows[0]) == 2 else ''}numbers are no intervals in s "
            f"or ms; their median is {usual:g}. Leave only the intervals in the file, one in each "
            "line; heart rates need a column of times instead. Nothing was imported."
        )
    lengths = [row[-1] / unit for row in rows]
    if len(rows[0]) == 1:
        # Each interval ends where the next begins.
        ended = 0.0
        return [(ended := ended + length, length) for length in lengths]
    # Times may count ms while intervals are in seconds: over the whole file both must pass alike.
    passed = rows[-1][0] - rows[0][0]
    clock = 1000.0 if passed > 100 * sum(lengths) else 1.0
    return [(row[0] / clock, length) for row, length in zip(rows, lengths, strict=True)]


def _have_decimal_comma(lines: list[tuple[int, str]]) -> bool:
    """Tell whether the comma stands for decimals: ``0,812``, and not a time and an interval."""
    pairs = [match for _, line in lines if (match := _COMMA.fullmatch(line))]
    seconds = [int(pair[1]) for pair in pairs]
    # Times rise, beyond the longest interval.
    return len(pairs) > 0 and (max(seconds) <= _LONGEST_S or seconds != sorted(seconds))


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,12}(\.\d{1,9})?", cell, re.ASCII))
