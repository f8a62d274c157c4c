"""What the outbox needs beyond its queue: when a message was made, and what became of lost ones."""

from __future__ import annotations

from edge_agent.store.database.stream_epoch import STREAM_EPOCH

OUTBOX_STREAM = (
    *STREAM_EPOCH,
    "ALTER TABLE outbox ADD COLUMN boot_id TEXT",
    "ALTER TABLE outbox ADD COLUMN boot_ms INTEGER",
    # BLOB: what is set aside may be no text at all.
    """CREATE TABLE outbox_set_aside (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        seq INTEGER,
        payload BLOB NOT NULL,
        created INTEGER NOT NULL,
        at INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE outbox_hole (
        id INTEGER PRIMARY KEY,
        epoch TEXT NOT NULL,
        topic TEXT NOT NULL,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
        reason TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT""",
)
