"""Rows of the study inside a transaction that the caller holds, and the rules that they obey.

A session is refused for its purpose, for its times, and for a consent that did not stand.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from edge_agent.core.bounds import EARLIEST_MS
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Emotion
from edge_agent.core.own_neutral import OwnNeutralState
from edge_agent.core.study import (
    DECLARED_FROM,
    DECLARED_UNTIL,
    LABEL_LENGTH,
    STORED,
    AttributeUse,
    Marker,
    MarkerKind,
    NewSession,
    Participant,
    Purpose,
    Session,
    SessionField,
    SessionSetting,
    forbidden_because,
)
from edge_agent.core.texts import N_, Message, as_message, utc_text
from edge_agent.timeline.database.connection import insert
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.database.tables import RECORDED
from edge_agent.timeline.write import audit
from edge_agent.timeline.write.boots import stamp, stamp_study

# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


_LONGEST_INTERVAL_MS = 60_000
"""Of a row: the largest ``record.interval``."""
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that is mistaken for another
_SESSION = (
    f"SELECT session.id, code, {', '.join(f'session.{one.name}' for one in STORED)}, started, "
    "ended, session.simulated, origin, "
    "(SELECT CASE WHEN count(*) = 0 THEN '' WHEN max(from_ms IS NULL) THEN 'whole' ELSE 'part' END "
    "FROM exclusion WHERE exclusion.session = session.id AND taken_back IS NULL) AS left_out FROM "
    "session JOIN participant ON participant.id = session.participant"
)


DECLARED_LABEL = "participant"
"""Label of every declaration: of whom it is, the session says."""
STIMULI = (MarkerKind.STIMULUS_START, MarkerKind.STIMULUS_END)


def count_recorded(connection: sqlite3.Connection, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return for each span how many rows of the timeline lie in it; one read a table.

    Args:
        connection: to the database.
        spans: start and end, UTC milliseconds.
    """
    counts = [0] * len(spans)
    given = json.dumps([(*span, number) for number, span in enumerate(spans)])
    for table in RECORDED:
        lies = table.within.replace(":start", "first").replace(":end", "last")
        at = table.times[-1].column
        counted = connection.execute(
            # The bound that holds for all rows lets the index stop there.
            f"{SPANS} SELECT number, count(*) FROM span CROSS JOIN {table.name} ON {lies} AND "
            f"{at} < last + {_LONGEST_INTERVAL_MS} GROUP BY number",
            (given,),
        )
        for number, count in counted:
            counts[number] += count
    return counts


def insert_participant(
    connection: sqlite3.Connection, code: str | None, at: Instant, *, simulated: bool = False
) -> Participant:
    """Add a participant; ``None`` makes up a code that is free."""
    if code is None:
        code = _free_code(connection)
    if not _CODE.fullmatch(code):
        raise StudyError(
            N_(
                "Participant code {code!r}: give 1 to 32 letters, digits, '.', '_' or '-', "
                "starting with a letter or digit. Never use a name."
            ),
            code=code,
            field="code",
        )
    if _is_taken(connection, code):
        taken = N_("Participant code {code} is taken. Choose another.")
        raise StudyError(taken, code=code, field="code")
    boot, created = stamp(connection, at)
    made = created.wall_ms
    row = {"code": code, "created": made, "simulated": int(simulated), "boot": boot}
    return Participant(insert(connection, "participant", **row), code, made, simulated)


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
        raise StudyError(
            N_("There is no participant {code!r}. Create the participant first."),
            code=code,
            field="participant",
        )
    return int(row[0])


def insert_audit(
    connection: sqlite3.Connection, actor: str | None, action: str, detail: str, at: Instant
) -> None:
    """Write a line of the audit trail.

    Write nothing if no actor is named, because the caller writes its own line.
    """
    if actor is not None:
        audit.write_line(connection, actor, action, detail, at)


def insert_consent(
    connection: sqlite3.Connection, code: str, text_version: str, at: Instant
) -> None:
    """Record consent; an earlier one that is still valid ends where this one begins."""
    if not text_version.strip():
        raise StudyError("Consent: name the version of the text that the participant agreed to.")
    participant = find_participant(connection, code)
    use = attribute_use(connection, participant)  # it holds until it is decided anew
    _end_consent(connection, participant, at)
    boot, given = stamp_study(connection, at)
    connection.execute(
        "INSERT INTO consent (participant, text_version, given, given_boot, attributes) VALUES "
        "(?, ?, ?, ?, ?)",
        (participant, text_version.strip(), given.wall_ms, boot, use.value),
    )


