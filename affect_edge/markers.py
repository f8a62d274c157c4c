"""The command that imports markers, from tables of our own form and from logs of other programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from affect_edge import options as common
from affect_edge.options import ACTOR, PATH, Here, answer, cli, json_option, on_appliance
from edge_agent.core.command_line import warn
from edge_agent.core.errors import DataFileError, ReadingError, StudyError, shown_value
from edge_agent.core.texts import N_
from edge_agent.core.unmet import unmet_choice

if TYPE_CHECKING:
    from edge_agent.core.brought_tables import Row
    from edge_agent.core.study import MarkerKind
    from edge_agent.timeline.study.past import PastMarker
    from edge_agent.vitals.csv_files import CsvFile
    from edge_agent.vitals.dates import DateOrder

_NEEDED = ("at", "kind")
_KNOWN = (*_NEEDED, "label", "session")
_PASSED_OVER = ("at_ms", "participant")
_TARGETS = (*_KNOWN, "end", "duration")
_PROBLEMS_SHOWN = 10
_DIGITS = 18  # of a number that a database holds
_NO_TIME = {"", "none", "na", "nan", "n/a", "null"}
_PER_SECOND = {"s": 1.0, "ms": 1000.0}
# A file without names of columns, such as Empatica's tags.csv: a time in each line.
_TIMES_ALONE = re.compile(r"\d{10}(\.\d+)?|\d{13}", re.ASCII)
# PsychoPy's "date" and "expStart": 2026-10-02_06h00.00.123, 2026-10-02 06h00.00.123456 +0200.
_PSYCHOPY = re.compile(
    r"(\d{4}-\d\d-\d\d)[_ ](\d\d)h(\d\d)\.(\d\d(?:\.\d+)?)(?: ?([+-]\d\d:?\d\d))?", re.ASCII
)
_EACH_HAS_A_KIND = N_("each marker here has a kind of its own")
_NO_NUMBERS = N_("no time here is a number")
_NO_SUCH_DATES = N_("no date here has the day or the month first")
_SECONDS = re.compile(r":\d\d:\d\d|^[^:]*$")


@dataclass(frozen=True, slots=True)
class MarkerColumns:
    """The meaning of a file of markers.

    Attributes:
        zone: of times without one; ``None`` refuses such times.
        columns: target (one of ``_TARGETS``) → name of the column; empty: they have our names.
        kind: of the markers of a file without a column of kinds; ``None``: not told.
        start_ms: time 0 of times that count from a start, UTC milliseconds; ``None``: they are
            times of day.
        per_second: how many of its units are a second, for such times.
        dates: order of dates.
        met: the options that decided something, filled while rows are read.
    """

    zone: tzinfo | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    kind: MarkerKind | None = None
    start_ms: int | None = None
    per_second: float = 1.0
    dates: DateOrder = "iso"
    met: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class MarkerFile:
    """Content of a file of markers.

    Attributes:
        markers: in its order.
        notes: sentences about rows that gave none, and about its times.
    """

    markers: list[PastMarker]
    notes: list[str]


@cli.command("import-markers")
@click.argument("file", type=PATH)
@click.option(
    "--map",
    "columns",
    metavar="WHAT=COLUMN",
    multiple=True,
    help="Meaning of a column of another program's log: at, end or duration (each row is a "
    "condition), kind, label or session, such as --map at=image.started.",
)
@click.option(
    "--kind", help="Kind of all markers of a file without one: stimulus_start, baseline, note …"
)
@click.option(
    "--start", metavar="TIME", help="Time 0 of times that count from the start of a program."
)
@click.option(
    "--unit",
    type=click.Choice(list(_PER_SECOND)),
    help="Unit of such times and of durations.  [default: s]",
)
@click.option(
    "--dates", type=click.Choice(["iso", "dmy", "mdy"]), default="iso", help="Order of dates."
)
@common.timezone_option
@on_appliance
@json_option
def import_markers(here: Here, file: Path, as_json: bool, **given: Any) -> None:
    """Import markers of sessions from a CSV file: all of them, or nothing.

    Columns: at, kind (stimulus_start, stimulus_end, baseline, note), label, and session if the
    time alone does not identify it. Logs of other programs: explain their columns with --map.
    """
    from affect_edge.study import named
    from edge_agent.core.study import MarkerKind
    from edge_agent.timeline.intake.named_people import Owners
    from edge_agent.timeline.study.past import add_past_markers

    timezone, start, kind = given["timezone"], given["start"], given["kind"]
    of_columns = common.pairs_of("--map", given["columns"])
    columns = MarkerColumns(
        common.zone_of(timezone) if start else _zone_of(of_columns, timezone),
        of_columns,
        None if kind is None else named(MarkerKind, "--kind", kind),
        None if start is None else _start_ms(start, timezone, given["dates"]),
        _PER_SECOND[given["unit"] or "s"],
        given["dates"],
    )
    if given["unit"] and columns.start_ms is None and "duration" not in columns.columns:
        raise click.UsageError("--unit is that of times since --start, or of durations.")
    people = Owners(here.made_database(), has_ends=True)
    read = read_markers(file, columns, people.codes, people.at)
    inserted, there = add_past_markers(here.made_database(), read.markers, actor=ACTOR)
    more = f", {there} were there already" if there else ""
    line = f"{inserted} {'marker' if inserted == 1 else 'markers'} imported{more}"
    told = {"imported": inserted, "duplicates": there}
    answer(as_json, told | ({"notes": read.notes} if read.notes else {}), [line, *read.notes])
    warn(_unmet(given, columns.met))


def _unmet(given: Mapping[str, Any], met: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each option that decided nothing."""
    for name, default, why in (
        ("kind", None, _EACH_HAS_A_KIND),
        ("unit", None, _NO_NUMBERS),
        ("dates", "iso", _NO_SUCH_DATES),
    ):
        if given[name] != default and f"--{name}" not in met:
            yield unmet_choice(f"--{name}", given[name], why)


