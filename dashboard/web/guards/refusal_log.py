"""Who asked for what they may not: a line in the log, and not one for each attempt."""

from __future__ import annotations

import logging

from edge_agent.core.clock import boot_seconds

log = logging.getLogger(__name__)
QUIET_S = 900.0
"""The same account at the same route is written down once in so many seconds."""
_MOST = 500


class RefusalLog:
    """Writes refused requests into the log, by the route's address, without what stood in it.

    Example:
        >>> refusals = RefusalLog()
        >>> refusals.note("ada (viewer)", "POST", "/api/v1/participants/{code}", "study")
    """

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str, str], float] = {}

    def note(self, who: str, method: str, route: str, needed: str) -> None:
        """Write down that somebody was refused, unless that was done just now."""
        key = (who, method, route)
        now = boot_seconds()
        last = self._noted.get(key)
        if last is not None and now - last < QUIET_S:
            return
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted[key] = now
        log.warning("refused: %s may not %s %s, which needs %s", who, method, route, needed)
