"""One participant's week at a glance: three numbers beside those of the own last weeks, and a
sentence.

A number is compared with the median of the last eight weeks that can be compared, within twelve.
It is higher or lower only where it lies beyond all of them, and as usual otherwise: of weeks that
differ by chance alone, one in nine lies above eight others. Hours of distress depend on how long
the face was read, too: they count as more or less only where their share of that time says so as
well, and are not compared where it is less than half or more than twice the usual time. Nothing is
tested.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from dashboard.analysis.days import (
    DAYS,
    DISTRESS,
    DayModel,
    as_sentence,
    day_of,
    faces_of,
    in_minutes,
    midnight,
    picture_of,
    recorded_of,
    together,
)
from dashboard.analysis.question import Model
from dashboard.charts.week import Recorded, WeekPicture
from dashboard.languages.current import gettext, ngettext
from dashboard.languages.figures import decimal
from dashboard.languages.names import capitalise, translate, vital_in_text, vital_label
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.faces_in_view import FacesInView, in_words
from edge_agent.store.read.reader import Reader, SessionsReader

USUAL_WEEKS = 8
"""So many weeks are compared with; with fewer there is no comparison."""
LOOK_BACK = 12
"""Within so many weeks before: a holiday does not end the comparison."""
_KINDS = (VitalKind.HEART_RATE, VitalKind.SYSTOLIC, VitalKind.DIASTOLIC)
_LEAST_DISTRESS_MS = 300_000.0
_LEAST_READING = 1.0
"""Smaller differences, of distress and of 1/min or mmHg, are none."""
_SAME_TIME = (0.75, 1.25)
"""Shares of the usual time with a face that do not change what is usual."""
_LIKE_TIME = (0.5, 2.0)
"""Beyond them nothing is compared."""


class Figure(StrEnum):
    """The three numbers of a week, in the order in which they are shown."""

    DISTRESS = "distress"
    HEART_RATE = "heart_rate"
    PRESSURE = "pressure"


class Change(StrEnum):
    """A number beside its usual ones."""

    HIGHER = "higher"
    USUAL = "usual"
    LOWER = "lower"


class Uncompared(StrEnum):
    """Reasons why a number is not compared."""

    NOT_MEASURED = "not_measured"
    FEW_WEEKS = "few_weeks"
    READING_CHANGED = "reading_changed"
    OWN_NEUTRAL = "own_neutral"
    ROWS_DELETED = "rows_deleted"
    RECORDED_TIME = "recorded_time"


class WeekFigureModel(Model):
    """One number of a week beside its usual value."""

    name: Figure = Field(description="Which number")
    value: float | None = Field(
        description="Mean heart rate in 1/min, mean systolic pressure in mmHg, or milliseconds of "
        "distress: sadness, anger and fear; null: not measured"
    )
    second: float | None = Field(None, description="Mean diastolic pressure in mmHg")
    usual: float | None = Field(
        None, description="Median of the weeks that it is compared with; null: not compared"
    )
    usual_second: float | None = Field(None, description="The same of the diastolic pressure")
    least: float | None = Field(None, description="Lowest of these weeks")
    most: float | None = Field(None, description="Highest of these weeks")
    weeks: int = Field(description=f"Weeks before that can be compared; {USUAL_WEEKS} are needed")
    change: Change | None = Field(
        None,
        description="higher or lower: beyond all weeks that it is compared with; usual: within "
        "them; null: not compared",
    )
    uncompared: Uncompared | None = Field(None, description="Why it is not compared; null: it is")
    title: str = Field(description="Its name, in the language asked for")
    shown: str = Field(description="The number as it is written, without its unit")
    unit: str = Field(description="Its unit as it is written; empty for a time")
    note: str = Field(description="The comparison in a few words, or why there is none")


class WeekSummaryModel(Model):
    """One participant's week at a glance, described and not tested."""

    participant: str = Field(description="Pseudonymous code")
    zone: str = Field(description="Time zone of the days; empty: that of this machine")
    first: date = Field(description="The first day")
    last: date = Field(description="The last day")
    start: int = Field(description="Midnight at which the first day begins, UTC milliseconds")
    end: int = Field(description="Midnight at which the last day ends")
    simulated: bool = Field(description="Whether any of it is simulated")
    recorded_days: int = Field(description="Days on which anything was recorded")
    faceless_days: int = Field(description="Of these, days on which no face was read")
    face_ms: int = Field(description="How long a face was read, milliseconds")
    figures: list[WeekFigureModel] = Field(
        description="Distress, heart rate and pressure, in this order"
    )
    faces: FacesInView = Field(
        description="How often the followed face was out of view in the sessions of the week, and "
        "who else was in view"
    )
    sentence: str = Field(description="The week in one sentence, in the language asked for")
    faces_sentence: str = Field(
        description="Whether it was always the same person, as far as that is known; empty "
        "without a face"
    )
    days_sentence: str = Field(description="Days recorded, and days without a face, in words")


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
class Week:
    """One participant's week at a glance.

    Attributes:
        model: numbers and sentence.
        picture: of its days.
        latest_ms: start of the participant's latest session; ``None``: there is none.
    """

    model: WeekSummaryModel
    picture: WeekPicture
    latest_ms: int | None


