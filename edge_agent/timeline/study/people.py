"""The participants of a study as a list, and their attributes.

The list is searched, filtered and sorted, a page at a time. Attributes are kept as far as the
consent of a participant goes.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.study import MOST, AttributeUse, checked_attribute
from edge_agent.core.texts import N_
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.database.tables import OF_SESSION_IN_TIME, RowOwner, Table
from edge_agent.timeline.study.rows import attribute_use, find_participant, insert_audit

# ruff: noqa: S608 - only our own names are put into SQL text
PAGE_ROWS = 25


def _newest_row_of(table: Table) -> str:
    """Return the query of the time of the newest row in a participant's latest session."""
    own = "session = latest_id AND " if table.whose is RowOwner.SESSION else ""
    newest = f"SELECT max(at) FROM {table.name} WHERE {own}"
    # A bound that is no column is looked up in the index; ``at`` itself would be asked of each row.
    return f"coalesce(({newest}at >= latest AND at <= coalesce(latest_end, 1 << 60)), latest)"


_NEWEST_ROWS = ", ".join(_newest_row_of(table) for table in OF_SESSION_IN_TIME)
_LINES = (
    "WITH newest AS (SELECT participant, max(id) AS id FROM consent GROUP BY participant), held AS "
    "(SELECT participant, count(*) AS sessions, max(started) AS latest, id AS latest_id, ended AS "
    "latest_end FROM session GROUP BY participant), line AS (SELECT code, created, "
    "participant.simulated, text_version, given, withdrawn, CASE WHEN consent.id IS NULL THEN "
    "'none' WHEN withdrawn IS NULL THEN 'given' ELSE 'withdrawn' END AS consent, "
    f"coalesce(sessions, 0) AS sessions, latest, max({_NEWEST_ROWS}) AS recorded FROM participant "
    "LEFT JOIN newest ON newest.participant = participant.id LEFT JOIN consent ON consent.id = "
    "newest.id LEFT JOIN held ON held.participant = participant.id) SELECT *, count(*) OVER () AS "
    "matching FROM line WHERE instr(lower(code), lower(:search)) > 0 AND (:consent = '' OR consent "
    "= :consent) "
)


class ConsentState(StrEnum):
    """The state of a participant's newest consent."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    NONE = "none"


class RosterOrder(StrEnum):
    """The column by which the list of participants is sorted."""

    CODE = "code"
    ADDED = "added"
    SESSIONS = "sessions"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One participant in the list of participants.

    Attributes:
        code: the participant's code.
        created_ms: when they were added.
        simulated: whether they are made up.
        consent: how their newest consent stands.
        consent_text: version of its text; ``None`` without any.
        consent_ms: when it was given, or withdrawn; ``None`` without any.
        sessions: how many they have.
        latest_ms: start of the latest; ``None`` without any.
        recorded_ms: time of the newest row in the latest, or its start where it has none; ``None``
            without any.
    """

    code: str
    created_ms: int
    simulated: bool
    consent: ConsentState
    consent_text: str | None
    consent_ms: int | None
    sessions: int
    latest_ms: int | None
    recorded_ms: int | None

    @property
    def withdrawn_ms(self) -> int | None:
        """When the newest consent was withdrawn; ``None``: it was not."""
        return self.consent_ms if self.consent is ConsentState.WITHDRAWN else None


@dataclass(frozen=True, slots=True)
class RosterQuery:
    """Search, filter, order and page of the list of participants.

    Attributes:
        search: part of a code; empty: all.
        consent: only those whose consent stands so; ``None``: all.
        order: what the list is sorted by; all but the code from the greatest.
        page: number of the page, from 1.
    """

    search: str = ""
    consent: ConsentState | None = None
    order: RosterOrder = RosterOrder.CODE
    page: int = 1


@dataclass(frozen=True, slots=True)
class Roster:
    """One page of the list of participants.

    Attributes:
        rows: the lines of the page.
        matching: how many lines all pages have.
        everybody: how many participants there are.
        page: the page that this is: the last, where a later one was asked for.
        pages: how many pages there are, at least 1.
    """

    rows: tuple[Enrolled, ...]
    matching: int
    everybody: int
    page: int
    pages: int


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """A consent of a participant, as it was recorded."""

    text_version: str
    given_ms: int
    withdrawn_ms: int | None
    attributes: str


