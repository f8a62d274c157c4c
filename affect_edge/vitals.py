"""Commands about sensors, readings from files and health apps, and lab streams."""

from __future__ import annotations

import json
import logging
import signal
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, closing, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from affect_edge import options as common
from affect_edge.options import ACTOR, PATH, Here, cli, json_option, on_appliance
from edge_agent.core import clock
from edge_agent.core.command_line import Command
from edge_agent.core.errors import StoreError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.texts import N_
from edge_agent.core.unmet import unmet_choice, unmet_choices

if TYPE_CHECKING:
    from edge_agent.core.readings import LocalTimes, VitalReading
    from edge_agent.core.vitals import FoundSensor
    from edge_agent.timeline.intake.imports import TakenReadings
    from edge_agent.timeline.intake.staged_rows import StagedReadings
    from edge_agent.timeline.study.past import Placement
    from edge_agent.timeline.write.reading_imports import ImportResult
    from edge_agent.vitals.column_map import ColumnMap
    from edge_agent.vitals.csv_files import CsvFile
    from edge_agent.vitals.dates import DateOrder
    from edge_agent.vitals.health.exports import HealthExport
    from edge_agent.vitals.health.files import RowValidator
    from edge_agent.vitals.passed_over import PassedOver

FILES_SHOWN = 100
_STREAM = "lsl:"
_OF_ZONE = "names a time zone, which --timezone gives"
_WHOSE = "is compared with the session in which its readings lie by their time"
_OF_TABLES = N_("the file is no table whose columns are named")
_STATES_UNITS = N_("the file states its units")
_COMPARED = "is another column of times, compared with the one that is read"


@cli.group()
def vitals() -> None:
    """Sensors of heart rate and blood pressure."""


@vitals.command("scan")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 300),
    default=8.0,
    show_default=True,
    help="How long to listen.",
)
@click.option(
    "--lsl",
    "streams",
    is_flag=True,
    help="Find numeric streams of the Lab Streaming Layer in place of Bluetooth sensors.",
)
@on_appliance
@json_option
def vitals_scan(here: Here, seconds: float, streams: bool, as_json: bool) -> None:
    """Find Bluetooth sensors in reach, and print the lines to put into the configuration."""
    log_to_stderr(logging.ERROR)
    if streams:
        scan_streams(here, seconds, as_json)
        return
    from edge_agent.vitals.sensor import scan_sensors

    sensors = scan_sensors(seconds, here.settings.vitals.bluetooth.adapter)
    if as_json:
        click.echo(json.dumps([asdict(sensor) for sensor in sensors]))
        return
    for sensor in sensors:
        click.echo(describe_sensor(sensor))
    click.echo(
        "\nPut the lines of yours into `devices` under [vitals.bluetooth] in "
        f"{here.config or 'the configuration'}, then restart the agent."
        if sensors
        else f"No strap or cuff was heard within {seconds:g} s. A strap speaks while it is worn "
        "(wet its electrodes), a cuff for some seconds after a measurement; and neither "
        "while a phone or watch holds it.",
        err=not sensors,
    )


def scan_streams(here: Here, seconds: float, as_json: bool) -> None:
    """Print the numeric streams that are offered in the network, with lines for each channel."""
    from edge_agent.lsl.inlet import offered_streams

    offered = [stream for stream in offered_streams(seconds) if not stream.is_text]
    if as_json:
        click.echo(json.dumps([asdict(stream) for stream in offered]))
        return
    for stream in offered:
        click.echo("\n  ".join([str(stream), *stream.config_lines()]))
    click.echo(
        "\nPut the lines of yours into `streams` under [vitals.lsl] in "
        f"{here.config or 'the configuration'}, fill in unit and kind where they are empty, then "
        "restart the agent."
        if offered
        else f"No numeric stream was offered within {seconds:g} s. Start the program that sends "
        "it, in the same network.",
        err=not offered,
    )


