"""The agent's threads: start them, end them in order, and read their counters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge_agent.agent.watches import Watches
from edge_agent.alerts.figures import AgentFigures
from edge_agent.camera.capture import CaptureWorker
from edge_agent.control.listening import MarkerStream
from edge_agent.core import clock
from edge_agent.core.clock import Rate
from edge_agent.core.expression import Frame
from edge_agent.core.readings import FAILED, Gap
from edge_agent.core.threads import Death, LatestValue, RestartingWorker, Worker
from edge_agent.live.feed import LiveServer
from edge_agent.live.preview import PreviewServer
from edge_agent.lsl.worker import StreamWorker
from edge_agent.mqtt.client import MqttClient
from edge_agent.timeline.salvage.background_copying import BackgroundCopying
from edge_agent.timeline.upkeep.budget import Space
from edge_agent.timeline.write.changes import Replicates
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vision.governor import Governor
from edge_agent.vision.worker import VisionWorker
from edge_agent.vitals.ingest import VitalIngest
from edge_agent.vitals.sensor import BluetoothVitals
from edge_agent.vitals.sources import VitalSource

log = logging.getLogger(__name__)

DRAIN_S = 2.0
"""Longest wait for a thread to finish its work; systemd kills the agent after five seconds."""


@dataclass(frozen=True, slots=True)
class AgentThreads:
    """Every thread of the agent.

    Attributes:
        capture: reads the camera.
        vision: reads faces in the newest frame.
        vitals: sources of vitals.
        recorder: writes the timeline.
        live: serves the live feed.
        client: publishes over MQTT; ``None`` if MQTT is off.
        background_copying: salvages the timeline of a damaged database.
        alerts: evaluate and send alerts, and send the timeline to a collector.
        preview: shows the camera's picture to administrators; ``None`` if it is forbidden.
        streams: offers streams of the Lab Streaming Layer; ``None`` if they are off.
        control: receive commands of other programs.
    """

    capture: CaptureWorker
    vision: VisionWorker
    vitals: Sequence[VitalSource]
    recorder: Recorder
    live: LiveServer
    client: MqttClient | None
    background_copying: BackgroundCopying
    alerts: Sequence[Worker] = ()
    preview: PreviewServer | None = None
    streams: StreamWorker | None = None
    control: Sequence[Worker] = ()

    @property
    def restarting(self) -> list[RestartingWorker]:
        """The workers that begin again by themselves when they die."""
        workers = (*self.vitals, *self.control, self.streams)
        return [worker for worker in workers if isinstance(worker, RestartingWorker)]

    @property
    def markers(self) -> MarkerStream | None:
        """Who listens to a stream of markers; ``None``: nobody is asked to."""
        return next((one for one in self.control if isinstance(one, MarkerStream)), None)

    def start(self, on_death: Callable[[Worker, Exception], None]) -> None:
        """Start every thread, receivers first.

        Args:
            on_death: called in a thread that died, with it and its error.
        """
        for source in self.restarting:
            source.on_return = self._record_gap
        # Receivers before senders: the first frame must find a running recorder.
        for worker in (*self._outputs, *self.control, *self.vitals, self.vision, self.capture):
            worker.on_death = on_death
            worker.start()

    def stop_sources(self) -> None:
        """End capture, vitals and vision, so that nothing new comes; wait a second for each."""
        sources: list[Worker] = [self.capture, *self.vitals, self.vision, *self.control]
        for worker in sources:
            worker.stop()
        for worker in sources:
            if not worker.join(DRAIN_S / 2):
                log.warning("%s does not end and is left behind", worker.name)

    def stop_outputs(self) -> None:
        """End the recorder, then live feed and broker, so that the last summary is still sent."""
        self.recorder.stop()
        if not self.recorder.join(DRAIN_S):
            log.error("the recorder did not finish in time")
        publishers = [worker for worker in self._outputs if worker is not self.recorder]
        for worker in publishers:
            worker.stop()
        for worker in publishers:
            worker.join(DRAIN_S)

    def _record_gap(self, worker: RestartingWorker, death: Death) -> None:
        """Record the time in which a source had died."""
        for source in worker.sources:
            self.recorder.submit(Gap(source, death.at, death.back or clock.now(), FAILED))

    @property
    def _outputs(self) -> list[Worker]:
        maybe = (self.streams, self.client, self.preview)
        workers: list[Worker] = [self.live, self.recorder, self.background_copying, *self.alerts]
        return [*workers, *(worker for worker in maybe if worker is not None)]


class FigureReader:
    """Reads the figures of one agent. Belongs to one thread.

    Args:
        threads: of the agent.
        governor: limits the frame rate.
        latest_frame: counts the frames that were skipped.
        ingest: counts readings received over MQTT.
        watches: count their faults.
    """

    def __init__(
        self,
        threads: AgentThreads,
        governor: Governor,
        latest_frame: LatestValue[Frame],
        ingest: VitalIngest,
        watches: Watches,
    ) -> None:
        self._threads = threads
        self._watches = watches
        self._governor = governor
        self._latest_frame = latest_frame
        self._ingest = ingest
        self._rate = Rate()
        self._readings = Rate()

    def read(self, space: Space | None, read_error: str | None = None) -> AgentFigures:
        """Return the present figures.

        Args:
            space: result of the last check of the disk budget; ``None`` before the first.
            read_error: why the database could not be read the last time; ``None``: it could.
        """
        recorder = self._threads.recorder
        client = self._threads.client
        capture = self._threads.capture
        vision = self._threads.vision
        alerts = self._threads.alerts
        markers = self._threads.markers
        unstored = recorder.unstored
        plan = self._governor.plan
        fps = readings = None
        if not capture.is_idle:
            fps = self._rate.per_second(vision.frames)
            readings = self._readings.per_second(vision.readings)
        return AgentFigures(
            fps=fps,
            frame_age_s=self._frame_age_s(),
            frames_dropped=self._latest_frame.dropped,
            fps_limit=1 / plan.frame_s if plan.frame_s else None,
            limited_by=plan.limit.value if plan.limit else None,
            readings_per_second=readings,
            effort=vision.effort.value,
            camera_error=_text_of(capture.failure),
            queue_depth=recorder.queue_depth,
            waiting_s=recorder.waiting_s,
            rows_dropped=recorder.dropped,
            commit_age_s=_age_s(recorder.last_commit_boot_s),
            store_error=_text_of(unstored.error) if unstored else None,
            unstored_since_ms=unstored.since.wall_ms if unstored else None,
            read_error=read_error,
            rows_set_aside=recorder.set_aside,
            salvage=self._threads.background_copying.sentence(),
            space=space,
            mqtt_state=client.state.value if client else "disabled",
            mqtt_error=client.last_error if client else None,
            mqtt_state_s=client.state_seconds if client else 0.0,
            outbox=client.waiting if client else 0,
            set_aside=client.set_aside if client else {},
            left_out=client.left_out if client else {},
            holes=client.holes if client else (),
            duplicates=recorder.duplicates,
            readings_taken=self._ingest.taken,
            readings_refused=self._ingest.refused,
            sensors=tuple(
                state
                for source in self._threads.vitals
                if isinstance(source, BluetoothVitals)
                for state in source.states
            ),
            deaths={
                worker.name: worker.death
                for worker in self._threads.restarting
                if worker.death is not None
            }
            | self._watches.deaths,
            markers=None if markers is None else markers.stream,
            fleet=next((one.standing for one in alerts if isinstance(one, Replicates)), None),
        )

    def _frame_age_s(self) -> float | None:
        """Return the age of the last frame that was recognized.

        Not of the last one that was read: a vision thread that hangs must be noticed, too.
        """
        if self._threads.capture.is_idle:
            return None
        latest_s = max(self._threads.vision.last_sign_s, self._threads.capture.begun_s)
        return clock.boot_seconds() - latest_s


def _age_s(boot_s: float | None) -> float | None:
    return None if boot_s is None else clock.boot_seconds() - boot_s


def _text_of(error: Exception | None) -> str | None:
    return str(error) if error else None
