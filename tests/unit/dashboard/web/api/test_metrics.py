"""``/metrics``: what it tells, by which name, and that a stopped agent is no constant line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as older_families
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role, Scope
from dashboard.web.options import DashboardOptions
from edge_agent.agent.health import HealthMonitor
from edge_agent.alerts.figures import AgentFigures
from edge_agent.core import clock
from edge_agent.core.variability import Variability
from edge_agent.live.feed import LiveServer, expression_message
from edge_agent.timeline.upkeep.health_history import HealthHistory
from tests.support.dashboard import fill
from tests.support.security.tokens import bearer, make_token
from tests.support.timeline import movements, observation, recognition

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def secret(stranger: TestClient, database: Path) -> str:
    return make_token(database, "prometheus", frozenset({Scope.READ}), Role.VIEWER)


@pytest.fixture
def agent(tmp_path: Path, stranger: TestClient) -> Iterator[LiveServer]:
    """An agent's live feed, over which nothing was said yet."""
    server = LiveServer(DashboardOptions(data=tmp_path).live_socket)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def report(database: Path, at: clock.Instant, **figures: Any) -> dict[str, Any]:
    """What an agent says of its health, and keeps as a minute of its history."""
    monitor = HealthMonitor(database.parent, "lab", "0.1", history=HealthHistory(database))
    return monitor.report(AgentFigures(**figures), at)


def collect(client: TestClient, secret: str) -> Samples:
    answer = client.get("/metrics", headers=bearer(secret) | {"Accept": OPEN_METRICS})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")
    return {
        (sample.name.removeprefix("affect_edge_"), tuple(sorted(sample.labels.items()))): float(
            sample.value
        )
        for family in text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def test_metrics_have_the_ages_of_the_agents_values(
    stranger: TestClient,
    secret: str,
    database: Path,
    agent: LiveServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = clock.now()
    monkeypatch.setattr(clock, "now", lambda: at)
    fill(database, minutes=2)
    health = report(
        database, at, fps=14.5, frame_age_s=0.25, frames_dropped=7, mqtt_state="connected"
    )
    seen = observation(movements=movements(yaw=-12.34, roll=2.0))
    agent.publish(expression_message(recognition(at.wall_ms, seen)))
    beats = Variability("strap", at.wall_ms, 0.97, 340, 41.25)
    agent.publish({"type": "variability", **beats.as_json()})
    agent.publish({"type": "health"} | health)
    monkeypatch.setattr(clock, "now", lambda: at.shift(3.0))
    found = collect(stranger, secret)

    def value(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    assert value("agent_up") == 1 and value("agent_report_age_seconds") == 3
    assert value("camera_fps") == 14.5 and value("camera_frame_age_seconds") == 0.25
    assert value("camera_frames_dropped_total") == 7 and value("mqtt_connected") == 1
    assert value("faces") == 1 and value("outbox_messages") == 0 and value("session_open") == 0
    angles = [value("head_degrees", axis=axis) for axis in ("yaw", "pitch", "roll")]
    assert angles == [-12.3, 0.0, 2.0]
    assert value("disk_free_bytes") > 0 and value("database_bytes") > 4096
    assert value("database_rows", table="expression") > 60
    assert value("alerts_open", kind="camera") == 0
    assert 0 <= value("recording_age_seconds") < 60
    assert value("rmssd_seconds", source="strap") == pytest.approx(0.0412)
    assert value("good_beats_ratio", source="strap") == 0.97
    rate = {"kind": "heart_rate", "source": "strap", "unit": "/min"}
    assert 70 <= value("vital", **rate) < 79 and 0 <= value("vital_age_seconds", **rate) < 60
    assert any(
        name == "build_info" and ("device", "affect-edge") in labels for name, labels in found
    )


def test_an_agent_that_stopped_is_a_gap_and_a_growing_age(
    stranger: TestClient, secret: str, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, minutes=2)
    start = clock.now()
    report(database, start, fps=14.5)
    ages = []
    for later in (60.0, 120.0):
        monkeypatch.setattr(clock, "now", lambda later=later: start.shift(later))
        found = collect(stranger, secret)
        assert found["agent_up", ()] == 0
        of_the_agent = {
            "camera_fps",
            "faces",
            "head_degrees",
            "processor_temperature_celsius",
            "agent_uptime_seconds",
        }
        assert not of_the_agent & {name for name, _ in found}
        ages.append((found["agent_report_age_seconds", ()], found["recording_age_seconds", ()]))
    assert [b - a for a, b in zip(*ages, strict=True)] == pytest.approx([60.0, 60.0])


def test_the_older_text_is_given_to_who_asks_for_nothing_else(
    stranger: TestClient, secret: str
) -> None:
    answer = stranger.get("/metrics", headers=bearer(secret) | {"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in older_families(answer.text)}
    assert {"affect_edge_agent_up", "affect_edge_build_info"} <= names


def test_metrics_need_a_token_with_the_scope_read(
    stranger: TestClient, secret: str, database: Path
) -> None:
    without = stranger.get("/metrics")
    assert without.status_code == 401 and without.headers["www-authenticate"] == "Bearer"
    assert without.headers["content-type"] == "application/problem+json"
    other = make_token(database)
    assert stranger.get("/metrics", headers=bearer(other)).status_code == 403
