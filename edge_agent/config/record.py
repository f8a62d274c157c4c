"""The section ``[record]``: what is written, and how long it is kept."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import EDITABLE, Section


class RecordSettings(Section):
    """What is written to the timeline, and how long it is kept."""

    interval: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Seconds summarized in one expression row; 0 records every frame",
        json_schema_extra=EDITABLE,
    )
    batch_rows: int = Field(
        60, ge=1, le=10_000, description="Most rows in one transaction", json_schema_extra=EDITABLE
    )
    batch_seconds: float = Field(
        10.0,
        ge=0.1,
        le=60,
        description="Longest time between two transactions, seconds",
        json_schema_extra=EDITABLE,
    )
    keep_days: int = Field(
        90,
        ge=1,
        le=36_500,
        description="Days for which expression rows are kept; rollups are kept longer",
    )
    keep_minutes_days: int = Field(
        400,
        ge=1,
        le=36_500,
        description="Days for which rollups by minute are kept, keep_days at least; hours stay",
    )
    keep_hours_days: int = Field(
        1_100,
        ge=1,
        le=36_500,
        description="Days for which rollups by hour are kept, as minutes at least; days stay",
    )
    budget_mb: int = Field(
        10_000,
        ge=300,
        le=100_000_000,
        description="Most MB for the database and its copies; the oldest rows are deleted",
    )