_ORDERS = {
    RosterOrder.CODE: "ORDER BY code COLLATE NOCASE",
    RosterOrder.ADDED: "ORDER BY created DESC, code",
    RosterOrder.SESSIONS: "ORDER BY sessions DESC, code",
    RosterOrder.LATEST: "ORDER BY latest DESC NULLS LAST, code",
}


def read_roster(path: Path, question: RosterQuery) -> Roster:
    """Return a page of the list.

    Raises:
        StoreError: the database cannot be read.
    """
    words = {"search": question.search.strip(), "consent": question.consent or ""}
    text = f"{_LINES}{_ORDERS[question.order]} LIMIT {PAGE_ROWS} OFFSET :first"
    with read_transaction(path) as connection:
        everybody = connection.execute("SELECT count(*) FROM participant").fetchone()[0]
        last = max(1, math.ceil(everybody / PAGE_ROWS))
        page = min(max(1, question.page), last)
        rows = connection.execute(text, words | {"first": (page - 1) * PAGE_ROWS}).fetchall()
        if not rows and page > 1:  # beyond the last page of those that match
            first = connection.execute(text, words | {"first": 0}).fetchone()
            page = 1 if first is None else math.ceil(first["matching"] / PAGE_ROWS)
            rows = connection.execute(text, words | {"first": (page - 1) * PAGE_ROWS}).fetchall()
    matching = rows[0]["matching"] if rows else 0
    pages = max(1, math.ceil(matching / PAGE_ROWS))
    return Roster(tuple(_line_of(row) for row in rows), matching, everybody, page, pages)


def _line_of(row: sqlite3.Row) -> Enrolled:
    ended_ms = row["withdrawn"]
    return Enrolled(
        code=row["code"],
        created_ms=row["created"],
        simulated=bool(row["simulated"]),
        consent=ConsentState(row["consent"]),
        consent_text=row["text_version"],
        consent_ms=row["given"] if ended_ms is None else ended_ms,
        sessions=row["sessions"],
        latest_ms=row["latest"],
        recorded_ms=row["recorded"],
    )


def everybody(path: Path) -> list[Enrolled]:
    """Return all participants by code.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        text = f"{_LINES}{_ORDERS[RosterOrder.CODE]}"
        rows = connection.execute(text, {"search": "", "consent": ""}).fetchall()
    return [_line_of(row) for row in rows]


def list_entry_of(path: Path, code: str) -> Enrolled:
    """Return the list entry of one participant; the case of the code does not matter.

    Raises:
        StudyError: there is no such participant.
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        words = {"search": code, "consent": ""}
        row = connection.execute(f"{_LINES} AND length(code) = length(:search)", words).fetchone()
    if row is None:
        none_there = N_("There is no participant {code!r}. Look at the list on the Study page.")
        raise StudyError(none_there, code=code)
    return _line_of(row)


def consents_of(path: Path, code: str) -> list[ConsentEntry]:
    """Return all consents of a participant, newest first.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT text_version, given, withdrawn, attributes FROM consent JOIN participant ON "
            "participant.id = participant WHERE code = ? ORDER BY consent.id DESC",
            (code,),
        )
        return [ConsentEntry(*row) for row in rows]


def consenting(path: Path, at_most: int) -> list[tuple[str, bool]]:
    """Return the code of participants with valid consent, and whether each is simulated, by code.

    If there are more than ``at_most``, return those who consented last.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        rows = connection.execute(
            "SELECT code, simulated FROM participant JOIN consent ON consent.participant = "
            "participant.id WHERE withdrawn IS NULL GROUP BY participant.id ORDER BY max(given) "
            "DESC LIMIT ?",
            (at_most,),
        ).fetchall()
    return sorted((row["code"], bool(row["simulated"])) for row in rows)


