"""The language in which a request or a command is answered, and its texts.

Write the source's English as the key, with named places, and fill them afterwards:

    gettext("{count} of {total} readings").format(count=3, total=12)

Never put a value, a part of a sentence or an f-string into the key: the catalogue holds
whole sentences. :func:`ngettext` is for texts that depend on a number.

A request is answered in the language that its reader chose, else in the one that the browser asks
for, else in the configured one, else in English.
"""

from __future__ import annotations

import gettext as catalogues
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

SOURCE = "en"
CATALOGUES = Path(__file__).parent / "catalogues"
DOMAIN = "affect-edge"

_language: ContextVar[str] = ContextVar("language", default=SOURCE)
AUTO = "auto"
OWN_NAMES = {"en": "English", "de": "Deutsch", "es": "Español"}
"""Each language in its own words."""


@cache
def available() -> tuple[str, ...]:
    """Return the codes of all languages that have texts (BCP 47), English first."""
    others = sorted(path.parent.parent.name for path in CATALOGUES.glob(f"*/*/{DOMAIN}.mo"))
    return (SOURCE, *others)


@cache
def _texts(code: str) -> catalogues.NullTranslations:
    """Return the texts of a language; those of the source where there is no catalogue."""
    return catalogues.translation(DOMAIN, CATALOGUES, [code], fallback=True)


def language() -> str:
    """Return the code of the language in use here, such as ``de``."""
    return _language.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Use a language until the end of the block, in this thread or task alone.

    Args:
        code: one of :func:`available`; another one falls back to English.
    """
    before = _language.set(code)
    try:
        yield
    finally:
        _language.reset(before)


def gettext(message: str) -> str:
    """Return the text in the language in use.

    Args:
        message: the English text, a literal, with named places such as ``{count}``.
    """
    return _texts(_language.get()).gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """Return the text for a number of things in the language in use.

    Args:
        singular: the English text for one, a literal.
        plural: the English text for several, a literal.
        n: how many there are; fill it in yourself where the text names it.
    """
    return _texts(_language.get()).ngettext(singular, plural, n)


def N_(message: str) -> str:  # noqa: N802 - the name that catalogues of texts know
    """Mark a text for the catalogue where it stands, and return it as it is.

    Whoever shows the text asks :func:`gettext` for it then.

    Example:
        >>> WORDS = {True: N_("yes"), False: N_("no")}
        >>> gettext(WORDS[True])

    Args:
        message: the English text, a literal.
    """
    return message


def pgettext(context: str, message: str) -> str:
    """Return the text of a word that has several meanings.

    Args:
        context: which meaning, for the translator.
        message: the English text, a literal.
    """
    return _texts(_language.get()).pgettext(context, message)


def own_name(code: str) -> str:
    """Return the name of a language in itself; its code where the catalogue has none."""
    return OWN_NAMES.get(code, code)


def find_language(code: str) -> str | None:
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
    # A header may be as long as a stranger likes.
    for part in header[:1000].split(","):
        code, _, weight_text = part.partition(";")
        language = find_language(code)
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
    return find_language(choice) or asked_for(header) or find_language(configured) or SOURCE
