"""The page Fleet and its API, over devices that are made up here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")

from starlette.testclient import TestClient

from dashboard.fleet import postgres
from dashboard.fleet.known import FleetAddress, FleetDevice, FleetPage
from tests.support.dashboard import client_of, set_up
from tests.support.fleet.health_example import health_example

FLEET = FleetAddress("postgresql://reader@db.example/fleet")


def device(name: str, **values: Any) -> FleetDevice:
    given: dict[str, Any] = {
        "state": "online",
        "since_ms": 1_795_000_000_000,
        "heard_s": 12.0,
        "reasons": (),
        "version": "0.1.0",
        "health": health_example(),
        "health_s": 12.0,
        "health_by_device": False,
        "applied": 7,
        "copied": True,
        "holes": False,
        "waiting": 3,
        "lost": 0,
        "clock_ahead_ms": -120,
        "clock_doubt_ms": 1000,
        "timeline_s": 3.0,
    }
    return FleetDevice(name, **given | values)


UNKNOWN: dict[str, Any] = {
    **dict.fromkeys(("since_ms", "heard_s", "version", "health_s", "applied", "copied")),
    **dict.fromkeys(("waiting", "clock_ahead_ms", "clock_doubt_ms", "timeline_s")),
    "health": {},
    "state": "offline",
    "reasons": ("offline", "lost"),
    "lost": 5,
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was asked of the database."""
    questions: list[tuple[Any, ...]] = []

    def read(_database: object, *question: Any) -> FleetPage:
        questions.append(question)
        found = (device("attic", **UNKNOWN), device("room", reasons=("alarms", "clock")))
        return FleetPage(found, 120, 130, 4, 2)

    monkeypatch.setattr(postgres, "read_devices", read)
    return questions


@pytest.fixture
def client(tmp_path: Path, asked: list[tuple[Any, ...]]) -> Iterator[TestClient]:
    with client_of(tmp_path, source=FLEET) as one:
        yield set_up(one, tmp_path)


def test_the_page_shows_each_device_with_its_age(
    client: TestClient, asked: list[tuple[Any, ...]]
) -> None:
    page = client.get("/fleet?name=+ro+&shown=attention&page=2").text
    assert asked == [("ro", "attention", 2)]
    for text in (
        "heard 12 s ago",
        "never heard",
        "changes are lost: 5",
        "clock is wrong",
        "3</span>",
    ):
        assert text in page, text
    assert "db.example/fleet" in page and "reader" not in page
    assert "/fleet?name=+ro+&amp;shown=attention&amp;page=3" in page


def test_programs_get_the_same(client: TestClient) -> None:
    answer = client.get("/api/v1/fleet").json()
    assert (answer["total"], answer["online"], answer["pages"]) == (130, 4, 3)
    attic, room = answer["devices"]
    assert (attic["state"], attic["sensors"], attic["outbox"]) == ("offline", [], None)
    assert room["alarms"][0]["name"] == "hot"
    assert room["sensors"][0]["connected"] is True
    assert (room["frames_per_second"], room["disk_free_percent"]) == (14.9, 71.5)


@pytest.mark.parametrize("question", ["shown=broken", "page=0", f"name={'a' * 201}"])
def test_a_wrong_question_is_refused(client: TestClient, question: str) -> None:
    assert client.get(f"/api/v1/fleet?{question}").status_code == 422


def test_an_appliance_has_no_such_page(ada: TestClient) -> None:
    assert 'href="/fleet"' not in ada.get("/trends").text
    answer = ada.get("/api/v1/fleet")
    assert answer.status_code == 404
    assert "dashboard.source" in answer.json()["detail"]


def test_a_dashboard_of_a_fleet_offers_only_what_works_without_an_agent(client: TestClient) -> None:
    page = client.get("/fleet").text
    for path in ("/fleet", "/trends", "/plan", "/study", "/analysis", "/export", "/audit"):
        assert f'<li><a href="{path}"' in page, path
    for path in ("/live", "/picture", "/health", "/alerts", "/readings"):
        assert f'<li><a href="{path}"' not in page, path
    assert client.get("/live").headers["location"] == "/fleet"
