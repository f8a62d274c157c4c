"""Asking for the preview: who gets it, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.live import Preview
from edge_agent.core.study import Purpose
from edge_agent.live.preview import Ended
from edge_agent.store.database.schema import DATABASE_NAME
from tests.integration.live.test_preview_server import Stand
from tests.support.dashboard import client_of, consenting, set_up
from tests.support.timeline import query


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, preview=True) as client:
        yield set_up(client, tmp_path)


def test_pictures_are_sent_until_a_session_starts_and_then_refused(
    tmp_path: Path, ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = consenting(tmp_path / DATABASE_NAME, "P01")
    parts = Preview.parts

    async def parts_and_a_session(preview: Preview) -> AsyncIterator[bytes]:
        async for part in parts(preview):
            yield part
            if b"\xff\xd8" in part and study.open_session() is None:
                study.start_session("P01", Purpose.RESEARCH, "")

    monkeypatch.setattr(Preview, "parts", parts_and_a_session)
    with Stand(tmp_path):
        answer = ada.post("/api/v1/preview")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert b"\xff\xd8" in answer.content, "a picture came"
        assert f'"ended":"{Ended.SESSION}"'.encode() in answer.content
        again = ada.post("/api/v1/preview")
        assert again.status_code == 409
        assert "A session is open" in again.json()["detail"]
    actions = [
        action
        for (action,) in query(tmp_path / DATABASE_NAME, "SELECT action FROM audit ORDER BY id")
    ]
    assert actions.count("preview_start") == actions.count("preview_end") == 1


def test_without_an_agent_there_is_nothing_to_see_and_nothing_to_prolong(ada: TestClient) -> None:
    away = ada.post("/api/v1/preview")
    assert away.status_code == 409
    assert "The agent shows no picture" in away.json()["detail"]
    assert ada.post("/api/v1/preview/more").status_code == 409


def test_where_it_is_switched_off_nobody_gets_it(tmp_path: Path) -> None:
    with client_of(tmp_path) as client:
        answer = set_up(client, tmp_path).post("/api/v1/preview")
        assert answer.status_code == 409
        assert "The preview is off" in answer.json()["detail"]
