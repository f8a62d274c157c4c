"""Readings handed in over HTTP: who may, what is taken, and how everything else is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.tokens import Tokens
from dashboard.web.guards.permissions import REQUESTS_A_MINUTE, WRONG_TOKENS
from edge_agent.core.clock import now
from edge_agent.core.given_readings import MAX_BYTES
from edge_agent.core.study import NewSession, Purpose
from tests.support.clocks.simulated_time import Seconds
from tests.support.dashboard import client_of, consenting, services_of, set_up
from tests.support.security.tokens import make_token
from tests.support.timeline import query

PATH = "/api/v1/vitals"
READING = {"kind": "heart_rate", "value": 72, "at": "2026-09-21T14:20:00Z"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path, Seconds()) as made:  # a slow machine does not reach the next minute
        yield made


@pytest.fixture
def tokens(tmp_path: Path, client: TestClient) -> Tokens:
    return Tokens(tmp_path / "affect-edge.db")


@pytest.fixture
def secret(tokens: Tokens, tmp_path: Path) -> str:
    return make_token(tmp_path / "affect-edge.db")


def hand_in(client: TestClient, secret: str, body: Any, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", **headers}
    return client.post(PATH, content=content, headers=sent)


def stored(folder: Path) -> list[tuple[Any, ...]]:
    return query(
        folder / "affect-edge.db", "SELECT kind, value, source, flags FROM vital ORDER BY at, kind"
    )


def test_readings_are_taken_and_each_is_reported_what_became_of_it(
    client: TestClient, secret: str, tmp_path: Path
) -> None:
    recent = now().wall_ms - 5000
    given = [
        {"kind": "systolic", "value": 16, "unit": "kPa", "at": recent, "source": "cuff", "id": "a"},
        {"kind": "systolic", "value": 16, "unit": "kPa", "at": recent, "source": "cuff", "id": "b"},
        {"kind": "heart_rate", "value": 999, "at": recent},
        {"kind": "pulse", "value": 1, "id": 7},
    ]
    answer = hand_in(client, secret, given)
    assert answer.status_code == 200
    said = answer.json()
    assert (said["taken"], said["duplicates"], said["refused"]) == (2, 1, 1)
    assert [
        (r["index"], r["id"], r["outcome"], r["flags"], r["field"]) for r in said["results"]
    ] == [
        (0, "a", "taken", [], None),
        (1, "b", "duplicate", [], None),
        (2, None, "taken", ["out_of_range"], None),
        (3, 7, "refused", [], "kind"),
    ]
    assert said["detail"].startswith(
        "2 taken, 1 there already, 1 refused (the first: kind: 'pulse' is not one of"
    )
    assert stored(tmp_path) == [
        ("heart_rate", 999.0, "http:bridge", "out_of_range"),
        ("systolic", pytest.approx(120.01, abs=0.01), "http:bridge:cuff", ""),
    ]


def test_readings_over_http_of_now_and_new_are_shown_on_open_pages(
    client: TestClient, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(services_of(client).live, "share", shown.append)
    recent = now().wall_ms - 2000
    given = [
        {"kind": "heart_rate", "value": 72, "at": recent, "source": "strap"},
        {"kind": "heart_rate", "value": 72, "at": recent, "source": "strap"},
        {"kind": "oxygen_saturation", "value": 97, "at": recent - 120_000},
        {"kind": "pulse", "value": 1},
    ]
    hand_in(client, secret, given)
    assert shown == [
        {
            "type": "vital",
            "at": recent,
            "kind": "heart_rate",
            "value": 72.0,
            "unit": "/min",
            "source": "http:bridge:strap",
            "flags": [],
        }
    ]


def test_when_every_reading_is_refused_the_request_is(
    client: TestClient, secret: str, tmp_path: Path
) -> None:
    answer = hand_in(client, secret, {"kind": "heart_rate", "value": "fast"})
    assert answer.status_code == 422
    assert answer.json()["results"][0]["reason"] == "value: 'fast' is not a number."
    assert stored(tmp_path) == []


def test_readings_outside_sessions_are_refused_in_mode_sessions(tmp_path: Path) -> None:
    with client_of(tmp_path, only_in_sessions=True) as client:
        path = tmp_path / "affect-edge.db"
        secret = make_token(path)
        reading = {"kind": "heart_rate", "value": 60}
        refused = hand_in(client, secret, reading)
        assert refused.status_code == 422
        assert "lies outside sessions, and capture.mode is sessions" in refused.json()["detail"]
        study = consenting(path, "P-01")
        study.start_session(NewSession("P-01", Purpose.MEDICAL, "ward"))
        said = hand_in(client, secret, [reading, READING]).json()
        assert [r["outcome"] for r in said["results"]] == ["taken", "refused"]
        assert [value for _, value, _, _ in stored(tmp_path)] == [60.0]


def test_a_login_is_no_token_and_a_token_is_no_login(
    client: TestClient, secret: str, tmp_path: Path
) -> None:
    set_up(client, tmp_path)
    without = client.post(PATH, json=READING)
    assert without.status_code == 401
    assert without.headers["www-authenticate"] == "Bearer"
    assert "on the Tokens page" in without.json()["detail"]
    client.cookies.clear()
    headers = {"Authorization": f"Bearer {secret}"}
    elsewhere = client.get("/api/v1/session", headers=headers)
    assert elsewhere.status_code == 403 and "the scope read" in elsewhere.json()["detail"]
    page = client.get("/live", headers=headers)
    assert page.status_code == 303 and page.headers["location"].startswith("/login")


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer ", "Basic YTpi", "Bearer \u00e9"])
def test_a_wrong_token_is_refused(client: TestClient, header: str) -> None:
    headers = {"Authorization": header.encode("latin-1")}
    assert client.post(PATH, json=READING, headers=headers).status_code == 401  # type: ignore[arg-type]


def test_a_revoked_token_is_refused_at_once(
    client: TestClient, tokens: Tokens, secret: str
) -> None:
    assert hand_in(client, secret, READING).status_code == 200
    tokens.revoke(tokens.all()[0].id, "ada")
    answer = hand_in(client, secret, READING)
    assert (answer.status_code, answer.json()["detail"]) == (
        401,
        "This token is unknown, revoked or expired, or its creator may not log in.",
    )


def test_tokens_cannot_be_guessed(client: TestClient, secret: str) -> None:
    codes = [
        hand_in(client, f"affect-edge-{n}", READING).status_code for n in range(WRONG_TOKENS + 1)
    ]
    assert codes == [401] * WRONG_TOKENS + [429]
    assert hand_in(client, secret, READING).status_code == 200, (
        "who has one is not held up by others"
    )


def test_a_token_may_only_ask_so_often(client: TestClient, secret: str) -> None:
    limiter = services_of(client).tokens.requests
    for _ in range(REQUESTS_A_MINUTE):
        assert limiter.attempt("token 1") == 0
    answer = hand_in(client, secret, READING)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": ""}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_only_plain_json_is_read(
    client: TestClient, secret: str, headers: dict[str, str], status: int
) -> None:
    assert hand_in(client, secret, READING, **headers).status_code == status


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "payload: is not JSON"),
        (b"[]", 400, "payload: of 0 readings is not allowed. Send 1 to 1000."),
        (b"[" * 100_000, 400, "payload: is not JSON (it is nested too deeply"),
        (b" " * (MAX_BYTES + 1), 413, "The request is larger than 256 KiB"),
        (b" " * 2_000_000, 413, "The request is larger than"),
    ],
)
def test_a_body_that_is_no_list_of_readings_is_refused(
    client: TestClient, secret: str, body: bytes, status: int, said: str
) -> None:
    answer = hand_in(client, secret, body)
    assert answer.status_code == status
    assert said in answer.json()["detail"]
