"""Dispatches recognitions and readings to recorder, summary, live feed and broker."""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge_agent.core import clock
from edge_agent.core.expression import Recognition
from edge_agent.core.readings import VitalReading
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.payloads.events import emotion_payload, vital_payload
from edge_agent.mqtt.topics import Topics
from edge_agent.runtime.live_feed import LiveServer
from edge_agent.runtime.states.home_state import HomeState
from edge_agent.runtime.summary import SummaryWindow
from edge_agent.store.write.outbox import OutboxMessage
from edge_agent.store.write.recorder import Recorder

LATE_S = 60.0
"""A reading farther from now than this is not published as one of now: a cuff sends old ones."""


class EventDispatcher:
    """Passes each recognition and each reading to recorder, summary, live feed and broker.

    It is called from the vision thread and from the threads of the vitals. A lock guards the
    summary window, the only part of it that is not safe to share.

    Args:
        recorder: writes the timeline.
        window: gathers the summary.
        live: publishes to the dashboard.
        client: publishes over MQTT; ``None`` where MQTT is off.
        simulated: whether the camera is a demonstration.
        home: gathers what is known now; ``None`` where nobody asks.
    """

    def __init__(
        self,
        recorder: Recorder,
        window: SummaryWindow,
        live: LiveServer,
        client: MqttClient | None,
        simulated: bool,
        home: HomeState | None = None,
    ) -> None:
        self._recorder = recorder
        self._window = window
        self._live = live
        self._client = client
        self._simulated = simulated
        self._home = home
        self._lock = threading.Lock()
        self._last_label: str | None = None
        self.listener: Callable[[Recognition | VitalReading], None] | None = None
        """Is given each recognition and each reading of now, as well."""

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
        if payload.emotion != self._last_label:
            self._last_label = payload.emotion
            self._client.publish_emotion(payload)

    def vital(self, reading: VitalReading) -> None:
        """Pass on one reading.

        One that comes late, or ahead of its time, goes to the timeline only.
        """
        self._recorder.submit(reading)
        if abs(clock.now().wall_ms - reading.at.wall_ms) > 1000 * LATE_S:
            return
        self._live.publish_vital(reading)
        with self._lock:
            self._window.add_vital(reading)
        if self._home is not None:
            self._home.add_vital(reading)
        if self.listener is not None:
            self.listener(reading)
        if self._client is not None:
            self._client.publish_vital(vital_payload(reading))

    def close_window(self, at: clock.Instant) -> None:
        """Close the summary window, and submit its summary to the outbox.

        The recorder writes it in one transaction with the rows that it summarizes.
        """
        with self._lock:
            payload = self._window.close(at)
        if self._home is not None:
            self._home.close_window(payload)
        if self._client is not None:
            self._recorder.submit(OutboxMessage(Topics.SUMMARY, payload, made=at))
