"""``affect-edge compare-sensors``: how far two sources of one vital agree."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dashboard.commands.exit_codes import run_command
from edge_agent.core.vitals import VitalKind


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Configuration (TOML)."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the database; overrides the configuration.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@click.option("--session", type=int, multiple=True, help="Only this session; can be repeated.")
@click.option(
    "--vital",
    multiple=True,
    type=click.Choice([kind.value for kind in VitalKind if kind is not VitalKind.RR_INTERVAL]),
    help="Only this vital; can be repeated. Default: all.",
)
def compare_sensors_command(
    config_file: Path | None,
    data: Path | None,
    *,
    as_json: bool,
    session: tuple[int, ...],
    vital: tuple[str, ...],
) -> None:
    """Compare sources that measured the same vital in the same minutes of sessions."""
    from dashboard.analysis.sensors.comparison import compare_sensors
    from dashboard.web.settings import options_from
    from edge_agent.config import load_settings
    from edge_agent.store.read.reader import Reader

    kinds = [VitalKind(name) for name in vital] or [
        kind for kind in VitalKind if kind is not VitalKind.RR_INTERVAL
    ]
    options = options_from(load_settings(config_file), data)
    compared = compare_sensors(Reader(options.database), kinds, session)
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in compared], indent=2))
        return
    if not compared:
        click.echo("No two sources measured the same vital in the same minute of a session.")
    for one in compared:
        click.echo(one.sentence)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 failed while running, 2 wrong use."""
    return run_command(compare_sensors_command, arguments, "affect-edge compare-sensors")
