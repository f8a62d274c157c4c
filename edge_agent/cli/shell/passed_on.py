"""Commands that are handed on to the dashboard, a program of its own.

It takes a second to load, which is too long for the Tab key: ``dashboard_commands.json`` beside
this file, written by ``python -m tools.documents.write_manual``, holds its words for completion.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

WORDS = Path(__file__).with_name("dashboard_commands.json")
NOTHING = {"takes": "nothing", "values": []}


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
    """Return command → its options and commands; nothing where the file is missing."""
    try:
        words: dict[str, Any] = json.loads(WORDS.read_text(encoding="utf-8"))
    except OSError:
        return {}
    return words


def completions(command: str, words: Sequence[str], incomplete: str) -> list[CompletionItem[str]]:
    """Return what may follow the words of a command of the dashboard.

    Args:
        command: its name.
        words: what stands after it, complete.
        incomplete: the word that is being typed.
    """
    node = _words().get(command, {"options": {}, "argument": NOTHING, "commands": {}})
    value_of: dict[str, Any] | None = None
    for word in words:
        option = node["options"].get(word)
        if value_of is None and option is not None and option["takes"] != "nothing":
            value_of = option
            continue
        value_of = None
        node = node["commands"].get(word, node)
    if value_of is None and (incomplete.startswith("-") or node["commands"]):
        names = node["options"] if incomplete.startswith("-") else node["commands"]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
    value_of = value_of or node["argument"]
    if value_of["takes"] == "file":
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(one) for one in value_of["values"] if one.startswith(incomplete)]