def describe_sensor(sensor: FoundSensor) -> str:
    """Return a sensor in words, with its lines for the configuration below."""
    parts = [
        sensor.name or "(no name)",
        sensor.address,
        "connected to this machine" if sensor.rssi is None else f"{sensor.rssi} dBm",
        " and ".join(kind.value.replace("_", " ") for kind in sensor.kinds),
    ]
    if sensor.battery_percent is not None:
        parts.append(f"battery {sensor.battery_percent} %")
    lines = [", ".join(parts), *(f"  {sensor.config_line(kind)}" for kind in sensor.kinds)]
    return "\n".join(lines)


Readings = Generator[tuple[int, "VitalReading"], None, None]
"""Each reading with the number of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalsImportOptions:
    """The options of the command."""

    timezone: str | None
    columns: tuple[str, ...]
    units: tuple[str, ...]
    dates: DateOrder
    source: str
    begin: str | None
    day: str
    start: str | None
    end: str | None
    dry_run: bool

    def validator(self, recording: bool) -> RowValidator:
        """Return what makes readings of the rows of an export, or of a recording."""
        from edge_agent.vitals.health.files import ChannelChoice, RowValidator

        start_ms, channels = None, ChannelChoice()
        if recording:
            if self.begin is not None:
                start_ms = common.instant_ms("--start", self.begin, self.timezone)
            channels = common.channel_choice(self.columns, self.units)
        return RowValidator(clock.now(), self.local_times(), start_ms, channels)

    def local_times(self) -> LocalTimes | None:
        """Return the time zone of times without one; ``None``: they are refused."""
        from edge_agent.core.readings import LocalTimes

        zone = common.zone_of(self.timezone)
        return None if zone is None else LocalTimes(zone)

    def columns_of(self, table: CsvFile) -> ColumnMap | None:
        """Return the meaning of a table's columns; ``None``: they are our own.

        Those of a recording of a known program are guessed, which is shown.
        """
        words = self.columns or (("guess",) if table.recording is not None else ())
        columns = common.column_map(table, words, self.units, self.dates)
        if columns is None:
            return None
        if self.day:
            columns = replace(columns, day=self.day)
        if self.begin is not None:
            begin_ms = common.instant_ms("--start", self.begin, self.timezone)
            columns = columns.from_start(str(begin_ms))
        return columns


@dataclass(slots=True)
class FileContents:
    """The contents of a file: its readings, and the rows that gave none.

    Attributes:
        form: format of the export; empty: it is a CSV file.
        staged: its readings.
        passed_over: what of the file gives no reading.
        outside: number of readings outside of ``--from`` and ``--to``.
        files: names of the files of no known format.
        names: of the files that were read.
        former: source → the names that earlier releases gave it.
        certain: sources that are one device by its serial number.
        vitals: that it has, also where none of their readings is kept.
    """

    form: str
    staged: StagedReadings
    passed_over: PassedOver
    outside: int = 0
    files: Sequence[str] = ()
    names: Sequence[str] = ()
    former: Mapping[str, Iterable[str]] = field(default_factory=dict)
    certain: Collection[str] = ()
    vitals: set[str] = field(default_factory=set)


class _OfMakers(Command):
    """A command whose help ends with the makers whose files it reads."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write their names."""
        from edge_agent.vitals.health.exports import MAKERS

        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(f"Exports that are known: {MAKERS}.")


