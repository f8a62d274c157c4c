"""The agent that the dashboard misses: one that has recorded here, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.web import alert_watching
from dashboard.web.alert_watching import AgentWatch
from edge_agent.alerts.sending import AlertOptions
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.core import clock
from edge_agent.timeline.database.connection import insert, write_transaction
from edge_agent.timeline.write.alert_log import AlertLog
from tests.support.timeline import query, timeline

MODEL = {"kind": "face", "name": "yunet", "version": "1", "sha256": "0" * 64, "since": 1}


@pytest.mark.parametrize(
    ("model", "missed"), [(None, 0), (MODEL, 1), (MODEL | {"import": 1}, 0)], ids=str
)
def test_agent_is_missed_only_where_one_has_recorded(
    model: dict[str, object] | None, missed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_watching, "START_S", -1.0)
    database = timeline(tmp_path)
    if model is not None:
        with write_transaction(database) as connection:
            insert(connection, "model", **model)
    rule = RuleSettings(name="agent", when=AlertKind.AGENT, seconds=0)
    options = AlertOptions(AlertSettings(rule=(rule,)))
    AgentWatch(options, AlertLog(database), tmp_path / "live.sock").step(clock.now())
    assert query(database, "SELECT count(*) FROM alert") == [(missed,)]
