"""Names of what is measured, in the language in use."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.languages.current import N_, gettext, language, pgettext
from dashboard.languages.figures import by_locale
from edge_agent.core.expression import Emotion
from edge_agent.core.texts import Message, text_of
from edge_agent.core.vitals import SPECS, VitalKind

_EMOTIONS = (
    *(N_("neutral"), N_("happiness"), N_("surprise"), N_("sadness")),
    *(N_("anger"), N_("disgust"), N_("fear"), N_("contempt")),
)
_OF_VITALS = (
    *(N_("Heart rate"), N_("heart rate")),
    *(N_("Blood pressure"), N_("blood pressure")),
    *(N_("Systolic pressure"), N_("systolic pressure"), N_("systolic")),
    *(N_("Diastolic pressure"), N_("diastolic pressure"), N_("diastolic")),
    *(N_("Mean arterial pressure"), N_("mean arterial pressure")),
    N_("RR interval"),
    *(N_("Oxygen saturation"), N_("oxygen saturation")),
    *(N_("Skin temperature"), N_("skin temperature")),
    *(N_("Respiration rate"), N_("respiration rate")),
)
"""Labels, names inside a sentence, short names, tiles and panels of all vitals."""
_BESIDE = (N_("uncertain"), N_("note"), N_("baseline"), N_("condition"))
"""What is told beside emotions: no clear one, and kinds of markers."""
MARKED = frozenset({*_EMOTIONS, *_OF_VITALS, *_BESIDE})


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


def said(text: str) -> str:
    """Return a text that was made without a language in the language in use.

    Args:
        text: a constant that was marked, or a :class:`Message`, whose values may be texts again;
            anything else stays as it is.
    """
    if not isinstance(text, Message):
        return gettext(text) if text else ""
    values = {name: _value(value) for name, value in text.values.items()}
    return gettext(text.template).format(**values)


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


class _Number(float):
    """A number that is written by the locale, whatever its format."""

    def __format__(self, spec: str) -> str:
        return by_locale(super().__format__(spec))


def _value(value: object) -> object:
    if isinstance(value, Message):
        return said(value)
    if isinstance(value, float):
        return _Number(value)
    return value


def list_with_and(parts: Sequence[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return pgettext("list", "{before} and {last}").format(
        before=", ".join(parts[:-1]), last=parts[-1]
    )


def list_with_or(parts: Sequence[str]) -> str:
    """Return ``a``, ``a or b`` or ``a, b or c``."""
    if len(parts) < 2:
        return "".join(parts)
    return pgettext("list", "{before} or {last}").format(
        before=", ".join(parts[:-1]), last=parts[-1]
    )


def inside(name: str) -> str:
    """Return a heading as it stands inside a sentence: without its capitals, except where the
    language writes nouns with them.
    """
    if language().partition("-")[0] == "de":
        return name
    return name.lower()
