"""The steps from the schema of each release to the next, and how they are taken.

``upgrade.py`` takes them in one transaction, after a verified copy. The steps are functions for
``sqlite_utils.Migrations``, which is loaded only when one is due. What version a file has stands in
it once: in ``user_version``, with a row of the table ``migration`` where the file has that table.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.artefact_step import flag_stored_artefacts
from edge_agent.timeline.database.copy import stored_tables
from edge_agent.timeline.database.import_step import add_import_columns
from edge_agent.timeline.database.schema import APPLICATION_ID, VERSION

if TYPE_CHECKING:
    from sqlite_utils import Database

# ruff: noqa: S608 - only our own names are put into SQL text

log = logging.getLogger(__name__)

_STEPS_TABLE = "upgrade_step"
"""In which ``sqlite_utils`` notes its progress, for the length of the transaction."""
_OWN_NEUTRAL = """
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
) STRICT
"""
_TRIAL = """
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
) STRICT
"""
_STANDING_SESSION = """
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
) STRICT
"""
_GAP = """
CREATE TABLE gap_anew (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    reason TEXT NOT NULL,
    boot INTEGER REFERENCES boot(id),
    started_boot INTEGER REFERENCES boot(id),
    import INTEGER,
    CHECK (ended >= started)
) STRICT
"""
_ACCOUNT_OF_CARERS = """
CREATE TABLE account_anew (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password_hash TEXT NOT NULL,
    created INTEGER NOT NULL,
    role TEXT NOT NULL DEFAULT 'viewer'
        CHECK (role IN ('carer', 'viewer', 'operator', 'researcher', 'administrator')),
    disabled INTEGER,
    must_change INTEGER NOT NULL DEFAULT 0,
    link_hash TEXT,
    link_expires INTEGER,
    second_factor TEXT,
    language TEXT NOT NULL DEFAULT ''
) STRICT
"""
_CARER_PERSON = """
CREATE TABLE carer_person (
    account INTEGER NOT NULL REFERENCES account(id) ON DELETE CASCADE,
    code TEXT NOT NULL,
    enrolled INTEGER NOT NULL,
    PRIMARY KEY (account, code)
) STRICT
"""
_LETTER = """
CREATE TABLE letter (
    code TEXT NOT NULL,
    enrolled INTEGER NOT NULL,
    every TEXT NOT NULL CHECK (every IN ('week', 'month')),
    language TEXT NOT NULL,
    text_version TEXT NOT NULL CHECK (text_version <> ''),
    agreed INTEGER NOT NULL,
    PRIMARY KEY (code, enrolled)
) STRICT
"""
_LETTER_ADDRESS = """
CREATE TABLE letter_address (
    code TEXT NOT NULL,
    enrolled INTEGER NOT NULL,
    address TEXT NOT NULL COLLATE NOCASE,
    until TEXT NOT NULL,
    sent INTEGER,
    tries INTEGER NOT NULL DEFAULT 0,
    tried INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (code, enrolled, address),
    FOREIGN KEY (code, enrolled) REFERENCES letter(code, enrolled) ON DELETE CASCADE
) STRICT
"""
_ATTRIBUTION = """
ALTER TABLE {} ADD COLUMN attribution TEXT NOT NULL DEFAULT ''
    CHECK (attribution IN ('', 'declared', 'seat', 'alone', 'leading', 'unknown'))
    CHECK (attribution = '' OR is_primary = (attribution <> 'unknown'))
