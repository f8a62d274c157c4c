"""What the collector raises on purpose."""

from __future__ import annotations

from edge_agent.core.errors import AffectEdgeError


class CollectorError(AffectEdgeError):
    """The collector cannot work; the text says what to do."""


class TransportError(AffectEdgeError):
    """The connection to the broker is over; what was not acknowledged comes again."""
