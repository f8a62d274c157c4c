"""Distribution of recognitions and readings, and the present state.

Recorder, summary, live feed and broker receive them. Home Assistant gets the present state, in
which a value is ``None`` as soon as it is out of date. Each second the live feed reports whether
pictures come and whether the broker is reached. That is also a sign of life: without it, a page
shows the agent as frozen.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.agent.summary import SummaryWindow
from edge_agent.agent.threads import AgentThreads
from edge_agent.core import clock
from edge_agent.core.artefacts import LiveArtefacts
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import CameraState
from edge_agent.core.expression import Recognition
from edge_agent.core.readings import UNUSABLE, VitalReading
from edge_agent.core.texts import text_of
from edge_agent.core.variability import LiveVariability
from edge_agent.core.vitals import SPECS, VitalKind
from edge_agent.live.feed import LiveServer, is_live
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.payloads import (
    StatePayload,
    Topics,
    emotion_payload,
    movements_payload,
    vital_payload,
)
from edge_agent.timeline.study.capture_switch import SwitchedOff
from edge_agent.timeline.write.outbox import OutboxMessage
from edge_agent.timeline.write.recorder import Recorder

STREAM_S = 10.0
"""Seconds for which a reading of a continuous sensor counts as present."""
SINGLE_S = 3600.0
"""The same for a cuff; a monitor worn for a day measures twice an hour."""
MOVEMENTS_S = 1.0
"""Least seconds between two messages of movements."""
VARIABILITY_S = 5.0
"""Least seconds between two messages of the variability to the live feed."""
AT_ONCE = ("emotion", "turned_away", "capture", "camera", "recording", "session", "alarms")
"""Fields whose change is published at once; others are published with the summary window."""
NOT_LIVE_S = 2.0
"""Seconds without a picture after which an open camera counts as silent."""
_TIMES_KEPT = 256  # of each source: a strap's of more than the minute for which a reading is live
_SOURCES_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The state of the agent at one moment, besides what was seen and read.

    Attributes:
        capture: whether the camera is switched on.
        camera: whether the camera gives pictures.
        late_s: age from which its newest picture is out of date.
        recording: whether rows are written.
        session: whether a session is open; ``None``: not known.
    """

    capture: bool
    camera: bool = False
    late_s: float = 0.0
    recording: bool = False
    session: bool | None = None


class HomeState:
    """Collects the present state, and decides when it is published.

    Recognitions and readings come from other threads; everything else belongs to the agent's loop.

    Args:
        simulated: whether the camera is a demonstration.
        window_s: seconds after which the state is published without a change.
        movements: whether it tells that the head is turned away.
    """

    def __init__(self, *, simulated: bool, window_s: float, movements: bool = False) -> None:
        self._simulated = simulated
        self._movements = movements
        self._window_s = window_s
        self._lock = threading.Lock()
        self._seen: Recognition | None = None
        self._readings: dict[VitalKind, VitalReading] = {}
        self._shares: Mapping[str, float] | None = None
        self._variability: Mapping[str, Any] | None = None
        self._health: Mapping[str, Any] | None = None
        self._published: StatePayload | None = None
        self._published_at: Instant | None = None

    def see(self, recognition: Recognition) -> None:
        """Store the recognition of the newest frame."""
        with self._lock:
            self._seen = recognition

    def add_vital(self, reading: VitalReading) -> None:
        """Store a reading; one in doubt makes the value of its kind unknown."""
        with self._lock:
            known = self._readings.get(reading.kind)
            if known is None or known.at.boot_ms <= reading.at.boot_ms:
                self._readings[reading.kind] = reading

    def close_window(self, summary: Mapping[str, Any]) -> None:
        """Store the summary of a window that has just ended."""
        with self._lock:
            self._shares = summary["shares"]
            self._variability = summary["variability"]

    def set_health(self, report: Mapping[str, Any]) -> None:
        """Store the newest health report."""
        self._health = report

    def due(self, conditions: Conditions, at: Instant) -> StatePayload | None:
        """Return the state if it must be published now, else ``None``."""
        state = self.now(conditions, at)
        last = self._published
        last_at = self._published_at
        if last is not None and last_at is not None:
            changed = any(getattr(state, name) != getattr(last, name) for name in AT_ONCE)
            if not changed and at.seconds_since(last_at) < self._window_s:
                return None
        self._published = state
        self._published_at = at
        return state

    def now(self, conditions: Conditions, at: Instant) -> StatePayload:
        """Return the state at a moment."""
        with self._lock:
            seen = self._seen
            readings = dict(self._readings)
            shares, variability = self._shares, self._variability
        if not conditions.camera or (seen and at.seconds_since(seen.at) > conditions.late_s):
            seen = None
        health = self._health
        return StatePayload.model_validate(
            {
                "at": iso_utc(at.wall_ms),
                **_expression(seen),
                "turned_away": self._turned_away(seen),
                "shares": shares
                and {label: round(100 * part, 2) for label, part in shares.items()},
                "vitals": {kind: _vital(readings.get(kind), at) for kind in SPECS},
                "variability": variability,
                "capture": conditions.capture,
                "camera": conditions.camera,
                "recording": conditions.recording,
                "session": conditions.session,
                "frames_per_second": health and health["camera"]["fps"],
                "temperature_celsius": health and health["temperature_celsius"],
                "alarms": health and {one["name"]: one["text"] for one in health["alarms"]},
                "simulated": self._simulated,
            }
        )

    def _turned_away(self, seen: Recognition | None) -> bool | None:
        if not self._movements or seen is None or seen.primary is None:
            return None
        return seen.primary.turned_away


