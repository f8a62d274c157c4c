"""Who looked at whom stands in the audit trail, once for a while."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.guards.permissions import AGAIN_S
from edge_agent.core.errors import StoreError
from edge_agent.timeline.gate.commands import PlainCommands
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.clocks.simulated_time import Seconds
from tests.support.dashboard import NAME, add_session, client_of, log_in_as, set_up
from tests.support.timeline import query

VIEWS = "SELECT actor, action, detail FROM audit WHERE action LIKE '%view' ORDER BY id"


def test_who_opened_which_participant_and_session_is_written(tmp_path: Path) -> None:
    clock = Seconds()
    with client_of(tmp_path, clock) as client:
        set_up(client, tmp_path)
        database = tmp_path / "affect-edge.db"
        number = add_session(database)
        operator = log_in_as(client, Role.OPERATOR)
        for _ in range(3):
            assert client.get("/study/participants/p-01").status_code == 200
            assert operator.get(f"/study/sessions/{number}").status_code == 200
            assert operator.get(f"/api/v1/sessions/{number}/course").status_code == 200
        assert client.get("/study/participants/nobody").status_code == 404
        seen = [(NAME, "participant_view", "P-01"), ("operator", "session_view", str(number))]
        assert query(database, VIEWS) == seen
        clock.now += AGAIN_S + 1
        client.get("/study/participants/P-01")
        assert query(database, VIEWS) == [*seen, seen[0]]
        page = client.get("/audit?action=participant_view").text
        assert (
            page.count("P-01") == 2
            and "session_view" not in client.get("/audit/download?action=participant_view").text
        )


def test_an_erasure_takes_the_code_out_of_who_looked(ada: TestClient, database: Path) -> None:
    add_session(database)
    ada.get("/study/participants/P-01")
    erase_participant(database, "P-01", actor=NAME)
    ((_, action, detail),) = query(database, VIEWS)
    assert action == "participant_view" and "P-01" not in detail


def test_a_full_disk_keeps_nobody_from_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    ada: TestClient,
    database: Path,
) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    add_session(database)
    with monkeypatch.context() as patched:
        patched.setattr(PlainCommands, "note", full)
        assert ada.get("/study/participants/P-01").status_code == 200
    assert "the line of participant_view is written later" in caplog.text
    ada.post("/logout")
    ((_, _, told),) = query(database, VIEWS)
    assert told.startswith("(not kept) (at "), "an erasure would not find the code"
