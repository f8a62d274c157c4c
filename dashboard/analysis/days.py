"""One participant by day and week: described in numbers and sentences, and never tested.

Tests compare people, and need three; this is for whoever looks after one. Only what was recorded in
the participant's sessions counts. Days are those of a time zone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from dashboard.analysis.question import Model
from dashboard.charts.trends import TREND_VITALS
from dashboard.charts.week import STEP_MS, DayInWords, Recorded, WeekPicture, week_picture
from dashboard.languages.current import gettext
from dashboard.languages.figures import day as written_day
from dashboard.languages.figures import decimal, duration, percent, thousands, weekday
from dashboard.languages.names import list_with_or, state_name, translate, vital_in_text
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.study import Session
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read import faces_in_view
from edge_agent.store.read.base import MatchCounts, flags_of
from edge_agent.store.read.faces_in_view import FacesInView
from edge_agent.store.read.matching import Matching
from edge_agent.store.read.reader import RangeReader, Reader, SessionsReader, SpanSums

DAYS = 7
DISTRESS = (Emotion.SADNESS, Emotion.ANGER, Emotion.FEAR)
"""The expressions that the pages call distress; a face does not prove what somebody feels."""
UNCERTAIN = "uncertain"
_SHOWN = (*(emotion.value for emotion in EMOTIONS), UNCERTAIN)
_NAMED_MS = 60_000
_MOST_NAMED = 3


class PlainMeanModel(Model):
    """The mean of the usable readings of a kind, in its unit."""

    mean: float = Field(description="Mean")
    n: int = Field(description="Readings that it is of")


class DayModel(Model):
    """The data of one participant over one day, or several."""

    first: date = Field(description="The first day")
    last: date = Field(description="The last day")
    start: int = Field(description="Midnight at which the first day begins, UTC milliseconds")
    end: int = Field(description="Midnight at which the last day ends")
    recorded_days: int = Field(description="Days with a face or a usable reading")
    session_ms: int = Field(description="How long sessions were open, milliseconds")
    face_ms: int = Field(description="How long a face was read in them")
    emotions: dict[str, int] = Field(
        description="How long the face showed each emotion, or uncertain, in milliseconds"
    )
    vitals: dict[VitalKind, PlainMeanModel] = Field(description="By kind, only kinds with readings")
    simulated: bool = Field(description="Whether any of it is simulated")


class WeekModel(DayModel):
    """Seven days."""

    sentence: str = Field(description="The week in words, compared with the week before")
    days: list[DayModel] = Field(description="Each day")


class EmotionModel(Model):
    """The readings taken while the face showed one emotion, or one of several."""

    emotions: list[Emotion] = Field(description="The emotion, or those of distress together")
    ms: int = Field(description="How long the face showed it")
    vitals: dict[VitalKind, PlainMeanModel] = Field(description="By kind, only kinds with readings")


class DaysModel(Model):
    """One participant by day and week, described and not tested."""

    participant: str = Field(description="Pseudonymous code")
    zone: str = Field(description="Time zone of the days; empty: that of this machine")
    simulated: bool = Field(description="Whether any of it is simulated")
    before: DayModel = Field(description="The week before the first one")
    weeks: list[WeekModel] = Field(description="The weeks, the earliest first")
    by_emotion: list[EmotionModel] = Field(
        description="Over all weeks by the emotion observed before each reading, as an analysis by "
        "observed emotion matches it: by category, and distress at the end"
    )
    distress: str = Field(description="Readings in distress, in words")
    matched: int = Field(description="Readings with an observed emotion")
    ambiguous: int = Field(description="Readings before which no emotion prevailed")
    unmatched: int = Field(description="Readings before which no face was read")
    rows_kept_since: int | None = Field(
        description="Rows of expressions from before this are deleted, UTC milliseconds: earlier "
        "times of emotions are too short; null: nothing is missing"
    )
    reading_changed: int | None = Field(
        description="Since when faces in the sessions of these weeks are read by another model, or "
        "with another prior, UTC milliseconds; where it changed between two sessions, the start of "
        "the later one: expressions before and after cannot be compared; null: it did not change"
    )
    own_neutral_sessions: int = Field(
        0,
        description="Sessions in these weeks whose labels are shifted by the participant's own "
        "neutral: their times of emotions cannot be compared with other days; readings by emotion "
        "are matched without the shift",
    )
    latest: int | None = Field(description="Start of the latest session; null: there is none")
    faces: FacesInView = Field(
        description="How often the followed face was out of view in the sessions of these weeks, "
        "and who else was in view"
    )
    faces_sentence: str = Field(
        description="Whether it was always the same person, as far as that is known; empty "
        "without a face"
    )


@dataclass(frozen=True, slots=True)
class Days:
    """One participant by day, with the picture of each day.

    Attributes:
        model: numbers and sentences.
        pictures: of the weeks, where they are several.
        kinds: the vitals with readings in the weeks.
    """

    model: DaysModel
    pictures: tuple[WeekPicture, ...]
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
    sessions = [one for one in Reader(path).session_list() if one.participant == code]
    reader = SessionsReader(path, sessions)
    first = last - timedelta(days=DAYS * (weeks + 1) - 1)
    dates = [first + timedelta(days=number) for number in range(DAYS * (weeks + 1))]
    edges = [midnight(day, zone) for day in [*dates, last + timedelta(days=1)]]
    with reader.at_one_moment():
        recorded = reader.recorded_kinds()
        kinds = tuple(kind for kind in TREND_VITALS if kind in recorded)
        spans = reader.sums_between(edges, kinds)
        days = [day_of(day, sums) for day, sums in zip(dates, spans, strict=True)]
        each = [days[at : at + DAYS] for at in range(0, len(days), DAYS)]
        pictures = [picture_of(reader, week, zone) for week in each[1:] if weeks > 1]
        kept_since = reader.rows_kept_since(edges[0], edges[-1])
        reading_changed = reader.reading_changed(edges[0], edges[-1])
        faces = faces_of(reader, sessions, days[DAYS:])
        own = reader.own_neutrals()
        shifted = [
            applied
            for one in sessions
            if one.id in own and (applied := own[one.id].applied) is not None
        ]
    periods = [together(week) for week in each]
    shown = together(days[DAYS:])
    by_emotion, counts = _by_emotion(path, (edges[DAYS], edges[-1]), sessions, kinds, shown)
    model = DaysModel(
        participant=code,
        zone=str(zone or ""),
        simulated=shown.simulated or periods[0].simulated,
        before=periods[0],
        weeks=[
            WeekModel(
                **dict(week),
                sentence=week_sentence(week, before),
                days=days[DAYS * number : DAYS * (number + 1)],
            )
            for number, (before, week) in enumerate(pairwise(periods), 1)
        ],
        by_emotion=by_emotion,
        distress=distress_sentence(by_emotion),
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
        faces_sentence=translate(faces_in_view.in_words(faces)),
    )
    return Days(model, tuple(pictures), tuple(kind for kind in kinds if kind in shown.vitals))


def faces_of(
    reader: SessionsReader, sessions: Iterable[Session], days: Sequence[DayModel]
) -> FacesInView:
    """Return how the faces of some days were in view, of the sessions of one participant."""
    start, end = days[0].start, days[-1].end
    cut = (
        replace(one, start_ms=max(one.start_ms, start), end_ms=min(one.end_ms or end, end))
        for one in sessions
    )
    inside = [one for one in cut if one.start_ms < (one.end_ms or end)]
    return faces_in_view.together(reader.faces_in_view(inside).values())


def picture_of(
    reader: SessionsReader, days: Sequence[DayModel], zone: tzinfo | None
) -> WeekPicture:
    """Return the picture of some days of one participant.

    Args:
        reader: of the participant's sessions.
        days: what was recorded on each, in order.
        zone: whose midnights divide them; ``None``: that of this machine.
    """
    start, end = days[0].start, days[-1].end
    steps = (end - start) // STEP_MS
    return week_picture(
        [_in_words(day) for day in days],
        reader.trend(start, end, steps),
        reader.vital_trend(VitalKind.HEART_RATE, start, end, steps),
        reader.open_times(),
        zone,
    )


def _in_words(day: DayModel) -> DayInWords:
    rate = day.vitals.get(VitalKind.HEART_RATE)
    facts = [in_minutes(day.face_ms) if day.face_ms else gettext("no face")]
    if rate is not None:
        facts.append(f"{decimal(rate.mean, 0)} {gettext(VitalKind.HEART_RATE.spec.unit_shown)}")
    recorded = recorded_of(day)
    return DayInWords(
        day=day.first,
        start_ms=day.start,
        end_ms=day.end,
        recorded=recorded,
        name=f"{weekday(day.first)} {written_day(day.first)}",
        facts=gettext("not recorded") if recorded is Recorded.NOTHING else " · ".join(facts),
        sentence=day_sentence(day),
    )


def in_minutes(ms: float) -> str:
    """Write a time in whole minutes, and hours however many: ``50 h 10 min``, not ``2 d 2 h``."""
    minutes = round(ms / 60_000)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def recorded_of(day: DayModel) -> Recorded:
    """Return what there is of a day: one in a session without a face is not one without any."""
    if day.face_ms:
        return Recorded.FACE
    return Recorded.NO_FACE if day.recorded_days or day.session_ms else Recorded.NOTHING


def midnight(day: date, zone: tzinfo | None) -> int:
    """Return when a day begins, UTC milliseconds; without a zone, in that of this machine."""
    # A time without a zone is taken as one of this machine's.
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)


def day_of(day: date, sums: SpanSums, last: date | None = None) -> DayModel:
    """Return what was recorded on a day, or from it to the ``last`` one."""
    face_ms = sum(sums.shown_ms.values())
    return DayModel(
        first=day,
        last=last or day,
        start=sums.start_ms,
        end=sums.end_ms,
        recorded_days=int(bool(face_ms or sums.vitals)),
        session_ms=sums.session_ms,
        face_ms=face_ms,
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
            kind: _mean_of([one.vitals[kind] for one in periods if kind in one.vitals])
            for kind in kinds
        },
        simulated=any(one.simulated for one in periods),
    )


def _mean_of(means: Sequence[PlainMeanModel]) -> PlainMeanModel:
    n = sum(one.n for one in means)
    return PlainMeanModel(mean=sum(one.mean * one.n for one in means) / n, n=n)


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
                kind: _mean_of(own)
                for kind in kinds
                if (own := [mean for one in emotions for mean in parts[one, kind]])
            },
        )
        for emotions in (*((one,) for one in EMOTIONS), DISTRESS)
    ], observed.counts


def week_sentence(week: DayModel, before: DayModel) -> str:
    """Return a week in words: usual vitals, recorded days and expressions."""
    if not week.recorded_days:
        return gettext("Nothing was recorded.")
    parts = [
        _compare_with_week_before(kind, mean, before.vitals.get(kind))
        for kind, mean in week.vitals.items()
        if kind.spec.tested_by_default
    ]
    parts.append(gettext("{n} of 7 days recorded").format(n=week.recorded_days))
    parts.append(_shown_in_words(week))
    return as_sentence("; ".join(parts))


def as_sentence(text: str) -> str:
    """Begin a text with a capital letter, and end it with a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def value_text(kind: VitalKind, value: float) -> str:
    """Write a value with its unit, such as ``72 per minute`` or ``121 mmHg``."""
    unit = gettext(kind.spec.unit_shown)
    if unit == "/min":
        unit = gettext("per minute")
    return f"{decimal(value, kind.spec.decimals)} {unit}"


