"""Removed commands and options, refused for one release with the replacement."""

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
        "Install the earlier model by its name: affect-edge model install NAME. "
        "affect-edge model list shows the names."
    ),
}
"""Sentence for each removed command, such as ``model back`` (group and command)."""

NO_MULTIVERSE = (
    "Ask under other choices one by one, such as affect-edge analyse --window 20; analyse itself "
    "shows other windows, lags and settling times."
)
"""Sentence for the options about every set of choices."""

_Function = TypeVar("_Function", bound=Callable[..., object])


class RemovedCommand(click.Command):
    """A command that only names its replacement; lists of commands do not show it.

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
    """Add the removed commands to their groups.

    A group that was removed as a whole is listed by its own name.
    """
    for path, sentence in commands.items():
        group: click.Command = root
        for name in path.split()[:-1]:
            assert isinstance(group, click.Group)
            group = group.commands[name]
        assert isinstance(group, click.Group)
        group.add_command(RemovedCommand(path, sentence))


def is_removed(option: click.Option) -> bool:
    """Return whether an option was removed and only names its replacement."""
    return option.hidden and not option.expose_value


def removed_option(name: str, sentence: str) -> Callable[[_Function], _Function]:
    """Return a decorator that refuses a removed option with its replacement.

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
        # With an empty flag_value, click takes the option with a value and without one: both were
        # allowed.
        is_flag=False,
        flag_value="",
        default=None,
    )
