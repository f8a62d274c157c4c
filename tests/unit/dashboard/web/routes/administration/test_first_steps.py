"""The first steps: whose they are, what is remembered, and that no secret goes elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.first_steps import (
    BrokerForm,
    FirstStep,
    FirstStepsProgress,
    StepOutcome,
    configured_broker,
    try_broker,
)
from dashboard.web.options import DashboardOptions
from edge_agent.config.mqtt import MqttSettings
from edge_agent.timeline.database.upgrade import migrate
from tests.support.broker import Mosquitto, free_port
from tests.support.dashboard import log_in_as


@pytest.fixture
def progress(tmp_path: Path) -> FirstStepsProgress:
    database = DashboardOptions(data=tmp_path).database
    migrate(database)
    return FirstStepsProgress(database)


def test_an_appliance_that_was_set_up_before_is_not_asked(progress: FirstStepsProgress) -> None:
    assert progress.taken() is None
    assert not progress.is_open()


def test_steps_are_remembered_and_a_done_one_stays_done(progress: FirstStepsProgress) -> None:
    progress.begin()
    assert progress.is_open()
    assert progress.next_step() is FirstStep.CAMERA
    progress.left(FirstStep.CAMERA, StepOutcome.DONE)
    progress.left(FirstStep.CAMERA, StepOutcome.SKIPPED)
    progress.begin()
    assert progress.taken() == {FirstStep.CAMERA: StepOutcome.DONE}
    assert progress.next_step() is FirstStep.PRIVACY
    for step in FirstStep:
        progress.left(step, StepOutcome.SKIPPED)
    assert not progress.is_open()
    assert progress.next_step() is None


def test_setup_leads_to_the_first_steps_which_only_administrators_take(ada: TestClient) -> None:
    assert "The first steps" in ada.get("/live").text
    assert ada.get("/first-steps").status_code == 200
    assert "The first steps" not in log_in_as(ada, Role.RESEARCHER).get("/live").text
    answer = ada.post("/first-steps", data={"step": "sensors", "outcome": "done"})
    assert answer.headers["location"] == "/live"
    assert ada.post("/first-steps", data={"step": "moon"}).status_code == 422


def test_the_configured_password_goes_to_no_other_broker(tmp_path: Path) -> None:
    """A broker of somebody else, with the same accounts, sees no password unless one is typed."""
    broker = Mosquitto(tmp_path / "broker", users={"edge": "wonderland"})
    broker.start()
    password = {"username": "edge", "password": "wonderland"}
    configured = MqttSettings.model_validate(
        {"host": "127.0.0.1", "port": broker.port, "enabled": False} | password
    )
    assert try_broker(
        configured, configured_broker(configured), None, tmp_path / "live.sock"
    ).is_well
    elsewhere = MqttSettings.model_validate({"host": "localhost", "port": free_port()} | password)
    moved = BrokerForm(host="127.0.0.1", port=str(broker.port), username="edge")
    file = tmp_path / "affect-edge.toml"
    answer = try_broker(elsewhere, moved, file, tmp_path / "live.sock")
    assert (answer.is_well, answer.command) == (False, "")
    moved = moved.model_copy(update={"password": "wonderland"})
    let_in = try_broker(elsewhere, moved, file, tmp_path / "live.sock")
    broker.stop()
    assert let_in.is_well and "mqtt.port" in let_in.command
    assert "wonderland" not in answer.text + let_in.command + let_in.text


@pytest.mark.parametrize(
    ("state", "is_well", "told"),
    [
        ("connected", True, "lets the agent in"),
        ("refused", False, "not connected to 127.0.0.1:1883 (refused)"),
        (None, False, "does not answer"),
    ],
)
def test_where_only_the_agent_may_read_the_password_it_tells_how_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str | None, is_well: bool, told: str
) -> None:
    health = None if state is None else {"mqtt": {"state": state}}
    monkeypatch.setattr("edge_agent.appliance.running_checks.agent_health", lambda _socket: health)
    configured = MqttSettings.model_validate(
        {"username": "edge", "password_file": tmp_path / "not-for-the-dashboard"}
    )
    answer = try_broker(configured, configured_broker(configured), None, tmp_path / "live.sock")
    assert answer.is_well is is_well
    assert told in answer.text
    assert is_well or answer.advice