def attribute_use(connection: sqlite3.Connection, participant: int) -> AttributeUse:
    """Return the use of attributes that the valid consent allows; without consent, none."""
    row = connection.execute(
        "SELECT attributes FROM consent WHERE participant = ? AND withdrawn IS NULL ORDER BY given "
        "DESC, id DESC LIMIT 1",
        (participant,),
    ).fetchone()
    return AttributeUse.NONE if row is None else AttributeUse(row["attributes"])


def withdraw_consent(connection: sqlite3.Connection, code: str, at: Instant) -> None:
    """End the valid consent."""
    participant = find_participant(connection, code)
    if not _end_consent(connection, participant, at):
        none_given = N_("Participant {code} has given no consent that could be withdrawn.")
        raise StudyError(none_given, code=code)


def _end_consent(connection: sqlite3.Connection, participant: int, at: Instant) -> bool:
    """End the valid consent; return whether there was one."""
    boot, withdrawn = stamp_study(connection, at)
    ended = connection.execute(
        "UPDATE consent SET withdrawn = ?, withdrawn_boot = ? WHERE participant = ? AND withdrawn "
        "IS NULL",
        (withdrawn.wall_ms, boot, participant),
    )
    return ended.rowcount > 0


def has_consent(connection: sqlite3.Connection, participant: int) -> bool:
    """Tell whether the participant has a valid consent."""
    row = connection.execute(
        "SELECT 1 FROM consent WHERE participant = ? AND withdrawn IS NULL", (participant,)
    )
    return row.fetchone() is not None


def insert_session(
    connection: sqlite3.Connection, new: NewSession, at: Instant, *, simulated: bool = False
) -> Session:
    """Open a session from a time on.

    Raises:
        StudyError: no such participant, no consent, another session is open, or one ended later.
    """
    participant = find_participant(connection, new.participant)
    if not has_consent(connection, participant):
        raise StudyError(
            N_(
                "Participant {code} has given no consent. Record the consent before the session "
                "starts."
            ),
            code=new.participant,
            field="participant",
        )
    open_one = find_open_session(connection)
    if open_one is not None:
        raise StudyError(
            N_("Session {session} of {code} has been open since {start}. End it first."),
            session=open_one.id,
            code=open_one.participant,
            start=utc_text(open_one.start_ms),
        )
    boot, start = stamp_study(connection, at)
    _refuse_overlap(connection, start)
    boot_ms = None if boot is None else start.boot_ms
    times = {"started": start.wall_ms, "boot": boot, "boot_ms": boot_ms}
    return write_session(connection, new, simulated=int(simulated), **times)


def write_session(connection: sqlite3.Connection, new: NewSession, **columns: object) -> Session:
    """Write the row of a session, which no rule forbids, and return it.

    Args:
        connection: in a transaction.
        new: what was said of it.
        columns: its times, and where it comes from.
    """
    number = insert(
        connection,
        "session",
        participant=find_participant(connection, new.participant),
        **{one.name: _checked(one, getattr(new, one.name)) for one in STORED},
        **columns,
    )
    if new.own_neutral is not None:
        state = OwnNeutralState.ASKED if new.own_neutral else OwnNeutralState.OFF
        insert(connection, "own_neutral", session=number, state=state.value)
    return session_numbered(connection, number)


def _checked(one: SessionField, value: Any) -> Any:
    """Return the value of a field of a new session, or refuse a text that no line can hold."""
    if one.kind is not str:
        return value
    most = one.about.most or LABEL_LENGTH
    return checked_label(value, one.about.title, field=one.name, empty_allowed=True, most=most)


def session_numbered(connection: sqlite3.Connection, number: int) -> Session:
    """Return the session of a number.

    Raises:
        StudyError: there is none.
    """
    row = connection.execute(f"{_SESSION} WHERE session.id = ?", (number,)).fetchone()
    if row is None:
        none_there = N_("There is no session {number}. The Study page lists them.")
        raise StudyError(none_there, number=number)
    return _session_of(row)


def close_session(connection: sqlite3.Connection, at: Instant) -> Session:
    """Close the open session."""
    session = require_open_session(connection, N_("No session is open, so none was ended."))
    boot, end = in_session(connection, session.id, at)
    refuse_before_start(session, end)
    connection.execute(
        "UPDATE session SET ended = ?, ended_boot = ?, ended_boot_ms = ? WHERE id = ?",
        (end.wall_ms, boot, None if boot is None else end.boot_ms, session.id),
    )
    return replace(session, end_ms=end.wall_ms)


