"""A session by condition, as recorded or relative to the participant's own baseline.

Computed when read. Pure.

The neutral face is that of ``edge_agent.store.read.sessions.baseline``. Resting vitals are the
means of the usable readings while the participant rested: under the condition that a protocol opens
for its baseline, or in the 20 s after a marker set by hand, or, without any such marker, under the
last condition called ``baseline``. Relative readings are differences from them, in the unit of the
kind (change scores); the recorded rows never change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.results import ConditionInterval, StateReading
from edge_agent.store.read.sessions.baseline import BASELINE_S, Baseline

BASELINE_LABEL = "baseline"
_TOGETHER_MS = 1_000
"""A protocol sets its baseline marker just after it has opened the condition."""


@dataclass(frozen=True, slots=True)
class MeanReading:
    """Mean of usable readings, in the unit of the kind, and how many they are."""

    mean: float
    n: int


@dataclass(frozen=True, slots=True)
class Resting:
    """What a participant's vitals are at rest.

    Attributes:
        start_ms: of the time that it is taken from.
        end_ms: its end.
        label: the condition that it is; ``None``: the 20 s after a marker.
        vitals: means by kind; only kinds with a usable reading.
    """

    start_ms: int
    end_ms: int
    label: str | None
    vitals: dict[VitalKind, MeanReading]


@dataclass(frozen=True, slots=True)
class ConditionSummary:
    """A condition of the session.

    Attributes:
        label: of the condition.
        start_ms: its start.
        end_ms: its end.
        rows: rows of the participant's face in it.
        expression: mean probabilities by category; ``None`` without rows.
        vitals: means by kind; relative ones are differences, only of kinds that were measured at
            rest.
    """

    label: str
    start_ms: int
    end_ms: int
    rows: int
    expression: dict[Emotion, float] | None
    vitals: dict[VitalKind, MeanReading]


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session by condition.

    Attributes:
        session: its number.
        relative: whether expressions are corrected by the neutral face, and readings are
            differences from rest.
        baseline: the neutral face; ``None`` where there is none, and expressions are as recorded.
        baseline_problem: why a baseline marker could not be used; empty when all is well.
        resting: vitals at rest; ``None`` where there are none, and readings are as recorded.
        conditions: in order of time.
    """

    session: int
    relative: bool
    baseline: Baseline | None
    baseline_problem: str
    resting: Resting | None
    conditions: tuple[ConditionSummary, ...]


def find_resting(
    marker_ms: int | None,
    conditions: Sequence[ConditionInterval],
    readings: Sequence[StateReading],
    end_ms: int,
) -> Resting | None:
    """Return the resting vitals of a session.

    Args:
        marker_ms: the last baseline marker; ``None`` without any.
        conditions: of the session, in order of time.
        readings: of the session.
        end_ms: end of the session.
    """
    interval: tuple[int, int, str | None] | None
    if marker_ms is None:
        named = [one for one in conditions if one.label.casefold() == BASELINE_LABEL]
        interval = _of_condition(named[-1], end_ms) if named else None
    else:
        opened = [one for one in conditions if 0 <= marker_ms - one.start_ms <= _TOGETHER_MS]
        later = [one.start_ms for one in conditions if one.start_ms > marker_ms]
        by_hand = marker_ms, min(marker_ms + round(BASELINE_S * 1000), end_ms, *later), None
        if opened:
            interval = _of_condition(opened[-1], end_ms)
        else:
            interval = by_hand
    if interval is None:
        return None
    start, end, label = interval
    return Resting(start, end, label, mean_readings(readings, start, end))


def _of_condition(condition: ConditionInterval, end_ms: int) -> tuple[int, int, str]:
    return condition.start_ms, condition.end_ms or end_ms, condition.label


def mean_readings(
    readings: Sequence[StateReading], start_ms: int, end_ms: int
) -> dict[VitalKind, MeanReading]:
    """Return the mean of the usable readings of each kind in a time."""
    values_of = {
        kind: [
            r.value
            for r in readings
            if r.kind is kind and start_ms <= r.at_ms < end_ms and not r.flags & UNUSABLE
        ]
        for kind in VitalKind
    }
    return {
        kind: MeanReading(fmean(values), len(values))
        for kind, values in values_of.items()
        if values
    }


def summarise_condition(
    condition: ConditionInterval,
    end_ms: int,
    rows: Sequence[tuple[int, Expression]],
    readings: Sequence[StateReading],
    baseline: Baseline | None,
    resting: Resting | None,
) -> ConditionSummary:
    """Return the means of a condition.

    Args:
        condition: which.
        end_ms: end of the session, for a condition without one.
        rows: time and mean raw probabilities of the participant's face.
        readings: of the session.
        baseline: corrects the expressions; ``None`` leaves them as recorded.
        resting: is taken away from the readings; ``None`` leaves them as recorded.
    """
    start = condition.start_ms
    end = condition.end_ms or end_ms
    inside = [row for at, row in rows if start < at <= end]
    shown = [row if baseline is None else baseline.corrected(row) for row in inside]
    means = [
        math.fsum(row.probabilities[i] for row in shown) / len(shown)
        for i in range(len(EMOTIONS))
        if shown
    ]
    vitals = mean_readings(readings, start, end)
    if resting is not None:
        vitals = {
            kind: MeanReading(reading.mean - resting.vitals[kind].mean, reading.n)
            for kind, reading in vitals.items()
            if kind in resting.vitals
        }
    expression = dict(zip(EMOTIONS, means, strict=True)) if means else None
    return ConditionSummary(condition.label, start, end, len(inside), expression, vitals)
