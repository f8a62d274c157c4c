"""The participant's page speaks their language where the protocol says nothing itself."""

from __future__ import annotations

import gettext as catalogues
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import pytest

from dashboard.languages import current
from dashboard.languages.current import speaking
from dashboard.protocols.plan import Screen, ScreenKind
from dashboard.protocols.runner import ProtocolView, text_of_screen, texts_for
from dashboard.protocols.texts import Texts


class Bracketed(catalogues.NullTranslations):
    """Every text between brackets."""

    def gettext(self, message: str) -> str:
        return f"[{message}]"


@dataclass(frozen=True)
class View:
    """As much of a running protocol as the texts depend on."""

    texts: Texts
    screens: tuple[Screen, ...]


def view_of(texts: Texts, *written: str) -> ProtocolView:
    screens = tuple(Screen(ScreenKind.REST, 10, text=text) for text in written)
    return cast("ProtocolView", View(texts, screens))


@pytest.fixture(autouse=True)
def _german(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(current, "_texts", lambda _: Bracketed())
    with speaking("de"):
        yield


def test_a_protocol_without_texts_is_in_the_participants_language() -> None:
    plain = Texts()
    texts = texts_for(view_of(plain, plain.rest, ""))
    assert (texts.language, texts.ready, texts.points[0]) == ("de", "[I am ready]", "[one of nine]")
    assert text_of_screen(view_of(plain, plain.rest), plain.rest) == f"[{plain.rest}]"


@pytest.mark.parametrize(
    "view",
    [view_of(Texts(ready="Go")), view_of(Texts(), "Imagine a beach.")],
    ids=["its table", "a screen"],
)
def test_a_protocol_with_texts_of_its_own_keeps_its_language(view: ProtocolView) -> None:
    assert texts_for(view) == view.texts
    assert text_of_screen(view, "Please rest.") == "Please rest."


def test_in_english_nothing_changes() -> None:
    with speaking("en"):
        assert texts_for(view_of(Texts())) == Texts()
        assert text_of_screen(view_of(Texts()), "Please rest.") == "Please rest."
