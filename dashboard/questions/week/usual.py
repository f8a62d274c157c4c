"""The three numbers of a week beside those of the own weeks before. Nothing is tested.

A number is compared with the median of the last eight weeks that can be compared, within twelve.
It is higher or lower only where the difference matters: it is as large as ``LEAST`` says, and
larger than two and a half standard deviations of these weeks. Of weeks that differ by chance alone
(normal, independent) one in nineteen is so. Hours of distress depend on how long the face was read,
too: they count as more or less only where their share of that time says so as well, and are not
compared where it is less than half or more than twice the usual time.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboard.questions.week.answer import (
    USUAL_WEEKS,
    Change,
    DayModel,
    Figure,
    Uncompared,
    WeekFigureModel,
)
from edge_agent.core.vitals import VitalKind

LEAST: Mapping[Figure, float] = {
    Figure.DISTRESS: 1_800_000.0,
    Figure.HEART_RATE: 3.0,
    Figure.PRESSURE: 5.0,
}
"""Smaller differences are none: half an hour of distress, 3/min, 5 mmHg."""
_OF_KIND = {
    VitalKind.HEART_RATE: LEAST[Figure.HEART_RATE],
    VitalKind.SYSTOLIC: LEAST[Figure.PRESSURE],
    VitalKind.DIASTOLIC: LEAST[Figure.PRESSURE],
}
SPREADS = 2.5
"""Standard deviations of the weeks before, which a difference has to exceed, too."""
_NO_WORDS = {"title": "", "shown": "", "unit": "", "note": ""}
_SAME_TIME = (0.75, 1.25)
"""Shares of the usual time with a face that do not change what is usual."""
_LIKE_TIME = (0.5, 2.0)
"""Beyond them nothing is compared."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The ways in which faces were read over the weeks.

    Attributes:
        changed_ms: until when another model or prior read them; ``None``: none did.
        kept_since_ms: rows of expressions from before are deleted; ``None``: none is.
        shifted: times whose labels are shifted by a session's own neutral.
    """

    changed_ms: int | None = None
    kept_since_ms: int | None = None
    shifted: Sequence[tuple[int, int]] = ()

    def doubt(self, period: DayModel) -> Uncompared | None:
        """Return why expressions of a period cannot be compared; ``None``: they can."""
        if self.changed_ms is not None and period.start < self.changed_ms:
            return Uncompared.READING_CHANGED
        if self.kept_since_ms is not None and period.start < self.kept_since_ms:
            return Uncompared.ROWS_DELETED
        if any(first < period.end and last > period.start for first, last in self.shifted):
            return Uncompared.OWN_NEUTRAL
        return None


@dataclass(frozen=True, slots=True)
class Usual:
    """The values of the weeks before.

    Attributes:
        values: of at least two weeks.
        least: the smallest difference that is one.
    """

    values: Sequence[float]
    least: float = 0.0

    @property
    def median(self) -> float:
        """Their median."""
        return statistics.median(self.values)

    @property
    def ends(self) -> tuple[float, float]:
        """From where to where a value is as usual; a time or a reading is never below zero."""
        away = max(self.least, SPREADS * statistics.stdev(self.values))
        return max(0.0, self.median - away), self.median + away

    def change(self, value: float) -> Change:
        """Return how a value lies beside them."""
        low, high = self.ends
        if value > high:
            return Change.HIGHER
        return Change.LOWER if value < low else Change.USUAL


def figures_of(
    week: DayModel, before: Sequence[DayModel], reading: Reading
) -> list[WeekFigureModel]:
    """Return the three numbers of a week, without words.

    Args:
        week: the week.
        before: the weeks before, the latest first.
        reading: how faces were read over all of them.
    """
    rate = _vital(Figure.HEART_RATE, VitalKind.HEART_RATE, week, before)
    return [_distress(week, before, reading), rate, _pressure(week, before)]


def _distress(week: DayModel, before: Sequence[DayModel], reading: Reading) -> WeekFigureModel:
    """Return the time of distress in the week, compared with the usual one."""
    weeks = [one for one in before if one.face_ms and reading.doubt(one) is None][:USUAL_WEEKS]
    usual = _usual(Figure.DISTRESS, [float(one.distress_ms) for one in weeks])
    value = float(week.distress_ms) if week.face_ms else None
    doubt = reading.doubt(week) if value is not None else Uncompared.NOT_MEASURED
    if doubt is None and usual is None:
        # The latest week that would count, but for the way in which its faces were read.
        doubts = (reading.doubt(one) for one in before if one.face_ms)
        doubt = next(filter(None, doubts), Uncompared.FEW_WEEKS)
    change = None
    if doubt is None and usual is not None and value is not None:
        change = usual.change(value)
        shares = Usual([one.distress_ms / one.face_ms for one in weeks])
        longer = week.face_ms / statistics.median(one.face_ms for one in weeks)
        if not _lies_in(longer, _LIKE_TIME):
            doubt = Uncompared.RECORDED_TIME
        elif shares.change(value / week.face_ms) is not change:
            change = Change.USUAL
            if not _lies_in(longer, _SAME_TIME):
                doubt = Uncompared.RECORDED_TIME
    return _figure(Figure.DISTRESS, value, usual, len(weeks), None if doubt else change, doubt)


def _lies_in(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] <= value <= ends[1]


def _vital(
    name: Figure, kind: VitalKind, week: DayModel, before: Sequence[DayModel]
) -> WeekFigureModel:
    """Return a vital beside its usual value."""
    means = [one.vitals[kind].mean for one in before if kind in one.vitals][:USUAL_WEEKS]
    usual = _usual(name, means)
    value = week.vitals[kind].mean if kind in week.vitals else None
    if value is None:
        return _figure(name, value, usual, len(means), None, Uncompared.NOT_MEASURED)
    change = None if usual is None else usual.change(value)
    return _figure(name, value, usual, len(means), change, None if usual else Uncompared.FEW_WEEKS)


def _pressure(week: DayModel, before: Sequence[DayModel]) -> WeekFigureModel:
    """Return the blood pressure, compared by the systolic one."""
    figure = _vital(Figure.PRESSURE, VitalKind.SYSTOLIC, week, before)
    kind = VitalKind.DIASTOLIC
    weeks = [one for one in before if VitalKind.SYSTOLIC in one.vitals][:USUAL_WEEKS]
    means = [one.vitals[kind].mean for one in weeks if kind in one.vitals]
    lower = week.vitals[kind].mean if kind in week.vitals else None
    is_compared = figure.usual is not None and lower is not None and means
    usual = statistics.median(means) if is_compared else None
    return figure.model_copy(update={"second": lower, "usual_second": usual})


def _usual(name: Figure, values: Sequence[float]) -> Usual | None:
    """Return what a number is compared with; ``None`` where the weeks are too few."""
    return None if len(values) < USUAL_WEEKS else Usual(values, LEAST[name])


def _figure(
    name: Figure,
    value: float | None,
    usual: Usual | None,
    weeks: int,
    change: Change | None,
    doubt: Uncompared | None,
) -> WeekFigureModel:
    if usual is None or change is None:
        return WeekFigureModel(name=name, value=value, weeks=weeks, uncompared=doubt, **_NO_WORDS)
    low, high = usual.ends
    return WeekFigureModel(
        name=name,
        value=value,
        usual=usual.median,
        usual_from=low,
        usual_to=high,
        least=min(usual.values),
        most=max(usual.values),
        weeks=weeks,
        change=change,
        **_NO_WORDS,
    )


def sign_of(kind: VitalKind, difference: float) -> int:
    """Return 1 or −1 where the difference of two means of a kind matters, else 0."""
    least = _OF_KIND.get(kind, 0.0)
    return 0 if abs(difference) < least else (difference > 0) - (difference < 0)
