"""The section ``[summary]``: the windows that are published."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import EDITABLE, Section


class SummarySettings(Section):
    """The windows that are published."""

    window: float = Field(
        10.0,
        ge=1,
        le=3600,
        description="Length of one summary, seconds",
        json_schema_extra=EDITABLE,
    )
