"""The settings in a browser: shown without secrets, checked like the file, written whole."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.configuration import changes_of, read_present, typed
from edge_agent.config.editing import rules_of
from edge_agent.config.keys import key_named
from tests.support.dashboard import client_of, set_up

SHIPPED = Path(__file__).parents[6] / "config" / "affect-edge.toml"
SECRET = 'password = "very secret"'
RULE = {"name": "hr", "when": "vital", "vital": "heart_rate", "above": 120, "seconds": 5}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "affect-edge.toml"
    shutil.copyfile(SHIPPED, path)
    text = path.read_text(encoding="utf-8").replace('# password = "…" ', f"{SECRET} ")
    path.write_text(text, encoding="utf-8")
    assert SECRET in text
    return path


@pytest.fixture
def ada(file: Path, tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path / "data", config=file) as client:
        yield set_up(client, tmp_path / "data")


def form_of(page: str) -> dict[str, str]:
    """Return what a browser would send of the form of a page, nothing typed."""
    sent = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    sent |= dict(re.findall(r'<input id="[^"]+" name="([^"]+)" value="([^"]*)"', page))
    for name, body in re.findall(r'<select[^>]* name="([^"]+)">(.*?)</select>', page, re.S):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)<', body)
        sent[name] = (chosen[1] or chosen[2]) if chosen else ""
    for name, body in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', page):
        sent[name] = body
    return {name: unescape(value) for name, value in sent.items()}


def test_every_setting_is_shown_with_its_source_and_no_secret(ada: TestClient, file: Path) -> None:
    page = ada.get("/settings")
    rest = ada.get("/settings/file")
    told = ada.get("/api/v1/settings")
    assert "very secret" not in page.text + rest.text + told.text
    assert "set, not shown" in rest.text and str(file) in page.text
    keys = {one["name"].partition(".")[2] for one in told.json()["settings"]}
    assert keys - {"rule"} <= set(re.findall(r"<code[^>]*>([\w.]+)</code>", page.text + rest.text))
    assert "The dashboard cannot write" not in page.text
    by_name = {one["name"]: one for one in told.json()["settings"]}
    fps = by_name["camera.fps"]
    assert (fps["value"], fps["default"], fps["source"]) == (15.0, 15.0, "file")
    assert fps["line"] and fps["editable"] and fps["read_by"] == ["affect-edge-agent"]
    assert by_name["mqtt.password"]["value"] is True and not by_name["mqtt.password"]["editable"]
    assert by_name["vision.face_score"]["source"] == "default"
    assert [rule["name"] for rule in told.json()["rules"]] == ["agent", "camera", "disk", "backup"]
    assert len(page.content) < 80_000


def test_a_change_is_shown_checked_written_and_audited(ada: TestClient, file: Path) -> None:
    before = file.read_text(encoding="utf-8")
    sent = form_of(ada.get("/settings").text)
    same = ada.post("/settings", data=sent)
    assert same.status_code == 422 and "Nothing was changed." in same.text
    sent |= {"camera.fps": "10", "alerts.sound": "on", "vision.face_score": "0.55"}
    review = ada.post("/settings", data=sent)
    assert review.status_code == 200, review.text
    shown = unescape(review.text)
    assert "+fps = 10 " in shown and "-fps = 15.0" in shown
    assert "sudo systemctl restart affect-edge-agent affect-edge-dashboard" in shown
    assert file.read_text(encoding="utf-8") == before, "nothing was written yet"
    saved = ada.post("/settings/save", data=form_of(review.text))
    assert saved.status_code == 303
    page = ada.get(saved.headers["location"]).text
    assert "affect-edge.toml.before" in page
    assert "sudo systemctl restart affect-edge-agent affect-edge-dashboard" in page
    text = file.read_text(encoding="utf-8")
    assert "# frames per second asked of the camera" in text and SECRET in text
    assert file.with_name("affect-edge.toml.before").read_text(encoding="utf-8") == before
    line = ada.get("/api/v1/audit?action=settings_change").json()["lines"][0]
    assert (line["actor"], "camera.fps = 10" in line["detail"]) == ("ada", True)
    again = ada.post("/settings/save", data=form_of(review.text))
    assert again.status_code == 409 and "was changed in the meantime" in again.text


def test_programs_do_the_same_and_a_stale_change_is_refused(ada: TestClient, file: Path) -> None:
    digest = ada.get("/api/v1/settings").json()["digest"]
    wanted = {"digest": digest, "changes": {"camera.fps": 5.0, "alerts.rule": [RULE]}}
    seen = ada.post("/api/v1/settings/difference", json=wanted).json()
    assert seen["copy_of_before"] == "" and any("+fps = 5.0" in one for one in seen["difference"])
    assert ada.patch("/api/v1/settings", json=wanted).status_code == 200
    assert ada.patch("/api/v1/settings", json=wanted).status_code == 409
    digest = ada.get("/api/v1/settings").json()["digest"]
    refused: dict[str, object] = {
        "mqtt.password": "x",
        "data.folder": "/",
        "camera.colour": 1,
        "camera.fps": {"a": [None]},
        "alerts.rule": [RULE, RULE],
    }
    for name, value in refused.items():
        answer = ada.patch("/api/v1/settings", json={"digest": digest, "changes": {name: value}})
        assert answer.status_code == 422, name
        assert name in answer.text or "two rules are called 'hr'" in answer.text
    assert ada.post("/settings/save", data={"changes": "{"}).status_code == 422
    assert rules_of(file.read_text(encoding="utf-8")) == [RULE]


def test_what_the_environment_decides_is_reported_and_not_changed(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFECT_EDGE_CAMERA__FPS", "7")
    page = ada.get("/settings").text
    assert "Set by the environment variable <code>AFFECT_EDGE_CAMERA__FPS</code>: 7.0" in page
    digest = ada.get("/api/v1/settings").json()["digest"]
    wanted = {"digest": digest, "changes": {"camera.fps": 5.0}}
    assert "AFFECT_EDGE_CAMERA__FPS" in ada.patch("/api/v1/settings", json=wanted).json()["detail"]


def test_where_the_file_belongs_to_the_system_the_command_is_reported(
    ada: TestClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.web.configuration.editing.can_be_written", lambda _: False)
    before = file.read_text(encoding="utf-8")
    page = ada.get("/settings").text
    assert "The dashboard cannot write this file" in page
    sent = form_of(page) | {"camera.fps": "10"}
    review = unescape(ada.post("/settings", data=sent).text)
    assert f"sudo affect-edge config set --config {file} camera.fps=10" in review
    assert "Save</button>" not in review
    wanted = {"digest": sent["digest"], "changes": {"camera.fps": 10}}
    answer = ada.patch("/api/v1/settings", json=wanted)
    assert answer.status_code == 409 and "config set" in answer.json()["detail"]
    assert file.read_text(encoding="utf-8") == before


def test_a_file_that_is_wrong_or_missing_is_reported(ada: TestClient, file: Path) -> None:
    file.write_text("[camera]\nfps = 1000\n", encoding="utf-8")
    page = ada.get("/settings").text
    assert "less than or equal to 120" in page
    digest = ada.get("/api/v1/settings").json()["digest"]
    mended = ada.patch("/api/v1/settings", json={"digest": digest, "changes": {"camera.fps": 9}})
    assert mended.status_code == 200, "a wrong value can be mended here"
    file.write_text("[camera\n", encoding="utf-8")
    page = ada.get("/settings").text
    assert "is not valid TOML" in page and "Show what would change" not in page
    file.unlink()
    assert "no such file" in ada.get("/settings").text
    refused = ada.patch("/api/v1/settings", json={"digest": "", "changes": {"camera.fps": 9}})
    assert refused.status_code == 422


def test_fields_are_read_as_they_are_meant() -> None:
    def read(name: str, text: str) -> object:
        key = key_named(name)
        assert key is not None
        return typed(key, text)

    assert read("camera.fps", "10") == 10 and read("camera.fps", "7.5") == 7.5
    assert read("camera.fps", "fast") == "fast" and read("camera.rotate", "90") == 90
    assert read("alerts.sound", "on") is True and read("alerts.sound", "") is None
    assert read("vitals.prefer_sources", "strap\r\n\r\n cuff ") == ["strap", "cuff"]
    assert changes_of(read_present(None), {"camera.fps": " "}) == {}
    assert json.dumps(read("alerts.quiet_from", "22:00")) == '"22:00"'


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("dashboard.port", True, "dashboard.port: give a number, not True."),
        ("mqtt.enabled", "true", "mqtt.enabled: give true or false, not 'true'."),
    ],
)
def test_a_program_gives_numbers_and_switches_as_json_has_them(
    ada: TestClient, file: Path, key: str, value: object, said: str
) -> None:
    before = file.read_bytes()
    digest = ada.get("/api/v1/settings").json()["digest"]
    answer = ada.patch("/api/v1/settings", json={"digest": digest, "changes": {key: value}})
    assert (answer.status_code, answer.json()["detail"]) == (422, said)
    assert file.read_bytes() == before
