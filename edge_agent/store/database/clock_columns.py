"""The columns that say which clock a time was read from, as SQL."""

from __future__ import annotations

STAMPS = (
    ("participant", "created", "boot"),
    ("consent", "given", "given_boot"),
    ("consent", "withdrawn", "withdrawn_boot"),
    ("marker", "at", "boot"),
    ("self_report", "at", "boot"),
    ("protocol_run", "saved", "boot"),
    ("audit", "at", "boot"),
    ("model", "since", "boot"),
    ("outbox", "created", "boot"),
)
"""Table, column of a time, and column of the row of ``boot`` that it was read under."""

_BOOT = "INTEGER REFERENCES boot(id)"

CLOCK_COLUMNS = (
    "ALTER TABLE boot ADD COLUMN moved_ms INTEGER NOT NULL DEFAULT 0",
    f"ALTER TABLE gap ADD COLUMN started_boot {_BOOT}",
    "UPDATE gap SET started_boot = boot",
    *(f"ALTER TABLE {table} ADD COLUMN {boot} {_BOOT}" for table, _, boot in STAMPS),
    f"ALTER TABLE session ADD COLUMN boot {_BOOT}",
    "ALTER TABLE session ADD COLUMN boot_ms INTEGER",
    f"ALTER TABLE session ADD COLUMN ended_boot {_BOOT}",
    "ALTER TABLE session ADD COLUMN ended_boot_ms INTEGER",
)