@cli.command("import-vitals", cls=_OfMakers)
@click.argument("file", type=PATH)
@common.timezone_option
@click.option(
    "--map",
    "columns",
    metavar="WHAT=COLUMN",
    multiple=True,
    help="Meaning of a column, such as --map at=Date --map heart_rate='Pulse (bpm)'; --map guess "
    "uses the names. In an XDF file: KIND=STREAM/CHANNEL.",
)
@click.option(
    "--unit",
    "units",
    metavar="KIND=UNIT",
    multiple=True,
    help="Unit of a column, such as systolic=kPa.",
)
@click.option(
    "--dates",
    type=click.Choice(["iso", "dmy", "mdy"]),
    default="iso",
    help="Order of dates, with --map.",
)
@click.option(
    "--start",
    "begin",
    metavar="TIME",
    help="Start of the recording, for files without times, with times that count from it, or an "
    "XDF file that does not tell it.",
)
@click.option(
    "--day",
    default="",
    metavar="DATE",
    help="Day of the first row, for tables with times of day alone, with --map.",
)
@click.option("--from", "start", metavar="TIME", help="Only readings from this time on.")
@click.option("--to", "end", metavar="TIME", help="Only readings before this time.")
@click.option(
    "--source", default="", help="Name of the source of all readings, instead of the file's own."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be imported.")
@on_appliance
@json_option
def import_vitals(here: Here, file: Path, as_json: bool, **given: Any) -> None:
    """Import readings from a CSV file, or from an export of a maker's app or device: an archive, a
    folder or a file.

    The output includes the number of readings in no session: no test uses these.
    """
    from edge_agent.timeline.intake.staged_rows import StagedReadings

    options = VitalsImportOptions(**given)
    # The readings of years do not fit into memory: they wait in a temporary database.
    with StagedReadings(file.name, source=options.source) as staged:
        contents = read_contents(file, options, staged, here.database)
        keep_apart(contents, here.database, file.name)
        if not as_json and (contents.form or options.dry_run):
            describe(file, contents)
        elif not as_json:
            tell_remarks(contents)
        if options.dry_run:
            tell_plan(contents, here.database, as_json, file.name)
        else:
            take_in(contents, here.made_database(), as_json, file.name)


def read_contents(
    file: Path, options: VitalsImportOptions, staged: StagedReadings, database: Path
) -> FileContents:
    """Read a whole file.

    Args:
        file: which one.
        options: of the command.
        staged: gets its readings.
        database: whose sessions say whose a reading is.

    Raises:
        DataFileError: it cannot be read, a CSV file has a bad row, an export is broken, it contains
            no reading, or a column names others than those in whose sessions its readings lie.
    """
    from edge_agent.core.brought_files import tables_in
    from edge_agent.core.brought_tables import opens_path
    from edge_agent.timeline.intake.devices import refuse_two_devices
    from edge_agent.vitals.health.exports import open_export
    from edge_agent.vitals.health.xdf.recording import is_recording_at
    from edge_agent.vitals.passed_over import PassedOver
    from edge_agent.vitals.recordings import is_recording

    contents = FileContents("", staged, PassedOver())
    with ExitStack() as opened:
        if options.day and not options.columns:
            raise click.UsageError("--day needs --map, which explains the columns.")
        is_xdf = is_recording_at(file)
        is_text = not is_xdf and file.is_file() and is_recording(opens_path(file))
        is_table = is_text or (bool(options.columns) and not is_xdf)
        is_untimed = options.begin is not None and not (is_table or is_xdf)
        if options.columns and (file.is_dir() or file.suffix.lower() in {".xml", ".fit"}):
            raise click.UsageError(f"--map is for CSV files. Leave it out for {file.name}.")
        plain = is_untimed or is_table
        export = None if plain else opened.enter_context(open_export(file))
        if is_untimed:
            readings = _of_untimed(file, options, contents)
        elif export is None:
            tables, contents.files = opened.enter_context(tables_in(file))
            readings = _of_tables(tables, options, contents, database)
        else:
            contents.form = " and ".join(export.formats)
            contents.files = export.unknown
            readings = _of_export(export, options.validator(is_xdf), contents)
        opened.enter_context(closing(readings))
        of_time = _of_whose_name(_in_period(readings, options, contents), file, database)
        with common.row_bar(of_time, "Reading") as counted_rows:
            for part, together in groupby(counted_rows, key=itemgetter(0)):
                staged.add((reading for _, reading in together), part)
        contents.names = contents.names or [file.name]
        refuse_two_devices(
            file.name, staged.of_several_streams(contents.names.__getitem__, contents.certain)
        )
    units = common.pairs_of("--unit", options.units)
    if plain or is_xdf:
        contents.passed_over.remarks += unmet_choices("--unit", units, contents.vitals)
    if not is_table:
        contents.passed_over.remarks += _unmet_beside_tables(options, is_xdf=is_xdf)
    if not staged.kinds() and not contents.outside:
        raise contents.passed_over.no_reading_error(file.name)
    return contents


def _unmet_beside_tables(options: VitalsImportOptions, *, is_xdf: bool) -> Iterator[str]:
    """Yield a sentence for each option on the columns of a table, of which there is none."""
    if options.dates != "iso":
        yield unmet_choice("--dates", options.dates, _OF_TABLES)
    if options.begin is None and not is_xdf:
        for word in options.units:
            yield unmet_choice("--unit", word, _STATES_UNITS)


def _of_whose_name(
    readings: Iterable[tuple[int, VitalReading]], file: Path, database: Path
) -> Iterator[tuple[int, VitalReading]]:
    """Yield readings; refuse them where the file's name says whose they are, and they are not."""
    from edge_agent.timeline.intake.named_people import NamedFile, Owners, refuse_other_stream

    people = Owners(database)
    named = NamedFile(file.name, people.codes)
    streams: dict[str, set[str]] = {}
    for part, reading in readings:
        owners = people.at(reading.at.wall_ms)
        if named.code:
            named.add(owners)
        if reading.source.startswith(_STREAM):
            streams.setdefault(reading.source.removeprefix(_STREAM), set()).update(owners)
        yield part, reading
    named.finish()
    for stream, owners_of in streams.items():
        for code in owners_of if len(owners_of) == 1 else ():
            refuse_other_stream(file.name, stream, code)


def _of_tables(
    tables: Sequence[Path], options: VitalsImportOptions, contents: FileContents, database: Path
) -> Readings:
    contents.names = [table.name for table in tables]
    for part, table in enumerate(tables):
        yield from ((part, reading) for reading in _of_csv(table, options, contents, database))


def _of_csv(
    file: Path, options: VitalsImportOptions, contents: FileContents, database: Path
) -> Iterator[VitalReading]:
    from edge_agent.timeline.intake.named_people import Owners, RowsOfPeople
    from edge_agent.vitals.column_map import DERIVED, WHOSE
    from edge_agent.vitals.csv_files import names_zone, own_columns_of, read_file
    from edge_agent.vitals.csv_readings import rows_of
    from edge_agent.vitals.passed_over import ColumnNotTaken
    from edge_agent.vitals.untimed import refuse_session_of_polar

    table = read_file(file, most_bytes=None)
    if not options.columns or "guess" in options.columns:
        refuse_session_of_polar(table)
    columns = options.columns_of(table)
    reasons: dict[str, str] = {}
    if columns is None:
        why = "is known from time and flags"
        reasons = {name: _WHOSE for name in table.header if name.lower() in WHOSE}
        known = {name for name in table.header if name.lower() not in DERIVED}
        columns = own_columns_of(table)
    else:
        named = options.columns and "guess" not in options.columns
        why = "is not named with --map" if named else "was not recognised; name it with --map"
        known = columns.read_columns | {*table.flag_columns}
        reasons = dict.fromkeys(columns.names_to_compare(table.header), _COMPARED)
        contents.vitals |= {*columns.kinds}
    contents.passed_over.columns += [
        ColumnNotTaken(
            table.name, name, reasons.get(name) or (_OF_ZONE if names_zone(name) else why)
        )
        for name in table.header
        if name and name not in known
    ]
    zone = options.local_times()
    people = Owners(database)
    read = columns.read_columns
    whose = RowsOfPeople(
        table.name,
        table.header,
        read,
        people.codes,
        people.at,
        above=table.rows_above,
        folder=file.absolute().parent.name,
    )
    rows = rows_of(table, columns, zone, look=whose.look)
    yield from contents.passed_over.readings_of(rows)
    whose.finish()
    if zone is not None and zone.twice:
        contents.passed_over.remarks.append(zone.sentence)


def _of_untimed(file: Path, options: VitalsImportOptions, contents: FileContents) -> Readings:
    from edge_agent.core import clock
    from edge_agent.vitals.untimed import read_untimed

    assert options.begin is not None, "read_contents has looked"
    begin_ms = common.instant_ms("--start", options.begin, options.timezone)
    for reading in contents.passed_over.readings_of(read_untimed(file, begin_ms, clock.now())):
        yield 0, reading


def _of_export(export: HealthExport, validator: RowValidator, contents: FileContents) -> Readings:
    contents.names = [export.name_of(part) for part in range(len(export.files))]
    # Filled while rows are read.
    contents.former, contents.certain = validator.former, validator.certain
    yield from contents.passed_over.numbered_readings_of(export.numbered_rows(validator))
    if validator.zone is not None and validator.zone.twice:
        contents.passed_over.remarks.append(validator.zone.sentence)


def keep_apart(contents: FileContents, database: Path, name: str) -> None:
    """Give readings that are stored already their name there; refuse those among another device's.

    Raises:
        DataFileError: they lie between readings of another device.
        StoreError: the database cannot be read.
    """
    from edge_agent.timeline.intake.devices import (
        SourceSeries,
        old_names,
        refuse_other_device,
        stored_times,
    )

    def series() -> list[SourceSeries]:
        return [
            SourceSeries(
                one.kind, one.source, partial(contents.staged.points, one.kind, one.source)
            )
            for one in contents.staged.kinds()
        ]

    stored = old_names(database, name, series(), contents.former)
    for (kind, source), old in stored.names.items():
        contents.staged.rename(kind, source, old)
    contents.passed_over.remarks += stored.remarks
    for one in series():
        if one.source in contents.certain:
            contents.staged.move(one.kind, one.source, stored_times(database, one))
    refuse_other_device(database, name, series(), contents.certain)


def _in_period(
    readings: Readings, options: VitalsImportOptions, contents: FileContents
) -> Iterator[tuple[int, VitalReading]]:
    """Yield the readings of the requested period, and count the others."""
    start_ms, end_ms = (
        None if time is None else common.instant_ms(option, time, options.timezone)
        for option, time in (("--from", options.start), ("--to", options.end))
    )
    for part, reading in readings:
        contents.vitals.add(reading.kind)
        at_ms = reading.at.wall_ms
        if (start_ms is not None and at_ms < start_ms) or (end_ms is not None and at_ms >= end_ms):
            contents.outside += 1
        else:
            yield part, reading


def describe(file: Path, contents: FileContents) -> None:
    """Print the readings of each kind in a file, and what was left out."""
    click.echo(f"{file.name}: {contents.form or 'CSV'}")
    for row in contents.staged.kinds():
        period = f"{_minute(row.first_ms)} to {_minute(row.last_ms)}"
        click.echo(f"  {row.kind}: {counted(row.readings)}, {period}, {row.source}")
    if contents.outside:
        click.echo(f"{counted(contents.outside)} outside of --from and --to: left out")
    if contents.staged.differing:
        click.echo(
            f"{counted(contents.staged.differing)} with the time of another and another value: "
            "each is kept, a millisecond later"
        )
    tell_remarks(contents)
    passed_over = contents.passed_over
    if passed_over.left_out:
        rows = "1 row gives" if passed_over.left_out == 1 else f"{passed_over.left_out} rows give"
        click.echo(f"{rows} no reading:", err=True)
        for reason in passed_over.reasons:
            click.echo(f"  {reason}", err=True)


def tell_remarks(contents: FileContents) -> None:
    """Print the remarks about the files."""
    for remark in contents.passed_over.remarks:
        click.echo(remark, err=True)


def _minute(at_ms: int) -> str:
    return clock.utc_at(at_ms).strftime("%Y-%m-%d %H:%MZ")


def counted(readings: int) -> str:
    """Return a number of readings in words."""
    return f"{readings} {'reading' if readings == 1 else 'readings'}"


def tell_plan(contents: FileContents, database: Path, as_json: bool, name: str) -> None:
    """Print what an import would do; write nothing."""
    from edge_agent.timeline.intake.imports import plan_readings
    from edge_agent.timeline.write.reading_imports import ImportResult

    taken, placement = plan_readings(database, contents.staged)
    new = sum(one.readings for one in taken)
    there = placement.readings - new
    plan = ImportResult(new, there)
    refused = list(_not_taken(contents, plan, placement.readings, name))
    if as_json:
        done = ImportResult(new, there + contents.staged.repeated)
        answer = {"dry_run": True} | import_answer(done, placement) | contents_answer(contents)
        lists = {
            "taken": [asdict(one) for one in taken],
            "not_taken": [row._asdict() for row in refused],
        }
        click.echo(json.dumps(answer | lists))
        return
    _print_tables(taken, refused)
    more = _there(there, "are")
    click.echo(f"{counted(new)} would be imported{more}. Nothing was changed.")
    _tell_to_come(contents)
    if placement.outside:
        click.echo(placement.sentence)


def take_in(contents: FileContents, database: Path, as_json: bool, name: str) -> None:
    """Write the readings, and print the result."""
    from edge_agent.timeline.intake.imports import taken_readings
    from edge_agent.timeline.study.past import Placement
    from edge_agent.timeline.write.reading_imports import ImportResult, import_readings

    placement = Placement.of_database(database)
    total = sum(row.readings for row in contents.staged.kinds())
    try:
        with common.row_bar(placement.watch(contents.staged), "Importing", total) as readings:
            written = import_readings(database, readings, file=name, actor=ACTOR)
    except StoreError as error:  # it names the database alone
        raise type(error)(f"{name} was not imported. {error}") from error
    done = ImportResult(written.inserted, written.duplicates + contents.staged.repeated)
    taken = [] if written.number is None else taken_readings(database, written.number)
    refused = list(_not_taken(contents, written, placement.readings, name))
    if as_json:
        more = {
            "import": written.number,
            "taken": [asdict(one) for one in taken],
            "not_taken": [row._asdict() for row in refused],
        }
        answer = import_answer(done, placement) | contents_answer(contents) | more
        click.echo(json.dumps(answer))
        return
    there = written.duplicates if contents.form else done.duplicates
    click.echo(f"{counted(done.inserted)} imported{_there(there, 'were')}")
    if written.number is not None:
        undo = f"affect-edge imports --undo {written.number}"
        click.echo(f"This is import {written.number}. To take it back: {undo}")
    _tell_to_come(contents)
    if placement.outside:
        click.echo(placement.sentence)
    _print_tables(taken, refused)


class NotTaken(NamedTuple):
    """Rows or a column of a file that were not taken.

    Attributes:
        file: name of the file.
        column: its column; empty: the rows as a whole.
        rows: number of rows; ``None``: the whole column.
        why: the reason, as the rest of a sentence.
    """

    file: str
    column: str
    rows: int | None
    why: str


def _not_taken(
    contents: FileContents, written: ImportResult, staged: int, name: str
) -> Iterator[NotTaken]:
    """Yield the rows that were not imported, of ``staged`` readings sent to the database."""
    erased = staged - written.inserted - written.duplicates
    for count, why in (
        (written.duplicates, "were there already"),
        (erased, "are of a time that was erased"),
        (contents.staged.repeated, "stand in the file twice"),
        (contents.outside, "lie outside of --from and --to"),
    ):
        if count:
            yield NotTaken(name, "", count, why)
    yield from _passed_over(contents)


def _passed_over(contents: FileContents) -> Iterator[NotTaken]:
    """Yield the rows and columns that were ignored while reading the file."""
    for (file, column), count in contents.passed_over.left_out_by.items():
        yield NotTaken(file, column, count, "give no reading")
    for (file, column), count in contents.passed_over.no_value.items():
        yield NotTaken(file, column, count, "have a mark for no value")
    for row in contents.passed_over.not_read:
        yield NotTaken(row.where, "", None, row.why)
    for file, column, why, rows in contents.passed_over.columns:
        yield NotTaken(file, column, rows, why)
    for file, count in Counter(contents.files[:FILES_SHOWN]).items():
        times = f" ({count} files of this name)" if count > 1 else ""
        yield NotTaken(file, "", None, f"is not known here{times}")
    if len(contents.files) > FILES_SHOWN:
        more = f"{len(contents.files) - FILES_SHOWN} more files"
        yield NotTaken(more, "", None, "are not known here")


def _print_tables(taken: list[TakenReadings], refused: list[NotTaken]) -> None:
    """Print the imported readings, those that enter no mean, and those not imported."""
    rows = [
        (
            one.kind,
            one.source,
            one.readings,
            _minute(one.first_ms),
            _minute(one.last_ms),
            one.outside_sessions,
            ", ".join(f"{count} {flag}" for flag, count in one.unusable.items()),
        )
        for one in taken
    ]
    heads = ("taken", "source", "readings", "first", "last", "in no session", "count in no mean")
    lines = list(common.table_lines(heads, rows)) if rows else []
    if refused:
        lines += common.table_lines(("not taken: file", "column", "rows", "why"), refused)
    for line in lines:
        click.echo(line)


def _tell_to_come(contents: FileContents) -> None:
    to_come = contents.staged.count_to_come()
    if to_come:
        click.echo(
            f"{counted(to_come)} of a time that is still to come: kept with the flag "
            "clock_differs, and in no mean. Correct the times in the file, or the clock of this "
            "machine."
        )


def _there(duplicates: int, verb: str) -> str:
    return f", {duplicates} {verb} there already" if duplicates else ""


def import_answer(done: ImportResult, placement: Placement) -> dict[str, object]:
    """Return the result of an import for programs."""
    nearest = placement.nearest
    return {
        "imported": done.inserted,
        "duplicates": done.duplicates,
        "readings": placement.readings,
        "outside_sessions": placement.outside,
        "nearest_session": None if nearest is None else asdict(nearest),
        "message": placement.sentence,
    }


def contents_answer(contents: FileContents) -> dict[str, object]:
    """Return the contents of a file for programs."""
    return {
        "format": contents.form or "CSV",
        "kinds": [asdict(row) for row in contents.staged.kinds()],
        "repeated": contents.staged.repeated,
        "differing": contents.staged.differing,
        "to_come": contents.staged.count_to_come(),
        "outside_period": contents.outside,
        "left_out": contents.passed_over.left_out,
        "reasons": contents.passed_over.reasons,
        "remarks": contents.passed_over.remarks,
    }


@cli.command()
@on_appliance
def lsl(here: Here) -> None:
    """Offer the data of the running agent as Lab Streaming Layer streams, until Ctrl-C.

    The Lab Streaming Layer has no encryption and no login: everybody in the same network can read
    the streams. Use it in a laboratory's own network only.
    """
    import asyncio

    from edge_agent.live.feed import SOCKET_NAME, live_messages
    from edge_agent.lsl.streams import FeedReader, StreamOptions, Streams

    settings = here.settings
    if settings.lsl.enabled:
        raise click.UsageError(
            "The agent offers its streams itself, since enabled = true in [lsl]. This command is "
            "not needed, or set it to false."
        )
    streams = Streams(StreamOptions(settings.device.name, settings.lsl))
    streams.offer_expression(settings.camera.source == "demo")
    if settings.vision.movements:
        streams.offer_movements(settings.camera.source == "demo")
    reader = FeedReader(streams, movements=settings.vision.movements)
    click.echo(
        "Streams are offered, readable for everybody in this network. Stop with Ctrl-C.", err=True
    )

    async def pass_on() -> None:
        this = asyncio.current_task()
        assert this is not None
        for each in (signal.SIGINT, signal.SIGTERM):
            # a shell's background job ignores Ctrl-C unless it is asked for
            asyncio.get_running_loop().add_signal_handler(each, this.cancel)
        async with aclosing(live_messages(here.folder / SOCKET_NAME)) as messages:
            async for message in messages:
                if message["type"] == "agent":
                    click.echo(f"The agent is {message['state']}.", err=True)
                reader.pass_on(message)

    with suppress(asyncio.CancelledError):
        asyncio.run(pass_on())
