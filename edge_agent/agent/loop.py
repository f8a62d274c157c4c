"""The agent: it builds the parts from the settings, starts the threads, and watches over them.

This is the module that knows every room. Each thread does one thing (see docs/architecture.md); the
loop closes summary windows, reports the health, deletes old rows, and tells systemd's watchdog that
all is well while everything is fresh.

>>> is_fresh(AgentFigures(frame_age_s=0.1))
True
>>> is_fresh(AgentFigures(frame_age_s=16.0))
False
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge_agent import __version__
from edge_agent.agent import building
from edge_agent.agent.dispatcher import (
    Conditions,
    EventDispatcher,
    HomeState,
    live_state,
    tell_home,
)
from edge_agent.agent.health import HealthMonitor
from edge_agent.agent.permission import CapturePermission
from edge_agent.agent.publishing import configured_client, configured_publishers
from edge_agent.agent.summary import SummaryWindow
from edge_agent.agent.threads import AgentThreads, FigureReader
from edge_agent.agent.watches import Surroundings, Watches
from edge_agent.alerts.figures import AgentFigures, AlertLimits
from edge_agent.camera.capture import CaptureWorker
from edge_agent.camera.factory import open_camera
from edge_agent.config.data import RecorderOptions
from edge_agent.config.settings import Settings
from edge_agent.control.listening import configured_control, configured_streams
from edge_agent.core import clock
from edge_agent.core.clock import Every
from edge_agent.core.errors import DamageError, StoreError
from edge_agent.core.expression import Frame
from edge_agent.core.given_readings import ReadingOrigin
from edge_agent.core.process import StopRequest, SystemdNotifier
from edge_agent.core.readings import VitalReading
from edge_agent.core.threads import LatestValue, Worker
from edge_agent.live.feed import SOCKET_NAME, LiveServer
from edge_agent.lsl.outlet import require_library
from edge_agent.mqtt.client import MqttClient
from edge_agent.mqtt.payloads import Topics
from edge_agent.timeline.database.files import finish_replacement
from edge_agent.timeline.database.schema import DATABASE_NAME, NO_PRIOR
from edge_agent.timeline.database.upgrade import lock_for_agent
from edge_agent.timeline.database.upgrade_process import migrate_apart, told_to_systemd
from edge_agent.timeline.salvage.background_copying import BackgroundCopying
from edge_agent.timeline.salvage.rescue import Rescue
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.study.protocol_runs import RefusedRecords
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.aging import clock_doubt
from edge_agent.timeline.upkeep.budget import Space, keep_to_budget
from edge_agent.timeline.upkeep.copies import CopiesState, copies_state
from edge_agent.timeline.upkeep.health_history import HealthHistory
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.upkeep.unfinished import alarm_of_left
from edge_agent.timeline.write.boots import ClockCheck
from edge_agent.timeline.write.outbox import last_seq
from edge_agent.timeline.write.recorder import Recorder
from edge_agent.vision.governor import Governor
from edge_agent.vision.models.card import ModelCard, used_prior
from edge_agent.vision.recognizer import Recognizer
from edge_agent.vision.worker import VisionWorker
from edge_agent.vitals.ingest import VitalIngest

log = logging.getLogger(__name__)

TOGETHER_S = 0.05
"""The loop waits so much longer than its next timer asks for, to do what is due about then with it.

The longest delay of a summary.
"""
SESSION_POLL_S = 1.0
CLOCK_POLL_S = 1.0
LIVE_HEALTH_S = 5.0
LIVE_STATE_S = 1.0
MQTT_HEALTH_S = 60.0
PRUNE_S = 3600.0
UPKEEP_S = 60.0
"""Period of the look at the copies and at the clock, for the alerts."""
PRUNE_WITHIN_S = 2.0
"""Longest deletion of old rows in the loop, which must not stand still for the watchdog.

