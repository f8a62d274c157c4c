"""The agent under a wall clock that jumps or is set late, inside this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.agent import loop as module
from edge_agent.core import clock
from edge_agent.core.clock import Instant
from edge_agent.timeline.upkeep.copies import CopyAttempt, make_daily_copy, write_attempt
from edge_agent.timeline.upkeep.retention import prune
from tests.support.agent import Tables, running_agent
from tests.support.timeline import START_MS, query, timeline

AT_ONCE = {"interval": 0.0, "batch_rows": 1}


def test_how_copies_and_clock_stand_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    monkeypatch.setattr(module, "UPKEEP_S", 0.1)
    path = timeline(tmp_path, expression=range(20))
    kept = START_MS + 90 * 86_400_000
    monkeypatch.setattr(clock, "now", lambda: Instant(clock.boot_ns() // 1_000_000, kept))
    make_daily_copy(path)
    prune(path, 10_000)
    year_later = kept + 365 * 86_400_000
    monkeypatch.setattr(clock, "now", lambda: Instant(clock.boot_ns() // 1_000_000, year_later))
    monkeypatch.setattr(clock, "boot_id", lambda: "another start")
    with running_agent(tmp_path, {"record": AT_ONCE | {"keep_days": 89}}) as run:
        health = run.hear(
            lambda said: said["type"] == "health" and said["copies"]["last_good_age_seconds"]
        )
        run.wait_for_rows("expression", f"at > {kept}")
        write_attempt(path, CopyAttempt(year_later, "it is damaged. Restore one."))
        failed = run.hear(lambda said: said["type"] == "health" and said["copies"]["failed"])
    assert health["copies"]["last_good_age_seconds"] == 365 * 86_400
    assert {"copy_old", "clock_not_believed"} <= {alarm["name"] for alarm in health["alarms"]}
    assert "copy_failed" in {alarm["name"] for alarm in failed["alarms"]}
    assert query(path, "SELECT count(*) FROM expression WHERE at < ?", kept) == [(20,)]


def test_rows_of_a_wrong_clock_get_their_true_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_now = clock.now
    wrong_ms = [-120 * 86_400_000]

    def now() -> clock.Instant:
        at = true_now()
        return clock.Instant(at.boot_ms, at.wall_ms + wrong_ms[0])

    monkeypatch.setattr(clock, "now", now)
    monkeypatch.setattr(clock, "is_synchronised", lambda: wrong_ms[0] == 0)
    monkeypatch.setattr(clock, "synchronised_ms", lambda: None)
    quick = {"enabled": True, "heart_rate_seconds": 0.2}
    tables: Tables = {"vitals": {"simulated": quick}, "record": {"batch_seconds": 0.3}}
    with running_agent(tmp_path, tables) as run:
        run.wait_for_rows("vital")
        wrong_ms[0] = 0
        run.wait_for_rows("boot", "moved_ms <> 0 AND synchronised = 1")
        run.wait_for_rows("vital", "boot = (SELECT max(id) FROM boot)")
    at = true_now()
    off = f"abs(at - boot_ms - {at.wall_ms - at.boot_ms}) > 2000"
    for table in ("expression", "unfit", "vital"):
        assert query(run.database, f"SELECT count(*) FROM {table} WHERE {off}") == [(0,)]
    assert query(run.database, "SELECT count(*) FROM audit WHERE action = 'clock_set'") == [(1,)]
