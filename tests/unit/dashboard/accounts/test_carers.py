"""Carers: the week and the trends of the people on their list, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.carers import Carers
from dashboard.accounts.passwords import AccountError
from dashboard.accounts.roles import Role
from edge_agent.timeline.gate.commands import Commands
from tests.support.dashboard import NAME, log_in_as, services_of
from tests.support.timeline import query, query_dashboard, timeline

HOUR = 3_600_000


@pytest.fixture
def carers(ada: TestClient, tmp_path: Path) -> Carers:
    """Return the lists, beside three people with a session each."""
    timeline(
        tmp_path,
        participant=[{"id": n, "code": f"P-0{n}", "created": 1_000 + n} for n in (1, 2, 3)],
        session=[
            {
                "id": n,
                "participant": n,
                "started": 1_790_000_000_000 + n * HOUR,
                "ended": 1_790_000_600_000 + n * HOUR,
                "purpose": "personal",
                "setting": "home",
            }
            for n in (1, 2, 3)
        ],
    )
    return services_of(ada).carers


def number_of(ada: TestClient, name: str = "carer") -> int:
    return services_of(ada).members.find(name).id


def give(ada: TestClient, *codes: str) -> None:
    data = {"people": list(codes)}
    answer = ada.post(f"/accounts/{number_of(ada)}/people", data=data)
    assert answer.status_code == 303, answer.text


def test_carer_with_two_people_sees_their_weeks_and_trends(ada: TestClient, carers: Carers) -> None:
    carer = log_in_as(ada, Role.CARER)
    give(ada, "P-01", "p-02")
    assert carer.get("/").headers["location"] == "/people"
    people = carer.get("/api/v1/people").json()
    assert [one["code"] for one in people] == ["P-02", "P-01"]
    page = carer.get("/people").text
    assert page.count('<span class="badge">not recorded for ') == 2
    assert "2 people were not recorded in the last 7 days:" in page
    links = re.findall(r'/participants/(P-0\d)/days" translate', page)
    assert links == ["P-01", "P-02"] * 2, "whom nobody recorded longest, in the sentence and below"
    assert "heart rate" not in carer.get("/people", headers={"Accept-Language": "de"}).text
    assert "P-01" in page and "P-02" in page and "P-03" not in page
    for code in ("P-01", "P-02"):
        assert carer.get(f"/study/participants/{code}/days").status_code == 200
        assert carer.get(f"/api/v1/participants/{code}/days").json()["participant"] == code
        assert carer.get(f"/trends?participant={code}").status_code == 200
        assert carer.get(f"/api/v1/participants/{code}/standing").status_code == 200
    assert carer.get("/trends?session=2&range=24h").status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/study/participants/P-03/days",
        "/api/v1/participants/P-03/days",
        "/api/v1/participants/P-03/standing",
        "/trends?participant=P-03",
        "/trends?session=3",
        "/trends?participant=P-01&session=3",
        "/api/v1/trends/chart?start=0&end=1000&participant=P-03",
    ],
)
def test_carer_asking_for_others_learns_not_even_that_they_are_there(
    ada: TestClient, carers: Carers, address: str
) -> None:
    carer = log_in_as(ada, Role.CARER)
    give(ada, "P-01")
    refused = carer.get(address)
    nobody = carer.get(address.replace("P-03", "P-99").replace("session=3", "session=99"))
    assert (refused.status_code, nobody.status_code) == (404, 404)
    told = refused.text.replace("P-03", "P-99").replace("= 3", "= 99")
    without_times = [re.sub(r'data-now="\d+"', "", text) for text in (told, nobody.text)]
    assert without_times[0] == without_times[1]


def test_carer_sees_no_trends_of_everybody_and_no_other_page(
    ada: TestClient, carers: Carers
) -> None:
    carer = log_in_as(ada, Role.CARER)
    give(ada, "P-01")
    for address in ("/trends", "/api/v1/trends/chart/now?length=1000"):
        answer = carer.get(address)
        assert answer.status_code == 403 and "one person" in answer.text
    for address in ("/live", "/health", "/alerts", "/study", "/analysis", "/export", "/accounts"):
        refused = carer.get(address)
        assert refused.status_code == 403 and 'class="button" href="/people"' in refused.text
    page = carer.get("/study/participants/P-01/days").text
    assert set(re.findall(r'<li[^>]*><a href="(/\w+)"', page)) == {"/people"}


def test_carer_of_one_person_lands_on_the_week(ada: TestClient, carers: Carers) -> None:
    carer = log_in_as(ada, Role.CARER)
    assert "Nobody is on your list" in carer.get("/people").text
    give(ada, "P-02")
    landing = carer.get("/people")
    assert (landing.status_code, landing.headers["location"]) == (
        303,
        "/study/participants/P-02/days",
    )


def test_list_of_a_carer_is_in_the_audit_trail_without_the_erased(
    ada: TestClient, carers: Carers, tmp_path: Path
) -> None:
    log_in_as(ada, Role.CARER)
    give(ada, "P-01", "P-02")
    give(ada, "P-02")
    lines = "SELECT action, detail FROM audit WHERE action LIKE 'account_person%' ORDER BY id"
    path = tmp_path / "affect-edge.db"
    assert query(path, lines) == [
        ("account_person_give", "P-01 to carer"),
        ("account_person_give", "P-02 to carer"),
        ("account_person_take", "P-01 from carer"),
    ]
    Commands(path).erase_participant("P-02", actor=NAME)
    assert ("account_person_give", "(erased) to carer") in query(path, lines)


def test_code_given_again_after_an_erasure_is_not_on_the_list(
    ada: TestClient, carers: Carers, tmp_path: Path
) -> None:
    carer = log_in_as(ada, Role.CARER)
    give(ada, "P-01", "P-02")
    path = tmp_path / "affect-edge.db"
    commands = Commands(path)
    commands.erase_participant("P-02", actor=NAME)
    commands.create_participant("P-02", actor=NAME)
    assert carer.get("/study/participants/P-02/days").status_code == 404
    assert query_dashboard(path, "SELECT code FROM carer_person") == [("P-01",)]


def test_only_a_carer_is_given_people_and_only_those_there_are(
    ada: TestClient, carers: Carers
) -> None:
    log_in_as(ada, Role.VIEWER)
    log_in_as(ada, Role.CARER)
    with pytest.raises(AccountError, match="viewer is viewer: only a carer"):
        carers.give(number_of(ada, "viewer"), ["P-01"], NAME)
    give(ada, "P-01")
    with pytest.raises(AccountError, match="no participant 'P-77'"):
        carers.give(number_of(ada), ["P-02", "P-77"], NAME)
    assert [one.code for one in carers.people_of(number_of(ada))] == ["P-01"]


def test_role_taken_away_leaves_no_access(ada: TestClient, carers: Carers) -> None:
    carer = log_in_as(ada, Role.CARER)
    give(ada, "P-01")
    ada.post(f"/accounts/{number_of(ada)}/role", data={"role": "viewer"})
    assert carer.get("/study/participants/P-01/days").status_code == 403
    ada.post(f"/accounts/{number_of(ada)}/role", data={"role": "carer"})
    assert carers.people_of(number_of(ada)) == []
