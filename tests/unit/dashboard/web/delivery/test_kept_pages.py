"""Pages without anything of a study are kept by the browser, and sent anew when they differ."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.routes.models import NAVIGATION
from tests.support.dashboard import log_in_as


@pytest.mark.parametrize("path", ["/analysis/statistics", "/docs", NAVIGATION.path])
def test_a_page_that_is_still_so_is_not_sent_again(ada: TestClient, path: str) -> None:
    first = ada.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = ada.get(path, headers={"if-none-match": f'"other", {first.headers["etag"]}'})
    assert again.status_code == 304 and again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert ada.get(path, headers={"if-none-match": 'W/"other"'}).status_code == 200
    assert "data-now" not in first.text


def test_next_account_gets_no_kept_page_of_another(ada: TestClient) -> None:
    etag = ada.get(NAVIGATION.path).headers["etag"]
    other = log_in_as(ada, Role.VIEWER)
    answer = other.get(NAVIGATION.path, headers={"if-none-match": etag})
    assert answer.status_code == 200 and answer.headers["etag"] != etag
    ada.cookies.clear()
    assert ada.get(NAVIGATION.path, headers={"if-none-match": etag}).status_code == 303


@pytest.mark.parametrize("path", ["/live", "/trends", "/study", "/analysis", "/export"])
def test_a_page_of_a_study_is_kept_nowhere(ada: TestClient, path: str) -> None:
    answer = ada.get(path)
    assert answer.headers["cache-control"] == "no-store" and "etag" not in answer.headers
