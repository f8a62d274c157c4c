"""Numbers in the body of a request. JSON has its own, so a text, true and false are none.

An address and a form have nothing but texts: what reads them takes ``"5"`` for 5. In a body that
would hide a program's mistake, and the description of the API says that it is refused.

    >>> from pydantic import TypeAdapter
    >>> TypeAdapter(WholeNumber).validate_python(5)
    5
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError


def _not_text(given: Any) -> Any:
    """Refuse a text, true and false, as what is no whole number."""
    if isinstance(given, bool | str):
        raise PydanticKnownError("int_type")
    return given


OF_JSON = BeforeValidator(_not_text)
"""Beside a whole number in a body: ``Annotated[EpochMs, OF_JSON]``."""
WholeNumber = Annotated[int, OF_JSON]
