"""Writes into config/affect-edge.toml each key that it lacks.

    python -m tools.write_configuration

The line has the default of the field and its description with the limits; a key without a default
is commented out. What stands in the file already stays as it is: whoever adds a key may say there
more than its field does. Tests name the keys that are missing, and those with another default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomlkit

from edge_agent.config.keys import Key, Kind, all_keys

FILE = Path(__file__).resolve().parents[1] / "config" / "affect-edge.toml"
_COLUMN = 30
"""Where the comments begin."""


def with_all_keys(text: str, keys: Sequence[Key]) -> str:
    """Return the file with a line for each key; ``keys`` are in the order of their fields."""
    before: dict[str, Key] = {}
    for key in keys:
        table = _table_of(key)
        if not has_key(text, key):
            text = _with_key(text, key, before.get(table))
        before[table] = key
    return text


def has_key(text: str, key: Key) -> bool:
    """Tell whether a key stands in its table, commented out or not; a list of tables by its own."""
    return _line_of(text, key) is not None or f"\n[[{key.name}]]\n" in text


def line_for(key: Key) -> str:
    """Return the line of a key, such as ``width = 640  # Width asked of the camera …``."""
    name = key.name.rpartition(".")[2]
    default = [] if key.kind is Kind.LIST and key.default is None else key.default
    value: Any = "…" if default is None else default
    start = f"{'# ' if default is None else ''}{name} = {tomlkit.item(value).as_string()}"
    return f"{start.ljust(_COLUMN - 1)} # {_uncapitalized(key.description)}{_limits(key)}\n"


def _uncapitalized(text: str) -> str:
    """Return a text with a small letter first, but for an abbreviation."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _with_key(text: str, key: Key, before: Key | None) -> str:
    table = _table(text, _table_of(key))
    if table is None:
        return f"{text.rstrip()}\n\n[{_table_of(key)}]\n{line_for(key)}"
    line = None if before is None else _line_of(text, before)
    place = table.start(1) if line is None else line.end()
    return text[:place] + line_for(key) + text[place:]


def _table_of(key: Key) -> str:
    return key.name.rpartition(".")[0]


def _table(text: str, name: str) -> re.Match[str] | None:
    return re.compile(rf"^\[{re.escape(name)}\]\n(.*?)(?=^\[|\Z)", re.M | re.S).search(text)


def _line_of(text: str, key: Key) -> re.Match[str] | None:
    """Return where a key stands, with all lines of a list."""
    table = _table(text, _table_of(key))
    if table is None:
        return None
    name = re.escape(key.name.rpartition(".")[2])
    line = re.compile(rf"^(?:# )?{name} = (?:\[ *(?:#.*)?\n(?:.*\n)*?\]|.*)\n", re.MULTILINE)
    return line.search(text, table.start(1), table.end(1))


def _limits(key: Key) -> str:
    if key.choices:
        return f": {', '.join(key.choices)}"
    if key.least is None or key.most is None:
        return ""
    return f" ({key.least:g} to {key.most:g})"


if __name__ == "__main__":
    FILE.write_text(with_all_keys(FILE.read_text(encoding="utf-8"), all_keys()), encoding="utf-8")
