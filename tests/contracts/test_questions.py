"""Every question of the register: page, API and command give one answer, a bundle has its table."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from affect_edge import cli
from dashboard.computing.answers import analysis_files
from dashboard.questions.entry import Documented, Inquiry, Question, Way, nowhere
from dashboard.questions.register import QUESTIONS
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.rows import ExportChoice
from edge_agent.timeline.export.table_schemas import COMPUTED
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.docs.pages import text_of
from tests.support.dashboard import client_of, set_up
from tools.write_questions import written

OF = pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
OF_SAMPLE = pytest.mark.parametrize(
    "question",
    [one for one in QUESTIONS if one.has(Way.PAGE) and one.has(Way.API)],
    ids=lambda one: one.name,
)
NEEDED = {
    Way.PAGE: ("sheet", "basis", "fields", "documented"),
    Way.API: ("about",),
    Way.COMMAND: ("report", "listed", "documented"),
    Way.BUNDLE: ("part", "tables"),
}
"""Parts of an entry that each way needs."""
ARGUMENTS = {"week": ("SIM-01",)}
"""What a command of a question needs."""
FILLED = {"code": "SIM-01", "number": "1"}
"""What stands in the paths of questions that have their own."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the example study of a demonstration."""
    made = tmp_path_factory.mktemp("example")
    migrate(made / DATABASE_NAME)
    seed_example_study(made / DATABASE_NAME, SimulatedPerson, seed=2026)
    with closing(sqlite3.connect(made / DATABASE_NAME)) as connection, connection:
        # A second source of a vital, which the question of the sensors compares with the first.
        connection.execute(
            "INSERT INTO vital (at, kind, source, value, flags) SELECT at, kind, 'camera_pulse', "
            "value + 2, 'estimated simulated' FROM vital WHERE kind = 'heart_rate'"
        )
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with client_of(folder) as client:
        yield set_up(client, folder)


def ask_in_terminal(folder: Path, question: Question, *more: str) -> str:
    words = [question.command_name, *ARGUMENTS.get(question.name, ()), "--data", str(folder), *more]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@OF_SAMPLE
def test_question_of_page_api_and_command_is_answered_alike(
    client: TestClient, folder: Path, question: Question
) -> None:
    address = f"/{question.name}"
    page = client.get(address)
    assert page.status_code == 200
    answered: dict[str, Any] = client.get(f"/api/v1{address}").json()
    assert answered == json.loads(ask_in_terminal(folder, question, "--json"))
    assert answered == json.loads(question.model.model_validate(answered).model_dump_json())
    sheet = question.sheet(Inquiry((("", folder / DATABASE_NAME),), question.query()))
    assert json.loads(sheet.response.model_dump_json()) == answered
    assert len(ask_in_terminal(folder, question).splitlines()) > 5


@OF_SAMPLE
def test_question_that_is_wrong_is_refused_by_page_and_api(
    client: TestClient, question: Question
) -> None:
    for address in (f"/{question.name}", f"/api/v1/{question.name}"):
        refused = client.get(address, params={"sample": "nobody"})
        assert refused.status_code == 422
        assert "nobody" in refused.text


@pytest.mark.parametrize("name", [*(one.name for one in QUESTIONS if one.has(Way.API)), "export"])
def test_address_of_too_many_sessions_is_refused_as_described(
    client: TestClient, name: str
) -> None:
    address = f"/api/v1/{name}"
    described = client.get("/api/v1/openapi.json").json()["paths"][address]["get"]["parameters"]
    (session,) = (one["schema"] for one in described if one["name"] == "session")
    most = session.get("maxItems") or session["anyOf"][0]["maxItems"]
    refused = client.get(address, params={"session": range(1, most + 2)})
    assert refused.status_code == 422
    assert refused.json()["type"].endswith("invalid-value")
    assert "session" in refused.json()["detail"]
    # as the server reads them, with room for headers
    assert len(f"&session={10**6}") * most <= 16_000


@OF
def test_question_has_each_way_or_a_reason_for_its_own(
    client: TestClient, question: Question
) -> None:
    for way in Way:
        lacking = [
            name
            for name in NEEDED[way]
            if getattr(question, name) in (nowhere, "", (), Documented())
        ]
        own = question.own_way(way)
        if own is None:
            assert not lacking, f"{way}: {lacking}"
            continue
        assert own.why and not own.why.endswith(".")
        if way in (Way.PAGE, Way.API):
            assert client.get(own.where.format(**FILLED)).status_code == 200


@OF
def test_command_of_a_question_answers_in_text_and_as_its_model(
    folder: Path, question: Question
) -> None:
    answered = ask_in_terminal(folder, question, "--json")
    assert json.loads(answered) == json.loads(
        question.model.model_validate_json(answered).model_dump_json()
    )
    assert ask_in_terminal(folder, question).strip()


@OF
def test_question_has_its_link_command_and_table(folder: Path, question: Question) -> None:
    assert bool(question.title) == bool(question.position)
    if question.has(Way.API):
        assert f"/api/v1/{question.name}" in text_of("docs/api.md") + text_of("docs/statistics.md")
    if not question.has(Way.BUNDLE):
        return
    sites = (("", folder / DATABASE_NAME),)
    tables = analysis_files(sites, {"states": ["neutral", "anger"]}, ExportChoice(), ())
    table = f"{question.name}.csv"
    assert table in tables, f"no {table}: what does `part` of {question.name} return?"
    lines = tables[table].splitlines()
    heads = lines[0].split(",")
    assert len(heads) > 3
    assert len(lines) > 1, f"{table} has no row: what does `part` of {question.name} write?"
    # What the bundle says of the columns: it knows no dashboard.
    assert [column.name for column in COMPUTED[question.name]] == heads


def test_refusals_of_questions_are_texts_that_can_be_translated() -> None:
    plain = [
        f"{path.parent.name}/{path.name}:{node.lineno}"
        for path in Path("dashboard/questions").glob("*/answer.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "ValueError"
        and not ast.unparse(node.args[0]).startswith("Message(")
    ]
    assert not plain, "raise ValueError(Message(N_(...), ...))"


def test_files_that_follow_from_the_questions_are_as_they_are_written() -> None:
    for path, text in written():
        assert path.read_text(encoding="utf-8") == text, f"{path}: make write"


def test_bundle_has_the_charts_of_the_pages_as_figures(client: TestClient, folder: Path) -> None:
    sites = (("", folder / DATABASE_NAME),)
    files = analysis_files(sites, {"states": ["neutral", "anger"]}, ExportChoice(), ())
    drawn = {Path(name).stem for name in files if name.endswith(".svg")}
    for address in ("/analysis?states=neutral&states=anger&whole=yes", "/responses"):
        on_page = set(
            re.findall(r'<figure class="chart[^"]*" id="([\w-]+)"', client.get(address).text)
        )
        assert on_page and on_page <= drawn
        assert {f"{name}-narrow" for name in on_page} <= drawn
    told = files["figures/means-heart-rate.svg"]
    assert "example study" in told and "simulated" in told
