"""Names and numbers inside sentences, and what errors and pydantic say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from dashboard.analysis.request import describe, query_of
from dashboard.languages.current import speaking
from dashboard.languages.figures import by_locale, decimal, general, percent, thousands
from dashboard.languages.names import (
    list_with_or,
    said,
    said_if_ours,
    said_of,
    state_name,
    vital_in_text,
    vital_label,
    vital_short,
)
from edge_agent.core.errors import StudyError
from edge_agent.core.texts import Message, listed
from edge_agent.core.vitals import VitalKind


@pytest.mark.parametrize("kind", VitalKind)
@pytest.mark.parametrize("code", ["de", "es"])
def test_every_vital_has_a_name_in_every_language(kind: VitalKind, code: str) -> None:
    with speaking(code):
        names = (vital_label(kind), vital_in_text(kind), vital_short(kind))
    assert all(names)
    assert names[0] != kind.spec.label or kind is VitalKind.RR_INTERVAL


def test_emotions_are_translated_and_other_conditions_stay_as_typed() -> None:
    with speaking("de"):
        assert state_name("anger") == "Ärger"
        assert state_name("Study") == "Study"
        assert said_if_ours("Study") == "Study"


def test_numbers_have_the_marks_of_the_language() -> None:
    written = [decimal(1234.5, 1), general(0.25), thousands(12345), percent(0.125, 1)]
    assert written == ["1234.5", "0.25", "12,345", "12.5 %"]
    with speaking("de"):
        written = [decimal(1234.5, 1), general(0.25), thousands(12345), percent(0.125, 1)]
        assert written == ["1234,5", "0,25", "12.345", "12,5 %"]
        assert by_locale("1,234.5") == "1.234,5"


def test_a_message_is_said_with_its_parts() -> None:
    found = Message(
        "{vital} is there in {share:.1%} of the condition time; {wanted:.0%} is wanted.",
        vital=Message("Heart rate"),
        share=0.125,
        wanted=0.5,
    )
    assert said(found) == "Heart rate is there in 12.5% of the condition time; 50% is wanted."
    device = Message("There is no device {device}. See Fleet.", device="room-1")
    with speaking("de"):
        assert "12,5 %" in said(Message("{share:.1%}", share=0.125))
        assert said(listed([Message("anger"), "x", "y"])) == "Ärger, x und y"
        assert said_of(StudyError(device)).startswith("Es gibt kein Gerät room-1.")
        assert said_of(StudyError("There is no session 3.")) == "There is no session 3."
        assert list_with_or(["a", "b"]) == "a oder b"


def refused(**fields: str) -> str:
    with pytest.raises(ValidationError) as caught:
        query_of(fields.items())
    return " ".join(describe(caught.value))


def test_what_pydantic_refuses_is_said_in_the_language() -> None:
    assert "input should be less than or equal to 600" in refused(window="900")
    with speaking("de"):
        assert refused(window="900").endswith("die Angabe sollte höchstens 600 sein.")
        assert "die Angabe sollte eine Zahl sein" in refused(window="x")
        assert "Weitere Angaben sind nicht erlaubt".lower()[:7] in refused(nothing="1").lower()
        assert "wird nicht getestet" in refused(family="x")
