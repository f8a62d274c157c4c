"""Before the study: the planner, and preregistrations that nobody can change."""

from __future__ import annotations

import html
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.options import DashboardOptions

FORM = {
    "question": "vital=heart_rate&bound_heart_rate=3",
    "people": "24",
    "exclusions": "readings without contact",
    "stopping": "after 24 people",
}


def test_page_and_programs_plan_the_same_study(ada: TestClient) -> None:
    found = ada.get("/api/v1/plan?difference=5&sd=10&correlation=0.5&tests=9").json()
    assert found["effect"] == 0.5
    assert found["n"] > found["n_single"]
    page = ada.get("/plan?difference=5&sd=10&correlation=0.5").text
    assert found["sentence"] in page
    assert "± 5 /min, ± 5 mmHg</summary>" in page
    assert found["curve"][-1]["power"] > 0.8


FIVE = "&".join(
    f"vital={kind}" for kind in ("heart_rate", "systolic", "diastolic", "smile", "valence")
)


def test_family_is_counted_from_the_question_on_page_and_api(ada: TestClient) -> None:
    asked = {"difference": "5", "sd": "10", "question": FIVE}
    found = ada.get("/api/v1/plan", params=asked).json()
    assert (found["question"]["tests"], found["level"]) == (15, 0.05 / 15)
    page = ada.get("/plan", params=asked).text
    assert found["sentence"] in page
    assert "in a family of 15 tests" in page and "The question below has 15 tests" in page
    assert 'value="valence"' in page and 'value="oxygen_saturation"' not in page
    assert ada.get("/api/v1/plan", params=asked | {"tests": "3"}).json()["level"] == 0.05 / 3
    assert "This plan is for 3 tests" in ada.get("/plan", params=asked | {"tests": "3"}).text
    face = ada.get("/api/v1/plan", params={"d_z": "0.5", "question": "vital=smile"}).json()
    assert (face["question"]["vital"], face["question"]["tests"]) == ("smile", 3)


def test_plan_of_what_the_question_does_not_test_is_refused(ada: TestClient) -> None:
    asked = {"d_z": "0.5", "vital": "heart_rate", "question": "vital=smile"}
    answer = ada.get("/api/v1/plan", params=asked)
    assert answer.status_code == 422
    assert "the question does not test heart_rate; choose from smile" in answer.text.casefold()
    assert ada.get("/api/v1/plan", params=asked | {"question": "vital=x"}).status_code == 422
    assert ada.get("/plan", params=asked | {"question": "vital=x"}).status_code == 422


def test_form_keeps_its_values_if_one_field_is_wrong(ada: TestClient) -> None:
    assert ada.post("/plan/preregistrations", data=FORM | {"stopping": " "}).status_code == 422
    answer = ada.post("/plan/preregistrations", data=FORM | {"people": "many"})
    assert answer.status_code == 422
    assert "readings without contact</textarea>" in answer.text
    assert "after 24 people</textarea>" in answer.text
    assert ada.get("/api/v1/preregistrations").json() == []


def test_preregistration_is_frozen_and_shown_for_printing(ada: TestClient, tmp_path: Path) -> None:
    answer = ada.post("/plan/preregistrations", data=FORM)
    assert answer.status_code == 303
    printed = ada.get(answer.headers["location"]).text
    [made] = ada.get("/api/v1/preregistrations").json()
    assert made["sha256"] in printed
    assert "after 24 people" in printed
    assert made["document"]["question"]["bound_heart_rate"] == 3
    assert made["intact"] is True
    with closing(sqlite3.connect(DashboardOptions(data=tmp_path).database)) as connection:
        for words in ("UPDATE preregistration SET document = '{}'", "DELETE FROM preregistration"):
            with pytest.raises(sqlite3.IntegrityError, match="a preregistration is never"):
                connection.execute(words)
        [(detail,)] = connection.execute("SELECT detail FROM audit WHERE action = 'preregister'")
    assert detail == f"1 {made['sha256']}"
    assert ada.get("/plan/preregistrations/9").status_code == 404


def test_page_of_a_preregistration_leads_to_its_question(ada: TestClient) -> None:
    ada.post("/plan/preregistrations", data=FORM)
    page = ada.get("/plan/preregistrations/1").text
    found = re.search(r'href="(/analysis[^"]+)">Ask this question', page)
    assert found
    address = html.unescape(found[1])
    [made] = ada.get("/api/v1/preregistrations").json()
    asked = ada.get(f"/api/v1{address}").json()
    assert asked["question"] == made["document"]["question"]
    assert [one["name"] for one in asked["preregistration"]["changed"]] == ["people"]
    assert "Ask the preregistered question" not in ada.get(address).text
    other = ada.get("/analysis?vital=systolic").text
    assert f'{html.escape(address)}">Ask the preregistered question' in other


