"""The section ``[backup]``: where else the nightly copies go."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import HomePath, Section


class BackupSettings(Section):
    """Where else the nightly copies of the database go."""

    also: HomePath | None = Field(
        None,
        description="Folder of a USB stick or mounted share that gets a copy each night as well",
    )
