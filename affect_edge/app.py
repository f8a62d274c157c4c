"""All commands in one group, commands without a group of their own, and the handling of errors.

Commands of the dashboard, a separate program, are passed on to it. It takes a second to load, which
is too long for the Tab key. Therefore its words for completion are in
``shell/dashboard_commands.json``, written by ``python -m tools.documents.write_manual``.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

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
from affect_edge.fleet import collect
from affect_edge.options import PATH, cli, load, place_options
from affect_edge.removed import add_removed
from edge_agent.core.errors import AffectEdgeError, ConfigError
from edge_agent.core.logs import log_to_stderr

WORDS = Path(__file__).parent / "shell" / "dashboard_commands.json"
NOTHING = {"takes": "nothing", "values": []}
PASSED_ON = {
    "protocol": "Check protocol files",
    "password": "Set another password for who has forgotten theirs",
    "account": "List, add, change and remove accounts of the dashboard",
    "analyse": "Run the dashboard's t-tests in the terminal",
    "compare-sensors": "Say how far two sources of a vital agree",
    "plan-study": "Say how many people a study needs",
}
"""Commands that the dashboard knows."""


class PassedOnCommand(click.Command):
    """A command of ``python -m dashboard``, which gets every word after its name.

    Example:
        >>> command = PassedOnCommand("analyse", "Run the dashboard's t-tests in the terminal")
        >>> context = click.Context(command, info_name="analyse")
        >>> [item.value for item in command.shell_complete(context, "--jso")]
        ['--json']
    """

    def __init__(self, name: str, what: str) -> None:
        def hand_on(arguments: tuple[str, ...]) -> None:
            # In place of this process: exit code and signals are the dashboard's own, and its
            # imports cost nothing here. -P keeps the working folder out of sys.path.
            os.execv(sys.executable, [sys.executable, "-P", "-m", "dashboard", name, *arguments])

        def complete(
            context: click.Context, _argument: click.Parameter, incomplete: str
        ) -> list[CompletionItem[str]]:
            return completions(name, given(context), incomplete)

        arguments = click.Argument(
            ["arguments"], nargs=-1, type=click.UNPROCESSED, shell_complete=complete
        )
        super().__init__(
            name,
            # Help and options are the dashboard's; click must neither answer nor reject them here.
            context_settings={"ignore_unknown_options": True},
            add_help_option=False,
            callback=hand_on,
            params=[arguments],
            help=f"{what} (see ``{name} --help``).",
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the options that the dashboard has for the words so far."""
        assert self.name is not None
        return completions(self.name, given(ctx), incomplete)


def given(context: click.Context) -> Sequence[str]:
    """Return the words after the command's name that are complete."""
    words: Sequence[str] = context.params.get("arguments") or ()
    return words


@cache
def _words() -> dict[str, Any]:
    """Return command → its options and commands; empty if the file is missing."""
    try:
        words: dict[str, Any] = json.loads(WORDS.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return words


def completions(command: str, words: Sequence[str], incomplete: str) -> list[CompletionItem[str]]:
    """Return the completions for a command of the dashboard.

    Args:
        command: its name.
        words: the complete words after it.
        incomplete: the word that is being typed.
    """
    node = _words().get(command, {"options": {}, "argument": NOTHING, "commands": {}})
    value_of: dict[str, Any] | None = None
    for word in words:
        option = node["options"].get(word)
        # The word after an option is its value, whatever it looks like.
        if value_of is None and option is not None and option["takes"] != "nothing":
            value_of = option
            continue
        value_of = None
        # An unknown word is an argument: the same command's completions go on.
        node = node["commands"].get(word, node)
    if value_of is None and (incomplete.startswith("-") or node["commands"]):
        names = node["options"] if incomplete.startswith("-") else node["commands"]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    value_of = value_of or node["argument"]
    if value_of["takes"] == "file":
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(one) for one in value_of["values"] if one.startswith(incomplete)]


@cli.command()
@place_options
def run(config: Path | None, data: Path | None) -> None:
    """Run the agent: camera, vitals, timeline, MQTT."""
    log_to_stderr()
    settings, folder = load(config, data)
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
    # In place of this process, as for the other commands of the dashboard.
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


for _name, _what in PASSED_ON.items():
    cli.add_command(PassedOnCommand(_name, _what))


cli.add_command(collect)
add_removed(cli)


# The one place that turns an error into a sentence: commands raise, and tests call `cli` itself.
def main() -> None:
    """Run the command line; our own errors become one sentence and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # a terminal or a file name of another encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    # Our matrices are small, and more threads of NumPy's algebra wait for each other: an analysis
    # took twice the processor time. NumPy reads it when a command loads it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        cli(prog_name="affect-edge")
    except ConfigError as error:
        click.echo(f"affect-edge: {error}", err=True)
        sys.exit(2)
    except AffectEdgeError as error:
        click.echo(f"affect-edge: {error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        drop_output()
        sys.exit(1)
    except OSError as error:
        # every room translates its own; what is left is mostly our output onto a full disk
        drop_output()
        what = error.filename or "the system refuses"
        if error.errno == errno.ENOSPC:
            what = "the output cannot be written"
        click.echo(f"affect-edge: {what} ({error.strerror or error}).", err=True)
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
