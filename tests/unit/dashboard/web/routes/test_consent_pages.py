"""Consent that a participant gives on a screen of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.options import DashboardOptions
from dashboard.web.routes.study import CONSENT_VERSION
from tests.support.dashboard import another_browser, client_of, services_of, set_up
from tests.support.timeline import query

AGREED = {"agreed": "yes", "text_version": CONSENT_VERSION}


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as client:
        set_up(client, tmp_path)
        client.post("/study/participants", data={"code": "P-1"})
        yield client
        services_of(client).protocol_runner.close()


def _asked(client: TestClient) -> tuple[str, str]:
    """Ask for consent; return the page of who asks, and the address for the participant."""
    page = client.post("/study/participants/P-1/consent/ask").headers["location"]
    return page, f"/participate/consent/{page.rpartition('/')[2]}"


def test_consent_is_given_by_the_participant_without_a_login(
    ada: TestClient, tmp_path: Path
) -> None:
    page, address = _asked(ada)
    assert "P-1 has not agreed yet" in ada.get(page).text
    tablet = another_browser(ada)
    text = tablet.get(f"{address}?language=de").text
    assert '<html lang="de">' in text and f"{address}?language=de" in text
    assert "P-1" not in text
    answer = tablet.post(f"{address}?language=de", data=AGREED)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{address}?language=de")
    assert "P-1 has agreed" in ada.get(page).text
    path = DashboardOptions(data=tmp_path).database
    assert query(path, "SELECT text_version FROM consent") == [(CONSENT_VERSION,)]
    given = query(path, "SELECT actor, detail FROM audit WHERE action = 'consent_give'")
    assert given == [("ada", "P-1")]


@pytest.mark.parametrize(("host", "is_said"), [("127.0.0.1", True), ("testserver", False)])
def test_code_for_a_tablet_says_where_no_tablet_can_open_it(
    ada: TestClient, host: str, is_said: bool
) -> None:
    page, _ = _asked(ada)
    shown = ada.get(page, headers={"Host": host}).text
    assert ("Only this machine can open this address" in shown) == is_said


def test_consent_that_is_sent_twice_is_recorded_once(ada: TestClient, tmp_path: Path) -> None:
    _, address = _asked(ada)
    for _ in range(2):
        assert another_browser(ada).post(address, data=AGREED).status_code == 303
    path = DashboardOptions(data=tmp_path).database
    assert query(path, "SELECT count(*) FROM consent") == [(1,)]


@pytest.mark.parametrize("form", [{}, {"agreed": "yes"}, AGREED | {"text_version": "0"}])
def test_consent_without_the_tick_or_of_another_text_is_none(
    ada: TestClient, tmp_path: Path, form: dict[str, str]
) -> None:
    _, address = _asked(ada)
    assert another_browser(ada).post(address, data=form).status_code == 409
    path = DashboardOptions(data=tmp_path).database
    assert query(path, "SELECT count(*) FROM consent") == [(0,)]


def test_page_goes_on_to_the_protocol_of_the_participant(ada: TestClient) -> None:
    _, address = _asked(ada)
    tablet = another_browser(ada)
    assert tablet.get(f"{address}/next").json() == {"address": None}
    tablet.post(address, data=AGREED)
    assert tablet.get(f"{address}/next").json() == {"address": None}
    form = {"participant": "P-1", "purpose": "research", "setting": "laboratory"}
    ada.post("/study/sessions", data=form | {"protocol": "three-conditions"})
    path = ada.get("/api/v1/protocol").json()["participant_path"]
    assert tablet.get(f"{address}/next").json() == {"address": path}


def test_address_that_is_unknown_opens_nothing(ada: TestClient) -> None:
    tablet = another_browser(ada)
    page = tablet.get("/participate/consent/nothing")
    assert (page.status_code, "This page is closed" in page.text) == (404, True)
    assert tablet.post("/participate/consent/nothing", data=AGREED).status_code == 404
    assert tablet.get("/participate/consent/nothing/next").status_code == 404
    assert ada.post("/study/participants/NOBODY/consent/ask").status_code in {400, 404, 409}
