"""Commands and options that are gone: refused for one release, with what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from edge_agent.core.errors import ConfigError

_PLAYBOOK = (
    "Set keys on one appliance with `affect-edge config set`, and on many with the Ansible "
    "playbook of docs/fleet.md."
)
_ACCOUNT = (
    "Make the account of a device on the broker's machine: affect-edge mqtt-user add NAME. "
    "docs/fleet.md says how the device gets it."
)
_ENCRYPTION = "docs/encryption.md shows how to encrypt the data folder with cryptsetup."
COMMANDS: Mapping[str, str] = {
    "encrypt-data": _ENCRYPTION,
    "unlock": _ENCRYPTION,
    "fleet-enrol": _ACCOUNT,
    "fleet-join": _ACCOUNT,
    "fleet-profile": _PLAYBOOK,
    "fleet-rollout": _PLAYBOOK,
    "model back": (
        "Name the model of before: affect-edge model install NAME. "
        "affect-edge model list shows which there are."
    ),
}
"""Sentence for each command that is gone, such as ``model history`` (group and command)."""

NO_MULTIVERSE = (
    "Ask under other choices one by one, such as affect-edge analyse --window 20; analyse itself "
    "shows other windows, lags and settling times."
)
"""Sentence for the options about every set of choices."""

_Function = TypeVar("_Function", bound=Callable[..., object])


class RemovedCommand(click.Command):
    """A command that only says what to do instead; no list of commands shows it.

    Args:
        path: group and name, as they are typed.
        sentence: what to do instead.
    """

    def __init__(self, path: str, sentence: str) -> None:
        def refuse(**_arguments: object) -> None:
            raise ConfigError(f"{path}: this command was removed. {sentence}")

        super().__init__(
            path.rsplit(" ", 1)[-1],
            context_settings={"ignore_unknown_options": True},
            add_help_option=False,
            callback=refuse,
            params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
            hidden=True,
            help=f"This command was removed. {sentence}",
        )


def add_removed(root: click.Group, commands: Mapping[str, str] = COMMANDS) -> None:
    """Add the commands that are gone to their groups.

    A group that is gone as a whole stands in ``commands`` by its own name.
    """
    for path, sentence in commands.items():
        group: click.Command = root
        for name in path.split()[:-1]:
            assert isinstance(group, click.Group)
            group = group.commands[name]
        assert isinstance(group, click.Group)
        group.add_command(RemovedCommand(path, sentence))


def is_removed(option: click.Option) -> bool:
    """Tell whether an option only says what to do instead."""
    return option.hidden and not option.expose_value


def removed_option(name: str, sentence: str) -> Callable[[_Function], _Function]:
    """Return a decorator that refuses an option that is gone, with what to do instead.

    Args:
        name: of the option, such as ``--check``; it may be given with a value.
        sentence: what to do instead.
    """

    def refuse(_context: click.Context, _parameter: click.Parameter, value: object) -> None:
        if value is not None:
            raise ConfigError(f"{name}: this option was removed. {sentence}")

    return click.option(
        name,
        hidden=True,
        expose_value=False,
        callback=refuse,
        is_flag=False,
        flag_value="",
        default=None,
    )
