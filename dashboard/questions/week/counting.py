"""The one place that counts a week: what was recorded of people on each day.

Only what was recorded in a participant's sessions counts. A day is one of a time zone, from
midnight to midnight, and recorded where a session was open on it. Several days are the sum of each:
every page, letter, answer and command has its numbers from here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo

from dashboard.questions.week.answer import (
    DAYS,
    PARTS,
    UNCERTAIN,
    DayModel,
    PartOfDay,
    Parts,
    PlainMeanModel,
)
from edge_agent.core import clock
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import UNRELIABLE
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.reader import (
    MeasureReading,
    Reader,
    SpanSums,
    means_between,
    read_doubted,
    sums_by_person,
)
from edge_agent.timeline.read.sessions import MeanReading

_EASTERNMOST = timezone(timedelta(hours=14))
_SHOWN = (*(emotion.value for emotion in EMOTIONS), UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days in order, as the clock of a zone divides them.

    Attributes:
        days: their dates.
        edges_ms: the midnights between which they lie, UTC milliseconds.
    """

    days: tuple[date, ...]
    edges_ms: tuple[int, ...]

    def touches(self, session: Session) -> bool:
        """Return whether a session was open on one of them."""
        is_late = session.start_ms >= self.edges_ms[-1]
        return not is_late and (session.end_ms is None or session.end_ms > self.edges_ms[0])


def weeks_until(last: date, weeks: int, zone: tzinfo | None) -> Calendar:
    """Return the days of weeks that end with a day; without a zone, in that of this machine."""
    days = [last - timedelta(days=back) for back in reversed(range(DAYS * weeks))]
    edges = [_midnight(day, zone) for day in (*days, last + timedelta(days=1))]
    return Calendar(tuple(days), tuple(edges))


def today(zone: tzinfo | None) -> date:
    """Return the present day; without a zone, in that of this machine."""
    return datetime.fromtimestamp(clock.now().wall_ms / 1000, zone).date()


def last_day(to: date | None, zone: tzinfo | None) -> date:
    """Return the last day that is asked for, else the present one.

    Raises:
        StudyError: it is still to come, wherever on earth.
    """
    here = today(zone)
    if to is not None and to > today(_EASTERNMOST):
        text = N_("to = {day}: this day is still to come. Choose one up to {today}.")
        raise StudyError(text, day=to.isoformat(), today=here.isoformat())
    return to or here


def _midnight(day: date, zone: tzinfo | None) -> int:
    # A time without a zone is taken as one of this machine's.
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)


def count_days(
    reader: Reader, sessions: Iterable[Session], calendar: Calendar, kinds: Collection[VitalKind]
) -> dict[str, list[DayModel]]:
    """Return what was recorded on each day, by the code of the participant; of others nothing.

    Args:
        reader: of the database.
        sessions: those that count.
        calendar: the days.
        kinds: which vitals.
    """
    edges = calendar.edges_ms
    inside = [one for one in sessions if calendar.touches(one)]
    return {
        code: [_day_of(day, one) for day, one in zip(calendar.days, sums, strict=True)]
        for code, sums in sums_by_person(reader, inside, edges, kinds).items()
    }


def count_parts(
    reader: Reader,
    sessions: Iterable[Session],
    calendar: Calendar,
    kinds: Collection[VitalKind],
    zone: tzinfo | None,
) -> list[Parts]:
    """Return the readings of each week of somebody by part of the day, the earliest week first.

    Args:
        reader: of the database.
        sessions: of one participant.
        calendar: the days of whole weeks.
        kinds: which vitals.
        zone: whose clock divides the days; ``None``: that of this machine.
    """
    # The last part ends after midnight: a day begins in the one of the day before.
    hours = (0, *PARTS)
    edges = [
        round(datetime.combine(day, time(hour), zone).timestamp() * 1000)
        for day in calendar.days
        for hour in hours
    ]
    inside = [one for one in sessions if calendar.touches(one)]
    edges.append(calendar.edges_ms[-1])
    doubted: defaultdict[tuple[int, VitalKind], list[MeasureReading]] = defaultdict(list)
    for one in read_doubted(reader, inside, kinds):
        doubted[bisect_right(edges, one.at_ms) - 1, one.kind].append(one)
    spans = [
        {kind: _part(open_ms, mean, doubted[number, kind]) for kind, mean in means.items()}
        for number, (open_ms, means) in enumerate(means_between(reader, inside, edges, kinds))
    ]
    numbers = [(number % len(hours) or len(hours) - 1) - 1 for number in range(len(spans))]
    in_week = DAYS * len(hours)
    weeks = [
        list(zip(numbers, spans, strict=True))[first : first + in_week]
        for first in range(0, len(spans), in_week)
    ]
    return [
        {
            kind: [
                part_of_day([one[kind] for number, one in week if number == part and kind in one])
                for part in range(len(PARTS))
            ]
            for kind in kinds
        }
        for week in weeks
    ]


