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
from edge_agent.store.database.schema import write_transaction
from edge_agent.store.read.reader import Reader
from tests.support.agent import Tables, running_agent
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.timeline import database

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


def test_a_second_agent_on_one_database_is_refused(tmp_path: Path) -> None:
    with running_agent(tmp_path / "data") as first:
        first.wait_for_rows("boot")
        second = Appliance(tmp_path / "second", demo_settings())
        second.data.symlink_to(first.folder)
        with second:
            assert second.wait() == 1
        assert "affect-edge: " in second.said
        assert str(second.data) in second.said
        assert first.code is None


def test_a_camera_that_is_not_there_leaves_a_gap_and_not_a_dead_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    camera = {"source": "opencv", "device": str(tmp_path / "absent.mp4")}
    with running_agent(tmp_path, {"camera": camera, **QUIET}) as run:
        alarms = run.hear(lambda said: said["type"] == "health" and bool(said["alarms"]))["alarms"]
        assert "absent.mp4" in str(alarms)
        run.agent.stop()
        assert run.end() == 0
    gaps = Reader(run.database).gaps(0, 2**53)
    assert [(gap.source, gap.reason) for gap in gaps] == [("camera", "not_found")]


@pytest.mark.broker
def test_no_summary_is_lost_when_the_broker_is_killed_for_a_while(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker, subscribed(broker.port) as reader:
        tables: Tables = {
            "mqtt": {"port": broker.port},
            "summary": {"window": 1.0},
            "vitals": {"simulated": {"enabled": True}},
        }
        with running_agent(tmp_path, tables) as run:
            for topic in ("emotion", "vitals", "health"):
                reader.wait_for(topic)
            assert reader.wait_for("status").payload["state"] == "online"
            reader.wait_for("summary", lambda summary: summary["seq"] >= 2)
            broker.save()
            broker.kill()
            wait_until(lambda: count(run.database, "outbox") >= 3, "summaries to wait")
            broker.start()
            wait_until(lambda: count(run.database, "outbox") == 0, "the outbox to empty")
            run.agent.stop()
            assert run.end() == 0
        reader.wait_for("status", lambda status: status["state"] == "offline")
        numbers = [message.payload["seq"] for message in reader.on("summary")]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1)), "a summary is missing"


@pytest.mark.broker
def test_rows_that_went_for_the_disk_budget_last_night_are_an_alarm_over_mqtt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    path = database(tmp_path)
    with write_transaction(path) as connection:  # as the maintenance leaves it
        yesterday = time.time_ns() // 1_000_000 - 86_400_000
        connection.execute("INSERT INTO setting VALUES ('disk_budget_cut', ?)", (str(yesterday),))
    with (
        Mosquitto(tmp_path / "broker") as broker,
        subscribed(broker.port) as reader,
        running_agent(tmp_path, {"mqtt": {"port": broker.port}}),
    ):
        reader.wait_for(
            "health",
            lambda health: [alarm["name"] for alarm in health["alarms"]].count("disk_budget") == 1,
        )


def test_a_data_folder_that_cannot_be_written_ends_with_1_and_a_cure(tmp_path: Path) -> None:
    agent = Appliance(tmp_path, demo_settings())
    agent.data.write_text("a file where the folder should be", encoding="utf-8")
    with agent:
        assert agent.wait(60) == 1
    assert str(agent.data) in agent.said
    assert "Traceback" not in agent.said