def _expression(seen: Recognition | None) -> dict[str, Any]:
    """Return label, valence and number of faces; all ``None`` without a present picture."""
    if seen is None:
        return {"emotion": None, "valence": None, "faces": None}
    face = seen.primary
    valence = None
    if face is not None and face.reject_reason is None:
        valence = round(max(-1.0, min(1.0, face.smoothed.valence)), 4)
    return {"emotion": seen.state, "valence": valence, "faces": len(seen.observations)}


def _vital(reading: VitalReading | None, at: Instant) -> dict[str, Any] | None:
    """Return the newest reading of a kind, unless it is old or in doubt."""
    if reading is None or reading.flags & UNUSABLE:
        return None
    limit_s = STREAM_S if reading.kind.spec.stream else SINGLE_S
    if at.seconds_since(reading.at) > limit_s:
        return None
    return {
        "value": reading.value,
        "unit": reading.kind.unit,
        "measured_at": iso_utc(reading.at.wall_ms),
        "source": reading.source,
        "flags": sorted(reading.flags),
    }


def tell_home(
    home: HomeState,
    threads: AgentThreads,
    camera: Mapping[str, Any],
    session: bool | None,
    at: Instant,
) -> None:
    """Publish the present state, if it is due.

    Args:
        home: the state.
        threads: of the agent; with the MQTT client.
        camera: its state, as in ``live_state``.
        session: whether a session is open; ``None``: not known.
        at: the present moment.
    """
    gives_pictures = camera["state"] is CameraState.OPEN
    conditions = Conditions(
        capture=camera["switched_off"] is None,
        camera=gives_pictures,
        late_s=camera["late_after_seconds"],
        recording=gives_pictures and threads.recorder.last_error is None,
        session=session,
    )
    payload = home.due(conditions, at)
    if payload is not None and threads.client is not None:
        threads.client.publish_state(payload)


