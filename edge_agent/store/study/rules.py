"""What is refused of a session: its purpose, its times, and a consent that did not stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Purpose, SessionSetting, forbidden_because
from edge_agent.core.texts import N_, Message, as_message
from edge_agent.store.study.study_rows import has_consent

_EARLIEST_MS = 946_684_800_000  # the year 2000, as for readings


def check_purpose(purpose: Purpose, setting: SessionSetting, purposes: Collection[Purpose]) -> None:
    """Refuse a purpose that this appliance does not allow, or that the setting forbids.

    Raises:
        StudyError: it is so.
    """
    if purpose not in purposes:
        raise StudyError(
            Message(
                N_("Purpose {purpose} is not allowed on this appliance. Allowed: {allowed}."),
                purpose=str(purpose),
                allowed=", ".join(purposes),
            )
        )
    forbidden = forbidden_because(purpose, setting)
    if forbidden is not None:
        raise StudyError(forbidden)


def check_time(what: str, at_ms: int, now_ms: int) -> None:
    """Refuse a time that has not come yet, or lies before the year 2000.

    Raises:
        StudyError: it is so.
    """
    if at_ms > now_ms:
        raise StudyError(
            Message(
                N_(
                    "{what}: {time} lies in the future; it is {now} now. Give a time that has "
                    "passed, and look at the time zone."
                ),
                what=as_message(what),
                time=iso_utc(at_ms),
                now=iso_utc(now_ms),
            )
        )
    if at_ms < _EARLIEST_MS:
        raise StudyError(
            Message(
                N_("{what}: {time} lies before the year 2000."),
                what=as_message(what),
                time=iso_utc(at_ms),
            )
        )


def check_span(connection: sqlite3.Connection, start_ms: int, end_ms: int, now_ms: int) -> None:
    """Refuse a session that ends before it begins, lies in the future, or meets another.

    Raises:
        StudyError: it is so.
    """
    check_time(N_("Start of the session"), start_ms, now_ms)
    check_time(N_("End of the session"), end_ms, now_ms)
    if end_ms <= start_ms:
        raise StudyError(
            Message(
                N_(
                    "The session ends at {end}, which does not follow its start at {start}. Give "
                    "an end that is later."
                ),
                start=iso_utc(start_ms),
                end=iso_utc(end_ms),
            )
        )
    other = connection.execute(
        "SELECT id, started, ended FROM session WHERE started < ? AND (ended IS NULL OR ended > ?) "
        "ORDER BY started LIMIT 1",
        (end_ms, start_ms),
    ).fetchone()
    if other is not None:
        raise StudyError(_overlap(start_ms, end_ms, other))


def _overlap(start_ms: int, end_ms: int, other: sqlite3.Row) -> Message:
    until: str = Message(N_("now"))
    if other["ended"] is not None:
        until = iso_utc(other["ended"])
    return Message(
        N_(
            "{start} to {end} meets session {number} ({started} to {until}). Sessions must not "
            "overlap: correct the times."
        ),
        start=iso_utc(start_ms),
        end=iso_utc(end_ms),
        number=other["id"],
        started=iso_utc(other["started"]),
        until=until,
    )


def check_consent(
    connection: sqlite3.Connection, participant: int, code: str, times_ms: Iterable[int]
) -> None:
    """Refuse times at which no consent stood, or somebody who has withdrawn since.

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
            Message(
                N_(
                    "Participant {code} has given no consent that stands. Record it first: "
                    "participant consent {code} --text VERSION --on TIME."
                ),
                code=code,
            )
        )
    for at_ms in times_ms:
        row = connection.execute(
            "SELECT 1 FROM consent WHERE participant = ? AND given <= ? AND (withdrawn IS NULL OR "
            "withdrawn >= ?)",
            (participant, at_ms, at_ms),
        )
        if row.fetchone() is None:
            raise StudyError(
                Message(
                    N_(
                        "At {time} no consent of participant {code} stood. Where they agreed "
                        "before: participant consent {code} --text VERSION --on TIME."
                    ),
                    time=iso_utc(at_ms),
                    code=code,
                )
            )
