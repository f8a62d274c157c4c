"""``python -m dashboard``: serve the dashboard, or run one of its commands without a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from dashboard.commands import COMMANDS
from dashboard.commands.exit_codes import CONFIG, DATA, DONE, run_command
from edge_agent.config.loading import load_settings
from edge_agent.core.command_line import Command
from edge_agent.core.logs import PLAIN, log_to_stderr


@click.command(
    cls=Command,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="See also: affect-edge analyse",
)
@CONFIG
@DATA
@click.option("--host", help="Address to listen on. Beyond this machine a certificate is needed.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--certificate", type=click.Path(path_type=Path), help="TLS certificate (PEM).")
@click.option(
    "--key", type=click.Path(path_type=Path), help="Private key of the certificate (PEM)."
)
@click.option(
    "--login-link", is_flag=True, help="Print an address that logs in its first visitor, once."
)
def serve_command(
    config_file: Path | None, data: Path | None, login_link: bool, **changes: Any
) -> None:
    """Serve the web dashboard of Affect Edge over the data folder of an agent."""
    from dashboard.web.options import options_from
    from dashboard.web.server import serve
    from edge_agent.timeline.database.dashboard_file import become_owner

    given = {name: value for name, value in changes.items() if value is not None}
    settings = load_settings(config_file, {"dashboard": given} if given else None)
    options = options_from(settings, data)
    become_owner(options.database)
    serve(options, with_login_link=login_link)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code: 0 done, 1 failed while running, 2 wrong use or
    configuration.
    """
    words = sys.argv[1:] if arguments is None else arguments
    log_to_stderr(form=PLAIN)
    if words and words[0] in COMMANDS:
        name, *rest = words
        place, _ = COMMANDS[name]
        return run_command(resolve_name(place), rest, f"affect-edge {name}")
    # Ctrl-C before the server listened; afterwards it ends in order by itself.
    return run_command(serve_command, words, "python -m dashboard", interrupted=DONE)


if __name__ == "__main__":
    sys.exit(main())
