"""The participant's page in the participant's language, where the protocol says nothing itself."""

from __future__ import annotations

from dashboard.languages.current import SOURCE, gettext, language
from dashboard.protocols.running import ProtocolView
from dashboard.protocols.texts import Texts

_OWN_WORDS = Texts()
_OF_SCREENS = frozenset({_OWN_WORDS.baseline, _OWN_WORDS.rest, _OWN_WORDS.pressure})


def in_participants_language(view: ProtocolView) -> bool:
    """Tell whether the page may speak another language than its protocol.

    A protocol with texts of its own, in its table or on a screen, is in one language throughout.
    """
    if language() == SOURCE or view.texts != _OWN_WORDS:
        return False
    return all(not screen.text or screen.text in _OF_SCREENS for screen in view.screens)


def texts_for(view: ProtocolView) -> Texts:
    """Return what the page says by itself."""
    if not in_participants_language(view) or gettext(_OWN_WORDS.welcome) == _OWN_WORDS.welcome:
        return view.texts
    texts: dict[str, object] = {"language": language()}
    for name, value in view.texts:
        if name == "language":
            continue
        if isinstance(value, tuple):
            texts[name] = tuple(gettext(one) for one in value)
        else:
            texts[name] = gettext(value)
    return view.texts.model_copy(update=texts)


def text_of_screen(view: ProtocolView, text: str) -> str:
    """Return the text of a screen."""
    if text and in_participants_language(view):
        return gettext(text)
    return text
