"""The figures of each minute: kept for a day, whatever the clock does, and lost without harm."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent.health import HealthMonitor
from edge_agent.alerts.figures import AgentFigures
from edge_agent.core.clock import Instant, now
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.upkeep import health_history
from edge_agent.timeline.upkeep.health_history import DAY_MS, HealthHistory, health_minutes


@pytest.fixture
def every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep each report, without waiting for its minute."""
    monkeypatch.setattr(health_history, "_EVERY_S", 0.0)


def report(dropped: int = 0, lost: int = 0) -> dict[str, Any]:
    """What the agent reports, as far as it is kept."""
    return {
        "camera": {"fps": 15.0, "frames_dropped": dropped},
        "recorder": {"rows_dropped": lost},
        "temperature_celsius": 51.5,
        "disk": {"free_bytes": 9_000_000_000},
    }


def everything(path: Path) -> list[health_history.HealthMinute]:
    return health_minutes(path, 0, 10 * now().wall_ms)


@pytest.mark.usefixtures("every_time")
def test_what_was_lost_is_counted_since_the_row_before(path: Path) -> None:
    history = HealthHistory(path)
    at = now()
    for second, (dropped, lost) in enumerate([(5, 0), (25, 2), (0, 2)]):
        history.keep(report(dropped, lost), at.shift(second))
    kept = everything(path)
    assert [(one.frames_dropped, one.rows_dropped) for one in kept] == [(5, 0), (20, 2), (0, 0)]
    assert [one.fps for one in kept] == [None, 15.0, 15.0], "the first counts the start, too"
    assert (kept[0].celsius, kept[0].disk_free) == (51.5, 9_000_000_000)


@pytest.mark.usefixtures("every_time")
def test_rows_of_another_day_or_a_wrong_clock_go(path: Path) -> None:
    history = HealthHistory(path)
    at = now()
    for away_s in (-2 * DAY_MS // 1000, 3 * DAY_MS // 1000, 0):
        history.keep(report(), at.shift(away_s))
    assert [one.at_ms for one in everything(path)] == [at.wall_ms]


def test_one_report_a_minute_is_kept_by_the_agents_own_monitor(path: Path) -> None:
    monitor = HealthMonitor(path.parent, "lab", "1.0", history=HealthHistory(path))
    for second in range(3):
        monitor.report(AgentFigures(fps=15.0), now().shift(second))
    (kept,) = everything(path)
    assert kept.disk_free is not None


@pytest.mark.usefixtures("every_time")
def test_a_locked_database_costs_the_row_and_one_line(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_history, "_BUSY_SECONDS", 0.01)
    history = HealthHistory(path)
    at: Instant = now()
    with caplog.at_level(logging.WARNING), write_transaction(path):
        history.keep(report(5), at)
        history.keep(report(7), at.shift(60))
    assert caplog.text.count("figures of health are not kept") == 1
    history.keep(report(9), at.shift(120))
    assert [one.frames_dropped for one in everything(path)] == [9], "nothing is forgotten"
