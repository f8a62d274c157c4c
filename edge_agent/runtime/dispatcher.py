"""Hands what was seen and measured to everything that wants to know it."""

from __future__ import annotations

import threading

from edge_agent.core import clock
from edge_agent.core.expression import Recognition
from edge_agent.core.vitals import VitalReading
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.payloads.events import emotion_payload, vital_payload
from edge_agent.mqtt.topics import Topics
from edge_agent.runtime.live_feed import LiveServer
from edge_agent.runtime.summary import SummaryWindow
from edge_agent.store.write.outbox import OutboxMessage
from edge_agent.store.write.recorder import Recorder

LATE_S = 60.0


class EventDispatcher:
    """Hands each recognition and each reading to recorder, summary, live feed and broker.

    Called from the vision thread and from those of the vitals; the summary window is guarded by a
    lock.
    """

    def __init__(
        self,
        recorder: Recorder,
        window: SummaryWindow,
        live: LiveServer,
        client: MqttClient | None,
        simulated: bool,
    ) -> None:
        self._recorder = recorder
        self._window = window
        self._live = live
        self._client = client
        self._simulated = simulated
        self._lock = threading.Lock()
        self._last_label: str | None = None

    def recognition(self, seen: Recognition) -> None:
        """Hand on what was seen in one frame."""
        self._recorder.submit(seen)
        self._live.publish_recognition(seen)
        with self._lock:
            self._window.add_recognition(seen)
        if self._client is None:
            return
        payload = emotion_payload(seen, simulated=self._simulated)
        if payload.emotion != self._last_label:
            self._last_label = payload.emotion
            self._client.publish_emotion(payload)

    def vital(self, reading: VitalReading) -> None:
        """Hand on one reading; one that comes late, or ahead of its time, goes to the timeline
        only.
        """
        self._recorder.submit(reading)
        if abs(clock.now().wall_ms - reading.at.wall_ms) > 1000 * LATE_S:
            return
        self._live.publish_vital(reading)
        with self._lock:
            self._window.add_vital(reading)
        if self._client is not None:
            self._client.publish_vital(vital_payload(reading))

    def close_window(self, at: clock.Instant) -> None:
        """Close the summary window.

        What it says goes to the outbox with the rows that it speaks of.
        """
        with self._lock:
            payload = self._window.close(at)
        if self._client is not None:
            self._recorder.submit(OutboxMessage(Topics.SUMMARY, payload, sequenced=True))
