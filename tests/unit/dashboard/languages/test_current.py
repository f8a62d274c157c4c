"""Texts come in the language in use, and in English where a catalogue has none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dashboard.languages.current import (
    SOURCE,
    available,
    gettext,
    language,
    ngettext,
    pgettext,
    speaking,
)


def test_english_is_there_and_says_what_the_source_says() -> None:
    assert available()[0] == SOURCE
    with speaking(SOURCE):
        assert gettext("Not in any catalogue {n}").format(n=1) == "Not in any catalogue 1"
        assert ngettext("one reading", "{n} readings", 2).format(n=2) == "2 readings"
        assert pgettext("month", "May") == "May"


def test_an_unknown_language_falls_back_to_english() -> None:
    with speaking("tlh"):
        assert language() == "tlh"
        assert gettext("Not in any catalogue") == "Not in any catalogue"


def test_a_language_ends_with_its_block_and_stays_in_its_thread() -> None:
    with ThreadPoolExecutor(1) as other, speaking("de"):
        assert language() == "de"
        assert other.submit(language).result() == SOURCE
    assert language() == SOURCE