def end_sessions_of(connection: sqlite3.Connection, code: str, at: Instant) -> Session | None:
    """End the open session of a participant, and let none of theirs reach beyond now.

    Where the clock was ahead, sessions end, or lie, in the time to come, and what is recorded then
    would belong to them. They get times of the clock of now; the boot clock tells how long ago.

    Returns:
        The session that was open; ``None``: none was.
    """
    boot, now = stamp_study(connection, at)
    later = connection.execute(
        "SELECT session.id, started, ended, boot_ms, ended_boot_ms, begin.boot_id AS begin_id, "
        "finish.boot_id AS finish_id, present.boot_id AS present_id FROM session LEFT JOIN boot AS "
        "begin ON begin.id = session.boot LEFT JOIN boot AS finish ON finish.id = "
        "session.ended_boot LEFT JOIN boot AS present ON present.id = ? WHERE participant = ? AND "
        "(ended IS NULL OR ended > ?)",
        (boot, find_participant(connection, code), now.wall_ms),
    ).fetchall()
    was_open = None
    for row in later:
        is_of_now = row["present_id"] is not None and row["finish_id"] == row["present_id"]
        end_boot_ms = row["ended_boot_ms"] if is_of_now else now.boot_ms
        end = now.shift(min(0, end_boot_ms - now.boot_ms) / 1000)
        start = end
        if row["begin_id"] is not None and row["begin_id"] == row["present_id"]:
            start = now.shift(min(end.boot_ms, row["boot_ms"]) / 1000 - now.boot_ms / 1000)
        _cut_session(connection, row, boot, start, end)
        if row["ended"] is None:
            was_open = row["id"]
    return None if was_open is None else session_numbered(connection, was_open)


def _cut_session(
    connection: sqlite3.Connection, row: sqlite3.Row, boot: int | None, start: Instant, end: Instant
) -> None:
    """Let a session end, with its markers, and begin no later than that."""
    if row["started"] > end.wall_ms:
        connection.execute(
            "UPDATE session SET started = ?, boot = ?, boot_ms = ? WHERE id = ?",
            (start.wall_ms, boot, start.boot_ms, row["id"]),
        )
    connection.execute(
        "UPDATE session SET ended = ?, ended_boot = ?, ended_boot_ms = ? WHERE id = ?",
        (end.wall_ms, boot, end.boot_ms, row["id"]),
    )
    connection.execute(
        "UPDATE marker SET at = max(?, min(?, ? - (? - coalesce(boot_ms, ?)))), boot = ? WHERE "
        "session = ? AND at > ?",
        (
            *(min(start.wall_ms, row["started"]), end.wall_ms, end.wall_ms, end.boot_ms),
            *(end.boot_ms, boot, row["id"], end.wall_ms),
        ),
    )


def find_open_session(connection: sqlite3.Connection) -> Session | None:
    """Return the session that is open."""
    row = connection.execute(f"{_SESSION} WHERE ended IS NULL").fetchone()
    return None if row is None else _session_of(row)


def require_open_session(
    connection: sqlite3.Connection, refusal: str = N_("No session is open. Start one first.")
) -> Session:
    """Return the session that is open, or refuse."""
    session = find_open_session(connection)
    if session is None:
        raise StudyError(refusal)
    return session


def select_sessions(connection: sqlite3.Connection) -> list[Session]:
    """Return all sessions, newest first."""
    rows = connection.execute(f"{_SESSION} ORDER BY started DESC, session.id DESC")
    return [_session_of(row) for row in rows]


def _session_of(row: sqlite3.Row) -> Session:
    return Session(
        id=row["id"],
        participant=row["code"],
        **{one.name: one.kind(row[one.name]) for one in STORED},
        start_ms=row["started"],
        end_ms=row["ended"],
        simulated=bool(row["simulated"]),
        origin=row["origin"],
        left_out=row["left_out"],
    )


def marker_kind(kind: MarkerKind) -> str:
    """Return what a refused label is of."""
    return Message(N_("Marker {kind}"), kind=as_message(kind.value.replace("_", " ")))


