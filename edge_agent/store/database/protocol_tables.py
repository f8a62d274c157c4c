"""The tables of protocol runs, self-reports, preregistrations and attributes, as SQL."""

from __future__ import annotations

from edge_agent.core.attributes import AttributeUse
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.study import SessionSetting

NONE_OF_THESE = "none"
POINTS = 9
_FELT = ", ".join(f"'{name}'" for name in (*EMOTIONS, NONE_OF_THESE))
_SETTINGS = ", ".join(f"'{setting}'" for setting in SessionSetting)
_USES = ", ".join(f"'{use}'" for use in AttributeUse)

PROTOCOLS = (
    f"""ALTER TABLE session ADD COLUMN setting TEXT NOT NULL DEFAULT '{SessionSetting.OTHER}'
        CHECK (setting IN ({_SETTINGS}))""",
    """CREATE TABLE protocol_run (
        id INTEGER PRIMARY KEY,
        session INTEGER NOT NULL UNIQUE REFERENCES session(id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        title TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        order_row INTEGER NOT NULL,
        plan TEXT NOT NULL,
        step INTEGER NOT NULL DEFAULT 0,
        spent_ms INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL CHECK (state IN ('running', 'paused', 'finished', 'ended')),
        reason TEXT NOT NULL DEFAULT '',
        token TEXT,
        saved INTEGER NOT NULL,
        saved_boot_ms INTEGER NOT NULL
    ) STRICT""",
    f"""CREATE TABLE self_report (
        id INTEGER PRIMARY KEY,
        session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        boot_ms INTEGER,
        condition TEXT,
        scale TEXT NOT NULL,
        value ANY NOT NULL,
        CHECK ((scale = 'emotion' AND value IN ({_FELT}))
            OR (scale IN ('valence', 'arousal') AND typeof(value) = 'integer'
                AND value BETWEEN 1 AND {POINTS}))
    ) STRICT""",
    "CREATE INDEX self_report_session ON self_report(session, at)",
)

PREREGISTRATIONS = (
    """CREATE TABLE preregistration (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        document TEXT NOT NULL,
        sha256 TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER preregistration_is_frozen BEFORE UPDATE ON preregistration
        BEGIN SELECT raise(ABORT, 'a preregistration is never changed'); END""",
    """CREATE TRIGGER preregistration_stays BEFORE DELETE ON preregistration
        BEGIN SELECT raise(ABORT, 'a preregistration is never deleted'); END""",
)
"""What was decided before the data; only a newer one can be added."""

ATTRIBUTES = (
    f"""ALTER TABLE consent ADD COLUMN attributes TEXT NOT NULL DEFAULT '{AttributeUse.NONE}'
        CHECK (attributes IN ({_USES}))""",
    """CREATE TABLE participant_attribute (
        id INTEGER PRIMARY KEY,
        participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        UNIQUE (participant, name)
    ) STRICT""",
)
"""What is told of participants, and what their consents say of it."""
