"""A walk through all pages in a language of brackets: no text stands outside them."""

from __future__ import annotations

import gettext as catalogues
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from starlette.testclient import TestClient

from dashboard.computing.processes import Computing
from dashboard.languages import current
from dashboard.web.options import DashboardOptions
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.dashboard import add_session, client_of, fill, page_addresses, set_up
from tests.unit.dashboard.languages.unmarked import has_words, shown_texts
from tools import languages

_Result = TypeVar("_Result")
MARKS = re.compile(r"([⟦⟧])")
GERMAN = {"Accept-Language": "de"}
DATA = re.compile(
    r"(Affect Edge( \d+\.\d+\.\d+\.dev\d+)?|"
    r"Example study \(simulated\)|films|ada|affect-edge|testclient|another program|P-01|SIM-\d+|"
    r"\d\d:\d\d UTC|"
    r"[ ·,.:\d-])+"
    r"|first account created|from testclient.*"  # of the audit trail, which is kept as written
    r"|Neutral, happiness, anger \(texts\)"  # the titles of protocols
    r"|Anger, happiness, neutral: heart rate and blood pressure"
    r"|teacher-m"  # the name of a network
    r"|research, medical, safety, personal, demonstration"  # a value of the configuration
)
"""What people or the study called something stays as it is; a condition is named like the emotion
that it is about."""
PLAIN_TEXT = ("/welcome", "/.well-known")


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


class Here(Computing):
    """Computes in this process, which alone has the brackets."""

    def call(self, function: Callable[..., _Result], *values: Any, **_nothing: Any) -> _Result:
        return function(*values)


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


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An administrator over the example study, a session and some minutes of recording."""
    folder = tmp_path_factory.mktemp("brackets")
    database = DashboardOptions(data=folder).database
    fill(database, minutes=2, simulated=True)
    seed_example_study(database, SimulatedPerson)
    add_session(database)
    with pytest.MonkeyPatch.context() as patch, client_of(folder, computing=Here()) as client:
        set_up(client, folder)
        bracketed = Bracketed()
        patch.setattr(current, "_texts", lambda _: bracketed)
        yield client


def is_data(text: str) -> bool:
    """Tell whether a text is what people or the study called something."""
    return DATA.fullmatch(text) is not None


def test_every_text_of_every_page_is_in_the_catalogue(client: TestClient) -> None:
    bare: dict[str, str] = {}
    for path in page_addresses(client):
        if path.startswith(PLAIN_TEXT):
            continue
        answer = client.get(path, headers=GERMAN)
        is_page = "text/html" in answer.headers.get("content-type", "")
        if not is_page or answer.status_code != 200:
            continue
        bare |= {text: path for text in bare_texts(answer.text) if not is_data(text)}
    assert bare == {}
