"""What benchmarks make of what they measured: bars, and the course of an agent over an hour."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.__main__ import verdict
from benchmarks.soak import Course, figures_of
from benchmarks.vision import ENOUGH, compared, undisturbed


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


def test_detector_and_chain_are_set_beside_yunet() -> None:
    figures = {
        "vision_yunet_320x240_ms": 4.0,
        "vision_detect_ms": 0.6,
        "vision_frame_640x480_ms": 1.5,
        "vision_by_need_ms": 1.0,
    }
    assert compared(figures) == {
        "vision_detector_to_yunet": 0.15,
        "vision_chain_to_yunet": 0.375,
        "vision_by_need_to_yunet": 0.25,
    }


def test_runs_in_which_somebody_else_had_the_processor_are_left_out_where_enough_remain() -> None:
    disturbed = [(9.0, True)] * 50
    assert undisturbed(disturbed + [(1.0, False)] * ENOUGH) == [1.0] * ENOUGH
    assert len(undisturbed(disturbed + [(1.0, False)] * (ENOUGH - 1))) == 50 + ENOUGH - 1


def course(minutes: int, leak_mb: float = 0.0, lag_ms: float = 0.0) -> Course:
    """An agent that fills its caches for five minutes, and then leaks and lags a little in each."""
    found = Course()
    for at in range(0, 60 * minutes, 10):
        later = max(at / 60 - 5, 0)
        found.memory.append((at, 100 + min(at / 60, 5) * 2 + leak_mb * later))
        found.latency.append((at, 30 + lag_ms * later))
        found.rate.append((at, 15.0))
    return found


def test_caches_that_fill_in_five_minutes_are_no_growth() -> None:
    figures = figures_of(course(60), 3600)
    assert figures["soak_memory_mb"] == 110
    assert figures["soak_memory_growth_mb"] == 0
    assert figures["soak_latency_growth_ms"] == 0
    assert figures["soak_frames_per_second"] == 15


def test_what_grows_from_the_sixth_minute_to_the_last_is_told() -> None:
    figures = figures_of(course(60, leak_mb=0.2, lag_ms=1.0), 3600)
    assert figures["soak_memory_growth_mb"] == pytest.approx(0.2 * 54)
    assert figures["soak_latency_growth_ms"] == pytest.approx(54)


def test_a_minute_without_a_sign_of_the_agent_is_no_good_run() -> None:
    silent = course(60)
    del silent.latency[-12:]
    with pytest.raises(SystemExit, match="nothing was seen of the agent from second 3540 to 3600"):
        figures_of(silent, 3600)


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("sys.modules['playwright'] = None", ".venv/bin/pip install -e '.[dev]'"),
        ("os.environ['PATH'] = '/nowhere'", "sudo apt install chromium"),
    ],
)
def test_without_a_browser_the_marker_delay_says_what_to_install(lacking: str, said: str) -> None:
    script = (
        f"import os, sys; {lacking}; from benchmarks.marker_delay import require_browser; "
        "require_browser()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("benchmarks.marker_delay: ")
    assert said in done.stderr
