"""Numbers, times and lists are written as the language in use does."""

from __future__ import annotations

import pytest

from dashboard.languages.current import speaking
from dashboard.languages.figures import by_locale, figure, file_size, thousands
from dashboard.languages.names import capitalised, moment, said, with_and, words

AT_MS = 1_790_000_400_250  # 2026-09-21 14:20:00.250 UTC


@pytest.mark.parametrize(
    ("code", "number", "count", "size", "day", "when"),
    [
        ("en", "1234.6", "1,234,567", "3.4 MB", "2026-09-21", "2026-09-21 14:20 UTC"),
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
        assert file_size(3_400_000) == size
        assert moment(AT_MS, "date") == day
        assert moment(AT_MS) == when
        assert moment(AT_MS, "time") == "14:20:00 UTC"


def test_names_of_the_data_and_lists_are_said_in_the_language() -> None:
    assert (words("heart_rate"), with_and(["a"]), with_and(["a", "b"])) == (
        "heart rate",
        "a",
        "a and b",
    )
    with speaking("de"):
        assert said("anger") == "Ärger"
        assert said("P-01") == "P-01" and said("") == ""
        assert words("heart_rate") == "Herzfrequenz"
        assert with_and(["a", "b", "c"]) == "a, b und c"
        assert capitalised("der Puls") == "Der Puls"
    assert capitalised("der Puls") == "Der puls"


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("-1.5 and 1,234, of 2.5 (12.5 %)", "-1,5 and 1.234, of 2,5 (12,5 %)"),
        ("p = .032. 5 readings, 1,2 and so on", "p = ,032. 5 readings, 1,2 and so on"),
        ("1.5e-05", "1,5e-05"),
        ("1,234,567.25", "1.234.567,25"),
    ],
)
def test_only_the_marks_of_numbers_change_in_a_text(english: str, german: str) -> None:
    assert by_locale(english) == english
    with speaking("de"):
        assert by_locale(english) == german
