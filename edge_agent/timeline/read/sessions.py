"""The baseline of a session, and its course by condition; computed when read, and never written.

Some faces look sad or angry to a classifier while they rest. During a calibration (marker
``baseline``) the participant looks neutral for 20 s; what the classifier over-reads in that time is
taken away from what it reads later.

For each row and category c the log-odds against neutral are l_c = ln(p_c / p_neutral). With L_c,
their median over the calibration, and R, the log-odds that a neutral face may well have,

    s_c = max(0, L_c − R),    p'_c = p_c · exp(−s_c) / Σ_k p_k · exp(−s_k),    s_neutral = 0.

The shift of log-odds followed by renormalising is Aitchison's perturbation of a composition (1982,
J. R. Stat. Soc. B 44:139) and the correction of a classifier's outputs to other priors (Saerens,
Latinne & Decaestecker 2002, Neural Computation 14:21); the median of the person's own frames as
their neutral is that of Baltrušaitis, Mahmoud & Robinson (2015, FERA, person-specific
normalisation). One-sided it is ours: a category that rests lower than usual is not raised, for that
would blow up what is next to nothing.

A session by condition is as recorded or relative to that baseline. Resting vitals are the means of
the usable readings while the participant rested: under the condition that a protocol opens for its
baseline, or in the 20 s after a marker set by hand, or, without any such marker, under the last
condition called ``baseline``. Relative readings are differences from them, in the unit of the kind
(change scores), and so are relative movements of the face, whose strengths at rest depend on its
shape; the recorded rows never change.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median

from edge_agent.core.clock import iso_utc
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.core.movements import MOVEMENTS, WITHDRAWN
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import BASELINE_S
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import MOVEMENT_STEPS, NAMES
from edge_agent.timeline.read.base import ConditionInterval, StateReading
from edge_agent.timeline.read.faces_in_view import FacesInView

LEAST_ROWS = 5
"""Rows of the participant's face that a calibration needs."""
USUAL_LOG_ODDS = math.log(1 / 20)
"""R: a category with a twentieth of neutral's probability. On 700 neutral faces of FER2013 the
median of sadness, which expression-accurate 1.2.0 over-reads most, is exp(−3.9); those of all
others lie below exp(−7.1)."""
_LEAST_PROBABILITY = 0.65 * 0.0005
"""Stands for a recorded 0: 65 % of the limit of rounding (Martín-Fernández et al. 2003,
multiplicative replacement).
"""
_RAISED = 0.405
"""From this shift on, a category is worth a word: it is seen 1.5 times too often."""
_NEUTRAL = EMOTIONS.index(Emotion.NEUTRAL)
# The end of a calibration: 20 s after its marker, a stimulus that begins before, or the end of the
# session.
_CALIBRATION = """
    SELECT marker.at AS started, min(
        marker.at + :length,
        coalesce(session.ended, marker.at + :length),
        coalesce(
            (SELECT min(next.at) FROM marker AS next
                WHERE next.session = marker.session AND next.kind = 'stimulus_start'
                    AND next.at >= marker.at),
            marker.at + :length)) AS ended
    FROM marker JOIN session ON session.id = marker.session
    WHERE marker.session = :session AND marker.kind = 'baseline'
    ORDER BY marker.at DESC, marker.id DESC LIMIT 1"""
BASELINE_LABEL = "baseline"
_TOGETHER_MS = 1_000
"""A protocol sets its baseline marker just after it has opened the condition."""


@dataclass(frozen=True, slots=True)
class NeutralBaseline:
    """The bias of the classifier on a participant's neutral face, measured in a calibration.

    Attributes:
        session: in which the calibration lies, and for which it holds.
        start_ms: its marker.
        end_ms: 20 s later, or earlier where a stimulus began or the session ended.
        rows: rows that it is taken from.
        shift: s of each category in the order of ``EMOTIONS``, in units of log-odds, at least 0.
    """

    session: int
    start_ms: int
    end_ms: int
    rows: int
    shift: tuple[float, ...]

    @property
    def raised(self) -> dict[Emotion, float]:
        """Categories that are seen half as often again as usual or more, each with its factor."""
        return {
            emotion: math.exp(s)
            for emotion, s in zip(EMOTIONS, self.shift, strict=True)
            if s > _RAISED
        }

    def correct(self, expression: Expression) -> Expression:
        """Return an expression corrected for the bias on the neutral face.

        Its probabilities sum to 1.
        """
        weights = [
            p * math.exp(-s) for p, s in zip(expression.probabilities, self.shift, strict=True)
        ]
        total = math.fsum(weights)
        if total:
            return Expression(tuple(weight / total for weight in weights))
        return expression


def neutral_shift(rows: Sequence[Expression]) -> tuple[float, ...]:
    """Return the shift s of each category, computed from the rows of a calibration.

    Args:
        rows: mean raw probabilities of the participant's neutral face.

    Raises:
        ValueError: fewer than ``LEAST_ROWS`` rows.
    """
    if len(rows) < LEAST_ROWS:
        raise ValueError(f"a baseline needs {LEAST_ROWS} rows of the face, not {len(rows)}")
    by_category = [
        [_log_odds(row.probabilities, index) for row in rows] for index in range(len(EMOTIONS))
    ]
    return tuple(
        0.0 if index == _NEUTRAL else max(0.0, median(values) - USUAL_LOG_ODDS)
        for index, values in enumerate(by_category)
    )


