"""Camera, vision chain and sources of vitals from the settings, for the agent and for commands."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_agent.config.camera import CameraSettings
from edge_agent.config.section import at_home
from edge_agent.config.settings import Settings
from edge_agent.core.errors import ModelError, StoreError
from edge_agent.core.owners import Owner, owner_of
from edge_agent.core.readings import VitalReading
from edge_agent.live.feed import LiveServer
from edge_agent.live.preview import SOCKET_NAME as PREVIEW_SOCKET
from edge_agent.live.preview import PreviewServer
from edge_agent.lsl.inlet import configured_lsl
from edge_agent.timeline.study.sessions import Study
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import try_apart
from edge_agent.vision.recognizer import Recognizer, open_recognizer
from edge_agent.vitals.replay import ReplayVitals
from edge_agent.vitals.sensor import BluetoothVitals, Record, Sensor, radio_factory
from edge_agent.vitals.simulated import SimulatedVitals
from edge_agent.vitals.sources import VitalSource

log = logging.getLogger(__name__)

Sink = Callable[[VitalReading], None]


def frame_period_s(settings: Settings) -> float:
    """Return the seconds from one frame of the camera to the next."""
    camera = settings.camera
    if camera.source == "snapshot":
        return camera.snapshot_seconds
    return 1 / camera.fps


def configured_preview(settings: Settings, data: Path, live: LiveServer) -> PreviewServer | None:
    """Return the server of the camera's picture for administrators; ``None`` if it is forbidden.

    Args:
        settings: the configuration.
        data: folder of its socket.
        live: informs every page that somebody is watching.
    """
    if settings.capture.preview == "never":
        return None
    return PreviewServer(data / PREVIEW_SOCKET, live.publish, frame_period_s(settings))


def owner_of_models(settings: Settings) -> Owner | None:
    """Return the user in whose folder a configured model lies; ``None``: root's own, or shipped.

    Root runs no model that another user may have written.
    """
    options = settings.vision
    for name in (options.expression_model, options.detector_model):
        with suppress(ModelError):
            # YuNet's file has no card.
            owner = owner_of(
                Path(name).expanduser() if name.lower().endswith(".onnx") else find_model(name)
            )
            if owner is not None:
                return owner
    return None


def configured_recognizer(settings: Settings, *, by_need: bool = False) -> Recognizer:
    """Return the configured vision chain; raises ``ModelError``.

    Models that are not shipped are tried in another process first.

    Args:
        settings: the configuration.
        by_need: see ``open_recognizer``; recorded material is read in each frame, the same each
            time.
    """
    options = settings.vision
    # In another process: a damaged model file can take gigabytes or end the process that loads it.
    try_apart(find_model(options.expression_model))
    if options.detector != "yunet":
        try_apart(find_model(options.detector_model))
    return open_recognizer(options, by_need=by_need, judges_pictures=_is_live(settings.camera))


def _is_live(camera: CameraSettings) -> bool:
    """Return whether the camera shows what is there now, and no recorded faces."""
    if camera.source == "opencv":
        device = camera.device.reveal()
        return "://" in device or not Path(device).expanduser().is_file()
    return camera.source not in {"pictures", "demo"}


def configured_sources(
    settings: Settings, study: Study, sink: Sink, record: Record
) -> list[VitalSource]:
    """Return every source that has a thread of its own, not yet started.

    Args:
        settings: the configuration.
        study: has the condition to which a simulated person reacts.
        sink: receives each reading.
        record: receives each interval in which a sensor was silent, and what is kept of
            electrocardiograms.

    Raises:
        DataFileError: the recording to be replayed cannot be read.
        ServerError: streams are configured, but pylsl is not installed.
        VitalsError: sensors are configured, but the Bluetooth library is not installed.
    """
    vitals = settings.vitals
    simulated, bluetooth, replay = vitals.simulated, vitals.bluetooth, vitals.replay
    sources: list[VitalSource] = []
    if simulated.enabled:
        source = SimulatedVitals(
            sink,
            seed=simulated.seed,
            heart_rate_seconds=simulated.heart_rate_seconds,
            pressure_seconds=simulated.pressure_seconds,
            condition=_last_condition(study),
        )
        sources.append(source)
    if bluetooth.devices:
        sensors = [
            Sensor(device.address, device.kind, device.keep_ecg, device.body_motion)
            for device in bluetooth.devices
        ]
        radio = radio_factory(bluetooth.adapter)
        sources.append(BluetoothVitals(sink, record, sensors, radio))
    sources += configured_lsl(vitals.lsl.streams, sink, record)
    if replay.file is not None:
        file = at_home(replay.file)
        played = ReplayVitals(
            sink, _readings_of(file), file.name, speed=replay.speed, loop=replay.loop
        )
        sources.append(played)
    return sources


def _readings_of(file: Path) -> list[VitalReading]:
    """Read what is to be replayed; an agent that replays nothing does without what reads it."""
    if file.suffix == ".db":
        from edge_agent.timeline.read.reader import recorded_vitals

        return recorded_vitals(file)
    from edge_agent.vitals.csv_readings import read_readings

    return read_readings(file)


def _last_condition(study: Study) -> Callable[[], str | None]:
    """Return a function for the open condition; it keeps the last one if reading fails."""
    last: str | None = None

    def condition() -> str | None:
        nonlocal last
        try:
            last = study.open_condition()
        except StoreError as error:
            log.debug("the open condition could not be read: %s", error)
        return last

    return condition
