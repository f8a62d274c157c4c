"""The watch over standing sessions: it begins and ends them as the loop tells it the time."""

from __future__ import annotations

import logging
from datetime import tzinfo

from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.study.standing import Begin

log = logging.getLogger(__name__)

_CLOCK_WAIT_MS = 120_000
"""So long after the start of the machine its clock may still be that of the last evening."""
_REFUSED_MS = 60_000
"""Pause after a session that a rule forbids."""


class StandingWatch:
    """Begins and ends standing sessions. Belongs to the agent's loop.

    A session that was going on when the agent stopped goes on, and one whose hours are over ends
    where they ended.

    Args:
        study: starts and ends them.
        zone: of the hours; ``None``: that of this machine.

    Example:
        >>> StandingWatch(study).look(clock.now(), camera_on=True)
    """

    def __init__(self, study: Study, zone: tzinfo | None = None) -> None:
        self._study = study
        self._zone = zone
        self._refused = ""
        self._again_ms = 0

    def look(self, at: Instant, *, camera_on: bool) -> None:
        """Begin or end the session that is due.

        Args:
            at: now.
            camera_on: whether the camera is switched on.

        Raises:
            StoreError: the database cannot be used.
        """
        if at.boot_ms < self._again_ms:
            return
        if at.boot_ms < _CLOCK_WAIT_MS and not clock.is_synchronised():
            return
        try:
            step = self._study.keep_standing(at, camera_on=camera_on, zone=self._zone)
        except StudyError as error:
            self._again_ms = at.boot_ms + _REFUSED_MS
            if str(error) != self._refused:
                log.warning("a standing session does not begin: %s", error)
            self._refused = str(error)
            return
        if step is None:
            return
        self._refused = ""
        if isinstance(step, Begin):
            log.info("a standing session begins")
        elif step.at_ms is None:
            log.info("session %d ends: the camera is switched off", step.session.id)
        else:
            log.info("session %d ends: its hours are over", step.session.id)
