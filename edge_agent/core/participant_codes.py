"""Codes of participants that other programs take for something else.

A program that guesses what a column holds reads ``01`` and ``1`` as one number, and ``NA`` as
nothing: two people become one, or one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edge_agent.core.texts import N_, Message

# Beginnings of numbers that a code can have: it begins with a letter or digit.
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?(?:[eE]-?[0-9]+)?", re.ASCII)
_MISSING = frozenset({"NA", "NULL", "NaN", "None", "nan", "null"})
"""Codes that R or pandas reads as a missing value."""


def misread_codes(codes: Iterable[str], others: Iterable[str] = ()) -> Iterator[Message]:
    """Yield a sentence for each of the new codes that programs misread.

    Args:
        codes: the new ones.
        others: those that are there.

    Example:
        >>> list(misread_codes(["P01", "01"], ["P1", "2"]))
        []
    """
    by_number = {float(code): code for code in others if _NUMBER.fullmatch(code)}
    for code in codes:
        if code in _MISSING:
            yield Message(
                N_(
                    "R or pandas reads the code {code} as a missing value, and leaves the person "
                    "out. Choose another code, or let such programs read codes as text."
                ),
                code=code,
            )
        elif _NUMBER.fullmatch(code):
            same = by_number.setdefault(float(code), code)
            if same != code:
                yield Message(
                    N_(
                        "R, pandas and spreadsheets read the codes {same} and {code} as one "
                        "number, and two people become one. Choose codes with a letter, or let "
                        "such programs read codes as text."
                    ),
                    same=same,
                    code=code,
                )