def checked_label(
    text: str, what: str, *, field: str, empty_allowed: bool, most: int = LABEL_LENGTH
) -> str:
    """Return the text without blanks around it, or refuse it.

    Args:
        text: as it was given.
        what: its name in the sentence that refuses it.
        field: its field in a form.
        empty_allowed: whether it may be empty.
        most: the largest number of characters.

    Raises:
        StudyError: it is too long, not printable on one line, or empty where it may not be.
    """
    label = text.strip()
    if not label and not empty_allowed:
        raise StudyError(
            N_("{what}: give a label of 1 to {most} characters."),
            what=as_message(what),
            most=most,
            field=field,
        )
    if len(label) > most or not label.isprintable():
        raise StudyError(
            N_("{what} {label!r}…: give at most {most} printable characters on one line."),
            what=as_message(what),
            label=label[:20],
            most=most,
            field=field,
        )
    return label


def in_session(
    connection: sqlite3.Connection, session: int, at: Instant
) -> tuple[int | None, Instant]:
    """Return an instant of a session by the clock that its start was read from, and its boot row.

    Where the wall clock stepped since, to a time that nobody has confirmed yet, the boot clock says
    how long the session has lasted: it is never too long, and never ends before its start.
    """
    boot, known = stamp_study(connection, at)
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
            N_("{at} lies before the start of session {session} ({start})."),
            at=utc_text(at.wall_ms),
            session=session.id,
            start=utc_text(session.start_ms),
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
            N_(
                "{at} lies before the end of session {session} ({end}). Sessions must not overlap; "
                "if the clock of this machine is wrong, set it first."
            ),
            at=utc_text(at.wall_ms),
            session=row["id"],
            end=utc_text(row["ended"]),
        )


def _is_taken(connection: sqlite3.Connection, code: str) -> bool:
    row = connection.execute("SELECT 1 FROM participant WHERE code = ?", (code,))
    return row.fetchone() is not None


def _free_code(connection: sqlite3.Connection) -> str:
    """Return a random code of four letters that is not taken."""
    code = ""
    while not code or _is_taken(connection, code):
        code = "P-" + "".join(secrets.choice(_CODE_LETTERS) for _ in range(4))
    return code


def insert_marker(
    connection: sqlite3.Connection, session: Session, kind: MarkerKind, label: str, at: Instant
) -> Marker:
    """Add a marker to a session.

    A stimulus end without label takes that of the open condition, a baseline neutral.
    """
    boot, at = in_session(connection, session.id, at)
    refuse_before_start(session, at)
    if kind is MarkerKind.STIMULUS_END:
        condition = find_open_condition(connection, session.id)
        if condition is None:
            raise StudyError(
                N_("No stimulus is going on that could end. Mark its start first."), field="kind"
            )
        label = label.strip() or condition
    if kind is MarkerKind.BASELINE:
        label = label.strip() or Emotion.NEUTRAL.value
    if kind is MarkerKind.DECLARED:
        label = declared_label(session, label)
    label = checked_label(label, marker_kind(kind), field="label", empty_allowed=False)
    cursor = connection.execute(
        "INSERT INTO marker (session, at, boot_ms, kind, label, boot) VALUES (?, ?, ?, ?, ?, ?)",
        (session.id, at.wall_ms, at.boot_ms, kind.value, label, boot),
    )
    return Marker(at, kind, label, session.id, int(cursor.lastrowid or 0))


def declared_label(session: Session, label: str) -> str:
    """Return the label of a declaration, which may name the participant whom it is meant for.

    Raises:
        StudyError: it names somebody else.
    """
    if label.strip().casefold() not in {"", DECLARED_LABEL, session.participant.casefold()}:
        raise StudyError(
            N_(
                "The session is of {participant}, and the declaration of {label!r}. Leave the name "
                "out, or begin a session of that participant."
            ),
            participant=session.participant,
            label=label.strip()[:40],
            field="label",
        )
    return DECLARED_LABEL


def is_of_declaration(kind: MarkerKind, label: str) -> bool:
    """Tell whether a marker begins or ends a stretch that was declared afterwards."""
    is_end = label == DECLARED_UNTIL
    return kind is MarkerKind.DECLARED and (is_end or label.startswith(DECLARED_FROM))


def marker_is_there(
    connection: sqlite3.Connection, session: int, kind: MarkerKind, label: str, at_ms: int
) -> bool:
    """Tell whether a session has a marker of this time, kind and label; no label fits any."""
    row = connection.execute(
        "SELECT 1 FROM marker WHERE session = ? AND at = ? AND kind = ? AND (label = ? OR ? = '')",
        (session, at_ms, kind.value, label.strip(), label.strip()),
    )
    return row.fetchone() is not None


