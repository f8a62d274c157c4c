"""The commands about sensors."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_agent.cli.options import common_options, json_option, load, log_to_stderr

if TYPE_CHECKING:
    from edge_agent.core.sensors import FoundSensor


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
