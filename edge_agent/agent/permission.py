"""The permission to read the camera: it is on, and something is to be recorded."""

from __future__ import annotations

import logging
from typing import Literal

from edge_agent.timeline.study.capture_switch import CaptureSwitch, SwitchedOff

log = logging.getLogger(__name__)

GAP_REASON = "switched_off"
"""Reason of a gap in which somebody had turned the camera off."""


class CapturePermission:
    """Knows whether the camera may be read; asked by the capture thread for each frame.

    Args:
        mode: of ``[capture]``: always, or in sessions only.
        switch: turned by people and programs.

    Attributes:
        session_open: whether a session is open, told by the agent's loop.
        off: since when and by whom the camera is off; ``None``: it is on.

    Example:
        >>> from pathlib import Path
        >>> permission = CapturePermission("sessions", CaptureSwitch(Path("missing.db")))
        >>> permission.is_given()
        False
        >>> permission.session_open = True
        >>> permission.is_given()
        True
    """

    def __init__(self, mode: Literal["continuous", "sessions"], switch: CaptureSwitch) -> None:
        self._only_in_sessions = mode == "sessions"
        self._switch = switch
        self.session_open = False
        self.off: SwitchedOff | None = switch.off()
        if self.off is not None:
            log.warning(
                "the camera is switched off; the page Live, or command/capture, turns it on"
            )

    def is_given(self) -> bool:
        """Tell whether the camera may be read now."""
        return self.off is None and self._is_wanted

    def gap_reason(self) -> str | None:
        """Return why nothing is captured that was to be recorded; ``None``: nothing was."""
        if self.off is not None and self._is_wanted:
            return GAP_REASON
        return None

    def update(self) -> None:
        """Look whether another program has turned the switch."""
        self.off = self._switch.off()

    def turn(self, *, on: bool, by: str) -> None:
        """Turn the camera on or off, at once.

        Raises:
            StoreError: that could not be written; all stays as it was.
        """
        self._switch.turn(on=on, by=by)
        self.update()

    @property
    def _is_wanted(self) -> bool:
        return self.session_open or not self._only_in_sessions
