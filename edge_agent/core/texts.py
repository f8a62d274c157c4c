"""States, alarms and advice for screens, made where no language is known. No I/O.

The agent speaks English. The dashboard shows its texts in the language of the reader: constant
ones are marked with :func:`N_`, so that the catalogue has them; one with values is a
:class:`Message`, which is its English and still knows its parts, as JSON too.

    >>> text = Message(N_("{n} faces in {file}"), n=3, file="a.png")
    >>> text
    '3 faces in a.png'
    >>> text.template, text.values["n"]
    ('{n} faces in {file}', 3)
    >>> unpacked(str(text), packed(text)).values["n"]
    3
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_DEEPEST = 100


def N_(message: str) -> str:  # noqa: N802 - the name that catalogues of texts know
    """Mark a text for the catalogue where it stands, and return it as it is."""
    return message


class Message(str):
    """An English text with values in it that can be said in another language.

    Attributes:
        template: the English with named places.
        values: what fills them, by name; a value may be a text itself.
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
        """Return how a copy is made, in another process too."""
        return _made, (self.template, dict(self.values))


def _made(template: str, values: Mapping[str, Any]) -> Message:
    return Message(template, **values)


def text_of(error: Exception) -> str:
    """Return what an error says: the :class:`Message` that it was raised with, where it was."""
    if len(error.args) == 1 and isinstance(error.args[0], Message):
        return error.args[0]
    return str(error)


def as_message(text: str) -> Message:
    """Return a constant of ours as a message that can be part of another one."""
    if isinstance(text, Message):
        return text
    return Message(text.replace("{", "{{").replace("}", "}}"))


def listed(parts: Iterable[str]) -> str:
    """Return ``a``, ``a and b`` or ``a, b and c``, which can be said in another language."""
    *first, last = parts
    if not first:
        return last
    places = ", ".join(f"{{part_{number}}}" for number in range(len(first)))
    before = Message(places, **{f"part_{number}": part for number, part in enumerate(first)})
    return Message(N_("{before} and {last}"), before=before, last=last)


def joined(sentences: Iterable[str]) -> str:
    """Return sentences one after the other, which can be said in another language."""
    parts = list(sentences)
    if len(parts) < 2:
        return "".join(parts)
    places = " ".join(f"{{sentence_{number}}}" for number in range(len(parts)))
    return Message(places, **{f"sentence_{number}": part for number, part in enumerate(parts)})


def messages_in(told: object) -> Iterator[Message]:
    """Give each :class:`Message` in tables and lists of what a program tells another one."""
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
        LookupError, TypeError, ValueError: it is none, or ``depth`` messages do not hold it.
    """
    if depth < 0:
        raise ValueError("nested too deeply")
    values = {
        place: message_of(value, depth - 1) if isinstance(value, Mapping) else value
        for place, value in parts["values"].items()
    }
    return Message(parts["template"], **values)


def packed(text: str) -> str | None:
    """Return what :func:`parts_of` gives as JSON; ``None`` of another text."""
    if not isinstance(text, Message):
        return None
    return json.dumps(parts_of(text), ensure_ascii=False, separators=(",", ":"))


def unpacked(text: str, kept: str | None) -> str:
    """Return the message that a text was; the text itself where nothing that fits was kept.

    Args:
        text: its English.
        kept: what :func:`packed` gave, from wherever it has lain.
    """
    if kept is None:
        return text
    try:
        message = message_of(json.loads(kept), 5)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return text
    # parts that do not make the text were changed, or are of another one
    return message if message == text else text
