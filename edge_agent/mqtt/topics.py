"""The names of the topics of one appliance."""

from __future__ import annotations


class Topics:
    """The topics of one appliance: ``<root>/<device>/<suffix>``.

    Args:
        root: first part, such as ``affect-edge``.
        device: name of the appliance.

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
    COMMAND_REJECTED = "command/rejected"

    def __init__(self, root: str, device: str) -> None:
        self.base = f"{root}/{device}"

    def full(self, suffix: str) -> str:
        """Return the whole topic of a suffix, such as ``summary``."""
        return f"{self.base}/{suffix}"
