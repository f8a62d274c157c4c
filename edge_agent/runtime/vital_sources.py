"""Builds the configured sources of vitals."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge_agent.config import Settings, at_home
from edge_agent.core.errors import StoreError
from edge_agent.core.gaps import Gap
from edge_agent.core.readings import VitalReading
from edge_agent.store.read.recorded_vitals import recorded_vitals
from edge_agent.store.study.study import Study
from edge_agent.vitals.base import VitalSource
from edge_agent.vitals.bluetooth import BluetoothVitals, radio_factory
from edge_agent.vitals.camera_pulse import CameraPulse
from edge_agent.vitals.csv import read_readings
from edge_agent.vitals.replay import ReplayVitals
from edge_agent.vitals.sensor import Sensor
from edge_agent.vitals.simulated import SimulatedVitals

log = logging.getLogger(__name__)

Sink = Callable[[VitalReading], None]
GapSink = Callable[[Gap], None]


def configured_sources(
    settings: Settings, study: Study, sink: Sink, on_gap: GapSink
) -> list[VitalSource]:
    """Return every source that has a thread of its own, not yet started.

    Args:
        settings: the configuration.
        study: names the condition that a simulated person reacts to.
        sink: receives each reading.
        on_gap: receives each interval in which a sensor was silent.

    Raises:
        DataFileError: the recording to be replayed cannot be read.
        VitalsError: sensors are configured, but the Bluetooth library is not installed.
    """
    return [
        *_simulated(settings, study, sink),
        *_bluetooth(settings, sink, on_gap),
        *_replay(settings, sink),
    ]


def configured_pulse(settings: Settings, sink: Sink, on_gap: GapSink) -> CameraPulse | None:
    """Return the pulse estimator that the vision thread feeds; ``None`` where it is off."""
    if not settings.vitals.camera_pulse.enabled:
        return None
    return CameraPulse(sink, on_gap, simulated=settings.camera.source == "demo")


class _LastCondition:
    """The open condition; while the database cannot be read, the one of before.

    Args:
        study: knows it.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._last: str | None = None

    def __call__(self) -> str | None:
        """Return the condition; ``None``: none is open."""
        try:
            self._last = self._study.open_condition()
        except StoreError as error:
            log.debug("the open condition could not be read: %s", error)
        return self._last


def _simulated(settings: Settings, study: Study, sink: Sink) -> list[VitalSource]:
    simulated = settings.vitals.simulated
    if not simulated.enabled:
        return []
    source = SimulatedVitals(
        sink,
        seed=simulated.seed,
        heart_rate_seconds=simulated.heart_rate_seconds,
        pressure_seconds=simulated.pressure_seconds,
        condition=_LastCondition(study),
    )
    return [source]


def _replay(settings: Settings, sink: Sink) -> list[VitalSource]:
    replay = settings.vitals.replay
    if replay.file is None:
        return []
    file = at_home(replay.file)
    if file.suffix == ".db":
        readings = recorded_vitals(file)
    else:
        readings = read_readings(file)
    return [ReplayVitals(sink, readings, file.name, speed=replay.speed, loop=replay.loop)]


def _bluetooth(settings: Settings, sink: Sink, on_gap: GapSink) -> list[VitalSource]:
    bluetooth = settings.vitals.bluetooth
    if not bluetooth.devices:
        return []
    sensors = [Sensor(device.address, device.kind) for device in bluetooth.devices]
    radio = radio_factory(bluetooth.adapter)
    return [BluetoothVitals(sink, on_gap, sensors, radio)]
