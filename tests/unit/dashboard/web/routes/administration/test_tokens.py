"""The page Tokens and its command: a secret is shown once, then only what the token may."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from dashboard.__main__ import main as dashboard
from dashboard.accounts.roles import Permission, Role, Scope
from dashboard.accounts.tokens import NewToken
from dashboard.web.authentication import Pass, still_holds
from dashboard.web.guards.permissions import account_for
from tests.support.dashboard import NAME, client_of, log_in_as, services_of
from tests.support.security.tokens import bearer
from tests.support.timeline import query

READING = {"kind": "heart_rate", "value": 60}


def test_a_token_is_shown_once_listed_and_revoked(ada: TestClient) -> None:
    form = {"name": "watch bridge", "scope": ["readings", "markers"], "role": "operator"}
    made = ada.post("/tokens", data=form | {"days": "30"})
    secret = re.search(r'id="secret"[^>]*>([^<]+)<', made.text)
    assert made.status_code == 200 and secret
    assert made.headers["Cache-Control"] == "no-store"
    page = ada.get("/tokens").text
    assert "watch bridge" in page and "markers" in page and "by ada" in page
    assert secret[1] not in page
    headers = bearer(secret[1])
    assert ada.post("/api/v1/vitals", json=READING, headers=headers).status_code == 200
    assert ada.post("/tokens/1/revoke").status_code == 303
    assert ada.post("/tokens/99/revoke").status_code == 303
    assert ada.post("/api/v1/vitals", json=READING, headers=headers).status_code == 401
    assert "revoked" in ada.get("/tokens").text


def test_a_token_outlives_no_request_stream_longer_than_itself(ada: TestClient) -> None:
    """A stream looks again whether what let it in still holds: here, at once."""
    made = ada.post("/tokens", data={"name": "eye", "scope": "read"}).text
    secret = re.search(r'id="secret"[^>]*>([^<]+)<', made)
    assert secret
    services = services_of(ada)
    held = Pass(secret[1], Permission.SEE)
    assert still_holds(services, held)
    assert not still_holds(services, Pass(secret[1], Permission.SEE, Scope.CONTROL))
    services.tokens.tokens.revoke(1, "ada")
    assert not still_holds(services, held)


def test_token_of_an_account_that_became_a_carer_opens_nothing(
    ada: TestClient, tmp_path: Path
) -> None:
    services = services_of(ada)
    log_in_as(ada, Role.RESEARCHER, "eve")
    eve = services.accounts.named_by_proxy("eve")
    new = NewToken("eye", frozenset({Scope.READ}), Role.RESEARCHER)
    headers = bearer(services.tokens.tokens.make(new, eve))
    program = client_of(tmp_path)
    asked = [
        one
        for one, needed in cast("FastAPI", ada.app).state.permissions.items()
        if one.startswith("/api/") and needed in {Permission.TRENDS, Permission.WEEK}
    ]
    addresses = [one.replace("{code}", "P-01") for one in asked]
    assert program.get("/api/v1/people", headers=headers).status_code == 200
    services.members.set_role(eve.id, Role.CARER, NAME)
    assert {
        one: program.get(one, headers=headers).status_code for one in addresses
    } == dict.fromkeys(addresses, 403)
    assert "/api/v1/people" in addresses


def test_token_of_a_lowered_account_acts_with_the_lower_role(ada: TestClient) -> None:
    services = services_of(ada)
    log_in_as(ada, Role.RESEARCHER, "eve")
    eve = services.accounts.named_by_proxy("eve")
    new = NewToken("eye", frozenset({Scope.READ}), Role.RESEARCHER)
    secret = services.tokens.tokens.make(new, eve)
    services.members.set_role(eve.id, Role.VIEWER, NAME)
    token = services.tokens.tokens.find(secret)
    assert token is not None and account_for(token).role is Role.VIEWER


def test_the_command_makes_lists_and_revokes(
    ada: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(tmp_path)]
    words = ["token", "make", "grafana", "--scope", "read", "--account", NAME, "--role", "viewer"]
    assert dashboard(["account", *words, "--days", "90", *data]) == 0
    secret = capsys.readouterr().out.strip()
    ada.cookies.clear()
    assert ada.get("/api/v1/session", headers=bearer(secret)).status_code == 200
    assert ada.get("/api/v1/analysis", headers=bearer(secret)).status_code == 403
    assert dashboard(["account", "token", "list", *data]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("grafana\tread\tviewer\tby ada\tlast used ") and "ends 20" in shown
    assert dashboard(["account", "token", "revoke", "grafanna", *data]) == 2
    assert "There is: grafana." in capsys.readouterr().err
    assert dashboard(["account", "token", "revoke", "grafana", *data]) == 0
    assert ada.get("/api/v1/session", headers=bearer(secret)).status_code == 401
    assert query(tmp_path / "affect-edge.db", "SELECT actor FROM audit WHERE action LIKE 'token%'")[
        -1
    ] == ("command line",)
    assert (
        dashboard(
            ["account", "token", "make", "x", "--scope", "read", "--account", "nobody", *data]
        )
        == 2
    )


def test_token_form_refused_keeps_the_chosen_scope_alone(ada: TestClient) -> None:
    page = ada.post("/tokens", data={"name": "", "scope": "readings", "days": "0"}).text
    assert re.findall(r'name="scope" value="(\w+)" checked', page) == ["readings"]
    assert '<option value="0" selected>' in page
    first = ada.get("/tokens").text
    assert re.findall(r'name="scope" value="(\w+)" checked', first) == ["read"]
    assert '<option value="365" selected>' in first