def _log_odds(probabilities: Sequence[float], index: int) -> float:
    """Return ln(p / p_neutral), with a small constant in place of a recorded 0."""
    return math.log(
        max(probabilities[index], _LEAST_PROBABILITY)
        / max(probabilities[_NEUTRAL], _LEAST_PROBABILITY)
    )


# ruff: noqa: S608 - only our own names are put into SQL text; values go in as parameters


def read_baseline(connection: sqlite3.Connection, session: int) -> NeutralBaseline | None:
    """Return the baseline of a session; see ``Reader.baseline``."""
    if connection.execute("SELECT 1 FROM session WHERE id = ?", (session,)).fetchone() is None:
        raise StudyError(f"There is no session {session}. The Study page lists them.")
    calibration = connection.execute(
        _CALIBRATION, {"session": session, "length": round(BASELINE_S * 1000)}
    ).fetchone()
    if calibration is None:
        return None
    start, end = calibration
    rows = connection.execute(
        f"SELECT {', '.join(NAMES)} FROM expression WHERE is_primary = 1 AND at > :start AND at - "
        "interval_ms >= :start AND at <= :end ORDER BY at",
        {"start": start, "end": end},
    )
    neutral = [_expression(row) for row in rows]
    if len(neutral) < LEAST_ROWS:
        raise StudyError(
            f"The baseline of session {session} at {iso_utc(start)} has {len(neutral)} "
            f"readable rows of the face; {LEAST_ROWS} are needed. Set the marker again while "
            f"the participant looks at the camera for {BASELINE_S:.0f} s."
        )
    return NeutralBaseline(session, start, end, len(neutral), neutral_shift(neutral))


def _expression(row: sqlite3.Row) -> Expression:
    return Expression(tuple(row[name] / 1000 for name in NAMES))


@dataclass(frozen=True, slots=True)
class MeanReading:
    """Mean of usable readings, in the unit of the kind, and how many they are."""

    mean: float
    n: int


@dataclass(frozen=True, slots=True)
class Resting:
    """The mean vitals and movements of a participant at rest.

    Attributes:
        start_ms: of the time that it is taken from.
        end_ms: its end.
        label: the condition that it is; ``None``: the 20 s after a marker.
        vitals: means by kind; only kinds with a usable reading.
        movements: means of the movements of the face, without pose and look, of those that were
            read.
    """

    start_ms: int
    end_ms: int
    label: str | None
    vitals: dict[VitalKind, MeanReading]
    movements: dict[str, float]


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
        movements: means of movements, pose and look by name, of those that were read; ``None``
            without rows. Relative movements are differences, only of those that were read at rest;
            pose and look stay as recorded.
    """

    label: str
    start_ms: int
    end_ms: int
    rows: int
    expression: dict[Emotion, float] | None
    vitals: dict[VitalKind, MeanReading]
    movements: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session by condition.

    Attributes:
        session: its number.
        relative: whether expressions are corrected by the neutral face, and readings and movements
            are differences from rest.
        baseline: the neutral face; ``None`` where there is none, and expressions are as recorded.
        baseline_problem: why a baseline marker could not be used; empty when all is well.
        resting: vitals at rest; ``None`` where there are none, and readings are as recorded.
        conditions: in order of time.
        faces: how often the followed face was out of view, and who else was there.
    """

    session: int
    relative: bool
    baseline: NeutralBaseline | None
    baseline_problem: str
    resting: Resting | None
    conditions: tuple[ConditionSummary, ...]
    faces: FacesInView = field(default_factory=FacesInView)


Rest = tuple[int, int, str | None]
"""Start and end of the time in which a participant rested, and the condition that it is; ``None``:
the 20 s after a marker."""


def find_rest(
    marker_ms: int | None, conditions: Sequence[ConditionInterval], end_ms: int
) -> Rest | None:
    """Return the time of a session in which the participant rested.

    Args:
        marker_ms: the last baseline marker; ``None`` without any.
        conditions: of the session, in order of time.
        end_ms: end of the session.
    """
    if marker_ms is None:
        rests = [one for one in conditions if one.label.casefold() == BASELINE_LABEL]
    else:
        rests = [one for one in conditions if 0 <= marker_ms - one.start_ms <= _TOGETHER_MS]
    if rests:
        return rests[-1].start_ms, rests[-1].end_ms or end_ms, rests[-1].label
    if marker_ms is None:
        return None
    later = [one.start_ms for one in conditions if one.start_ms > marker_ms]
    return marker_ms, min(marker_ms + round(BASELINE_S * 1000), end_ms, *later), None