class EventDispatcher:
    """Passes each recognition and each reading to recorder, summary, live feed and broker.

    It is called from the vision thread and from the threads of the vitals. A lock guards the
    summary window, the only part of it that is not safe to share.

    Args:
        recorder: writes the timeline.
        window: gathers the summary.
        live: publishes to the dashboard.
        client: publishes over MQTT; ``None`` if MQTT is off.
        simulated: whether the camera is a demonstration.
        home: collects the present state; ``None`` if it is not published.
        movements_s: seconds from one message of movements to the next, at least ``MOVEMENTS_S``;
            ``None`` if they are not published.
    """

    def __init__(
        self,
        recorder: Recorder,
        window: SummaryWindow,
        live: LiveServer,
        client: MqttClient | None,
        simulated: bool,
        home: HomeState | None = None,
        movements_s: float | None = None,
    ) -> None:
        self._recorder = recorder
        self._window = window
        self._live = live
        self._client = client
        self._simulated = simulated
        self._home = home
        self._movements_s = None if movements_s is None else max(movements_s, MOVEMENTS_S)
        self._moved: Instant | None = None
        self._lock = threading.Lock()
        self._times: defaultdict[tuple[VitalKind, str], deque[int]] = defaultdict(
            lambda: deque(maxlen=_TIMES_KEPT)
        )
        self._artefacts = LiveArtefacts()
        self._variability = LiveVariability()
        self._varied: Instant | None = None
        self._last_label: str | None = None
        self.listener: Callable[[Recognition | VitalReading], None] | None = None
        """Also called with each recognition and each present reading."""

    def recognition(self, seen: Recognition) -> None:
        """Pass on the recognition of one frame."""
        self._recorder.submit(seen)
        self._live.publish_recognition(seen)
        with self._lock:
            self._window.add_recognition(seen)
        if self._home is not None:
            self._home.see(seen)
        if self.listener is not None:
            self.listener(seen)
        if self._client is None:
            return
        payload = emotion_payload(seen, simulated=self._simulated)
        # Published on a change only: fifteen messages a second would say the same.
        if payload.emotion != self._last_label:
            self._last_label = payload.emotion
            self._client.publish_emotion(payload)
        self._publish_movements(self._client, seen)

    def _publish_movements(self, client: MqttClient, seen: Recognition) -> None:
        """Publish the movements of one frame, if they are asked for, read and due."""
        if self._movements_s is None:
            return
        if self._moved is not None and seen.at.seconds_since(self._moved) < self._movements_s:
            return
        payload = movements_payload(seen, simulated=self._simulated)
        if payload is not None:
            self._moved = seen.at
            client.publish_movements(payload)

    def vital(self, reading: VitalReading) -> None:
        """Pass on one reading; one far from the present goes to the timeline only.

        So does one that comes again with its old time: it is alive who sends it, and nothing new.
        """
        # The timeline judges readings by those on both sides; what is live knows the past alone.
        self._recorder.submit(reading)
        if not is_live(reading) or not self._is_new(reading):
            return
        reading = self._artefacts.flag(reading)
        self._live.publish_vital(reading)
        self._publish_variability(reading)
        with self._lock:
            self._window.add_vital(reading)
        if self._home is not None:
            self._home.add_vital(reading)
        if self.listener is not None:
            self.listener(reading)
        if self._client is not None:
            self._client.publish_vital(vital_payload(reading))

    def _is_new(self, reading: VitalReading) -> bool:
        at_ms = reading.at.wall_ms
        with self._lock:
            if len(self._times) > _SOURCES_KEPT:
                self._times.clear()
            times = self._times[reading.kind, reading.source]
            is_new = at_ms not in times
            times.append(at_ms)
        return is_new

    def _publish_variability(self, reading: VitalReading) -> None:
        """Add an interval, and publish the variability to the live feed where that is due."""
        if reading.kind is not VitalKind.RR_INTERVAL:
            return
        self._variability.add(reading)
        at = clock.now()
        if self._varied is None or at.seconds_since(self._varied) >= VARIABILITY_S:
            self._varied = at
            variability = self._variability.now(at.wall_ms)
            if variability is not None:
                self._live.publish({"type": "variability", **variability.as_json()})

    def close_window(self, at: clock.Instant) -> None:
        """Close the summary window, and submit its summary to the outbox.

        The recorder writes it in one transaction with the rows that it summarizes.
        """
        with self._lock:
            payload = self._window.close(at)
        variability = self._variability.now(at.wall_ms)
        payload["variability"] = None if variability is None else variability.as_json()
        if self._home is not None:
            self._home.close_window(payload)
        if self._client is not None:
            self._recorder.submit(OutboxMessage(Topics.SUMMARY, payload, made=at))


def live_state(
    threads: AgentThreads, at: Instant, frame_period_s: float, off: SwitchedOff | None = None
) -> dict[str, Any]:
    """Return the message ``state`` of the live feed.

    Args:
        threads: of the agent.
        at: the present moment.
        frame_period_s: usual seconds between two pictures of this camera.
        off: time and person that switched the camera off; ``None``: it is on.
    """
    unstored = threads.recorder.unstored
    return {
        "type": "state",
        "at": at.wall_ms,
        "camera": _camera(threads, frame_period_s) | {"switched_off": _switched_off(off)},
        "broker": {
            "state": threads.client.state.value if threads.client else "disabled",
            "reason": threads.client.last_error if threads.client else None,
        },
        "recorder": {
            "unstored_since": unstored.since.wall_ms if unstored else None,
            "reason": str(unstored.error) if unstored else None,
        },
        "clock_synchronised": clock.is_synchronised(),
    }


def _switched_off(off: SwitchedOff | None) -> dict[str, Any] | None:
    """Return when and by whom the camera was switched off; ``None``: it is on."""
    if off is None:
        return None
    return {"since": off.since_ms, "by": off.by}


def _camera(threads: AgentThreads, frame_period_s: float) -> dict[str, Any]:
    """Return the state of the camera, the reason of a failure, and the age of the last picture."""
    capture = threads.capture
    age_s = capture.silent_s
    late_s = max(NOT_LIVE_S, 2 * frame_period_s + 1)
    state = CameraState.OPEN
    if capture.ended:
        state = CameraState.ENDED
    elif capture.is_idle:
        state = CameraState.CLOSED
    elif capture.failure is not None:
        state = CameraState.FAILED
    elif age_s > late_s:
        state = CameraState.SILENT
    return {
        "state": state,
        "reason": text_of(capture.failure) if capture.failure else None,
        "frame_age_seconds": None if capture.is_idle else round(age_s, 1),
        "late_after_seconds": late_s,
    }
