"""Addresses of an experiment: its files with headers for a frame, and what its page sends."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role
from dashboard.protocols.experiments import key_of
from dashboard.web.options import DashboardOptions
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.core.errors import StoreError
from edge_agent.timeline.gate.commands import Commands
from tests.support.dashboard import another_browser, client_of, log_in_as, services_of, set_up
from tests.support.timeline import query

TEXT = """title = "Task"
[[step]]
kind = "stimulus"
label = "task"
experiment = "task.zip"
[[step]]
kind = "stimulus"
label = "joy"
picture = "a.png"
seconds = 9
"""


def _packed(**files: bytes) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_", "."), content)
    return whole.getvalue()


PREVIEW = re.compile(r"data-preview='([^']*)'")
TASK = _packed(index_html=b"<p>Task", a_js=b"1")


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "task.toml").write_text(TEXT, encoding="utf-8")
    (folder / "task.zip").write_bytes(TASK)
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(20))
    client = set_up(client_of(tmp_path / "data", protocols=folder), tmp_path / "data")
    client.post("/study/participants", data={"code": "P-1"})
    agreed = {"agreed": "yes", "text_version": CONSENT_VERSION}
    client.post("/study/participants/P-1/consent", data=agreed)
    yield client
    services_of(client).protocol_runner.close()


def _begun(client: TestClient) -> str:
    """Begin a session with the protocol; return the token of the participant's page."""
    form = {"participant": "P-1", "purpose": "research", "protocol": "task"}
    client.post("/study/sessions", data=form)
    path: str = client.get("/api/v1/protocol").json()["participant_path"]
    token = path.rpartition("/")[2]
    assert services_of(client).protocol_runner.join(token)
    client.post(f"{path}/ready", json={})
    client.post("/api/v1/protocol/go")
    return token


def test_files_of_an_experiment_need_their_key_and_have_no_origin(ada: TestClient) -> None:
    token = _begun(ada)
    somebody = another_browser(ada)
    address = f"/participate/experiment/{key_of(token)}/0"
    page = somebody.get(f"{address}/index.html")
    assert (page.text, page.headers["content-type"]) == ("<p>Task", "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"].split("; ")
    assert "sandbox allow-scripts allow-forms" in policy
    assert {"default-src 'none'", "frame-ancestors 'self'", "form-action 'none'"} <= set(policy)
    assert page.headers["cross-origin-resource-policy"] == "cross-origin"
    assert page.headers["access-control-allow-origin"] == "null"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert "jsPsychExtensionAffectEdge" in somebody.get(f"{address}/affect-edge.js").text
    for wrong in (
        f"{address}/b.js",
        f"{address}/../../../../etc/passwd",
        f"/participate/experiment/{key_of(token)}/1/index.html",
        f"/participate/experiment/{key_of(token)}/9/index.html",
        f"/participate/experiment/{token}/0/index.html",
        "/participate/experiment/ü/0/index.html",
        f"/participate/{token}/media/0",
    ):
        assert somebody.get(wrong).status_code == 404, wrong
    ada.post("/api/v1/protocol/end")
    assert somebody.get(f"{address}/index.html").status_code == 404


def test_answers_of_an_experiment_are_stored_and_wrong_ones_refused(
    ada: TestClient, tmp_path: Path
) -> None:
    token = _begun(ada)
    address = f"/participate/{token}/experiment"
    trial = {"step": 0, "trial": "0 html", "lasted_ms": 9, "data": {"rt": "431.5", "key": None}}
    assert ada.post(address, json=trial).status_code == 204
    lost = {"step": 0, "lost": ["shape"], "trouble": "img-src: https://a.example/"}
    assert ada.post(address, json=lost).status_code == 204
    reports = ada.get("/api/v1/protocol").json()["reports"]
    assert [one.partition(": ")[2] for one in reports] == ["shape", "img-src: https://a.example/"]
    for wrong in ({"a b": "1"}, {"a": "x" * 2001}, {"a": 1}, {f"a{n}": "" for n in range(101)}):
        assert ada.post(address, json=trial | {"data": wrong}).status_code == 422
    assert ada.post(address, json={"step": 0, "marker": "x" * 81}).status_code == 422
    ada.post(f"/participate/{token}/ended", json={"step": 0})
    path = DashboardOptions(data=tmp_path / "data").database
    rows = "SELECT kind, condition, question, wording, value, turn FROM trial ORDER BY id"
    assert query(path, rows) == [
        ("experiment", "task", "rt", "0 html", "431.5", 1),
        ("experiment", "task", "key", "0 html", None, 1),
        ("stimulus", "task", "", "", None, 1),
    ]
    session = query(path, "SELECT id FROM session")[0][0]
    shown = ada.get(f"/study/sessions/{session}/timing").text
    assert "Experiments gave 2 values" in shown and "0 html" not in shown


