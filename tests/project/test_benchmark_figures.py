"""What benchmarks make of what they measured: bars, and the course of an agent over an hour."""

from __future__ import annotations

import pytest

from benchmarks._command import read_bars, verdict
from benchmarks.others.comparison import figures_of as compared_with_ours
from benchmarks.processors.instructions import million_a_frame
from benchmarks.soak import SoakCourse, figures_of


@pytest.mark.parametrize(
    ("value", "bar", "said"),
    [
        (0.2, ["<=", 0.2], "<= 0.2  reached"),
        (0.21, ["<=", 0.2], "<= 0.2  MISSED"),
        (150, [">=", 150], ">= 150  reached"),
        (149, [">=", 150], ">= 150  MISSED"),
        (0.05, ["within", 0.035, 0.065], "within 0.035 to 0.065  reached"),
        (0.07, ["within", 0.035, 0.065], "within 0.035 to 0.065  MISSED"),
        (1, None, ""),
    ],
)
def test_a_figure_is_held_to_its_bar(
    value: float, bar: list[str | float] | None, said: str
) -> None:
    assert verdict(value, bar) == said


def course(minutes: int, leak_mb: float = 0.0, lag_ms: float = 0.0) -> SoakCourse:
    """An agent that fills its caches for five minutes, and then leaks and lags a little in each."""
    found = SoakCourse()
    for at in range(0, 60 * minutes, 10):
        later = max(at / 60 - 5, 0)
        found.memory.append((at, 100 + min(at / 60, 5) * 2 + leak_mb * later))
        found.latency.append((at, 30 + lag_ms * later))
        found.rate.append((at, 15.0))
    return found


def test_what_grows_from_the_sixth_minute_to_the_last_is_reported() -> None:
    figures = figures_of(course(60, leak_mb=0.2, lag_ms=1.0), 3600)
    assert figures["soak_memory_growth_mb"] == pytest.approx(0.2 * 54)
    assert figures["soak_latency_growth_ms"] == pytest.approx(54)


def test_a_minute_without_a_sign_of_the_agent_is_no_good_run() -> None:
    silent = course(60)
    del silent.latency[-12:]
    with pytest.raises(SystemExit, match="nothing was seen of the agent from second 3540 to 3600"):
        figures_of(silent, 3600)


def test_a_processor_without_int8_dot_products_has_bars_of_its_own() -> None:
    with_them = read_bars(int8_dot=True)
    without = read_bars(int8_dot=False)
    assert with_them["vision_by_need_to_yunet"] == ["<=", 0.22]
    assert without["vision_by_need_to_yunet"] == ["<=", 0.5]
    assert with_them["without_dot_agent_cpu_percent"] == without["agent_cpu_percent"] == ["<=", 5]
    assert with_them["store_trend_90_days_ms"] == without["store_trend_90_days_ms"]


def test_instructions_are_those_between_two_marks_without_the_marks_own() -> None:
    said = "a word of OpenCV\nstage nothing 0 1\nstage yunet 2 1\nstage chain_by_need 4 100\n"
    marks = {0: 1_000, 1: 4_000, 2: 10_000, 3: 60_013_000, 4: 70_000_000, 5: 1_270_003_000}
    assert million_a_frame(said, marks) == {"yunet": 60.0, "chain_by_need": 12.0}


def test_a_program_of_others_is_judged_where_both_find_a_face() -> None:
    ours = {"labels": ["anger", "fear", None, "anger"], "ms": 2.0, "memory_mb": 99.0}
    other = {"labels": ["anger", None, "fear", "fear"], "ms": 70.123, "memory_mb": 681.7}
    figures = compared_with_ours("some-program", other, ours, ["anger", "fear", "fear", "anger"])
    assert figures == {
        "comparison_some_program_found": 0.75,
        "comparison_some_program_ms": 70.12,
        "comparison_some_program_memory_mb": 682,
        "comparison_some_program_right": 0.5,
        "comparison_some_program_right_where_both_find": 0.5,
        "comparison_some_program_ours_right_where_both_find": 1.0,
    }
    without_labels = {"labels": ["", None, "", ""], "ms": 2.0, "memory_mb": 700.0}
    assert set(compared_with_ours("faces", without_labels, ours, ["anger"] * 4)) == {
        "comparison_faces_found",
        "comparison_faces_ms",
        "comparison_faces_memory_mb",
    }