def _zone_of(columns: Mapping[str, str], timezone: str | None) -> tzinfo | None:
    """Return the zone of times without one: that in the names of their columns, or the option's.

    Raises:
        click.UsageError: these are two zones.
    """
    from edge_agent.vitals.zone_names import is_zone, zone_of_columns

    names = [columns[target] for target in ("at", "end") if target in columns]
    named, given = zone_of_columns(names), common.zone_of(timezone)
    if named is None or given is None or is_zone(given, named):
        return given if named is None else named
    raise click.UsageError(
        f"--timezone {timezone}: the name of the column ({', '.join(names)}) tells {named}. Leave "
        "out --timezone."
    )


def _start_ms(text: str, timezone: str | None, order: DateOrder) -> int:
    """Return the time 0 of a log, also as PsychoPy and OpenSesame write it.

    Raises:
        click.BadParameter: it is no time, or has no zone and none was given.
    """
    from edge_agent.vitals.dates import iso_of

    written = _PSYCHOPY.fullmatch(text.strip())
    try:
        if written:
            day, hour, minute, second, zone = written.groups(default="")
            iso = f"{day}T{hour}:{minute}:{second}{zone}"
        else:
            iso = iso_of(text, order)
        return common.instant_ms("--start", iso, timezone)
    except ReadingError as error:
        problem = f"--start {error.shown} {error.reason}"
    except click.BadParameter as error:
        problem = error.message
    raise click.BadParameter(
        f"{problem} Milliseconds stand behind a point, such as 2026-10-02T06:00:00.123+02:00."
    )


def read_markers(
    path: Path, how: MarkerColumns, codes: Iterable[str], owners: Callable[[int], Sequence[str]]
) -> MarkerFile:
    """Return the markers of a CSV file.

    Args:
        path: the file.
        how: meaning of its columns.
        codes: of all participants.
        owners: returns in whose sessions a time (UTC milliseconds) lies.

    Raises:
        DataFileError: the file cannot be read, a column is missing or not known, or rows are bad:
            the first ten are named by row, column and value; or its times lost their seconds; or a
            row names another person than the one in whose session it lies; or its numbers are
            milliseconds and called seconds.
    """
    from edge_agent.timeline.intake.named_people import RowsOfPeople
    from edge_agent.vitals.csv_files import read_file

    file = read_file(path, (*_NEEDED, "label"))
    rows, columns = _rows_of(file, how)
    whose = RowsOfPeople(file.name, file.header, columns.values(), codes, owners, _NEEDED)
    markers: list[PastMarker] = []
    problems: list[str] = []
    timeless = 0
    for number, row, cells in rows:
        try:
            if isinstance(row, ReadingError):
                raise row
            if how.columns and row["at"].lower() in _NO_TIME:
                timeless += 1
                continue
            made = _markers_of(row, how)
            whose.add(number, cells, [one.at_ms for one in made])
            markers += made
        except ReadingError as error:
            name = columns.get(error.field, error.field)
            column = f", column {name}: {error.shown}" if error.field else ""
            problems.append(f"{file.name}, row {number}{column} {error.reason}")
            # Enough to see a pattern; a file of another kind would fail in every row.
            if len(problems) == _PROBLEMS_SHOWN:
                break
    if problems:
        raise DataFileError("\n".join([*problems, "Nothing was imported."]))
    _check_unit(file.name, how, markers, owners)
    whose.finish()
    if not markers:
        raise DataFileError(f"{file.name}: has no rows with times below the names of the columns.")
    passed = "1 row without a time was" if timeless == 1 else f"{timeless} rows without a time were"
    notes = [f"{passed} passed over."] if timeless else []
    return MarkerFile(markers, notes + _on_seconds(file.name, markers))


