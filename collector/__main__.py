"""``python -m collector``, which is ``affect-edge collect``."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from pathlib import Path

import click

from edge_agent.cli.fleet.options import collect_options
from edge_agent.core.errors import AffectEdgeError
from edge_agent.mqtt.broker import Broker, read_password
from edge_agent.mqtt.connecting.encryption import encryption


@click.command()
@collect_options
def collect(
    database: str,
    host: str,
    port: int,
    username: str | None,
    password_file: Path | None,
    tls: bool,
    ca_file: Path | None,
    root: str,
    name: str | None,
) -> None:
    """Take the timelines of many appliances from a broker into PostgreSQL, until stopped."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    import psycopg

    from collector.mqtt import MqttTransport, SharedSubscription
    from collector.worker import Collector

    password = read_password(password_file) if password_file is not None else None
    broker = Broker(host, port, username, password, tls=tls, ca_file=ca_file)
    options = SharedSubscription(broker, root, name or f"collector-{socket.gethostname()}")

    def connect() -> psycopg.Connection:
        return psycopg.connect(
            database, autocommit=True, connect_timeout=5, application_name=options.name
        )

    collector = Collector(MqttTransport(options, encryption(broker)), connect)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: collector.stop())
    collector.run()


def main() -> None:
    """Run the command; our own errors become one sentence and an exit code."""
    try:
        collect(prog_name="affect-edge collect", auto_envvar_prefix="AFFECT_EDGE_COLLECT")
    except ImportError as error:
        click.echo(
            f"affect-edge: the collector needs psycopg and cbor2 ({error}). On an installed "
            "machine: sudo ./install.sh --with fleet. In a checkout: .venv/bin/pip install -e "
            "'.[fleet]'.",
            err=True,
        )
        sys.exit(1)
    except AffectEdgeError as error:
        click.echo(f"affect-edge: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
