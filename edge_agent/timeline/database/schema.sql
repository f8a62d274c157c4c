-- The tables of the timeline. docs/data.md and the codebook describe each column.
--
-- All tables are STRICT. Times are UTC epoch milliseconds; boot_ms counts milliseconds since the
-- machine started, on the clock that never jumps. A column named boot or ending in _boot is the row
-- of boot that its time was read under. Names avoid SQL keywords, so that nobody with a SQLite
-- browser has to quote them. Another schema needs another VERSION in schema.py, and a step to it in
-- upgrade_steps.py.

CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    applied INTEGER NOT NULL
) STRICT;

-- The timeline

CREATE TABLE boot (
    id INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    wall_minus_boot_ms INTEGER NOT NULL,
    synchronised INTEGER NOT NULL CHECK (synchronised IN (0, 1)),
    moved_ms INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE expression (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    boot INTEGER REFERENCES boot(id),
    interval_ms INTEGER NOT NULL CHECK (interval_ms >= 0),
    track INTEGER NOT NULL,
    frames INTEGER NOT NULL CHECK (frames >= 1),
    neutral INTEGER NOT NULL CHECK (neutral BETWEEN 0 AND 1000),
    happiness INTEGER NOT NULL CHECK (happiness BETWEEN 0 AND 1000),
    surprise INTEGER NOT NULL CHECK (surprise BETWEEN 0 AND 1000),
    sadness INTEGER NOT NULL CHECK (sadness BETWEEN 0 AND 1000),
    anger INTEGER NOT NULL CHECK (anger BETWEEN 0 AND 1000),
    disgust INTEGER NOT NULL CHECK (disgust BETWEEN 0 AND 1000),
    fear INTEGER NOT NULL CHECK (fear BETWEEN 0 AND 1000),
    contempt INTEGER NOT NULL CHECK (contempt BETWEEN 0 AND 1000),
    smoothed_neutral INTEGER NOT NULL CHECK (smoothed_neutral BETWEEN 0 AND 1000),
    smoothed_happiness INTEGER NOT NULL CHECK (smoothed_happiness BETWEEN 0 AND 1000),
    smoothed_surprise INTEGER NOT NULL CHECK (smoothed_surprise BETWEEN 0 AND 1000),
    smoothed_sadness INTEGER NOT NULL CHECK (smoothed_sadness BETWEEN 0 AND 1000),
    smoothed_anger INTEGER NOT NULL CHECK (smoothed_anger BETWEEN 0 AND 1000),
    smoothed_disgust INTEGER NOT NULL CHECK (smoothed_disgust BETWEEN 0 AND 1000),
    smoothed_fear INTEGER NOT NULL CHECK (smoothed_fear BETWEEN 0 AND 1000),
    smoothed_contempt INTEGER NOT NULL CHECK (smoothed_contempt BETWEEN 0 AND 1000),
    emotion TEXT CHECK (emotion IN
        ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt')),
    face_size REAL NOT NULL,
    quality REAL NOT NULL,
    is_primary INTEGER NOT NULL DEFAULT 0 CHECK (is_primary IN (0, 1)),
    simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)),
    import INTEGER,
    attribution TEXT NOT NULL DEFAULT ''
        CHECK (attribution IN ('', 'declared', 'seat', 'alone', 'leading', 'unknown'))
        CHECK (attribution = '' OR is_primary = (attribution <> 'unknown'))
) STRICT;
CREATE INDEX expression_at ON expression(at);

CREATE TABLE unfit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    boot INTEGER REFERENCES boot(id),
    interval_ms INTEGER NOT NULL CHECK (interval_ms >= 0),
    track INTEGER NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN
        ('cut_off', 'too_small', 'turned_away', 'too_dark', 'too_bright', 'blurred', 'covered')),
    frames INTEGER NOT NULL CHECK (frames >= 1),
    is_primary INTEGER NOT NULL DEFAULT 0 CHECK (is_primary IN (0, 1)),
    simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)),
    import INTEGER,
    attribution TEXT NOT NULL DEFAULT ''
        CHECK (attribution IN ('', 'declared', 'seat', 'alone', 'leading', 'unknown'))
        CHECK (attribution = '' OR is_primary = (attribution <> 'unknown'))
) STRICT;
CREATE INDEX unfit_at ON unfit(at);