What is left is deleted an hour later, or at night by the maintenance.
"""


def is_fresh(figures: AgentFigures) -> bool:
    """Return whether neither frames nor rows are stuck, so that systemd need not restart the agent.

    A camera that failed with a known reason is reopened by its own thread, and a disk that refuses
    rows is not mended by a restart: both count as fresh.
    """
    limits = AlertLimits()
    hangs = figures.camera_error is None and (figures.frame_age_s or 0.0) > limits.frame_age_s
    stuck = figures.store_error is None and figures.waiting_s > limits.waiting_s
    return not (hangs or stuck)


class Agent:
    """Everything that ``affect-edge run`` runs.

    Args:
        settings: the configuration.
        data: the data folder; made when it does not exist.
        environment: of the process; with the address of systemd.

    Raises:
        StoreError: the database cannot be used, or another agent uses it.
        ModelError: a model is missing or damaged.
        MqttError: the broker's settings cannot work.
        DataFileError: the recording to be replayed cannot be read.
        VitalsError: sensors are configured, but the Bluetooth library is not installed.
        ServerError: the live feed cannot listen, or a library of streams or ports is missing.

    Example:
        Run until a signal comes, and end the process with the agent's exit code::

            agent = Agent(load_settings(), Path("data"))
            StopSignals().call(agent.stop)
            sys.exit(agent.run())
    """

    def __init__(
        self, settings: Settings, data: Path, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._settings = settings
        self._stop = StopRequest()
        self._dead: Worker | None = None
        self._home: HomeState | None = None
        self._alerts: list[str] | None = None
        self._space: Space | None = None
        self._copies = CopiesState()
        self._clock_doubt: str | None = None
        self._erasure_left = ""
        self._database = data / DATABASE_NAME
        self._refused_records = RefusedRecords(self._database)
        self._rescue = Rescue(self._database)
        self._read_error: str | None = None
        require_library(settings)
        # who records a row for each frame wants each of them read
        recognizer = building.configured_recognizer(settings, by_need=settings.record.interval > 0)
        self._notifier = SystemdNotifier.from_environment(environment)
        upgrading = told_to_systemd(self._notifier)
        # first: two agents must not make the file at once
        self._lock = lock_for_agent(self._database, upgrading)
        try:
            if finish_replacement(self._database):
                raise StoreError(
                    f"{self._database}: a restore that was interrupted is complete now, with its "
                    "configuration. Start the agent again."
                )
            self._rescue.before_start()
            try:
                migrate_apart(self._database, is_locked=True, on_progress=upgrading)
            except DamageError as error:  # an upgrade reads every page
                self._rescue.replace(f"the upgrade found: {error}")
            self._refused_records.look()  # those of before this start do not count
            self._make_parts(data, recognizer)
            history = HealthHistory(self._database)
            self._monitor = HealthMonitor(data, settings.device.name, __version__, history=history)
            self._start_timers()
        except BaseException:
            self._lock.release()
            raise

    def _make_parts(self, data: Path, recognizer: Recognizer) -> None:
        """Build the parts, in the order in which they need each other."""
        settings = self._settings
        self._study = Study(
            self._database,
            purposes=settings.dashboard.purposes,
            outbox_rows=settings.mqtt.outbox_rows,
        )
        ingest = VitalIngest(self._take_vital, ReadingOrigin("mqtt", prefix="mqtt:"))
        switch = CaptureSwitch(self._database)
        self._permission = CapturePermission(settings.capture.mode, switch)
        client = configured_client(
            settings, self._database, self._study, self._permission, ingest, self._rescue
        )
        if settings.mqtt.home_assistant and client is not None:
            window_s = settings.summary.window
            self._home = HomeState(
                simulated=self._is_simulated, window_s=window_s, movements=settings.mqtt.movements
            )
            capture = self._permission.off is None
            client.publish_state(self._home.now(Conditions(capture=capture), clock.now()))
        live = LiveServer(data / SOCKET_NAME, simulated=self._is_simulated)
        recorder = self._make_recorder(client)
        window = SummaryWindow(
            settings.device.name,
            clock.now(),
            simulated=self._is_simulated,
            last_seq=last_seq(self._database, Topics.SUMMARY),
        )
        self._dispatcher = EventDispatcher(
            recorder,
            window,
            live,
            client,
            self._is_simulated,
            self._home,
            settings.record.interval if settings.mqtt.movements else None,
        )
        self._watches = Watches(
            Surroundings(
                settings,
                self._database,
                self._study,
                recognizer,
                self._permission,
                self._dispatcher.vital,
                recorder.submit,
            )
        )
        preview = building.configured_preview(settings, data, live)
        latest_frame: LatestValue[Frame] = preview.frames if preview else LatestValue()
        self._governor = Governor(settings.vision.cpu_budget, settings.camera.fps)
        self._threads = AgentThreads(
            capture=self._make_capture(latest_frame, recorder),
            vision=self._make_vision(latest_frame, recognizer),
            vitals=building.configured_sources(
                settings, self._study, self._dispatcher.vital, recorder.submit
            ),
            recorder=recorder,
            live=live,
            client=client,
            background_copying=BackgroundCopying(self._rescue),
            alerts=configured_publishers(settings, self._database, live, client),
            preview=preview,
            streams=configured_streams(settings, self._database),
            control=configured_control(settings, self._study),
        )
        if self._threads.streams is not None:
            self._dispatcher.listener = self._threads.streams.enqueue
        self._figures = FigureReader(
            self._threads, self._governor, latest_frame, ingest, self._watches
        )
        recorder.submit(ClockCheck(clock.now(), is_start=True))
        models = recognizer.models
        own = (card for card in self._watches.cards if card not in models)
        for card in (*models, *own):
            # only a classifier has one
            prior: str = NO_PRIOR
            if isinstance(card, ModelCard) and card.kind == "expression":
                prior = used_prior(card, settings.vision.prior)
            recorder.record_model(card.kind, card.name, card.version, card.sha256, prior)

    @property
    def _is_simulated(self) -> bool:
        """Whether the camera is a demonstration, so that every row and message is marked."""
        return self._settings.camera.source == "demo"

    def _make_recorder(self, client: MqttClient | None) -> Recorder:
        options = RecorderOptions(
            **self._settings.record.model_dump(),
            outbox_rows=self._settings.mqtt.outbox_rows,
            simulated=self._is_simulated,
            only_in_sessions=self._settings.capture.mode == "sessions",
        )
        return Recorder(
            self._database,
            options,
            safe=self._rescue,
            on_commit=client.wake if client is not None else None,
        )

    def _make_capture(self, latest_frame: LatestValue[Frame], recorder: Recorder) -> CaptureWorker:
        return CaptureWorker(
            partial(open_camera, self._settings.camera),
            latest_frame,
            recorder.submit,
            self._end_of_file,
            self._permission.is_given,
            self._permission.gap_reason,
            building.frame_period_s(self._settings),
            self._settings.camera.stall_seconds,
        )

    def _make_vision(
        self, latest_frame: LatestValue[Frame], recognizer: Recognizer
    ) -> VisionWorker:
        return VisionWorker(
            latest_frame,
            recognizer,
            self._governor,
            self._dispatcher.recognition,
            self._watches.add,
            reads_every=self._watches.reads_every,
            threads=self._settings.vision.threads,
        )

    def _start_timers(self) -> None:
        watchdog_s = self._notifier.watchdog_interval_s
        self._clock_watch = clock.ClockWatch()
        self._clock_timer = Every(CLOCK_POLL_S)
        self._window_timer = Every(self._settings.summary.window)
        self._session_timer = Every(SESSION_POLL_S)
        self._live_timer = Every(LIVE_HEALTH_S)
        self._state_timer = Every(LIVE_STATE_S, at_once=True)
        self._mqtt_timer = Every(MQTT_HEALTH_S, at_once=True)
        self._prune_timer = Every(PRUNE_S, at_once=True)
        self._upkeep_timer = Every(UPKEEP_S, at_once=True)
        self._watchdog_timer = Every(watchdog_s) if watchdog_s else None
        timers = (
            self._clock_timer,
            self._window_timer,
            self._session_timer,
            self._live_timer,  # whose look asks the timer of MQTT
            self._state_timer,
            self._prune_timer,
            self._upkeep_timer,
            self._watchdog_timer,
        )
        self._timers = [timer for timer in timers if timer is not None]

    def _take_vital(self, reading: VitalReading) -> None:
        # the MQTT client is built before the dispatcher, which needs it
        self._dispatcher.vital(reading)

    def stop(self) -> None:
        """Ask the agent to end; safe to call from a signal handler."""
        self._stop.set()

    def run(self) -> int:
        """Run until ``stop`` is called, a file camera ends, or a worker dies.

        Returns:
            0 after an orderly end, 1 when a worker died.
        """
        try:
            # Before the first frame: a session that was going on keeps its own neutral.
            self._look_for_session()
            self._threads.start(self._died)
            log.info("the agent runs; timeline in %s", self._database)
            self._notifier.ready()
            while not self._stop.wait(self._quiet_s()):
                self._tick()
        finally:
            self._notifier.stopping()
            self._shut_down()
            self._lock.release()
        return int(self._dead is not None)

    def _quiet_s(self) -> float:
        """Return the seconds in which the loop has nothing to do."""
        return min(timer.left_s for timer in self._timers) + TOGETHER_S

    def _tick(self) -> None:
        if self._session_timer.due():
            self._look_for_session()
        if self._clock_timer.due():
            at = clock.now()
            if self._clock_watch.has_changed(at):  # rows that a wrong clock dated are moved
                self._threads.recorder.submit(ClockCheck(at))
            self._permission.update()
        if self._window_timer.due():
            self._dispatcher.close_window(clock.now())
        if self._state_timer.due():
            self._tell_state(clock.now())
        if self._live_timer.due():
            self._rescue.look_for_note()
            self._report(self._figures.read(self._space, self._read_error))
        timer = self._watchdog_timer
        if timer is not None and timer.due() and is_fresh(self._figures.read(self._space)):
            # without this in time, systemd restarts the agent, the only cure of a hanging driver
            self._notifier.watchdog()
        if self._prune_timer.due():
            self._prune()
        if self._upkeep_timer.due():
            self._copies = copies_state(self._database)
            self._clock_doubt = clock_doubt(self._database)
            self._erasure_left = alarm_of_left(self._database)
            self._refused_records.look()

    @property
    def _needs_session(self) -> bool:
        """Whether the agent needs to know if a session is open."""
        return self._home is not None or self._settings.capture.mode == "sessions"

    def _tell_state(self, at: clock.Instant) -> None:
        """Send the present state to the dashboard's pages and to Home Assistant."""
        state = live_state(
            self._threads, at, building.frame_period_s(self._settings), self._permission.off
        )
        self._threads.live.publish(state)
        if self._home is not None:
            session = None if self._read_error else self._permission.session_open
            tell_home(self._home, self._threads, state["camera"], session, at)

    def _look_for_session(self) -> None:
        """Begin or end a standing session, and look at the open one.

        If the database cannot be read, the last answer is kept.
        """
        try:
            self._watches.look(clock.now())
            if self._needs_session:
                self._permission.session_open = self._study.open_session() is not None
        except StoreError as error:  # it is tried again, and the recorder looks at damage
            if self._read_error is None:
                log.warning("the database could not be read: %s", error)
            self._read_error = str(error)
            self._rescue.report(error)
        else:
            self._read_error = None

    def _report(self, figures: AgentFigures) -> None:
        """Publish the health: always to the live feed, every minute to the broker.

        The broker also gets it at once when an alert starts or ends.
        """
        figures = replace(
            figures,
            copies=self._copies,
            clock_doubt=self._clock_doubt,
            erasure_left=self._erasure_left,
            damage=self._rescue.reported,
            rows_set_aside=figures.rows_set_aside + self._refused_records.count,
        )
        report = self._monitor.report(figures, clock.now())
        self._governor.set_temperature(report["temperature_celsius"])
        self._threads.live.publish({"type": "health", **report})
        alerts = [alert["name"] for alert in report["alarms"]]
        if self._home is not None:
            self._home.set_health(report)
        client = self._threads.client
        if client is not None and (self._mqtt_timer.due() or alerts != self._alerts):
            client.publish_health(report)
        self._alerts = alerts

    def _prune(self) -> None:
        """Delete rows that are too old, and the oldest ones beyond the disk budget."""
        record = self._settings.record
        path = self._database
        try:
            prune(path, record.keep_days, within_s=PRUNE_WITHIN_S)
            self._space = keep_to_budget(
                path, record.budget_mb, record.keep_days, within_s=PRUNE_WITHIN_S
            ).space
        except StoreError as error:
            log.warning("old rows were not deleted: %s", error)
            self._rescue.report(error)

    def _died(self, worker: Worker, _error: Exception) -> None:
        self._dead = worker
        self._stop.set()

    def _end_of_file(self) -> None:
        log.info("the file or folder is at its end; the agent stops")
        self._stop.set()

    def _shut_down(self) -> None:
        """Stop the sources, write their last rows, then disconnect from the broker.

        The last window is closed while the recorder still runs: its summary is written to the
        outbox, and is sent when the broker is connected again.
        """
        self._threads.stop_sources()
        self._watches.close()
        self._dispatcher.close_window(clock.now())
        self._threads.stop_outputs()