"""
_MARKER = """
CREATE TABLE marker_anew (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    boot_ms INTEGER,
    kind TEXT NOT NULL CHECK (kind IN
        ('stimulus_start', 'stimulus_end', 'baseline', 'note', 'declared')),
    label TEXT NOT NULL,
    boot INTEGER REFERENCES boot(id),
    import INTEGER
) STRICT
"""


@dataclass(frozen=True, slots=True)
class UpgradeStep:
    """One change of a schema.

    Attributes:
        version: the schema that it leads to.
        name: what it changes, for people who look at the table ``migration``.
        take: makes the change, in the transaction of the upgrade, with foreign keys off.
        room: what it writes at the most beside the file until the upgrade has ended: to the log,
            and to files in which SQLite sorts. In sizes of the file.
    """

    version: int
    name: str
    take: Callable[[Database], None]
    room: float = 0.0


def _add_prior_of_models(database: Database) -> None:
    database.execute("ALTER TABLE model ADD COLUMN prior TEXT NOT NULL DEFAULT 'unknown'")


def _add_prior_and_artefacts(database: Database) -> None:
    _add_prior_of_models(database)
    flag_stored_artefacts(database.conn)


def _add_import_of_rows(database: Database) -> None:
    add_import_columns(database.conn)


def _add_own_neutral(database: Database) -> None:
    database.execute(_OWN_NEUTRAL)


def _add_standing_session(database: Database) -> None:
    database.execute(_STANDING_SESSION)
    database.execute("CREATE INDEX standing_session_participant ON standing_session(participant)")


def _add_skin_conductance(database: Database) -> None:
    database.execute("INSERT INTO vital_kind (kind, unit) VALUES ('skin_conductance', 'uS')")


def _bound_gaps(database: Database) -> None:
    # Dated by the readings that were lost: when and how long is not known, but that there is a gap.
    database.execute("UPDATE gap SET ended = started WHERE ended < started")
    database.execute(_GAP)
    columns = "id, source, started, ended, reason, boot, started_boot, import"
    database.execute(f"INSERT INTO gap_anew ({columns}) SELECT {columns} FROM gap")
    database.execute("DROP TABLE gap")
    database.execute("ALTER TABLE gap_anew RENAME TO gap")
    database.execute("CREATE INDEX gap_started ON gap(started)")


def _add_trial(database: Database) -> None:
    database.execute(_TRIAL)
    database.execute("CREATE INDEX trial_session ON trial(session, at)")


def _add_attribution(database: Database) -> None:
    for table in ("expression", "unfit", "movement"):
        database.execute(_ATTRIBUTION.format(table))
    database.execute(_MARKER)
    columns = "id, session, at, boot_ms, kind, label, boot, import"
    database.execute(f"INSERT INTO marker_anew ({columns}) SELECT {columns} FROM marker")
    # The highest number that was ever given, which may be of a marker that is gone.
    database.execute("DELETE FROM sqlite_sequence WHERE name = 'marker_anew'")
    database.execute(
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'marker_anew', seq FROM sqlite_sequence "
        "WHERE name = 'marker'"
    )
    database.execute("DROP TABLE marker")
    database.execute("ALTER TABLE marker_anew RENAME TO marker")
    database.execute("CREATE INDEX marker_session ON marker(session, at)")


def _add_error(database: Database) -> None:
    database.execute("ALTER TABLE vital ADD COLUMN error REAL")


def _add_instruments(database: Database) -> None:
    database.execute("ALTER TABLE session ADD COLUMN instruments TEXT NOT NULL DEFAULT ''")


def _add_ecg(database: Database) -> None:
    database.execute(
        "CREATE TABLE ecg (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, boot_ms INTEGER, "
        "boot INTEGER REFERENCES boot(id), interval_ms INTEGER NOT NULL CHECK (interval_ms > 0), "
        "source TEXT NOT NULL, samples INTEGER NOT NULL CHECK (samples > 0), packed BLOB NOT NULL) "
        "STRICT"
    )
    database.execute("CREATE INDEX ecg_at ON ecg(at)")


def _add_carers(database: Database) -> None:
    database.execute(_ACCOUNT_OF_CARERS)
    database.execute("INSERT INTO account_anew SELECT * FROM account")
    # The highest number that was ever given, which may be of an account that is gone.
    database.execute(
        "UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'account') "
        "WHERE name = 'account_anew'"
    )
    database.execute("DROP TABLE account")
    database.execute("ALTER TABLE account_anew RENAME TO account")
    database.execute(_CARER_PERSON)


def _add_letters(database: Database) -> None:
    database.execute(_LETTER)
    database.execute(_LETTER_ADDRESS)


def _add_blinks(database: Database) -> None:
    database.execute(
        "INSERT INTO vital_kind (kind, unit) VALUES ('blink_rate', '/min'), "
        "('blink_duration', 'ms')"
    )


def _add_body_motion(database: Database) -> None:
    database.execute("INSERT INTO vital_kind (kind, unit) VALUES ('body_motion', 'm[g]')")


DASHBOARD_STEPS = (
    UpgradeStep(2, "carers and their people", _add_carers),
    UpgradeStep(3, "letters", _add_letters),
)
"""From schema 1 of ``dashboard.sql``, that of 0.1.0."""
TIMELINE_STEPS = (
    UpgradeStep(35, "prior of the classifier, artefacts", _add_prior_and_artefacts, 1.3),
    UpgradeStep(36, "import of each row", _add_import_of_rows, 1.1),
    UpgradeStep(37, "own neutral of a session", _add_own_neutral),
    UpgradeStep(38, "standing sessions", _add_standing_session),
    UpgradeStep(39, "skin conductance", _add_skin_conductance),
    UpgradeStep(40, "gaps that do not end before they begin", _bound_gaps),
    UpgradeStep(41, "screens that protocols showed", _add_trial),
    UpgradeStep(42, "blinks", _add_blinks),
    UpgradeStep(43, "whose a face is", _add_attribution),
    UpgradeStep(44, "errors of readings", _add_error),
    UpgradeStep(45, "instruments of a session", _add_instruments),
    UpgradeStep(46, "electrocardiograms", _add_ecg),
    UpgradeStep(47, "body motion", _add_body_motion),
)
"""From schema 34, that of 0.1.0, the first release. A step that was released is never changed."""


@dataclass(frozen=True, slots=True)
class DatabaseForm:
    """The form that a database file of ours must have.

    Attributes:
        application: its application ID.
        version: its present schema.
        steps: the way there from the schema of the first release, oldest first.
    """

    application: int
    version: int
    steps: tuple[UpgradeStep, ...]

    @property
    def oldest(self) -> int:
        """The oldest schema that can be upgraded."""
        return min((step.version - 1 for step in self.steps), default=self.version)

    def room(self, version: int) -> float:
        """Return what the steps after ``version`` write at the most, in sizes of the file.

        All are one transaction, of which each page stands in the log once.
        """
        return max((step.room for step in self.steps if step.version > version), default=0.0)

    def is_older(self, version: int) -> bool:
        """Tell whether a schema is that of an earlier release."""
        return self.oldest <= version < self.version


TIMELINE = DatabaseForm(APPLICATION_ID, VERSION, TIMELINE_STEPS)


def take_steps(
    connection: sqlite3.Connection, form: DatabaseForm, version: int, views: Sequence[str] = ()
) -> None:
    """Take the steps after ``version``, and note the version that they lead to.

    Args:
        connection: in a write transaction, with foreign keys off: a table that is made anew would
            else take along what refers to it.
        form: of the file.
        version: its schema.
        views: statements that make its views, which are made anew.

    Raises:
        StoreError: a row refers to another one that a step has removed.
        sqlite3.Error: a step fails.
    """
    from sqlite_utils import Database, Migrations

    class _Due(Migrations):
        migrations_table = _STEPS_TABLE

    due = _Due("affect-edge")
    steps = [step for step in form.steps if step.version > version]
    for step in steps:
        due(name=step.name, transactional=False)(step.take)
    broken = _broken_references(connection)
    triggers = _triggers(connection)
    # A view that names a column which a step renames would make the step fail.
    for statement in views:
        connection.execute(f"DROP VIEW IF EXISTS {_name_of(statement)}")
    # Without plugins and its own PRAGMA. Without a savepoint for each step: SQLite would keep in
    # another file what the step changes, and it is undone with our transaction anyway.
    due.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
    connection.execute(f"DROP TABLE {_STEPS_TABLE}")
    for statement in views:
        connection.execute(statement)
    # ``transform`` makes a table anew and takes its triggers along.
    for name in triggers.keys() - _triggers(connection).keys():
        connection.execute(triggers[name])
    lost = _broken_references(connection) - broken
    if lost:
        (table, other), rows = lost.most_common(1)[0]
        raise StoreError(f"{rows} rows of {table} would refer to rows of {other} that are gone")
    _note(connection, form, steps)


def _name_of(view: str) -> str:
    """Return the name of a view in the statement that makes it."""
    return view.partition("CREATE VIEW ")[2].split()[0]


def _note(connection: sqlite3.Connection, form: DatabaseForm, steps: list[UpgradeStep]) -> None:
    if "migration" in stored_tables(connection):
        connection.executemany(
            "INSERT INTO migration (version, name, applied) VALUES (?, ?, ?)",
            [(step.version, step.name, clock.now().wall_ms) for step in steps],
        )
    connection.execute(f"PRAGMA user_version={form.version}")


def _broken_references(connection: sqlite3.Connection) -> Counter[tuple[str, str]]:
    """Count the rows that refer to missing ones, by both tables; a salvage may leave such rows."""
    rows = connection.execute(
        'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'
    )
    return Counter({(table, parent): count for table, parent, count in rows})


def _triggers(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    return dict(tuple(row) for row in rows)
