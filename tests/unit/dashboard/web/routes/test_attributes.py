"""Attributes of participants, by page and by program."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from dashboard.web.routes.study import CONSENT_VERSION
from tests.support.timeline import query

PAGE = "/study/participants/P-01/attributes"
API = "/api/v1/participants/P-01/attributes"
TOLD = "SELECT name, value FROM participant_attribute ORDER BY name"


def consented(client: TestClient) -> None:
    client.post("/study/participants", data={"code": "P-01"})
    agreed = {"agreed": "yes", "text_version": CONSENT_VERSION}
    assert client.post("/study/participants/P-01/consent", data=agreed).status_code == 303


def test_the_page_keeps_what_was_agreed_and_shows_it_again(ada: TestClient, database: Path) -> None:
    ada.post("/study/participants", data={"code": "P-01"})
    assert "has no valid consent" in ada.get(PAGE).text
    consented(ada)
    assert PAGE in ada.get("/study/participants/P-01").text
    told = {"use": "here", "age_band": "30-39", "medication": "<b>none", "others": "hand=left\n\n"}
    assert ada.post(PAGE, data=told).headers["location"] == "/study"
    kept = [("age_band", "30-39"), ("hand", "left"), ("medication", "<b>none")]
    assert query(database, TOLD) == kept
    page = ada.get(PAGE.replace("P-01", "p-01")).text
    assert '<option value="30-39" selected>30-39</option>' in page
    assert 'value="here" selected' in page
    assert 'value="&lt;b&gt;none"' in page
    assert ">hand=left</textarea>" in page
    # what is not in the form any more goes
    ada.post(PAGE, data={"use": "shared", "sex": "other"})
    assert query(database, TOLD) == [("sex", "other")]
    ada.post(PAGE, data={"use": "none", "sex": "other"})
    assert query(database, TOLD) == []
    details = query(database, "SELECT DISTINCT detail FROM audit WHERE action LIKE 'attributes%'")
    assert details == [("P-01",)], "the audit trail tells no value"


def test_invalid_attribute_is_reported_and_changes_nothing(ada: TestClient, database: Path) -> None:
    consented(ada)
    ada.post(PAGE, data={"use": "here", "sex": "other"})
    for data, why in (
        ({"use": "here", "age_band": "33"}, "is not one of: under 18"),
        ({"use": "shared", "others": "left"}, "write name=value on each line"),
        ({"use": "shared", "others": "email=a@b.example"}, "identifies a person"),
        ({"use": "all"}, "Choose what they agreed to"),
    ):
        answer = ada.post(PAGE, data=data)
        assert answer.status_code == 409, data
        assert why in answer.text
        assert "Nothing was changed" in answer.text
    assert query(database, TOLD) == [("sex", "other")]
    assert query(database, "SELECT attributes FROM consent") == [("here",)]
    assert ada.get("/study/participants/nobody/attributes").status_code == 404


def test_programs_read_and_replace_them(ada: TestClient, database: Path) -> None:
    ada.post("/study/participants", data={"code": "P-01"})
    new = {"consent": "shared", "attributes": {"sex": "female", "shoe_size": "41"}}
    refused = ada.put(API, json=new)
    assert refused.status_code == 409
    assert "has given no consent that stands" in refused.json()["detail"]
    consented(ada)
    assert ada.get(API).json() == {"consent": "none", "attributes": {}}
    assert ada.put(API, json=new).json() == new
    assert ada.get(API).json() == new
    assert ada.put(API, json=new | {"attributes": {"sex": "f"}}).status_code == 409
    assert ada.put(API, json=new | {"consent": "all"}).status_code == 422
    assert ada.get(API.replace("P-01", "nobody")).status_code == 409
    assert query(database, TOLD) == [("sex", "female"), ("shoe_size", "41")]


def test_an_export_that_waits_goes_when_less_is_to_be_shared(ada: TestClient) -> None:
    consented(ada)
    made = ada.post("/api/v1/exports", json={"format": "bundle"}).json()
    assert ada.get(f"/api/v1/exports/{made['id']}").status_code == 200
    ada.post(PAGE, data={"use": "none"})
    assert ada.get(f"/api/v1/exports/{made['id']}").status_code == 404
