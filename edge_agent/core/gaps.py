"""Times in which a source was silent. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.core.clock import Instant


@dataclass(frozen=True, slots=True)
class Gap:
    """An interval in which a source that was expected to send did not, and why.

    Attributes:
        source: ``camera``, ``mqtt`` or a vital's source.
        reason: a short word such as ``stalled``, ``no_face`` or ``disconnected``.
    """

    source: str
    start: Instant
    end: Instant
    reason: str
