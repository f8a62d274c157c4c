"""The signals of the rules, from the messages of the agent's live feed.

A value that is too old is unknown: neither well nor beyond a limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from edge_agent.alerts.rules import UNHEARD_S, Zone
from edge_agent.config.alerts import AlertKind, RuleSettings
from edge_agent.core.errors import CameraState
from edge_agent.core.expression import Attribution
from edge_agent.core.readings import UNUSABLE
from edge_agent.core.texts import N_, Message
from edge_agent.core.vitals import VitalKind

STREAM_S = 10.0
"""Seconds for which a reading of a continuous sensor counts as present."""
SINGLE_S = 3600.0
"""The same for a reading of a cuff."""
FEED_S = 5.0
"""Seconds for which a message that comes each second counts as present."""
HEALTH_S = 20.0
"""The same for a message that comes every five seconds."""
VARIABILITY_S = 20.0
"""The same for RMSSD, which comes with a beat, but no more often than every five seconds."""
SIMULATED = N_("The readings are simulated.")
NOT_KNOWN = N_("A face is in view, but it is not known whose it is.")
BLANK = N_("The picture has nothing but one colour: the lens is covered, or there is no light.")
_PAUSED = frozenset({CameraState.OPEN, CameraState.CLOSED, CameraState.ENDED})
_CONNECTED = frozenset({"connected", "disabled"})
_DISK_GONE = "disk_gone"
_COPY = "copy_"


@dataclass(frozen=True, slots=True)
class AlertSignal:
    """In which zone the value is that a rule watches.

    Attributes:
        zone: the zone.
        value: the value, if there is one.
        reason: a further sentence, or empty.
        since_s: the time since which it is there, as far as it was before; ``None``: not known.
    """

    zone: Zone
    value: float | None = None
    reason: str = ""
    since_s: float | None = None


UNKNOWN = AlertSignal(Zone.UNKNOWN)
WELL = AlertSignal(Zone.WELL)


def zone_of(rule: RuleSettings, value: float) -> Zone:
    """Return the zone of a value within the limits of a rule."""
    high = rule.above is not None and value > rule.above
    low = rule.below is not None and value < rule.below
    if high or low:
        return Zone.BEYOND
    near_high = rule.above is not None and value > rule.above - rule.margin
    near_low = rule.below is not None and value < rule.below + rule.margin
    if near_high or near_low:
        return Zone.BETWEEN
    return Zone.WELL


class FeedSignals:
    """The newest messages of the agent, which may come from any thread.

    Args:
        started_s: present time of the boot clock: a sensor without any reading is silent from here.
    """

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._looks: dict[AlertKind, Callable[[RuleSettings, float], AlertSignal]] = {
            AlertKind.VITAL: self._vital,
            AlertKind.SENSOR: self._sensor,
            AlertKind.FACE: self._face,
            AlertKind.CAMERA: partial(self._part, "camera", _PAUSED),
            AlertKind.BROKER: partial(self._part, "broker", _CONNECTED),
            AlertKind.DISK: self._disk,
            AlertKind.BACKUP: self._backup,
            AlertKind.VARIABILITY: self._variability,
        }

    def store(self, message: Mapping[str, Any], at_s: float) -> None:
        """Store a message of the live feed; a reading in doubt is ignored."""
        key = str(message.get("type"))
        if key == "vital":
            # Ignored, not counted as well: a lost contact must not end an alert.
            if UNUSABLE.intersection(message["flags"]):
                return
            key = f"vital {message['kind']}"
        with self._lock:
            self._newest[key] = (at_s, message)

    def signal(self, rule: RuleSettings, at_s: float) -> AlertSignal:
        """Return the present signal of a rule."""
        look = self._looks.get(rule.when)
        return UNKNOWN if look is None else look(rule, at_s)

    def _find_recent(self, key: str, at_s: float, within_s: float) -> Mapping[str, Any] | None:
        with self._lock:
            heard_s, message = self._newest.get(key, (0.0, None))
        return message if at_s - heard_s <= within_s else None

    def _vital(self, rule: RuleSettings, at_s: float) -> AlertSignal:
        kind = rule.vital or VitalKind.HEART_RATE
        reading = self._find_recent(
            f"vital {kind}", at_s, STREAM_S if kind.spec.stream else SINGLE_S
        )
        if reading is None:
            return UNKNOWN
        value = float(reading["value"])
        is_simulated = "simulated" in reading["flags"]
        return AlertSignal(zone_of(rule, value), value, Message(SIMULATED) if is_simulated else "")

    def _variability(self, rule: RuleSettings, at_s: float) -> AlertSignal:
        """Return the signal of RMSSD; too few good beats say nothing."""
        now = self._find_recent("variability", at_s, VARIABILITY_S)
        if now is None or now["rmssd_ms"] is None:
            return UNKNOWN
        value = float(now["rmssd_ms"])
        return AlertSignal(
            zone_of(rule, value), value, Message(SIMULATED) if now["simulated"] else ""
        )

    def _sensor(self, rule: RuleSettings, at_s: float) -> AlertSignal:
        with self._lock:
            heard_s, _ = self._newest.get(f"vital {rule.vital}", (self._started_s, {}))
        return AlertSignal(Zone.BEYOND) if at_s - heard_s > UNHEARD_S[AlertKind.SENSOR] else WELL

    def _face(self, _rule: RuleSettings, at_s: float) -> AlertSignal:
        seen = self._find_recent("expression", at_s, FEED_S)
        if seen is None:
            return UNKNOWN
        if seen["state"] != "no_face":
            return WELL
        is_unknown = any(face["attribution"] == Attribution.UNKNOWN for face in seen["faces"])
        if is_unknown:
            return AlertSignal(Zone.BEYOND, reason=Message(NOT_KNOWN))
        return AlertSignal(Zone.BEYOND, reason=Message(BLANK) if seen["blank"] else "")

    def _part(
        self, name: str, well: frozenset[str], _rule: RuleSettings, at_s: float
    ) -> AlertSignal:
        """Return the signal of a part of the agent, from its state and reason."""
        with self._lock:
            heard_s, state = self._newest.get("state", (0.0, None))
        if state is None or at_s - heard_s > FEED_S:
            return UNKNOWN
        part = state[name]
        if part["state"] in well:
            return WELL
        # The camera counts as silent only some seconds after its last picture.
        age_s = part.get("frame_age_seconds")
        since_s = None if age_s is None else heard_s - age_s
        return AlertSignal(Zone.BEYOND, reason=part["reason"] or "", since_s=since_s)

    def _disk(self, rule: RuleSettings, at_s: float) -> AlertSignal:
        health = self._find_recent("health", at_s, HEALTH_S)
        if health is None:
            return UNKNOWN
        if health["disk"] is None:
            return AlertSignal(Zone.BEYOND, reason=_alert_text(health, _DISK_GONE))
        free_mb = health["disk"]["free_bytes"] / 1e6
        return AlertSignal(zone_of(rule, free_mb), free_mb)

    def _backup(self, rule: RuleSettings, at_s: float) -> AlertSignal:
        health = self._find_recent("health", at_s, HEALTH_S)
        if health is None:
            return UNKNOWN
        text = _alert_text(health, _COPY)
        if text:
            return AlertSignal(Zone.BEYOND, reason=text)
        age_s = health["copies"]["last_good_age_seconds"]
        if rule.above is None or age_s is None:
            return WELL
        hours = age_s / 3600
        return AlertSignal(zone_of(rule, hours), hours)


def _alert_text(health: Mapping[str, Any], start: str) -> str:
    """Return the texts of the alerts whose names have this beginning."""
    return " ".join(one["text"] for one in health["alarms"] if one["name"].startswith(start))
