"""Lines of the audit trail about acts of the dashboard; none keeps an act that protects from being
done.

The trail lies in the timeline, which another service writes. While that service is stopped, or its
disk full, the rule of the action decides (``edge_agent/core/noted.py``): the act is refused, or it
is done and its line kept here, in the transaction of the act, until the trail takes it.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from pydantic import BaseModel, Field, RootModel, ValidationError

from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StoreError
from edge_agent.core.noted import NAMING_PERSONS, is_done_without_line
from edge_agent.timeline.database.dashboard_file import read_dashboard, write_dashboard
from edge_agent.timeline.database.setting import read_setting, write_setting
from edge_agent.timeline.gate.commands import PlainCommands

OWED = "notes_owed"
"""Key in ``setting`` of the dashboard's database."""
OWED_MOST = 500
"""Different lines that are kept; of more, only how many there are of an action."""
_NOT_KEPT = "(not kept)"

log = logging.getLogger(__name__)


class OwedNote(BaseModel):
    """Equal lines that the trail could not take when their acts were done.

    Attributes:
        actor: who.
        action: what was done.
        detail: to what.
        first_ms: when it was done first, UTC.
        last_ms: when it was done last.
        count: how often.
    """

    actor: str
    action: str
    detail: str
    first_ms: int
    last_ms: int
    count: int = Field(gt=0)

    @property
    def told(self) -> str:
        """The detail of the line that is written later."""
        when = f"at {iso_utc(self.first_ms)}"
        if self.count > 1:
            when = f"× {self.count:,} from {iso_utc(self.first_ms)} to {iso_utc(self.last_ms)}"
        return f"{self.detail} ({when}, written later)".strip()


class _OwedNotes(RootModel[list[OwedNote]]):
    """All of them, as they are kept."""


class Notes:
    """Writes lines of the audit trail.

    Args:
        path: the database of the timeline.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commands = PlainCommands(path)

    def note(self, actor: str, action: str, detail: str = "") -> None:
        """Write a line about an act that is no change of the dashboard's database.

        Raises:
            StoreError: the trail cannot take it, and the act must not be done without.
        """
        try:
            self._commands.note(actor, action, detail)
        except StoreError as error:
            self._refuse(action, error)
            try:
                with write_dashboard(self._path) as connection:
                    _owe(connection, actor, action, detail)
            except StoreError as other:  # it has happened, and there is no place for its line
                log.error("audit trail: %s by %s is written nowhere: %s", action, actor, other)
            return
        self._pay_if_owed()

    def note_within(
        self, connection: sqlite3.Connection, actor: str, action: str, detail: str = ""
    ) -> None:
        """Write a line about an act, before its transaction is committed.

        Args:
            connection: to the dashboard's database, in the transaction of the act.
            actor: who.
            action: what is done.
            detail: to what.

        Raises:
            StoreError: the trail cannot take it, and the act must not be done without.
        """
        try:
            self._commands.note(actor, action, detail)
        except StoreError as error:
            self._refuse(action, error)
            _owe(connection, actor, action, detail)
            return
        self._pay(connection)

    def _refuse(self, action: str, error: StoreError) -> None:
        if not is_done_without_line(action):
            raise error
        log.error("audit trail: the line of %s is written later: %s", action, error)

    def _pay_if_owed(self) -> None:
        try:
            with read_dashboard(self._path) as connection:
                owed = _read(connection)
            if owed:
                with write_dashboard(self._path) as connection:
                    self._pay(connection)
        except StoreError as error:  # the next line tries again
            log.warning("audit trail: lines that are owed are written later: %s", error)

    def _pay(self, connection: sqlite3.Connection) -> None:
        """Write what is owed, as far as the trail takes it."""
        owed = _read(connection)
        if not owed:
            return
        while owed:
            try:
                self._commands.note(owed[0].actor, owed[0].action, owed[0].told)
            except StoreError:
                break
            del owed[0]
        _write(connection, owed)


def _owe(connection: sqlite3.Connection, actor: str, action: str, detail: str) -> None:
    owed = _read(connection)
    at_ms = clock.now().wall_ms
    if action in NAMING_PERSONS and detail:
        detail = _NOT_KEPT
    if len(owed) >= OWED_MOST:
        detail = _NOT_KEPT
    known = next(
        (one for one in owed if (one.actor, one.action, one.detail) == (actor, action, detail)),
        None,
    )
    if known is not None:
        known.count += 1
        known.last_ms = at_ms
    elif len(owed) < 2 * OWED_MOST:
        owed.append(
            OwedNote(
                actor=actor, action=action, detail=detail, first_ms=at_ms, last_ms=at_ms, count=1
            )
        )
    else:
        log.error("audit trail: %s by %s is written nowhere: too much is owed", action, actor)
    _write(connection, owed)


def _read(connection: sqlite3.Connection) -> list[OwedNote]:
    kept = read_setting(connection, OWED)
    try:
        return [] if kept is None else _OwedNotes.model_validate_json(kept).root
    except ValidationError as error:  # a damaged file must keep nobody out
        log.error("audit trail: lines that were owed cannot be read: %s", error.error_count())
        return []


def _write(connection: sqlite3.Connection, owed: list[OwedNote]) -> None:
    if owed:
        write_setting(connection, OWED, _OwedNotes(owed).model_dump_json())
    else:
        connection.execute("DELETE FROM setting WHERE key = ?", (OWED,))