-- Movements and look in per mille, angles in tenths of a degree; NULL where the program that read
-- the face (source; empty: ours) does not tell them.
CREATE TABLE movement (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    boot INTEGER REFERENCES boot(id),
    interval_ms INTEGER NOT NULL CHECK (interval_ms >= 0),
    track INTEGER NOT NULL,
    frames INTEGER NOT NULL CHECK (frames >= 1),
    brow_down INTEGER CHECK (brow_down BETWEEN 0 AND 1000),
    brow_inner_up INTEGER CHECK (brow_inner_up BETWEEN 0 AND 1000),
    brow_outer_up INTEGER CHECK (brow_outer_up BETWEEN 0 AND 1000),
    eye_blink INTEGER CHECK (eye_blink BETWEEN 0 AND 1000),
    eye_squint INTEGER CHECK (eye_squint BETWEEN 0 AND 1000),
    eye_wide INTEGER CHECK (eye_wide BETWEEN 0 AND 1000),
    cheek_squint INTEGER CHECK (cheek_squint BETWEEN 0 AND 1000),
    nose_sneer INTEGER CHECK (nose_sneer BETWEEN 0 AND 1000),
    upper_lip_up INTEGER CHECK (upper_lip_up BETWEEN 0 AND 1000),
    lower_lip_down INTEGER CHECK (lower_lip_down BETWEEN 0 AND 1000),
    smile INTEGER CHECK (smile BETWEEN 0 AND 1000),
    frown INTEGER CHECK (frown BETWEEN 0 AND 1000),
    lip_stretch INTEGER CHECK (lip_stretch BETWEEN 0 AND 1000),
    lip_press INTEGER CHECK (lip_press BETWEEN 0 AND 1000),
    pucker INTEGER CHECK (pucker BETWEEN 0 AND 1000),
    jaw_open INTEGER CHECK (jaw_open BETWEEN 0 AND 1000),
    yaw INTEGER CHECK (yaw BETWEEN -1800 AND 1800),
    pitch INTEGER CHECK (pitch BETWEEN -1800 AND 1800),
    roll INTEGER CHECK (roll BETWEEN -1800 AND 1800),
    look_x INTEGER CHECK (look_x BETWEEN -1000 AND 1000),
    look_y INTEGER CHECK (look_y BETWEEN -1000 AND 1000),
    is_primary INTEGER NOT NULL DEFAULT 0 CHECK (is_primary IN (0, 1)),
    simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)),
    source TEXT NOT NULL DEFAULT '',
    import INTEGER,
    attribution TEXT NOT NULL DEFAULT ''
        CHECK (attribution IN ('', 'declared', 'seat', 'alone', 'leading', 'unknown'))
        CHECK (attribution = '' OR is_primary = (attribution <> 'unknown'))
) STRICT;
CREATE INDEX movement_at ON movement(at);