def _part(open_ms: int, mean: MeanReading, doubted: Sequence[MeasureReading]) -> PartOfDay:
    values = [one.value for one in doubted if one.flags & UNRELIABLE]
    unreliable = PlainMeanModel(mean=sum(values) / max(1, len(values)), n=len(values))
    return PartOfDay(
        mean=mean.mean, n=mean.n, open_ms=open_ms, doubted=len(doubted), unreliable=unreliable
    )


def part_of_day(parts: Sequence[PartOfDay]) -> PartOfDay:
    """Return several times of day as one."""
    return PartOfDay(
        **dict(mean_of(parts)),
        open_ms=sum(one.open_ms for one in parts),
        doubted=sum(one.doubted for one in parts),
        unreliable=mean_of([one.unreliable for one in parts]),
    )


def without_unreliable(week: Sequence[PartOfDay]) -> tuple[Sequence[PartOfDay], int]:
    """Return the parts of a week without readings that are unreliable by their flags, and how many
    these are; as they are where fewer than half of the readings would be left.
    """
    n, gone = sum(one.n for one in week), sum(one.unreliable.n for one in week)
    if not gone or 2 * (n - gone) < n:
        return week, 0
    return [_without(one) if one.unreliable.n else one for one in week], gone


def _without(part: PartOfDay) -> PartOfDay:
    n = max(0, part.n - part.unreliable.n)
    total = part.mean * part.n - part.unreliable.mean * part.unreliable.n
    return part.model_copy(update={"n": n, "mean": total / n if n else 0.0})


def nothing_on(calendar: Calendar) -> list[DayModel]:
    """Return the days of somebody of whom nothing was recorded."""
    edges = zip(calendar.edges_ms, calendar.edges_ms[1:], strict=False)
    return [
        _day_of(day, SpanSums(*span, 0, {}, {}, simulated=False))
        for day, span in zip(calendar.days, edges, strict=True)
    ]


def _day_of(day: date, sums: SpanSums) -> DayModel:
    return DayModel(
        first=day,
        last=day,
        start=sums.start_ms,
        end=sums.end_ms,
        recorded_days=int(bool(sums.session_ms or sums.shown_ms or sums.vitals)),
        session_ms=sums.session_ms,
        face_ms=sum(sums.shown_ms.values()),
        emotions={name: sums.shown_ms.get(name, 0) for name in _SHOWN},
        vitals={kind: PlainMeanModel(mean=one.mean, n=one.n) for kind, one in sums.vitals.items()},
        simulated=sums.simulated,
    )


def together(periods: Sequence[DayModel]) -> DayModel:
    """Return several periods in order of time as one; every reading counts alike."""
    kinds = dict.fromkeys(kind for one in periods for kind in one.vitals)
    return DayModel(
        first=periods[0].first,
        last=periods[-1].last,
        start=periods[0].start,
        end=periods[-1].end,
        recorded_days=sum(one.recorded_days for one in periods),
        session_ms=sum(one.session_ms for one in periods),
        face_ms=sum(one.face_ms for one in periods),
        emotions={name: sum(one.emotions[name] for one in periods) for name in _SHOWN},
        vitals={
            kind: mean_of([one.vitals[kind] for one in periods if kind in one.vitals])
            for kind in kinds
        },
        simulated=any(one.simulated for one in periods),
    )


def mean_of(means: Sequence[PlainMeanModel]) -> PlainMeanModel:
    """Return the mean of all readings of several means; 0 without any."""
    n = sum(one.n for one in means)
    return PlainMeanModel(mean=sum(one.mean * one.n for one in means) / max(1, n), n=n)


def by_week(days: Sequence[DayModel]) -> list[Sequence[DayModel]]:
    """Return the days of each week."""
    return [days[at : at + DAYS] for at in range(0, len(days), DAYS)]
