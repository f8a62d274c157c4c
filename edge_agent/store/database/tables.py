"""The tables of the timeline, as SQL. ``docs/data.md`` describes each column with unit and meaning.

All tables are STRICT. Times are UTC epoch milliseconds; ``boot_ms`` counts milliseconds since the
machine started, on the clock that never jumps. Names avoid SQL keywords, so that nobody with a
SQLite browser has to quote them.
"""

from __future__ import annotations

from edge_agent.core.expression import EMOTIONS, RejectReason
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.store.database.vital_kinds import CHECK_OF_FIRST_KINDS

NAMES = tuple(emotion.value for emotion in EMOTIONS)
SMOOTHED = tuple(f"smoothed_{name}" for name in NAMES)
SUMS = tuple(f"sum_{name}" for name in NAMES)
COUNTS = tuple(f"count_{name}" for name in NAMES)
MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ADDED = ("rows", "frames", "uncertain", "simulated", *SUMS, *COUNTS)
"""Columns of a rollup of expressions, all of them sums."""


def _one_of(values: type[RejectReason | MarkerKind | Purpose] | tuple[str, ...]) -> str:
    """Return the values as the inside of an SQL ``IN (…)``."""
    return ", ".join(f"'{value}'" for value in values)


def _columns(names: tuple[str, ...], rule: str) -> str:
    """Return one column definition for each name."""
    return ",\n        ".join(f"{name} {rule.format(name=name)}" for name in names)


_PER_MILLE = "INTEGER NOT NULL CHECK ({name} BETWEEN 0 AND 1000)"
_COUNT = "INTEGER NOT NULL DEFAULT 0"
_FLAG = "INTEGER NOT NULL DEFAULT 0 CHECK ({name} IN (0, 1))"
_FIRST_MARKERS = ("stimulus_start", "stimulus_end", "note")  # those of the first version
# those of the third
_FIRST_FLAWS = ("too_small", "turned_away", "too_dark", "too_bright", "blurred")
_FLAWS_BEFORE_COVERED = ("cut_off", *_FIRST_FLAWS)
_SIMULATED = f"simulated {_FLAG.format(name='simulated')}"

_MARKER_INDEX = "CREATE INDEX marker_session ON marker(session, at)"
_REJECTED_FRAMES_INDEX = "CREATE INDEX unfit_at ON unfit(at)"


def _marker_table(name: str, kinds: type[MarkerKind] | tuple[str, ...]) -> str:
    return f"""CREATE TABLE {name} (
        id INTEGER PRIMARY KEY,
        session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        boot_ms INTEGER,
        kind TEXT NOT NULL CHECK (kind IN ({_one_of(kinds)})),
        label TEXT NOT NULL
    ) STRICT"""


def _rejected_frames_table(name: str, flaws: type[RejectReason] | tuple[str, ...]) -> str:
    return f"""CREATE TABLE {name} (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        boot_ms INTEGER,
        boot INTEGER REFERENCES boot(id),
        interval_ms INTEGER NOT NULL CHECK (interval_ms >= 0),
        track INTEGER NOT NULL,
        reason TEXT NOT NULL CHECK (reason IN ({_one_of(flaws)})),
        frames INTEGER NOT NULL CHECK (frames >= 1),
        is_primary {_FLAG.format(name="is_primary")},
        {_SIMULATED}
    ) STRICT"""


def _expression_rollup(name: str) -> str:
    return f"""CREATE TABLE {name} (
        at INTEGER PRIMARY KEY,
        rows {_COUNT},
        frames {_COUNT},
        uncertain {_COUNT},
        simulated {_COUNT},
        {_columns(SUMS, _COUNT)},
        {_columns(COUNTS, _COUNT)}
    ) STRICT"""


def _vital_rollup(name: str) -> str:
    return f"""CREATE TABLE {name} (
        kind TEXT NOT NULL,
        at INTEGER NOT NULL,
        n {_COUNT},
        total REAL NOT NULL DEFAULT 0,
        least REAL,
        most REAL,
        flagged {_COUNT},
        simulated {_COUNT},
        PRIMARY KEY (kind, at)
    ) STRICT, WITHOUT ROWID"""


