"""Readings of a CSV file, row by row: which are bad or left out, and whether several devices
gave them.

A file with one bad row gives no reading at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from edge_agent.core.brought_tables import Repeated, refusal_of
from edge_agent.core.clock import Instant
from edge_agent.core.errors import DataFileError, ReadingError
from edge_agent.core.given_readings import with_near_pressures
from edge_agent.core.interleaving import TextsBeside, names_devices
from edge_agent.core.readings import BeatSums, BeatTimes, LocalTimes, VitalFlag, VitalReading
from edge_agent.core.sample_means import SampleMeans, TimedSample
from edge_agent.core.texts import N_, Message
from edge_agent.core.unmet import unmet_choice
from edge_agent.core.vitals import VitalKind
from edge_agent.vitals.column_map import DERIVED, OURS, ColumnMap
from edge_agent.vitals.column_names import (
    bare_name,
    doubt_of_devices,
    doubt_of_things,
    doubt_within_source,
    name_several_kinds,
    unit_in_name,
)
from edge_agent.vitals.csv_files import PROBLEMS_MOST, CsvFile, JudgedRow, own_columns_of, read_file
from edge_agent.vitals.dates import WholeMinutes, iso_of, needs_order
from edge_agent.vitals.guessed_columns import day_above
from edge_agent.vitals.passed_over import (
    NO_VALUES,
    LeftOutRow,
    NotAReading,
    NoValue,
    PassedOver,
    Remark,
    Rows,
)
from edge_agent.vitals.row_times import TIME_ALONE

_DAY_TAKEN = N_(
    "{day} above the names of the columns is used as the day of the first row; a time of day "
    "that goes back by twelve hours or more is of the next day."
)
_DAY_GIVEN = N_(
    "{day}, as given, is the day of the first row; a time of day that goes back by twelve hours or "
    "more is of the next day."
)
_TIMES_HAVE_DAYS = N_("each time here has a day of its own")
_NO_SUCH_DATES = N_("no date here has the day or the month first")
_STATED_IN_ROWS = N_("column {column} has the unit of each row")
_OTHER_UNIT = N_(
    "column {column} has the unit {stated}, and {unit} was given for {kind}: {unit} is used "
    "(--unit)."
)
_DAY_NOT_TAKEN = N_(
    "{above} stands above the names of the columns, and is not used: {day} was given. If it is the "
    "day of the first row, leave the day out."
)
_EMPTY = N_("{file}, column {column}: its cells are empty.")
_COLUMNS_TAKEN = N_("these columns are read: {columns}.")
_COUNTED = N_("the times of column {column} count from the start; one unit is {seconds} s.")
_START_TAKEN = N_("{start}, which stands above its rows, is used as its start.")


def read_readings(
    path: Path,
    zone: LocalTimes | None = None,
    columns: ColumnMap | None = None,
    now: Instant | None = None,
) -> list[VitalReading]:
    """Return the readings of a CSV file, each flagged ``imported``.

    Args:
        path: the file.
        zone: time zone for times without one; ``None`` refuses such times.
        columns: meaning of the columns; ``None``: by our own names, and others are refused.
        now: later times are in the future; ``None`` is the present.

    Raises:
        DataFileError: the file cannot be read, or rows are bad: the message has row, column and
            value of the first ten.
    """
    file = read_file(path)
    if columns is None:
        columns = own_columns_of(file)
    return list(all_readings(file, columns, zone, now))


def all_readings(
    file: CsvFile, columns: ColumnMap, zone: LocalTimes | None, now: Instant | None = None
) -> Iterator[VitalReading]:
    """Yield the readings of a file as ``rows_of`` does, and nothing else of it."""
    return PassedOver().readings_of(rows_of(file, columns, zone, now))


def rows_of(
    file: CsvFile,
    columns: ColumnMap,
    zone: LocalTimes | None,
    now: Instant | None = None,
    look: Callable[[JudgedRow], None] = lambda _: None,
) -> Rows:
    """Yield the readings of a file while it is read, and why rows give none.

    Each row is shown to ``look``.

    Nothing of it may be kept if it ends with an error: who takes the readings stages them.

    Raises:
        DataFileError: a row is bad, there is no reading, beats do not fit into their time, or times
            lost their seconds.
    """
    columns = file.with_halves(columns)
    others: list[NotAReading] = [*_remarks_on(file, columns, zone)]
    readings = _readings_in(file, columns, others, zone, now, look)
    for reading in with_near_pressures(BeatTimes().spread_all(readings)):
        yield from others
        others.clear()
        yield reading
    yield from others
    yield from (Remark(*sentence.split(": ", 1)) for sentence in file.remarks)


def _remarks_on(file: CsvFile, columns: ColumnMap, zone: LocalTimes | None) -> Iterator[Remark]:
    """Yield what was guessed about the times of a file, so that it is never guessed in silence."""
    yield from (Remark(file.name, sentence) for sentence in _remarks_on_day(file, columns))
    yield from (Remark(file.name, sentence) for sentence in _remarks_on_choices(file, columns))
    if other := file.other_zone(columns, zone):
        yield Remark(file.name, other)
    if columns.elapsed is not None and "at" in columns.columns:
        unit = f"{columns.elapsed.unit_s:g}"
        yield Remark(file.name, Message(_COUNTED, column=columns.columns["at"], seconds=unit))
    if file.recording is not None and columns.elapsed is not None:
        taken = ", ".join(f"{name}: {column}" for name, column in columns.columns.items())
        yield Remark(file.name, Message(_COLUMNS_TAKEN, columns=taken))
        start = file.recording.elapsed.start
        if start and start == columns.elapsed.start:
            yield Remark(file.name, Message(_START_TAKEN, start=start))


def _remarks_on_day(file: CsvFile, columns: ColumnMap) -> Iterator[Message]:
    """Yield whether the day of the first row was given, and what the file says."""
    if not columns.day:
        return
    column = columns.columns.get("at", "")
    first = next(file.cells(column, 1), "") if column in file.header else ""
    above = day_above(file, first)
    if above == columns.day:
        yield Message(_DAY_TAKEN, day=above)
        return
    if not any(TIME_ALONE.fullmatch(text) for day, text in _times_in(file, columns) if not day):
        yield unmet_choice("--day", columns.day, _TIMES_HAVE_DAYS)
        return
    yield Message(_DAY_GIVEN, day=columns.day)
    with suppress(ReadingError):  # in another order than was chosen
        if above and iso_of(above, columns.dates)[:10] == iso_of(columns.day, columns.dates)[:10]:
            return
    if above:
        yield Message(_DAY_NOT_TAKEN, above=above, day=columns.day)


def _times_in(file: CsvFile, columns: ColumnMap) -> Iterator[tuple[str, str]]:
    """Yield the day above each row, and its time, as they are written."""
    with suppress(DataFileError):  # a row is no CSV: who reads the file says so
        if columns.problem(file.header):
            return
        for row in file.rows():
            if not row.fault:
                yield row.day, columns.time_of(dict(zip(file.header, row.cells, strict=True)))


def _remarks_on_choices(file: CsvFile, columns: ColumnMap) -> Iterator[Message]:
    """Yield which choices decided nothing, and which stand against what the file says."""
    if columns.dates != "iso" and columns.elapsed is None:
        days = chain([columns.day], chain.from_iterable(_times_in(file, columns)))
        if not any(map(needs_order, days)):
            yield unmet_choice("--dates", columns.dates, _NO_SUCH_DATES)
    of_rows = columns.columns.get("unit", "")
    texts = set(islice(file.cells(of_rows), PROBLEMS_MOST)) if of_rows in file.header else set()
    given = {kind: columns.units[kind] for kind in VitalKind if kind in columns.units}
    for kind, unit in given.items():
        if kind in columns.columns:
            column = columns.columns[kind]
            stated = [(column, unit_in_name(column)), *((of_rows, text) for text in sorted(texts))]
            for place, text in stated:
                scale = kind.spec.scale_of(text) if text else None
                if scale is not None and scale != kind.spec.scale_of(unit):
                    yield Message(
                        _OTHER_UNIT, column=place, stated=text, unit=unit, kind=kind.value
                    )
        elif texts and _is_stated_in_each_row(file, columns, kind):
            why = Message(_STATED_IN_ROWS, column=of_rows)
            yield unmet_choice("--unit", f"{kind}={unit}", why)


def _is_stated_in_each_row(file: CsvFile, columns: ColumnMap, kind: VitalKind) -> bool:
    """Tell whether each row of a kind states its unit."""
    places = [file.header.index(columns.columns[target]) for target in ("kind", "unit")]
    rows = ([row.cells[place] for place in places] for row in file.rows() if not row.fault)
    return all(unit for name, unit in rows if name.lower() == kind)


def _readings_in(
    file: CsvFile,
    columns: ColumnMap,
    others: list[NotAReading],
    zone: LocalTimes | None,
    now: Instant | None,
    look: Callable[[JudgedRow], None],
) -> Iterator[VitalReading]:
    """Yield the readings of a file, and add what else it has to a list."""
    problems, left_out = Repeated(), Repeated()
    count = 0
    beats, minutes, devices = BeatSums(), WholeMinutes(), _Devices(file, columns)
    is_even = columns.elapsed is not None and not columns.elapsed.sum_of
    means = _Means() if is_even else None
    for row in file.validate_rows(columns, zone, now):
        for problem in row.problems:
            problems.add(file.name, *_parts_of(problem))
        if problems.count >= PROBLEMS_MOST:
            break
        for sentence in row.left_out:
            place, what = _parts_of(sentence)
            left_out.add(file.name, place, what)
            others.append(LeftOutRow(f"{file.name}, {place}", what.lstrip(",: ")))
        others += (NoValue(file.name, column) for column in row.no_value)
        count += len(row.readings)
        devices.add(row)
        look(row)
        if "flags" not in columns.columns:  # an export of ours is taken as it was recorded
            beats.add(row.readings)
            minutes.add(row.readings)
        if not problems.count:
            yield from row.readings if means is None else means.add(row.readings)
    wrong = devices.problem
    if problems.count and not wrong:
        raise refusal_of(
            problems.lines_of("or more" if problems.count >= PROBLEMS_MOST else "more")
        )
    if means is not None:
        yield from means.finish()
    if wrong := wrong or beats.problem or minutes.problem:
        raise DataFileError(
            N_("{file}: {problem} Nothing was imported."), file=file.name, problem=wrong
        )
    if not count:
        without = f"{file.name}: has no rows with readings below the names of the columns."
        reasons = _reasons_of(file, columns, others)
        raise DataFileError("\n".join([without, *left_out.lines, *reasons]))


def _reasons_of(file: CsvFile, columns: ColumnMap, others: Iterable[NotAReading]) -> list[str]:
    """Return what else is known of a file without readings, as sentences."""
    passed_over = PassedOver()
    assert not any(True for _ in passed_over.readings_of(others)), "none of them is a reading"
    empty = [
        Message(_EMPTY, file=file.name, column=name)
        for name in dict.fromkeys(columns.columns[kind] for kind in columns.kinds)
        if not any(True for _ in file.cells(name, 1))
    ]
    marked = [
        Message(NO_VALUES, file=file_name, column=column, n=n)
        for (file_name, column), n in passed_over.no_value.items()
    ]
    return [*empty, *marked, *passed_over.remarks, *file.remarks]


def _parts_of(problem: str) -> tuple[str, str]:
    """Return the place of a problem, ``row 7``, and what it says behind that."""
    match = re.match(r"row \d+", problem)
    assert match is not None, "_validate_row writes them"
    return match[0], problem[match.end() :]


class _Means:
    """Means of samples that a recording has faster than they are kept."""

    def __init__(self) -> None:
        self._means: dict[tuple[VitalKind, str], SampleMeans] = {}
        self._last: dict[tuple[VitalKind, str], VitalReading] = {}

    def add(self, readings: Iterable[VitalReading]) -> Iterator[VitalReading]:
        """Add readings; yield those that are complete. Beats are passed on as they are."""
        for one in readings:
            if one.kind is VitalKind.RR_INTERVAL:
                yield one
                continue
            key = (one.kind, one.source)
            means = self._means.setdefault(key, SampleMeans(one.kind.spec.per_second))
            self._last[key] = one
            is_doubtful = VitalFlag.OUT_OF_RANGE in one.flags
            for done in means.add(TimedSample(one.at.wall_ms / 1000, one.value, is_doubtful)):
                yield self._reading(key, done)

    def finish(self) -> Iterator[VitalReading]:
        """Yield the last ones."""
        for key, means in self._means.items():
            for done in means.finish():
                yield self._reading(key, done)

    def _reading(self, key: tuple[VitalKind, str], sample: TimedSample) -> VitalReading:
        last = self._last[key]
        doubt = frozenset({VitalFlag.OUT_OF_RANGE})
        flags = last.flags - doubt | (doubt if sample.is_doubtful else frozenset())
        at = Instant(last.at.boot_ms, round(1000 * sample.at_s))
        return replace(last, at=at, value=sample.value, flags=flags)


class _Devices:
    """Finds readings of several devices, arms or people that would become one source.

    Their values and times decide, whatever the column is called that parts them.

    Args:
        file: the table.
        columns: its columns that are read; one of sources tells the devices apart already.
    """

    def __init__(self, file: CsvFile, columns: ColumnMap) -> None:
        self._has_source = "source" in columns.columns
        self._kinds = {kind: columns.columns[kind] for kind in columns.kinds}
        names = [name.lower() for name in file.header]
        # Whose a row of our own form is, is compared with the sessions.
        known = {*DERIVED} if {*OURS} <= {*names} else set()
        read = columns.read_columns | {*file.flag_columns}
        self._beside = TextsBeside(
            (name for name in file.header if name not in read and name.lower() not in known),
            lambda name: names_devices(bare_name(name)),
        )

    def add(self, row: JudgedRow) -> None:
        """Add a row of the file."""
        self._beside.add(row.readings, row.cells)

    @property
    def problem(self) -> str:
        """A sentence for people on the column that parts the readings; empty: they are of one."""
        if self._kinds and not self._has_source:
            for column, texts in self._beside.texts.items():
                if name_several_kinds(texts, self._kinds):
                    return doubt_of_things(column, texts, next(iter(self._kinds.values())))
        parting = self._beside.find_column()
        if parting is None:
            return ""
        if self._has_source:
            return doubt_within_source(parting.column, parting.texts, parting.source)
        return doubt_of_devices(parting.column, parting.texts).sentence
