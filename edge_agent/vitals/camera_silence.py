"""The silence of a measure that the camera gives: a gap with the reason that it had most often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from edge_agent.core.clock import Instant
from edge_agent.core.readings import Gap

LONGEST_GAP_S = 300.0
"""A longer silence is recorded in pieces of this length, so that the report of a session need not
wait for its end.
"""


class CameraSilence:
    """Measures the time without a reading, and counts the reasons.

    Args:
        source: of the gaps.
        on_gap: called with each silence that was longer than ``longest_s``.
        longest_s: seconds without a reading that are no gap.
        otherwise: the reason where none was counted.
    """

    def __init__(
        self, source: str, on_gap: Callable[[Gap], None], longest_s: float, otherwise: str
    ) -> None:
        self._source = source
        self._on_gap = on_gap
        self._longest_s = longest_s
        self._otherwise = otherwise
        self._since: Instant | None = None
        self._reasons: Counter[str] = Counter()

    def begin(self, at: Instant) -> None:
        """Begin to measure, as after a time without frames or with the end of a window."""
        self._since = at

    def count(self, reason: str, until: Instant) -> None:
        """Count a reason for which there is no reading up to a time."""
        self._reasons[reason] += 1
        if self._since is not None and until.seconds_since(self._since) >= LONGEST_GAP_S:
            self.end(until)

    def end(self, at: Instant) -> None:
        """End the silence, and report it if it was long; the next one begins."""
        since, reasons = self._since, self._reasons
        self._since, self._reasons = at, Counter()
        if since is not None and at.seconds_since(since) > self._longest_s:
            [(reason, _)] = reasons.most_common(1) or [(self._otherwise, 0)]
            self._on_gap(Gap(self._source, since, at, reason))
