"""Guesses of the meaning of columns: by their names, the form of times, and the values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice

from edge_agent.core.brought_tables import DAY_ALONE
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ImpossibleError, ReadingError
from edge_agent.core.given_readings import ReadingOrigin, reading_of
from edge_agent.core.interleaving import names_devices
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.column_map import (
    OPTIONAL,
    OURS,
    PRESSURE_PAIR,
    ColumnMap,
    is_placeholder,
    value_of,
)
from edge_agent.vitals.column_names import (
    PAIRS,
    ColumnDoubt,
    bare_name,
    doubt_of_devices,
    doubt_of_values,
    doubtful,
    read_names,
    unit_in_name,
)
from edge_agent.vitals.csv_files import PROBLEMS_MOST, CsvFile
from edge_agent.vitals.dates import guess_dates, iso_of
from edge_agent.vitals.row_times import TIME_ALONE

MOST_DEVICES = 20
_RANGES: Mapping[VitalKind, Mapping[str, tuple[float, float]]] = {
    # 20 to 300 beats per minute
    VitalKind.RR_INTERVAL: {"ms": (200.0, 3000.0), "s": (0.2, 3.0)},
    VitalKind.OXYGEN_SATURATION: {"share": (0.5, 1.0)},
}
"""Values in each unit of kinds that are given in several, often without one."""
_OF_UNITS = re.compile(r"units?|einheit(en)?|unidad(es)?|unit[ée]s?|unit[àa]|unidades?|单位|単位")
_OF_DAY = re.compile(
    r"(?:(?:start|begin|recording|record|measure(?:ment|d)?|test|session|acquisition)(?:ing)? ?)*"
    r"(?:date|day|datum|fecha|data|日期|測定日)(?:(?: and| ?[/&])? ?time)?"
    r"(?: of (?:the )?(?:recording|measurement|test|session))?"
)
_OF_START = re.compile(
    r"(?:(?:recording|record|measurement|test|session|acquisition) ?)*"
    r"(?:start|begin|began)(?:ning|ing|ed)?"
    r"(?: time| at)?|startzeit|hora de inicio|heure de d[ée]but"
)


def guess_columns(header: Sequence[str]) -> ColumnMap:
    """Guess the columns by their names, and their units."""
    # A file of ours needs no guess, whatever else its columns are called.
    if set(OURS) <= set(header):
        return ColumnMap({name: name for name in (*OURS, *OPTIONAL) if name in header})
    names = read_names(header)
    return ColumnMap(names.columns, names.units, doubts=names.doubts)


def columns_without_guess(file: CsvFile) -> ColumnMap:
    """Return what is known of a table without its names: the times of a recording."""
    if file.recording is None:
        return ColumnMap({})
    at = {"at": file.recording.at} if file.recording.at else {}
    return ColumnMap(at, elapsed=file.recording.elapsed)


def guess_map(file: CsvFile, rows: int | None = None) -> ColumnMap:
    """Guess the columns by their names, by the form of the times and by the values.

    Args:
        file: the file.
        rows: number of rows to examine; ``None``: all.
    """
    columns = guess_columns(file.header)
    if file.recording is not None:
        times = columns_without_guess(file)
        known = {name: one for name, one in columns.columns.items() if name not in {"at", "time"}}
        doubts = {name: one for name, one in columns.doubts.items() if name not in {"at", "time"}}
        columns = replace(
            columns, columns={**times.columns, **known}, doubts=doubts, elapsed=times.elapsed
        )
    try:
        return _guessed_by_values(file, columns, rows)
    except DataFileError:  # a row is no CSV: who reads the file says so
        return columns


def _guessed_by_values(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add what only values tell: units, both pressures in a cell, order of dates; and doubts."""
    columns = _with_instants(file, _with_pairs(file, columns, rows), rows)
    columns = _with_unit_column(file, _with_kind_column(file, columns, rows), rows)
    for kind, ranges in _RANGES.items():
        columns = _with_fitting_unit(file, columns, kind, ranges, rows)
    doubts = {**columns.doubts, **dict(_doubts_of_values(file, columns, rows))}
    doubts |= _doubt_of_devices(file, columns, rows)
    # Exports keep the resting rate of each day in a table of the same columns.
    if VitalKind.HEART_RATE in columns.columns and "resting" in file.name.lower():
        rate = VitalKind.HEART_RATE
        doubts[rate] = doubtful(rate, columns.columns[rate])
    known = {target: name for target, name in columns.columns.items() if target not in doubts}
    guessed = replace(columns, columns=known, doubts=doubts)
    return guessed if guessed.elapsed is not None else _with_dates(file, guessed, rows)


