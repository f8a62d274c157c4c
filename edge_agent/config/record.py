"""The section ``[record]``: what is written, and how long it is kept."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import Section


class RecordSettings(Section):
    """What is written to the timeline, and how long it is kept."""

    interval: float = Field(
        1.0, ge=0, le=60, description="Seconds in one expression row; 0 records every frame"
    )
    batch_rows: int = Field(60, ge=1, le=10_000, description="Rows in one transaction at the most")
    batch_seconds: float = Field(
        10.0, ge=0.1, le=60, description="Seconds between transactions at the most"
    )
    keep_days: int = Field(
        90, ge=1, le=36_500, description="Days that expression rows are kept; rollups stay"
    )
    budget_mb: int = Field(
        10_000,
        ge=300,
        le=100_000_000,
        description="MB that the database and its copies may take; the oldest rows go",
    )
