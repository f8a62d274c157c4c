"""The page of the accounts: which form a problem belongs to."""

from __future__ import annotations

import re
from typing import NoReturn

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.members import Members
from dashboard.accounts.passwords import AccountError
from tests.support.dashboard import NAME


def test_account_role_of_last_administrator_stays(ada: TestClient) -> None:
    answer = ada.post("/accounts/1/role", data={"role": "viewer"})
    assert answer.status_code == 422
    assert f"{NAME} is the last administrator" in answer.text
    form = re.findall(r'<form[^>]* action="/accounts".*?</form>', answer.text, re.S)[0]
    assert " selected" not in form and "problem" not in form
    assert ada.get("/api/v1/accounts").json()[0]["role"] == "administrator"


def test_refused_form_page_fails_itself_error_page_says_why(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Members) -> NoReturn:
        raise AccountError("The accounts cannot be listed.")

    monkeypatch.setattr(Members, "all", fail)
    answer = ada.post("/accounts", data={"name": NAME, "role": "viewer"})
    assert answer.status_code == 422
    assert "The accounts cannot be listed." in answer.text