def test_preregistration_made_elsewhere_is_frozen_with_address_and_day(ada: TestClient) -> None:
    elsewhere = {"registered_address": "https://osf.io/ab3cd", "registered_on": "2026-03-01"}
    page = ada.post("/plan/preregistrations", data=FORM | elsewhere, follow_redirects=True).text
    assert '1 Mar 2026: <a href="https://osf.io/ab3cd" rel="noopener noreferrer">' in page
    [made] = ada.get("/api/v1/preregistrations").json()
    assert elsewhere.items() <= made["document"].items()
    said = ada.get("/api/v1/analysis").json()["preregistration"]
    assert elsewhere.items() <= said.items()
    sheet = ada.get("/analysis").text
    assert 'Preregistered elsewhere on 2026-03-01: <a href="https://osf.io/ab3cd"' in sheet


@pytest.mark.parametrize(
    ("name", "typed"), [("registered_address", "osf.io/ab3cd"), ("registered_on", "2999-01-01")]
)
def test_wrong_place_elsewhere_is_refused_beside_its_field(
    ada: TestClient, name: str, typed: str
) -> None:
    elsewhere = {"registered_address": "https://osf.io/ab3cd", "registered_on": "2026-03-01"}
    answer = ada.post("/plan/preregistrations", data=FORM | elsewhere | {name: typed})
    assert answer.status_code in {409, 422}
    assert f'id="{name}-problem"' in answer.text
    assert f'value="{typed}"' in answer.text
    assert ada.get("/api/v1/preregistrations").json() == []


def test_preregistration_changed_in_the_file_is_detected(ada: TestClient, tmp_path: Path) -> None:
    ada.post("/plan/preregistrations", data=FORM)
    with closing(sqlite3.connect(DashboardOptions(data=tmp_path).database)) as connection:
        connection.execute("DROP TRIGGER preregistration_is_frozen")
        connection.execute("UPDATE preregistration SET at = at - 1")
        connection.commit()
    assert "does not match its SHA-256" in ada.get("/plan/preregistrations/1").text
    said = ada.get("/api/v1/analysis").json()["preregistration"]
    assert any("the database was changed" in text for text in said["differences"])


def test_the_analysis_says_what_differs_from_what_was_preregistered(ada: TestClient) -> None:
    assert "Nothing was preregistered" in ada.get("/analysis").text
    assert ada.get("/api/v1/analysis").json()["preregistration"] is None
    ada.post("/plan/preregistrations", data=FORM)
    found = ada.get("/api/v1/analysis?vital=heart_rate&bound_heart_rate=2").json()
    said = found["preregistration"]
    assert said["as_preregistered"] is False
    assert said["differences"] == [
        "bound heart rate: preregistered 3 /min, now 2 /min.",
        "People: 24 preregistered, 0 with readings so far.",
    ]
    page = ada.get("/analysis?vital=heart_rate&bound_heart_rate=2").text
    assert "Not as preregistered on" in page
    assert "bound heart rate: preregistered 3 /min, now 2 /min." in page
    newer = {"question": {"bound_heart_rate": 2}, "people": 12, "stopping": "then"}
    assert ada.post("/api/v1/preregistrations", json=newer).status_code == 201
    assert [one["id"] for one in ada.get("/api/v1/preregistrations").json()] == [2, 1]


@pytest.mark.parametrize(("name", "value"), [("lag_pressure", True), ("share", "45")])
def test_a_question_in_a_body_has_numbers_of_json(
    ada: TestClient, name: str, value: bool | str
) -> None:
    body = {"people": 24, "stopping": "then", "question": {name: value}}
    answer = ada.post("/api/v1/preregistrations", json=body)
    assert answer.status_code == 422
    assert f"{name}: give a number, not {value!r}" in answer.text
    assert ada.get("/api/v1/preregistrations").json() == []


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_preregistration_declares_the_method_in_sentences(ada: TestClient, language: str) -> None:
    question = "vital=heart_rate&outcome=change&state=reported&correction=benjamini_hochberg"
    form = FORM | {"question": f"{question}&bound_heart_rate=3&settling_heart_rate=12&group=sex"}
    assert ada.post("/plan/preregistrations", data=form).status_code == 303
    answer = ada.get("/plan/preregistrations/1", headers={"Accept-Language": language})
    page = html.unescape(answer.text)
    declared = page[
        page.index('<ul class="warnings">') : page.index('<dl class="facts facts-many">')
    ]
    wanted = {
        "en": (
            "Compared are heart rate, between anger",
            "Benjamini and Hochberg’s",
            "12 s of heart",
        ),
        "de": ("Verglichen werden Herzfrequenz", "Benjamini", "12 s"),
        "es": ("Se comparan frecuencia card", "Benjamini", "12 s"),
    }[language]
    for words in (*wanted, "± 3 /min", "sex"):
        assert words in declared, words
    assert "scr_threshold" in page or "0.05 µS" in page or "0,05 µS" in page, "each choice is there"
