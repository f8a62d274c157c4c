"""Withdrawing and erasing beside a running agent with a real broker: nothing comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.study import Purpose
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.erasure import erase_participant
from tests.support.agent import Tables, running_agent
from tests.support.broker import Mosquitto, subscribed, wait_until
from tests.support.timeline import database, query

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
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with Mosquitto(tmp_path / "broker") as broker:
        tables: Tables = {
            "capture": {"mode": "sessions"},
            "record": {"batch_seconds": 0.5},
            "vitals": {"simulated": {"enabled": True, "heart_rate_seconds": 0.2}},
            "summary": {"window": 1.0},
            "mqtt": {"port": broker.port},
        }
        path = database(tmp_path / "data")
        with running_agent(path.parent, tables) as run:
            run.wait_for_rows("boot")
            study = Study(path)
            study.create_participant(CODE)
            study.give_consent(CODE, "1")
            study.start_session(CODE, Purpose.RESEARCH, NOTE)
            run.wait_for_rows("expression", "id >= 3")
            study.withdraw_consent(CODE)
            done = erase_participant(path, CODE, actor="test")
            assert done.rows["expression"] >= 3
            wait_until(lambda: "closed" in caplog.text, "the camera to be closed")
            wait_until(
                lambda: not query(path, "SELECT 1 FROM outbox WHERE payload = 'null'"), "clearing"
            )
            with subscribed(broker.port) as later:
                later.wait_for("status")
                assert not later.on("session")
            run.finish()
    for table in TABLES:
        assert query(path, f"SELECT count(*) FROM {table}") == [(0,)], table
    found = b"".join(file.read_bytes() for file in path.parent.glob("affect-edge.db*")).lower()
    assert CODE.lower().encode() not in found
    assert NOTE.lower().encode() not in found
    assert CODE not in caplog.text
