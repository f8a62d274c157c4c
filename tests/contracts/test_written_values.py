"""Every page, once in each language and once in one of brackets: numbers, dates and times have the
one form of the language, and no text stands outside the brackets.
"""

from __future__ import annotations

import gettext as catalogues
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import pytest
from starlette.testclient import TestClient

from dashboard.languages import current
from dashboard.languages.current import available
from dashboard.languages.figures import marks
from dashboard.questions.register import QUESTIONS
from dashboard.web.options import DashboardOptions
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import (
    ComputingHere,
    add_session,
    client_of,
    fill,
    page_addresses,
    set_up,
)
from tests.unit.dashboard.languages.unmarked import SILENT_TAGS, has_words, shown_texts
from tools import languages

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


MARKS = re.compile(r"([⟦⟧])")
DATA = re.compile(
    r"(Affect Edge( \d+\.\d+\.\d+\.dev\d+)?|"
    r"Example study \(simulated\)|films|ada|affect-edge|testclient|another program|P-01|SIM-\d+|"
    r"\d\d:\d\d UTC|"
    r"[ ·,.:\d-])+"
    # of the audit trail, which is kept as written
    r"|first account created|from testclient.*|\d+ [0-9a-f]{64}"
    r"|Neutral, happiness, anger \(texts\)"  # the titles of protocols
    r"|Anger, happiness, neutral: heart rate and blood pressure"
    r"|teacher-m"  # the name of a network
    r"|research, medical, safety, personal, demonstration"  # a value of the configuration
)
"""Names that people or the study gave stay as they are; a condition is named like the emotion
that it is about."""
PLAIN_TEXT = ("/welcome", "/.well-known")
DOWNLOAD = "/export/download"
"""A file, and the dearest of all answers."""
Pages = Mapping[str, str]
"""Address of each page → what it is in HTML."""


class Bracketed(catalogues.NullTranslations):
    """Every text of the catalogue between brackets; what it does not know stays bare."""

    def __init__(self) -> None:
        super().__init__()
        self._known = {text for one in languages.read("de") for text in languages.originals_of(one)}

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧" if message in self._known else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)

    def pgettext(self, context: str, message: str) -> str:
        return self.gettext(message)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An administrator over the example study, a session and some minutes of recording."""
    folder = tmp_path_factory.mktemp("values")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=2, simulated=True)
    seed_example_study(database, SimulatedPerson)
    add_session(database)
    # What computes in this process has the brackets, too.
    with client_of(folder, computing=ComputingHere()) as client:
        set_up(client, folder)
        window = "heart_rate: happiness - neutral, 0 to 30 s, baseline 10 s"
        decided = {"people": 8, "stopping": "after 8 people", "windows": [window]}
        frozen = client.post("/api/v1/preregistrations", json=decided)
        assert frozen.status_code == 201, frozen.text
        yield client


@pytest.fixture(scope="module")
def pages_in(client: TestClient) -> Callable[[str], Pages]:
    """Function that returns all pages in a language, each asked for once."""
    asked = [*page_addresses(client), *(f"/{question.name}" for question in QUESTIONS)]

    @cache
    def pages(code: str) -> Pages:
        found = {}
        for path in dict.fromkeys(asked):
            if path == DOWNLOAD:
                continue
            answer = client.get(path, headers={"Accept-Language": code})
            is_page = "text/html" in answer.headers.get("content-type", "")
            if is_page and answer.status_code == 200:
                found[path] = answer.text
        return found

    return pages


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
def test_values_of_every_page_have_the_form_of_its_language(
    pages_in: Callable[[str], Pages], code: str
) -> None:
    wrong = [
        f"{path}: {text}" for path, page in pages_in(code).items() for text in wrong_in(page, code)
    ]
    assert not wrong, "\n".join(wrong)


def bare_texts(page: str) -> list[str]:
    """Return what a page shows outside all brackets, which may reach over several elements."""
    bare = []
    depth = 0
    for text in shown_texts(page):
        outside = ""
        for part in MARKS.split(text):
            if part == "":
                continue
            if part in "⟦⟧":
                depth += 1 if part == "⟦" else -1
            elif depth == 0:
                outside += part
        if has_words(outside):
            bare.append(" ".join(outside.split()))
    return bare


def is_data(text: str) -> bool:
    """Tell whether a text is what people or the study called something."""
    return DATA.fullmatch(text) is not None


def test_every_text_of_every_page_is_in_the_catalogue(
    pages_in: Callable[[str], Pages], monkeypatch: pytest.MonkeyPatch
) -> None:
    bracketed = Bracketed()
    monkeypatch.setattr(current, "_texts", lambda _: bracketed)
    bare = {
        text: path
        for path, page in pages_in("de-AT").items()
        if not path.startswith(PLAIN_TEXT)
        for text in bare_texts(page)
        if not is_data(text)
    }
    assert bare == {}
