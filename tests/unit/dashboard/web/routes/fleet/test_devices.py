"""The page Fleet and its API, over devices that are made up here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

from starlette.testclient import TestClient

from dashboard.fleet import postgres
from dashboard.fleet.known import FleetAddress, FleetPage
from edge_agent.core.addresses import Address
from tests.support.dashboard import client_of, set_up

FLEET = FleetAddress(Address("postgresql://reader@db.example/fleet"))


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(postgres, "read_devices", lambda *_: FleetPage((), 0, 0, 0, 0))
    with client_of(tmp_path, source=FLEET) as one:
        yield set_up(one, tmp_path)


@pytest.mark.parametrize("question", ["shown=broken", "page=0", f"name={'a' * 201}"])
def test_a_wrong_question_is_refused(client: TestClient, question: str) -> None:
    assert client.get(f"/api/v1/fleet?{question}").status_code == 422


def test_an_appliance_has_no_such_page(ada: TestClient) -> None:
    assert 'href="/fleet"' not in ada.get("/trends").text
    answer = ada.get("/api/v1/fleet")
    assert answer.status_code == 404
    assert "dashboard.source" in answer.json()["detail"]


def test_a_dashboard_of_a_fleet_offers_only_what_works_without_an_agent(client: TestClient) -> None:
    page = client.get("/fleet").text + client.get("/study").text
    for path in ("/fleet", "/trends", "/plan", "/study", "/analysis", "/export", "/audit"):
        assert f'<li><a href="{path}"' in page, path
    for path in ("/live", "/picture", "/health", "/alerts", "/readings"):
        assert f'<li><a href="{path}"' not in page, path
    assert client.get("/live").headers["location"] == "/fleet"