def read_week(path: Path, code: str, last: date, zone: tzinfo | None) -> Week:
    """Read the week that ends with a day, and the weeks before it that it is compared with.

    Args:
        path: the database.
        code: the participant, as stored.
        last: the last day.
        zone: whose midnights divide the days; ``None``: that of this machine.

    Raises:
        StoreError: the database cannot be read.
    """
    sessions = [one for one in Reader(path).session_list() if one.participant == code]
    reader = SessionsReader(path, sessions)
    today = DAYS - 1
    back = [*range(today + DAYS * LOOK_BACK, today, -DAYS), *range(today, -2, -1)]
    edges = [last - timedelta(days=days) for days in back]
    start, *_, end = edges_ms = [midnight(day, zone) for day in edges]
    with reader.at_one_moment():
        periods = [
            day_of(first, sums, following - timedelta(days=1))
            for (first, following), sums in zip(
                pairwise(edges), reader.sums_between(edges_ms, _KINDS, by_hour=True), strict=True
            )
        ]
        before, days = periods[:LOOK_BACK], periods[LOOK_BACK:]
        picture = picture_of(reader, days, zone)
        own = reader.own_neutrals()
        change = reader.change_of_reading(start, end)
        reading = Reading(
            None if change is None else change[0],
            reader.rows_kept_since(start, end),
            [
                applied
                for one in sessions
                if one.id in own and (applied := own[one.id].applied) is not None
            ],
        )
        faces = faces_of(reader, sessions, days)
    model = describe_week(code, str(zone or ""), days, before[::-1], reading, faces)
    return Week(model, picture, sessions[0].start_ms if sessions else None)


def describe_week(
    participant: str,
    zone: str,
    days: Sequence[DayModel],
    before: Sequence[DayModel],
    reading: Reading,
    faces: FacesInView | None = None,
) -> WeekSummaryModel:
    """Return a week beside the weeks before it, with its sentence in the language in use.

    Args:
        participant: pseudonymous code.
        zone: name of the time zone of the days.
        days: the days of the week, in order.
        before: the weeks before, the latest first.
        reading: how faces were read over all of them.
        faces: how they were in view in the week; ``None``: there was none.
    """
    week = together(days)
    faces = faces or FacesInView()
    figures = [
        _distress(week, before, reading),
        _vital(Figure.HEART_RATE, VitalKind.HEART_RATE, week, before),
        _pressure(week, before),
    ]
    recorded = [day for day in days if recorded_of(day) is not Recorded.NOTHING]
    faceless = [day for day in recorded if not day.face_ms]
    return WeekSummaryModel(
        participant=participant,
        zone=zone,
        first=week.first,
        last=week.last,
        start=week.start,
        end=week.end,
        simulated=week.simulated,
        recorded_days=len(recorded),
        faceless_days=len(faceless),
        face_ms=week.face_ms,
        figures=figures,
        faces=faces,
        faces_sentence=translate(in_words(faces)),
        sentence=_sentence(figures, is_recorded=bool(recorded)),
        days_sentence=_days_sentence(len(days), len(recorded), len(faceless)),
    )


def distress_ms(period: DayModel) -> int:
    """Return how long the face showed sadness, anger or fear."""
    return sum(period.emotions[emotion.value] for emotion in DISTRESS)