def _check_unit(
    name: str,
    how: MarkerColumns,
    markers: Sequence[PastMarker],
    owners: Callable[[int], Sequence[str]],
) -> None:
    """Refuse seconds of which only a thousandth lies in sessions.

    Raises:
        DataFileError: they do.
    """
    start_ms = how.start_ms
    if start_ms is None or how.per_second > 1 or "--unit" not in how.met:
        return
    if all(owners(one.at_ms) for one in markers):
        return
    if all(owners(start_ms + round((one.at_ms - start_ms) / 1000)) for one in markers):
        last_s = max(one.at_ms - start_ms for one in markers) / 1000
        raise DataFileError(
            f"{name}: its times count from --start to second {last_s:g}, where no session is; as "
            "milliseconds each lies in one. Say --unit ms. Nothing was imported."
        )


Rows = Iterator[tuple[int, dict[str, str] | ReadingError, Mapping[str, str]]]
"""Number of each row, its cells by target, and all of them by the names of their columns."""


def _rows_of(file: CsvFile, how: MarkerColumns) -> tuple[Rows, Mapping[str, str]]:
    """Return the cells of each row by target, and the column of each target."""
    if len(file.header) == 1 and _TIMES_ALONE.fullmatch(file.header[0]):
        if how.columns:
            raise DataFileError(f"{file.name}: has no names of columns. Leave out --map.")
        lines = [(1, list(file.header)), *((row.number, row.cells) for row in file.only_rows())]
        kind = "" if how.kind else "note"
        label = file.name.rpartition(".")[0] or file.name
        return ((n, {"at": cells[0], "label": label, "kind": kind}, {}) for n, cells in lines), {}
    if how.columns:
        columns = dict(how.columns)
        _check_columns(file, how)
    else:
        _check_header(file, how)
        columns = {name.lower(): name for name in file.header if name.lower() in _KNOWN}
    places = {target: file.header.index(column) for target, column in columns.items()}
    return (
        (row.number, _cells(row, places), dict(zip(file.header, row.cells, strict=False)))
        for row in file.only_rows()
    ), columns


def _cells(row: Row, places: Mapping[str, int]) -> dict[str, str] | ReadingError:
    if row.fault:  # more often than not a comma within a label
        return ReadingError("", "", row.fault)
    return {target: row.cells[place] for target, place in places.items()}


def _check_header(file: CsvFile, how: MarkerColumns) -> None:
    header = [name.lower() for name in file.header]
    where = f"{file.name}, row {file.above + 1}"
    for column in _NEEDED:
        if column not in header and not (column == "kind" and how.kind):
            raise DataFileError(
                f"{where}: column {column} is missing. Columns found: {', '.join(file.header)}; "
                f"known: {', '.join(_KNOWN)}. For a log of another program, name its columns: "
                "--map at=COLUMN --map label=COLUMN, and --start if its times count from a start."
                f"{file.why_unknown(_KNOWN)}"
            )
    for column in file.header:
        if column.lower() not in (*_KNOWN, *_PASSED_OVER) or header.count(column.lower()) > 1:
            raise DataFileError(
                f"{where}: column {column!r} is unknown, or occurs twice. Known: "
                f"{', '.join(_KNOWN)}. Other columns are left out if you name these: --map "
                "at=at --map kind=kind --map label=label."
            )


def _check_columns(file: CsvFile, how: MarkerColumns) -> None:
    """Refuse a ``--map`` that cannot work."""
    problem = ""
    for target, column in how.columns.items():
        if target not in _TARGETS:
            problem = f"{target!r} is no target of a column. Possible: {', '.join(_TARGETS)}."
        elif column not in file.header:
            why = file.why_unknown(how.columns.values())
            header = f"Columns found: {', '.join(file.header)}.{why}"
            problem = f"there is no column {column!r}. {header}"
        elif file.header.count(column) > 1:
            problem = f"column {column!r} occurs twice. Rename one of them."
    if "at" not in how.columns:
        problem = problem or "no column has the time of the markers: --map at=COLUMN."
    lasting = {"end", "duration"} & set(how.columns)
    if len(lasting) == 2 or (lasting and ("kind" in how.columns or how.kind)):
        problem = problem or (
            "a row with an end or a duration is a condition from its start to its end: name one of "
            "these columns, and no kind."
        )
    if not (lasting or "kind" in how.columns or how.kind):
        problem = problem or (
            "no column has the kind. Name it, or the end or duration of each condition, or say "
            "what all of them are: --kind note."
        )
    if problem:
        raise DataFileError(f"{file.name}: {problem}")


