"""The section ``[data]``: where the database is kept."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge_agent.config.section import HomePath, Section


class DataSettings(Section):
    """Where the database is kept."""

    folder: HomePath = Field(
        Path("~/.local/share/affect-edge"), description="Folder of the database; `--data` wins"
    )
