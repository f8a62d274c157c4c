"""The sections ``[data]``, ``[record]``, ``[backup]``, ``[summary]`` and ``[device]``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.section import Days, Editable, HomePath, Section


class DataSettings(Section):
    """The place where the database is kept."""

    folder: HomePath = Field(
        Path("~/.local/share/affect-edge"), description="Folder of the database; `--data` wins"
    )


class RecordSettings(Section):
    """The settings of the timeline: what is written to it, and how long it is kept."""

    interval: Editable[float] = Field(
        1.0,
        ge=0,
        le=60,
        title="Length of a recorded row, seconds",
        description="Seconds summarized in one expression row; 0 records every frame",
    )
    batch_rows: Editable[int] = Field(
        60,
        ge=1,
        le=10_000,
        title="Most rows written at once",
        description="Maximum number of rows in one transaction",
    )
    batch_seconds: Editable[float] = Field(
        10.0,
        ge=0.1,
        le=60,
        title="Longest time between writes, seconds",
        description="Longest time between two transactions, seconds",
    )
    keep_days: Days = Field(90, description="Days to keep expression rows; rollups are kept longer")
    keep_minutes_days: Days = Field(
        400, description="Days to keep rollups by minute, at least keep_days"
    )
    keep_hours_days: Days = Field(
        1_100,
        description="Days to keep rollups by hour, at least keep_minutes_days; daily ones stay",
    )
    budget_mb: int = Field(
        10_000,
        ge=300,
        le=100_000_000,
        description="Size limit of database and copies, MB; beyond it the oldest rows are deleted",
    )


class BackupSettings(Section):
    """A further place for the nightly copies of the database."""

    also: HomePath | None = Field(
        None,
        description="Folder of a USB stick or mounted share that gets a copy each night as well",
    )


class SummarySettings(Section):
    """The windows that are published."""

    window: Editable[float] = Field(
        10.0,
        ge=1,
        le=3600,
        title="Length of a summary, seconds",
        description="Length of one summary, seconds",
    )


class DeviceSettings(Section):
    """The name of this appliance."""

    name: str = Field(
        "affect-edge",
        pattern=r"^[A-Za-z0-9_-]{1,40}$",
        description="Name in MQTT topics and on pages",
    )


class RecorderOptions(RecordSettings):
    """Options of the recorder: the table ``[record]``, and what other tables say of its rows.

    Attributes:
        outbox_rows: messages kept in the outbox at the most.
        simulated: whether what the camera shows is a demonstration; marks every expression row.
        only_in_sessions: write no expression and no reading of a time outside sessions: what was
            seen just after a session ended, or a consent was withdrawn, is not kept.
        max_bytes: largest size of the database file; ``None`` is the size of the disk.
        memory_rows: rows that wait in memory at the most.
        retry_seconds: seconds between attempts after a failed commit.
    """

    outbox_rows: int = MqttSettings().outbox_rows
    simulated: bool = False
    only_in_sessions: bool = False
    max_bytes: int | None = None
    memory_rows: int = 20_000
    retry_seconds: float = 2.0
