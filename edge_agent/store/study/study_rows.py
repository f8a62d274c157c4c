"""Rows of the study inside a transaction that the caller holds.

The rules of a study are kept here.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from dataclasses import dataclass, replace

from edge_agent.core.attributes import AttributeUse
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Participant, Purpose, Session, SessionSetting
from edge_agent.store.write.audit.chain import AuditLine, append
from edge_agent.store.write.clocks.boots import stamp

LABEL_LENGTH = 80
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that is mistaken for another
_SESSION = (
    "SELECT session.id, code, purpose, name, started, ended, session.simulated, setting, origin "
    "FROM session JOIN participant ON participant.id = session.participant"
)


def insert_participant(
    connection: sqlite3.Connection, code: str | None, at: Instant, *, simulated: bool = False
) -> Participant:
    """Add a participant; ``None`` makes up a code that is free."""
    if code is None:
        code = _free_code(connection)
    if not _CODE.fullmatch(code):
        raise StudyError(
            f"Participant code {code!r}: give 1 to 32 letters, digits, '.', '_' or '-', "
            "starting with a letter or digit. Never use a name."
        )
    if _is_taken(connection, code):
        raise StudyError(f"Participant code {code} is taken. Choose another.")
    boot, created = stamp(connection, at)
    cursor = connection.execute(
        "INSERT INTO participant (code, created, simulated, boot) VALUES (?, ?, ?, ?)",
        (code, created.wall_ms, int(simulated), boot),
    )
    return Participant(int(cursor.lastrowid or 0), code, created.wall_ms, simulated)


def select_participants(connection: sqlite3.Connection) -> list[Participant]:
    """Return all participants in order of their codes."""
    rows = connection.execute("SELECT id, code, created, simulated FROM participant ORDER BY code")
    return [
        Participant(row["id"], row["code"], row["created"], bool(row["simulated"])) for row in rows
    ]


def find_participant(connection: sqlite3.Connection, code: str) -> int:
    """Return the id of a participant."""
    row = connection.execute("SELECT id FROM participant WHERE code = ?", (code,)).fetchone()
    if row is None:
        raise StudyError(f"There is no participant {code!r}. Create the participant first.")
    return int(row[0])


def insert_audit(
    connection: sqlite3.Connection, actor: str | None, action: str, detail: str, at: Instant
) -> None:
    """Write a line of the audit trail.

    Nothing where nobody is named, for the caller has its own.
    """
    if actor is not None:
        boot, known = stamp(connection, at)
        append(connection, AuditLine(known.wall_ms, actor, action, detail, boot))


def insert_consent(
    connection: sqlite3.Connection, code: str, text_version: str, at: Instant
) -> None:
    """Record consent; an earlier one that still stands ends where this one begins."""
    if not text_version.strip():
        raise StudyError("Consent: name the version of the text that the participant agreed to.")
    participant = find_participant(connection, code)
    # what was agreed of attributes holds until it is decided anew
    use = connection.execute(
        "SELECT attributes FROM consent WHERE participant = ? AND withdrawn IS NULL", (participant,)
    ).fetchone()
    _end_consent(connection, participant, at)
    boot, given = stamp(connection, at)
    connection.execute(
        "INSERT INTO consent (participant, text_version, given, given_boot, attributes) VALUES "
        "(?, ?, ?, ?, ?)",
        (
            participant,
            text_version.strip(),
            given.wall_ms,
            boot,
            AttributeUse.NONE.value if use is None else use["attributes"],
        ),
    )


def withdraw_consent(connection: sqlite3.Connection, code: str, at: Instant) -> None:
    """End the consent that stands."""
    participant = find_participant(connection, code)
    if not _end_consent(connection, participant, at):
        raise StudyError(f"Participant {code} has given no consent that could be withdrawn.")


def _end_consent(connection: sqlite3.Connection, participant: int, at: Instant) -> bool:
    """End the consent that stands; return whether there was one."""
    boot, withdrawn = stamp(connection, at)
    ended = connection.execute(
        "UPDATE consent SET withdrawn = ?, withdrawn_boot = ? WHERE participant = ? AND withdrawn "
        "IS NULL",
        (withdrawn.wall_ms, boot, participant),
    )
    return ended.rowcount > 0


def has_consent(connection: sqlite3.Connection, participant: int) -> bool:
    """Tell whether a consent of the participant stands."""
    row = connection.execute(
        "SELECT 1 FROM consent WHERE participant = ? AND withdrawn IS NULL", (participant,)
    )
    return row.fetchone() is not None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is to be opened.

    Attributes:
        participant: the participant's code.
        purpose: why it is recorded.
        name: what to call it; may be empty.
        start: from when on.
        simulated: whether it is a demonstration.
        setting: where it takes place.
    """

    participant: str
    purpose: Purpose
    name: str
    start: Instant
    simulated: bool = False
    setting: SessionSetting = SessionSetting.OTHER


def insert_session(connection: sqlite3.Connection, new: NewSession) -> Session:
    """Open a session.

    Raises:
        StudyError: no such participant, no consent, another session is open, or one ended later.
    """
    participant = find_participant(connection, new.participant)
    if not has_consent(connection, participant):
        raise StudyError(
            f"Participant {new.participant} has given no consent. Record the consent before "
            "the session starts."
        )
    open_one = find_open_session(connection)
    if open_one is not None:
        raise StudyError(
            f"Session {open_one.id} of {open_one.participant} is open since "
            f"{iso_utc(open_one.start_ms)}. End it first."
        )
    boot, start = stamp(connection, new.start)
    _refuse_overlap(connection, start)
    label = checked_label(new.name, "Session name", empty_allowed=True)
    cursor = connection.execute(
        "INSERT INTO session (participant, purpose, name, started, simulated, setting, boot, "
        "boot_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            participant,
            new.purpose.value,
            label,
            start.wall_ms,
            int(new.simulated),
            new.setting.value,
            boot,
            None if boot is None else start.boot_ms,
        ),
    )
    return session_numbered(connection, int(cursor.lastrowid or 0))


