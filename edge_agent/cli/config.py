"""The configuration from the command line: checked, and changed with its comments kept."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from edge_agent.cli.options import common_options, load


@click.group("config")
def config_group() -> None:
    """The configuration."""


@config_group.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@common_options
def config_check(file: Path | None, config: Path | None, data: Path | None) -> None:
    """Check a configuration file: unknown keys, wrong values, with their lines."""
    load(file or config, data)
    click.echo(f"{file or config or 'the configuration'} is right")


@config_group.command("set")
@click.argument("changes", metavar="KEY=VALUE…", nargs=-1, required=True)
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file (TOML).")
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
def config_set(changes: tuple[str, ...], config: Path | None, dry_run: bool) -> None:
    """Change values in the configuration file, such as `camera.fps=10`.

    Comments stay, the file of before stays beside it (.before), and nothing is written that
    `config check` would refuse. `KEY=` leaves the key out, so that its default holds.
    """
    from edge_agent.config import SYSTEM_FILE
    from edge_agent.config.editing.document import (
        ConfigFile,
        checked,
        difference,
        read_file,
        with_changes,
    )
    from edge_agent.config.editing.keys import restarts
    from edge_agent.config.editing.saving import save

    wanted = dict(_read(change) for change in changes)
    before = read_file(config or SYSTEM_FILE)
    settings = checked(before)
    after = ConfigFile(before.path, with_changes(before.text, wanted))
    checked(after)
    lines = difference(before, after, settings)
    click.echo("\n".join(lines) or "nothing to change")
    if dry_run or not lines:
        return
    copy = save(before, after.text)
    click.echo(f"written; before: {copy}")
    click.echo(f"to use it: sudo systemctl restart {' '.join(restarts(tuple(wanted)))}")


def _read(change: str) -> tuple[str, Any]:
    """Return key and value of an argument; ``None`` where the key is to be left out."""
    from edge_agent.config.editing.keys import all_keys, key_named

    name, equals, text = change.partition("=")
    if not equals or key_named(name) is None:
        sections = ", ".join(dict.fromkeys(key.section for key in all_keys()))
        raise click.UsageError(
            f"{change!r}: write KEY=VALUE with a key of the configuration, such as camera.fps=10. "
            f"Sections: {sections}."
        )
    if not text:
        return name, None
    try:
        return name, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return name, text  # a text without its quotes, as a shell hands it over
