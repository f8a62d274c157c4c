"""The last day of the appliance: what is drawn, what is bad, what is said of it."""

from __future__ import annotations

from dashboard.web.health_figures import (
    BUCKET_MS,
    BUCKETS,
    FULL_BYTES,
    HOT_CELSIUS,
    FigureState,
    health_figures,
)
from edge_agent.alerts.figures import AlertLimits
from edge_agent.timeline.upkeep.health_history import HealthMinute

END = 1_795_400_000_000
MINUTE_MS = 60_000
GB = 1_000_000_000


def minute(
    ago: int, fps: float | None = 15.0, dropped: int = 0, celsius: float | None = 50.0
) -> HealthMinute:
    """The appliance some minutes before the end."""
    return HealthMinute(END - ago * MINUTE_MS, fps, dropped, 0, celsius, 20 * GB)


def test_day_that_was_good_says_so_and_is_green_from_first_minute_to_last() -> None:
    day = [minute(ago) for ago in range(1440, 0, -1)]
    figures = {one.title: one for one in health_figures(day, END)}
    assert list(figures) == ["Frames per second", "Frames lost", "Processor", "Disk free"]
    assert figures["Processor"].latest == "50 °C"
    assert figures["Disk free"].range == "20.0 GB"
    for figure in figures.values():
        assert figure.strips == {"good": f"M0 33h{BUCKETS}v7h-{BUCKETS}z"}
        assert figure.trouble == "" and figure.worst is FigureState.GOOD


def test_bad_figures_are_coloured_and_named() -> None:
    hot = [minute(ago, celsius=80.0) for ago in range(20, 10, -1)]
    warm = [minute(ago, celsius=72.0) for ago in range(10, 0, -1)]
    figures = {one.title: one for one in health_figures([minute(30), *hot, *warm], END)}
    processor = figures["Processor"]
    assert processor.trouble == "too hot for 10 min, warm for 10 min"
    assert processor.worst is FigureState.BAD and processor.latest == "72 °C"
    places = [BUCKETS - 3, BUCKETS - 2, BUCKETS - 1]
    assert processor.strips == {
        name: f"M{place} 33h1v7h-1z"
        for name, place in zip(("good", "bad", "doubtful"), places, strict=True)
    }


def test_a_camera_that_gives_less_than_usual_and_loses_frames_is_bad() -> None:
    usual = [minute(ago) for ago in range(60, 10, -1)]
    stuck = [minute(ago, fps=3.0, dropped=900) for ago in range(10, 0, -1)]
    rate, lost, *_ = health_figures([*usual, *stuck], END)
    assert rate.trouble == "below a quarter of the usual for 10 min"
    assert lost.trouble == "half or more lost for 10 min" and lost.latest == "83 %"


def test_nothing_is_drawn_where_nothing_is_known() -> None:
    assert health_figures([], END) == []
    closed = [minute(30, fps=None, celsius=None), minute(29, fps=None, celsius=None)]
    (disk,) = health_figures(closed, END)
    assert disk.title == "Disk free"
    broken = [minute(30), minute(5)]
    line = health_figures(broken, END)[0].line
    assert line.count("M") == 2, "a gap is a gap"
    assert 30 * MINUTE_MS > BUCKET_MS


def test_the_limits_are_those_of_the_alarms() -> None:
    limits = AlertLimits()
    assert (limits.hot_celsius, limits.disk_free_bytes) == (HOT_CELSIUS, FULL_BYTES)