def summarise_rest(
    rest: Rest, readings: Sequence[StateReading], moves: Sequence[MovedRow]
) -> Resting:
    """Return the means at rest.

    Args:
        rest: the time.
        readings: of the session.
        moves: movements of the participant's face.
    """
    start, end, label = rest
    means = mean_movements([move for move in moves if start < move.at_ms <= end]) or {}
    movements = {name: means[name] for name in MOVEMENTS if name in means}
    return Resting(start, end, label, mean_readings(readings, start, end), movements)


def mean_readings(
    readings: Sequence[StateReading], start_ms: int, end_ms: int
) -> dict[VitalKind, MeanReading]:
    """Return the mean of the usable readings of each kind in a time."""
    values_of: dict[VitalKind, list[float]] = {kind: [] for kind in VitalKind}
    for one in readings:
        if start_ms <= one.at_ms < end_ms and not one.flags & UNUSABLE:
            values_of[one.kind].append(one.value)
    return {kind: MeanReading(fmean(of), len(of)) for kind, of in values_of.items() if of}


def summarise_condition(
    condition: ConditionInterval,
    end_ms: int,
    rows: Sequence[tuple[int, Expression]],
    moves: Sequence[MovedRow],
    readings: Sequence[StateReading],
    resting: Resting | None,
) -> ConditionSummary:
    """Return the means of a condition.

    Args:
        condition: which.
        end_ms: end of the session, for a condition without one.
        rows: time and probabilities of the participant's face.
        moves: its movements.
        readings: of the session.
        resting: is taken away from readings and movements; ``None`` leaves them as recorded.
    """
    start = condition.start_ms
    end = condition.end_ms or end_ms
    inside = [row for at, row in rows if start < at <= end]
    means = [
        math.fsum(row.probabilities[i] for row in inside) / len(inside)
        for i in range(len(EMOTIONS))
        if inside
    ]
    vitals = mean_readings(readings, start, end)
    if resting is not None:
        vitals = {
            kind: MeanReading(reading.mean - resting.vitals[kind].mean, reading.n)
            for kind, reading in vitals.items()
            if kind in resting.vitals
        }
    expression = dict(zip(EMOTIONS, means, strict=True)) if means else None
    movements = mean_movements([move for move in moves if start < move.at_ms <= end])
    if movements is not None and resting is not None:
        movements = _above_rest(movements, resting.movements)
    return ConditionSummary(condition.label, start, end, len(inside), expression, vitals, movements)


def _above_rest(means: dict[str, float], rest: dict[str, float]) -> dict[str, float]:
    """Return movements less those at rest; pose and look are no matter of rest and stay."""
    return {
        name: mean - rest.get(name, 0.0)
        for name, mean in means.items()
        if name in rest or name not in MOVEMENTS
    }


@dataclass(frozen=True, slots=True)
class MovedRow:
    """A row of ``movement``: its time, its readings, and the values by name in their units.

    A value that was not read is missing.
    """

    at_ms: int
    frames: int
    values: dict[str, float]


def read_movements(connection: sqlite3.Connection, start_ms: int, end_ms: int) -> list[MovedRow]:
    """Return the movements of the participant's face.

    What our network is not asked any more is left out of rows of before, too.
    """
    rows = connection.execute(
        f"SELECT at, frames, source, {', '.join(MOVEMENT_STEPS)} FROM movement "
        "WHERE is_primary = 1 AND at > ? AND at <= ? ORDER BY at",
        (start_ms, end_ms),
    )
    return [
        MovedRow(
            row["at"],
            row["frames"],
            {
                name: row[name] / steps
                for name, steps in MOVEMENT_STEPS.items()
                if row[name] is not None and (row["source"] or name not in WITHDRAWN)
            },
        )
        for row in rows
    ]


def mean_movements(rows: Sequence[MovedRow]) -> dict[str, float] | None:
    """Return the mean of each value over the readings that have it; ``None`` without any."""
    frames = {
        name: sum(row.frames for row in rows if name in row.values) for name in MOVEMENT_STEPS
    }
    means = {
        name: math.fsum(row.frames * row.values.get(name, 0.0) for row in rows) / count
        for name, count in frames.items()
        if count
    }
    return means or None


def read_face(
    connection: sqlite3.Connection, start_ms: int, end_ms: int
) -> list[tuple[int, Expression]]:
    """Return time and mean raw probabilities of the participant's face."""
    rows = connection.execute(
        f"SELECT at, {', '.join(NAMES)} FROM expression "
        "WHERE is_primary = 1 AND at > ? AND at <= ? ORDER BY at",
        (start_ms, end_ms),
    )
    return [(row["at"], _expression(row)) for row in rows]


def last_baseline_markers(
    connection: sqlite3.Connection, sessions: Collection[int]
) -> dict[int, int]:
    """Return when the last baseline marker of each session that has one was set, by its id."""
    rows = connection.execute(
        "SELECT session, max(at) FROM marker WHERE kind = 'baseline' AND session IN (SELECT value "
        "FROM json_each(?)) GROUP BY session",
        (json.dumps(list(sessions)),),
    )
    return dict(tuple(row) for row in rows)
