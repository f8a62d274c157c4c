"""Whether a profile may go to more devices: how those that have it are, against before.

Nothing here reads or writes: what was before comes in, what is decided goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from dashboard.fleet.fleet_devices import FleetDevice
from edge_agent.appliance.profiles.allowed import NOT_BY_A_PROFILE
from edge_agent.appliance.profiles.index import ALL, ProfileIndex, place_of

STEPS = (10, 100, ALL)
"""One percent, ten, all; per mille."""
LEAST_DEVICES = (1, 2)
"""In the first and second step at least so many devices, where a percent of them is none."""
ENOUGH = 0.9
"""Of the devices whose turn it is so many must have it: some are off, or in a session."""
_AWAY = ("offline", "silent")
_TROUBLES = ("offline", "silent", "lost", "camera")


class Before(BaseModel):
    """How a device was before the profile.

    Attributes:
        troubles: what was wrong, as the page Fleet names it.
        alarms: the names of its alarms.
    """

    model_config = ConfigDict(frozen=True)

    troubles: frozenset[str] = frozenset()
    alarms: frozenset[str] = frozenset()


class Rollout(BaseModel):
    """What is remembered between two looks.

    Attributes:
        digest: of the profile.
        stage: per mille, as it was published last.
        since_ms: when that was, UTC.
        before: how each device was before the profile.
        stopped: why it was stopped; empty: it was not.
    """

    digest: str
    stage: int
    since_ms: int
    before: dict[str, Before] = {}
    stopped: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a profile.

    Attributes:
        stage: to publish, per mille; the present one: nothing is to be done.
        text: why, for people.
        stopped: whether devices are worse with it.
    """

    stage: int
    text: str
    stopped: bool = False


def before_of(device: FleetDevice) -> Before:
    """Return how a device is, to be remembered before it gets a profile."""
    troubles = frozenset(reason for reason in device.reasons if reason in _TROUBLES)
    return Before(troubles=troubles, alarms=_alarms(device))


def followers(devices: Sequence[FleetDevice]) -> list[FleetDevice]:
    """Return the devices whose owners take profiles: their health tells of one.

    A revoked device gets none, and is not waited for.
    """
    return [
        device for device in devices if device.health.get("profile") and device.state != "revoked"
    ]


def decide(
    profile: ProfileIndex,
    devices: Sequence[FleetDevice],
    record: Rollout,
    waited_h: float,
    h: float,
) -> Decision:
    """Say whether a profile goes to more devices, waits, or stops.

    Args:
        profile: as it is published.
        devices: those that take profiles.
        record: how they were before.
        waited_h: hours since this stage was published.
        h: hours that a stage lasts at least.
    """
    now = profile.stage
    if record.stopped:
        return Decision(0, f"{profile.title} was stopped: {record.stopped}", stopped=True)
    if not devices:
        return Decision(now, "No device takes profiles yet: none tells of one in its health.")
    turn = [device for device in devices if profile.includes(device.name)]
    if worse := _worse(profile, turn, record.before):
        return Decision(0, "; ".join(worse), stopped=True)
    return _onward(profile, devices, turn, waited_h, h)


def _onward(
    profile: ProfileIndex,
    devices: Sequence[FleetDevice],
    turn: Sequence[FleetDevice],
    waited_h: float,
    h: float,
) -> Decision:
    now = profile.stage
    have = [device for device in turn if _standing(profile, device) == "applied"]
    counted = f"{len(have)} of {len(turn)} devices have {profile.title}, and none is worse"
    if turn and len(have) < ENOUGH * len(turn):
        return Decision(now, f"{counted}. Waiting for the others.")
    if now == ALL:
        return Decision(now, f"{counted}. It is given to all.")
    if turn and waited_h < h:
        return Decision(now, f"{counted}. The next stage comes in {h - waited_h:.1f} h.")
    return Decision(next_stage(profile, devices), f"{counted}. On to the next stage.")


def next_stage(profile: ProfileIndex, devices: Sequence[FleetDevice]) -> int:
    """Return the stage after the present one, in which there is a device to learn from."""
    places = sorted(place_of(one.name, profile.name, profile.version) for one in devices)
    steps = [
        max(step, places[min(least, len(places)) - 1] + 1)
        for step, least in zip(STEPS, LEAST_DEVICES, strict=False)
    ]
    return next((step for step in steps if step > profile.stage), ALL)


def _worse(
    profile: ProfileIndex, turn: Sequence[FleetDevice], before: Mapping[str, Before]
) -> list[str]:
    reasons = []
    for device in turn:
        was = before.get(device.name, Before())
        standing = _standing(profile, device)
        if standing == "taken_back":
            problem = device.health["profile"].get("problem") or "it did not say why"
            reasons.append(f"{device.name} took it back ({problem})")
            continue
        now = before_of(device)
        # a device that is away may have got it without being able to say so
        new = now.troubles - was.troubles if standing else (now.troubles - was.troubles) & {*_AWAY}
        alarms = now.alarms - was.alarms if standing else frozenset()
        if new or alarms:
            reasons.append(f"{device.name}: {', '.join([*sorted(new), *sorted(alarms)])}")
    return reasons


def _standing(profile: ProfileIndex, device: FleetDevice) -> str:
    """Return how a device stands to this profile; empty: it knows another one."""
    told = device.health.get("profile") or {}
    if (told.get("name"), told.get("version")) != (profile.name, profile.version):
        return ""
    state = str(told.get("state"))
    return "" if state == "waiting" else state


def _alarms(device: FleetDevice) -> frozenset[str]:
    names = frozenset(str(alarm.get("name")) for alarm in device.health.get("alarms") or ())
    return names - NOT_BY_A_PROFILE