def find_open_condition(
    connection: sqlite3.Connection, session: int, at_ms: int = 2**62
) -> str | None:
    """Return the label of the open stimulus of a session, now or at a time (UTC ms)."""
    row = connection.execute(
        "SELECT kind, label FROM marker WHERE session = ? AND kind IN (?, ?) AND at <= ? ORDER BY "
        "at DESC, id DESC LIMIT 1",
        (session, *STIMULI, at_ms),
    ).fetchone()
    if row is not None and row["kind"] == MarkerKind.STIMULUS_START:
        return str(row["label"])
    return None


def select_markers(connection: sqlite3.Connection, session: int) -> list[Marker]:
    """Return the markers of a session in order of time."""
    session_numbered(connection, session)
    rows = connection.execute(
        "SELECT id, session, at, boot_ms, kind, label FROM marker WHERE session = ? ORDER BY at, "
        "id",
        (session,),
    )
    return [marker_of(row) for row in rows]


def marker_of(row: sqlite3.Row) -> Marker:
    """Return a row of ``marker`` as a value; its boot clock is 0 where it was not recorded."""
    at = Instant(boot_ms=row["boot_ms"] or 0, wall_ms=row["at"])
    return Marker(at, MarkerKind(row["kind"]), row["label"], row["session"], row["id"])


def check_purpose(purpose: Purpose, setting: SessionSetting, purposes: Collection[Purpose]) -> None:
    """Refuse a purpose that this appliance does not allow, or that the setting forbids.

    Raises:
        StudyError: it is so.
    """
    if purpose not in purposes:
        raise StudyError(
            N_("Purpose {purpose} is not allowed on this appliance. Allowed: {allowed}."),
            purpose=as_message(purpose.value),
            allowed=", ".join(purposes),
            field="purpose",
        )
    forbidden = forbidden_because(purpose, setting)
    if forbidden is not None:
        raise StudyError(forbidden, field="setting")


def check_time(what: str, at_ms: int, now_ms: int) -> None:
    """Refuse a time in the future or before the year 2000.

    Raises:
        StudyError: it is so.
    """
    if at_ms > now_ms:
        raise StudyError(
            f"{what}: {iso_utc(at_ms)} lies in the future; it is {iso_utc(now_ms)} now. Give "
            "a time that has passed, and look at the time zone."
        )
    if at_ms < EARLIEST_MS:
        raise StudyError(f"{what}: {iso_utc(at_ms)} lies before the year 2000.")


def check_span(connection: sqlite3.Connection, start_ms: int, end_ms: int, now_ms: int) -> None:
    """Refuse a session that ends before it begins, lies in the future, or overlaps another.

    Raises:
        StudyError: it is so.
    """
    check_time("Start of the session", start_ms, now_ms)
    check_time("End of the session", end_ms, now_ms)
    if end_ms <= start_ms:
        raise StudyError(
            f"The session ends at {iso_utc(end_ms)}, which does not follow its start at "
            f"{iso_utc(start_ms)}. Give an end that is later."
        )
    other = connection.execute(
        "SELECT id, started, ended FROM session WHERE started < ? AND (ended IS NULL OR ended > ?) "
        "ORDER BY started LIMIT 1",
        (end_ms, start_ms),
    ).fetchone()
    if other is not None:
        until = "now" if other["ended"] is None else iso_utc(other["ended"])
        raise StudyError(
            f"{iso_utc(start_ms)} to {iso_utc(end_ms)} meets session {other['id']} "
            f"({iso_utc(other['started'])} to {until}). Sessions must not overlap: correct the "
            "times."
        )


def check_consent(
    connection: sqlite3.Connection, participant: int, code: str, times_ms: Iterable[int]
) -> None:
    """Refuse times without valid consent, and participants who have withdrawn since.

    Args:
        connection: the database.
        participant: their row.
        code: their code, for the message.
        times_ms: the times, UTC milliseconds.

    Raises:
        StudyError: it is so.
    """
    if not has_consent(connection, participant):
        raise StudyError(
            f"Participant {code} has given no consent that stands. Record it first: "
            f"participant consent {code} --text VERSION --on TIME."
        )
    for at_ms in times_ms:
        row = connection.execute(
            "SELECT 1 FROM consent WHERE participant = ? AND given <= ? AND (withdrawn IS NULL OR "
            "withdrawn >= ?)",
            (participant, at_ms, at_ms),
        )
        if row.fetchone() is None:
            raise StudyError(
                f"At {iso_utc(at_ms)} no consent of participant {code} stood. Where they "
                f"agreed before: participant consent {code} --text VERSION --on TIME."
            )
