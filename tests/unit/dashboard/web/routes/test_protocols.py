"""Protocols in the browser: made, brought, changed, looked at and taken away again."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.web.options import DashboardOptions
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.timeline.database.dashboard_file import own_folder
from tests.support.dashboard import client_of, log_in_as, set_up
from tests.support.timeline import query

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
FILM = """title = "Film"
[[step]]
kind = "stimulus"
label = "joy"
picture = "b.png"
seconds = 3
[[step]]
kind = "report"
scales = ["valence", "arousal"]
"""


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as client:
        yield set_up(client, tmp_path)


def _zip(**files: str | bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return packed.getvalue()


def _brought(client: TestClient) -> str:
    answer = client.post(
        "/api/v1/protocols/upload?file=film.zip", content=_zip(film_toml=FILM, b_png=PNG)
    )
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["name"]
    return f"/protocols/{name}"


def _was(client: TestClient, address: str) -> str:
    found = re.search(r'name="was" value="(\w+)"', client.get(address).text)
    assert found is not None
    return found[1]


def _toml(client: TestClient, address: str) -> str:
    page = client.get(address).text
    return unescape(page.partition('translate="no">')[2] and page.rpartition("</textarea>")[0])


def test_protocol_is_made_filled_and_looked_at(ada: TestClient) -> None:
    made = ada.post("/protocols/new", data={"title": "Three films"})
    address = made.headers["location"]
    assert (made.status_code, address) == (303, "/protocols/Three-films")
    form = {
        "was": _was(ada, address),
        "name": "tension",
        "ask": "How tense?",
        "low": "not at all",
        "high": "very",
        "required": "true",
    }
    added = ada.post(f"{address}/add?kind=slider", data=form)
    assert added.headers["location"] == f"{address}#steps-end"
    page = ada.get(address).text
    assert "How tense?" in page
    assert re.search(r'href="/protocol" aria-current="\w+"', page), "the menu says where this is"
    shown = unescape(ada.get(f"{address}/preview/1").text)
    assert '"kind":"slider"' in shown
    head = {"title": "Films", "order": "random", "blocks": "given", "was": _was(ada, address)}
    assert ada.post(f"{address}/head", data=head).status_code == 303
    listed = {one["name"]: one["title"] for one in ada.get("/api/v1/protocols").json()}
    assert listed["Three-films"] == "Films"


def test_new_stimulus_has_no_example_text_where_there_are_files(ada: TestClient) -> None:
    made = ada.post("/protocols/new", data={"title": "Texts"}, follow_redirects=False)
    address = made.headers["location"].partition("#")[0]
    text = "Think of a moment in which you were truly happy."
    assert text in ada.get(f"{address}/add?kind=stimulus").text
    film = _brought(ada)
    assert text not in ada.get(f"{film}/add?kind=stimulus").text
    added = ada.post(
        f"{film}/add?kind=stimulus",
        data={"was": _was(ada, f"{film}/add?kind=stimulus"), "label": "calm", "picture": "b.png",
              "seconds": "4", "text": "", "video": "", "sound": "", "experiment": "", "block": ""},
    )  # fmt: skip
    assert 'label = "calm"' in _toml(ada, film), added.text


def test_form_of_a_question_says_what_its_name_may_have(ada: TestClient) -> None:
    page = ada.get(f"{_brought(ada)}/add?kind=slider").text
    assert "in the data: a letter, then letters, digits and _" in page
    assert 'pattern="[A-Za-z][A-Za-z0-9_]{0,39}"' in page


def test_protocol_leads_to_where_a_session_starts_with_it(ada: TestClient) -> None:
    address = _brought(ada)
    place = ada.post("/study/participants", data={"code": ""}).headers["location"]
    agreed = {"agreed": "yes", "text_version": CONSENT_VERSION}
    ada.post(f"/study/participants/{place.split('/')[3]}/consent", data=agreed)
    name = address.rpartition("/")[2]
    link = f"/study?protocol={name}"
    assert f'href="{link}#session-title">Start a session' in ada.get(address).text
    assert f'<option value="{name}" selected translate="no">' in ada.get(link).text


def test_protocol_that_is_brought_shows_its_media_and_is_downloaded(ada: TestClient) -> None:
    address = _brought(ada)
    assert ada.get(f"{address}/preview/media/0").content == PNG
    assert ada.get(f"{address}/preview/media/0").headers["content-type"] == "image/png"
    assert ada.get(f"{address}/preview/media/1").status_code == 404
    assert ada.get(f"{address}/preview/3").status_code == 404
    with zipfile.ZipFile(io.BytesIO(ada.get(f"{address}/download").content)) as archive:
        assert sorted(archive.namelist()) == ["b.png", "film.toml"]
        assert archive.read("film.toml").decode() == FILM


def test_experiment_of_before_with_a_file_twice_says_what_to_do(
    ada: TestClient, tmp_path: Path
) -> None:
    address = _brought(ada)
    packed = _zip(index_html="old", indeX_html="new").replace(b"indeX", b"index")
    folder = next(own_folder(tmp_path).rglob("film.toml")).parent
    (folder / "task.zip").write_bytes(packed)
    page = " ".join(unescape(ada.get(address).text).split())
    assert "index.html is in task.zip twice; participants see the last one. Pack the" in page


def test_steps_are_moved_changed_and_removed(ada: TestClient) -> None:
    address = _brought(ada)
    move = {"place": "0", "target": "1", "was": _was(ada, address)}
    moved = ada.post(f"{address}/move", data=move)
    assert moved.headers["location"] == f"{address}#step-2"
    change = {"scales": ["valence"], "block": "", "was": _was(ada, address)}
    assert ada.post(f"{address}/steps/0", data=change).status_code == 303
    assert "scales = [&#34;valence&#34;]" in ada.get(address).text
    drop = {"place": "0", "was": _was(ada, address)}
    assert ada.post(f"{address}/drop", data=drop).status_code == 303
    assert ada.get(f"{address}/steps/1").status_code == 404
    refused = ada.post(f"{address}/drop", data=drop | {"was": _was(ada, address)})
    assert (refused.status_code, "needs a step" in refused.text) == (400, True)


def test_step_is_added_between_two_where_the_plus_stands(ada: TestClient) -> None:
    address = _brought(ada)
    assert f'href="{address}?at=1#steps-end"' in ada.get(address).text
    assert '<input type="hidden" name="at" value="1">' in ada.get(f"{address}?at=1").text
    assert f'action="{address}/add?kind=rest&amp;at=1"' in ada.get(
        f"{address}/add?kind=rest&at=1"
    ).text.replace("&at", "&amp;at")
    form = {"seconds": "5", "was": _was(ada, address)}
    added = ada.post(f"{address}/add?kind=rest&at=1", data=form)
    assert added.headers["location"] == f"{address}#step-2"
    assert _kinds(ada, address) == ["stimulus", "rest", "report"]


THREE_FILMS = (
    FILM
    + """[[step]]
