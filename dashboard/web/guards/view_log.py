"""Who looked at which participant or session, in the audit trail: not once for each reload."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from dashboard.accounts.account_rows import Account
from edge_agent.core.errors import StoreError
from edge_agent.store.gate.commands import Commands

log = logging.getLogger(__name__)

AGAIN_S = 900
MOST = 2000


class ViewLog:
    """Writes that somebody opened a page about somebody.

    Who opens the same page again within a quarter of an hour is not written again.

    Args:
        commands: write into the audit trail.
        clock: seconds, never going back.

    Example:
        >>> views.note(ada, "participant_view", "P-01")
    """

    def __init__(self, commands: Commands, clock: Callable[[], float]) -> None:
        self._commands = commands
        self._clock = clock
        self._lock = Lock()
        self._last: dict[tuple[int, str, str], float] = {}

    def note(self, account: Account, action: str, detail: str) -> None:
        """Write that an account opened something, unless it did so a moment ago."""
        key = (account.id, action, detail)
        at = self._clock()
        with self._lock:
            if at - self._last.get(key, -AGAIN_S) < AGAIN_S:
                return
            self._last.pop(key, None)
            while len(self._last) >= MOST:
                del self._last[next(iter(self._last))]
            self._last[key] = at
        try:
            self._commands.note(account.name, action, detail)
        except StoreError as error:  # a full disk must not keep people from what is recorded
            with self._lock:
                self._last.pop(key, None)
            log.warning("it could not be noted that somebody opened a page: %s", error)
