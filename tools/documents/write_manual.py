"""Write the manual page and the scripts for completion from the commands themselves.

    python -m tools.documents.write_manual    what stands below affect_edge/shell

The manual is one page, ``affect-edge.1``, with every command and option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from textwrap import wrap

import click
from click.shell_completion import get_completion_class

from affect_edge import cli
from affect_edge.options import LateCommand
from edge_agent import __version__
from tools.rooms import ROOT

FOLDER = ROOT / "affect_edge" / "shell"
NAME = "affect-edge"
COLUMNS = 79
DATE = "2026-11-22"
"""A manual page has one; it changes when a person changes what this file says by itself."""
MANUAL = FOLDER / "affect-edge.1"
SCRIPTS = {"bash": "bash/affect-edge", "zsh": "zsh/_affect-edge", "fish": "fish/affect-edge.fish"}
"""Shell → the file that it finds by its name."""
HEAD = r"""'\" t
.\" Written by tools/documents/write_manual.py; do not edit.
.TH AFFECT\-EDGE 1 "{date}" "Affect Edge {version}" "User Commands"
.ad l
.SH NAME
affect\-edge \- expressions and vital signs on one timeline
.SH SYNOPSIS
.B affect\-edge
.RI [ OPTION ]
.I COMMAND
.RI [ ARGUMENT .\|.\|.]
.SH DESCRIPTION
Affect Edge reads facial expressions from a camera on the computer itself,
keeps no picture, and stores the numbers with heart rate and blood pressure on
one timeline in one SQLite file.
Each command explains itself with
.BR \-\-help .
On an installed appliance, commands that need its data are run as
.BR "sudo \-u affect\-edge affect\-edge" .
.SH OPTIONS
"""
TAIL = r""".SH ENVIRONMENT
.TP
.B AFFECT_EDGE_SECTION__KEY
sets a key of the configuration and wins over the file:
.B AFFECT_EDGE_MQTT__HOST=broker.local
is
.B host
under
.BR [mqtt] .
.SH FILES
.TP
.I /etc/affect\-edge/affect\-edge.toml
the configuration of an installed appliance
.TP
.I /var/lib/affect\-edge/affect\-edge.db
its timeline, an SQLite database
.TP
.I ~/.local/share/affect\-edge
the data folder where none is configured
.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
failed while running
.TP
.B 2
wrong use or configuration
"""


def context_of(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """Return what click writes a help text from."""
    return click.Context(command, parent, name, help_option_names=["-h", "--help"])


def walk(
    group: click.Group, context: click.Context
) -> Iterator[tuple[click.Context, click.Command]]:
    """Yield every command that does something, in the order of their names."""
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        whole = command.loaded() if isinstance(command, LateCommand) else command
        inner = context_of(whole, name, context)
        if isinstance(whole, click.Group):
            yield from walk(whole, inner)
        else:
            yield inner, whole


def escaped(text: str) -> str:
    """Return a text that roff prints as it is, in short lines that are no requests."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("``", "")
    plain = plain.replace("'", r"\(aq").replace("…", r".\|.\|.")
    # mandoc counts such a letter as the eight of its escape, \[u00B5].
    more = min(7 * sum(not letter.isascii() for letter in plain), 14)
    lines = wrap(plain, COLUMNS - more, break_long_words=False, break_on_hyphens=False)
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in lines)


def paragraphs(text: str) -> Iterator[str]:
    """Yield the lines of a help text; blank ones begin a paragraph."""
    for number, part in enumerate(re.split(r"\n\s*\n", cleandoc(text))):
        if number:
            yield ".PP"
        yield escaped(part)


def option_lines(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield an entry for each option of a command."""
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if not isinstance(parameter, click.Option) or record is None:
            continue
        yield ".TP"
        yield rf"\fB{escaped(record[0])}\fR"
        yield escaped(record[1]) or r"\&"


def command_lines(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the part of the page about one command."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f".SS {escaped(context.command_path)}"
    yield ".nh"
    yield rf"\fB{escaped(usage)}\fR"
    yield ".hy"
    yield ".PP"
    yield from paragraphs(command.help or "")
    yield from option_lines(command, context)


def manual() -> str:
    """Return the manual page, for man(1)."""
    top = context_of(cli, NAME)
    lines = [HEAD.format(version=__version__, date=DATE).rstrip("\n")]
    lines += option_lines(cli, top)
    lines.append(".SH COMMANDS")
    for context, command in walk(cli, top):
        lines += command_lines(command, context)
    return "\n".join([*lines, TAIL])


def script(shell: str) -> str:
    """Return what makes a shell complete the words of the command."""
    maker = get_completion_class(shell)
    assert maker is not None
    return maker(cli, {}, NAME, "_AFFECT_EDGE_COMPLETE").source()


def written() -> dict[Path, str]:
    """Return every file and what belongs in it."""
    files = {FOLDER / name: script(shell) for shell, name in SCRIPTS.items()}
    return {MANUAL: manual(), **files}


def main() -> None:
    """Write the files."""
    for file, text in written().items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file)


if __name__ == "__main__":
    main()
