"""When the agent reads the camera: in sessions only, or not at all while it is switched off."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from edge_agent.agent import loop as module
from edge_agent.core import clock
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.study.sessions import Study
from tests.support.agent import running_agent
from tests.support.broker import wait_until
from tests.support.timeline import query

AT_ONCE = {"interval": 0.0, "batch_rows": 1}
CLOSED = "the camera is closed (switched_off)"


def test_only_sessions_are_recorded_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SESSION_POLL_S", 0.05)
    monkeypatch.setattr(module, "LIVE_HEALTH_S", 0.1)
    capture = {"mode": "sessions"}
    started = clock.now().wall_ms
    with running_agent(tmp_path, {"record": AT_ONCE, "capture": capture}) as run:
        health = run.hear(lambda said: said["type"] == "health")
        assert health["camera"]["fps"] is None
        assert health["camera"]["frame_age_seconds"] is None
        state = run.hear(lambda said: said["type"] == "state")
        assert state["camera"] == {
            "state": "closed",
            "reason": None,
            "frame_age_seconds": None,
            "late_after_seconds": 2.0,
            "switched_off": None,
        }
        assert state["broker"] == {"state": "disabled", "reason": None}
        assert state["recorder"] == {"unstored_since": None, "reason": None}
        assert isinstance(state["clock_synchronised"], bool)
        assert started <= state["at"] <= clock.now().wall_ms
        study = Study(run.database)
        study.create_participant("P-1")
        study.give_consent("P-1", "1")
        begun = clock.now().wall_ms
        study.start_session(NewSession("P-1", Purpose.RESEARCH))
        study.add_marker(MarkerKind.STIMULUS_START, "anger")
        run.wait_for_rows("expression")
        run.hear(lambda said: said["type"] == "state" and said["camera"]["state"] == "open")
        study.end_session()
        run.hear(lambda said: said["type"] == "state" and said["camera"]["state"] == "closed")
        run.hear(lambda said: said["type"] == "health" and said["camera"]["fps"] is None)
    assert query(run.database, "SELECT min(at) FROM expression")[0][0] >= begun
    ended = query(run.database, "SELECT ended FROM session")[0][0]
    assert query(run.database, "SELECT max(at) FROM expression")[0][0] <= ended


def test_a_camera_that_is_switched_off_stays_off_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "CLOCK_POLL_S", 0.05)
    monkeypatch.setattr(module, "LIVE_STATE_S", 0.1)
    caplog.set_level(logging.INFO)
    with running_agent(tmp_path, {"record": AT_ONCE}) as run:
        run.wait_for_rows("expression")
        CaptureSwitch(run.database).turn(on=False, by="ada")  # as the dashboard does it
        said = run.hear(
            lambda said: said["type"] == "state" and said["camera"]["state"] == "closed"
        )
        assert said["camera"]["switched_off"]["by"] == "ada"
        wait_until(lambda: CLOSED in caplog.text, "the end of the last frame")
    caplog.clear()
    with running_agent(tmp_path, {"record": AT_ONCE}) as run:
        said = run.hear(lambda said: said["type"] == "state")
        assert said["camera"]["state"] == "closed"
        assert "the camera is switched off; the page Live" in caplog.text
        wait_until(lambda: CLOSED in caplog.text, "the beginning of the second gap")
        CaptureSwitch(run.database).turn(on=True, by="ada")
        said = run.hear(lambda said: said["type"] == "state" and said["camera"]["state"] == "open")
        assert said["camera"]["switched_off"] is None
        run.wait_for_rows(
            "gap", "source = 'camera' AND reason = 'switched_off' HAVING count(*) = 2"
        )
    ended = query(run.database, "SELECT max(ended) FROM gap WHERE reason = 'switched_off'")[0][0]
    began = query(run.database, "SELECT min(started) FROM gap WHERE reason = 'switched_off'")[0][0]
    between = "SELECT count(*) FROM expression WHERE at > ? + 1000 AND at + interval_ms < ?"
    assert query(run.database, between, began, ended) == [(0,)]
