"""Builds the streams, and what listens to other programs, from the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.core.sensors import SensorKind
from edge_agent.core.vitals import VitalKind
from edge_agent.core.worker import Worker
from edge_agent.runtime.control.marker_stream import MarkerStream
from edge_agent.runtime.control.orders import OrderWorker
from edge_agent.runtime.control.serial_codes import SerialCodes
from edge_agent.runtime.lsl.streams import StreamOptions
from edge_agent.runtime.lsl.worker import StreamWorker
from edge_agent.store.study.study import Study
from edge_agent.vitals.sensor import Sensor

_GIVES = {
    SensorKind.HEART_RATE: (VitalKind.HEART_RATE, VitalKind.RR_INTERVAL),
    SensorKind.BLOOD_PRESSURE: (VitalKind.SYSTOLIC, VitalKind.DIASTOLIC, VitalKind.MEAN_ARTERIAL),
    SensorKind.PULSE_OXIMETER: (VitalKind.OXYGEN_SATURATION, VitalKind.HEART_RATE),
    SensorKind.THERMOMETER: (VitalKind.SKIN_TEMPERATURE, VitalKind.BODY_TEMPERATURE),
}
"""What a kind of sensor measures, so that its streams are there before it speaks."""


def configured_streams(settings: Settings, database: Path) -> StreamWorker | None:
    """Return what offers the streams, not yet started; ``None`` where it is off.

    Raises:
        ServerError: pylsl or its native library is missing.
    """
    if not settings.lsl.enabled:
        return None
    return StreamWorker(
        StreamOptions(settings.device.name, settings.lsl),
        database,
        simulated=settings.camera.source == "demo",
        sensors=_sensors(settings),
    )


def configured_control(settings: Settings, study: Study) -> list[Worker]:
    """Return what listens to other programs and obeys them, not yet started.

    Raises:
        ServerError: a library is missing.
    """
    control = settings.control
    if control.lsl_stream is None and control.serial_port is None:
        return []
    orders = OrderWorker(study)
    workers: list[Worker] = [orders]
    if control.lsl_stream is not None:
        workers.append(MarkerStream(control.lsl_stream, orders, control.codes))
    if control.serial_port is not None:
        port = control.serial_port
        workers.append(SerialCodes(port, control.serial_baud, orders, control.codes))
    return workers


def _sensors(settings: Settings) -> Iterator[tuple[VitalKind, str]]:
    for device in settings.vitals.bluetooth.devices:
        for kind in _GIVES[device.kind]:
            yield kind, Sensor(device.address, device.kind).source
