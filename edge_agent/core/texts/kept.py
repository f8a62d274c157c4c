"""Texts as JSON, so that who reads a database or a pipe can say them in another language.

>>> text = Message("{n} faces in {file}", n=3, file="a.png")
>>> unpacked(str(text), packed(text)).values["n"]
3
"""

from __future__ import annotations

import json
from typing import Any

from edge_agent.core.texts import Message

_DEEPEST = 5


def packed(text: str) -> str | None:
    """Return the template and the values of a :class:`Message` as JSON; ``None`` of another text.

    Values are numbers, texts and messages; anything else is kept as its text.
    """
    if not isinstance(text, Message):
        return None
    return json.dumps(_parts(text), ensure_ascii=False, separators=(",", ":"))


def unpacked(text: str, kept: str | None) -> str:
    """Return the message that a text was; the text itself where nothing that fits was kept.

    Args:
        text: its English.
        kept: what :func:`packed` gave, from wherever it has lain.
    """
    if kept is None:
        return text
    try:
        message = _message(json.loads(kept), 0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return text
    # parts that do not make the text were changed, or are of another one
    return message if message == text else text


def _parts(message: Message) -> dict[str, Any]:
    return {
        "template": message.template,
        "values": {name: _value(value) for name, value in message.values.items()},
    }


def _value(value: object) -> Any:
    if isinstance(value, Message):
        return _parts(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _message(parts: Any, depth: int) -> Message:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    values = {
        name: _message(value, depth + 1) if isinstance(value, dict) else value
        for name, value in parts["values"].items()
    }
    return Message(parts["template"], **values)
