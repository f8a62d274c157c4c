"""What several commands have in common: their options, the configuration, the log."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

if TYPE_CHECKING:
    from edge_agent.config import Settings

P = ParamSpec("P")

ACTOR = "command line"
"""Name of the command line in the audit trail."""


def common_options(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--config`` and ``--data``."""
    config = click.option(
        "--config", type=click.Path(path_type=Path), help="Configuration file (TOML)."
    )
    data = click.option(
        "--data", type=click.Path(path_type=Path), help="Data folder; wins over the configuration."
    )
    return config(data(command))


def json_option(command: Callable[P, None]) -> Callable[P, None]:
    """Give a command ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON only.")(command)


def load(config: Path | None, data: Path | None) -> tuple[Settings, Path]:
    """Read the configuration and settle the data folder."""
    from edge_agent.config import at_home, load_settings

    settings = load_settings(config)
    return settings, at_home(data or settings.data.folder)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send the log to standard error; under systemd the journal adds the time."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    if under_systemd:
        form = "%(levelname)s %(name)s: %(message)s"
    else:
        form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=level, format=form, datefmt="%H:%M:%S", stream=sys.stderr, force=True)