def _compare_with_week_before(
    kind: VitalKind, mean: PlainMeanModel, before: PlainMeanModel | None
) -> str:
    if before is None:
        text = gettext("{vital} {value} on average, not measured the week before")
        return text.format(vital=vital_in_text(kind), value=value_text(kind, mean.mean))
    text = {
        1: gettext("{vital} {value} on average, {difference} more than the week before"),
        0: gettext("{vital} {value} on average, as in the week before"),
        -1: gettext("{vital} {value} on average, {difference} less than the week before"),
    }[_sign(kind, mean.mean - before.mean)]
    return text.format(
        vital=vital_in_text(kind),
        value=value_text(kind, mean.mean),
        difference=decimal(abs(mean.mean - before.mean), kind.spec.decimals),
    )


def _sign(kind: VitalKind, difference: float) -> int:
    """Return 1, 0 or −1: the sign of a difference as it is written."""
    written = round(difference, kind.spec.decimals)
    return (written > 0) - (written < 0)


def _shown_in_words(period: DayModel) -> str:
    """Return which expression prevailed, and how long others lasted."""
    if not period.face_ms:
        return gettext("no face was read")
    listed = sorted(period.emotions.items(), key=lambda one: -one[1])
    name, most = listed[0]
    text = gettext("mostly {emotion}")
    if 2 * most <= period.face_ms:
        text = gettext("most often {emotion} ({share})")
    parts = [text.format(emotion=_emotion_name(name), share=percent(most / period.face_ms))]
    others = [one for one in listed[1:] if one[0] != UNCERTAIN and one[1] >= _NAMED_MS]
    parts += [
        gettext("{emotion} for {time}").format(emotion=_emotion_name(name), time=duration(ms))
        for name, ms in others[:_MOST_NAMED]
    ]
    return ", ".join(parts)


