"""Names and numbers inside sentences, and what errors and pydantic say."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dashboard.analysis.query import describe, query_of
from dashboard.languages.current import speaking
from dashboard.languages.figures import by_locale, figure, file_size, moment, moments_in, thousands
from dashboard.languages.names import (
    capitalise,
    list_with_or,
    said_if_ours,
    said_of,
    session_name,
    state_name,
    translate,
    vital_in_text,
    vital_label,
    vital_short,
    with_and,
    words,
)
from edge_agent.camera.device import no_camera
from edge_agent.core.errors import StudyError
from edge_agent.core.study import EXAMPLE_SESSION
from edge_agent.core.texts import Message, join_list, utc_text
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


def test_session_name_of_the_demonstration_is_in_the_readers_language() -> None:
    with speaking("de"):
        assert session_name(EXAMPLE_SESSION, 3) == "Beispielstudie (simuliert)"
        assert session_name("Camera", 3) == "Camera", "somebody typed it"
        assert session_name("", 3) == "Sitzung 3"


def test_a_message_is_reported_with_its_parts() -> None:
    found = Message(
        "{vital} was recorded in {share:.1%} of the condition time; at least {wanted:.0%} is "
        "needed.",
        vital=Message("Heart rate"),
        share=0.125,
        wanted=0.5,
    )
    assert (
        translate(found)
        == "Heart rate was recorded in 12.5 % of the condition time; at least 50 % is needed."
    )
    device = Message("There is no device {device}. See Fleet.", device="room-1")
    with speaking("de"):
        assert "12,5 %" in translate(Message("{share:.1%}", share=0.125))
        assert translate(join_list([Message("anger"), "x", "y"])) == "Ärger, x und y"
        assert said_of(StudyError(device)).startswith("Es gibt kein Gerät room-1.")
        assert said_of(StudyError("There is no session 3.")) == "There is no session 3."
        assert list_with_or(["a", "b"]) == "a oder b"


def test_what_a_camera_lacks_and_what_helps_are_reported_in_the_language() -> None:
    missing = no_camera(Path("/dev/video9"))
    assert str(missing) == (
        "/dev/video9: there is no such camera. Plug it in; `v4l2-ctl --list-devices` lists what is "
        "there."
    )
    with speaking("de"):
        assert said_of(missing) == (
            "/dev/video9: Diese Kamera gibt es nicht. Stecken Sie sie ein; `v4l2-ctl "
            "--list-devices` führt auf, was da ist."
        )


def refused(**fields: str) -> str:
    with pytest.raises(ValidationError) as caught:
        query_of(fields.items())
    return " ".join(describe(caught.value))


def test_what_pydantic_refuses_is_reported_in_the_language() -> None:
    assert "input should be less than or equal to 600" in refused(window="900")
    with speaking("de"):
        assert refused(window="900").endswith("die Angabe darf höchstens 600 sein.")
        assert "die Angabe muss eine Zahl sein" in refused(window="x")
        assert "Weitere Angaben sind nicht erlaubt".lower()[:7] in refused(nothing="1").lower()
        assert "wird nicht getestet" in refused(family="x")


AT_MS = 1_790_000_405_250  # 2026-09-21 14:20:05.250 UTC
SECOND_MS = 1_790_000_405_000
MINUTE_MS = 1_790_000_400_000


@pytest.mark.parametrize(
    ("code", "number", "count", "size", "day", "when"),
    [
        ("en", "1234.6", "1,234,567", "3.4 MB", "21 Sept 2026", "21 Sept 2026, 14:20 UTC"),
        ("de", "1234,6", "1.234.567", "3,4 MB", "21.09.2026", "21.09.2026, 14:20 UTC"),
        ("es", "1234,6", "1.234.567", "3,4 MB", "21 sept 2026", "21 sept 2026, 14:20 UTC"),
    ],
)
def test_each_language_has_its_marks_and_dates(
    code: str, number: str, count: str, size: str, day: str, when: str
) -> None:
    with speaking(code):
        assert figure("%.1f", 1234.56) == number
        assert thousands(1_234_567) == count
        assert (file_size(999), file_size(3_400_000)) == ("999 B", size)
        assert moment(AT_MS, "date") == day
        assert moment(AT_MS) == when
        assert moment(AT_MS, "time") == "14:20:05 UTC"
        # What is written is found again, and a time of the agent is written the same way.
        said = f"Since {translate(utc_text(AT_MS))} or {when}."
        assert list(moments_in(when.replace("21", "99", 1))) == [
            (when.replace("21", "99", 1), None)
        ]
        assert [at_ms for _, at_ms in moments_in(said)] == [None, SECOND_MS, None, MINUTE_MS, None]


def test_names_of_the_data_and_lists_are_reported_in_the_language() -> None:
    assert (words("heart_rate"), with_and(["a"]), with_and(["a", "b"])) == (
        "heart rate",
        "a",
        "a and b",
    )
    with speaking("de"):
        assert translate("anger") == "Ärger"
        assert translate("P-01") == "P-01" and translate("") == ""
        assert words("heart_rate") == "Herzfrequenz"
        assert with_and(["a", "b", "c"]) == "a, b und c"
        assert capitalise("der Puls") == "Der Puls"
    assert capitalise("der Puls") == "Der puls"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("1.5 and 1,234, of 2.5 (12.5 %)", "1,5 and 1.234, of 2,5 (12,5 %)"),
        ("2026-09-21, 3-4 and SB-2", "2026-09-21, 3-4 and SB-2"),
        ("p = .032. 5 readings, 1,2 and so on", "p = ,032. 5 readings, 1,2 and so on"),
        ("1.5e-05", "1,5e-05"),
        ("1,234,567.25", "1.234.567,25"),
    ],
)
def test_only_the_marks_of_numbers_change_in_a_text(english: str, german: str) -> None:
    assert by_locale(english) == english
    with speaking("de"):
        assert by_locale(english) == german


@pytest.mark.parametrize(
    ("english", "written"),
    [
        ("-0.01 to 2.40", "−0.01 to 2.40"),
        ("[-0.20, -0.01]", "[−0.20, −0.01]"),
        ("-1,234.5 /min (-3 %)", "−1,234.5 /min (−3 %)"),
        ("-0.00 of -0", "0.00 of 0"),  # what rounds to zero has no sign
        ("-.04", "−.04"),
    ],
)
def test_number_below_zero_has_a_minus_sign_and_zero_has_none(english: str, written: str) -> None:
    assert by_locale(english) == written


def test_number_with_a_sign_has_it_in_every_language() -> None:
    with speaking("de"):
        assert [figure("%+.2f", one) for one in (-0.014, 0.014, -0.001)] == [
            "−0,01",
            "+0,01",
            "0,00",
        ]