_TIMELINE = (
    """CREATE TABLE boot (
        id INTEGER PRIMARY KEY,
        boot_id TEXT NOT NULL,
        started_ms INTEGER NOT NULL,
        wall_minus_boot_ms INTEGER NOT NULL,
        synchronised INTEGER NOT NULL CHECK (synchronised IN (0, 1))
    ) STRICT""",
    f"""CREATE TABLE expression (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        boot_ms INTEGER,
        boot INTEGER REFERENCES boot(id),
        interval_ms INTEGER NOT NULL CHECK (interval_ms >= 0),
        track INTEGER NOT NULL,
        frames INTEGER NOT NULL CHECK (frames >= 1),
        {_columns(NAMES, _PER_MILLE)},
        {_columns(SMOOTHED, _PER_MILLE)},
        emotion TEXT CHECK (emotion IN ({_one_of(NAMES)})),
        face_size REAL NOT NULL,
        quality REAL NOT NULL,
        is_primary {_FLAG.format(name="is_primary")},
        {_SIMULATED}
    ) STRICT""",
    "CREATE INDEX expression_at ON expression(at)",
    _expression_rollup("expression_minute"),
    _expression_rollup("expression_hour"),
    f"""CREATE TABLE vital (
        at INTEGER NOT NULL,
        kind TEXT NOT NULL {CHECK_OF_FIRST_KINDS},
        source TEXT NOT NULL,
        value REAL NOT NULL,
        flags TEXT NOT NULL DEFAULT '',
        boot_ms INTEGER,
        boot INTEGER REFERENCES boot(id),
        PRIMARY KEY (at, kind, source)
    ) STRICT, WITHOUT ROWID""",
    _vital_rollup("vital_minute"),
    _vital_rollup("vital_hour"),
    """CREATE TABLE gap (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER NOT NULL,
        reason TEXT NOT NULL,
        boot INTEGER REFERENCES boot(id)
    ) STRICT""",
    "CREATE INDEX gap_started ON gap(started)",
    """CREATE TABLE model (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        since INTEGER NOT NULL
    ) STRICT""",
)

_STUDY = (
    f"""CREATE TABLE participant (
        id INTEGER PRIMARY KEY,
        code TEXT NOT NULL UNIQUE COLLATE NOCASE,
        created INTEGER NOT NULL,
        {_SIMULATED}
    ) STRICT""",
    """CREATE TABLE consent (
        id INTEGER PRIMARY KEY,
        participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
        text_version TEXT NOT NULL,
        given INTEGER NOT NULL,
        withdrawn INTEGER
    ) STRICT""",
    "CREATE INDEX consent_participant ON consent(participant)",
    f"""CREATE TABLE session (
        id INTEGER PRIMARY KEY,
        participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
        purpose TEXT NOT NULL CHECK (purpose IN ({_one_of(Purpose)})),
        name TEXT NOT NULL,
        started INTEGER NOT NULL,
        ended INTEGER CHECK (ended >= started),
        {_SIMULATED}
    ) STRICT""",
    "CREATE INDEX session_started ON session(started)",
    "CREATE INDEX session_participant ON session(participant)",
    # The rule "one open session" holds whichever program writes.
    "CREATE UNIQUE INDEX session_open ON session((ended IS NULL)) WHERE ended IS NULL",
    _marker_table("marker", _FIRST_MARKERS),
    _MARKER_INDEX,
)

_OUTBOX = (
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        topic TEXT NOT NULL,
        seq INTEGER,
        payload TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT""",
    "CREATE TABLE outbox_seq (topic TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT",
)

_DASHBOARD = (
    "CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE COLLATE NOCASE,
        password_hash TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE login (
        token_hash TEXT PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        detail TEXT NOT NULL DEFAULT ''
    ) STRICT""",
)