def session_numbered(connection: sqlite3.Connection, number: int) -> Session:
    """Return the session of a number.

    Raises:
        StudyError: there is none.
    """
    row = connection.execute(f"{_SESSION} WHERE session.id = ?", (number,)).fetchone()
    if row is None:
        raise StudyError(f"There is no session {number}.")
    return _session_of(row)


def close_session(connection: sqlite3.Connection, at: Instant) -> Session:
    """Close the open session."""
    session = require_open_session(connection)
    boot, end = in_session(connection, session.id, at)
    refuse_before_start(session, end)
    connection.execute(
        "UPDATE session SET ended = ?, ended_boot = ?, ended_boot_ms = ? WHERE id = ?",
        (end.wall_ms, boot, None if boot is None else end.boot_ms, session.id),
    )
    return replace(session, end_ms=end.wall_ms)


def find_open_session(connection: sqlite3.Connection) -> Session | None:
    """Return the session that is open."""
    row = connection.execute(f"{_SESSION} WHERE ended IS NULL").fetchone()
    if row is None:
        return None
    return _session_of(row)


def require_open_session(connection: sqlite3.Connection) -> Session:
    """Return the session that is open, or refuse."""
    session = find_open_session(connection)
    if session is None:
        raise StudyError("No session is open. Start one first.")
    return session


def select_sessions(connection: sqlite3.Connection) -> list[Session]:
    """Return all sessions, newest first."""
    return [
        _session_of(row)
        for row in connection.execute(f"{_SESSION} ORDER BY started DESC, session.id DESC")
    ]


def _session_of(row: sqlite3.Row) -> Session:
    return Session(
        id=row["id"],
        participant=row["code"],
        purpose=Purpose(row["purpose"]),
        name=row["name"],
        start_ms=row["started"],
        end_ms=row["ended"],
        simulated=bool(row["simulated"]),
        setting=SessionSetting(row["setting"]),
        origin=row["origin"],
    )


def checked_label(text: str, what: str, *, empty_allowed: bool) -> str:
    """Return the text without blanks around it, or refuse it.

    Raises:
        StudyError: it is too long, not printable on one line, or empty where it may not be.
    """
    label = text.strip()
    if not label and not empty_allowed:
        raise StudyError(f"{what}: give a label of 1 to {LABEL_LENGTH} characters.")
    if len(label) > LABEL_LENGTH or not label.isprintable():
        raise StudyError(
            f"{what} {label[:20]!r}…: give at most {LABEL_LENGTH} printable characters on one line."
        )
    return label


def in_session(
    connection: sqlite3.Connection, session: int, at: Instant
) -> tuple[int | None, Instant]:
    """Return an instant of a session by the clock that its start was read from, and its boot row.

    Where the wall clock stepped since, to a time that nobody has confirmed yet, the boot clock says
    how long the session has lasted: it is never too long, and never ends before its start.
    """
    boot, known = stamp(connection, at)
    row = connection.execute(
        "SELECT session.started, session.boot, session.boot_ms, start.synchronised, "
        "start.boot_id = now.boot_id AS is_same_start, now.synchronised AS is_known FROM session "
        "JOIN boot AS start ON start.id = session.boot JOIN boot AS now ON now.id = ? WHERE "
        "session.id = ?",
        (boot, session),
    ).fetchone()
    if row is None or row["boot"] == boot or not row["is_same_start"]:
        return boot, known
    if row["synchronised"] and row["is_known"]:
        return boot, known
    lasted_ms = known.boot_ms - row["boot_ms"]
    return row["boot"], replace(known, wall_ms=row["started"] + lasted_ms)


def refuse_before_start(session: Session, at: Instant) -> None:
    if at.wall_ms < session.start_ms:
        raise StudyError(
            f"{iso_utc(at.wall_ms)} lies before the start of session {session.id} "
            f"({iso_utc(session.start_ms)})."
        )


def _refuse_overlap(connection: sqlite3.Connection, at: Instant) -> None:
    """Refuse a session that would begin inside an earlier one.

    Rows are joined by time, and would belong to both.
    """
    row = connection.execute(
        "SELECT id, ended FROM session WHERE ended > ? ORDER BY ended DESC LIMIT 1", (at.wall_ms,)
    ).fetchone()
    if row is not None:
        raise StudyError(
            f"{iso_utc(at.wall_ms)} lies before the end of session {row['id']} "
            f"({iso_utc(row['ended'])}). Sessions must not overlap; if the clock of this "
            "machine is wrong, set it first."
        )


def _is_taken(connection: sqlite3.Connection, code: str) -> bool:
    return (
        connection.execute("SELECT 1 FROM participant WHERE code = ?", (code,)).fetchone()
        is not None
    )


def _free_code(connection: sqlite3.Connection) -> str:
    """Return a random code of four letters that is not taken."""
    while True:
        code = "P-" + "".join(secrets.choice(_CODE_LETTERS) for _ in range(4))
        if not _is_taken(connection, code):
            return code