def _with_instants(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the only column of dates with a time of day, if none has a name of times."""
    if columns.elapsed is not None or "at" in {*columns.columns, *columns.doubts}:
        return columns
    names = [
        name
        for name in file.header
        if file.header.count(name) == 1 and name not in columns.columns.values()
        if _are_instants(list(islice(file.cells(name, rows), PROBLEMS_MOST)))
    ]
    if len(names) != 1:
        return columns
    return replace(columns, columns={**columns.columns, "at": names[0]})


def _are_instants(texts: Sequence[str]) -> bool:
    """Tell whether texts are dates with a time of day, and more than half of them differ.

    A time of which there is one, as of an export, is none of readings.
    """
    if not texts or 2 * len(set(texts)) <= len(texts) or not all(":" in text for text in texts):
        return False
    order = guess_dates(texts)
    with suppress(ReadingError, ValueError):
        return all(datetime.fromisoformat(iso_of(text, order)) for text in texts)
    return False


def _with_kind_column(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the column of our names of kinds beside one named value, if no kind has a column."""
    if {*VitalKind, "kind", "value"} & {*columns.columns, *columns.doubts}:
        return columns
    values = [name for name in file.header if bare_name(name) == "value"]
    names = [
        name
        for name in file.header
        if name not in columns.columns.values() and file.header.count(name) == 1
        if {text.lower() for text in file.cells(name, rows)} <= {*VitalKind}
        if any(True for _ in file.cells(name, 1))
    ]
    if len(values) != 1 or len(names) != 1:
        return columns
    both = {"kind": names[0], "value": values[0]}
    return replace(columns, columns={**columns.columns, **both})


def with_stated_units(file: CsvFile, columns: ColumnMap) -> ColumnMap:
    """Return columns with the one whose texts are the units of the rows, whatever it is called."""
    try:
        return _with_unit_column(file, columns, None, by_name=False)
    except DataFileError:  # a row is no CSV: who reads the file says so
        return columns


def _with_unit_column(
    file: CsvFile, columns: ColumnMap, rows: int | None, *, by_name: bool = True
) -> ColumnMap:
    """Add the column that says the unit of each row: by its texts, or by its name.

    With units of conductance, a name that may be a resistance leaves no doubt.
    """
    gsr = VitalKind.SKIN_CONDUCTANCE
    doubted = columns.doubts[gsr].columns if gsr in columns.doubts else ()
    kinds = [*columns.kinds, *([gsr] if len(doubted) == 1 else [])]
    kinds = [*VitalKind] if "kind" in columns.columns else kinds
    if "unit" in columns.columns or file.recording is not None or not kinds:
        return columns
    of_units: dict[str, set[str]] = {}
    for name in file.header:
        if name in {*columns.columns.values(), *doubted} or file.header.count(name) > 1:
            continue
        texts = set(islice(file.cells(name, rows), PROBLEMS_MOST))
        # A letter alone may be anything: F, in a column of sex.
        are_units = all(any(kind.spec.scale_of(text) for kind in kinds) for text in texts)
        is_clear = are_units and any(len(text) > 1 for text in texts)
        if texts and (is_clear or (by_name and _OF_UNITS.fullmatch(bare_name(name)))):
            of_units[name] = texts
    if len(of_units) != 1:
        return columns
    ((name, texts),) = of_units.items()
    known = {**columns.columns, "unit": name}
    doubts = dict(columns.doubts)
    if len(doubted) == 1 and all(map(gsr.spec.scale_of, texts)):
        known[gsr] = doubted[0]
        del doubts[gsr]
    # The unit of a row wins over that in the name of its column.
    units = {
        kind: unit
        for kind, unit in columns.units.items()
        if not any(map(VitalKind(kind).spec.scale_of, texts))
    }
    return replace(columns, columns=known, units=units, doubts=doubts)


def _with_dates(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the order of dates, and the day of times of day that have none."""
    if "at" not in columns.columns:
        return columns
    column = columns.columns["at"]
    day = ""
    first = next(file.rows(), None)
    text = "" if first is None or first.fault else first.cells[file.header.index(column)]
    if first is not None and "time" not in columns.columns and TIME_ALONE.fullmatch(text):
        day = "" if first.day else day_above(file, text)
    told = [one.day for one in islice(file.rows(), rows or PROBLEMS_MOST) if one.day]
    times = (day, *told, *islice(file.cells(column, rows), PROBLEMS_MOST))
    return replace(columns, dates=guess_dates(times), day=day)


def day_above(file: CsvFile, first: str) -> str:
    """Return the only day that stands above the names of the columns; empty: there is none.

    Args:
        file: the table.
        first: time of its first row. Where a start stands above that differs from it, times count
            from the start, and the day is none of theirs.
    """
    days: dict[str, None] = {}
    for _, cells in file.rows_above:
        texts = [part.strip() for cell in cells for part in _parts_above(cell) if part.strip()]
        names = [bare_name(text.rstrip(":")) for text in texts]
        for before, name, text in zip(["", *texts], ["", *names], texts, strict=False):
            is_alone = len(texts) == 1
            if DAY_ALONE.fullmatch(text) and (
                is_alone or _OF_DAY.fullmatch(name) or _OF_START.fullmatch(name)
            ):
                days[text] = None
            is_start = TIME_ALONE.fullmatch(text) and (
                _OF_START.fullmatch(name) or DAY_ALONE.fullmatch(before)
            )
            if is_start and _minute_of(text) != _minute_of(first):
                return ""
    return next(iter(days)) if len(days) == 1 else ""


def _parts_above(cell: str) -> list[str]:
    """Return the parts of a cell above the names: ``Date: 2026-10-02 23:58`` has three."""
    parts = cell.split(": ", 1)
    day, _, time = parts[-1].rpartition(" ")
    is_both = DAY_ALONE.fullmatch(day) is not None and TIME_ALONE.fullmatch(time) is not None
    return [*parts[:-1], day, time] if is_both else parts


def _minute_of(text: str) -> list[str]:
    return [part.zfill(2) for part in re.split("[:.]", text)[:2]]


def _with_pairs(file: CsvFile, columns: ColumnMap, rows: int | None) -> ColumnMap:
    """Add the column of both pressures, as ``121/79``, if none has one of them."""
    if {VitalKind.SYSTOLIC, VitalKind.DIASTOLIC} & {*columns.columns, *columns.doubts}:
        return columns
    for name in file.header:
        if PAIRS.fullmatch(bare_name(name)) and file.header.count(name) == 1:
            texts = list(islice(file.cells(name, rows), PROBLEMS_MOST))
            if texts and all(map(PRESSURE_PAIR.fullmatch, texts)):
                others = {target: one for target, one in columns.columns.items() if one != name}
                both = {VitalKind.SYSTOLIC.value: name, VitalKind.DIASTOLIC.value: name}
                return replace(columns, columns={**others, **both})
    return columns


def _with_fitting_unit(
    file: CsvFile,
    columns: ColumnMap,
    kind: VitalKind,
    ranges: Mapping[str, tuple[float, float]],
    rows: int | None,
) -> ColumnMap:
    """Add a missing unit of a kind, if all values fit one unit."""
    column = columns.columns.get(kind)
    if column is None or kind in columns.units or unit_in_name(column) or "unit" in columns.columns:
        return columns
    lowest, highest = math.inf, -math.inf
    try:
        for text in file.cells(column, rows):
            value = float(text.replace(",", "."))
            lowest, highest = min(lowest, value), max(highest, value)
    except ValueError:  # who reads the file says so
        return columns
    # The ranges do not overlap, so that one unit fits at most.
    for unit, (least, most) in ranges.items():
        if least <= lowest <= highest <= most:
            return replace(columns, units={**columns.units, kind: unit})
    return columns


def _doubts_of_values(
    file: CsvFile, columns: ColumnMap, rows: int | None
) -> Iterator[tuple[str, ColumnDoubt]]:
    """Yield a doubt for each guessed column of which no value is plausible."""
    for kind in columns.kinds:
        column = columns.columns[kind]
        if file.header.count(column) > 1 or "unit" in columns.columns:
            continue
        unit = columns.units.get(kind) or unit_in_name(column)
        example = _implausible(kind, unit, file.cells(column, rows))
        if example:
            yield kind, doubt_of_values(kind, column, example)


def _implausible(kind: VitalKind, unit: str, texts: Iterator[str]) -> str:
    """Return the first value of a column without a plausible one; empty: it has one, or none."""
    origin = ReadingOrigin("", decimal_comma=True, units_needed=False)
    example = ""
    for text in texts:
        value = value_of(kind, text)
        if is_placeholder(kind, value):
            continue
        with suppress(ReadingError):
            given = {"kind": kind.value, "value": value, "unit": unit}
            with suppress(ImpossibleError):
                if VitalFlag.OUT_OF_RANGE not in reading_of(given, Instant(0, 0), origin).flags:
                    return ""
            example = example or value
    return example


def _doubt_of_devices(
    file: CsvFile, columns: ColumnMap, rows: int | None
) -> dict[str, ColumnDoubt]:
    """Return the doubt about the source of readings of several devices or arms in one file."""
    if "source" in columns.columns or not columns.kinds:
        return {}
    for name in file.header:
        if names_devices(bare_name(name)) and name not in columns.columns.values():
            devices: dict[str, None] = {}
            for text in file.cells(name, rows):
                devices[text] = None
                if len(devices) > MOST_DEVICES:
                    break
            if 1 < len(devices) <= MOST_DEVICES:
                return {"source": doubt_of_devices(name, list(devices))}
    return {}
