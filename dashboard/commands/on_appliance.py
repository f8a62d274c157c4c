"""What the commands about accounts and tokens share: which appliance is meant, and who acts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dashboard.web.settings import options_from
from edge_agent.config import load_settings

ACTOR = "command line"
"""Who did it, in the audit trail."""


def on_appliance(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which appliance is meant, and hand its options to the command."""

    @click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="Configuration (TOML)."
    )
    @click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="Folder of the database; wins over the configuration.",
    )
    @functools.wraps(command)
    def run(config_file: Path | None, data: Path | None, **given: Any) -> None:
        command(options_from(load_settings(config_file), data), **given)

    return run