def _emotion_name(name: str) -> str:
    return gettext(UNCERTAIN) if name == UNCERTAIN else state_name(name)


def distress_sentence(by_emotion: Sequence[EmotionModel]) -> str:
    """Return the readings in distress in words, beside those of the neutral face."""
    distress = by_emotion[-1]
    neutral = next(one for one in by_emotion if one.emotions == [Emotion.NEUTRAL])
    names = list_with_or([state_name(one) for one in distress.emotions])
    if not distress.ms:
        return gettext("The face showed no {emotions}.").format(emotions=names)
    begin = gettext("While the face showed {emotions} ({time})").format(
        emotions=names, time=duration(distress.ms)
    )
    parts = [
        _beside_neutral(kind, mean, neutral.vitals.get(kind))
        for kind, mean in distress.vitals.items()
        if kind.spec.tested_by_default
    ]
    return f"{begin}: {'; '.join(parts) or gettext('no reading could be matched to it')}."


def _beside_neutral(kind: VitalKind, mean: PlainMeanModel, neutral: PlainMeanModel | None) -> str:
    values = {
        "vital": vital_in_text(kind),
        "value": value_text(kind, mean.mean),
        "n": thousands(mean.n),
    }
    if neutral is None:
        return gettext("{vital} {value} on average (readings: {n})").format(**values)
    text = {
        1: gettext(
            "{vital} {value} on average (readings: {n}), {difference} more than while neutral"
        ),
        0: gettext("{vital} {value} on average (readings: {n}), as while neutral"),
        -1: gettext(
            "{vital} {value} on average (readings: {n}), {difference} less than while neutral"
        ),
    }[_sign(kind, mean.mean - neutral.mean)]
    difference = decimal(abs(mean.mean - neutral.mean), kind.spec.decimals)
    return text.format(**values, difference=difference)


def day_sentence(day: DayModel) -> str:
    """Return a day in words, for who does not see its picture."""
    if recorded_of(day) is Recorded.NOTHING:
        return gettext("Nothing was recorded.")
    vitals = [
        f"{vital_in_text(kind)} {value_text(kind, mean.mean)}"
        for kind, mean in day.vitals.items()
        if kind.spec.tested_by_default
    ]
    return as_sentence("; ".join([_shown_in_words(day), *vitals]))
