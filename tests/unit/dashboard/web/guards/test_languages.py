"""Each request is answered in its reader’s language: chosen, asked for, configured, English."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.languages.current import asked_for, available, chosen_from, own_name
from dashboard.web.rendering import LANGUAGE_COOKIE
from edge_agent.config.dashboard import DashboardSettings
from tests.support.dashboard import NAME, PASSWORD, client_of, set_up

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.8"}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", None),
        ("fr, es;q=0.5, de;q=0.4", "es"),
        ("en-US,en;q=0.9,de;q=0.8", "en"),
        ("de;q=0, fr", None),
        ("de;q=much, es;q=0.1", "es"),
        (",;q=1,,", None),
    ],
)
def test_the_browsers_first_language_that_is_here_is_taken(
    header: str, language: str | None
) -> None:
    assert asked_for(header) == language


def test_a_choice_comes_before_the_browser_and_the_configuration_after_it() -> None:
    assert chosen_from("es", "de", "en") == "es"
    assert chosen_from("tlh", "de", "en") == "de"
    assert chosen_from("", "fr", "de") == "de"
    assert chosen_from("", "fr", "auto") == "en"


def test_every_language_can_be_configured_and_has_a_name() -> None:
    for code in available():
        assert DashboardSettings(language=code).language == code
        assert own_name(code) != code
    assert own_name("tlh") == "tlh"


def test_pages_forms_and_errors_are_in_the_language_that_browser_asks_for(ada: TestClient) -> None:
    page = ada.get("/study", headers=GERMAN).text
    assert '<html lang="de"' in page and "Teilnehmende" in page and "texts/de.js" in page
    english = ada.get("/study").text
    assert '<html lang="en"' in english and "texts/" not in english
    lost = ada.get("/nowhere", headers=GERMAN)
    assert lost.status_code == 404 and 'lang="de"' in lost.text


def test_the_configured_language_is_for_who_asks_for_none_of_ours(tmp_path: Path) -> None:
    with client_of(tmp_path, language="es") as client:
        set_up(client, tmp_path)
        client.cookies.clear()
        assert 'lang="es"' in client.get("/login").text
        assert 'lang="es"' in client.get("/login", headers={"Accept-Language": "fr"}).text
        assert 'lang="de"' in client.get("/login", headers=GERMAN).text


def test_an_account_keeps_its_language_wherever_it_logs_in(ada: TestClient, tmp_path: Path) -> None:
    answer = ada.post("/account/language", data={"language": "es"})
    assert answer.status_code == 303
    assert 'lang="es"' in ada.get("/account", headers=GERMAN).text
    ada.post("/logout")
    assert LANGUAGE_COOKIE not in ada.cookies
    assert 'lang="de"' in ada.get("/login", headers=GERMAN).text
    ada.post("/login", data={"name": NAME, "password": PASSWORD})
    assert ada.cookies[LANGUAGE_COOKIE] == "es"
    page = ada.get("/account", headers=GERMAN).text
    assert '<option value="es" lang="es" selected>Español</option>' in page
    ada.post("/account/language", data={"language": ""})
    assert 'lang="de"' in ada.get("/account", headers=GERMAN).text


def test_a_language_that_is_not_here_is_refused(ada: TestClient) -> None:
    answer = ada.post("/account/language", data={"language": "tlh"})
    assert answer.status_code == 422
    assert "tlh" in answer.text and "en, de, es" in answer.text
