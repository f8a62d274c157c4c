"""Whether an appliance is worse than before: its services ended, or alarms that were not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.appliance.profiles.allowed import NOT_BY_A_PROFILE
from edge_agent.appliance.profiles.applying import Watch
from edge_agent.appliance.profiles.place import ProfilePlace
from edge_agent.appliance.running_checks import agent_health
from edge_agent.appliance.update import SERVICES, systemctl
from edge_agent.config.editing.keys import restarts
from edge_agent.core import clock
from edge_agent.core.errors import UpdateError
from edge_agent.runtime.live_feed import SOCKET_NAME

WATCH_SECONDS = 300.0
LOOK_SECONDS = 10.0
ANSWER_SECONDS = 30.0
"""An agent that has just started tells its health within some seconds."""
LOOKS = 3
"""An alarm counts that stands in each of the last looks: one may begin and end with a restart."""


def service_watch(
    place: ProfilePlace,
    seconds: float = WATCH_SECONDS,
    look_seconds: float = LOOK_SECONDS,
    answer_seconds: float = ANSWER_SECONDS,
) -> Watch:
    """Return what watches over the services of an appliance.

    Args:
        place: the appliance.
        seconds: how long it is watched.
        look_seconds: between two looks.
        answer_seconds: how long an agent is waited for that does not answer.
    """

    def alarms() -> frozenset[str] | None:
        end = clock.boot_seconds() + answer_seconds
        while (health := agent_health(place.appliance.data / SOCKET_NAME)) is None:
            if clock.boot_seconds() >= end:
                return None
            clock.sleep(min(1.0, answer_seconds))
        return frozenset(str(alarm["name"]) for alarm in health["alarms"])

    def restart(keys: Mapping[str, Any]) -> None:
        if units := restarts(keys):
            systemctl("restart", *(f"{unit}.service" for unit in units))

    def worse(before: frozenset[str]) -> str | None:
        pids = _pids()
        end = clock.boot_seconds() + seconds
        looks: list[frozenset[str] | None] = []
        while clock.boot_seconds() < end or len(looks) < LOOKS:
            clock.sleep(look_seconds)
            if _pids() != pids or "0" in pids:
                return "A service ended within minutes of its start."
            looks = [*looks, alarms()][-LOOKS:]
        return _judged(looks, before)

    return Watch(alarms, restart, worse)


def _judged(looks: list[frozenset[str] | None], before: frozenset[str]) -> str | None:
    told = [look for look in looks if look is not None]
    if not told:
        return "The agent does not answer any more."
    if new := frozenset.intersection(*told) - before - NOT_BY_A_PROFILE:
        return f"There are alarms that were not there before: {', '.join(sorted(new))}."
    return None


def _pids() -> list[str]:
    try:
        return systemctl("show", "-P", "MainPID", *SERVICES).split()
    except UpdateError:
        return ["0"]
