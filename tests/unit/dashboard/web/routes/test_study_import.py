"""Importing a study on a page: what is sent, what the preview asks, what is saved and undone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from tests.support.dashboard import another_browser, client_of, log_in_as, services_of, set_up
from tests.support.timeline import query

PAGE = "/study/import"
STATED = {"purpose": "research", "text_version": "v1", "given_at": "2026-01-01T10:00"}
PERSONS = "id,hr_neutral,hr_anger,loud\n" + "".join(
    f"P{number:02},{60 + number},{70 + 2 * number},{number}\n" for number in range(1, 13)
)
SESSIONS = (
    "session,participant,purpose,setting,start_at,end_at\n"
    "1,A1,research,laboratory,2026-02-01T10:00:00Z,2026-02-01T10:30:00Z\n"
)
READINGS = (
    "at,kind,value,unit,source,flags\n2026-02-01T10:01:00Z,heart_rate,71,/min,strap,\n"
    "2026-02-01T10:02:00Z,heart_rate,73,/min,strap,\n"
)


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who is logged in."""
    client = set_up(client_of(tmp_path), tmp_path)
    yield client
    services_of(client).protocol_runner.close()


@pytest.fixture
def database(tmp_path: Path, ada: TestClient) -> Path:
    """The timeline."""
    del ada
    return DashboardOptions(data=tmp_path).database


