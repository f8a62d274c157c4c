"""A whole analysis in a language of brackets: no sentence of it stands outside the catalogue."""

from __future__ import annotations

import dataclasses
import gettext as catalogues
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.analysis.analyse import Analysis, analyse
from dashboard.analysis.rendering.answer import response_of
from dashboard.analysis.rendering.charts import analysis_charts, effects_chart, spread_charts
from dashboard.analysis.rendering.light import left_out_table
from dashboard.analysis.rendering.tables import groups_of
from dashboard.analysis.rendering.words import say
from dashboard.languages import current
from dashboard.languages.current import speaking
from edge_agent.timeline.read.reader import Reader
from tests.support.script_studies import QUESTIONS, Question

ASKED = ("few", "few-reported", "few-other-states", "sessions-counted", "equal", "two-sensors")
_INNERMOST = re.compile(r"⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[A-Za-z]{2,}")
_CODE = re.compile(r"[a-z]+(_[a-z]+)+")
NAMES = frozenset(
    # of methods, which every language writes so, of units and of APA's figures
    {"Holm", "Welch", "Benjamini", "Hochberg", "RMSSD", "SDNN", "LF", "HF", "JZS", "BF", "mmHg"}
    | {"min", "SD", "br", "ms", "customdata", "extra"}
)
MACHINE = frozenset(
    {"id", "label", "test_id", "vital", "first", "second", "unit", "method", "obstacle", "state"}
    | {"question", "orders", "other_states", "participant", "source", "measure", "family", "step"}
    | {"detail", "flag", "main", "sample", "changes", "labels", "no_interval", "participants"}
    | {"conclusion", "way", "sessions", "counted", "of", "left_out", "name", "attribute", "kind"}
    | {"by", "caution_codes", "warning_codes", "not_measured"}
)
"""Fields that programs read, and codes of people; they are the same in every language."""
OF_FIGURE = frozenset({"text", "ticktext", "hovertemplate", "title"})
"""What people read of a figure; the rest says how it is drawn."""


class Bracketed(catalogues.NullTranslations):
    """Every text between brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"⟦{msgid1 if n == 1 else msgid2}⟧"

    def pgettext(self, context: str, message: str) -> str:
        return f"⟦{message}⟧"


def texts_of(value: Any, skipped: frozenset[str] = MACHINE) -> Iterator[str]:
    """Yield all texts of a model or a table that people read."""
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name == "figure":
                yield from _figure_texts(getattr(value, field.name))
            elif field.name not in skipped and field.name not in {"height"}:
                yield from texts_of(getattr(value, field.name), skipped)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in skipped:
                yield from texts_of(one, skipped)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_of(one, skipped)


def _figure_texts(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, str) and name in OF_FIGURE:
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _figure_texts(one, key)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _figure_texts(one, name)


def bare_words(text: str) -> list[str]:
    """Return the words of a text that stand in no brackets and are no name or code."""
    if _CODE.fullmatch(text):
        return []
    before = None
    while text != before:
        before = text
        text = _INNERMOST.sub(" ", text)
    return [
        word
        for word in _WORD.findall(text)
        if word not in NAMES and not re.search(rf"{word}[\d.-]", text)
    ]


def everything(analysis: Analysis) -> Iterator[str]:
    """Yield each text that pages and reports show of an analysis."""
    response = response_of(analysis)
    yield from texts_of(response.model_dump(mode="json"))
    yield from texts_of(groups_of(response))
    yield from texts_of(left_out_table(response), frozenset())
    yield from texts_of((*analysis_charts(analysis), *spread_charts(analysis)))
    yield from texts_of(effects_chart(analysis))
    yield say("beside", "variability", analysis.answer.variability)


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Question, Path]]:
    """The databases of the questions that are asked."""
    made = {}
    for name in ASKED:
        path = tmp_path_factory.mktemp("languages") / f"{name}.db"
        QUESTIONS[name].make(path)
        made[name] = (QUESTIONS[name], path)
    return made


@pytest.fixture
def brackets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(current, "_texts", lambda _: Bracketed())
    with speaking("de"):
        yield


@pytest.mark.usefixtures("brackets")
@pytest.mark.parametrize("name", ASKED)
def test_no_word_of_an_analysis_stands_outside_the_catalogue(
    analyses: dict[str, tuple[Question, Path]], name: str
) -> None:
    question, path = analyses[name]
    analysis = analyse(Reader(path), question.query)
    codes = set(analysis.participants)
    bare = {
        text: words
        for text in everything(analysis)
        if (words := [word for word in bare_words(text) if word not in codes])
    }
    assert bare == {}


def test_a_bare_word_is_found() -> None:
    assert bare_words("⟦5 of ⟦heart rate⟧⟧ were left, Holm p = 0.5") == ["were", "left"]