CREATE TABLE vital_kind (
    kind TEXT PRIMARY KEY,
    unit TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO vital_kind (kind, unit) VALUES
    ('heart_rate', '/min'),
    ('systolic', 'mm[Hg]'),
    ('diastolic', 'mm[Hg]'),
    ('mean_arterial', 'mm[Hg]'),
    ('rr_interval', 's'),
    ('oxygen_saturation', '%'),
    ('skin_temperature', 'Cel'),
    ('respiration_rate', '/min'),
    ('body_temperature', 'Cel'),
    ('skin_conductance', 'uS'),
    ('blink_rate', '/min'),
    ('blink_duration', 'ms'),
    ('body_motion', 'm[g]');

CREATE TABLE vital (
    at INTEGER NOT NULL,
    kind TEXT NOT NULL REFERENCES vital_kind(kind),
    source TEXT NOT NULL,
    value REAL NOT NULL,
    flags TEXT NOT NULL DEFAULT '',
    boot_ms INTEGER,
    boot INTEGER REFERENCES boot(id),
    device_time TEXT,
    import INTEGER,
    error REAL,
    PRIMARY KEY (at, kind, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE vital_change (
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
) STRICT;
CREATE INDEX vital_change_at ON vital_change(at);

CREATE TABLE import (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    file TEXT NOT NULL,
    actor TEXT NOT NULL,
    readings INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    undone INTEGER,
    sessions INTEGER NOT NULL DEFAULT 0,
    faces INTEGER,
    started INTEGER,
    ended INTEGER,
    joined TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    reason TEXT NOT NULL,
    boot INTEGER REFERENCES boot(id),
    started_boot INTEGER REFERENCES boot(id),
    import INTEGER,
    CHECK (ended >= started)
) STRICT;
CREATE INDEX gap_started ON gap(started);

CREATE TABLE model (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    since INTEGER NOT NULL,
    boot INTEGER REFERENCES boot(id),
    prior TEXT NOT NULL DEFAULT 'unknown',
    import INTEGER
) STRICT;

-- Rollups of expressions (all columns are sums) and of vitals, by minute, hour and day

CREATE TABLE expression_minute (
    at INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    uncertain INTEGER NOT NULL DEFAULT 0,
    simulated INTEGER NOT NULL DEFAULT 0,
    sum_neutral INTEGER NOT NULL DEFAULT 0,
    sum_happiness INTEGER NOT NULL DEFAULT 0,
    sum_surprise INTEGER NOT NULL DEFAULT 0,
    sum_sadness INTEGER NOT NULL DEFAULT 0,
    sum_anger INTEGER NOT NULL DEFAULT 0,
    sum_disgust INTEGER NOT NULL DEFAULT 0,
    sum_fear INTEGER NOT NULL DEFAULT 0,
    sum_contempt INTEGER NOT NULL DEFAULT 0,
    count_neutral INTEGER NOT NULL DEFAULT 0,
    count_happiness INTEGER NOT NULL DEFAULT 0,
    count_surprise INTEGER NOT NULL DEFAULT 0,
    count_sadness INTEGER NOT NULL DEFAULT 0,
    count_anger INTEGER NOT NULL DEFAULT 0,
    count_disgust INTEGER NOT NULL DEFAULT 0,
    count_fear INTEGER NOT NULL DEFAULT 0,
    count_contempt INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE expression_hour (
    at INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    uncertain INTEGER NOT NULL DEFAULT 0,
    simulated INTEGER NOT NULL DEFAULT 0,
    sum_neutral INTEGER NOT NULL DEFAULT 0,
    sum_happiness INTEGER NOT NULL DEFAULT 0,
    sum_surprise INTEGER NOT NULL DEFAULT 0,
    sum_sadness INTEGER NOT NULL DEFAULT 0,
    sum_anger INTEGER NOT NULL DEFAULT 0,
    sum_disgust INTEGER NOT NULL DEFAULT 0,
    sum_fear INTEGER NOT NULL DEFAULT 0,
    sum_contempt INTEGER NOT NULL DEFAULT 0,
    count_neutral INTEGER NOT NULL DEFAULT 0,
    count_happiness INTEGER NOT NULL DEFAULT 0,
    count_surprise INTEGER NOT NULL DEFAULT 0,
    count_sadness INTEGER NOT NULL DEFAULT 0,
    count_anger INTEGER NOT NULL DEFAULT 0,
    count_disgust INTEGER NOT NULL DEFAULT 0,
    count_fear INTEGER NOT NULL DEFAULT 0,
    count_contempt INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE expression_day (
    at INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    uncertain INTEGER NOT NULL DEFAULT 0,
    simulated INTEGER NOT NULL DEFAULT 0,
    sum_neutral INTEGER NOT NULL DEFAULT 0,
    sum_happiness INTEGER NOT NULL DEFAULT 0,
    sum_surprise INTEGER NOT NULL DEFAULT 0,
    sum_sadness INTEGER NOT NULL DEFAULT 0,
    sum_anger INTEGER NOT NULL DEFAULT 0,
    sum_disgust INTEGER NOT NULL DEFAULT 0,
    sum_fear INTEGER NOT NULL DEFAULT 0,
    sum_contempt INTEGER NOT NULL DEFAULT 0,
    count_neutral INTEGER NOT NULL DEFAULT 0,
    count_happiness INTEGER NOT NULL DEFAULT 0,
    count_surprise INTEGER NOT NULL DEFAULT 0,
    count_sadness INTEGER NOT NULL DEFAULT 0,
    count_anger INTEGER NOT NULL DEFAULT 0,
    count_disgust INTEGER NOT NULL DEFAULT 0,
    count_fear INTEGER NOT NULL DEFAULT 0,
    count_contempt INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE vital_minute (
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,
    total REAL NOT NULL DEFAULT 0,
    least REAL,
    most REAL,
    flagged INTEGER NOT NULL DEFAULT 0,
    simulated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE vital_hour (
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,
    total REAL NOT NULL DEFAULT 0,
    least REAL,
    most REAL,
    flagged INTEGER NOT NULL DEFAULT 0,
    simulated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE vital_day (
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL DEFAULT 0,
    total REAL NOT NULL DEFAULT 0,
    least REAL,
    most REAL,
    flagged INTEGER NOT NULL DEFAULT 0,
    simulated INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, at)
) STRICT, WITHOUT ROWID;

-- The study

CREATE TABLE participant (
    id INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE COLLATE NOCASE,
    created INTEGER NOT NULL,
    simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)),
    boot INTEGER REFERENCES boot(id),
    import INTEGER
) STRICT;

CREATE TABLE participant_attribute (
    id INTEGER PRIMARY KEY,
    participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    import INTEGER,
    UNIQUE (participant, name)
) STRICT;

CREATE TABLE consent (
    id INTEGER PRIMARY KEY,
    participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
    text_version TEXT NOT NULL,
    given INTEGER NOT NULL,
    withdrawn INTEGER,
    given_boot INTEGER REFERENCES boot(id),
    withdrawn_boot INTEGER REFERENCES boot(id),
    attributes TEXT NOT NULL DEFAULT 'none' CHECK (attributes IN ('none', 'here', 'shared')),
    import INTEGER
) STRICT;
CREATE INDEX consent_participant ON consent(participant);

CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
    purpose TEXT NOT NULL CHECK (purpose IN
        ('research', 'medical', 'safety', 'personal', 'demonstration')),
    name TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER CHECK (ended >= started),
    simulated INTEGER NOT NULL DEFAULT 0 CHECK (simulated IN (0, 1)),
    setting TEXT NOT NULL DEFAULT 'other' CHECK (setting IN
        ('home', 'laboratory', 'clinic', 'workplace', 'education', 'other')),
    boot INTEGER REFERENCES boot(id),
    boot_ms INTEGER,
    ended_boot INTEGER REFERENCES boot(id),
    ended_boot_ms INTEGER,
    origin TEXT NOT NULL DEFAULT '',
    import INTEGER,
    instruments TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX session_started ON session(started);
CREATE INDEX session_participant ON session(participant);
-- One open session at most, whichever program writes.
CREATE UNIQUE INDEX session_open ON session((ended IS NULL)) WHERE ended IS NULL;

CREATE TABLE marker (
    -- A number is never used again: marker_change names markers that are gone.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    kind TEXT NOT NULL CHECK (kind IN
        ('stimulus_start', 'stimulus_end', 'baseline', 'note', 'declared')),
    label TEXT NOT NULL,
    boot INTEGER REFERENCES boot(id),
    import INTEGER
) STRICT;
CREATE INDEX marker_session ON marker(session, at);

-- Markers as they were before each correction; the marker itself holds the present values.
CREATE TABLE marker_change (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    marker INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
    reason TEXT NOT NULL,
    changed INTEGER NOT NULL,
    actor TEXT NOT NULL,
    boot INTEGER REFERENCES boot(id)
) STRICT;
CREATE INDEX marker_change_session ON marker_change(session);

-- Left out of the analysis: a session, or a stretch of it in milliseconds since its start. A row
-- that was taken back stays.
CREATE TABLE exclusion (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    from_ms INTEGER CHECK (from_ms >= 0),
    to_ms INTEGER CHECK (to_ms > from_ms),
    reason TEXT NOT NULL CHECK (reason <> ''),
    made INTEGER NOT NULL,
    actor TEXT NOT NULL,
    taken_back INTEGER,
    taken_back_by TEXT,
    import INTEGER,
    CHECK ((from_ms IS NULL) = (to_ms IS NULL))
) STRICT;
CREATE INDEX exclusion_session ON exclusion(session);

CREATE TABLE self_report (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    condition TEXT,
    scale TEXT NOT NULL,
    value ANY NOT NULL,
    boot INTEGER REFERENCES boot(id),
    import INTEGER,
    CHECK ((scale = 'emotion' AND value IN
            ('neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear', 'contempt',
            'none'))
        OR (scale IN ('valence', 'arousal') AND typeof(value) = 'integer'
            AND value BETWEEN 1 AND 9))
) STRICT;
CREATE INDEX self_report_session ON self_report(session, at);

CREATE TABLE protocol_run (
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
    saved_boot_ms INTEGER NOT NULL,
    boot INTEGER REFERENCES boot(id)
) STRICT;

-- What was decided before the data; only a newer one can be added.
CREATE TABLE preregistration (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    document TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
CREATE TRIGGER preregistration_is_frozen BEFORE UPDATE ON preregistration
    BEGIN SELECT raise(ABORT, 'a preregistration is never changed'); END;
CREATE TRIGGER preregistration_stays BEFORE DELETE ON preregistration
    BEGIN SELECT raise(ABORT, 'a preregistration is never deleted'); END;

-- Messages for the broker: waiting, set aside, and numbers that will never come

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    seq INTEGER,
    payload TEXT NOT NULL,
    created INTEGER NOT NULL,
    boot_id TEXT,
    boot_ms INTEGER,
    boot INTEGER REFERENCES boot(id)
) STRICT;

CREATE TABLE outbox_seq (
    topic TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT;

-- payload is a BLOB, for it may be no text at all.
CREATE TABLE outbox_set_aside (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    seq INTEGER,
    payload BLOB NOT NULL,
    created INTEGER NOT NULL,
    at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;

CREATE TABLE outbox_hole (
    id INTEGER PRIMARY KEY,
    epoch TEXT NOT NULL,
    topic TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- What the agent keeps for itself: erased times, the newest seal of the audit trail, marks of
-- copies and clocks

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Who did what

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '',
    boot INTEGER REFERENCES boot(id),
    seal TEXT
) STRICT;

-- Alerts: what a person should look at, and whom it was sent to

CREATE TABLE alert (
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
    acknowledged_by TEXT,
    parts TEXT
) STRICT;
CREATE UNIQUE INDEX alert_open ON alert(rule) WHERE ended IS NULL;
CREATE INDEX alert_raised ON alert(raised);
CREATE INDEX alert_session ON alert(session);

CREATE TABLE alert_message (
    alert INTEGER NOT NULL REFERENCES alert(id) ON DELETE CASCADE,
    event TEXT NOT NULL CHECK (event IN ('raised', 'ended')),
    target TEXT NOT NULL,
    tries INTEGER NOT NULL,
    sent INTEGER,
    error TEXT NOT NULL,
    PRIMARY KEY (alert, event, target)
) STRICT;

-- How the appliance was, a row a minute, for one day: nothing about a person

CREATE TABLE health_minute (
    at INTEGER PRIMARY KEY,
    fps REAL,
    frames_dropped INTEGER NOT NULL,
    rows_dropped INTEGER NOT NULL,
    celsius REAL,
    disk_free INTEGER
) STRICT;

-- Rows that no table took

CREATE TABLE set_aside (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    content TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;

-- Changes that a fleet is still to be told of; triggers write them, made on demand

CREATE TABLE fleet_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch TEXT NOT NULL,
    stream TEXT NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0,
    quiet INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE fleet_change (
    seq INTEGER PRIMARY KEY,
    what INTEGER NOT NULL,
    a INTEGER,
    b INTEGER,
    more TEXT
) STRICT;

-- The own neutral of a session, asked for at its start or by the configuration, and what its
-- baseline came to. Times are milliseconds since the start of the session; logits are after the
-- prior, up to one constant for all.
CREATE TABLE own_neutral (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL UNIQUE REFERENCES session(id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('asked', 'off', 'calibrated', 'refused')),
    reason TEXT NOT NULL DEFAULT '' CHECK ((reason <> '') = (state = 'refused')),
    from_ms INTEGER CHECK (from_ms >= 0),
    to_ms INTEGER CHECK (to_ms > from_ms),
    seconds INTEGER CHECK (seconds >= 0),
    neutral REAL,
    happiness REAL,
    surprise REAL,
    sadness REAL,
    anger REAL,
    disgust REAL,
    fear REAL,
    contempt REAL,
    shift REAL,
    applied_ms INTEGER CHECK (applied_ms >= to_ms),
    until_ms INTEGER CHECK (until_ms >= applied_ms),
    temperature REAL CHECK (temperature > 0),
    uncertain_below REAL,
    sha256 TEXT NOT NULL DEFAULT '',
    prior TEXT NOT NULL DEFAULT '',
    import INTEGER,
    CHECK ((state = 'calibrated') = (shift IS NOT NULL)),
    CHECK ((shift IS NULL) = (applied_ms IS NULL))
) STRICT;

-- Hours in which sessions of a participant begin and end by themselves, after a consent of their
-- own: a row a weekday (1 is Monday), in minutes since midnight by the clock on the wall. An end
-- that does not follow the start is of the next day. Without until it holds.
CREATE TABLE standing_session (
    id INTEGER PRIMARY KEY,
    participant INTEGER NOT NULL REFERENCES participant(id) ON DELETE CASCADE,
    text_version TEXT NOT NULL CHECK (text_version <> ''),
    purpose TEXT NOT NULL CHECK (purpose IN
        ('research', 'medical', 'safety', 'personal', 'demonstration')),
    setting TEXT NOT NULL CHECK (setting IN
        ('home', 'laboratory', 'clinic', 'workplace', 'education', 'other')),
    weekday INTEGER NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    from_minute INTEGER NOT NULL CHECK (from_minute BETWEEN 0 AND 1439),
    to_minute INTEGER NOT NULL CHECK (to_minute BETWEEN 0 AND 1439),
    since INTEGER NOT NULL,
    until INTEGER CHECK (until >= since),
    since_boot INTEGER REFERENCES boot(id),
    until_boot INTEGER REFERENCES boot(id),
    begun INTEGER REFERENCES session(id) ON DELETE SET NULL
) STRICT;
CREATE INDEX standing_session_participant ON standing_session(participant);

-- What an undo looks for in large tables. Rows that were recorded here are in none of these, so
-- that they cost nothing.

CREATE INDEX expression_import ON expression(import) WHERE import IS NOT NULL;
CREATE INDEX movement_import ON movement(import) WHERE import IS NOT NULL;
CREATE INDEX unfit_import ON unfit(import) WHERE import IS NOT NULL;
CREATE INDEX vital_import ON vital(import) WHERE import IS NOT NULL;

-- Each screen that a protocol showed, with the answer to a question of its own.
CREATE TABLE trial (
    id INTEGER PRIMARY KEY,
    session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    turn INTEGER NOT NULL CHECK (turn > 0),
    step INTEGER NOT NULL CHECK (step > 0),
    kind TEXT NOT NULL,
    condition TEXT,
    practice INTEGER NOT NULL DEFAULT 0 CHECK (practice IN (0, 1)),
    planned_ms INTEGER CHECK (planned_ms >= 0),
    stood_ms INTEGER NOT NULL CHECK (stood_ms >= 0),
    late_ms REAL,
    late_within_ms REAL CHECK (late_within_ms >= 0),
    shown_ms REAL CHECK (shown_ms >= 0),
    frame_ms REAL CHECK (frame_ms > 0),
    question TEXT NOT NULL DEFAULT '',
    wording TEXT NOT NULL DEFAULT '',
    value ANY CHECK (value IS NULL OR question <> ''),
    boot INTEGER REFERENCES boot(id),
    import INTEGER
) STRICT;
CREATE INDEX trial_session ON trial(session, at);

-- Stretches of an electrocardiogram, only where a sensor keeps it (keep_ecg): ten seconds each, at
-- the end of which at is. packed: edge_agent/core/electrocardiogram.py.
CREATE TABLE ecg (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    boot INTEGER REFERENCES boot(id),
    interval_ms INTEGER NOT NULL CHECK (interval_ms > 0),
    source TEXT NOT NULL,
    samples INTEGER NOT NULL CHECK (samples > 0),
    packed BLOB NOT NULL
) STRICT;
CREATE INDEX ecg_at ON ecg(at);
