"""Which tables are sent, and with which columns: version 1 of the stream.

The numbers and the order of the columns are part of what is sent. What they say is never changed;
a newer version of the stream may add to them.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.store.database.tables import NAMES, SMOOTHED

SCHEMA = 1
"""Version of the stream."""
BOOT_CHARACTERS = 8
"""Of the kernel's name of a start: enough to tell the starts of one machine apart. All 36 would
make a message of ten rows an eighth longer."""


@dataclass(frozen=True, slots=True)
class SentTable:
    """A table that is sent.

    Attributes:
        code: its number in the log of changes.
        name: of the table.
        columns: what is sent of a row, in this order.
        time: column of the time that places a row on the timeline; ``None``: it is part of the
            study.
        key: columns that name a row.
    """

    code: int
    name: str
    columns: tuple[str, ...]
    time: str | None = None
    key: tuple[str, ...] = ("id",)


EXPRESSION = SentTable(
    1,
    "expression",
    (
        *("id", "at", "boot_ms", "boot", "interval_ms", "track", "frames"),
        *NAMES,
        *SMOOTHED,
        *("emotion", "face_size", "quality", "is_primary", "simulated"),
    ),
    "at",
)
REJECTED = SentTable(
    2,
    "unfit",
    (
        *("id", "at", "boot_ms", "boot", "interval_ms", "track"),
        *("reason", "frames", "is_primary", "simulated"),
    ),
    "at",
)
VITAL = SentTable(
    3,
    "vital",
    ("at", "kind", "source", "value", "flags", "boot_ms", "boot", "device_time"),
    "at",
    ("at", "kind", "source"),
)
GAP = SentTable(
    4,
    "gap",
    ("id", "started", "ended", "source", "reason", "boot", "started_boot"),
    "started",
)
TIMELINE = (EXPRESSION, REJECTED, VITAL, GAP)
STUDY = (
    SentTable(
        5,
        "boot",
        ("id", "boot_id", "started_ms", "wall_minus_boot_ms", "synchronised", "moved_ms"),
    ),
    SentTable(6, "participant", ("id", "code", "created", "simulated", "boot")),
    SentTable(
        7,
        "consent",
        ("id", "participant", "text_version", "given", "withdrawn", "attributes"),
    ),
    SentTable(
        8,
        "session",
        (
            *("id", "participant", "purpose", "name", "started", "ended", "simulated", "setting"),
            *("origin", "boot", "boot_ms", "ended_boot", "ended_boot_ms"),
        ),
    ),
    SentTable(9, "marker", ("id", "session", "at", "boot_ms", "kind", "label", "boot")),
    SentTable(
        10, "self_report", ("id", "session", "at", "boot_ms", "condition", "scale", "value", "boot")
    ),
    SentTable(
        11,
        "protocol_run",
        (
            *("id", "session", "name", "title", "sha256", "order_row", "plan", "step"),
            *("spent_ms", "state", "reason", "saved", "saved_boot_ms", "boot"),
        ),
    ),
    SentTable(12, "participant_attribute", ("id", "participant", "name", "value")),
    SentTable(13, "model", ("id", "kind", "name", "version", "sha256", "since", "boot")),
    SentTable(14, "preregistration", ("id", "at", "document", "sha256")),
    SentTable(
        15,
        "vital_change",
        ("id", "at", "kind", "source", "value", "flags", "new_value", "changed", "boot"),
    ),
)
TABLES = (*STUDY, *TIMELINE)
"""In the order in which a copy sends them: the study first."""
BY_CODE = {table.code: table for table in TABLES}
BY_NAME = {table.name: table for table in TABLES}
