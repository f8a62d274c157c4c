"""``python -m tools.write_mqtt_examples``: write the example of each message in docs/mqtt.md anew
from the payload models. A test says when that is due.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from edge_agent.mqtt.asyncapi import CHANNELS, COMMANDS, INGEST

PAGE = Path(__file__).resolve().parents[1] / "docs" / "mqtt.md"
MOST_CHARACTERS = 170
_EXAMPLE = re.compile(r"(### `([\w/]+)`.*?```json\n)(.*?)(```)", re.DOTALL)
"""Heading and text before an example, its topic, the example, and what ends it."""


def with_examples(text: str) -> str:
    """Return the page with the present examples."""
    examples = {channel.suffix: channel.example for channel in (*CHANNELS, INGEST, *COMMANDS)}

    def renewed(match: re.Match[str]) -> str:
        example = examples.get(match[2])
        return match[0] if example is None else f"{match[1]}{lines_of(example)}\n{match[4]}"

    return _EXAMPLE.sub(renewed, text)


def lines_of(value: object, indent: str = "") -> str:
    """Return JSON with an object or a list in one line, where it fits into one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) <= MOST_CHARACTERS or not isinstance(value, dict | list):
        return line
    inner = f"{indent}  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {lines_of(one, inner)}" for key, one in value.items()]
        first, last = "{}"
    else:
        parts = [lines_of(one, inner) for one in value]
        first, last = "[]"
    joined = f",\n{inner}".join(parts)
    return f"{first}\n{inner}{joined}\n{indent}{last}"


if __name__ == "__main__":
    PAGE.write_text(with_examples(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
