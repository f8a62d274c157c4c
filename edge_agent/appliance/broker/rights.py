"""What an account at the broker may do, as lines of mosquitto's access file."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum

from edge_agent.mqtt.discovery.device import Device
from edge_agent.mqtt.topics import Topics


class Right(StrEnum):
    """What an account may do."""

    READ = "read"
    """Read what the appliance publishes about people and itself."""
    READINGS = "readings"
    """Send readings, and read which were refused."""
    COMMANDS = "commands"
    """Start and end sessions, set markers, and read which commands were refused."""
    HOME_ASSISTANT = "home-assistant"
    """Be Home Assistant: find the appliance and show its values. Its buttons want COMMANDS, too."""


PUBLISHED = (
    Topics.STATUS,
    Topics.SUMMARY,
    Topics.EMOTION,
    Topics.VITALS,
    Topics.HEALTH,
    Topics.ALERTS,
    Topics.STATE,
    Topics.SESSION,
)
"""What READ opens. Not among them: what others send, and the timeline for a collector."""


def rules_for(rights: Iterable[Right], device: Device) -> tuple[str, ...]:
    """Return the lines below ``user NAME`` that give an account these rights, each once."""
    rules: dict[str, None] = {}
    for right in sorted(set(rights), key=list(Right).index):
        rules |= dict.fromkeys(_rules_of(right, device))
    return tuple(rules)


def rights_in(rules: Collection[str], device: Device) -> tuple[tuple[Right, ...], bool]:
    """Return which rights lines of the access file give, and whether other lines are among them."""
    had = [right for right in Right if set(_rules_of(right, device)) <= set(rules)]
    others = set(rules) - set(rules_for(had, device))
    if Right.HOME_ASSISTANT in had:
        had.remove(Right.READ)  # which is part of it
    return tuple(had), bool(others)


def agent_rules(device: Device) -> tuple[str, ...]:
    """Return what the agent's own account needs, beside its own topics, to be found."""
    return (f"topic write {device.topic}", f"topic read {device.birth_topic}")


def _rules_of(right: Right, device: Device) -> tuple[str, ...]:
    full = device.topics.full
    match right:
        case Right.READ:
            return tuple(f"topic read {full(suffix)}" for suffix in PUBLISHED)
        case Right.READINGS:
            return (f"topic write {full(Topics.INGEST)}", f"topic read {full(Topics.REJECTED)}")
        case Right.COMMANDS:
            return (
                f"topic write {full(Topics.COMMAND_SESSION)}",
                f"topic write {full(Topics.COMMAND_MARKER)}",
                f"topic write {full(Topics.COMMAND_CAPTURE)}",
                f"topic read {full(Topics.COMMAND_REJECTED)}",
            )
        case Right.HOME_ASSISTANT:
            own = (f"topic read {device.topic}", f"topic readwrite {device.birth_topic}")
            return (*_rules_of(Right.READ, device), *own)
