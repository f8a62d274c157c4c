"""All commands in one group, commands without a group of their own, and the handling of errors."""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from affect_edge import (  # noqa: F401 - each of them adds its commands
    access,
    appliance,
    backup,
    export,
    faces,
    markers,
    models,
    pictures,
    study,
    vitals,
)
from affect_edge.options import PATH, LateCommand, cli, load, place_options
from affect_edge.output import print_printable
from dashboard.commands import COMMANDS
from edge_agent.config.removed import add_removed
from edge_agent.core.advice import printable_lines
from edge_agent.core.errors import AffectEdgeError
from edge_agent.core.logs import log_to_stderr
from edge_agent.core.owners import Owner

LATE: Mapping[str, tuple[str, str]] = {
    **COMMANDS,
    "collect": (
        "collector.__main__:collect",
        "Take the timelines of many appliances from a broker into PostgreSQL, until stopped.",
    ),
}
"""Commands of other products → ``module:name``, and the line in the list of commands."""


@cli.command()
@place_options
def run(config: Path | None, data: Path | None) -> None:
    """Run the agent: camera, vitals, timeline, MQTT."""
    log_to_stderr()
    settings, folder = load(config, data)
    if settings.doubt:
        logging.getLogger(__name__).warning("the configuration needs a change: %s", settings.doubt)
    from edge_agent.core.process import give_back_after_start, share_one_heap

    share_one_heap()  # before libraries start threads
    from edge_agent.agent.loop import Agent
    from edge_agent.core.process import StopSignals

    signals = StopSignals()
    agent = Agent(settings, folder)
    signals.call(agent.stop)
    give_back_after_start()
    leave(agent.run())


@cli.command()
@place_options
@click.option("--host", help="Address to listen on. Beyond this machine a certificate is needed.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--certificate", type=PATH, help="TLS certificate (PEM).")
@click.option("--key", type=PATH, help="Private key of the certificate (PEM).")
@click.option(
    "--login-link", is_flag=True, help="Print an address that logs in its first visitor, once."
)
def dashboard(login_link: bool, **options: object) -> None:
    """Serve the dashboard."""
    words = ["--login-link"] if login_link else []
    for name, value in options.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    # In place of this process: what the commands loaded would stay as long as the dashboard runs,
    # 1.4 MB. -P keeps the working folder out of sys.path.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "dashboard", *words])


@cli.command()
@place_options
@click.option(
    "--seconds", type=click.IntRange(1, 366 * 86_400), help="End by itself after this long."
)
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the dashboard.")
def demo(config: Path | None, data: Path | None, seconds: int | None, port: int | None) -> None:
    """Run the demonstration: agent, dashboard, demo camera, simulated vitals, an example study."""
    log_to_stderr()
    from affect_edge.demo import run_demo

    leave(run_demo(config, data, seconds, port))


for _name, (_place, _summary) in LATE.items():
    cli.add_command(LateCommand(_name, _place, _summary))
add_removed(cli)


# The one place that turns an error into a sentence: commands raise, and tests call `cli` itself.
def main() -> None:
    """Run the command line; our own errors become one sentence and an exit code."""
    print_printable()
    # Our matrices are small, and more threads of NumPy's algebra wait for each other: an analysis
    # took twice the processor time. NumPy reads it when a command loads it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if sys.flags.no_user_site:  # installed with ``-s``, which holds for what is started here, too
        os.environ["PYTHONNOUSERSITE"] = "1"
    # Information would mix with the answer on a terminal; agent and dashboard log more.
    log_to_stderr(logging.WARNING)
    was_root = os.geteuid() == 0
    try:
        cli(prog_name="affect-edge")
    except AffectEdgeError as error:
        # For root, whom this user is not: else nobody knows why root may not read its own file.
        who = ""
        if was_root and os.geteuid():
            who = f" Root works there as {Owner(os.geteuid(), 0).name}, whose folder it is."
        click.echo(f"affect-edge: {printable_lines(error)}{who}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        drop_output()
        sys.exit(1)
    except OSError as error:
        # every room translates its own; what is left is mostly our output onto a full disk
        drop_output()
        what = error.filename or "the system refuses"
        if error.errno == errno.ENOSPC:
            what = "the output cannot be written"
        if isinstance(error, PermissionError):
            what = f"{what}: this user may not. Run it as the user that owns the folder, or by sudo"
        click.echo(f"affect-edge: {printable_lines(what)} ({error.strerror or error}).", err=True)
        sys.exit(1)


def leave(code: int) -> NoReturn:
    """End the process without waiting for a thread that hangs in a driver."""
    if any(thread.daemon for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        # The usual end would stop the thread inside C++, which aborts the process: a core dump.
        os._exit(code)
    sys.exit(code)


def drop_output() -> None:
    """Discard buffered output, so that Python's exit does not fail on the closed pipe."""
    if sys.stdout is not None:
        # Python flushes stdout at its end, would fail on the closed pipe again, and would print a
        # traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
