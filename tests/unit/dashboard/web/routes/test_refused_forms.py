"""Refused forms: what was typed stays, and the problem stands beside its field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.dashboard import NAME, add_session, another_browser, client_of, set_up
from tests.support.timeline import timeline

PASSWORD = "not to be shown again"
SESSION = {"participant": "P-01", "purpose": "research", "setting": "other", "name": "films A"}
GOOD = "Kraniche ziehen 47 nach Sueden"
BROKER = {"host": "broker.example", "port": "1883", "username": "edge"}
ATTRIBUTES = {"use": "here", "medication": "none", "others": "handedness=left"}
STANDING_HOURS = {"end": "21:00", "purpose": "personal", "setting": "home", "days": "2"}
STANDING = STANDING_HOURS | {"agreed": "yes", "text_version": "standing 1"}
RANGE = {"start": "2001-09-09T01:46", "end": "2001-09-09T01:47"}
TOKEN = {"name": "watch", "scope": "readings", "role": "operator", "days": "90"}


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A dashboard of which nothing changes, for it refuses."""
    folder = tmp_path_factory.mktemp("refusing")
    timeline(folder)
    with client_of(folder) as client:
        yield with_two_people(set_up(client, folder), folder / DATABASE_NAME)


@pytest.fixture
def page_of(ada: TestClient, database: Path) -> TestClient:
    return with_two_people(ada, database)


def with_two_people(client: TestClient, database: Path) -> TestClient:
    """Make a session of P-01, who has consented, and P-02, who has not."""
    add_session(database)
    client.post("/study/participants", data={"code": "P-02"})
    return client


@pytest.mark.parametrize(
    ("action", "typed", "field", "why"),
    [
        ("/study/sessions", SESSION | {"participant": ""}, "participant", "Choose a participant"),
        ("/study/sessions", SESSION | {"purpose": "fun"}, "purpose", "Unknown purpose 'fun'"),
        ("/study/sessions", SESSION | {"setting": "work"}, "setting", ""),
        ("/study/sessions", SESSION | {"name": "a\tb"}, "name", "printable characters"),
        ("/study/sessions", SESSION | {"protocol": "gone"}, "protocol", "no protocol 'gone'"),
        ("/study/participants", {"code": "Ada Lovelace"}, "code", "Never use a name"),
        ("/study/participants/P-02/consent", {}, "agreed", "Tick the box"),
        ("/study/participants/P-01/erase", {"typed": "P-10"}, "typed", "You typed P-10"),
        ("/study/participants/P-01/attributes", ATTRIBUTES | {"use": ""}, "use", "agreed to"),
        (
            "/study/participants/P-01/attributes",
            ATTRIBUTES | {"others": "left-handed"},
            "others",
            "write name=value",
        ),
        ("/study/participants/P-01/standing", STANDING | {"start": "8"}, "start", "no time of day"),
        ("/study/sessions/1/markers", {"after": "soon", "label": "x"}, "after", "4:05"),
        (
            "/study/sessions/1/markers",
            {"after": "0:01", "kind": "stimulus_start", "label": ""},
            "label",
            "give a label",
        ),
        (
            "/study/sessions/1/exclusions",
            {"start": "0:01", "end": "soon", "reason": "phone"},
            "end",
            "4:05",
        ),
        ("/study/sessions/1/exclusions", {"reason": " "}, "reason", "Give a reason"),
        ("/readings/by-hand", {"heart_rate": "fast", "note": "tea"}, "heart_rate", "not a number"),
        ("/accounts", {"name": NAME, "role": "operator"}, "name", "already exists"),
        ("/accounts", {"name": "", "role": "operator"}, "name", "1 to 40 printable"),
        ("/accounts", {"name": "bo", "role": "viewer", "password": "short"}, "password", "must"),
        ("/tokens", TOKEN | {"name": ""}, "name", "1 to"),
        ("/tokens", {"name": "watch", "role": "viewer", "days": "0"}, "scope", "at least one"),
        ("/account/password", {"old": "x", "new": "a", "again": "b"}, "again", "differ"),
        ("/account/password", {"old": "x", "new": "a", "again": "a"}, "new", "10 to 200"),
        ("/account/password", {"old": "x", "new": GOOD, "again": GOOD}, "old", "is wrong"),
        ("/account/second-factor", {"password": "x"}, "password", "is wrong"),
        ("/first-steps/account", {"name": NAME, "role": "viewer"}, "name", "already exists"),
        ("/first-steps/broker", BROKER | {"port": "70000"}, "port", "65535"),
        ("/plan/preregistrations", {"people": "few", "stopping": "in June"}, "people", "integer"),
        ("/export", RANGE | {"end": "2001-09-09T01:46"}, "end", "after the start"),
        ("/export", RANGE, "start", "Nothing was"),
        ("/export", {"session": "1", "passphrase": "abc"}, "passphrase", "10 to 1000"),
    ],
)
def test_a_refused_form_keeps_what_was_typed_and_says_why_beside_the_field(
    refusing: TestClient, action: str, typed: dict[str, str], field: str, why: str
) -> None:
    answer = refusing.post(action, data=typed)
    assert 400 <= answer.status_code < 500
    form = form_in(answer.text, action)
    assert why in unescape(problem_beside(form, field))
    for name, value in typed.items():
        if name in {"password", "old", "new", "again", "passphrase"}:
            assert value not in re.findall(r'value="([^"]*)"', form)
        elif not (name in {"participant", "purpose", "setting", "protocol"} and name == field):
            assert is_kept(form, name, value), f"{name} = {value}"


