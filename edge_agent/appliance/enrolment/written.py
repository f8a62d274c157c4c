"""Values that joining writes into the configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.config.editing.document import ConfigFile, checked, read_file, with_changes
from edge_agent.config.editing.keys import variable_of, written_value
from edge_agent.config.editing.saving import save
from edge_agent.core.errors import ConfigError


def current_values(config: Path, keys: Iterable[str]) -> dict[str, Any]:
    """Return what the configuration says for some keys; ``None``: nothing.

    Raises:
        ConfigError: it cannot be read.
    """
    written = tomllib.loads(read_file(config).text)
    return {key: written_value(written, key) for key in sorted(keys)}


def change_config(config: Path, changes: Mapping[str, Any]) -> None:
    """Write values into the configuration, once it was checked with them.

    Args:
        config: the file; comments and order stay.
        changes: value by key; ``None`` leaves the key out.

    Raises:
        ConfigError: the environment decides a key, the configuration would not be valid, or it
            cannot be written; it is as it was.
    """
    before = read_file(config)
    now = current_values(config, changes)
    changes = {key: value for key, value in changes.items() if value != now[key]}
    for key in changes:
        if (variable := variable_of(key)) is not None:
            raise ConfigError(f"The environment variable {variable} decides {key} here.")
    after = ConfigFile(config, with_changes(before.text, changes))
    checked(after)
    if after.text != before.text:
        save(before, after.text)
