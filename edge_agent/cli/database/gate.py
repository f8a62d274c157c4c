"""``affect-edge database-gate``: writes the database for the dashboard, which may only read it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import click

from edge_agent.cli.options import common_options, load, log_to_stderr
from edge_agent.store.database.gate.client import SOCKET


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
    """Write the database for programs of another user: the study, not the timeline."""
    log_to_stderr()
    _, folder = load(config, data)
    from edge_agent.runtime.signals import StopSignals
    from edge_agent.runtime.systemd import SystemdNotifier
    from edge_agent.store.database.lock import lock_for_reading
    from edge_agent.store.database.schema import DATABASE_NAME, migrate
    from edge_agent.store.gatekeeper.keeper import Gatekeeper

    signals = StopSignals()
    database = folder / DATABASE_NAME
    migrate(database)
    with lock_for_reading(database), Gatekeeper(database, address) as keeper:
        # from a thread of its own: who serves cannot wait for its own end
        signals.call(lambda: threading.Thread(target=keeper.stop).start())
        notifier = SystemdNotifier.from_environment(os.environ)
        notifier.ready()
        keeper.serve(notifier.watchdog, notifier.watchdog_interval_s)
        notifier.stopping()
