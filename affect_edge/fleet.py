"""The command that collects the timelines of many appliances: a program of its own.

The collector itself takes the same options.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--database",
        required=True,
        help="Address of PostgreSQL, such as postgresql://collector@db.example/fleet, without a "
        "password.",
    ),
    click.option(
        "--database-password-file",
        type=_PATH,
        help="File whose first line is the password of the account of the database; left out: "
        "libpq finds it (.pgpass), or none is needed.",
    ),
    click.option(
        "--protocol",
        type=click.Choice(["mqtt", "amqp"]),
        default="mqtt",
        show_default=True,
        help="Protocol of the broker: MQTT 5 (mosquitto, EMQX, HiveMQ), or AMQP for a quorum queue "
        "of RabbitMQ.",
    ),
    click.option(
        "--host",
        "hosts",
        multiple=True,
        default=["127.0.0.1"],
        show_default=True,
        help="Broker; with AMQP several times: the nodes of a cluster.",
    ),
    click.option(
        "--port",
        type=click.IntRange(1, 65535),
        help="Left out: 1883 for MQTT, 5672 for AMQP; with --tls 8883 and 5671.",
    ),
    click.option("--username", help="Account at the broker."),
    click.option(
        "--password-file", type=_PATH, help="File whose first line is the password of the account."
    ),
    click.option("--tls", is_flag=True, help="Encrypt, and check the broker's certificate."),
    click.option(
        "--ca-file",
        type=_PATH,
        help="Certificate authority of the broker (PEM); left out: the system's.",
    ),
    click.option(
        "--client-certificate",
        type=_PATH,
        help="Certificate for a broker that asks for one (PEM); with --client-key.",
    ),
    click.option("--client-key", type=_PATH, help="Private key of that certificate (PEM)."),
    click.option(
        "--root", default="affect-edge", show_default=True, help="First part of the topics."
    ),
    click.option(
        "--health-file",
        type=_PATH,
        help="File with its state, written every two seconds, for affect-edge health --collector.",
    ),
    click.option(
        "--name",
        help="Name of this collector at the broker, unique for each; left out: from the host.",
    ),
)


def collect_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the collector to a function, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(context_settings={"auto_envvar_prefix": "AFFECT_EDGE_COLLECT"})
@collect_options
def collect(**options: object) -> None:
    """Take the timelines of many appliances from a broker into PostgreSQL, until stopped."""
    words = []
    for name, value in options.items():
        word = f"--{name.replace('_', '-')}"
        if isinstance(value, tuple):
            words += [part for host in value for part in ("--host", str(host))]
        elif value is True:
            words.append(word)
        elif value not in (None, False):
            words += [word, str(value)]
    os.execv(sys.executable, [sys.executable, "-P", "-m", "collector", *words])