def test_the_plan_says_beside_its_field_what_cannot_be(ada: TestClient) -> None:
    page = ada.get("/plan", params={"difference": "5", "sd": "-1", "tests": "many"}).text
    assert "greater than 0" in problem_beside(page, "sd")
    assert "integer" in problem_beside(page, "tests")
    assert is_kept(page, "difference", "5") and is_kept(page, "sd", "-1")


@pytest.mark.parametrize("path", ["/audit", "/alerts"])
def test_a_log_says_that_a_reversed_range_has_no_rows(ada: TestClient, path: str) -> None:
    page = ada.get(path, params={"start": 2_000, "end": 1_000}).text
    assert "must be after the start" in problem_beside(page, "end")


def test_setup_keeps_code_and_name_and_no_password(stranger: TestClient) -> None:
    browser = another_browser(stranger)
    typed = {"code": "AAAA-BBBB-CCCC", "name": "ada", "password": PASSWORD}
    page = browser.post("/setup", data=typed).text
    assert problem_beside(page, "code") and PASSWORD not in page
    assert is_kept(page, "code", typed["code"]) and is_kept(page, "name", "ada")


def test_a_wrong_setting_is_reported_at_its_key_and_others_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "affect-edge.toml"
    file.write_text("[camera]\nfps = 5.0\n", encoding="utf-8")
    with client_of(tmp_path / "data", config=file) as client:
        set_up(client, tmp_path / "data")
        digest = client.get("/api/v1/settings").json()["digest"]
        typed = {"digest": digest, "camera.fps": "900", "camera.width": "800"}
        page = client.post("/settings", data=typed).text
    assert "camera.fps = 900" in problem_beside(page, "camera.fps")
    assert is_kept(page, "camera.fps", "900") and is_kept(page, "camera.width", "800")


def test_settings_without_a_file_are_read_only_and_say_what_to_do(ada: TestClient) -> None:
    page = ada.get("/settings").text
    fields = re.findall(r'<(?:input id|select|textarea)[^>]* name="[^"]+\.[^"]+"[^>]*>', page)
    assert fields and all(" disabled" in one for one in fields)
    assert "no configuration file" in page and "--config FILE" in page


def test_participants_whom_a_session_cannot_have_are_named(page_of: TestClient) -> None:
    for page in ("/study", "/live"):
        text = page_of.get(page).text
        assert "1 participant without valid consent is not offered: P-02." in text
        assert '<select id="participant" name="participant" required aria-describedby="others"' in (
            text
        )


def test_a_form_that_the_page_no_longer_shows_still_says_why(page_of: TestClient) -> None:
    page_of.post("/study/sessions", data=SESSION)
    again = page_of.post("/study/sessions", data=SESSION, headers={"Accept-Language": "de"})
    assert again.status_code == 409
    since = r"<time [^>]*>\d\d\.\d\d\.20\d\d, \d\d:\d\d UTC</time>"
    assert re.search(f"ist seit dem {since} offen", again.text)


def test_a_passphrase_has_to_be_typed_again_after_another_mistake(ada: TestClient) -> None:
    sent = {"start": "2000000000000", "end": "1000000000000", "passphrase": "five words are enough"}
    form = form_in(ada.post("/export", data=sent).text, "/export")
    assert "Enter the passphrase again" in problem_beside(form, "passphrase")
    assert "<details open>" in form


def test_a_preview_uses_the_time_zone_of_the_browser(ada: TestClient) -> None:
    text = b"time,heart rate (1/min)\n2026-11-20 08:00,70\n"
    zone, file = {"zone": "Europe/Berlin"}, {"file": ("watch.csv", text)}
    look = ada.post("/readings/import", data=zone, files=file).headers["location"]
    page = ada.get(look).text
    assert "All of these rows are valid" in page and 'datetime="2026-11-20T07:00' in page
    wrong = ada.get(f"{look.partition('?')[0]}?dates=iso&zone=Nowhere&column_at=time").text
    assert "no known time zone" in problem_beside(wrong, "zone")
    assert is_kept(wrong, "zone", "Nowhere")


def form_in(page: str, action: str) -> str:
    """Return the form of a page that was sent to an address; the one with a problem."""
    forms = re.findall(rf'<form[^>]* action="{re.escape(action)}".*?</form>', page, re.S)
    return str(next(one for one in forms if "-problem" in one))


def problem_beside(page: str, field: str) -> str:
    """Return the problem that a wrong field is tied to."""
    wrong = re.search(
        rf'<(?:input|select|textarea|fieldset)[^>]*aria-describedby="[^"]*\b{re.escape(field)}'
        r'-problem" aria-invalid="true"',
        page,
    )
    assert wrong, f"{field} is not marked"
    told = re.findall(rf'<p class="field-problem" id="{re.escape(field)}-problem">(.*?)</p>', page)
    assert len(told) == 1, f"{field}: {told}"
    return str(told[0])


def is_kept(page: str, name: str, value: str) -> bool:
    """Tell whether a field of a page holds a value."""
    marked = [
        rf'<input[^>]* name="{name}"[^>]* value="{re.escape(value)}"',
        rf'<input[^>]* value="{re.escape(value)}"[^>]* name="{name}"',
        rf'<textarea[^>]* name="{name}"[^>]*>{re.escape(value)}</textarea>',
        (
            rf'<select[^>]* name="{name}"[^>]*>(?:(?!</select>).)*?'
            rf'<option value="{re.escape(value)}"[^>]* selected'
        ),
    ]
    if name in {"scope", "session"}:
        marked = [rf'name="{name}" value="{value}" checked']
    page = unescape(page)
    return not value or any(re.search(one, page, re.S) for one in marked)
