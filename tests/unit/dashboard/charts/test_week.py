"""The picture of a week: rows over waking hours, and the sparkline of the page People."""

from __future__ import annotations

from datetime import UTC, date, timedelta

from dashboard.charts.week import (
    HEIGHT,
    STEP_MS,
    DayInWords,
    DayKind,
    SparklineDay,
    WeekPicture,
    week_picture,
    week_sparkline,
)
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.read.base import Trend, VitalTrend

DAY_MS = 86_400_000
FIRST = date(2026, 11, 22)
START_MS = 1_795_305_600_000  # 2026-11-22T00:00:00Z
STARTS = tuple(range(START_MS, START_MS + 2 * DAY_MS, STEP_MS))


def drawn(
    seen: dict[float, Emotion], rates: dict[float, float], spans: list[tuple[float, float]]
) -> WeekPicture:
    """Return the picture of two days: expression and rate by hour, and sessions in hours."""

    def at(hour: float) -> int:
        return START_MS + round(hour * 3_600_000)

    faces = {at(hour): emotion for hour, emotion in seen.items()}
    measured = {at(hour): value for hour, value in rates.items()}
    shares = {
        emotion: tuple(
            None if start not in faces else float(faces[start] is emotion) for start in STARTS
        )
        for emotion in EMOTIONS
    }
    found = tuple(900 * (start in faces) for start in STARTS)
    none = tuple(0.0 if start in faces else None for start in STARTS)
    span = (START_MS, STARTS[-1] + STEP_MS, STEP_MS, "minute", STARTS)
    trend = Trend(*span, shares, none, shares, found, found, simulated=False)
    mean = tuple(measured.get(start) for start in STARTS)
    n = tuple(int(start in measured) for start in STARTS)
    rate = VitalTrend(VitalKind.HEART_RATE, *span, mean, mean, mean, n, n, simulated=False)
    days = [
        DayInWords(
            FIRST + timedelta(days=number),
            START_MS + number * DAY_MS,
            START_MS + (number + 1) * DAY_MS,
            DayKind.FACE,
            "",
            "",
            "",
        )
        for number in range(2)
    ]
    return week_picture(days, trend, rate, [(at(a), at(b)) for a, b in spans], UTC)


def test_row_of_a_day_has_its_bars_line_and_sessions_by_the_clock() -> None:
    picture = drawn(
        {8: Emotion.SADNESS, 24 + 9: Emotion.ANGER},
        {8: 60, 8.25: 80, 10: 70, 24 + 9: 70},
        [(7.5, 10.25), (21, 24 + 8)],
    )
    first, second = picture.days
    assert (picture.hours, picture.width, picture.rates) == ((7, 22), 900, (60, 80))
    assert [(bar.x, bar.width, bar.height, bar.name) for bar in first.bars] == [
        (60, 15, HEIGHT, "sadness")
    ]
    assert [(bar.x, bar.name) for bar in second.bars] == [(120, "anger")]
    # From 60 to 80, then a gap, and a dot; the next day has its own.
    assert first.lines == (((67.5, 36.0), (82.5, 4.0)), ((187.5, 20.0),))
    assert first.line() == "M67.5 36L82.5 4M187.5 20L187.5 20"
    assert second.lines == (((127.5, 20.0),),)
    assert [(box.x, box.width) for box in first.open] == [(30, 165), (840, 60)]
    assert [(box.x, box.width) for box in second.open] == [(0, 60)], "cut at the waking hours"
    assert picture.names == {"sadness", "anger"}


def test_waking_hours_are_wider_only_where_a_face_was_read() -> None:
    strap_at_night = drawn({12: Emotion.NEUTRAL}, {3: 50, 12: 60}, [(0, 24)])
    assert strap_at_night.hours == (7, 22)
    assert strap_at_night.rates == (60, 80), "of what is drawn"
    assert strap_at_night.days[0].lines == (((307.5, 36.0),),)
    awake = drawn({5.25: Emotion.NEUTRAL, 23.75: Emotion.NEUTRAL}, {}, [(0, 24)])
    assert awake.hours == (5, 24) and awake.rates is None
    assert [bar.x for bar in awake.days[0].bars] == [15, 1125]


def test_week_axis_is_fitted_to_the_recorded_hours() -> None:
    thrice = {9: Emotion.NEUTRAL, 14.5: Emotion.ANGER, 24 + 19.5: Emotion.NEUTRAL}
    picture = drawn(thrice, {9: 70}, [(9, 9.75), (14.5, 15.25), (24 + 19, 24 + 19.75)])
    assert picture.hours == (9, 20)
    assert [hour for hour, _ in picture.ticks()] == [9, 11, 13, 15, 17, 19]
    assert drawn({}, {}, [(10.5, 17.25)]).hours == (10, 18), "sessions without a face, too"
    assert drawn({15: Emotion.NEUTRAL}, {}, [(15, 15.5)]).hours == (14, 18), "no hour is a day"
    assert drawn({23.5: Emotion.NEUTRAL}, {}, []).hours == (20, 24)
    assert drawn({0: Emotion.NEUTRAL}, {}, []).hours == (0, 4)
    assert drawn({}, {}, []).hours == (7, 22), "nothing was recorded"
    assert [hour for hour, _ in drawn({}, {}, []).ticks()] == [7, 10, 13, 16, 19, 22]


def test_sparkline_tells_a_day_without_a_face_from_one_without_recording() -> None:
    week = [
        SparklineDay({"neutral": 3, "fear": 1}, is_recorded=True, rate=70),
        SparklineDay({}, is_recorded=True, rate=None),
        SparklineDay({}, is_recorded=True, rate=80),
        SparklineDay({}, is_recorded=False, rate=None),
    ]
    picture = week_sparkline(week)
    assert [(bar.name, bar.height) for bar in picture.bars] == [("neutral", 21), ("fear", 7)]
    assert [box.x for box in picture.open] == [21, 41]
    assert [len(piece) for piece in picture.lines] == [1, 1]
    assert picture.width == 80
