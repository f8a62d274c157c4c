"""Numbers as the language in use writes them; in English they stay as they are.

    >>> with speaking("de"):
    ...     by_locale("1,234.5")
    '1.234,5'

Signs, units and the blank before "%" are the same in all our languages.
"""

from __future__ import annotations

from functools import cache

from dashboard.languages.current import SOURCE, language
from dashboard.languages.marks import marks
from dashboard.languages.written import thousands


@cache
def _marks(code: str) -> dict[int, str]:
    """Return what stands for the decimal point and for the comma between thousands (CLDR)."""
    return {ord("."): marks(code).decimal, ord(","): marks(code).group}


def by_locale(english: str) -> str:
    """Return a number, written the English way, with the marks of the language in use."""
    if language() == SOURCE:
        return english
    return english.translate(_marks(language()))


def decimal(value: float, digits: int) -> str:
    """Write a number with so many decimals; a minus sign stays as Python writes it."""
    return by_locale(f"{value:.{digits}f}")


def general(value: float) -> str:
    """Write a number with as few digits as it needs, six at the most."""
    return by_locale(f"{value:g}")


def integer(value: int) -> str:
    """Write a whole number with its thousands apart."""
    return thousands(value)


def percent(share: float, digits: int = 0) -> str:
    """Write a share as ``12 %``."""
    return by_locale(f"{100 * share:.{digits}f} %")
