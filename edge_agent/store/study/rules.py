"""What is refused of a session: its purpose, its times, and a consent that did not stand."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.study import Purpose, SessionSetting, forbidden_because
from edge_agent.store.study.study_rows import has_consent

_EARLIEST_MS = 946_684_800_000  # the year 2000, as for readings


def check_purpose(purpose: Purpose, setting: SessionSetting, purposes: Collection[Purpose]) -> None:
    """Refuse a purpose that this appliance does not allow, or that the setting forbids.

    Raises:
        StudyError: it is so.
    """
    if purpose not in purposes:
        raise StudyError(
            f"Purpose {purpose} is not allowed on this appliance. Allowed: {', '.join(purposes)}."
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
            f"{what}: {iso_utc(at_ms)} lies in the future; it is {iso_utc(now_ms)} now. Give "
            "a time that has passed, and look at the time zone."
        )
    if at_ms < _EARLIEST_MS:
        raise StudyError(f"{what}: {iso_utc(at_ms)} lies before the year 2000.")


def check_span(connection: sqlite3.Connection, start_ms: int, end_ms: int, now_ms: int) -> None:
    """Refuse a session that ends before it begins, lies in the future, or meets another.

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
        raise StudyError(_overlap(start_ms, end_ms, other))


def _overlap(start_ms: int, end_ms: int, other: sqlite3.Row) -> str:
    until = "now"
    if other["ended"] is not None:
        until = iso_utc(other["ended"])
    return (
        f"{iso_utc(start_ms)} to {iso_utc(end_ms)} meets session {other['id']} "
        f"({iso_utc(other['started'])} to {until}). Sessions must not overlap: correct the times."
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
