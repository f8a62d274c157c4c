"""The topics in docs/mqtt.md, from the payload models: a table of all, and the example of each."""

from __future__ import annotations

import json

from edge_agent.mqtt.asyncapi import CHANNELS, COMMANDS, INGEST, TopicChannel

MOST_CHARACTERS = 170
TOPICS = (*CHANNELS, INGEST, *COMMANDS)


def table() -> str:
    """Return the table in Markdown, one row a topic."""
    rows = [
        f"| `{one.suffix}` | {one.qos} | {_retained(one)} | {one.when.removesuffix('.')} |"
        for one in TOPICS
    ]
    return "\n".join(["| topic | QoS | retained | when |", "|---|---|---|---|", *rows])


def _retained(channel: TopicChannel) -> str:
    if channel.action == "receive":
        return "–"
    return "yes" if channel.retain else "no"


def example_of(channel: TopicChannel) -> str:
    """Return a message of a topic as a block of Markdown."""
    return f"```json\n{lines_of(channel.example)}\n```"


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