TABLES = (*_TIMELINE, *_STUDY, *_OUTBOX, *_DASHBOARD)
DEVICE_TIME = ("ALTER TABLE vital ADD COLUMN device_time TEXT",)
REJECTED_FRAMES = (_rejected_frames_table("unfit", _FIRST_FLAWS), _REJECTED_FRAMES_INDEX)
# SQLite cannot change a CHECK: the table is made anew.
BASELINE_MARKERS = (
    _marker_table("marker_with_baselines", MarkerKind),
    "INSERT INTO marker_with_baselines SELECT id, session, at, boot_ms, kind, label FROM marker",
    "DROP TABLE marker",
    "ALTER TABLE marker_with_baselines RENAME TO marker",
    _MARKER_INDEX,
)
CUT_OFF = (
    _rejected_frames_table("unfit_with_cut_off", _FLAWS_BEFORE_COVERED),
    "INSERT INTO unfit_with_cut_off SELECT * FROM unfit",
    "DROP TABLE unfit",
    "ALTER TABLE unfit_with_cut_off RENAME TO unfit",
    _REJECTED_FRAMES_INDEX,
)
COVERED = (
    _rejected_frames_table("unfit_with_covered", RejectReason),
    "INSERT INTO unfit_with_covered SELECT * FROM unfit",
    "DROP TABLE unfit",
    "ALTER TABLE unfit_with_covered RENAME TO unfit",
    _REJECTED_FRAMES_INDEX,
)
TOKENS = (
    """CREATE TABLE token (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        token_hash TEXT NOT NULL UNIQUE,
        scope TEXT NOT NULL,
        created INTEGER NOT NULL,
        created_by TEXT NOT NULL,
        used INTEGER,
        revoked INTEGER
    ) STRICT""",
)
DAYS = (_expression_rollup("expression_day"), _vital_rollup("vital_day"))
ORIGIN = ("ALTER TABLE session ADD COLUMN origin TEXT NOT NULL DEFAULT ''",)
SET_ASIDE = (
    """CREATE TABLE set_aside (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        source TEXT NOT NULL,
        content TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT""",
)
# What a log-in leaves: attempts outlive a restart, and a login that nobody uses ends.
ATTEMPTS = (
    """CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        who TEXT NOT NULL,
        at INTEGER NOT NULL
    ) STRICT""",
    "ALTER TABLE login ADD COLUMN used INTEGER NOT NULL DEFAULT 0",
    "UPDATE login SET used = created",
)
_ROLES = ("viewer", "operator", "researcher", "administrator")
# Who may what, from where a login came, and the seals of the audit. Who had an account before there
# were roles could do everything, and still can.
ROLES = (
    f"ALTER TABLE account ADD COLUMN role TEXT NOT NULL DEFAULT 'viewer' CHECK (role IN {_ROLES})",
    "UPDATE account SET role = 'administrator'",
    "ALTER TABLE account ADD COLUMN disabled INTEGER",
    "ALTER TABLE account ADD COLUMN must_change INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE account ADD COLUMN link_hash TEXT",
    "ALTER TABLE account ADD COLUMN link_expires INTEGER",
    "ALTER TABLE login ADD COLUMN address TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE login ADD COLUMN browser TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE audit ADD COLUMN seal TEXT",
)
# What a token may, up to which role, until when, and whose it is. Tokens of before handed in
# readings, and still do: those whose maker may not do so any more belong to nobody.
TOKEN_SCOPES = (
    f"ALTER TABLE token ADD COLUMN role TEXT NOT NULL DEFAULT 'operator' CHECK (role IN {_ROLES})",
    "ALTER TABLE token ADD COLUMN account INTEGER",
    "ALTER TABLE token ADD COLUMN expires INTEGER",
    "UPDATE token SET scope = 'readings' WHERE scope = 'vitals'",
    """UPDATE token SET account = (
        SELECT account.id FROM account WHERE account.name = token.created_by
        AND account.created <= token.created AND account.role <> 'viewer'
        AND account.disabled IS NULL
    )""",
)
# Under which key the file of credentials keeps the second factor of an account; NULL: it has none.
SECOND_FACTOR = ("ALTER TABLE account ADD COLUMN second_factor TEXT",)
# How the appliance was, a row a minute, for one day: nothing about a person.
HEALTH = (
    """CREATE TABLE health_minute (
        at INTEGER PRIMARY KEY,
        fps REAL,
        frames_dropped INTEGER NOT NULL,
        rows_dropped INTEGER NOT NULL,
        celsius REAL,
        disk_free INTEGER
    ) STRICT""",
)
# What a person should look at or should have looked at, and whom it was sent to.
ALERTS = (
    """CREATE TABLE alert (
        id INTEGER PRIMARY KEY,
        rule TEXT NOT NULL,
        kind TEXT NOT NULL,
        text TEXT NOT NULL,
        value REAL,
        session INTEGER REFERENCES session(id) ON DELETE CASCADE,
        raised INTEGER NOT NULL,
        raised_boot INTEGER REFERENCES boot(id),
        ended INTEGER,
        ended_boot INTEGER REFERENCES boot(id),
        ending TEXT,
        quiet INTEGER NOT NULL CHECK (quiet IN (0, 1)),
        acknowledged INTEGER,
        acknowledged_boot INTEGER REFERENCES boot(id),
        acknowledged_by TEXT
    ) STRICT""",
    "CREATE UNIQUE INDEX alert_open ON alert(rule) WHERE ended IS NULL",
    "CREATE INDEX alert_raised ON alert(raised)",
    "CREATE INDEX alert_session ON alert(session)",
    """CREATE TABLE alert_message (
        alert INTEGER NOT NULL REFERENCES alert(id) ON DELETE CASCADE,
        event TEXT NOT NULL CHECK (event IN ('raised', 'ended')),
        target TEXT NOT NULL,
        tries INTEGER NOT NULL,
        sent INTEGER,
        error TEXT NOT NULL,
        PRIMARY KEY (alert, event, target)
    ) STRICT""",
)
# The parts of what is so, for the language of who reads it; rows of before keep their sentence.
ALERT_PARTS = ("ALTER TABLE alert ADD COLUMN parts TEXT",)
# What a fleet is still to be told of; empty where there is none. Triggers write it, made on demand.
FLEET = (
    """CREATE TABLE fleet_state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch TEXT NOT NULL,
        stream TEXT NOT NULL,
        confirmed INTEGER NOT NULL DEFAULT 0,
        quiet INTEGER NOT NULL DEFAULT 0
    ) STRICT""",
    """CREATE TABLE fleet_change (
        seq INTEGER PRIMARY KEY,
        what INTEGER NOT NULL,
        a INTEGER,
        b INTEGER,
        more TEXT
    ) STRICT""",
)
IMPORTS = (
    """CREATE TABLE import (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        file TEXT NOT NULL,
        actor TEXT NOT NULL,
        readings INTEGER NOT NULL,
        duplicates INTEGER NOT NULL,
        undone INTEGER
    ) STRICT""",
    "ALTER TABLE vital ADD COLUMN import INTEGER",
)
