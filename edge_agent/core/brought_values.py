"""JSON and TOML of others, bounded before it is parsed, so that a small text fills no memory.

A text is refused for its size, for levels in one another, for a number that no float holds, and in
TOML for a key of many parts, of which ``tomllib`` keeps every beginning. What is refused raises one
kind of error, whichever parser would have failed and how.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 1024 * 1024
"""Of a text: values take up to thirty times its length in memory."""
MOST_LEVELS = 64
MOST_DIGITS = 250
"""Of a whole number: a float holds it, in any base; Python prints none of 5,000."""
MOST_PARTS = 16
"""Of a key of TOML; the longest of ours has four."""
_TOO_DEEP = f"it is nested too deeply: at most {MOST_LEVELS} levels are read"
# Each begins in one way and never fails, so that a text is looked through once.
_JSON_MARKS = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_TOML_TEXTS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{0,5}'
    r"|'''(?:[^']|'(?!''))*+'{0,5}"
    r'|"(?:[^"\\\n]|\\.)*+"?'
    r"|'[^'\n]*+'?"
    r"|(?P<remark>\#[^\n]*+)",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[A-Za-z0-9_-]++[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}", re.ASCII)
_LONG_NUMBER = re.compile(
    rf"(?<![\w.-])[+-]?[0-9][0-9A-Fa-f_xob]{{{MOST_DIGITS},}}+(?![\w-]*+[ \t]*+[.=])", re.ASCII
)


class ValuesError(ValueError):
    """A text cannot be parsed, or is out of bounds; the message is the reason, in brackets."""


def read_bounded(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: it cannot be read.
        ValuesError: it has more bytes.
    """
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    _check_length(content, most_bytes)
    return content


def parse_json(
    content: str | bytes,
    most_bytes: int = MOST_BYTES,
    parse_constant: Callable[[str], object] | None = None,
) -> Any:
    """Parse JSON.

    Args:
        content: the text; bytes are UTF-8, with or without a mark.
        most_bytes: its longest.
        parse_constant: called for NaN and infinities; ``None``: they are numbers.

    Raises:
        ValuesError: it is no JSON, or out of bounds.
    """
    _check_length(content, most_bytes)
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        _check_levels(text)
        return json.loads(text, parse_int=_whole, parse_constant=parse_constant)
    except ValueError as error:
        raise ValuesError(str(error)) from error


def parse_toml(text: str, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Parse TOML.

    Raises:
        ValuesError: it is no TOML, or out of bounds.
    """
    _check_length(text, most_bytes)
    # Dots and digits in texts and remarks are no keys and no numbers.
    bare = _TOML_TEXTS.sub(_without_text, text)
    if match := _LONG_KEY.search(bare):
        _refuse(f"line {_line(bare, match)}: a key has more than {MOST_PARTS} parts")
    if match := _LONG_NUMBER.search(bare):
        _refuse(f"line {_line(bare, match)}: a number has more than {MOST_DIGITS} digits")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValuesError(_TOO_DEEP) from error
    except ValueError as error:
        raise ValuesError(str(error)) from error


def _without_text(match: re.Match[str]) -> str:
    return "" if match["remark"] else "_" + "\n" * match[0].count("\n")


def _check_length(content: str | bytes, most_bytes: int) -> None:
    if len(content) > most_bytes:
        _refuse(f"more than {most_bytes:,} bytes")


def _check_levels(text: str) -> None:
    if text.count("[") + text.count("{") <= MOST_LEVELS:
        return
    level = 0
    for mark in _JSON_MARKS.finditer(text):
        match mark[0]:
            case "[" | "{":
                level += 1
                if level > MOST_LEVELS:
                    _refuse(_TOO_DEEP)
            case "]" | "}":
                level -= 1


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        _refuse(f"a number of more than {MOST_DIGITS} digits")
    return int(digits)


def _line(bare: str, match: re.Match[str]) -> int:
    return bare.count("\n", 0, match.start()) + 1


def _refuse(why: str) -> NoReturn:
    raise ValuesError(why)
