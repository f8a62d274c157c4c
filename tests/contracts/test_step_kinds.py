"""Every kind of step of a protocol: its example, documents, form, preview, answers and words."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.languages.current import available, speaking
from dashboard.languages.names import translate
from dashboard.protocols.controls import fields_of
from dashboard.protocols.file import load_protocol
from dashboard.protocols.screens import screens_of
from dashboard.protocols.steps import STEP_KINDS, ScreenKind, StepKind, keys_of
from dashboard.web.delivery import STATIC
from edge_agent.core.study import QuestionKind
from edge_agent.timeline.database.tables import TIMELINE
from tests.support.dashboard import client_of, set_up

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocols.md"
PAGE = Path(__file__).resolve().parents[2] / "dashboard/web/templates/participate.html"
KINDS = pytest.mark.parametrize("kind", STEP_KINDS, ids=lambda kind: kind.name)


def _file(folder: Path, kind: StepKind) -> Path:
    path = folder / f"{kind.name}.toml"
    path.write_text(f'title = "One"\n[[step]]\n{kind.example}', encoding="utf-8")
    return path


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    with client_of(tmp_path) as client:
        yield set_up(client, tmp_path)


@KINDS
def test_step_example_is_one_of_its_kind_and_has_screens(kind: StepKind, tmp_path: Path) -> None:
    protocol = load_protocol(_file(tmp_path, kind))
    (step,) = protocol.steps
    assert type(step) is kind.model
    screens = screens_of(protocol)
    assert screens and all(one.step == 1 and one.title for one in screens)


@KINDS
def test_step_document_names_every_key(kind: StepKind) -> None:
    (row,) = re.findall(rf"^\| `{kind.name}` \|.*$", DOCUMENT.read_text(encoding="utf-8"), re.M)
    keys = set(keys_of(kind.model)) - {"kind", "block"}
    assert keys <= set(re.findall(r"`(\w+)`", row))


@KINDS
def test_step_answers_are_in_a_table_that_is_exported(kind: StepKind, tmp_path: Path) -> None:
    screens = screens_of(load_protocol(_file(tmp_path, kind)))
    asks = any(one.kind in {ScreenKind.SCALE, ScreenKind.QUESTION} for one in screens)
    assert asks == bool(kind.answers)
    if kind.answers:
        assert next(one for one in TIMELINE if one.name == kind.answers).title


@pytest.mark.parametrize("kind", ScreenKind)
def test_screen_has_a_part_of_the_participants_page(kind: ScreenKind) -> None:
    assert f'id="screen-{kind.section}"' in PAGE.read_text(encoding="utf-8")


@KINDS
def test_step_is_reported_in_every_language(kind: StepKind) -> None:
    words = (kind.title, kind.says, *(field.title for field in fields_of(kind)))
    for code in available():
        with speaking(code):
            said = [translate(word) for word in words]
        if code != "en":
            # Words that are the same in two languages are short.
            assert [one for one in said if one in words and len(one) > 12] == []


@KINDS
def test_step_is_added_by_its_form_changed_and_previewed(kind: StepKind, ada: TestClient) -> None:
    address = ada.post("/protocols/new", data={"title": "One"}).headers["location"]
    form = _form_of(ada.get(f"{address}/add?kind={kind.name}").text)
    assert set(form) - {"was"} >= {
        field.key for field in fields_of(kind) if field.control not in {"switch", "media"}
    }
    assert ada.post(f"{address}/add?kind={kind.name}", data=form).status_code == 303
    defaults = json.loads(json.dumps({field.key: field.default for field in fields_of(kind)}))
    example = tomllib.loads(kind.example)
    changed = _form_of(ada.get(f"{address}/steps/1").text)
    assert ada.post(f"{address}/steps/1", data=changed).status_code == 303
    text = unescape(ada.get(address).text.rpartition("</textarea>")[0].rpartition(">")[2])
    # What is the default need not be written.
    (_, step) = tomllib.loads(text)["step"]
    assert defaults | step == defaults | example
    assert ada.get(f"{address}/preview/1").status_code == 200


def test_step_of_a_question_is_drawn_and_no_other_is() -> None:
    script = (STATIC / "js" / "participate.js").read_text(encoding="utf-8")
    drawn = script.partition("const ANSWERS = {")[2].partition("\n};")[0]
    assert set(re.findall(r"^  (\w+): ", drawn, re.M)) == set(QuestionKind)


def test_step_with_a_question_is_one_of_the_kinds_of_questions() -> None:
    assert {kind.name for kind in STEP_KINDS if kind.answers == "trial"} == set(QuestionKind)


def _form_of(page: str) -> dict[str, list[str]]:
    """Return what a browser sends of the form of a step."""
    form = page.partition('<form class="card stack-tight form-columns"')[2].partition("</form>")[0]
    sent: dict[str, list[str]] = {}
    for name, text in re.findall(r'<textarea [^>]*name="(\w+)"[^>]*>(.*?)</textarea>', form, re.S):
        sent[name] = [unescape(text)]
    for field in re.findall(r"<input [^>]*>", form):
        name = re.search(r'name="(\w+)"', field)
        value = re.search(r'value="([^"]*)"', field)
        if name and value and ('type="checkbox"' not in field or " checked" in field):
            sent.setdefault(name[1], []).append(unescape(value[1]))
    return sent
