"""The participant's page speaks the language of the protocol file."""

from __future__ import annotations

import gettext as catalogues
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import pytest

from dashboard.languages import current
from dashboard.languages.current import speaking
from dashboard.protocols.file import ProtocolError, load_protocol
from dashboard.protocols.runner import ProtocolRunner, ProtocolView, text_of_screen, texts_for
from dashboard.protocols.screens import from_json, screens_of, to_json
from dashboard.protocols.steps import Screen, ScreenKind
from dashboard.protocols.texts import POINT_NAMES, Texts
from dashboard.web.routes.study import CONSENT_VERSION
from tests.support.dashboard import client_of, services_of, set_up

STEPS = (
    '[[step]]\nkind = "baseline"\n[[step]]\nkind = "pressure"\n'
    '[[step]]\nkind = "rest"\ntext = "Own words."\n'
)
GERMAN = """[texts]
language = "de"
baseline = "Bitte schauen Sie mit entspanntem Gesicht auf den Bildschirm."
anger = "Ärger"
"""


class Shown(HTMLParser):
    """Every text of a page that somebody could read or hear."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.texts += [
            value for name, value in attributes if value and name in {"aria-label", "alt", "title"}
        ]


def protocol_file(folder: Path, texts: str, steps: str = STEPS) -> Path:
    path = folder / "words.toml"
    path.write_text(f'title = "Words"\n{texts}\n{steps}', encoding="utf-8")
    return path


def test_what_is_left_out_is_in_its_language_and_step_keeps_its_own_words(tmp_path: Path) -> None:
    protocol = load_protocol(protocol_file(tmp_path, GERMAN))
    assert protocol.texts.language == "de"
    assert protocol.texts.feelings["anger"] == "Ärger"
    assert protocol.texts.feelings["none"] == "nichts davon"
    assert [screen.text for screen in screens_of(protocol)] == [
        "Bitte schauen Sie mit entspanntem Gesicht auf den Bildschirm.",
        "Bitte sitzen Sie still. Jetzt wird Ihr Blutdruck gemessen.",
        "Own words.",
    ]
    assert load_protocol(protocol_file(tmp_path, "")).texts == Texts()
    assert Texts.model_validate({"language": "de-AT"}).ready == "Ich bin bereit"
    assert Texts.model_validate({"language": "fr"}).ready == Texts().ready == "I am ready"


def test_signs_that_shape_words_are_no_control_characters(tmp_path: Path) -> None:
    texts = '[texts]\nvalence_low = "außerordent\u00adlich unangenehm"\nwelcome = "می\u200cخواهم"'
    found = load_protocol(protocol_file(tmp_path, texts)).texts
    assert "\u00ad" in found.valence_low
    assert "\u200c" in found.welcome


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            'welcom = "Hallo"',
            (
                "line 3: texts, welcom: unknown key. Known here: language, title, "
                "welcome_title, welcome"
            ),
        ),
        (
            'welcome = ""',
            (
                "line 3: texts, welcome = '': string should have at least 1 character (1 "
                "to 2000 characters)"
            ),
        ),
        (
            'points = ["eins", "zwei"]',
            "line 3: texts, points = ['eins', 'zwei']: tuple should have at least 9 items",
        ),
    ],
)
def test_a_mistake_in_the_texts_is_reported_with_key_value_and_line(
    tmp_path: Path, line: str, said: str
) -> None:
    path = protocol_file(tmp_path, f"[texts]\n{line}")
    with pytest.raises(ProtocolError) as caught:
        load_protocol(path)
    assert said in str(caught.value)


def test_a_session_keeps_the_words_that_it_began_with(tmp_path: Path) -> None:
    protocol = load_protocol(protocol_file(tmp_path, GERMAN))
    screens = screens_of(protocol)
    plan = to_json(screens, protocol.texts)
    assert from_json(plan) == (screens, protocol.texts)
    assert "Which of these" not in plan, "defaults are not copied"


def test_the_study_guide_names_every_text_there_is() -> None:
    guide = (Path(__file__).resolve().parents[4] / "docs" / "study-guide.md").read_text(
        encoding="utf-8"
    )
    table = guide.partition("| texts | keys |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) - {"text"} == set(Texts.model_fields)


@pytest.fixture
def runners() -> Iterator[list[ProtocolRunner]]:
    """Protocol runners that are closed at the end."""
    found: list[ProtocolRunner] = []
    yield found
    for runner in found:
        runner.close()


def test_no_word_of_english_is_left_where_every_text_was_given(
    tmp_path: Path, runners: list[ProtocolRunner]
) -> None:
    given = {name: f"«{name}»" for name in Texts.model_fields if name not in {"language", "points"}}
    lines = [f'{name} = "{text}"' for name, text in given.items()]
    points = [f"«{name}»" for name in POINT_NAMES]
    folder = tmp_path / "protocols"
    folder.mkdir()
    protocol_file(
        folder,
        "\n".join(["[texts]", 'language = "pt-BR"', f"points = {json.dumps(points)}", *lines]),
    )
    client = set_up(client_of(tmp_path / "data", protocols=folder), tmp_path / "data")
    runners.append(services_of(client).protocol_runner)
    client.post("/study/participants", data={"code": "P-1"})
    client.post(
        "/study/participants/P-1/consent", data={"agreed": "yes", "text_version": CONSENT_VERSION}
    )
    form = {
        "participant": "P-1",
        "purpose": "research",
        "setting": "laboratory",
        "protocol": "words",
    }
    assert client.post("/study/sessions", data=form).status_code == 303
    page = client.get(client.get("/api/v1/protocol").json()["participant_path"]).text
    assert '<html lang="pt-BR" dir="ltr">' in page
    shown = Shown(page).texts
    assert [text for text in shown if not (text.startswith("«") and text.endswith("»"))] == []
    in_scales = {
        f"{scale}{part}"
        for scale in ("valence", "arousal")
        for part in ("", "_low", "_middle", "_high")
    }
    of_steps = {"baseline", "rest", "pressure", "slider_hint", "declare"}
    assert {text.strip("«»") for text in shown} == set(given) - in_scales - of_steps | set(
        POINT_NAMES
    )
    for name in {*in_scales, "slider_hint"}:
        assert given[name].strip("«»") in page, "the questions are asked by the page's script"


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


@pytest.fixture
def _german(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(current, "_texts", lambda _: Bracketed())
    with speaking("de"):
        yield


@pytest.mark.usefixtures("_german")
def test_a_protocol_without_texts_is_in_the_participants_language() -> None:
    plain = Texts()
    texts = texts_for(view_of(plain, plain.rest, ""))
    assert (texts.language, texts.ready, texts.points[0]) == ("de", "[I am ready]", "[one of nine]")
    assert text_of_screen(view_of(plain, plain.rest), plain.rest) == f"[{plain.rest}]"


@pytest.mark.usefixtures("_german")
@pytest.mark.parametrize(
    "view",
    [view_of(Texts(ready="Go")), view_of(Texts(), "Imagine a beach.")],
    ids=["its table", "a screen"],
)
def test_a_protocol_with_texts_of_its_own_keeps_its_language(view: ProtocolView) -> None:
    assert texts_for(view) == view.texts
    assert text_of_screen(view, "Please rest.") == "Please rest."


@pytest.mark.parametrize(
    "screens",
    [[], [{"kind": "rest", "seconds": "long"}], [{"kind": "rest", "seconds": 5, "text": {}}]],
)
def test_a_plan_that_is_none_is_refused_before_it_runs(screens: list[dict[str, object]]) -> None:
    with pytest.raises(ValueError, match="no screens|Input should be a valid"):
        from_json(json.dumps({"screens": screens, "texts": {}}))
