"""Withdrawing and erasing beside a running agent with a real broker: nothing comes back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core.study import Purpose
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.erasure import erase_participant
from tests.support.appliance import Appliance
from tests.support.broker import Mosquitto, Subscriber, wait_until
from tests.support.timeline import query

CODE = "Zq-Wombat7"
NOTE = "said Xylophone-Quartz-91"
TABLES = (
    "participant",
    "session",
    "marker",
    "consent",
    "expression",
    "unfit",
    "vital",
    "expression_minute",
    "vital_hour",
)


@pytest.mark.broker
def test_who_withdraws_and_is_erased_does_not_come_back_from_a_running_agent(
    tmp_path: Path,
) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        settings: dict[str, dict[str, Any]] = {
            "camera": {"source": "demo"},
            "capture": {"mode": "sessions"},
            "record": {"batch_seconds": 2.0},
            "vitals.simulated": {"enabled": True, "heart_rate_seconds": 0.2},
            "summary": {"window": 1.0},
            "mqtt": {"port": broker.port},
        }
        with Appliance(tmp_path, settings) as agent:
            agent.wait_for("the agent runs")
            study = Study(agent.database)
            study.create_participant(CODE)
            study.give_consent(CODE, "1")
            study.start_session(CODE, Purpose.RESEARCH, NOTE)
            wait_until(
                lambda: query(agent.database, "SELECT count(*) FROM expression")[0][0] >= 3,
                "rows",
                60,
            )
            study.withdraw_consent(CODE)
            done = erase_participant(agent.database, CODE, actor="test")
            assert done.rows["expression"] >= 3
            wait_until(lambda: "closed" in agent.said, "the camera to be closed")
            wait_until(
                lambda: not query(agent.database, "SELECT 1 FROM outbox WHERE payload = 'null'"),
                "clearing",
            )
            with closing(Subscriber(broker.port)) as later:
                later.wait_for("status")
                assert not later.on("session")
            assert agent.stop() == 0
        for table in TABLES:
            assert query(agent.database, f"SELECT count(*) FROM {table}") == [(0,)], table
        found = b"".join(file.read_bytes() for file in agent.data.glob("affect-edge.db*")).lower()
        assert CODE.lower().encode() not in found
        assert NOTE.lower().encode() not in found
        assert CODE not in agent.said
