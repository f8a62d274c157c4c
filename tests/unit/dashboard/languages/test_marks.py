"""The marks of each language give what Babel gives, which is no part of an installation."""

from __future__ import annotations

from datetime import date

import pytest
from babel.dates import format_date
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from dashboard.languages.current import SOURCE, available, speaking
from dashboard.languages.figures import marks, thousands
from tools.texts.locale_marks import form_of, marks_of

OURS = {code: "en_GB" if code == SOURCE else code for code in available()}


@pytest.mark.parametrize(("code", "locale"), OURS.items())
@given(day=st.dates(date(1000, 1, 1)), number=st.integers(-(10**12), 10**12))
def test_dates_and_numbers_are_written_as_babel_writes_them(
    code: str, locale: str, day: date, number: int
) -> None:
    assert marks(code).date(day) == format_date(day, "medium", locale=locale)
    with speaking(code):
        # Babel writes a hyphen before negative numbers.
        assert thousands(number) == format_decimal(number, locale=locale).replace("-", "−")


def test_a_language_that_writes_in_another_way_is_refused() -> None:
    with pytest.raises(ValueError, match="groups of other than three digits"):
        marks_of("hi")
    with pytest.raises(ValueError, match="there is no 'EEEE'"):
        form_of("EEEE, d MMM y")


def test_words_within_a_pattern_stay() -> None:
    assert form_of("d 'de' MMM 'de' y") == "{day} de {name} de {year}"
