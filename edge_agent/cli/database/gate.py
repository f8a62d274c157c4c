"""``affect-edge database-gate``: runs the commands of a dashboard that may only read."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click

from edge_agent.cli.options import common_options, load, log_to_stderr
from edge_agent.store.gate.client import SOCKET


@click.command("database-gate")
@common_options
@click.option(
    "--socket",
    "address",
    type=click.Path(path_type=Path),
    default=SOCKET,
    show_default=True,
    help="Where programs come that may read the database and not write it.",
)
def database_gate(config: Path | None, data: Path | None, address: Path) -> None:
    """Run the commands of a dashboard that may only read the database."""
    log_to_stderr()
    settings, folder = load(config, data)
    from edge_agent.runtime.signals import StopSignals
    from edge_agent.runtime.systemd import SystemdNotifier
    from edge_agent.store.database.lock import lock_for_reading
    from edge_agent.store.database.schema import DATABASE_NAME, migrate
    from edge_agent.store.gate.commands import Commands
    from edge_agent.store.gate.server import Gate

    signals = StopSignals()
    database = folder / DATABASE_NAME
    migrate(database)
    commands = Commands(
        database,
        purposes=settings.dashboard.purposes,
        outbox_rows=settings.mqtt.outbox_rows,
    )
    with lock_for_reading(database), Gate(commands, address) as keeper:
        # from a thread of its own: who serves cannot wait for its own end
        signals.call(lambda: threading.Thread(target=keeper.stop).start())
        notifier = SystemdNotifier.from_environment(os.environ)
        notifier.ready()
        keeper.serve(notifier.watchdog, notifier.watchdog_interval_s)
        notifier.stopping()