def attributes_of(path: Path) -> dict[str, dict[str, str]]:
    """Return the attributes of each participant who has any, by code.

    Raises:
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        return _attributes_where(connection, "true")


def select_attributes(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Return by code the attributes of each participant whose valid consent allows them."""
    allowed = (
        "EXISTS (SELECT 1 FROM consent WHERE consent.participant = participant.id AND withdrawn "
        "IS NULL AND attributes <> ?)"
    )
    return _attributes_where(connection, allowed, AttributeUse.NONE.value)


def _attributes_where(
    connection: sqlite3.Connection, condition: str, *values: str
) -> dict[str, dict[str, str]]:
    told: dict[str, dict[str, str]] = {}
    for code, name, value in connection.execute(
        "SELECT code, name, value FROM participant_attribute JOIN participant ON "
        f"participant.id = participant WHERE {condition} ORDER BY code, name",
        values,
    ):
        told.setdefault(code, {})[name] = value
    return told


def attribute_use_of(path: Path, code: str) -> AttributeUse:
    """Return the use of attributes that a participant's valid consent allows.

    Raises:
        StudyError: unknown participant.
        StoreError: the database cannot be read.
    """
    with read_transaction(path) as connection:
        return attribute_use(connection, find_participant(connection, code))


def agree_to_attributes(
    path: Path,
    code: str,
    use: AttributeUse,
    *,
    actor: str | None,
    values: Mapping[str, str] | None = None,
) -> None:
    """Record the consent of a participant to attributes, as part of the valid consent.

    Where they agree to none, those that were kept are deleted. ``values`` are set in the same
    transaction, as of ``set_attributes``.

    Raises:
        StudyError: unknown participant, no consent stands, or as ``set_attributes``. Nothing was
            written then.
    """
    moment = clock.now()
    with write_transaction(path) as connection:
        participant = find_participant(connection, code)
        changed = connection.execute(
            "UPDATE consent SET attributes = ? WHERE participant = ? AND withdrawn IS NULL",
            (use.value, participant),
        )
        if not changed.rowcount:
            none_stands = N_(
                "Participant {code} has given no consent that stands. Record the consent first."
            )
            raise StudyError(none_stands, code=code)
        if use is AttributeUse.NONE:
            connection.execute(
                "DELETE FROM participant_attribute WHERE participant = ?", (participant,)
            )
        insert_audit(connection, actor, "attributes_agree", code, moment)
        if values is not None:
            _set(connection, code, values)
            insert_audit(connection, actor, "attributes_set", code, moment)


def set_attributes(path: Path, code: str, values: Mapping[str, str], *, actor: str | None) -> None:
    """Set attributes of a participant; an empty value removes one, others stay as they are.

    Neither names nor values go into the audit trail.

    Raises:
        StudyError: unknown participant, who has not agreed that attributes are kept; an attribute
            that cannot be, or too many. Nothing was written then.
    """
    with write_transaction(path) as connection:
        _set(connection, code, values)
        insert_audit(connection, actor, "attributes_set", code, clock.now())


def _set(connection: sqlite3.Connection, code: str, values: Mapping[str, str]) -> None:
    kept = dict(checked_attribute(name, value) for name, value in values.items() if value.strip())
    removed = [name.strip().lower() for name, value in values.items() if not value.strip()]
    participant = find_participant(connection, code)
    if kept and attribute_use(connection, participant) is AttributeUse.NONE:
        raise StudyError(
            f"Participant {code} has not agreed that attributes are kept. Where they do: "
            f"participant consent {code} --text VERSION --attributes here (or shared, for "
            "exports).",
            field="use",
        )
    connection.executemany(
        "DELETE FROM participant_attribute WHERE participant = ? AND name = ?",
        [(participant, name) for name in removed],
    )
    connection.executemany(
        "INSERT INTO participant_attribute (participant, name, value) VALUES (?, ?, ?) ON CONFLICT "
        "(participant, name) DO UPDATE SET value = excluded.value",
        [(participant, name, value) for name, value in kept.items()],
    )
    count = connection.execute(
        "SELECT count(*) FROM participant_attribute WHERE participant = ?", (participant,)
    ).fetchone()[0]
    if count > MOST:
        too_many = N_("Participant {code}: keep at most {most} attributes, not {count}.")
        raise StudyError(too_many, code=code, most=MOST, count=count)
