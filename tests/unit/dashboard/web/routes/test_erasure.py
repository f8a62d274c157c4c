"""Withdrawing and erasing in the dashboard: the code is typed once more, and what was erased is
said.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.copies import PLACE_MARK, copy_to_second_place
from tests.support.dashboard import (
    add_session,
    another_browser,
    client_of,
    fill,
    log_in_as,
    services_of,
    set_up,
)
from tests.support.erasure import hold
from tests.support.person_everywhere import words_left
from tests.support.timeline import query

ERASE = "/study/participants/P-01/erase"


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who is logged in."""
    client = set_up(client_of(tmp_path), tmp_path)
    yield client
    services_of(client).protocol_runner.close()


@pytest.fixture
def database(tmp_path: Path, ada: TestClient) -> Path:
    """A timeline with a session of ten minutes of P-01."""
    path = DashboardOptions(data=tmp_path).database
    fill(path)
    add_session(path)
    return path


def test_nobody_is_erased_whose_code_was_not_typed(ada: TestClient, database: Path) -> None:
    for typed in ("", "P-02", "P-0", "P-01 P-01"):
        answer = ada.post(ERASE, data={"typed": typed})
        assert answer.status_code == 409
        assert "not P-01. Nothing was erased." in answer.text
    assert query(database, "SELECT code FROM participant") == [("P-01",)]
    assert ada.get("/study/participants/nobody/erase").status_code == 404
    assert ada.post("/study/participants/nobody/erase", data={"typed": "nobody"}).status_code == 404


def test_an_open_session_must_be_ended_first(ada: TestClient, database: Path) -> None:
    Study(database).start_session(NewSession("P-01", Purpose.RESEARCH))
    assert "A session of P-01 is open" in ada.get(ERASE).text
    answer = ada.post(ERASE, data={"typed": "P-01"})
    assert (answer.status_code, "End it, or withdraw the consent" in answer.text) == (409, True)


def test_the_page_says_what_will_be_gone_and_afterwards_what_is(
    ada: TestClient, database: Path
) -> None:
    page = ada.get(ERASE).text
    assert "<dt>Sessions</dt><dd>1</dd>" in page
    assert 'href="/study/participants/P-01/erase"' in ada.get("/study/participants/P-01").text
    told = {"consent": "here", "attributes": {"sex": "female"}}
    assert ada.put("/api/v1/participants/P-01/attributes", json=told).status_code == 200
    answer = ada.post(ERASE, data={"typed": " p-01 "})
    assert answer.status_code == 200
    assert "The participant is erased." in answer.text
    assert "<dt>Sessions</dt><dd>1</dd>" in answer.text
    assert "P-01" not in answer.text
    assert query(database, "SELECT count(*) FROM participant") == [(0,)]
    actor, detail = query(
        database, "SELECT actor, detail FROM audit WHERE action = 'participant_erase'"
    )[0]
    assert (actor, detail) == ("ada", "1 sessions")


def test_a_withdrawal_ends_the_session_at_once(ada: TestClient, database: Path) -> None:
    Study(database).start_session(NewSession("P-01", Purpose.RESEARCH))
    answer = ada.post("/study/participants/P-01/withdraw")
    assert (answer.status_code, answer.headers["location"]) == (303, ERASE)
    assert Study(database).open_session() is None
    page = ada.get(ERASE).text
    assert "The consent was withdrawn" in page
    assert "Erase permanently" in page


def test_the_page_of_the_last_protocol_forgets_who_was_erased(
    ada: TestClient, database: Path
) -> None:
    form = {"participant": "P-01", "purpose": "research", "protocol": "three-conditions"}
    assert ada.post("/study/sessions", data=form).headers["location"] == "/protocol"
    assert "P-01" in ada.get("/protocol").text
    ada.post("/study/participants/P-01/withdraw")
    assert ada.post(ERASE, data={"typed": "P-01"}).status_code == 200
    assert "P-01" not in ada.get("/protocol").text
    assert query(database, "SELECT count(*) FROM protocol_run") == [(0,)]


def test_person_of_many_pages_is_in_no_file_after_the_button(
    ada: TestClient, tmp_path: Path
) -> None:
    code, address, name = "Zq-Wombat7", "quokka.relative@example.org", "Zq-name of a session"
    words = {code, address, name, "Zq-by hand", "Zq-left out", "Zq-attribute"}
    database = DashboardOptions(data=tmp_path).database
    migrate(database)
    hold(database, code, 0, name=name, note="Zq-by hand")
    person = f"/api/v1/participants/{code}"
    carla = log_in_as(ada, Role.CARER, "carla")
    number = next(one.id for one in services_of(ada).members.all() if one.name == "carla")
    told = {"consent": "here", "attributes": {"spoken": "Zq-attribute"}}
    letter = {"addresses": [address], "every": "week", "language": "en", "text_version": "letter 2"}
    for answer in (
        ada.post(f"/accounts/{number}/people", data={"people": [code]}),
        ada.put(f"{person}/letter", json=letter),
        ada.put(f"{person}/attributes", json=told),
        ada.post("/api/v1/sessions/1/exclusions", json={"reason": "Zq-left out"}),
        ada.get(f"/study/participants/{code}"),
        carla.get(f"{person}/week"),
        ada.post("/api/v1/exports", json={"participant": code, "format": "json"}),
    ):
        assert answer.status_code < 400, answer.text
    another_browser(ada).post("/login", data={"name": code, "password": code})
    assert set().union(*words_left(tmp_path, words).values()) == words
    answer = ada.post(f"/study/participants/{code}/erase", data={"typed": code})
    assert "The participant is erased." in answer.text
    assert words_left(tmp_path, words) == {}


def test_copies_that_could_not_be_reached_are_reported(ada: TestClient, database: Path) -> None:
    stick = database.parent / "stick"
    stick.mkdir()
    (stick / PLACE_MARK).touch()
    copy_to_second_place(database, stick, "lab")
    stick.rename(database.parent / "pulled out")
    answer = ada.post(ERASE, data={"typed": "P-01"})
    assert answer.status_code == 200
    assert f"The copies in {stick / 'lab'} could not be reached" in answer.text
    assert "its log or the copies beside it" in answer.text


def test_what_could_not_be_done_is_reported_and_not_that_all_is_erased(
    ada: TestClient, database: Path
) -> None:
    exports = database.parent / "exports"
    if exports.exists():
        exports.rmdir()
    exports.symlink_to(database.parent)
    answer = ada.post(ERASE, data={"typed": "P-01"})
    assert answer.status_code == 200
    assert "The participant is gone from the database, but not everywhere." in answer.text
    assert f"{exports}: is a link" in answer.text
    assert "The participant is erased." not in answer.text
    assert query(database, "SELECT count(*) FROM participant") == [(0,)]
