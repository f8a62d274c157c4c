"""Lists of sessions for pages, one page at a time; of one participant or day if asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from dashboard.languages.refused import PLAIN_DATE
from edge_agent.core.clock import utc_at
from edge_agent.core.study import Session

LAST_PAGE = 1_000_000


@dataclass(frozen=True, slots=True)
class SessionsShown:
    """A page of a list of sessions.

    Attributes:
        rows: the sessions of the page.
        page: its number, from 1.
        pages: how many there are, at least 1.
        matching: sessions that match, on all pages.
    """

    rows: Sequence[Session]
    page: int
    pages: int
    matching: int


@dataclass(frozen=True, slots=True)
class SessionsQuestion:
    """Which sessions are listed.

    Attributes:
        who: part of the participant's code; empty: everybody.
        day: on which they began, by this machine's clock; ``None``: any.
        page: the wanted page; beyond the last one it is the last.
    """

    who: str = ""
    day: date | None = None
    page: int = 1

    @property
    def is_narrow(self) -> bool:
        """Tell whether only some sessions are asked for."""
        return bool(self.who or self.day)

    def shown(self, sessions: Sequence[Session], size: int) -> SessionsShown:
        """Return the page of those that match, in the order given."""
        own = [one for one in sessions if self._matches(one)]
        pages = max(1, math.ceil(len(own) / size))
        page = min(self.page, pages)
        return SessionsShown(own[(page - 1) * size : page * size], page, pages, len(own))

    def words(self) -> dict[str, str | int]:
        """Return the question as fields of an address; empty, or 1, is the default."""
        day = self.day.isoformat() if self.day else ""
        return {"who": self.who, "day": day, "session_page": self.page}

    def address(self, path: str, **changes: int) -> str:
        """Return the address of another page of the list."""
        return address_of(path, {**self.words(), **changes})

    def _matches(self, session: Session) -> bool:
        if self.who.casefold() not in session.participant.casefold():
            return False
        return self.day is None or utc_at(session.start_ms).astimezone().date() == self.day


def address_of(path: str, words: Mapping[str, str | int]) -> str:
    """Return an address with those fields that say more than the defaults."""
    said = {name: value for name, value in words.items() if value not in {"", 1}}
    return f"{path}?{urlencode(said)}" if said else path


def _question(
    who: Annotated[str, Query(max_length=100)] = "",
    day: Annotated[Annotated[date, PLAIN_DATE] | Literal[""], Query()] = "",
    session_page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
) -> SessionsQuestion:
    return SessionsQuestion(who.strip(), day or None, session_page)


SessionsDep = Annotated[SessionsQuestion, Depends(_question)]
