"""Letters about a person's week: to whom they go, how often, and what became of the last one.

They lie in the dashboard's own database, after a consent of their own: measured values leave the
house. A person is named by code and time of enrolment, as for carers. What names nobody any more is
deleted when anybody looks at it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path

from edge_agent.core.errors import StudyError
from edge_agent.core.pauses import doubling, pause_after
from edge_agent.core.texts import N_, pack_alone, unpack_alone
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.timeline.study.people import ConsentState, Enrolled, everybody
from edge_agent.timeline.upkeep.dashboard_erasure import settle_people

MOST = 5
"""Addresses of one person."""
LONGEST = 254
"""Characters of an address (RFC 5321)."""
AT = time(7)
"""When a letter is sent on its Monday, or later where the machine was off."""
WEEKS = 4
"""Of a letter that comes by month."""
_MONDAY = 0
_WEEK = timedelta(days=7)
_SERVICE = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_ADDRESS = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]+@([a-zA-Z0-9-]+\.)+[a-zA-Z0-9-]{2,}")
RETRIES_MS = doubling(10 * 60_000, 6 * 3_600_000)


class LetterPeriod(StrEnum):
    """Periods of letters."""

    WEEK = "week"
    MONTH = "month"

    @property
    def weeks(self) -> int:
        """Number of weeks that a letter tells of."""
        return 1 if self is LetterPeriod.WEEK else WEEKS

    def until(self, now: datetime) -> date:
        """Return the last day of the newest period that is told of: a Sunday.

        By week it is told on Monday at seven; by month on the first Monday of the month, of the
        four weeks before.

        >>> LetterPeriod.WEEK.until(datetime(2026, 11, 30, 7)).isoformat()
        '2026-11-29'
        >>> LetterPeriod.MONTH.until(datetime(2026, 11, 30, 7)).isoformat()
        '2026-11-01'
        """
        told = now.date() - timedelta(days=now.weekday() - _MONDAY)
        if datetime.combine(told, AT) > now.replace(tzinfo=None):
            told -= _WEEK
        while self is LetterPeriod.MONTH and told.day > _WEEK.days:
            told -= _WEEK
        return told - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Addressed:
    """An address, and what became of its last letter.

    Attributes:
        address: where letters go.
        until: last day of the newest period that needs no letter there any more.
        sent_ms: when the last one was taken; ``None``: none was yet.
        tries: attempts since then.
        tried_ms: when the last of these was.
        error: why it failed, a message where it was raised with one; empty: it did not, or nobody
            knows.
    """

    address: str
    until: date
    sent_ms: int | None = None
    tries: int = 0
    tried_ms: int = 0
    error: str = ""

    @property
    def is_unknown(self) -> bool:
        """Tell whether an attempt has begun whose outcome is unknown."""
        return self.tries > 0 and not self.error

    def is_due(self, until: date, now_ms: int) -> bool:
        """Tell whether the letter of a period is to be sent now."""
        if self.until >= until:
            return False
        if not self.tries:
            return True
        return not 0 <= now_ms - self.tried_ms < pause_after(self.tries, RETRIES_MS)


@dataclass(frozen=True, slots=True)
class LetterPlan:
    """The letters about one person.

    Attributes:
        person: whom they are about.
        every: how often.
        language: code of their language.
        text_version: of the text that was agreed to.
        agreed_ms: when.
        addresses: where they go.
    """

    person: Enrolled
    every: LetterPeriod
    language: str
    text_version: str
    agreed_ms: int
    addresses: tuple[Addressed, ...]

    @property
    def may_send(self) -> bool:
        """Tell whether the consent to recording is valid, without which nothing is sent."""
        return self.person.consent is ConsentState.GIVEN


def checked_addresses(given: Sequence[str]) -> tuple[str, ...]:
    """Return e-mail addresses, each once.

    Raises:
        StudyError: one is none, there is none at all, or there are too many.
    """
    addresses: dict[str, str] = {}
    for one in filter(None, map(str.strip, given)):
        service = _SERVICE.match(one)
        if service is not None:
            raise StudyError(
                N_(
                    "{service}: letters hold measured values, so they go to e-mail addresses alone "
                    "and to no other service. Write an address such as name@example.org."
                ),
                service=service[1],
                field="addresses",
            )
        if len(one) > LONGEST or not _ADDRESS.fullmatch(one):
            raise StudyError(
                N_("{address!r} is no e-mail address. Write one such as name@example.org."),
                address=one[:LONGEST],
                field="addresses",
            )
        addresses.setdefault(one.casefold(), one)
    if not addresses:
        raise StudyError(N_("Give at least one e-mail address."), field="addresses")
    if len(addresses) > MOST:
        raise StudyError(
            N_("Letters about one person go to {most} addresses at most; these are {given}."),
            most=MOST,
            given=len(addresses),
            field="addresses",
        )
    return tuple(addresses.values())


class Letters:
    """The letters of all people.

    Args:
        path: the database of the timeline.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[LetterPlan]:
        """Return the letters of everybody who gets any, by code.

        Raises:
            StoreError: one of the databases cannot be read.
        """
        rows, addresses = self._rows()
        if not rows:
            return []
        people = {(one.code, one.created_ms): one for one in everybody(self._path)}
        if any(_key(row) not in people for row in rows):
            settle_people(self._path)
            rows, addresses = self._rows()
        plans = [
            LetterPlan(
                people[_key(row)],
                LetterPeriod(row["every"]),
                row["language"],
                row["text_version"],
                row["agreed"],
                tuple(_address_of(one) for one in addresses if _key(one) == _key(row)),
            )
            for row in rows
            if _key(row) in people
        ]
        return sorted(plans, key=lambda plan: plan.person.code.casefold())

    def _rows(self) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
        with read_dashboard(self._path) as connection:
            rows = connection.execute("SELECT * FROM letter").fetchall()
            addresses = connection.execute("SELECT * FROM letter_address ORDER BY address")
            return rows, addresses.fetchall()

    def of(self, code: str) -> LetterPlan | None:
        """Return the letters about one person; ``None``: there are none.

        Raises:
            StoreError: one of the databases cannot be read.
        """
        return next((one for one in self.all() if one.person.code == code), None)

    def set(self, plan: LetterPlan) -> None:
        """Write whom letters about a person go to, instead of what was written so far.

        An address that stays keeps what became of its last letter.

        Raises:
            StoreError: the database cannot be written.
        """
        key = plan.person.code, plan.person.created_ms
        with write_dashboard(self._path) as connection:
            before = {
                row["address"].casefold(): _address_of(row)
                for row in connection.execute(
                    "SELECT * FROM letter_address WHERE code = ? AND enrolled = ?", key
                )
            }
            connection.execute("DELETE FROM letter WHERE code = ? AND enrolled = ?", key)
            connection.execute(
                "INSERT INTO letter (code, enrolled, every, language, text_version, agreed) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (*key, plan.every, plan.language, plan.text_version, plan.agreed_ms),
            )
            for new in plan.addresses:
                one = before.get(new.address.casefold(), new)
                connection.execute(
                    "INSERT INTO letter_address (code, enrolled, address, until, sent, tries, "
                    "tried, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(*key, new.address, max(one.until, new.until).isoformat(), one.sent_ms),
                        # That a letter was perhaps sent stays; one that failed is tried at once.
                        *((one.tries, one.tried_ms) if one.is_unknown else (0, 0)),
                        "",
                    ),
                )

    def stop(self, person: Enrolled) -> bool:
        """Delete the letters about a person with all addresses; return whether there were any.

        Raises:
            StoreError: the database cannot be written.
        """
        with write_dashboard(self._path) as connection:
            deleted = connection.execute(
                "DELETE FROM letter WHERE code = ? AND enrolled = ?",
                (person.code, person.created_ms),
            )
            return deleted.rowcount > 0

    def claim(self, plan: LetterPlan, address: str, until: date, at_ms: int) -> bool:
        """Write that a letter is about to be sent, so that its period needs none any more.

        Returns:
            Whether it may be sent: not where its period had one, nor where the letters were changed
            or taken back since the plan was read.

        Raises:
            StoreError: the database cannot be written.
        """
        key = plan.person.code, plan.person.created_ms
        with write_dashboard(self._path) as connection:
            claimed = connection.execute(
                "UPDATE letter_address SET until = ?, tries = tries + 1, tried = ?, error = '' "
                "WHERE code = ? AND enrolled = ? AND address = ? AND until < ? AND EXISTS "
                "(SELECT 1 FROM letter WHERE code = ? AND enrolled = ? AND agreed = ?)",
                (until.isoformat(), at_ms, *key, address, until.isoformat(), *key, plan.agreed_ms),
            )
            return claimed.rowcount > 0

    def note_sent(self, person: Enrolled, address: str, until: date, at_ms: int) -> None:
        """Write that a letter was taken.

        Args:
            person: whom it is about.
            address: where it went.
            until: last day of its period.
            at_ms: when.

        Raises:
            StoreError: the database cannot be written.
        """
        with write_dashboard(self._path) as connection:
            connection.execute(
                "UPDATE letter_address SET until = max(until, ?), sent = ?, tries = 0, error = '' "
                "WHERE code = ? AND enrolled = ? AND address = ?",
                (until.isoformat(), at_ms, person.code, person.created_ms, address),
            )

    def put_back(self, person: Enrolled, address: Addressed) -> None:
        """Write that a letter was surely not sent, so that it is sent again.

        Args:
            person: whom it is about.
            address: as it was before the letter was claimed, or with the failure.

        Raises:
            StoreError: the database cannot be written.
        """
        key = person.code, person.created_ms, address.address
        what = address.until.isoformat(), address.tries, address.tried_ms, pack_alone(address.error)
        with write_dashboard(self._path) as connection:
            connection.execute(
                "UPDATE letter_address SET until = ?, tries = ?, tried = ?, error = ? "
                "WHERE code = ? AND enrolled = ? AND address = ?",
                (*what, *key),
            )

    def check_writable(self) -> None:
        """Write something that changes nothing.

        Raises:
            StoreError: the database cannot be written.
        """
        with write_dashboard(self._path) as connection:
            connection.execute("UPDATE letter SET agreed = agreed")


def _key(row: sqlite3.Row) -> tuple[str, int]:
    return str(row["code"]), int(row["enrolled"])


def _address_of(row: sqlite3.Row) -> Addressed:
    until = date.fromisoformat(row["until"])
    error = unpack_alone(row["error"])
    return Addressed(row["address"], until, row["sent"], row["tries"], row["tried"], error)
