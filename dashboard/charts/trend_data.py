"""What the trends chart is drawn from, and which kinds of vitals it has panels for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.core.study import Marker
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.results import ConditionInterval, Trend, VitalTrend

TREND_VITALS = tuple(kind for kind in VitalKind if kind.spec.panel)
"""The kinds that the chart can draw."""


@dataclass(frozen=True, slots=True)
class TrendData:
    """What the trends page shows over one range.

    Attributes:
        start_ms: start of the range, UTC.
        end_ms: end of the range.
        trend: shares of expressions.
        vitals: readings by kind.
        conditions: stimuli that went on.
        markers: notes and baselines.
    """

    start_ms: int
    end_ms: int
    trend: Trend
    vitals: Mapping[VitalKind, VitalTrend]
    conditions: Sequence[ConditionInterval]
    markers: Sequence[Marker] = ()

    def drawn_kinds(self) -> tuple[VitalKind, ...]:
        """Return the kinds that have a line: the usual ones, and those with readings here."""
        return tuple(
            kind
            for kind in TREND_VITALS
            if kind.spec.tested_by_default or (kind in self.vitals and any(self.vitals[kind].n))
        )

    def panels(self) -> tuple[str, ...]:
        """Return the titles of the panels below the shares, from the top."""
        return tuple(dict.fromkeys(kind.spec.panel for kind in self.drawn_kinds()))
