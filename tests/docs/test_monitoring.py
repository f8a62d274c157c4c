"""The files for Prometheus and Grafana use only metrics that there are; promtool accepts them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role, Scope
from dashboard.web.prometheus import ApplianceState
from edge_agent.agent.health import HealthMonitor
from edge_agent.alerts.figures import AgentFigures
from edge_agent.core.clock import now
from edge_agent.core.readings import VitalReading
from edge_agent.core.vitals import SensorKind, SensorState, VitalKind
from edge_agent.live.feed import expression_message
from edge_agent.timeline.upkeep.health_history import HealthHistory
from tests.support.dashboard import client_of, fill
from tests.support.monitoring.prometheus import prometheus_program
from tests.support.security.tokens import bearer, make_token
from tests.support.timeline import movements, observation, recognition

DOCS = Path(__file__).parents[2] / "docs"
RULES = DOCS / "monitoring/affect-edge.rules.yml"
GRAFANA = DOCS / "monitoring/grafana-dashboard.json"
GRAFANA_FLEET = DOCS / "monitoring/grafana-fleet.json"
NAME = re.compile(r"\baffect_edge_\w+")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the name of every metric of an appliance on which all values are known."""
    folder = tmp_path_factory.mktemp("data")
    at = now()
    sensor = SensorState("ble:A0", SensorKind.HEART_RATE, connected=True, battery_percent=80)
    figures = AgentFigures(
        fps=15.0,
        frame_age_s=0.1,
        readings_per_second=5.0,
        commit_age_s=2.0,
        mqtt_state="connected",
        sensors=(sensor,),
    )
    health = HealthMonitor(folder, "lab", "0.1").report(figures, at)
    seen = recognition(0, observation(movements=movements()))
    state = ApplianceState(
        device="lab",
        at_ms=at.wall_ms,
        uptime_s=5.0,
        agent={
            "health": health | {"temperature_celsius": 50.0, "clock_synchronised": True},
            "expression": expression_message(seen) | {"at": at.wall_ms},
        },
        reported_ms=at.wall_ms,
        recorded_ms=at.wall_ms,
        rows={"expression": 1, "outbox": 0},
        database_bytes=4096,
        vitals=(VitalReading(at, VitalKind.HEART_RATE, 70.0, "strap"),),
        alerts=(),
        session_open=False,
    )
    return {sample.name for family in state.collect() for sample in family.samples}


@pytest.mark.parametrize("file", [RULES, GRAFANA, DOCS / "monitoring.md"])
def test_every_metric_that_a_file_names_is_reported(file: Path, exported: set[str]) -> None:
    named = set(NAME.findall(file.read_text()))
    assert len(named) > 8
    assert named <= exported


def test_the_page_names_every_metric(exported: set[str]) -> None:
    assert exported <= set(NAME.findall((DOCS / "monitoring.md").read_text()))


def lost(given: Any, kept: Any, place: str = "") -> list[str]:
    """Return where Grafana's own types have nothing for what a file says, or say it otherwise."""
    if isinstance(given, dict) and isinstance(kept, dict):
        return [
            one
            for name, value in given.items()
            for one in lost(value, kept.get(name, "nothing"), f"{place}/{name}")
        ]
    if isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        pairs = enumerate(zip(given, kept, strict=True))
        return [one for at, (old, new) in pairs for one in lost(old, new, f"{place}/{at}")]
    return [] if given == kept else [place]


def read_by_grafana(content: dict[str, Any]) -> Any:
    """Read a dashboard into the types that Grafana Labs publish, and write it again."""
    pytest.importorskip("grafana_foundation_sdk", reason="the dev extra is not installed")
    from grafana_foundation_sdk.cog import encoder, plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    plugins.register_default_plugins()
    return json.loads(encoder.JSONEncoder().encode(Dashboard.from_json(content)))


@pytest.mark.parametrize("file", [GRAFANA, GRAFANA_FLEET])
def test_grafanas_own_types_know_everything_in_the_dashboard(file: Path) -> None:
    dashboard = json.loads(file.read_text())
    assert lost(dashboard, read_by_grafana(dashboard)) == []
    dashboard["panels"][0]["gridPos"]["width"] = 4
    assert lost(dashboard, read_by_grafana(dashboard)) == ["/panels/0/gridPos/width"]


@pytest.mark.deep
def test_promtool_accepts_the_rules() -> None:
    promtool = prometheus_program("promtool")
    done = subprocess.run(
        [promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_the_recipe_of_the_page_gives_columns_of_one_length(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        database = tmp_path / "affect-edge.db"
        fill(database, minutes=5)
        history = HealthHistory(database)
        HealthMonitor(tmp_path, "lab", "0.1", history=history).report(AgentFigures(), now())
        secret = make_token(database, "grafana", frozenset({Scope.READ}), Role.VIEWER)
        rows = [line for line in (DOCS / "monitoring.md").read_text().splitlines() if "`$" in line]
        assert len(rows) == 3
        for row in rows:
            words = re.findall(r"`([^`]+)`", row)
            path, fields = words[0], [word for word in words if word.startswith("$")]
            answer = _ask(client, secret, path, words[1:3] if "start=" in row else [])
            columns = [_column(answer, field.removesuffix("[*]")) for field in fields]
            assert len({len(column) for column in columns}) == 1 and columns[0], row


def _ask(client: TestClient, secret: str, path: str, parameters: list[str]) -> Any:
    end = now().wall_ms
    query = "&".join(parameters).replace("${__from}", str(end - 600_000))
    address = f"{path}?{query.replace('${__to}', str(end))}"
    answer = client.get(address, headers=bearer(secret))
    assert answer.status_code == 200, answer.text
    return answer.json()


def _column(answer: Any, field: str) -> list[Any]:
    """Return what a JSONPath such as ``$.a.b`` or ``$[*].a`` leads to."""
    if field.startswith("$[*]."):
        return [row[field.removeprefix("$[*].")] for row in answer]
    for name in field.removeprefix("$.").split("."):
        answer = answer[name]
    return list(answer)
