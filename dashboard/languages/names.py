"""Names of what is measured, in the language in use."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.languages.current import gettext, pgettext
from dashboard.languages.written import said
from edge_agent.core.expression import Emotion
from edge_agent.core.texts import Message, text_of
from edge_agent.core.vitals import SPECS, VitalKind


def vital_label(kind: VitalKind) -> str:
    """Return the name of a vital, as at the start of a sentence."""
    return gettext(SPECS[kind].label)


def vital_in_text(kind: VitalKind) -> str:
    """Return the name of a vital inside a sentence."""
    return gettext(SPECS[kind].name_in_text)


def vital_short(kind: VitalKind) -> str:
    """Return the name of a vital where little room is."""
    return gettext(SPECS[kind].short_name)


def state_name(state: str) -> str:
    """Return what a state is called: an emotion in the language in use, and any other condition as
    it was typed.
    """
    if state in tuple(Emotion):
        return gettext(str(state))
    return str(state)


def said_if_ours(text: str) -> str:
    """Return a text in the language in use if it is a :class:`Message`; what somebody typed stays
    as it is, even where a catalogue knows the word.
    """
    if isinstance(text, Message):
        return said(text)
    return text


def said_of(error: Exception) -> str:
    """Return what an error says, in the language in use."""
    return said(text_of(error))


def list_with_or(parts: Sequence[str]) -> str:
    """Return ``a``, ``a or b`` or ``a, b or c``."""
    if len(parts) < 2:
        return "".join(parts)
    return pgettext("list", "{before} or {last}").format(
        before=", ".join(parts[:-1]), last=parts[-1]
    )
