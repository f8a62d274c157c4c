"""Which language a request is answered in.

What its reader chose, else what their browser asks for, else the configured one, else English.
"""

from __future__ import annotations

from dashboard.languages.current import SOURCE, available

AUTO = "auto"
OWN_NAMES = {"en": "English", "de": "Deutsch", "es": "Español"}
"""Each language in its own words."""


def own_name(code: str) -> str:
    """Return what a language calls itself; its code where nobody has said it."""
    return OWN_NAMES.get(code, code)


def known(code: str) -> str | None:
    """Return the language that a code means, such as ``de`` for ``de-AT``; ``None`` for another."""
    short = code.strip().lower().partition("-")[0]
    if short in available():
        return short
    return None


def asked_for(header: str) -> str | None:
    """Return the language of ours that a browser likes best.

    Args:
        header: its ``Accept-Language``, such as ``de-AT,de;q=0.9,en;q=0.8``.
    """
    best: str | None = None
    best_weight = 0.0
    for part in header[:1000].split(","):
        code, _, weight_text = part.partition(";")
        language = known(code)
        weight = _weight(weight_text)
        if language is not None and weight > best_weight:
            best = language
            best_weight = weight
    return best


def _weight(text: str) -> float:
    """Return the weight of a wish, 1 where none is given, 0 where it cannot be read."""
    name, _, value = text.strip().partition("=")
    if not name:
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def chosen_from(choice: str, header: str, configured: str = AUTO) -> str:
    """Return the language of an answer.

    Args:
        choice: what the reader chose; empty where they did not.
        header: what their browser asks for.
        configured: ``dashboard.language``; ``auto`` is none.
    """
    return known(choice) or asked_for(header) or known(configured) or SOURCE
