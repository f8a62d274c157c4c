"""Every page writes numbers, dates and times in the one form of its language."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from dashboard.languages.current import available
from dashboard.languages.figures import marks
from dashboard.questions.register import QUESTIONS
from dashboard.web.options import DashboardOptions
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import add_session, client_of, fill, page_addresses, set_up
from tests.unit.dashboard.languages.unmarked import SILENT_TAGS, shown_texts

WITH_TIMES = SILENT_TAGS - {"time"}
MINUS = re.compile(r"(?<![\w.,)\]/-])-(?=[.,]?\d)")
_MONTH = r"(?:jan|ene|feb|m[aäi]r|a[pb]r|ma[iy]|jun|jul|a[ug]g|ago|sep|o[ck]t|nov|de[zc]|dic)\w*\.?"
DATE = re.compile(
    rf"\d{{4}}-\d\d-\d\d|\d\d?[./]\d\d?[./]\d{{4}}|"
    rf"\d\d?\.? {_MONTH},? \d{{4}}|\b{_MONTH} \d\d?, \d{{4}}",
    re.IGNORECASE,
)
POINT = re.compile(r"(?<![\w.,/-])\d+\.\d{1,2}(?![\w.,]*\d)(?!\w)")
"""A decimal point of English; a point before three digits groups them elsewhere."""
ZONED = re.compile(r"\d UTC\b")
OTHERS = re.compile(r'<option[^>]* data-at=.*?</option>| placeholder="[^"]*"', re.DOTALL)
"""A script writes the time of an option anew; a field holds a value of the configuration."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An administrator over the example study, a session and some minutes of recording."""
    folder = tmp_path_factory.mktemp("values")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=2, simulated=True)
    seed_example_study(database, SimulatedPerson)
    add_session(database)
    with client_of(folder) as client:
        set_up(client, folder)
        window = "heart_rate: happiness - neutral, 0 to 30 s, baseline 10 s"
        decided = {"people": 8, "stopping": "after 8 people", "windows": [window]}
        frozen = client.post("/api/v1/preregistrations", json=decided)
        assert frozen.status_code == 201, frozen.text
        yield client


def is_written(day: str, code: str) -> bool:
    """Tell whether a day has the form of its language."""
    here = marks(code)
    fields = {"day": r"\d\d?", "month": r"\d\d", "year": r"\d{4}", "name": "|".join(here.months)}
    form = re.sub(r"\{(\w+)[^}]*\}", lambda field: f"(?:{fields[field[1]]})", here.form)
    return re.fullmatch(form, day) is not None


def wrong_in(page: str, code: str) -> list[str]:
    """Return the texts of a page with another form of a number, a day or a time."""
    page = OTHERS.sub("", page)
    texts = shown_texts(page, WITH_TIMES)
    wrong = [text for text in texts if MINUS.search(text)]
    if marks(code).decimal != ".":
        wrong += [text for text in texts if POINT.search(text)]
    wrong += [text for text in texts for day in DATE.findall(text) if not is_written(day, code)]
    # A script puts the times of elements into the zone of the reader, and those of no sentence.
    return wrong + [text for text in shown_texts(page) if ZONED.search(text)]


@pytest.mark.parametrize("code", available())
def test_values_of_every_page_have_the_form_of_its_language(client: TestClient, code: str) -> None:
    wrong = []
    asked = [f"/{question.name}" for question in QUESTIONS]
    for path in [*page_addresses(client), *asked]:
        answer = client.get(path, headers={"Accept-Language": code})
        is_page = "text/html" in answer.headers.get("content-type", "")
        if is_page and answer.status_code == 200:
            wrong += [f"{path}: {text}" for text in wrong_in(answer.text, code)]
    assert not wrong, "\n".join(wrong)
