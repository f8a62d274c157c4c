"""``affect-edge fleet-join``: this device joins a fleet by a code that is good once."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.options import log_to_stderr
from edge_agent.core.errors import EnrolmentError, UpdateError


@click.command("fleet-join")
@click.argument("address")
@click.option(
    "--code-file",
    type=click.File("r"),
    help="File with the code; -: from standard input. Left out: it is asked for.",
)
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.option("--no-restart", is_flag=True, help="Leave the services to you.")
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file (TOML).")
def fleet_join(
    address: str, code_file: Any, yes: bool, no_restart: bool, config: Path | None
) -> None:
    """Join a fleet with the code that was made for this device.

    ADDRESS is what was shown with the code. Fetches an account of its own at the fleet's broker,
    proves it, and writes the configuration. The code is no argument: others would see it.
    """
    if os.geteuid() != 0:
        raise EnrolmentError(
            "Only root can let this device join a fleet; put sudo before the command."
        )
    log_to_stderr(logging.WARNING)
    from edge_agent.appliance.enrolment.asking import server_at
    from edge_agent.appliance.enrolment.code import parse_code
    from edge_agent.appliance.enrolment.joining import FleetJoin
    from edge_agent.config import SYSTEM_FILE

    server = server_at(address)
    text = code_file.read(1_000) if code_file else click.prompt("Code", hide_input=False)
    join = FleetJoin(
        config or SYSTEM_FILE,
        server,
        parse_code(text),
        lambda step: click.echo(f"• {step}"),
        lambda lines: _agree(lines, yes),
    )
    joined = join.run()
    click.echo(f"This device has joined as {joined.device}. Before: {joined.before}")
    _restart(joined.changes, no_restart)


def _agree(lines: Sequence[str], yes: bool) -> bool:
    click.echo("\n".join(lines) or "nothing to change")
    if yes:
        return True
    if not sys.stdin.isatty():
        click.echo("Give --yes where nobody can be asked.", err=True)
        return False
    return click.confirm("Write this?", default=True)


def _restart(changes: Mapping[str, Any], left: bool) -> None:
    from edge_agent.appliance.update import systemctl
    from edge_agent.config.editing.keys import restarts

    units = restarts(tuple(changes))
    command = f"sudo systemctl restart {' '.join(units)}"
    if left:
        click.echo(f"to use it: {command}")
        return
    try:
        systemctl("try-restart", *(f"{unit}.service" for unit in units))
    except UpdateError as error:
        click.echo(f"The services were not started again. {error}", err=True)
        click.echo(f"to use it: {command}")
