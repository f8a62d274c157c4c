"""``python -m collector``, which is ``affect-edge collect``."""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_agent.config.mqtt import MqttSettings
from edge_agent.core.addresses import Address, masked
from edge_agent.core.command_line import Command
from edge_agent.core.errors import AffectEdgeError, MqttError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.process import SystemdNotifier
from edge_agent.mqtt.broker import encryption, read_password

# They need libraries of an extra; without these the command says what to install.
if TYPE_CHECKING:
    from collector.messages import Transport
    from collector.worker import HealthReport

PATH = click.Path(path_type=Path)
PORTS = {("mqtt", False): 1883, ("mqtt", True): 8883, ("amqp", False): 5672, ("amqp", True): 5671}
"""Ports of a broker, by protocol and encryption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of the command line."""

    database: Address
    database_password_file: Path | None
    protocol: str
    hosts: tuple[str, ...]
    port: int | None
    username: str | None
    password_file: Path | None
    tls: bool
    ca_file: Path | None
    client_certificate: Path | None
    client_key: Path | None
    root: str
    health_file: Path | None
    name: str | None

    def database_password(self) -> str | None:
        """Read the password of the database, which may change while the collector runs."""
        return _password(self.database_password_file, "--database-password-file")

    def brokers(self) -> tuple[MqttSettings, ...]:
        """Return the connection to each host."""
        password = _password(self.password_file, "--password-file")
        return tuple(
            MqttSettings(
                host=host,
                port=self.port or PORTS[self.protocol, self.tls],
                username=self.username or None,
                password=password,
                tls=self.tls,
                ca_file=self.ca_file,
                client_certificate=self.client_certificate,
                client_key=self.client_key,
            )
            for host in self.hosts
        )


@click.command(cls=Command, context_settings={"auto_envvar_prefix": "AFFECT_EDGE_COLLECT"})
@click.option(
    "--database",
    required=True,
    help="Address of PostgreSQL, such as postgresql://collector@db.example/fleet, without a "
    "password.",
)
@click.option(
    "--database-password-file",
    type=PATH,
    help="File whose first line is the password of the account of the database; left out: "
    "libpq finds it (.pgpass), or none is needed.",
)
@click.option(
    "--protocol",
    type=click.Choice(["mqtt", "amqp"]),
    default="mqtt",
    show_default=True,
    help="Protocol of the broker: MQTT 5 (mosquitto, EMQX, HiveMQ), or AMQP for a quorum queue "
    "of RabbitMQ.",
)
@click.option(
    "--host",
    "hosts",
    multiple=True,
    default=["127.0.0.1"],
    show_default=True,
    help="Broker; with AMQP several times: the nodes of a cluster.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Left out: 1883 for MQTT, 5672 for AMQP; with --tls 8883 and 5671.",
)
@click.option("--username", help="Account at the broker.")
@click.option(
    "--password-file", type=PATH, help="File whose first line is the password of the account."
)
@click.option("--tls", is_flag=True, help="Encrypt, and check the broker's certificate.")
@click.option(
    "--ca-file",
    type=PATH,
    help="Certificate authority of the broker (PEM); left out: the system's.",
)
@click.option(
    "--client-certificate",
    type=PATH,
    help="Certificate for a broker that asks for one (PEM); with --client-key.",
)
@click.option("--client-key", type=PATH, help="Private key of that certificate (PEM).")
@click.option("--root", default="affect-edge", show_default=True, help="First part of the topics.")
@click.option(
    "--health-file",
    type=PATH,
    help="File with its state, written every two seconds, for affect-edge health --collector.",
)
@click.option(
    "--name", help="Name of this collector at the broker, unique for each; left out: from the host."
)
def collect(**given: Any) -> None:
    """Take the timelines of many appliances from a broker into PostgreSQL, until stopped."""
    log_to_stderr(form="%(levelname)s %(message)s")
    try:
        _collect(Options(**given | {"database": Address(given["database"])}))
    except ImportError as error:
        raise AffectEdgeError(
            f"The collector needs psycopg, cbor2 and, for AMQP, pika ({error}). On an installed "
            "machine: sudo ./install.sh --with fleet. In a checkout: .venv/bin/pip install -e "
            "'.[fleet]'."
        ) from error


def _collect(options: Options) -> None:
    """Collect until a signal comes."""
    import psycopg

    from collector.worker import Collector

    _check(options)
    brokers = options.brokers()
    options.database_password()  # before anything is waited for
    own_name = options.name or f"collector-{socket.gethostname()}"

    def connect() -> psycopg.Connection:
        try:  # anew: it may have been changed
            secret = options.database_password()
        except MqttError as error:  # tried again, as a database that is away
            raise psycopg.OperationalError(str(error)) from error
        try:
            return psycopg.connect(
                options.database.reveal(),
                password=secret,
                autocommit=True,
                connect_timeout=5,
                application_name=own_name,
            )
        except psycopg.OperationalError as error:  # it repeats parts of the address
            raise type(error)(options.database.hide_in(str(error))) from None

    transport = _transport(options.protocol, brokers, options.root, own_name)
    collector = Collector(transport, connect, _health(options.health_file))
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: collector.stop())
    collector.run()


def _check(options: Options) -> None:
    """Check the options before connecting."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        address = conninfo_to_dict(options.database.reveal())
    except ProgrammingError as error:
        raise click.BadParameter(
            f"{masked(options.database.shown)!r} is no address of PostgreSQL "
            f"({options.database.hide_in(str(error)).strip()}). Write it as "
            "postgresql://collector@db.example/fleet.",
            param_hint="--database",
        ) from error
    if not all(host.strip() for host in options.hosts):
        raise click.BadParameter("Give the name or address of the broker.", param_hint="--host")
    if len(options.hosts) > 1 and options.protocol != "amqp":
        raise click.UsageError("Several --host need --protocol amqp; with MQTT give one.")
    if options.database_password_file is not None and address.get("password"):
        raise click.UsageError(
            "Give the password of the database once: in --database-password-file, and not in the "
            "address."
        )
    if (options.client_certificate is None) != (options.client_key is None):
        raise click.UsageError("--client-certificate and --client-key go together: give both.")
    if options.client_certificate is not None and not options.tls:
        raise click.UsageError("--client-certificate needs --tls.")


def _password(file: Path | None, option: str) -> str | None:
    return read_password(file, option) if file is not None else None


def _health(file: Path | None) -> HealthReport | None:
    """Return the health report; ``None`` if neither a file nor systemd expects one."""
    systemd = SystemdNotifier.from_environment(os.environ)
    # Without a file and without systemd nobody would read a report.
    if file is None and "NOTIFY_SOCKET" not in os.environ:
        return None
    from collector.worker import HealthReport

    return HealthReport(file, systemd)


def _transport(protocol: str, brokers: tuple[MqttSettings, ...], root: str, name: str) -> Transport:
    context = encryption(brokers[0])
    if protocol == "amqp":
        from collector.amqp import AmqpTransport, QuorumQueue

        return AmqpTransport(QuorumQueue(brokers, root, name), context)
    from collector.mqtt import MqttTransport, SharedSubscription

    return MqttTransport(SharedSubscription(brokers[0], root, name), context)


def main() -> None:
    """Run the command; our own errors become one sentence and an exit code."""
    try:
        collect(prog_name="affect-edge collect")
    except AffectEdgeError as error:
        click.echo(f"affect-edge: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
