"""The section ``[fleet]``: the stream of the timeline to where many appliances report, and the
profiles that come from there.
"""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import Section
from edge_agent.config.updates.section import Published


class FleetSettings(Section):
    """Whether the timeline is sent to ``affect-edge collect``, through the broker of ``[mqtt]``,
    and whether profiles are taken.
    """

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
    profiles: Published | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Address (https://…) or folder from which signed configuration profiles and "
        "models are taken by themselves; left out: from nowhere; set it by `affect-edge "
        "fleet-profile follow`",
    )
