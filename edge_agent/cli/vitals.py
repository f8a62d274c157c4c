"""The commands about sensors of heart rate and blood pressure."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr
from edge_agent.core.errors import DataFileError

if TYPE_CHECKING:
    from edge_agent.core.sensors import FoundSensor
    from edge_agent.store.study.placement import Placement
    from edge_agent.store.write.imports import ImportResult
    from edge_agent.vitals.csv_columns import ColumnMap, DateOrder


@click.command("import-vitals")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--timezone",
    help="Zone of times that name none, such as Europe/Berlin; else such times are refused.",
)
@click.option(
    "--map",
    "columns",
    metavar="WHAT=COLUMN",
    multiple=True,
    help="Which column says what, such as --map at=Date --map heart_rate='Pulse (bpm)'; --map "
    "guess goes by the names.",
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
    help="How dates are written, with --map.",
)
@common_options
@json_option
def import_vitals(
    file: Path,
    timezone: str | None,
    columns: tuple[str, ...],
    units: tuple[str, ...],
    dates: DateOrder,
    config: Path | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Import heart rate and blood pressure from a CSV file: all of it, or nothing.

    The answer says how many of them lie in no session: these are in no test.
    """
    log_to_stderr(logging.WARNING)
    _settings, folder = load(config, data)
    from edge_agent.store.database.schema import DATABASE_NAME, migrate
    from edge_agent.store.study.placement import Placement
    from edge_agent.store.write.imports import import_readings
    from edge_agent.vitals.csv import read_readings

    readings = read_readings(file, zone_of(timezone), column_map(file, columns, units, dates))
    migrate(folder / DATABASE_NAME)
    placement = Placement.of_database(folder / DATABASE_NAME)
    done = import_readings(folder / DATABASE_NAME, placement.watch(readings))
    if as_json:
        click.echo(json.dumps(import_answer(done, placement)))
        return
    if done.duplicates:
        there = f", {done.duplicates} were there already"
    else:
        there = ""
    click.echo(f"{done.inserted} {'reading' if done.inserted == 1 else 'readings'} imported{there}")
    if placement.outside:
        click.echo(placement.sentence)


def import_answer(done: ImportResult, placement: Placement) -> dict[str, object]:
    """Return what became of a file of readings, for programs."""
    nearest = placement.nearest
    return {
        "imported": done.inserted,
        "duplicates": done.duplicates,
        "readings": placement.readings,
        "outside_sessions": placement.outside,
        "nearest_session": None if nearest is None else asdict(nearest),
        "message": placement.sentence,
    }


def zone_of(name: str | None) -> tzinfo | None:
    """Return the time zone of a name such as ``Europe/Berlin``."""
    from edge_agent.vitals.csv_columns import zone_named

    try:
        return zone_named(name or "")
    except DataFileError as error:
        raise click.BadParameter(str(error)) from error


def column_map(
    file: Path, columns: tuple[str, ...], units: tuple[str, ...], dates: DateOrder
) -> ColumnMap | None:
    """Return what ``--map``, ``--unit`` and ``--dates`` say; ``None`` when they say nothing."""
    from edge_agent.vitals.csv import read_file
    from edge_agent.vitals.csv_columns import ColumnMap, guess_columns

    given = [word for word in columns if word != "guess"]
    chosen = pairs_of("--map", given)
    of_units = pairs_of("--unit", units)
    if not columns:
        if of_units or dates != "iso":
            raise click.UsageError("--unit and --dates go with --map: say which columns there are.")
        return None
    if "guess" in columns:
        guessed = guess_columns(read_file(file).header)
    else:
        guessed = ColumnMap({})
    return ColumnMap({**guessed.columns, **chosen}, {**guessed.units, **of_units}, dates)


def pairs_of(option: str, words: Iterable[str]) -> dict[str, str]:
    """Return what stands before and behind the ``=`` of each word."""
    pairs = [word.partition("=") for word in words]
    wrong = next(
        (name + value for name, sign, value in pairs if not (name and sign and value)), None
    )
    if wrong is not None:
        raise click.UsageError(f"{option} {wrong}: write {option} NAME=VALUE.")
    return {name.strip(): value.strip() for name, _, value in pairs}


@click.group()
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
@common_options
@json_option
def vitals_scan(seconds: float, config: Path | None, data: Path | None, as_json: bool) -> None:
    """Find Bluetooth sensors in reach, and print the lines to put into the configuration."""
    log_to_stderr(logging.ERROR)
    settings, _folder = load(config, data)
    from edge_agent.vitals.bluetooth import scan_sensors

    sensors = scan_sensors(seconds, settings.vitals.bluetooth.adapter)
    if as_json:
        click.echo(json.dumps([asdict(sensor) for sensor in sensors]))
        return
    for sensor in sensors:
        click.echo(describe_sensor(sensor))
    click.echo(
        "\nPut the lines of yours into `devices` under [vitals.bluetooth] in "
        f"{config or 'the configuration'}, then restart the agent."
        if sensors
        else f"No strap or cuff was heard within {seconds:g} s. A strap speaks while it is worn "
        "(wet its electrodes), a cuff for some seconds after a measurement; and neither "
        "while a phone or watch holds it.",
        err=not sensors,
    )


def describe_sensor(sensor: FoundSensor) -> str:
    """Say in words what ``vitals scan --json`` says, with the lines for the configuration below."""
    parts = [
        sensor.name or "(no name)",
        sensor.address,
        "connected to this machine" if sensor.rssi is None else f"{sensor.rssi} dBm",
        " and ".join(kind.value.replace("_", " ") for kind in sensor.kinds),
    ]
    if sensor.battery_percent is not None:
        parts.append(f"battery {sensor.battery_percent} %")
    return "\n".join(
        [", ".join(parts), *(f"  {sensor.config_line(kind)}" for kind in sensor.kinds)]
    )
