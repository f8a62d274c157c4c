"""Exit codes of the dashboard's commands; our errors and wrong use become one sentence each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from edge_agent.core.advice import printable_lines
from edge_agent.core.errors import AffectEdgeError

CONFIG = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="Configuration (TOML)."
)
DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the database; overrides the configuration.",
)
DONE = 0
FAILED = 1
WRONG_USE = 2


def run_command(
    command: click.Command, arguments: Sequence[str] | None, name: str, *, interrupted: int = FAILED
) -> int:
    """Run a command and return its exit code: 0 done, 1 failed while running, 2 wrong use or
    configuration.

    Args:
        command: what to run.
        arguments: its words; ``None`` takes those of the program.
        name: how help and errors call it.
        interrupted: the exit code after Ctrl-C.
    """
    try:
        ended = command.main(
            None if arguments is None else list(arguments), prog_name=name, standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return WRONG_USE
    except AffectEdgeError as error:
        click.echo(f"Error: {printable_lines(error)}", err=True)
        return error.exit_code
    except PermissionError as error:
        what = printable_lines(error.filename or "the system refuses")
        click.echo(f"Error: {what}: this user may not. Run it as who owns the folder.", err=True)
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return interrupted
    # click hands back the code of an early end, such as --help
    if isinstance(ended, int):
        return ended
    return DONE
