"""Reads one participant's weeks and days, in numbers; ``counting`` counts them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from pathlib import Path
from typing import NamedTuple

from dashboard.charts.trends import TREND_VITALS
from dashboard.charts.week import STEP_MS
from dashboard.questions.week.answer import (
    DAYS,
    DISTRESS,
    LOOK_BACK,
    DayModel,
    DaysModel,
    EmotionModel,
    MostDistressModel,
    Parts,
    PlainMeanModel,
    Sources,
    Uncompared,
    WeekModel,
    WeekSummaryModel,
    WeekVariabilityModel,
)
from dashboard.questions.week.counting import (
    by_week,
    count_days,
    count_parts,
    mean_of,
    nothing_on,
    together,
    weeks_until,
)
from dashboard.questions.week.usual import ReadingWays, figures_of
from edge_agent.core import clock
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read import faces_in_view
from edge_agent.timeline.read.base import MatchCounts, Trend, VitalTrend, flags_of
from edge_agent.timeline.read.faces_in_view import FacesInView
from edge_agent.timeline.read.matching import Matching
from edge_agent.timeline.read.observed import Beats, StateSpan
from edge_agent.timeline.read.reader import RangeReader, Reader, SessionsReader, count_sources

_MINUTE_MS = 60_000
_UNLIKE = (Uncompared.READING_CHANGED, Uncompared.OWN_NEUTRAL, Uncompared.ROWS_DELETED)
"""Reasons for which expressions of two days may not be alike."""
_KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
_BY_SOURCE = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC)
_DAY_MS = 86_400_000


class _Counted(NamedTuple):
    """Counts of a week."""

    days: Sequence[DayModel]
    parts: Parts
    sources: Sources


@dataclass(frozen=True, slots=True)
class ReadWeek:
    """One participant's week in numbers.

    Attributes:
        model: without words.
        days: each of its days.
        trend: expressions over it, in quarters of an hour.
        rate: heart rate over it, in the same; ``None``: not measured.
        spans: times in sessions.
        latest_ms: start of the participant's latest session; ``None``: there is none.
    """

    model: WeekSummaryModel
    days: Sequence[DayModel]
    trend: Trend
    rate: VitalTrend | None
    spans: Sequence[tuple[int, int]]
    latest_ms: int | None


def read_weeks(
    path: Path, code: str, last: date, zone: tzinfo | None, weeks: int = 1
) -> list[ReadWeek]:
    """Read weeks that end with a day, the earliest first, each with the weeks before it.

    Args:
        path: the database.
        code: the participant, as stored.
        last: the last day.
        zone: whose midnights divide the days; ``None``: that of this machine.
        weeks: how many.

    Raises:
        StoreError: the database cannot be read.
    """
    every = [one for one in Reader(path).session_list() if one.participant == code]
    # Readings at times that were made up are of no day.
    sessions = [one for one in every if not one.has_made_up_times]
    made_up = [one for one in every if one.has_made_up_times]
    reader = SessionsReader(path, sessions)
    calendar = weeks_until(last, LOOK_BACK + weeks, zone)
    edges = calendar.edges_ms[::DAYS]
    with reader.at_one_moment():
        counted = count_days(reader, sessions, calendar, _KINDS).get(code) or nothing_on(calendar)
        parts = count_parts(reader, sessions, calendar, (*_KINDS, VitalKind.BODY_MOTION), zone)
        sources = zip(
            *(count_sources(reader, sessions, edges, kind) for kind in _BY_SOURCE), strict=True
        )
        of_weeks = [dict(zip(_BY_SOURCE, own, strict=True)) for own in sources]
        own = list(map(_Counted, by_week(counted), parts, of_weeks))
        shifted = _times_shifted(reader, sessions)
        lasts = (slice(at, at + LOOK_BACK + 1) for at in range(weeks))
        read = [_read_week(reader, code, sessions, own[one], shifted, zone) for one in lasts]
    return [_with_made_up(one, made_up) for one in read]


def _with_made_up(week: ReadWeek, made_up: Iterable[Session]) -> ReadWeek:
    """Return a week with how many sessions of it and of the weeks before are left out."""
    first, last = week.model.start - LOOK_BACK * DAYS * _DAY_MS, week.model.end
    n = sum(one.start_ms < last and (one.end_ms or last) > first for one in made_up)
    return replace(week, model=week.model.model_copy(update={"without_times": n}))


def _read_week(
    reader: SessionsReader,
    code: str,
    sessions: Sequence[Session],
    weeks: Sequence[_Counted],
    shifted: Sequence[tuple[int, int]],
    zone: tzinfo | None,
) -> ReadWeek:
    """Read the last of some weeks; the others are those before."""
    *before, days = [one.days for one in weeks]
    start, end = days[0].start, days[-1].end
    steps = (end - start) // STEP_MS
    first = before[0][0].start
    change = reader.change_of_reading(first, end)
    changed_ms = None if change is None else change[0]
    reading = ReadingWays(changed_ms, reader.rows_kept_since(first, end), shifted)
    summary = summarise(
        code,
        days,
        [together(one) for one in reversed(before)],
        reading,
        [one.parts for one in reversed(weeks)],
        [one.sources for one in reversed(weeks)],
    )
    faces = faces_of(reader, sessions, days)
    inside = (StateSpan(one, "", *span) for one, span in _within(sessions, start, end))
    later = {
        "zone": str(zone or ""),
        "variability": _variability_of(reader.beats(inside)),
        "faces": faces,
    }
    return ReadWeek(
        summary.model_copy(update=later),
        days,
        reader.trend(start, end, steps),
        reader.vital_trend(VitalKind.HEART_RATE, start, end, steps),
        reader.open_times(),
        sessions[0].start_ms if sessions else None,
    )


def summarise(
    participant: str,
    days: Sequence[DayModel],
    before: Sequence[DayModel],
    reading: ReadingWays,
    parts: Sequence[Parts] | None = None,
    sources: Sequence[Sources] = (),
) -> WeekSummaryModel:
    """Return a week beside the weeks before it, without words, its zone and who was in view.

    Args:
        participant: pseudonymous code.
        days: the days of the week, in order.
        before: the weeks before, the latest first.
        reading: how faces were read over all of them.
        parts: vitals by part of the day, as ``figures_of`` wants them.
        sources: which gave them, likewise.
    """
    week = together(days)
    figures = figures_of(week, before, reading, parts, sources)
    return WeekSummaryModel(
        participant=participant,
        zone="",
        first=week.first,
        last=week.last,
        start=week.start,
        end=week.end,
        simulated=week.simulated,
        recorded_days=week.recorded_days,
        faceless_days=sum(bool(one.recorded_days and not one.face_ms) for one in days),
        is_over=clock.now().wall_ms >= week.end,
        face_ms=week.face_ms,
        figures=figures,
        most_distress=None if figures[0].uncompared in _UNLIKE else _most_distress(days),
        faces=FacesInView(),
        sentence="",
        faces_sentence="",
        days_sentence="",
    )


def _most_distress(days: Sequence[DayModel]) -> MostDistressModel | None:
    seen = [one for one in days if one.face_ms]
    most = max(seen, key=lambda one: one.distress_ms, default=None)
    if most is None or len(seen) < 2 or most.distress_ms < _MINUTE_MS:
        return None
    return MostDistressModel(day=most.first, ms=most.distress_ms, face_ms=most.face_ms)


@dataclass(frozen=True, slots=True)
class Days:
    """One participant by day and week.

    Attributes:
        model: without words.
        kinds: the vitals with readings in the weeks.
    """

    model: DaysModel
    kinds: tuple[VitalKind, ...]

    @property
    def compared_kinds(self) -> tuple[VitalKind, ...]:
        """The vitals with readings in the weeks or in the one before."""
        measured = {*self.kinds, *self.model.before.vitals}
        return tuple(kind for kind in TREND_VITALS if kind in measured)


def read_days(path: Path, code: str, last: date, weeks: int, zone: tzinfo | None) -> Days:
    """Read the weeks that end with a day, and the week before them.

    Args:
        path: the database.
        code: the participant, as stored.
        last: the last day.
        weeks: how many, at least 1.
        zone: whose midnights divide the days; ``None``: that of this machine.

    Raises:
        StoreError: the database cannot be read.
    """
    reader, sessions = _reader_of(path, code)
    calendar = weeks_until(last, weeks + 1, zone)
    edges = calendar.edges_ms
    with reader.at_one_moment():
        recorded = reader.recorded_kinds()
        kinds = tuple(kind for kind in TREND_VITALS if kind in recorded)
        counted = count_days(reader, sessions, calendar, kinds).get(code) or nothing_on(calendar)
        kept_since = reader.rows_kept_since(edges[0], edges[-1])
        reading_changed = reader.reading_changed(edges[0], edges[-1])
        faces = faces_of(reader, sessions, counted[DAYS:])
        shifted = _times_shifted(reader, sessions)
    before, *own = by_week(counted)
    shown = together(counted[DAYS:])
    by_emotion, counts = _by_emotion(path, (edges[DAYS], edges[-1]), sessions, kinds, shown)
    model = DaysModel(
        participant=code,
        zone=str(zone or ""),
        simulated=any(one.simulated for one in counted),
        before=together(before),
        weeks=[WeekModel(**dict(together(one)), sentence="", days=list(one)) for one in own],
        by_emotion=by_emotion,
        distress="",
        matched=counts.matched,
        ambiguous=counts.ambiguous,
        unmatched=counts.unmatched,
        rows_kept_since=kept_since,
        reading_changed=reading_changed,
        own_neutral_sessions=len(
            [one for one in shifted if one[0] < edges[-1] and one[1] > edges[0]]
        ),
        latest=sessions[0].start_ms if sessions else None,
        faces=faces,
        faces_sentence="",
    )
    return Days(model, tuple(kind for kind in kinds if kind in shown.vitals))


def _reader_of(path: Path, code: str) -> tuple[SessionsReader, list[Session]]:
    sessions = [one for one in Reader(path).session_list() if one.participant == code]
    return SessionsReader(path, sessions), sessions


def _times_shifted(reader: SessionsReader, sessions: Iterable[Session]) -> list[tuple[int, int]]:
    """Return the times whose labels are shifted by a session's own neutral."""
    own = reader.own_neutrals()
    return [
        applied
        for one in sessions
        if one.id in own and (applied := own[one.id].applied) is not None
    ]


