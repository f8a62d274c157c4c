"""What readings were before somebody corrected or removed them, as SQL."""

from __future__ import annotations

VITAL_CHANGES = (
    """CREATE TABLE vital_change (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL REFERENCES vital_kind(kind),
        source TEXT NOT NULL,
        value REAL NOT NULL,
        flags TEXT NOT NULL,
        new_value REAL,
        changed INTEGER NOT NULL,
        actor TEXT NOT NULL,
        boot INTEGER REFERENCES boot(id)
    ) STRICT""",
    "CREATE INDEX vital_change_at ON vital_change(at)",
)
