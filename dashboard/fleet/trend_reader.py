"""What the Trends page asks, whoever answers: the file of an appliance, or PostgreSQL."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from edge_agent.core.study import Marker
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.results import ConditionInterval, Trend, VitalTrend


class TrendReader(Protocol):
    """Answers what was recorded when; ``store.read.reader.Reader`` does so for one appliance.

    Ranges are half-open, in UTC epoch milliseconds. Every method raises ``StoreError`` where the
    database cannot be read, and ``trend`` and ``vital_trend`` raise ``ValueError`` for a range that
    is empty.
    """

    def at_one_moment(self) -> AbstractContextManager[None]:
        """Answer what this thread asks within the block of one moment."""

    def span(self) -> tuple[int, int] | None:
        """Return from when to when there is anything; ``None`` when there is nothing."""

    def trend(self, start_ms: int, end_ms: int, buckets: int) -> Trend:
        """Return the shares of expressions, in at most ``buckets`` + 1 steps."""

    def vital_trend(self, kind: VitalKind, start_ms: int, end_ms: int, buckets: int) -> VitalTrend:
        """Return mean, least, most and number of readings of a kind, as ``trend`` does."""

    def recorded_kinds(self) -> frozenset[VitalKind]:
        """Return the kinds of reading of which there is any."""

    def conditions(self, start_ms: int, end_ms: int) -> list[ConditionInterval]:
        """Return the conditions that overlap a range, in order of time."""

    def markers(self, start_ms: int | None = None, end_ms: int | None = None) -> list[Marker]:
        """Return the markers of a range, in order of time."""
