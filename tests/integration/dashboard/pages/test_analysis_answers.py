"""The answers of the page Analysis, of its API and of its command, over a real database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.__main__ import main as dashboard
from dashboard.analysis.rendering.tables import groups_of
from dashboard.analysis.results import AnalysisModel
from edge_agent.core.study import AttributeUse
from edge_agent.timeline.study.people import agree_to_attributes
from tests.support.dashboard import client_of, set_up
from tests.support.studies import FOUR_PEOPLE, add_session, heart, make_study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_study(tmp_path, FOUR_PEOPLE)
    return tmp_path


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with client_of(folder) as browser:
        yield set_up(browser, folder)


def text_of(client: TestClient, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    return re.sub(r"\s+", " ", unescape(answer.text))


def test_the_page_answers_first_and_leaves_out_what_nobody_measured(
    client: TestClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = text_of(client, "/analysis?whole=yes")
    answer, _, review = page.partition(">For a review<")
    assert "Heart rate was 5.8 /min higher in anger than in neutral (Holm p" in answer
    assert "2 of 3 tests show a difference after Holm’s adjustment:" in answer
    assert "could not be computed" not in page
    not_measured = (
        "Not measured in these sessions, so there is no test: systolic pressure and diastolic "
        "pressure."
    )
    assert page.count(not_measured) == 1
    assert "Systolic pressure" not in review
    for words in ([], ["--full"]):
        assert dashboard(["analyse", "--data", str(folder), *words]) == 0
        shown = re.sub(r"\s+", " ", capsys.readouterr().out)
        assert shown.count(not_measured) == 1 and "Systolic pressure" not in shown
    whole = client.get("/api/v1/analysis").json()
    assert (whole["not_measured_sentence"], len(whole["comparisons"])) == (not_measured, 9)
    assert "<strong>Heart rate, /min</strong> anger − neutral: 5.8" in answer
    table = review[review.index(">All 3 t-tests in full<") : review.index(">Equivalence<")]
    assert len(re.findall(r'<th scope="row">', table)) == 3
    assert "Groups by" not in page and ">Variability of the heart rate<" not in page, "none there"
    assert page.count("drawing-narrow") == 3  # lines, boxes, effect sizes
    assert "contains simulated data" not in page


def test_the_form_keeps_what_was_asked(client: TestClient) -> None:
    page = text_of(
        client,
        "/analysis?state=observed&sample=selected&session=2&window=12.5&share="
        "&count_flagged=contact_lost&count_flagged=poor_signal&estimated=true&settling_pressure=20",
    )
    assert re.search(r'name="state" value="observed" checked', page)
    assert re.search(r'name="session" value="2" checked', page)
    assert not re.search(r'name="session" value="1" checked', page)
    assert re.search(r'name="window"[^>]*value="12.5"', page)
    assert re.search(r'name="share"[^>]*value="0.6"', page)
    ticked = re.findall(r'name="count_flagged" value="(\w+)" checked', page)
    assert ticked == ["contact_lost", "estimated", "poor_signal"]
    assert re.search(r'name="settling_pressure"[^>]*value="20"', page)
    assert re.search(r'name="settling_other"[^>]*value=""', page)


def test_old_addresses_are_answered_still(client: TestClient) -> None:
    usual = client.get("/api/v1/analysis").json()
    old = client.get("/api/v1/analysis?leave_out_flagged=true").json()
    assert old["question"].pop("leave_out_flagged") is True
    del usual["question"]["leave_out_flagged"]
    assert old == usual


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("window=abc", "window = 'abc': input should be a valid number"),
        ("sample=selected&session=99", "There is no session 99. Sessions: 1, 2, 3, 4."),
        (
            "vital=rr_interval",
            "rr_interval is not tested; its variability is shown beside the tests",
        ),
        ("colour=<b>", "colour = '<b>': extra inputs are not permitted"),
    ],
)
def test_a_wrong_question_is_answered_beside_its_form(
    client: TestClient, question: str, said: str
) -> None:
    page = text_of(client, f"/analysis?{question}", 422)
    assert said in page
    assert "<b>" not in client.get(f"/analysis?{question}").text
    assert 'name="state"' in page
    answer = client.get(f"/api/v1/analysis?{question}")
    assert answer.status_code == 422 and answer.json()["detail"]


def test_page_api_and_command_say_the_same(
    client: TestClient, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    question = "vital=heart_rate&correction=benjamini_hochberg&bound_heart_rate=2.5&state=condition"
    words = [
        "--vital",
        "heart_rate",
        "--correction",
        "benjamini_hochberg",
        "--bound-heart-rate",
        "2.5",
    ]
    assert len(client.get("/api/v1/analysis").json()["comparisons"]) == 9
    from_api = AnalysisModel.model_validate_json(client.get(f"/api/v1/analysis?{question}").text)
    assert dashboard(["analyse", "--data", str(folder), "--json", *words]) == 0
    assert AnalysisModel.model_validate_json(capsys.readouterr().out) == from_api
    page = text_of(client, f"/analysis?{question}&whole=yes").replace("\xa0", " ")
    said_once = [one.claim for one in from_api.comparisons]
    said_once += [one.remarks for one in from_api.comparisons if one.remarks]
    said_once += [one.sentence for one in from_api.all_states]
    said_once += [one.sentence for one in from_api.agreements if one.n]
    for said in said_once:
        assert page.count(said) == 1, said
    for row in (row for group in groups_of(from_api) for row in group.rows):
        for cell in (
            row.difference,
            row.interval,
            row.t,
            row.p,
            row.adjusted_p,
            row.g,
            row.rank,
            row.equivalence,
        ):
            assert cell
            assert cell in page
    assert dashboard(["analyse", "--data", str(folder), *words]) == 0
    shown = capsys.readouterr().out
    assert all(row.adjusted_p in shown for group in groups_of(from_api) for row in group.rows)


def test_the_form_offers_states_and_attributes_and_page_compares_groups(
    client: TestClient, folder: Path
) -> None:
    database = folder / "affect-edge.db"
    for number, shift in enumerate((0.0, 2.5, 5.0)):
        values = heart(anger=70 + shift**2, neutral=70 + shift, film=66 + shift)
        add_session(database, f"P-{number + 5}", values)
    for number in range(1, 8):
        sex = "female" if number < 5 else "male"
        agree_to_attributes(
            database, f"P-{number}", AttributeUse.HERE, actor=None, values={"sex": sex}
        )
    page = text_of(client, "/analysis?states=neutral&states=Anger&states=&group=sex&whole=yes")
    assert "Do heart rate, systolic pressure and diastolic pressure differ between anger" in page
    assert re.findall(r'name="states" value="(\w+)" checked', page) == ["neutral", "anger"]
    assert re.search(r'name="states" value="film">', page), "a label with readings is offered"
    assert '<option value="sex" selected>sex</option>' in page
    assert "Groups by sex" in page
    assert "people: female 4, male 3" in page
    assert "In a mixed analysis of variance, the interaction of state and sex on heart rate" in page
    assert "Welch’s t test showed" in page
    assert "Heart rate: 4 female, 3 male." in page, "in the flow"
    assert 'class="table side"' not in page, "that class is the fixed navigation's"
    found = client.get("/api/v1/analysis?states=neutral&states=anger&group=sex").json()
    assert found["groups"][0]["sizes"] == {"female": 4, "male": 3}
    assert client.get("/api/v1/analysis?states=neutral").status_code == 422
