"""Refused values of a request: the words of pydantic in the language in use, and numbers in a body.

An address and a form have nothing but texts: what reads them takes ``"5"`` for 5. JSON has numbers
of its own, so a text, true and false are none. In a body that would hide a program's mistake, and
the description of the API says that it is refused.

    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(WholeNumber).validate_python(5)
    5
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from dashboard.languages.current import N_, SOURCE, gettext, language
from dashboard.languages.figures import by_locale
from dashboard.languages.names import said_of

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_KINDS: Mapping[str, str] = {
    "missing": N_("Field required"),
    "extra_forbidden": N_("Extra inputs are not permitted"),
    "int_parsing": N_("Input should be a whole number"),
    "int_type": N_("Input should be a whole number"),
    "int_from_float": N_("Input should be a whole number"),
    "float_parsing": N_("Input should be a number"),
    "float_type": N_("Input should be a number"),
    "finite_number": N_("Input should be a finite number"),
    "bool_parsing": N_("Input should be yes or no"),
    "string_type": N_("Input should be a text"),
    "string_too_short": N_("Text should have at least {min_length} characters"),
    "string_too_long": N_("Text should have at most {max_length} characters"),
    "string_pattern_mismatch": N_("Text should match the pattern {pattern}"),
    "greater_than": N_("Input should be greater than {gt}"),
    "greater_than_equal": N_("Input should be at least {ge}"),
    "less_than": N_("Input should be less than {lt}"),
    "less_than_equal": N_("Input should be at most {le}"),
    "enum": N_("Input should be one of: {expected}"),
    "literal_error": N_("Input should be one of: {expected}"),
    "too_short": N_("At least {min_length} should be given, not {actual_length}"),
    "too_long": N_("At most {max_length} should be given, not {actual_length}"),
}
"""What is said of each kind of refusal, where the language is not English."""


def refused_text(detail: Mapping[str, Any]) -> str:
    """Return why a value is refused; in English what pydantic says itself, but for its words about
    tuples and errors of ours.

    Args:
        detail: one of ``ValidationError.errors()``.
    """
    context = detail.get("ctx") or {}
    if isinstance(context.get("error"), Exception):
        return said_of(context["error"])
    if language() == SOURCE and detail["type"] not in ("too_short", "too_long"):
        return str(detail["msg"])
    known = _KINDS.get(str(detail.get("type")))
    if known is None:
        return str(detail["msg"])
    shown = {name: _value_text(value) for name, value in context.items()}
    try:
        return gettext(known).format(**shown)
    # Another version of pydantic may name its values differently.
    except KeyError:
        return str(detail["msg"])


def _value_text(value: object) -> str:
    if isinstance(value, float):
        return by_locale(f"{value:g}")
    return str(value).replace(" or ", ", ").replace("'", "")


def _plain_date(given: object) -> object:
    """Refuse what pydantic would take for a date, too: numbers, times."""
    if isinstance(given, str):
        given = given.strip()
    if given is None or (isinstance(given, date) and type(given) is date):
        return given
    if not isinstance(given, str) or not _DATE.fullmatch(given):
        raise ValueError(N_("give a day as 2026-03-31"))
    return given


def _not_text(given: Any) -> Any:
    """Refuse a text, true and false, as what is no whole number."""
    if isinstance(given, bool | str):
        raise PydanticKnownError("int_type")
    return given


def _no_real_text(given: Any) -> Any:
    """Refuse a text, true and false, as what is no number."""
    if isinstance(given, bool | str):
        raise PydanticKnownError("float_type")
    return given


OF_JSON = BeforeValidator(_not_text)
"""Beside a whole number in a body: ``Annotated[EpochMs, OF_JSON]``."""
WholeNumber = Annotated[int, OF_JSON]
PLAIN_DATE = BeforeValidator(_plain_date)
"""Beside a date: a number is none, which pydantic reads as seconds since 1970."""
RealNumber = Annotated[float, BeforeValidator(_no_real_text)]