def _markers_of(row: dict[str, str], how: MarkerColumns) -> list[PastMarker]:
    """Return the marker of a row; of a condition with an end, its start and its end.

    Raises:
        ReadingError: a cell is no value of its column.
    """
    from edge_agent.core.csv_cells import strip_guard
    from edge_agent.core.study import MarkerKind
    from edge_agent.timeline.study.past import PastMarker

    number = row.get("session", "")
    if number and not (number.isdecimal() and len(number) <= _DIGITS):
        raise ReadingError("session", shown_value(number), "is not the number of a session.")
    of = int(number) if number else None
    label = strip_guard(row.get("label", ""))
    at_ms = _time_ms(row["at"], "at", how)
    if "end" in row or "duration" in row:
        end_ms = _end_ms(row, at_ms, how)
        return [
            PastMarker(at_ms, MarkerKind.STIMULUS_START, label, of, row["at"]),
            PastMarker(end_ms, MarkerKind.STIMULUS_END, label, of, row.get("end", row["at"])),
        ]
    text = row.get("kind", "")
    kind = "_".join(re.split(r"[ _-]+", text.lower()))
    if not kind and how.kind:
        how.met.add("--kind")
        kind = how.kind
    if kind not in list(MarkerKind):
        raise ReadingError("kind", shown_value(text), f"is not one of {', '.join(MarkerKind)}.")
    return [PastMarker(at_ms, MarkerKind(kind), label, of, row["at"])]


def _end_ms(row: Mapping[str, str], at_ms: int, how: MarkerColumns) -> int:
    """Return when the condition of a row ended."""
    if "duration" in row:
        how.met.add("--unit")
        end_ms = at_ms + round(1000 * _number(row["duration"], "duration") / how.per_second)
    else:
        end_ms = _time_ms(row["end"], "end", how)
    if end_ms <= at_ms:
        name = "duration" if "duration" in row else "end"
        raise ReadingError(name, shown_value(row[name]), f"is not after the start {row['at']}.")
    return end_ms


def _number(text: str, target: str) -> float:
    with suppress(ValueError):
        number = float(text.replace(",", "."))
        if abs(number) < 1e9:
            return number
    raise ReadingError(target, shown_value(text), "is no number.")


def _time_ms(text: str, target: str, how: MarkerColumns) -> int:
    """Return a time, which may count from a start."""
    from edge_agent.core.readings import time_ms
    from edge_agent.core.study import since_start_ms
    from edge_agent.vitals.dates import iso_of, needs_order

    if how.start_ms is not None:
        if ":" in text:
            try:
                return how.start_ms + since_start_ms(text, target)
            except StudyError as error:
                raise ReadingError(target, shown_value(text), "is no time such as 4:05.250.") from (
                    error
                )
        how.met.add("--unit")
        return how.start_ms + round(1000 * _number(text, target) / how.per_second)
    if needs_order(text):
        how.met.add("--dates")
    try:
        return time_ms(iso_of(text, how.dates), how.zone)
    except ReadingError as error:
        more = ""
        with suppress(ReadingError):
            if abs(_number(text, target)) < 1e8:
                more = " If it counts from a start, name that with --start."
        raise ReadingError(target, error.shown, error.reason + more) from error


def _on_seconds(name: str, markers: Sequence[PastMarker]) -> list[str]:
    """Return what is to be said if no time of a file has seconds.

    Raises:
        DataFileError: a condition ends when it starts, or markers of one minute have no order.
    """
    from edge_agent.core.study import MarkerKind

    lost = not any(_SECONDS.search(marker.typed) for marker in markers)
    starts: dict[int, PastMarker] = {}
    for marker in markers:
        other = starts.get(marker.at_ms)
        if marker.kind is MarkerKind.STIMULUS_START:
            starts[marker.at_ms] = marker
            is_wrong = lost and other is not None
        else:
            is_end = marker.kind is MarkerKind.STIMULUS_END
            is_wrong = is_end and other is not None and marker.label in {"", other.label}
        if other is not None and is_wrong:
            cause = "the condition lasts no time. Correct one of them."
            if lost:
                cause = (
                    "no time of the file has seconds, which a spreadsheet drops. Format the column "
                    "as yyyy-mm-dd hh:mm:ss.000, or take the file that the program wrote."
                )
            raise DataFileError(
                f"{name}: {other.kind} {other.label} and {marker.kind} {marker.label} are both at "
                f"{marker.typed}: {cause} Nothing was imported."
            )
    if not lost:
        return []
    return ["No time of the file has seconds: each marker may be up to a minute late."]
