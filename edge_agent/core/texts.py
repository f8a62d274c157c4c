"""States, alarms and advice for screens, made by programs that know no language. No I/O.

The agent writes English. The dashboard shows its texts in the language of the reader. Constant
texts are marked with :func:`N_` for the catalogue. A text with values is a :class:`Message`: an
English string that also keeps its template and values, and can be stored as JSON.

    >>> text = Message(N_("{n} faces in {file}"), n=3, file="a.png")
    >>> text
    '3 faces in a.png'
    >>> text.template, text.values["n"]
    ('{n} faces in {file}', 3)
    >>> unpack_text(str(text), pack_text(text)).values["n"]
    3
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from string import Formatter
from typing import Any, Self

from edge_agent.core.clock import utc_at

_DEEPEST = 100
_DEEPEST_STORED = 5
"""The JSON may come from a database or a broker, and each level is a recursion."""
_NO_MESSAGE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
UTC_TIME = "{year:04}-{month:02}-{day:02} {time} UTC"
"""A template that no catalogue has: the dashboard writes it as the language writes dates."""
_WIDE = re.compile(r"\d{3}|[{}]")


def N_(message: str) -> str:  # noqa: N802 - the name that catalogues of texts know
    """Mark a text for the catalogue, and return it unchanged."""
    return message


class Worded(StrEnum):
    """A register whose members have words for people; ``make write`` gives them to scripts.

    Attributes:
        says: the member in words, as pages show it.
        tone: how good that is, as the colour of a badge: ``good``, ``warn``, ``bad``, or neither.

    Example:
        >>> class Door(Worded):
        ...     OPEN = "open", N_("the door is open"), "good"
        >>> Door("open").says
        'the door is open'
    """

    says: str
    tone: str

    def __new__(cls, value: str, says: str | None = None, tone: str = "") -> Self:
        """Make a member of its value, its words and their tone.

        Raises:
            TypeError: it has no words.
        """
        if says is None:
            raise TypeError(f"{cls.__name__} {value}: give its words")
        member = str.__new__(cls, value)
        member._value_ = value
        member.says = says
        member.tone = tone
        return member


class Message(str):
    """An English text with values that can be translated.

    Attributes:
        template: the English text with named places.
        values: the values of the places; a value may be a message itself.
    """

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Any]

    def __new__(cls, template: str, /, **values: object) -> Message:
        """Fill the places of the template."""
        text = super().__new__(cls, template.format(**values))
        text.template = template
        text.values = values
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the constructor and arguments for a copy, also in another process."""
        return _make_message, (self.template, dict(self.values))


def _make_message(template: str, values: Mapping[str, Any]) -> Message:
    return Message(template, **values)


def text_of(error: Exception) -> str:
    """Return the text of an error, as a :class:`Message` if it was raised with one."""
    if len(error.args) == 1 and isinstance(error.args[0], Message):
        return error.args[0]
    return str(error)


def as_message(text: str) -> Message:
    """Return a constant of ours as a message that can be part of another one."""
    if isinstance(text, Message):
        return text
    return Message(text.replace("{", "{{").replace("}", "}}"))


def utc_text(wall_ms: int) -> Message:
    """Write UTC milliseconds since 1970 for people, to the second: in English ``2026-11-20
    08:12:00 UTC``, on a page as its language writes dates.
    """
    at = utc_at(wall_ms)
    return Message(UTC_TIME, year=at.year, month=at.month, day=at.day, time=f"{at:%H:%M:%S}")


def join_list(parts: Iterable[str]) -> str:
    """Join parts to ``a``, ``a and b`` or ``a, b and c``, as a text that can be translated."""
    *first, last = parts
    if not first:
        return last
    # Named places, for a catalogue may need the parts in another order.
    places = ", ".join(f"{{part_{number}}}" for number in range(len(first)))
    before = Message(places, **{f"part_{number}": part for number, part in enumerate(first)})
    return Message(N_("{before} and {last}"), before=before, last=last)


def join_sentences(sentences: Iterable[str]) -> str:
    """Join sentences to one text that can be translated."""
    parts = list(sentences)
    if len(parts) < 2:
        return "".join(parts)
    places = " ".join(f"{{sentence_{number}}}" for number in range(len(parts)))
    return Message(places, **{f"sentence_{number}": part for number, part in enumerate(parts)})


def messages_in(told: object) -> Iterator[Message]:
    """Yield each :class:`Message` in nested tables and lists."""
    if isinstance(told, Message):
        yield told
    elif isinstance(told, Mapping):
        for part in told.values():
            yield from messages_in(part)
    elif isinstance(told, list | tuple):
        for part in told:
            yield from messages_in(part)


def parts_of(message: Message) -> dict[str, Any]:
    """Return a message as a table of JSON, which :func:`message_of` reads.

    Values are numbers, texts and messages; anything else is kept as its text.
    """
    values = {place: _plain(value) for place, value in message.values.items()}
    return {"template": message.template, "values": values}


def _plain(value: object) -> object:
    if isinstance(value, Message):
        return parts_of(value)
    return value if value is None or isinstance(value, int | float) else str(value)


def message_of(parts: Mapping[str, Any], depth: int = _DEEPEST) -> Message:
    """Return the message of a table that :func:`parts_of` made.

    Raises:
        LookupError, TypeError, ValueError: it is no message, or is nested deeper than ``depth``.
    """
    if depth < 0:
        raise ValueError("nested too deeply")
    _refuse_wide(parts["template"])
    # A mapping can only be a message here: values are numbers and texts.
    values = {
        place: message_of(value, depth - 1) if isinstance(value, Mapping) else value
        for place, value in parts["values"].items()
    }
    return Message(parts["template"], **values)


def _refuse_wide(template: str) -> None:
    """Refuse a template that fills places with more than was given: ``{n:>900000000}``."""
    for _, place, form, _ in Formatter().parse(template):
        if place is not None and not place.isidentifier():
            raise ValueError(f"{place[:40]!r} is no placeholder of a message")
        if form and _WIDE.search(form):
            raise ValueError(f"{form[:40]!r} is no form of a place")


def pack_text(text: str) -> str | None:
    """Return the :func:`parts_of` a message as JSON; ``None`` for another text."""
    if not isinstance(text, Message):
        return None
    return json.dumps(parts_of(text), ensure_ascii=False, separators=(",", ":"))


def unpack_text(text: str, kept: str | None) -> str:
    """Return the message of a text; the text itself if the stored parts do not fit it.

    Args:
        text: the English text.
        kept: the result of :func:`pack_text`, as stored or received.
    """
    if kept is None:
        return text
    try:
        message = message_of(json.loads(kept), _DEEPEST_STORED)
    except _NO_MESSAGE:
        return text
    # parts that do not make the text were changed, or are of another one
    return message if message == text else text


def pack_alone(text: str) -> str:
    """Return a text for a column that holds nothing else: a message as JSON, others unchanged.

    >>> pack_alone(Message("{n} faces", n=3))
    '{"template":"{n} faces","values":{"n":3}}'
    """
    return pack_text(text) or text


def unpack_alone(kept: str) -> str:
    """Return the text that :func:`pack_alone` was given.

    >>> unpack_alone(pack_alone(Message("{n} faces", n=3))), unpack_alone("no faces")
    ('3 faces', 'no faces')
    """
    try:
        return message_of(json.loads(kept), _DEEPEST_STORED)
    except _NO_MESSAGE:
        return kept
