"""The names of the topics of one appliance."""

from __future__ import annotations

from collections.abc import Collection


class Topics:
    """The topics of one appliance: ``<root>/<device>/<suffix>``.

    Args:
        root: first part, such as ``affect-edge``.
        device: name of the appliance.
        off: suffixes of those on which nothing is published.

    Example:
        >>> Topics("affect-edge", "lab").full(Topics.SUMMARY)
        'affect-edge/lab/summary'
    """

    STATUS = "status"
    SUMMARY = "summary"
    EMOTION = "emotion"
    VITALS = "vitals"
    HEALTH = "health"
    STATE = "state"
    ALERTS = "alerts"
    SESSION = "session"
    INGEST = "ingest/vitals"
    REJECTED = "ingest/rejected"
    COMMAND_SESSION = "command/session"
    COMMAND_MARKER = "command/marker"
    COMMAND_CAPTURE = "command/capture"
    COMMAND_REJECTED = "command/rejected"
    TIMELINE = "timeline"
    TIMELINE_CONFIRMED = "timeline/confirmed"

    RETAINED = frozenset({EMOTION, HEALTH, ALERTS})
    """Those of which the broker keeps the newest message, beside ``status``."""

    def __init__(self, root: str, device: str, off: Collection[str] = ()) -> None:
        self.base = f"{root}/{device}"
        self.off = frozenset(off)

    def full(self, suffix: str) -> str:
        """Return the whole topic of a suffix, such as ``summary``."""
        return f"{self.base}/{suffix}"