def test_answers_that_waited_for_the_database_are_stored_in_portions(
    ada: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: object, **_named: object) -> bool:
        raise StoreError("the database is locked")

    token = _begun(ada)
    trial = {"step": 0, "marker": "go\n", "data": {f"a{n}": "1" for n in range(100)}}
    with monkeypatch.context() as locked:
        locked.setattr(Commands, "save_protocol", fail)
        for _ in range(12):
            assert ada.post(f"/participate/{token}/experiment", json=trial).status_code == 204
    services_of(ada).protocol_runner.close()
    path = DashboardOptions(data=tmp_path / "data").database
    assert query(path, "SELECT count(*) FROM trial WHERE kind = 'experiment'") == [(1200,)]
    labels = "SELECT count(*) FROM marker WHERE label = 'experiment: go'"
    assert query(path, labels) == [(12,)]


def test_experiment_is_brought_by_an_administrator_alone(ada: TestClient) -> None:
    name = ada.post("/protocols/task/copy").headers["location"].rpartition("/")[2]
    upload = f"/api/v1/protocols/upload?file=b.zip&to={name}"
    researcher = log_in_as(ada, Role.RESEARCHER)
    refused = researcher.post(upload, content=TASK)
    assert (refused.status_code, "Ask an administrator" in refused.text) == (400, True)
    brought = ada.post(upload, content=TASK).json()
    assert (brought["name"], len(brought["notices"])) == ("b.zip", 1)
    assert "localStorage" in brought["notices"][0]


def test_experiment_whose_page_names_a_far_script_is_brought_with_a_notice(ada: TestClient) -> None:
    name = ada.post("/protocols/task/copy").headers["location"].rpartition("/")[2]
    far = _packed(index_html=b"<script src='https://cdn.example/jspsych.js'></script>")
    brought = ada.post(f"/api/v1/protocols/upload?file=b.zip&to={name}", content=far).json()
    assert brought["notices"][1].startswith("b.zip: index.html loads https://cdn.example/")
    page = ada.get(f"/protocols/{name}").text
    assert "b.zip: index.html loads https://cdn.example/" in page and "localStorage" in page
    assert "localStorage" not in ada.get("/protocols/three-conditions").text


def test_preview_serves_an_experiment_as_a_session_does(ada: TestClient) -> None:
    shown = json.loads(html.unescape(PREVIEW.findall(ada.get("/protocols/task/preview/0").text)[0]))
    somebody = another_browser(ada)
    page = somebody.get(shown["page"])
    in_session = f"/participate/experiment/{key_of(_begun(ada))}/0"
    assert page.text == "<p>Task"
    assert dict(page.headers) == dict(somebody.get(f"{in_session}/index.html").headers)
    folder, key = shown["page"].removesuffix("/index.html"), shown["page"].split("/")[3]
    assert "jsPsychExtensionAffectEdge" in somebody.get(f"{folder}/affect-edge.js").text
    for wrong in (
        f"{folder}/b.js",
        f"/participate/preview/{key}/task/1/a.png",
        f"/participate/preview/{key}/other/0/index.html",
        "/participate/preview/ü/task/0/index.html",
    ):
        assert somebody.get(wrong).status_code == 404, wrong