kind = "stimulus"
label = "calm"
picture = "b.png"
seconds = 3
[[step]]
kind = "stimulus"
label = "fear"
picture = "b.png"
seconds = 3
"""
)


def _kinds(client: TestClient, address: str) -> list[str]:
    return re.findall(r'<li id="step-\d+" data-kind="(\w+)"', client.get(address).text)


def _three_films(client: TestClient) -> str:
    files = _zip(film_toml=THREE_FILMS, b_png=PNG)
    answer = client.post("/api/v1/protocols/upload?file=film.zip", content=files)
    return f"/protocols/{answer.json()['name']}"


def test_step_is_copied_behind_itself_by_its_button(ada: TestClient) -> None:
    address = _brought(ada)
    assert "Copy this step" in ada.get(f"{address}/steps/1").text
    form = {"step": "1", "behind": "1", "was": _was(ada, address)}
    copied = ada.post(f"{address}/repeat", data=form)
    assert (copied.status_code, copied.headers["location"]) == (303, f"{address}#step-3")
    assert _kinds(ada, address) == ["stimulus", "report", "report"]
    stale = ada.post(f"{address}/repeat", data=form)
    assert "Somebody has changed this protocol" in stale.text
    for gone in ({"step": "9"}, {"behind": "9"}):
        refused = ada.post(f"{address}/repeat", data=form | gone | {"was": _was(ada, address)})
        assert "There is no such step any more" in refused.text


def test_ratings_are_put_behind_each_film_by_one_form(ada: TestClient) -> None:
    address = _three_films(ada)
    slider = {"name": "tension", "ask": "How tense?", "low": "not", "high": "very"}
    ada.post(f"{address}/add?kind=slider", data=slider | {"was": _was(ada, address)})
    move = {"place": "4", "target": "2", "was": _was(ada, address)}
    ada.post(f"{address}/move", data=move)
    ticks = r'<input type="checkbox" form="copies" name="step" value="(\d)"'
    assert re.findall(ticks, ada.get(address).text) == [*"01234"]
    form = {"step": ["1", "2"], "behind": "stimuli", "was": _was(ada, address)}
    copied = ada.post(f"{address}/repeat", data=form)
    assert copied.headers["location"] == f"{address}#step-5"
    assert _kinds(ada, address) == ["stimulus", "report", "slider"] * 3
    again = ada.post(f"{address}/repeat", data=form | {"was": _was(ada, address)})
    assert again.status_code == 400
    assert "Every stimulus has these steps already" in again.text
    assert _toml(ada, address).count("with_stimulus = true") == 6
    ticked = re.findall(rf"{ticks}[^>]* checked", again.text)
    assert ticked == ["1", "2"], "what was ticked stays ticked"


def test_orders_that_part_a_film_from_its_ratings_are_warned_of(ada: TestClient) -> None:
    address = _three_films(ada)
    warning = "comes behind another one, and these lack it: joy"
    assert warning not in ada.get(address).text
    head = {"title": "Films", "order": "random", "blocks": "given", "was": _was(ada, address)}
    ada.post(f"{address}/head", data=head)
    assert warning in unescape(ada.get(address).text)
    assert ada.post(f"{address}/keep", data={"was": _was(ada, address)}).status_code == 303
    assert warning not in ada.get(address).text
    assert _toml(ada, address).count("with_stimulus = true") == 1
    form = ada.get(f"{address}/add?kind=slider").text
    assert 'name="with_stimulus" value="true" checked' in form, "the last step is a film"
    drop = {"place": "0", "was": _was(ada, address)}
    assert ada.post(f"{address}/drop", data=drop).status_code == 303
    assert _kinds(ada, address) == ["stimulus", "stimulus"], "its rating goes with it"


def test_copy_without_a_ticked_step_says_to_tick_one(ada: TestClient) -> None:
    address = _three_films(ada)
    form = {"behind": "stimuli", "was": _was(ada, address)}
    refused = ada.post(f"{address}/repeat", data=form)
    assert refused.status_code == 400
    assert "Tick the steps to copy" in refused.text


def test_step_that_is_wrong_is_shown_again_with_what_was_typed(ada: TestClient) -> None:
    address = _brought(ada)
    form = {"label": "joy", "seconds": "0", "picture": "b.png", "was": _was(ada, address)}
    answer = ada.post(f"{address}/steps/0", data=form)
    assert answer.status_code == 400
    assert "film.toml, line 6: step 1, seconds = 0" in unescape(answer.text)
    assert 'name="seconds" inputmode="decimal" value="0"' in answer.text
    stale = ada.post(f"{address}/steps/0", data=form | {"seconds": "4", "was": "0" * 64})
    assert "Somebody has changed this protocol" in stale.text


def test_upload_that_is_wrong_is_reported_with_its_line(ada: TestClient, tmp_path: Path) -> None:
    answer = ada.post("/api/v1/protocols/upload?file=a.toml", content=b"title = 3")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("a.toml, line 1: title = 3")
    name = _brought(ada).rpartition("/")[2]
    answer = ada.post(f"/api/v1/protocols/upload?file=a.svg&to={name}", content=b"<svg>")
    assert "is no picture, sound, video or experiment" in answer.json()["detail"]
    answer = ada.post(f"/api/v1/protocols/upload?file=c.png&to={name}", content=PNG)
    assert answer.json() == {"name": "c.png", "notices": []}
    kept = own_folder(tmp_path) / "protocols"
    assert sorted(path.name for path in kept.iterdir()) == [name]


def test_corrected_file_replaces_the_first_where_it_is_asked(ada: TestClient) -> None:
    address = _brought(ada)
    upload = f"/api/v1/protocols/upload?file=b.png&to={address.rpartition('/')[2]}"
    corrected = PNG + b"corrected"
    assert ada.post(upload, content=corrected).json()["name"] == "b-2.png"
    assert ada.post(f"{upload}&replace=true", content=corrected).json()["name"] == "b.png"
    assert ada.get(f"{address}/preview/media/0").content == corrected


def test_file_is_removed_unless_a_step_shows_it(ada: TestClient) -> None:
    address = _brought(ada)
    upload = f"/api/v1/protocols/upload?file=c.png&to={address.rpartition('/')[2]}"
    ada.post(upload, content=PNG)
    assert 'aria-label="Remove c.png"' in ada.get(address).text
    assert ada.post(f"{address}/media/drop", data={"file": "c.png"}).status_code == 303
    refused = ada.post(f"{address}/media/drop", data={"file": "b.png"})
    assert "the protocol names this file" in refused.text
    page = ada.get(address).text
    assert "b.png" in page and "c.png" not in page
    other_way = FILM.replace('"b.png"', '"./b.png"')
    ada.post(f"{address}/text", data={"text": other_way, "was": _was(ada, address)})
    refused = ada.post(f"{address}/media/drop", data={"file": "b.png"})
    assert "the protocol names this file" in refused.text
    outside = ada.post(f"{address}/media/drop", data={"file": "../film/b.png"})
    assert "is not here any more" in outside.text


def test_shipped_example_is_copied_to_be_changed(ada: TestClient) -> None:
    address = "/protocols/three-conditions"
    assert "Copy it to change it." in ada.get(address).text
    head = {"title": "x", "order": "given", "blocks": "given", "was": "0"}
    assert ada.post(f"{address}/head", data=head).status_code == 400
    copied = ada.post(f"{address}/copy").headers["location"]
    assert copied == f"{address}-2"
    assert ada.post(f"{copied}/remove").headers["location"] == "/protocols"
    assert ada.get(copied).status_code == 404


def test_operator_looks_at_protocols_and_changes_none(ada: TestClient) -> None:
    address = _brought(ada)
    eve = log_in_as(ada, Role.OPERATOR)
    page = eve.get(address).text
    assert "Preview" in page and 'name="was"' not in page
    assert eve.get(f"{address}/preview/0").status_code == 200
    assert eve.get(f"{address}/steps/0").status_code == 403
    assert eve.post("/api/v1/protocols/upload?file=a.toml", content=b"").status_code == 403


def test_changes_of_protocols_stand_in_the_audit_trail(ada: TestClient, tmp_path: Path) -> None:
    _brought(ada)
    path = DashboardOptions(data=tmp_path).database
    lines = query(path, "SELECT detail FROM audit WHERE action = 'protocol_change'")
    assert lines == [("film",)]
