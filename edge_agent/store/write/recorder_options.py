"""How the recorder gathers, marks and keeps rows."""

from __future__ import annotations

from edge_agent.config.mqtt import MqttSettings
from edge_agent.config.record import RecordSettings


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
