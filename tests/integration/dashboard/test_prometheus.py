"""Prometheus collects from an appliance with the configuration that docs/monitoring.md shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from dashboard.accounts.roles import Role, Scope
from edge_agent.appliance.certificates import keep_certificate
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.docs.pages import ROOT, blocks_of
from tests.support.dashboard import DashboardProcess, fill
from tests.support.monitoring.prometheus import Prometheus, prometheus, prometheus_program
from tests.support.security.tokens import make_token
from tests.support.timeline import wait_for

RULES = ROOT / "docs/monitoring/affect-edge.rules.yml"
SOON = 60.0


def documented_config(folder: Path, token: Path, certificate: Path, port: int) -> Path:
    """The configuration of the page beside its rules, with the places of this machine."""
    (block,) = [one for one in blocks_of("docs/monitoring.md") if "scrape_configs" in one.text]
    config = yaml.safe_load(block.text)
    (job,) = config["scrape_configs"]
    job["authorization"]["credentials_file"] = str(token)
    job["tls_config"]["ca_file"] = str(certificate)
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    shutil.copy(RULES, folder)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_documented_configuration_collects_with_token_and_loads_every_rule(tmp_path: Path) -> None:
    prometheus_program("prometheus")
    data = tmp_path / "data"
    fill(data / DATABASE_NAME, minutes=2)
    keep_certificate(data / "tls")
    certificate, key = data / "tls" / "cert.pem", data / "tls" / "key.pem"
    token = tmp_path / "affect-edge.token"
    secret = make_token(data / DATABASE_NAME, "prometheus", frozenset({Scope.READ}), Role.VIEWER)
    words = ("--certificate", str(certificate), "--key", str(key))
    with DashboardProcess(data, *words, trusted=certificate) as dashboard:
        token.write_text("affect-edge-wrong", encoding="ascii")
        config = documented_config(tmp_path, token, certificate, dashboard.port)
        with prometheus(tmp_path, config) as running:
            wait_for(lambda: running.target()["health"] == "down", SOON)
            assert "401" in running.target()["lastError"]
            token.write_text(secret, encoding="ascii")
            wait_for(lambda: running.target()["health"] == "up", SOON)
            wait_for(lambda: running.value("affect_edge_agent_up") == 0.0, SOON)
            heart_rate = running.value('affect_edge_vital{kind="heart_rate"}')
            assert heart_rate is not None and 70 <= heart_rate < 79
            rows = running.value('affect_edge_database_rows{table="vital"}')
            assert rows is not None and rows > 90
            assert rule_names(running) == [
                rule["alert"]
                for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
                for rule in group["rules"]
            ]
            wait_for(lambda: rule_states(running)["AffectEdgeAgentDown"] == "pending", SOON)
            assert "firing" not in rule_states(running).values()


def rules_of(running: Prometheus) -> list[dict[str, str]]:
    return [rule for group in running.ask("rules")["groups"] for rule in group["rules"]]


def rule_names(running: Prometheus) -> list[str]:
    rules = rules_of(running)
    wait_for(lambda: all(rule["health"] == "ok" for rule in rules_of(running)), SOON)
    return [rule["name"] for rule in rules]


def rule_states(running: Prometheus) -> dict[str, str]:
    return {rule["name"]: rule["state"] for rule in rules_of(running)}
