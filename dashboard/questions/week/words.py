"""A person's week in words, from the macros of ``week.jinja``, and the picture of its days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from functools import cache
from pathlib import Path

from dashboard.charts.week import DayInWords, DayKind, WeekPicture, drawn_hours, week_picture
from dashboard.languages import names
from dashboard.languages.current import gettext
from dashboard.languages.figures import day as written_day
from dashboard.languages.figures import decimal, weekday
from dashboard.languages.macros import Macros
from dashboard.questions.week.answer import (
    DAYS,
    LOOK_BACK,
    UNCERTAIN,
    USUAL_WEEKS,
    DayModel,
    DaysModel,
    EmotionModel,
    WeekFigureModel,
    WeekSummaryModel,
)
from dashboard.questions.week.computing import Days, ReadWeek, read_days, read_weeks
from dashboard.questions.week.usual import LEAST, SPREADS
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read import faces_in_view

_NAMED_MS = 60_000
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Week:
    """One participant's week at a glance, in words.

    Attributes:
        model: numbers and sentences.
        picture: of its days.
        latest_ms: start of the participant's latest session; ``None``: there is none.
    """

    model: WeekSummaryModel
    picture: WeekPicture
    latest_ms: int | None


def weeks_in_words(
    path: Path, code: str, last: date, zone: tzinfo | None, weeks: int = 1
) -> list[Week]:
    """Return weeks that end with a day, the earliest first, as page, letter and terminal show them.

    Args:
        path: the database.
        code: the participant, as stored.
        last: the last day.
        zone: whose midnights divide the days; ``None``: that of this machine.
        weeks: how many.

    Raises:
        StoreError: the database cannot be read.
    """
    read = read_weeks(path, code, last, zone, weeks)
    # On one axis, that weeks below one another can be compared.
    hours = drawn_hours([(one.trend, one.spans) for one in read], zone)
    return [
        Week(put_into_words(one.model), _picture(one, zone, hours), one.latest_ms) for one in read
    ]


def days_in_words(path: Path, code: str, last: date, weeks: int, zone: tzinfo | None) -> Days:
    """Return the days of weeks in words; arguments as those of ``weeks_in_words``.

    Raises:
        StoreError: the database cannot be read.
    """
    days = read_days(path, code, last, weeks, zone)
    return replace(days, model=_put_days_into_words(days.model))


def put_into_words(week: WeekSummaryModel) -> WeekSummaryModel:
    """Return a week with its words in the language in use."""
    figures = [_figure_in_words(one) for one in week.figures]
    texts = {
        "sentence": say("sentence", week),
        "faces_sentence": names.translate(faces_in_view.in_words(week.faces)),
        "days_sentence": say("days", week),
        "variability_sentence": say("variability", week.variability) if week.variability else "",
    }
    return week.model_copy(update={"figures": figures, **texts})


def _figure_in_words(figure: WeekFigureModel) -> WeekFigureModel:
    texts = {name: say(name, figure) for name in ("title", "shown", "unit", "note")}
    return figure.model_copy(update=texts)


def _put_days_into_words(model: DaysModel) -> DaysModel:
    told = [
        week.model_copy(update={"sentence": say("beside_week_before", week, before)})
        for before, week in zip([model.before, *model.weeks], model.weeks, strict=False)
    ]
    texts = {
        "weeks": told,
        "distress": distress_sentence(model.by_emotion),
        "faces_sentence": names.translate(faces_in_view.in_words(model.faces)),
    }
    return model.model_copy(update=texts)


def distress_sentence(by_emotion: Sequence[EmotionModel]) -> str:
    """Return the readings in distress in words, beside those of the neutral face."""
    neutral = next(one for one in by_emotion if one.emotions == [Emotion.NEUTRAL])
    return say("readings_in_distress", by_emotion[-1], neutral)


def _picture(week: ReadWeek, zone: tzinfo | None, hours: tuple[int, int]) -> WeekPicture:
    days = [_day_in_words(day) for day in week.days]
    return week_picture(days, week.trend, week.rate, week.spans, zone, hours)


def _day_in_words(day: DayModel) -> DayInWords:
    recorded = DayKind.NO_FACE if day.recorded_days else DayKind.NOTHING
    return DayInWords(
        day=day.first,
        start_ms=day.start,
        end_ms=day.end,
        recorded=DayKind.FACE if day.face_ms else recorded,
        name=f"{weekday(day.first)} {written_day(day.first)}",
        facts=say("day_facts", day),
        sentence=say("day", day),
    )


def in_minutes(ms: float) -> str:
    """Write a time in whole minutes, and hours however many: ``50 h 10 min``, not ``2 d 2 h``."""
    minutes = round(ms / 60_000)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def value_text(kind: VitalKind, value: float) -> str:
    """Write a value with its unit, such as ``72 per minute`` or ``121 mmHg``."""
    unit = names.translate(kind.spec.unit_shown)
    if unit == "/min":
        unit = gettext("per minute")
    return f"{decimal(value, kind.spec.decimals)} {unit}"


def _prevailing(period: DayModel) -> tuple[str, int]:
    """Return the expression that lasted longest, and how long."""
    return max(period.emotions.items(), key=lambda one: one[1])


def _others_of(period: DayModel) -> list[tuple[str, int]]:
    """Return the expressions that are named beside it, the longest first."""
    listed = sorted(period.emotions.items(), key=lambda one: -one[1])[1:]
    others = [one for one in listed if one[0] != UNCERTAIN and one[1] >= _NAMED_MS]
    return others[:_MOST_NAMED]


@cache
def _macros() -> Macros:
    """Return the macros of the week, beside this module."""
    return Macros(
        Path(__file__).parent,
        filters={"minutes": in_minutes, "weekday": weekday, "with_or": names.list_with_or},
        names={
            "DAYS": DAYS,
            "HEART_RATE": VitalKind.HEART_RATE,
            "LEAST": {figure.value: least for figure, least in LEAST.items()},
            "LOOK_BACK": LOOK_BACK,
            "SPREADS": SPREADS,
            "SYSTOLIC": VitalKind.SYSTOLIC,
            "USUAL_WEEKS": USUAL_WEEKS,
            "others_of": _others_of,
            "prevailing": _prevailing,
            "value_text": value_text,
        },
    )


def say(macro: str, *values: object) -> str:
    """Return the text of a macro of the week."""
    return _macros().say("week", macro, *values)
