"""Orders of a program that runs an experiment, as short texts: markers, and sessions.

A text is a word and what belongs to it, with slashes between::

    stimulus_start/anger
    stimulus_end
    session_start/P01/research/laboratory/three films
    session_end

Any other text is a note.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from edge_agent.core.errors import StudyError
from edge_agent.core.study import MarkerKind, Purpose, SessionSetting

LONGEST_LABEL = 80
SESSION_START = "session_start"
SESSION_END = "session_end"
WORDS = (*(kind.value for kind in MarkerKind), SESSION_START, SESSION_END)


@dataclass(frozen=True, slots=True)
class MarkerOrder:
    """Set a marker in the open session.

    Attributes:
        kind: what happened.
        label: condition or note.
    """

    kind: MarkerKind
    label: str = ""


@dataclass(frozen=True, slots=True)
class StartOrder:
    """Open a session.

    Attributes:
        participant: code of somebody who has consented.
        purpose: why it is recorded.
        setting: where it takes place.
        name: what to call it.
    """

    participant: str
    purpose: Purpose
    setting: SessionSetting = SessionSetting.OTHER
    name: str = ""


@dataclass(frozen=True, slots=True)
class EndOrder:
    """Close the open session."""


Order = MarkerOrder | StartOrder | EndOrder
Choice = TypeVar("Choice", Purpose, SessionSetting)


def read_order(text: str) -> Order:
    """Return what a text asks for.

    Raises:
        StudyError: the text is empty or too long, or says too little or too much of a session.

    Example:
        >>> read_order("stimulus_start/anger")
        MarkerOrder(kind=<MarkerKind.STIMULUS_START: 'stimulus_start'>, label='anger')
    """
    text = text.strip()
    word, _, rest = text.partition("/")
    word = word.strip().lower()
    if word == SESSION_END and not rest:
        return EndOrder()
    if word == SESSION_START:
        return _start(rest)
    if word in set(MarkerKind):
        return MarkerOrder(MarkerKind(word), _checked(rest.strip()))
    if not text:
        raise StudyError(f"An empty text is no marker. Send one of {', '.join(WORDS)}, or a note.")
    return MarkerOrder(MarkerKind.NOTE, _checked(text))


def _start(rest: str) -> StartOrder:
    parts = [part.strip() for part in rest.split("/", 3)]
    if len(parts) < 2 or not parts[0]:
        raise StudyError(
            f"{SESSION_START} names participant and purpose, such as "
            f"{SESSION_START}/P01/research; setting and name may follow."
        )
    purpose = _one_of(Purpose, "purpose", parts[1])
    setting = SessionSetting.OTHER
    if len(parts) > 2 and parts[2]:
        setting = _one_of(SessionSetting, "setting", parts[2])
    return StartOrder(parts[0], purpose, setting, _checked(parts[3]) if len(parts) > 3 else "")


def _one_of(kinds: type[Choice], what: str, text: str) -> Choice:
    try:
        return kinds(text.lower())
    except ValueError as error:
        allowed = ", ".join(kind.value for kind in kinds)
        raise StudyError(f"{text!r} is no {what}. Allowed: {allowed}.") from error


def _checked(label: str) -> str:
    if len(label) > LONGEST_LABEL:
        raise StudyError(
            f"{label[:20]!r}… has {len(label)} signs; a label has {LONGEST_LABEL} at the most."
        )
    return label
