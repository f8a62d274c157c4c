"""``python -m tools.write_mqtt_examples``: write the example of each message in docs/mqtt.md anew
from the payload models. A test says when that is due.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from edge_agent.mqtt.asyncapi import CHANNELS, COMMANDS, INGEST

PAGE = Path(__file__).resolve().parents[1] / "docs" / "mqtt.md"
_EXAMPLE = re.compile(r"(### `([\w/]+)`.*?```json\n)(.*?)(```)", re.DOTALL)
"""Heading and text before an example, its topic, the example, and what ends it."""


def with_examples(text: str) -> str:
    """Return the page with the present examples; one that says the same keeps its lines."""
    examples = {channel.suffix: channel.example for channel in (*CHANNELS, INGEST, *COMMANDS)}

    def renewed(match: re.Match[str]) -> str:
        example = examples.get(match[2])
        if example is None or json.loads(match[3]) == example:
            return match[0]
        return f"{match[1]}{json.dumps(example, indent=2, ensure_ascii=False)}\n{match[4]}"

    return _EXAMPLE.sub(renewed, text)


if __name__ == "__main__":
    PAGE.write_text(with_examples(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
