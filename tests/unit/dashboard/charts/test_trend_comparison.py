"""Where one goes from a range, how two ranges differ, and what is read between two readings."""

from __future__ import annotations

import pytest

from dashboard.charts.trends import TrendData, compared_rows, last_reading_trace, steps_from
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.store.read.base import Trend, VitalTrend

MINUTE = 60_000
START = 1_790_000_400_000
NOW = START + 60 * MINUTE


def steps(start: int, end: int) -> dict[str, tuple[int, int]]:
    """The ranges to go to, by title, in minutes from ``START``."""
    return {
        step.title: ((step.start_ms - START) // MINUTE, (step.end_ms - START) // MINUTE)
        for step in steps_from(start, end, NOW)
    }


def test_from_a_range_one_goes_back_and_on_in_and_out() -> None:
    assert steps(START, START + 20 * MINUTE) == {
        "Earlier": (-20, 0),
        "Later": (20, 40),
        "Zoom in": (5, 15),
        "Zoom out": (-10, 30),
    }


def test_nothing_leads_beyond_now_or_before_all_time() -> None:
    last = steps(NOW - 20 * MINUTE, NOW)
    assert "Later" not in last
    assert last["Zoom out"] == (20, 60), "it grows into the past alone"
    assert {step.title for step in steps_from(0, 2 * MINUTE, NOW)} == {"Later", "Zoom in"}
    assert "Zoom in" not in {step.title for step in steps_from(START, START + MINUTE, NOW)}


def data(happiness: tuple[float | None, ...], heart: tuple[float | None, ...]) -> TrendData:
    """A range of minutes with happiness, and heart rate by one reading a minute."""
    starts = tuple(START + MINUTE * index for index in range(len(happiness)))
    end = START + MINUTE * len(happiness)
    nothing = tuple(None if value is None else 0.0 for value in happiness)
    rows = tuple(0 if value is None else 60 for value in happiness)
    trend = Trend(
        START,
        end,
        MINUTE,
        "minute",
        starts,
        {one: happiness if one is Emotion.HAPPINESS else nothing for one in EMOTIONS},
        tuple(None if value is None else 1 - value for value in happiness),
        dict.fromkeys(EMOTIONS, nothing),
        rows,
        rows,
        False,
    )
    return TrendData(START, end, trend, {VitalKind.HEART_RATE: vital(heart)}, ())


def vital(mean: tuple[float | None, ...]) -> VitalTrend:
    """Heart rate by one reading a minute."""
    return VitalTrend(
        kind=VitalKind.HEART_RATE,
        start_ms=START,
        end_ms=START + MINUTE * len(mean),
        bucket_ms=MINUTE,
        resolution="minute",
        starts=tuple(START + MINUTE * index for index in range(len(mean))),
        mean=mean,
        least=mean,
        most=mean,
        n=tuple(int(value is not None) for value in mean),
        flagged=(0,) * len(mean),
        simulated=False,
    )


def test_two_ranges_are_compared_by_the_means_of_all_their_rows() -> None:
    rows = compared_rows(data((0.25, 0.75), (70.0, 80.0)), data((0.2, None), (None, 77.0)))
    texts = {row.name: (row.here, row.there, row.difference) for row in rows}
    assert texts == {
        "happiness, %": ("50", "20", "+30"),
        "uncertain, %": ("50", "80", "−30"),
        "heart rate, /min": ("75.0", "77.0", "−2.0"),
    }


def test_what_one_range_lacks_is_empty_and_has_no_difference() -> None:
    rows = compared_rows(data((1.0,), (70.0,)), data((None,), (None,)))
    assert [(row.name, row.there, row.difference) for row in rows] == [
        ("happiness, %", "", ""),
        ("heart rate, /min", "", ""),
    ]


@pytest.mark.parametrize(
    ("minute", "words"),
    [(0, ""), (1, "71 /min"), (2, "71 /min, 1 min before"), (100, "71 /min, 1 h 39 min before")],
)
def test_between_readings_the_last_one_is_told_with_its_age(minute: int, words: str) -> None:
    heart = vital((None, 71.0, *(None,) * 120))
    trace = last_reading_trace(heart, heart.starts, "y2")
    assert trace["customdata"][minute] == words
    assert (trace["y"][minute] is None) == (words == "")