def _variability_of(beats: list[Beats]) -> WeekVariabilityModel | None:
    """Return the variability of a week; one without beats loads no NumPy."""
    if not beats:
        return None
    from dashboard.questions.week.variability import variability_of

    return variability_of(beats)


def _within(
    sessions: Iterable[Session], start: int, end: int
) -> Iterator[tuple[Session, tuple[int, int]]]:
    """Yield the sessions of a time, with their part of it."""
    for one in sessions:
        first, last = max(one.start_ms, start), min(one.end_ms or end, end)
        if first < last:
            yield one, (first, last)


def faces_of(
    reader: SessionsReader, sessions: Iterable[Session], days: Sequence[DayModel]
) -> FacesInView:
    """Return how the faces of some days were in view, of the sessions of one participant."""
    start, end = days[0].start, days[-1].end
    inside = [
        replace(one, start_ms=first, end_ms=last)
        for one, (first, last) in _within(sessions, start, end)
    ]
    return faces_in_view.together(reader.faces_in_view(inside).values())


def _by_emotion(
    path: Path,
    span: tuple[int, int],
    sessions: Sequence[Session],
    kinds: Sequence[VitalKind],
    shown: DayModel,
) -> tuple[list[EmotionModel], MatchCounts]:
    """Return the readings by observed emotion, those of distress together at the end."""
    reader = RangeReader(path, *span)
    numbers = {one.id for one in sessions}
    inside = [one for one in reader.session_list() if one.id in numbers]
    # As read: a shift by each session's own rest would take differences between days away.
    labels = reader.face_labels(inside, plain=True)
    (observed,) = reader.observed_sums(inside, labels, kinds, [Matching()])
    parts: defaultdict[tuple[str, VitalKind], list[PlainMeanModel]] = defaultdict(list)
    for _, state, sums in observed.sums:
        if not flags_of(sums.flags) & UNUSABLE:
            mean = PlainMeanModel(mean=sums.total / sums.n, n=sums.n)
            parts[state, VitalKind(sums.kind)].append(mean)
    return [
        EmotionModel(
            emotions=list(emotions),
            ms=sum(shown.emotions[one] for one in emotions),
            vitals={
                kind: mean_of(own)
                for kind in kinds
                if (own := [mean for one in emotions for mean in parts[one, kind]])
            },
        )
        for emotions in (*((one,) for one in EMOTIONS), DISTRESS)
    ], observed.counts
