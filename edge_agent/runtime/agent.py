"""The composition root: settings → objects → threads, and the loop that watches over them.

This is the module that knows every room. Each thread does one thing (see docs/architecture.md); the
loop closes summary windows, gathers health and keeps systemd's watchdog content while everything is
fresh.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import edge_agent
from edge_agent.camera.capture import CaptureWorker
from edge_agent.config import MqttSettings, Settings, at_home
from edge_agent.core import clock
from edge_agent.core.errors import StoreError
from edge_agent.core.expression import Frame
from edge_agent.core.latest_value import LatestValue
from edge_agent.core.readings import Origin
from edge_agent.core.timers import Every, Rate
from edge_agent.core.vitals import VitalReading
from edge_agent.core.worker import Worker
from edge_agent.mqtt.broker import Broker, read_password
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.commands import Commands
from edge_agent.mqtt.options import MqttOptions, Subscription
from edge_agent.mqtt.payloads.incoming import RejectedPayload, rejected_payload
from edge_agent.mqtt.topics import Topics
from edge_agent.runtime.dispatcher import EventDispatcher
from edge_agent.runtime.factories import camera_factory, configured_recognizer
from edge_agent.runtime.health import Figures, HealthMonitor, is_fresh
from edge_agent.runtime.live_feed import LiveServer
from edge_agent.runtime.summary import SummaryWindow
from edge_agent.runtime.systemd import SystemdNotifier
from edge_agent.store.database.schema import DATABASE_NAME, lock, migrate
from edge_agent.store.read.recorded_vitals import recorded_vitals
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.budget import Space, keep_to_budget
from edge_agent.store.upkeep.retention import prune
from edge_agent.store.write.outbox import Outbox
from edge_agent.store.write.recorder import Recorder
from edge_agent.vision.governor import Governor
from edge_agent.vision.recognizer import Recognizer
from edge_agent.vision.skin import watch_skin
from edge_agent.vision.worker import VisionWorker
from edge_agent.vitals.base import VitalSource
from edge_agent.vitals.bluetooth import BluetoothVitals, radio_factory
from edge_agent.vitals.camera_pulse import CameraPulse
from edge_agent.vitals.csv import read_readings
from edge_agent.vitals.ingest import VitalIngest
from edge_agent.vitals.replay import ReplayVitals
from edge_agent.vitals.sensor import Sensor
from edge_agent.vitals.simulated import SimulatedVitals

log = logging.getLogger(__name__)

LIVE_SOCKET = "live.sock"
TICK_S = 0.25
SESSION_POLL_S = 1.0
LIVE_HEALTH_S = 5.0
MQTT_HEALTH_S = 60.0
PRUNE_S = 3600.0
# in the loop; what it leaves is done an hour later, or at night by the maintenance
PRUNE_WITHIN_S = 2.0
DRAIN_S = 2.0


def broker_of(mqtt: MqttSettings) -> Broker:
    """Return the configured broker; raises ``MqttError`` when the password file cannot be read."""
    password = mqtt.password.get_secret_value() if mqtt.password else None
    if mqtt.password_file is not None:
        password = read_password(mqtt.password_file)
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password=password,
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
        protocol=mqtt.protocol,
        keepalive=mqtt.keepalive,
    )


class StopSignals:
    """SIGTERM and Ctrl-C, from now on: they end the agent in order, also when they come before it
    is built.

    They set a flag and raise nothing: an exception out of the middle of an import would look like a
    broken library.
    """

    def __init__(self) -> None:
        self._asked = False
        self._agent: Agent | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._take)

    def tie(self, agent: Agent) -> None:
        """Let them end this agent."""
        self._agent = agent
        if self._asked:
            agent.stop()

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        if self._agent is not None:
            self._agent.stop()


class Agent:
    """Everything that ``affect-edge run`` runs.

    Args:
        settings: the configuration.
        data: the data folder; made when it is not there.
        environment: of the process; systemd speaks through it.

    Raises:
        StoreError: the database cannot be used, or another agent uses it.
        ModelError: a model is missing or damaged.
        MqttError: the broker's settings cannot work.
        DataFileError: the recording to be played again cannot be read.
        VitalsError: sensors are configured, but the library for Bluetooth is not installed.
        ServerError: the live feed cannot listen.
    """

    def __init__(
        self, settings: Settings, data: Path, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._dead: Worker | None = None
        database = data / DATABASE_NAME
        recognizer = configured_recognizer(settings)
        # before the migration: never upgrade the file under a running agent
        self._lock = lock(database)
        try:
            migrate(database)
            self._build(database, data, recognizer, environment)
        except BaseException:
            self._lock.release()
            raise

    def _build(
        self, database: Path, data: Path, recognizer: Recognizer, environment: Mapping[str, str]
    ) -> None:
        settings = self._settings
        simulated = settings.camera.source == "demo"
        self._database = database
        purposes = settings.dashboard.purposes
        outbox_rows = settings.mqtt.outbox_rows
        self._study = Study(database, purposes=purposes, outbox_rows=outbox_rows)
        self._session_open = False
        self._ingest = VitalIngest(self._take_vital, Origin("mqtt", prefix="mqtt:"))
        self._client = self._make_client(database)
        self._live = LiveServer(data / LIVE_SOCKET, simulated=simulated)
        self._recorder = Recorder(
            database,
            interval_s=settings.record.interval,
            batch_rows=settings.record.batch_rows,
            batch_seconds=settings.record.batch_seconds,
            outbox_rows=settings.mqtt.outbox_rows,
            simulated=simulated,
            only_in_sessions=settings.capture.mode == "sessions",
            on_commit=self._client.wake if self._client else None,
        )
        window = SummaryWindow(settings.device.name, clock.now(), simulated=simulated)
        self._dispatcher = EventDispatcher(
            self._recorder, window, self._live, self._client, simulated
        )
        latest_frame: LatestValue[Frame] = LatestValue()
        self._latest_frame = latest_frame
        self._capture = CaptureWorker(
            camera_factory(settings),
            latest_frame,
            self._recorder.submit,
            self._end_of_file,
            self._may_capture,
        )
        self._pulse = self._make_pulse(simulated)
        watch = watch_skin(self._pulse.see) if self._pulse else None
        self._governor = Governor(settings.vision.cpu_budget, settings.camera.fps)
        self._vision = VisionWorker(
            latest_frame,
            recognizer,
            self._governor,
            self._dispatcher.recognition,
            watch,
            settings.vision.threads,
        )
        self._vitals = self._make_vitals()
        self._monitor = HealthMonitor(data, settings.device.name, edge_agent.__version__)
        self._notifier = SystemdNotifier.from_environment(environment)
        self._rate = Rate()
        self._alarms: object = None
        watchdog = self._notifier.watchdog_interval_s
        self._window_timer = Every(settings.summary.window)
        self._session_timer = Every(SESSION_POLL_S, at_once=True)
        self._live_timer = Every(LIVE_HEALTH_S)
        self._mqtt_timer = Every(MQTT_HEALTH_S, at_once=True)
        self._prune_timer = Every(PRUNE_S, at_once=True)
        self._space: Space | None = None
        self._watchdog_timer = Every(watchdog) if watchdog else None
        for card in recognizer.models:
            self._recorder.record_model(card.kind, card.name, card.version, card.sha256)

    def _make_client(self, database: Path) -> MqttClient | None:
        settings = self._settings
        outbox = Outbox(database)
        if not settings.mqtt.enabled:
            outbox.clear()
            outbox.close()
            return None
        options = MqttOptions(
            broker_of(settings.mqtt),
            device=settings.device.name,
            root=settings.mqtt.root,
            window_s=settings.summary.window,
            subscriptions=tuple(self._listeners()),
        )
        return MqttClient(options, outbox)

    def _listeners(self) -> list[Subscription]:
        """Return what is listened to at the broker, as far as the configuration allows."""
        found = []
        if self._settings.vitals.mqtt.enabled:
            found.append(Subscription(Topics.INGEST, self._hear, Topics.REJECTED))
        if self._settings.mqtt.commands:
            study = self._study
            commands = Commands(
                lambda code, purpose, name, setting: study.start_session(
                    code, purpose, name, setting=setting
                ),
                study.end_session,
                study.add_marker,
            )
            found.append(
                Subscription(Topics.COMMAND_SESSION, commands.session, Topics.COMMAND_REJECTED)
            )
            found.append(
                Subscription(Topics.COMMAND_MARKER, commands.marker, Topics.COMMAND_REJECTED)
            )
        return found

    def _take_vital(self, reading: VitalReading) -> None:
        self._dispatcher.vital(reading)

    def _hear(self, payload: bytes, retained: bool) -> RejectedPayload | None:
        """Take the readings of a message; return what to say of those that were refused."""
        verdict = self._ingest.take(payload, retained=retained)
        if not verdict.refusals:
            return None
        refused = [(refusal.index, refusal.id, refusal.error) for refusal in verdict.refusals]
        return rejected_payload(clock.now().wall_ms, verdict.digest, verdict.taken, refused)

    def _make_vitals(self) -> list[VitalSource]:
        return [*self._make_simulated(), *self._make_bluetooth(), *self._make_replay()]

    def _make_simulated(self) -> list[VitalSource]:
        simulated = self._settings.vitals.simulated
        if not simulated.enabled:
            return []
        return [
            SimulatedVitals(
                self._dispatcher.vital,
                seed=simulated.seed,
                heart_rate_seconds=simulated.heart_rate_seconds,
                pressure_seconds=simulated.pressure_seconds,
                condition=self._study.open_condition,
            )
        ]

    def _make_pulse(self, simulated: bool) -> CameraPulse | None:
        if not self._settings.vitals.camera_pulse.enabled:
            return None
        return CameraPulse(self._dispatcher.vital, self._recorder.submit, simulated=simulated)

    def _make_replay(self) -> list[VitalSource]:
        replay = self._settings.vitals.replay
        if replay.file is None:
            return []
        file = at_home(replay.file)
        if file.suffix == ".db":
            readings = recorded_vitals(file)
        else:
            readings = read_readings(file)
        return [
            ReplayVitals(
                self._dispatcher.vital, readings, file.name, speed=replay.speed, loop=replay.loop
            )
        ]

    def _make_bluetooth(self) -> list[BluetoothVitals]:
        bluetooth = self._settings.vitals.bluetooth
        if not bluetooth.devices:
            return []
        sensors = [Sensor(device.address, device.kind) for device in bluetooth.devices]
        return [
            BluetoothVitals(
                self._dispatcher.vital,
                self._recorder.submit,
                sensors,
                radio_factory(bluetooth.adapter),
            )
        ]

    @property
    def _workers(self) -> list[Worker]:
        """Every thread, those that others depend on first."""
        client = [self._client] if self._client else []
        return [self._live, self._recorder, *client, *self._vitals, self._vision, self._capture]

    def stop(self) -> None:
        """Ask the agent to end; safe to call from a signal handler."""
        self._stop.set()

    def run(self) -> int:
        """Run until ``stop`` is called, a file camera ends, or a worker dies.

        Returns:
            0 after an orderly end, 1 when a worker died.
        """
        try:
            for worker in self._workers:
                worker.on_death = self._died
                worker.start()
            log.info("the agent runs; timeline in %s", self._database)
            self._notifier.ready()
            while not self._stop.wait(TICK_S):
                self._tick()
        finally:
            self._notifier.stopping()
            self._shut_down()
            self._lock.release()
        if self._dead:
            return 1
        return 0

    def _tick(self) -> None:
        if self._settings.capture.mode == "sessions" and self._session_timer.due():
            self._session_open = self._study.open_session() is not None
        if self._window_timer.due():
            self._dispatcher.close_window(clock.now())
        if self._live_timer.due():
            self._report(self._figures())
        if (
            self._watchdog_timer is not None
            and self._watchdog_timer.due()
            and is_fresh(self._figures())
        ):
            self._notifier.watchdog()
        if self._prune_timer.due():
            self._prune()

    def _report(self, figures: Figures) -> None:
        """Publish the health: to the live feed always, to the broker every minute and when an alarm
        changes.
        """
        report = self._monitor.report(figures, clock.now())
        self._governor.set_temperature(report["temperature_celsius"])
        self._live.publish({"type": "health", **report})
        alarms = [alarm["name"] for alarm in report["alarms"]]
        if self._client is not None and (self._mqtt_timer.due() or alarms != self._alarms):
            self._client.publish_health(report)
        self._alarms = alarms

    def _prune(self) -> None:
        record = self._settings.record
        path = self._database
        try:
            prune(path, record.keep_days, within_s=PRUNE_WITHIN_S)
            self._space = keep_to_budget(
                path, record.budget_mb, record.keep_days, within_s=PRUNE_WITHIN_S
            ).space
        except StoreError as error:
            log.warning("old rows were not removed: %s", error)

    def _figures(self) -> Figures:
        """Read the counters of every thread."""
        present = clock.boot_seconds()
        capture = self._capture
        recorder = self._recorder
        client = self._client
        plan = self._governor.plan
        committed = recorder.last_commit_boot_s
        error = recorder.last_error
        return Figures(
            fps=None if capture.is_idle else self._rate.per_second(self._vision.frames),
            # The age of what was recognized, not of what was read: a vision thread that hangs shall
            # be noticed, too.
            frame_age_s=None
            if capture.is_idle
            else present - max(self._vision.last_sign_s, capture.begun_s),
            frames_dropped=self._latest_frame.dropped,
            fps_limit=1 / plan.frame_s if plan.frame_s else None,
            limited_by=plan.limit.value if plan.limit else None,
            camera_error=str(capture.failure) if capture.failure else None,
            queue_depth=recorder.queue_depth,
            waiting_s=recorder.waiting_s,
            rows_dropped=recorder.dropped,
            commit_age_s=None if committed is None else present - committed,
            store_error=str(error) if error else None,
            budget_cut_ms=self._space.cut_ms if self._space else None,
            budget_over_bytes=self._space.over_bytes if self._space else 0,
            mqtt_state=client.state.value if client else "disabled",
            mqtt_error=client.last_error if client else None,
            mqtt_state_s=client.state_seconds if client else 0.0,
            outbox=client.waiting if client else 0,
            duplicates=recorder.duplicates,
            readings_taken=self._ingest.taken,
            readings_refused=self._ingest.refused,
            sensors=tuple(
                s
                for source in self._vitals
                if isinstance(source, BluetoothVitals)
                for s in source.states
            ),
        )

    def _died(self, worker: Worker, _error: Exception) -> None:
        self._dead = worker
        self._stop.set()

    def _end_of_file(self) -> None:
        log.info("nothing more to read; the agent ends")
        self._stop.set()

    def _may_capture(self) -> bool:
        return self._settings.capture.mode == "continuous" or self._session_open

    def _shut_down(self) -> None:
        """End the sources, then write what they left, then say goodbye to the broker."""
        sources: list[Worker] = [self._capture, *self._vitals, self._vision]
        for worker in sources:
            worker.stop()
        for worker in sources:
            if not worker.join(DRAIN_S / 2):
                log.warning("%s does not end and is left behind", worker.name)
        if self._pulse is not None:
            self._pulse.close()
        self._dispatcher.close_window(clock.now())
        self._recorder.stop()
        if not self._recorder.join(DRAIN_S):
            log.error("the recorder did not finish in time")
        last: list[Worker] = [self._live, *([self._client] if self._client else [])]
        for worker in last:  # after the recorder, so that the last summary still goes out
            worker.stop()
        for worker in last:
            worker.join(DRAIN_S)
