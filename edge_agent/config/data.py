"""The section ``[data]``: where the database is kept."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from edge_agent.config.section import HomePath, Section, at_home
from edge_agent.core.errors import StoreError

LOCKED_NAME = "LOCKED"
"""A file that is seen in the data folder only while the encrypted one is not mounted over it."""


def data_folder(named: Path) -> Path:
    """Return the data folder as a whole path.

    Raises:
        ConfigError: it lies in a home folder that there is not.
        StoreError: it is encrypted, and locked now. Nothing may be written beneath it.
    """
    folder = at_home(named)
    if os.path.exists(folder / LOCKED_NAME):  # noqa: PTH110 - false where it may not be seen
        raise StoreError(
            f"{folder}: is encrypted, and locked now. To unlock it: sudo affect-edge unlock"
        )
    return folder


class DataSettings(Section):
    """Where the database is kept."""

    folder: HomePath = Field(
        Path("~/.local/share/affect-edge"), description="Folder of the database; `--data` wins"
    )