def _distress(week: DayModel, before: Sequence[DayModel], reading: Reading) -> WeekFigureModel:
    """Return the time of distress beside its usual one."""
    weeks = [one for one in before if one.face_ms and reading.doubt(one) is None][:USUAL_WEEKS]
    times = [float(distress_ms(one)) for one in weeks]
    value = float(distress_ms(week)) if week.face_ms else None
    doubt = reading.doubt(week) if value is not None else Uncompared.NOT_MEASURED
    if doubt is None and len(weeks) < USUAL_WEEKS:
        # The latest week that would count, but for the way in which its faces were read.
        doubts = (reading.doubt(one) for one in before if one.face_ms)
        doubt = next(filter(None, doubts), Uncompared.FEW_WEEKS)
    change = _change(Figure.DISTRESS, value, times)
    if doubt is None and change is not None and value is not None:
        shares = [time / one.face_ms for time, one in zip(times, weeks, strict=True)]
        longer = week.face_ms / statistics.median(one.face_ms for one in weeks)
        if not _LIKE_TIME[0] <= longer <= _LIKE_TIME[1]:
            doubt = Uncompared.RECORDED_TIME
        elif _beyond(value / week.face_ms, shares) is not change:
            change = Change.USUAL
            if not _SAME_TIME[0] <= longer <= _SAME_TIME[1]:
                doubt = Uncompared.RECORDED_TIME
    return _figure(
        Figure.DISTRESS, gettext("Distress"), "", value, times, None if doubt else change, doubt
    )


def _vital(
    name: Figure, kind: VitalKind, week: DayModel, before: Sequence[DayModel]
) -> WeekFigureModel:
    """Return a vital beside its usual value."""
    means = [one.vitals[kind].mean for one in before if kind in one.vitals][:USUAL_WEEKS]
    value = week.vitals[kind].mean if kind in week.vitals else None
    unit = gettext(kind.spec.unit_shown)
    change = _change(name, value, means)
    doubt = Uncompared.NOT_MEASURED if value is None else None
    return _figure(name, vital_label(kind), unit, value, means, change, doubt)


def _pressure(week: DayModel, before: Sequence[DayModel]) -> WeekFigureModel:
    """Return the blood pressure, compared by the systolic one."""
    figure = _vital(Figure.PRESSURE, VitalKind.SYSTOLIC, week, before)
    kind = VitalKind.DIASTOLIC
    weeks = [one for one in before if VitalKind.SYSTOLIC in one.vitals][:USUAL_WEEKS]
    means = [one.vitals[kind].mean for one in weeks if kind in one.vitals]
    lower = week.vitals[kind].mean if kind in week.vitals else None
    shown = (
        figure.shown if lower is None else f"{figure.shown}/{_figure_text(Figure.PRESSURE, lower)}"
    )
    is_compared = figure.usual is not None and lower is not None and means
    changed = {
        "title": capitalise(gettext("blood pressure")),
        "second": lower,
        "usual_second": statistics.median(means) if is_compared else None,
        "shown": shown,
    }
    return figure.model_copy(update=changed)


def _figure(
    name: Figure,
    title: str,
    unit: str,
    value: float | None,
    usual: Sequence[float],
    change: Change | None,
    doubt: Uncompared | None,
) -> WeekFigureModel:
    if doubt is None and change is None:
        doubt = Uncompared.FEW_WEEKS
    median = statistics.median(usual) if change else None
    return WeekFigureModel(
        name=name,
        value=value,
        usual=median,
        least=min(usual) if change else None,
        most=max(usual) if change else None,
        weeks=len(usual),
        change=change,
        uncompared=doubt,
        title=title,
        shown="–" if value is None else _figure_text(name, value),
        unit=unit,
        note=_note(name, value, usual, change, doubt),
    )


def _change(name: Figure, value: float | None, usual: Sequence[float]) -> Change | None:
    """Return how a value lies beside its usual ones; ``None`` where these are too few."""
    if value is None or len(usual) < USUAL_WEEKS:
        return None
    least = _LEAST_DISTRESS_MS if name is Figure.DISTRESS else _LEAST_READING
    if abs(value - statistics.median(usual)) < least:
        return Change.USUAL
    return _beyond(value, usual)


