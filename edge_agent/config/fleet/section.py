"""The section ``[fleet]``: the stream of the timeline to where many appliances report."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import Section


class FleetSettings(Section):
    """The stream to ``affect-edge collect``, through the broker of ``[mqtt]``."""

    enabled: bool = Field(
        False,
        description="Whether every change of the timeline and the study is sent to a collector",
    )
    backlog_mb: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Disk for the list of changes that the collector has not confirmed, megabytes",
    )
