"""A table of texts that names a language speaks it where it says nothing itself."""

from __future__ import annotations

from dashboard.protocols.texts import Texts


def test_what_is_left_out_is_said_in_the_language_of_the_table() -> None:
    texts = Texts.model_validate({"language": "de-AT", "rest": "Pause"})
    assert texts.ready == "Ich bin bereit"
    assert texts.points[0] == "eins von neun"
    assert texts.rest == "Pause"
    assert texts.language == "de-AT"


def test_a_language_without_a_catalogue_stays_english() -> None:
    assert Texts.model_validate({"language": "fr"}).ready == "I am ready"
    assert Texts().ready == "I am ready"