def _beyond(value: float, usual: Sequence[float]) -> Change:
    if value > max(usual):
        return Change.HIGHER
    return Change.LOWER if value < min(usual) else Change.USUAL


def _figure_text(name: Figure, value: float) -> str:
    return in_minutes(value) if name is Figure.DISTRESS else decimal(value, 0)


def _note(
    name: Figure,
    value: float | None,
    usual: Sequence[float],
    change: Change | None,
    doubt: Uncompared | None,
) -> str:
    """Return the comparison in a few words."""
    if change is None or value is None:
        return _reason(doubt, len(usual))
    if change is Change.USUAL:
        least, most = _figure_text(name, min(usual)), _figure_text(name, max(usual))
        if least == most:
            return gettext("as usual")
        return gettext("as usual: {least} to {most}").format(least=least, most=most)
    text = {
        Change.HIGHER: gettext("{difference} more than usual"),
        Change.LOWER: gettext("{difference} less than usual"),
    }[change]
    return text.format(difference=_compared(name, value - statistics.median(usual)))


def _reason(doubt: Uncompared | None, weeks: int) -> str:
    """Return why a number is not compared, in a few words."""
    return {
        Uncompared.NOT_MEASURED: gettext("not measured"),
        Uncompared.READING_CHANGED: gettext("not compared: faces are read in another way"),
        Uncompared.OWN_NEUTRAL: gettext("not compared: shifted by the own neutral"),
        Uncompared.ROWS_DELETED: gettext("not compared: older rows are deleted"),
        Uncompared.RECORDED_TIME: gettext(
            "not compared: the face was read for a very different time"
        ),
    }.get(
        doubt or Uncompared.FEW_WEEKS,
        gettext("not compared yet: {n} of {needed} weeks").format(n=weeks, needed=USUAL_WEEKS),
    )


def _sentence(figures: Sequence[WeekFigureModel], *, is_recorded: bool) -> str:
    """Return the week in one sentence."""
    if not is_recorded:
        return gettext("Nothing was recorded.")
    distress, *vitals = figures
    parts = [_distress_in_words(distress)]
    parts += [_vital_in_words(one) for one in vitals if one.value is not None]
    return as_sentence("; ".join(parts))


def _distress_in_words(figure: WeekFigureModel) -> str:
    if figure.value is None:
        return gettext("no face was read")
    text = gettext("{time} of distress")
    if figure.change is not None:
        text = {
            Change.HIGHER: gettext(
                "more distress than usual: {time}, {difference} more than in the median week"
            ),
            Change.USUAL: gettext("as usual: {time} of distress"),
            Change.LOWER: gettext(
                "calmer than usual: {time} of distress, {difference} less than in the median week"
            ),
        }[figure.change]
    return text.format(time=figure.shown, difference=_difference(figure))


def _vital_in_words(figure: WeekFigureModel) -> str:
    vital = gettext("blood pressure")
    if figure.name is Figure.HEART_RATE:
        vital = vital_in_text(VitalKind.HEART_RATE)
    text = gettext("{vital} {value}")
    if figure.change is not None:
        text = {
            Change.HIGHER: gettext("{vital} {value}, {difference} more than usual"),
            Change.USUAL: gettext("{vital} {value}, as usual"),
            Change.LOWER: gettext("{vital} {value}, {difference} less than usual"),
        }[figure.change]
    return text.format(vital=vital, value=figure.shown, difference=_difference(figure))


def _compared(name: Figure, difference: float) -> str:
    """Return a difference without its sign; of blood pressure with the number that is compared."""
    text = _figure_text(name, abs(difference))
    return (
        gettext("systolic {difference}").format(difference=text)
        if name is Figure.PRESSURE
        else text
    )


def _difference(figure: WeekFigureModel) -> str:
    if figure.value is None or figure.usual is None:
        return ""
    return _compared(figure.name, figure.value - figure.usual)


def _days_sentence(days: int, recorded: int, faceless: int) -> str:
    """Return how many days were recorded, and apart from them those without a face."""
    text = gettext("{n} of {days} days recorded").format(n=recorded, days=days)
    if faceless:
        without = ngettext(
            "on {n} of them no face was read", "on {n} of them no face was read", faceless
        )
        text = f"{text}; {without.format(n=faceless)}"
    return f"{text}."
