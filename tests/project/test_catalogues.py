"""The catalogues hold the texts of the source, complete and in the state that is compiled."""

from __future__ import annotations

import gettext
import io
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from dashboard.languages.names import IN_SCRIPTS, MOVEMENT_NAMES
from tools import languages
from tools.languages import Found, compiled, found_in_python, found_in_script, found_in_template


def test_everything_is_up_to_date() -> None:
    assert list(languages.outdated()) == []


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(languages, "ROOT", tmp_path)
    return tmp_path


def test_texts_are_found_in_python(source: Path) -> None:
    path = source / "a.py"
    path.write_text(
        'gettext("One")\nngettext("{n} day", "{n} days", 2)\npgettext("month", "May")\n'
        "gettext(name)\n"
        "f\"{gettext('In a sentence')} {n}\"\n"
    )
    assert list(found_in_python(path)) == [
        Found("a.py", ("One",)),
        Found("a.py", ("{n} day", "{n} days")),
        Found("a.py", ("May",), "month"),
        Found("a.py", ("In a sentence",)),
    ]


def test_texts_are_found_in_a_template(source: Path) -> None:
    path = source / "a.html"
    path.write_text(
        '{{ _("Log in") }}{% trans n=count %}<b>{{ n }}</b> of\n  {{ all }}{% endtrans %}'
        "{% trans n=count %}one day{% pluralize n %}{{ n }} days{% endtrans %}"
    )
    assert list(found_in_template(path)) == [
        Found("a.html", ("Log in",)),
        Found("a.html", ("<b>{n}</b> of {all}",)),
        Found("a.html", ("one day", "{n} days")),
    ]


def test_texts_are_found_in_a_script(source: Path) -> None:
    path = source / "a.js"
    path.write_text('say(_("Saved")); `${_("in {n} s", {n: 3})}`; ngettext("{n} h", "{n} hs", n);')
    assert list(found_in_script(path)) == [
        Found("a.js", ("Saved",)),
        Found("a.js", ("in {n} s",)),
        Found("a.js", ("{n} h", "{n} hs")),
    ]


def test_what_is_compiled_is_read_by_python_and_by_pages() -> None:
    german = Catalog(locale="de")
    german.add("Participants", "Teilnehmende", locations=[("a.js", 0)])
    german.add(("{n} day", "{n} days"), ("{n} Tag", "{n} Tage"))
    german.add("May", "Mai", context="month")
    german.add("Not yet", "")
    texts = gettext.GNUTranslations(io.BytesIO(compiled(german)))
    assert texts.gettext("Participants") == "Teilnehmende"
    assert texts.ngettext("{n} day", "{n} days", 1) == "{n} Tag"
    assert texts.ngettext("{n} day", "{n} days", 3) == "{n} Tage"
    assert texts.pgettext("month", "May") == "Mai"
    assert texts.gettext("Not yet") == "Not yet"
    script = languages.for_scripts(german).decode()
    assert '"Participants": "Teilnehmende"' in script
    assert "Mai" not in script


@pytest.mark.parametrize(
    ("text", "translation", "problem"),
    [
        ("Save", "", "no text"),
        ("{n} rows", "{m} Zeilen", "other places"),
        ("<b>Save</b> it", "Speichern", "other marks"),
        (("one day", "{n} days"), ("ein Tag", "{n} Tage"), None),
    ],
)
def test_a_text_that_does_not_fit_is_named(
    text: str | tuple[str, str], translation: str | tuple[str, str], problem: str | None
) -> None:
    german = Catalog(locale="de")
    german.add(text, translation)
    found = [line for message in german if message.id for line in languages.wrong_with(message)]
    if problem is None:
        assert found == []
    else:
        assert problem in found[0]


def test_the_commands_write_everything_and_find_nothing_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogues = tmp_path / "catalogues"
    (catalogues / "de").mkdir(parents=True)
    monkeypatch.setattr(languages, "CATALOGUES", catalogues)
    monkeypatch.setattr(languages, "TEMPLATE", catalogues / "affect-edge.pot")
    monkeypatch.setattr(languages, "SCRIPT_TEXTS", tmp_path / "texts")
    monkeypatch.setattr(languages, "ROOT", tmp_path)
    monkeypatch.setattr(languages, "texts_of_source", lambda: [Found("a.js", ("Saved",))])
    assert languages.update() == 0
    assert languages.compile_all() == 0
    assert languages.check() == 1
    assert "no text" in capsys.readouterr().out
    file = languages.po_file("de")
    file.write_text(file.read_text().replace('msgstr ""\n', 'msgstr "Gespeichert"\n'))
    head = file.read_text().replace('msgid ""\nmsgstr "Gespeichert"\n', 'msgid ""\nmsgstr ""\n')
    file.write_text(head)
    assert languages.compile_all() == 0
    assert languages.check() == 0
    assert "1 texts in 2 languages" in capsys.readouterr().out
    assert "Gespeichert" in (tmp_path / "texts" / "de.js").read_text()


def test_every_text_is_there_in_every_language() -> None:
    assert list(languages.misfits()) == []


def test_movements_of_the_face_are_reported_by_scripts_in_every_language() -> None:
    for code in languages.languages():
        said = languages.for_scripts(languages.read(code)).decode()
        assert [name for name in MOVEMENT_NAMES.values() if f'"{name}": ' not in said] == []


def test_labels_hold_only_what_is_marked_nowhere_else() -> None:
    places: dict[str, set[str]] = {}
    for found in languages.texts_of_source():
        if found.place.endswith(".py") and not found.context:
            places.setdefault(found.texts[0], set()).add(found.place)
    twice = [
        text
        for text, files in places.items()
        if "dashboard/languages/names.py" in files and len(files) > 1
    ]
    assert sorted(set(twice) - IN_SCRIPTS) == []
