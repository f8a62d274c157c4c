"""The three numbers of a week beside those of the own weeks before. Nothing is tested.

A number is compared with the median of the last eight weeks that can be compared, within twelve.
It is higher or lower only where the difference matters: it is as large as ``LEAST`` says, and
larger than two and a half standard deviations of these weeks. Of weeks that differ by chance alone
(normal, independent) one in nineteen is so; with three such numbers, one in seven has one that is.
Hours of distress depend on how long the face was read, too: they count as more or less only where
their share of that time says so as well, and are not compared where it is less than half or more
than twice the usual time.

Vitals depend on the time of day, too: the mean of a week without nights is higher. So the means of
the parts of the day are compared, each with its usual share of the readings. A part in which this
week was measured for less than half or more than twice the usual time is left out of all weeks.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dashboard.questions.week.answer import (
    PARTS,
    USUAL_WEEKS,
    DayModel,
    PartOfDay,
    Parts,
    Sources,
    Uncompared,
    WeekChange,
    WeekFigure,
    WeekFigureModel,
)
from dashboard.questions.week.counting import part_of_day, without_unreliable
from edge_agent.core.vitals import VitalKind

LEAST: Mapping[WeekFigure, float] = {
    WeekFigure.DISTRESS: 1_800_000.0,
    WeekFigure.HEART_RATE: 3.0,
    WeekFigure.PRESSURE: 5.0,
}
"""Smaller differences are none: half an hour of distress, 3/min, 5 mmHg."""
LEAST_MG = 2.0
"""A smaller difference of the wearer’s motion is none: one who lies still has 3 mg."""
_OTHER = 0.5
"""Share of a week by other sources than usual from which that is reported."""
_SOME = 0.1
"""The same of a week that is higher or lower: 10 more by a sensor on two days are enough."""
SPREADS = 2.5
"""Standard deviations of the weeks before, which a difference has to exceed, too."""
_NO_WORDS = {"title": "", "shown": "", "unit": "", "note": ""}
_SAME_TIME = (0.75, 1.25)
"""Shares of the usual time with a face that do not change what is usual."""
_LIKE_TIME = (0.5, 2.0)
"""Beyond them nothing is compared."""
_STREAM = 200
"""Readings of a usual week below which the parts of a day are twice as long: cuffs, not straps."""
_SMALL = 0.05
"""Share of the readings below which nobody needs to know that a part of the day is left out."""


@dataclass(frozen=True, slots=True)
class ReadingWays:
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

    def change(self, value: float) -> WeekChange:
        """Return how a value lies beside them."""
        low, high = self.ends
        if value > high:
            return WeekChange.HIGHER
        return WeekChange.LOWER if value < low else WeekChange.USUAL


@dataclass(frozen=True, slots=True)
class AtLikeTimes:
    """A vital in a week and those before, over the same parts of the day with the same weights.

    Attributes:
        value: in the week; ``None``: no part of the day can be compared.
        before: in those weeks before that have each of these parts, the latest first.
        left_out: hours that are not compared, from and to.
    """

    value: float | None
    before: Sequence[float]
    left_out: list[tuple[int, int]]


def at_like_times(week: Sequence[PartOfDay], before: Sequence[Sequence[PartOfDay]]) -> AtLikeTimes:
    """Return a vital at like times of day.

    Args:
        week: its readings in each part of the day (``PARTS``).
        before: those of the weeks before with any, the latest first.
    """
    latest = before[:USUAL_WEEKS]
    parts = [[number] for number in range(len(week))]
    is_sparse = statistics.median(sum(one.n for one in each) for each in latest) < _STREAM
    if is_sparse and len(parts) == len(PARTS):
        parts = [[number - 1, number] for number in range(0, len(PARTS), 2)]
    own, *theirs = (
        [part_of_day([one[number] for number in part]) for part in parts] for one in (week, *before)
    )
    usual = [statistics.median(one) for one in zip(*map(_times, theirs[:USUAL_WEEKS]), strict=True)]
    weeks, compared = theirs, list[int]()
    for number in sorted(range(len(parts)), key=lambda one: -usual[one]):
        with_it = [one for one in weeks if one[number].n]
        is_like = usual[number] and _lies_in(_times(own)[number] / usual[number], _LIKE_TIME)
        if is_like and len(with_it) >= USUAL_WEEKS:
            weeks = with_it
            compared.append(number)
    if not compared:
        return AtLikeTimes(None, (), [])
    large = [
        max(one[number] / max(1.0, sum(one)) for one in (usual, _times(own))) >= _SMALL
        for number in range(len(parts))
    ]
    missing = [one for one in range(len(parts)) if large[one] and one not in compared]
    weights = {number: usual[number] for number in compared}
    return AtLikeTimes(
        _weigh(own, weights),
        [_weigh(one, weights) for one in weeks[:USUAL_WEEKS]],
        _hours([one for number in missing for one in parts[number]]),
    )


def _times(week: Sequence[PartOfDay]) -> list[float]:
    """Return for how long each part of the day was measured in a week, milliseconds: its readings
    by the week's own rate, for another sensor may send ten times as many.
    """
    n = max(1, sum(one.n for one in week))
    return [one.n / n * sum(each.open_ms for each in week) for one in week]


def _weigh(means: Sequence[PartOfDay], weights: Mapping[int, float]) -> float:
    total = sum(weight * means[number].mean for number, weight in weights.items())
    return total / sum(weights.values())


def _hours(parts: Collection[int]) -> list[tuple[int, int]]:
    """Return from when to when some parts of the day last; those that touch are one."""
    n = len(PARTS)
    whole = {one % n for one in parts}
    spans = []
    for first in sorted(whole):
        if (first - 1) % n not in whole:
            last = next(first + more for more in range(n) if (first + more + 1) % n not in whole)
            spans.append((PARTS[first], PARTS[(last + 1) % n]))
    return spans


def figures_of(
    week: DayModel,
    before: Sequence[DayModel],
    reading: ReadingWays,
    parts: Sequence[Parts] | None = None,
    sources: Sequence[Sources] = (),
) -> list[WeekFigureModel]:
    """Return the three numbers of a week, without words.

    Args:
        week: the week.
        before: the weeks before, the latest first.
        reading: how faces were read over all of them.
        parts: vitals by part of the day, of the week and of each before; ``None``: the time of day
            of readings is not known.
        sources: which gave the vitals, of the week and of each before; empty: not known.
    """
    if parts is None:
        parts = [
            {kind: [PartOfDay(**dict(one), open_ms=1)] for kind, one in each.vitals.items()}
            for each in (week, *before)
        ]
    rate = _vital(WeekFigure.HEART_RATE, VitalKind.HEART_RATE, week, parts)
    vitals = [
        (_with_motion(rate, parts), VitalKind.HEART_RATE),
        (_pressure(week, before, parts), VitalKind.SYSTOLIC),
    ]
    return [
        _distress(week, before, reading),
        *(_with_sources(figure, [one.get(kind, {}) for one in sources]) for figure, kind in vitals),
    ]


def _with_motion(figure: WeekFigureModel, parts: Sequence[Parts]) -> WeekFigureModel:
    """Return a heart rate that differs with the motion of the wearer, where that differs, too."""
    own, *before = (one.get(VitalKind.BODY_MOTION, ()) for one in parts)
    weeks = [one for one in before if any(mean.n for mean in one)]
    differs = figure.change in (WeekChange.HIGHER, WeekChange.LOWER)
    if not differs or len(weeks) < USUAL_WEEKS or not any(one.n for one in own):
        return figure
    like = at_like_times(own, weeks)
    if like.value is None or len(like.before) < USUAL_WEEKS:
        return figure
    change = Usual(like.before, LEAST_MG).change(like.value)
    return figure.model_copy(update={"motion": None if change is WeekChange.USUAL else change})


def _with_sources(figure: WeekFigureModel, counts: Sequence[Mapping[str, int]]) -> WeekFigureModel:
    """Return a number that is compared with the sources that gave more of it than usual, where half
    of the week is by others than usual, or some of one that differs.
    """
    if figure.change is None or not counts:
        return figure
    own, *before = ({name: n / sum(one.values()) for name, n in one.items()} for one in counts)
    weeks = [one for one in before if one][:USUAL_WEEKS]
    if not own or not weeks:
        return figure
    more = {
        name: share - statistics.fmean(one.get(name, 0.0) for one in weeks)
        for name, share in own.items()
    }
    named = sorted((name for name in more if more[name] > 0), key=lambda name: -more[name])
    least = _OTHER if figure.change is WeekChange.USUAL else _SOME
    if sum(more[name] for name in named) < least:
        return figure
    return figure.model_copy(update={"other_sources": tuple(named)})


def _distress(week: DayModel, before: Sequence[DayModel], reading: ReadingWays) -> WeekFigureModel:
    """Return the time of distress in the week, compared with the usual one."""
    weeks = [one for one in before if one.face_ms and reading.doubt(one) is None][:USUAL_WEEKS]
    usual = _usual(WeekFigure.DISTRESS, [float(one.distress_ms) for one in weeks])
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
            change = WeekChange.USUAL
            if not _lies_in(longer, _SAME_TIME):
                doubt = Uncompared.RECORDED_TIME
    return _figure(WeekFigure.DISTRESS, value, usual, len(weeks), None if doubt else change, doubt)


def _lies_in(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] <= value <= ends[1]


def _vital(
    name: WeekFigure, kind: VitalKind, week: DayModel, parts: Sequence[Parts]
) -> WeekFigureModel:
    """Return a vital beside its usual value, at like times of day."""
    own, *before = (one.get(kind, ()) for one in parts)
    weeks = [one for one in before if any(mean.n for mean in one)]
    n = min(len(weeks), USUAL_WEEKS)
    if kind not in week.vitals:
        return _figure(name, None, None, n, None, Uncompared.NOT_MEASURED)
    value = week.vitals[kind].mean
    counts: dict[str, object] = {
        "readings": sum(one.n for one in own),
        "doubted": sum(one.doubted for one in own),
    }
    if n < USUAL_WEEKS:
        figure = _figure(name, value, None, n, None, Uncompared.FEW_WEEKS)
        return figure.model_copy(update=counts)
    sure, gone = without_unreliable(own)
    like = at_like_times(sure, [without_unreliable(one)[0] for one in weeks])
    usual = _usual(name, like.before)
    if like.value is None or usual is None:
        figure = _figure(name, value, None, n, None, Uncompared.TIMES_OF_DAY)
        return figure.model_copy(update=counts)
    figure = _figure(name, value, usual, n, usual.change(like.value), None)
    compared = {"compared": like.value, "hours_left_out": like.left_out, "left_out": gone}
    return figure.model_copy(update=counts | compared)


def _pressure(
    week: DayModel, before: Sequence[DayModel], parts: Sequence[Parts]
) -> WeekFigureModel:
    """Return the blood pressure, compared by the systolic one."""
    figure = _vital(WeekFigure.PRESSURE, VitalKind.SYSTOLIC, week, parts)
    kind = VitalKind.DIASTOLIC
    weeks = [one for one in before if VitalKind.SYSTOLIC in one.vitals][:USUAL_WEEKS]
    means = [one.vitals[kind].mean for one in weeks if kind in one.vitals]
    lower = week.vitals[kind].mean if kind in week.vitals else None
    is_compared = figure.usual is not None and lower is not None and means
    usual = statistics.median(means) if is_compared else None
    return figure.model_copy(update={"second": lower, "usual_second": usual})


def _usual(name: WeekFigure, values: Sequence[float]) -> Usual | None:
    """Return what a number is compared with; ``None`` where the weeks are too few."""
    return None if len(values) < USUAL_WEEKS else Usual(values, LEAST[name])


def _figure(
    name: WeekFigure,
    value: float | None,
    usual: Usual | None,
    weeks: int,
    change: WeekChange | None,
    doubt: Uncompared | None,
) -> WeekFigureModel:
    if usual is None or change is None:
        return WeekFigureModel(name=name, value=value, weeks=weeks, uncompared=doubt, **_NO_WORDS)
    low, high = usual.ends
    return WeekFigureModel(
        name=name,
        value=value,
        compared=value,
        usual=usual.median,
        usual_from=low,
        usual_to=high,
        least=min(usual.values),
        most=max(usual.values),
        weeks=weeks,
        change=change,
        **_NO_WORDS,
    )
