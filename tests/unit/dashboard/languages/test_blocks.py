"""Texts of templates come in the language in use; places are escaped, the text is not."""

from __future__ import annotations

import gettext as catalogues
from concurrent.futures import ThreadPoolExecutor

import jinja2
import pytest

from dashboard.languages import current
from dashboard.languages.current import SOURCE, gettext, language, speaking
from dashboard.languages.templates import TextBlocks


class Shouting(catalogues.NullTranslations):
    """A language for tests: every text in capital letters between brackets."""

    def gettext(self, message: str) -> str:
        return f"[{message}]"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return f"[{msgid1 if n == 1 else msgid2}]"


def written(template: str, **context: object) -> str:
    environment = jinja2.Environment(extensions=[TextBlocks], autoescape=True)
    return environment.from_string(template).render(**context)


@pytest.fixture(autouse=True)
def _shouting(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = current._texts
    monkeypatch.setattr(current, "_texts", lambda code: Shouting() if code == "xx" else texts(code))


def test_a_block_keeps_its_marks_and_escapes_its_places() -> None:
    template = "{% trans who=name %}<b>{{ who }}</b>\n  came{% endtrans %}"
    assert written(template, name="<i>") == "<b>&lt;i&gt;</b> came"
    with speaking("xx"):
        assert written(template, name="A") == "[<b>A</b> came]"


def test_a_block_has_two_forms() -> None:
    template = "{% trans n=count %}one day{% pluralize n %}{{ n }} days{% endtrans %}"
    assert written(template, count=1) == "one day"
    assert written(template, count=3) == "3 days"
    with speaking("xx"):
        assert written(template, count=3) == "[3 days]"


def test_an_expression_fills_its_places() -> None:
    assert written('{{ _("of {who}", who=name) }}', name="<i>") == "of &lt;i&gt;"
    assert written('{{ ngettext("{n} h", "{n} hs", 2) }}') == "2 hs"
    assert written('{{ _("95 % {CI}") }}') == "95 % {CI}"


def test_a_block_without_an_end_is_refused() -> None:
    with pytest.raises(jinja2.TemplateSyntaxError):
        written("{% trans %}a{% pluralize n %}b{% pluralize n %}c{% endtrans %}", n=1)


def test_an_unknown_language_falls_back_to_english() -> None:
    with speaking("tlh"):
        assert language() == "tlh"
        assert gettext("Not in any catalogue") == "Not in any catalogue"


def test_a_language_ends_with_its_block_and_stays_in_its_thread() -> None:
    with ThreadPoolExecutor(1) as other, speaking("de"):
        assert language() == "de"
        assert other.submit(language).result() == SOURCE
    assert language() == SOURCE
