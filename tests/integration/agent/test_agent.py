"""The agent with a camera, models, a database and a broker; as a process where its start, memory or
end is judged.
"""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import loop as module
from edge_agent.store.read.reader import Reader
from tests.support.agent import running_agent
from tests.support.appliance import Appliance
from tests.support.broker import wait_until

QUIET: dict[str, dict[str, Any]] = {"mqtt": {"enabled": False}, "record": {"batch_seconds": 0.5}}


def demo_settings(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"camera": {"source": "demo"}, **QUIET, **changes}


def select(path: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(question).fetchall()


def count(path: Path, table: str) -> int:
    if not path.exists():
        return 0
    try:
        return int(select(path, f"SELECT count(*) FROM {table}")[0][0])
    except sqlite3.OperationalError:  # not migrated yet
        return 0


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_the_agent_records_what_the_camera_shows_and_ends_in_order(tmp_path: Path) -> None:
    settings = demo_settings(
        **{"vitals.simulated": {"enabled": True, "heart_rate_seconds": 0.5, "pressure_seconds": 2}}
    )
    with Appliance(tmp_path, settings) as agent:
        wait_until(lambda: count(agent.database, "expression") >= 3, "expression rows")
        wait_until(lambda: count(agent.database, "vital") >= 5, "vital rows")
        assert resident_kb(agent.pid) < 250 * 1024
        assert agent.stop() == 0, agent.said
    assert select(agent.database, "SELECT DISTINCT simulated FROM expression") == [(1,)]
    assert (count(agent.database, "model"), count(agent.database, "boot")) == (3, 1)
    assert "Traceback" not in agent.said


def test_an_agent_that_was_killed_tells_at_its_next_start_since_when_nothing_was_recorded(
    tmp_path: Path,
) -> None:
    with Appliance(tmp_path, demo_settings()) as agent:
        wait_until(lambda: count(agent.database, "expression") >= 2, "expression rows")
        assert agent.stop(signal.SIGKILL) == -signal.SIGKILL
        assert count(agent.database, "gap") == 0
        last = select(agent.database, "SELECT max(at) FROM expression")[0][0]
        wait_until(lambda: time.time() * 1000 > last + 3_000, "an outage that counts")
    begun_ms = time.time() * 1000
    with running_agent(agent.data, QUIET) as run:
        run.wait_for_rows("gap")
    gap = select(agent.database, "SELECT source, started, reason, boot, started_boot FROM gap")
    assert gap == [("agent", last, "agent_stopped", 1, 1)]
    ended = select(agent.database, "SELECT ended FROM gap")[0][0]
    first = select(
        agent.database, f"SELECT coalesce(min(at), {2**62}) FROM expression WHERE at > {last}"
    )
    assert begun_ms < ended < first[0][0]


def test_a_camera_that_is_not_there_leaves_a_gap_and_not_a_dead_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    camera = {"source": "opencv", "device": str(tmp_path / "absent.mp4")}
    with running_agent(tmp_path, {"camera": camera, **QUIET}) as run:
        alarms = run.hear(lambda said: said["type"] == "health" and bool(said["alarms"]))["alarms"]
        assert "absent.mp4" in str(alarms)
        run.finish()
    gaps = Reader(run.database).gaps(0, 2**53)
    assert [(gap.source, gap.reason) for gap in gaps] == [("camera", "not_found")]