def zipped(**tables: str) -> bytes:
    """A zip of tables."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, text in tables.items():
            archive.writestr(f"{name}.csv", text)
    return written.getvalue()


def sent(client: TestClient, *files: tuple[str, bytes | str]) -> str:
    """Send files; return the address of their preview."""
    answer = client.post(PAGE, files=[("files", one) for one in files], follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def posted(client: TestClient, address: str, data: dict[str, str] | None = None) -> str:
    """Send a form; return the page to which it leads."""
    return client.post(address, data=data, follow_redirects=True).text


def test_table_of_persons_is_previewed_imported_and_undone(ada: TestClient, database: Path) -> None:
    address = sent(ada, ("twelve.csv", PERSONS))
    first = ada.get(address).text
    assert "12 persons" in first
    assert "Import this study" not in first  # the table says neither consent nor purpose
    assert "Import this study" in ada.get(address, params=STATED).text
    assert query(database, "SELECT count(*) FROM session") == [(0,)]
    imported = posted(ada, address, STATED)
    assert "twelve.csv (times made up) was imported: 12 sessions" in imported
    assert query(database, "SELECT count(*), sum(value) FROM vital") == [(24, 1794.0)]
    assert "12 sessions" in ada.get("/analysis").text
    assert "is undone" in posted(ada, f"{PAGE}/undo/1")
    assert query(database, "SELECT count(*) FROM participant") == [(0,)]


def test_columns_of_a_table_get_the_meaning_that_is_typed(ada: TestClient, database: Path) -> None:
    address = sent(ada, ("twelve.csv", PERSONS))
    typed = STATED | {"column loud": "film 2:hr", "column hr_neutral": ""}
    assert "loud is film 2, heart_rate" in ada.get(address, params=typed).text
    ada.post(address, data=typed)
    labels = query(database, "SELECT DISTINCT label FROM marker ORDER BY label")
    assert labels == [("anger",), ("film 2",)]
    wrong = ada.get(address, params=typed | {"column loud": "film"})
    assert "410" in str(wrong.status_code)  # what was imported is not kept


def test_wrong_meaning_is_named_and_nothing_saved(ada: TestClient, database: Path) -> None:
    address = sent(ada, ("twelve.csv", PERSONS))
    answer = ada.post(address, data=STATED | {"column loud": "film"})
    assert answer.status_code == 422
    assert "Column loud" in answer.text
    assert query(database, "SELECT count(*) FROM session") == [(0,)]


@pytest.mark.parametrize("folder", ["", "lab/"])
def test_tables_of_a_zip_or_folder_are_imported(
    ada: TestClient, database: Path, folder: str
) -> None:
    files: list[tuple[str, bytes | str]] = [
        (f"{folder}session.csv", SESSIONS), (f"{folder}vital.csv", READINGS)
    ]  # fmt: skip
    if not folder:
        files = [("lab.zip", zipped(session=SESSIONS, vital=READINGS))]
    address = sent(ada, *files)
    stated = {"text_version": "v1", "given_at": "2026-01-01T10:00"}
    assert "lab.zip was imported: 1 session" in posted(ada, address, stated)
    assert query(database, "SELECT value FROM vital ORDER BY at") == [(71.0,), (73.0,)]


def test_study_without_consent_names_the_field_and_is_not_saved(
    ada: TestClient, database: Path
) -> None:
    address = sent(ada, ("lab.zip", zipped(session=SESSIONS, vital=READINGS)))
    answer = ada.post(address)
    assert "nothing can be imported yet" in answer.text
    assert "the field “Consent text”" in answer.text
    assert "--" not in answer.text.partition("<main")[2].replace("<!--", "").replace("-->", "")
    assert query(database, "SELECT count(*) FROM participant") == [(0,)]


def test_study_without_time_zone_names_the_field_that_gives_one(
    ada: TestClient, database: Path
) -> None:
    local = {
        name: text.replace("2026-02-01T", "2026-02-01 ").replace("00Z", "00")
        for name, text in (("session", SESSIONS), ("vital", READINGS))
    }
    address = sent(ada, ("lab.zip", zipped(**local)))
    asked = ada.get(address, params=STATED).text
    assert "or name the zone of the file (the field “Time zone”)" in asked
    assert 'id="zone" name="zone"' in asked
    wrong = ada.post(address, data=STATED | {"zone": "Berlin"})
    assert (wrong.status_code, "Berlin is no known time zone" in wrong.text) == (422, True)
    given = STATED | {"zone": "Europe/Berlin"}
    assert "Import this study" in ada.get(address, params=given).text
    assert "lab.zip was imported: 1 session" in posted(ada, address, given)
    assert query(database, "SELECT started FROM session") == [(1_769_936_400_000,)]


def test_live_page_without_an_agent_leads_to_the_import(ada: TestClient) -> None:
    assert '<a href="/study/import">import it</a>' in ada.get("/live").text


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("wide.xlsx", b"", "wide.xlsx: is an Excel file. Save it as CSV UTF-8."),
        (
            "skin.csv",
            b"id,skin_temp_neutral,skin_temp_anger\nP00,91.0,90.2\nP01,91.1,90.3\n",
            "In \N{DEGREE SIGN}F they would be possible",
        ),
        (
            "long.csv",
            b"id,film,heart_rate\nP00,rest,61\nP00,anger,66\nP01,rest,71\nP01,anger,75\n",
            "has a row for each person and state: the state stands in column film.",
        ),
    ],
)
def test_file_that_cannot_be_a_study_is_refused_with_the_cause(
    ada: TestClient, name: str, content: bytes, words: str
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    address = sent(ada, (name, content or packed.getvalue()))
    assert words in ada.get(address).text


def test_file_that_is_no_study_is_refused_by_its_name(ada: TestClient) -> None:
    answer = ada.get(sent(ada, ("films.zip", b"no zip")))
    assert "films.zip: is no folder and no zip" in answer.text
    assert "sent-" not in answer.text.replace(answer.request.url.path, "")
    nothing = ada.post(PAGE, files={"files": ("", b"")})
    assert nothing.status_code == 422
    assert "Choose a file first" in nothing.text


@pytest.mark.parametrize(("name", "content"), [("t.csv", PERSONS), ("t.zip", b"PK")])
def test_study_of_somebody_else_is_gone(ada: TestClient, name: str, content: bytes | str) -> None:
    address = sent(ada, (name, content))
    eve = log_in_as(another_browser(ada), Role.RESEARCHER, "eve")
    assert eve.get(address, params=STATED).status_code == 410
    viewer = log_in_as(another_browser(ada), Role.VIEWER, "vera")
    assert viewer.get(PAGE).status_code == 403


def test_study_that_waits_shows_its_place_asks_again_and_may_leave(
    ada: TestClient, tmp_path: Path
) -> None:
    address = sent(ada, ("lab.zip", zipped(session=SESSIONS, vital=READINGS)))
    waiting = [one.name for one in (tmp_path / "exports").iterdir()]
    with services_of(ada).commands._turns.asked_by("somebody"):
        page = ada.get(address)
        assert page.status_code == 200
        assert "Before this one: 1." in page.text
        assert '<meta http-equiv="refresh" content="5">' in page.text
        refused = ada.post(address, data=STATED)
        assert refused.status_code == 422 and "Before this one: 1." in refused.text
        assert "refresh" not in refused.text, "a form that was sent is not sent again by itself"
        assert "<title>Import" in posted(ada, f"{address}/leave")
    assert waiting and list((tmp_path / "exports").iterdir()) == []
    assert ada.get(address).status_code == 410
